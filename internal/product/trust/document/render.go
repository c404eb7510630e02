package document

import (
	"fmt"
	"html"
	"strings"
	"unicode"
)

// Markdown draws the paper as text.
func (p *Paper) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s · %s · policy %s\n\n", marked(p.Title), marked(p.By), p.Line(), p.Policy)
	if p.Notes != "" {
		fmt.Fprintf(&b, "> %s\n\n", marked(p.Notes))
	}
	for _, block := range p.Blocks {
		switch {
		case block.Heading != "":
			fmt.Fprintf(&b, "%s %s\n\n", strings.Repeat("#", block.Level), marked(block.Heading))
		case block.Table != nil:
			markdownTable(&b, block.Table)
		case len(block.List) > 0:
			for _, s := range block.List {
				fmt.Fprintf(&b, "- %s\n", marked(s.Said()))
			}
			b.WriteByte('\n')
		default:
			fmt.Fprintf(&b, "%s\n\n", marked(joined(block.Paragraph)))
		}
	}
	if t := p.restsTable(); t != nil {
		b.WriteString("## What this rests on\n\n")
		markdownTable(&b, t)
	}
	return []byte(strings.TrimRight(b.String(), "\n") + "\n")
}

func joined(list []Sentence) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = s.Said()
	}
	return strings.Join(texts, " ")
}

func markdownTable(b *strings.Builder, t *Table) {
	row := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(b, "| %s ", strings.ReplaceAll(marked(c), "\n", " "))
		}
		b.WriteString("|\n")
	}
	row(t.Head)
	b.WriteString(strings.Repeat("|---", len(t.Head)) + "|\n")
	for _, r := range t.Rows {
		row(r.said())
	}
	b.WriteByte('\n')
}

// said are the cells with the row's public remark.
func (r Row) said() []string {
	if len(r.Shaky) == 0 {
		return r.Cells
	}
	cells := append([]string(nil), r.Cells...)
	cells[len(cells)-1] += remark(r.Shaky)
	return cells
}

var markdownSigns = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "|", `\|`)

// marked is text in which nothing passes for a mark of Markdown.
func marked(s string) string { return markdownSigns.Replace(s) }

// restsTable is the list of promises that the paper rests on, or nil.
func (p *Paper) restsTable() *Table {
	if len(p.Rests) == 0 {
		return nil
	}
	t := &Table{Caption: "Promises that this document rests on", Head: []string{"Promise", "As it stood"}}
	for _, r := range p.Rests {
		t.Rows = append(t.Rows, Row{Cells: []string{r.Says + " (" + r.ID + ")", r.Words()}})
	}
	return t
}

// Drawn gives the paper's blocks as renderers outside this package draw them: what
// it rests on at the end.
func (p *Paper) Drawn() []Block {
	list := append([]Block(nil), p.Blocks...)
	if t := p.restsTable(); t != nil {
		list = append(list, Block{Heading: "What this rests on", Level: 2}, Block{Table: t})
	}
	return list
}

// Anchor is the name of a heading within a page.
func Anchor(heading string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading), "-")
}

// HTML draws what stands below the title as an article: headings from h2 down,
// tables that scroll by themselves, no style and no script.
func (p *Paper) HTML() string {
	var b strings.Builder
	if p.Notes != "" {
		fmt.Fprintf(&b, "<p class=\"change\">%s</p>\n", html.EscapeString(p.Notes))
	}
	for _, block := range p.Drawn() {
		switch {
		case block.Heading != "":
			fmt.Fprintf(&b, "<h%d id=\"%s\">%s</h%d>\n", block.Level, Anchor(block.Heading), html.EscapeString(block.Heading), block.Level)
		case block.Table != nil:
			htmlTable(&b, block.Table)
		case len(block.List) > 0:
			b.WriteString("<ul>\n")
			for _, s := range block.List {
				fmt.Fprintf(&b, "<li>%s</li>\n", htmlSaid(s))
			}
			b.WriteString("</ul>\n")
		default:
			b.WriteString("<p>")
			for i, s := range block.Paragraph {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(htmlSaid(s))
			}
			b.WriteString("</p>\n")
		}
	}
	return b.String()
}

func htmlSaid(s Sentence) string { return html.EscapeString(s.Text) + htmlRemark(s.Shaky) }

func htmlRemark(shaky []string) string {
	if len(shaky) == 0 {
		return ""
	}
	return " <strong class=\"shaky\">" + html.EscapeString(strings.TrimSpace(remark(shaky))) + "</strong>"
}

func htmlTable(b *strings.Builder, t *Table) {
	caption := html.EscapeString(t.Caption)
	// What scrolls must be reachable by keyboard (WCAG 2.1.1).
	fmt.Fprintf(b, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table>\n<caption>%s</caption>\n<thead><tr>", caption, caption)
	for _, h := range t.Head {
		fmt.Fprintf(b, "<th scope=\"col\">%s</th>", html.EscapeString(h))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, r := range t.Rows {
		b.WriteString("<tr>")
		for i, c := range r.Cells {
			text := html.EscapeString(c)
			if i == len(r.Cells)-1 {
				text += htmlRemark(r.Shaky)
			}
			fmt.Fprintf(b, "<td data-label=\"%s\">%s</td>", html.EscapeString(t.Head[min(i, len(t.Head)-1)]), text)
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody></table></div>\n")
}

// pageStyle is for a page that stands alone.
const pageStyle = `:root{color-scheme:light dark;font:1rem/1.55 system-ui,sans-serif}body{margin:0}main{max-width:48rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%;font-size:.9rem}caption{text-align:left;font-weight:600;padding:.5rem 0}th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent);overflow-wrap:anywhere}.scroll{overflow-x:auto}`

// Page draws the paper as one file of HTML that needs nothing else.
func (p *Paper) Page() []byte {
	return fmt.Appendf(nil, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n<p>%s · %s · policy %s</p>\n%s</main>\n</body>\n</html>\n",
		html.EscapeString(p.Title), pageStyle, html.EscapeString(p.Title), html.EscapeString(p.By), p.Line(), html.EscapeString(p.Policy), p.HTML())
}
