package paper

import (
	"strconv"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	"mailvow/internal/product/trust/document"
)

// wide is the number of a table's columns from which the sheets lie on their side.
const wide = 6

// Document draws one of the platform's documents; source is what it was drawn
// from, which is attached.
func Document(p *document.Paper, source []byte) ([]byte, error) {
	d := newSheets(p)
	d.pdf.SetAttachments([]fpdf.Attachment{{Content: source, Filename: string(p.Kind) + ".json", Description: "What this document was drawn from"}})
	d.small(p.By + "\n" + p.Line() + ", under policy " + p.Policy)
	if p.Notes != "" {
		d.text(p.Notes, "I")
	}
	for _, b := range p.Drawn() {
		switch {
		case b.Heading != "":
			d.title(b.Heading, b.Level)
		case b.Table != nil:
			d.table(b.Table)
		case len(b.List) > 0:
			for _, s := range b.List {
				d.item(s.Said())
			}
		default:
			texts := make([]string, len(b.Paragraph))
			for i, s := range b.Paragraph {
				texts[i] = s.Said()
			}
			d.text(strings.Join(texts, " "), "")
		}
	}
	d.note("This sheet is signed by a detached note: verify it with \"mailvow certificate verify FILE.pdf --note FILE.note\", and compare the key with the one that the operator publishes.")
	return d.bytes()
}

func newSheets(p *document.Paper) *sheets {
	way := "P"
	for _, b := range p.Blocks {
		if b.Table != nil && len(b.Table.Head) >= wide {
			way = "L"
		}
	}
	pdf := fpdf.New(way, "mm", "A4", "")
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin)
	pdf.SetCatalogSort(true)
	pdf.SetTitle(p.Title, true)
	pdf.SetLang("en")
	pdf.SetProducer("Mailvow", true)
	pdf.SetCreationDate(p.Date)
	pdf.SetModificationDate(p.Date)
	pdf.AliasNbPages("{n}")
	foot := latin(p.Server + "  ·  " + p.Title + "  ·  " + p.Line())
	pdf.SetFooterFunc(func() {
		pdf.SetY(-13)
		pdf.SetFont("Helvetica", "", 8)
		pdf.SetTextColor(90, 90, 90)
		pdf.CellFormat(0, 5, foot, "", 0, "L", false, 0, "")
		pdf.CellFormat(0, 5, strconv.Itoa(pdf.PageNo())+" / {n}", "", 0, "R", false, 0, "")
		pdf.SetTextColor(0, 0, 0)
	})
	pdf.AddPage()
	pdf.SetFont("Helvetica", "B", 20)
	pdf.MultiCell(0, 10, latin(p.Title), "", "L", false)
	return &sheets{sheet{pdf}}
}

// sheets is a PDF with headings, lists and tables.
type sheets struct{ sheet }

func (d *sheets) small(text string) {
	d.pdf.SetFont("Helvetica", "", 9)
	d.pdf.SetTextColor(90, 90, 90)
	d.pdf.MultiCell(0, 4.8, latin(text), "", "L", false)
	d.pdf.SetTextColor(0, 0, 0)
	d.pdf.Ln(3)
}

// room begins a new sheet where less than some millimetres are left on this one.
func (d *sheets) room(least float64) {
	_, high := d.pdf.GetPageSize()
	if d.pdf.GetY() > high-margin-least {
		d.pdf.AddPage()
	}
}

func (d *sheets) title(text string, level int) {
	d.room(26)
	size, above := 13.0, 4.0
	if level > 2 {
		size, above = 11, 2
	}
	d.pdf.Ln(above)
	d.pdf.SetFont("Helvetica", "B", size)
	d.pdf.MultiCell(0, 7, latin(text), "", "L", false)
	d.pdf.Ln(0.5)
}

func (d *sheets) text(text, style string) {
	d.pdf.SetFont("Helvetica", style, 10)
	d.pdf.MultiCell(0, line, latin(text), "", "L", false)
	d.pdf.Ln(1.6)
}

func (d *sheets) item(text string) {
	d.room(2 * line)
	d.pdf.SetFont("Helvetica", "", 10)
	d.pdf.SetX(margin + 1)
	d.pdf.CellFormat(4, line, latin("•"), "", 0, "L", false, 0, "")
	d.pdf.SetLeftMargin(margin + 5)
	d.pdf.MultiCell(0, line, latin(text), "", "L", false)
	d.pdf.SetLeftMargin(margin)
	d.pdf.Ln(0.8)
}

const (
	cellSize = 8.5
	cellLine = 4.1
	padding  = 1.2
	// longestWord bounds in millimetres what a word asks of its column.
	longestWord = 40.0
)

// table draws rows of cells, each in as many lines as it needs; its head stands on
// every sheet.
func (d *sheets) table(t *document.Table) {
	widths := d.widths(t)
	d.room(30)
	d.pdf.Ln(1)
	d.pdf.SetFont("Helvetica", "B", 9)
	d.pdf.MultiCell(0, 5, latin(t.Caption), "", "L", false)
	d.row(t.Head, widths, "B")
	for _, r := range t.Rows {
		cells := append([]string(nil), r.Cells...)
		if s := r.Remark(); s != "" {
			cells[len(cells)-1] += " " + s
		}
		if d.tall(cells, widths) > d.left() {
			d.pdf.AddPage()
			d.row(t.Head, widths, "B")
		}
		d.row(cells, widths, "")
	}
	d.pdf.Ln(3)
}

// left is how much of this sheet is left.
func (d *sheets) left() float64 {
	_, high := d.pdf.GetPageSize()
	return high - margin - d.pdf.GetY()
}

// widths shares the sheet among columns: each has room for its longest word, and
// what is left goes by the length of their texts.
func (d *sheets) widths(t *document.Table) []float64 {
	across, _ := d.pdf.GetPageSize()
	left := across - 2*margin
	n := len(t.Head)
	widths, weights, sum := make([]float64, n), make([]float64, n), 0.0
	d.pdf.SetFont("Helvetica", "B", cellSize)
	for i := range widths {
		all := 0
		for _, r := range append([]document.Row{{Cells: t.Head}}, t.Rows...) {
			if i >= len(r.Cells) {
				continue
			}
			all += len(r.Cells[i])
			for word := range strings.FieldsSeq(r.Cells[i]) {
				widths[i] = max(widths[i], min(d.pdf.GetStringWidth(latin(word)), longestWord))
			}
		}
		widths[i] += 4 * padding
		left -= widths[i]
		weights[i] = min(float64(all)/float64(len(t.Rows)+1), 120)
		sum += weights[i]
	}
	for i := range widths {
		if left > 0 {
			widths[i] += left * weights[i] / max(sum, 1)
		} else {
			widths[i] *= (across - 2*margin) / (across - 2*margin - left)
		}
	}
	return widths
}

func (d *sheets) lines(cells []string, widths []float64, style string) [][][]byte {
	d.pdf.SetFont("Helvetica", style, cellSize)
	out := make([][][]byte, len(cells))
	for i, c := range cells {
		out[i] = d.pdf.SplitLines([]byte(latin(c)), widths[i]-padding)
	}
	return out
}

// tall is how high a row will be.
func (d *sheets) tall(cells []string, widths []float64) float64 {
	most := 1
	for _, l := range d.lines(cells, widths, "") {
		most = max(most, len(l))
	}
	return float64(most)*cellLine + 2*padding
}

// row draws one row; one that is higher than a sheet goes on upon the next.
func (d *sheets) row(cells []string, widths []float64, style string) {
	lines := d.lines(cells, widths, style)
	most := 1
	for _, l := range lines {
		most = max(most, len(l))
	}
	for from := 0; from < most; {
		fits := max(1, int((d.left()-2*padding)/cellLine))
		to := min(most, from+fits)
		d.strip(lines, widths, from, to, style)
		if from = to; from < most {
			d.pdf.AddPage()
		}
	}
}

// strip draws some of a row's lines and the rule below them.
func (d *sheets) strip(lines [][][]byte, widths []float64, from, to int, style string) {
	d.pdf.SetFont("Helvetica", style, cellSize)
	top, x := d.pdf.GetY(), margin
	d.pdf.SetAutoPageBreak(false, margin)
	for i, l := range lines {
		for n := from; n < min(to, len(l)); n++ {
			d.pdf.SetXY(x, top+padding+float64(n-from)*cellLine)
			d.pdf.CellFormat(widths[i]-padding, cellLine, string(l[n]), "", 0, "L", false, 0, "")
		}
		x += widths[i]
	}
	d.pdf.SetAutoPageBreak(true, margin)
	bottom := top + float64(to-from)*cellLine + 2*padding
	d.pdf.SetDrawColor(190, 190, 190)
	d.pdf.SetLineWidth(0.15)
	d.pdf.Line(margin, bottom, x, bottom)
	d.pdf.SetXY(margin, bottom)
}
