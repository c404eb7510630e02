package message_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailvow/internal/base/message"
	"mailvow/internal/lab"
)

// Where this parser departs from the expected tree of mime4j, and why.
var mime4jDiffers = map[string]string{
	"attachment-filename-encoding-Latin1": closingLF,
	"attachment-filename-encoding-UTF8":   closingLF,
	"ticket-60931":                        closingLF,
	"twopart":                             closingLF,
	"empty-preamble":                      closingLF,
	"frag":                                "the base64 data end without padding; the suite drops the last two bytes, RFC 4648 3.2 lets a reader do without padding, and a file must not lose its end",

	"hdr-fakeout":                           keptText,
	"basic-plain-with-bad-header-separator": keptText,
	"malformedHeader-noheader":              keptText,
	"malformedHeaderStartsBody-noheader":    keptText + " (the message's own words: the whole text should be recognized as body)",
	"malformedHeaderStartsBody-nocrlfcrlf":  "the same bytes as malformedHeader-nocrlfcrlf, which expects the opposite (and is matched): RFC 5322 2.2 makes the line no field, and the fields behind it stay fields",
}

const (
	closingLF = "RFC 2046 5.1.1: the line end behind the closing delimiter belongs to it; with CRLF the suite says so too, with LF it counts it as epilogue"
	keptText  = "the suite drops lines without colon where the empty line before the body is missing; RFC 5322 2.2 makes them no fields, so they are text, and text of the sender is not thrown away"
)

// TestMime4jTrees writes each parsed message in the notation of the suite and
// compares it with the expected structure (.xml: raw bodies, preambles and
// epilogues; _decoded.xml: the bodies decoded, one file each).
func TestMime4jTrees(t *testing.T) {
	t.Parallel()
	root := filepath.Join(lab.Suite(t, "mime"), "mime4j/core/src/test/resources")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.msg"))
	if err != nil || len(files) < 80 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	same, known := 0, 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".msg")
		diff := mime4jDiff(t, file)
		why, listed := mime4jDiffers[name]
		switch {
		case diff == "" && !listed:
			same++
		case diff != "" && listed:
			known++
		case diff == "":
			t.Errorf("%s matches now; take it off the list (%s)", name, why)
		default:
			t.Errorf("%s differs:\n%s", name, diff)
		}
	}
	t.Logf("%d files with expected structure: %d match exactly, %d differ for the reasons listed", len(files), same, known)
}

func mime4jDiff(t *testing.T, file string) string {
	t.Helper()
	raw := readFile(t, file)
	m := parse(t, raw)
	var b strings.Builder
	writeXML(t, &b, m.Root, "message")
	want := string(readFile(t, strings.TrimSuffix(file, ".msg")+".xml"))
	if want != b.String() {
		return "tree: " + firstDiff(want, b.String())
	}
	return bodiesDiff(t, file, m)
}

// bodiesDiff compares decoded bodies; the files are numbered by their place.
func bodiesDiff(t *testing.T, file string, m *message.Message) string {
	t.Helper()
	var diff strings.Builder
	var visit func(p *message.Part, place string)
	visit = func(p *message.Part, place string) {
		if p.IsLeaf() {
			base := strings.TrimSuffix(file, ".msg") + "_decoded" + place
			want, err := os.ReadFile(base + ".txt")
			if err != nil {
				want, err = os.ReadFile(base + ".bin")
			}
			if err != nil {
				fmt.Fprintf(&diff, "no expected body for part %s\n", place)
				return
			}
			if got := readAll(t, p.Decoded()); !bytes.Equal(got, want) {
				fmt.Fprintf(&diff, "part %s:\n%s", place, firstDiff(string(want), string(got)))
			}
			return
		}
		for i, c := range p.Children {
			visit(c, fmt.Sprintf("%s_%d", place, i+1))
		}
	}
	visit(m.Root, "_1")
	return diff.String()
}

func writeXML(t *testing.T, b *strings.Builder, p *message.Part, tag string) {
	t.Helper()
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	b.WriteString("<" + tag + ">\r\n<header>\r\n")
	for _, f := range p.Header.Fields {
		b.WriteString("<field>\r\n" + escape.Replace(latin1(f.Raw())) + "</field>\r\n")
	}
	b.WriteString("</header>\r\n")
	switch {
	case p.IsMultipart():
		b.WriteString("<multipart>\r\n")
		span(t, b, p, "preamble", p.Preamble, escape)
		for _, c := range p.Children {
			writeXML(t, b, c, "body-part")
		}
		span(t, b, p, "epilogue", p.Epilogue, escape)
		b.WriteString("</multipart>\r\n")
	case p.IsMessage():
		writeXML(t, b, p.Children[0], "message")
	default:
		b.WriteString("<body>\r\n" + escape.Replace(latin1(readAll(t, p.Raw()))) + "</body>\r\n")
	}
	b.WriteString("</" + tag + ">\r\n")
}

func span(t *testing.T, b *strings.Builder, p *message.Part, tag string, s message.Span, escape *strings.Replacer) {
	t.Helper()
	text := make([]byte, s.Len()+1)
	n, err := p.Source().ReadAt(text, s.Start)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	// The suite shows an empty preamble where an empty line stands before the
	// first boundary, and none where the boundary follows the header at once.
	if s.Len() == 0 && (tag == "epilogue" || n == 0 || text[0] == '-') {
		return
	}
	text = text[:s.Len()]
	b.WriteString("<" + tag + ">\r\n" + escape.Replace(latin1(text)) + "</" + tag + ">\r\n")
}

// firstDiff shows where two texts part.
func firstDiff(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	from := max(i-40, 0)
	return fmt.Sprintf("at %d: want %q, got %q", i, want[from:min(i+60, len(want))], got[from:min(i+60, len(got))])
}

// latin1 is how the suite's files hold octets.
func latin1(b []byte) string { return string(b) }
