// Package paper draws documents as PDF. It promises that what is drawn is what
// was verified, and that the file it was drawn from lies in the PDF, byte for
// byte, so that the paper's reader can verify it, too. The PDF itself proves
// nothing and says so. Verifying is left to protect/evidence.
package paper

import (
	"bytes"
	"fmt"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/text/encoding/charmap"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

const (
	margin = 20.0 // millimetres
	left   = 48.0 // the column of names
	line   = 5.2
)

// Certificate draws a deletion certificate that was verified. data is its file,
// which is attached.
func Certificate(r evidence.CertificateReport, data []byte) ([]byte, error) {
	d := newDocument("Certificate of erasure")
	d.pdf.SetCreationDate(r.At.Time)
	d.pdf.SetModificationDate(r.At.Time)
	d.pdf.SetAttachments([]fpdf.Attachment{{Content: data, Filename: "certificate.json", Description: "The certificate, which can be verified"}})
	d.row("Erased on", r.At.String())
	d.row("Ordered by", string(r.OrderedBy))
	d.row("Reason", r.Reason+", under policy "+r.Policy)
	if r.Of == evidence.OfCustomer {
		d.row("Customer", r.Customer.String()+", as a whole: the contract's end")
	} else if r.SubjectMatches {
		d.row("Person", "the one whose address was given when this was drawn")
	}
	d.heading("What was erased")
	for _, c := range r.Categories {
		text := fmt.Sprintf("%d erased", c.Erased)
		if c.Kept > 0 {
			text += fmt.Sprintf(", %d kept: %s", c.Kept, c.Why)
		}
		d.row(c.Category, text)
	}
	for _, what := range r.Reached {
		d.row("Reached at once", what)
	}
	for _, f := range r.Follows {
		d.row("By "+f.By.UTC().Format("2006-01-02 15:04 MST"), f.What)
	}
	d.heading("Proof")
	d.row("Certificate", r.Certificate.String())
	d.row("In the log", fmt.Sprintf("%s, entry %d of %d", r.Log, r.LeafIndex+1, r.LogSize))
	d.row("Signed by", r.PublicKey)
	d.note("This sheet is for reading and proves nothing by itself. The certificate is attached to the PDF as certificate.json: " +
		"verify it with \"mailvow certificate verify certificate.json\", or on the page /certificate of any Mailvow server, and compare the key with the one that the operator publishes.")
	return d.bytes()
}

// sheet is one PDF as it is drawn.
type sheet struct{ pdf *fpdf.Fpdf }

func newDocument(title string) *sheet {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin)
	pdf.SetCompression(false) // a few kilobytes, which any tool can search
	pdf.SetCatalogSort(true)
	pdf.SetTitle(title, true)
	pdf.SetLang("en")
	pdf.SetProducer("Mailvow", true)
	pdf.AddPage()
	pdf.SetFont("Helvetica", "B", 20)
	pdf.MultiCell(0, 10, latin(title), "", "L", false)
	pdf.Ln(4)
	return &sheet{pdf}
}

func (d *sheet) heading(text string) {
	d.pdf.Ln(4)
	d.pdf.SetFont("Helvetica", "B", 12)
	d.pdf.MultiCell(0, 8, latin(text), "", "L", false)
}

// row draws a name and beside it a text, each in as many lines as it needs.
func (d *sheet) row(name, text string) {
	_, high := d.pdf.GetPageSize()
	if d.pdf.GetY() > high-margin-4*line {
		d.pdf.AddPage()
	}
	top := d.pdf.GetY()
	d.pdf.SetFont("Helvetica", "B", 10)
	d.pdf.MultiCell(left, line, latin(name), "", "L", false)
	below := d.pdf.GetY()
	page := d.pdf.PageNo()
	d.pdf.SetXY(margin+left+3, top)
	d.pdf.SetFont("Helvetica", "", 10)
	d.pdf.MultiCell(0, line, latin(text), "", "L", false)
	if d.pdf.PageNo() == page {
		d.pdf.SetY(max(below, d.pdf.GetY()) + 1)
	}
}

func (d *sheet) note(text string) {
	d.pdf.Ln(6)
	d.pdf.SetFont("Helvetica", "I", 9)
	d.pdf.MultiCell(0, 4.6, latin(text), "", "L", false)
}

func (d *sheet) bytes() ([]byte, error) {
	var out bytes.Buffer
	err := d.pdf.Output(&out)
	return out.Bytes(), fault.Wrap(err, "draw a document")
}

// latin gives the text in the encoding of the PDF's own fonts. What they do not
// have is named by its number, never left out: the attached file has it.
func latin(s string) string {
	var b strings.Builder
	for _, r := range s {
		if c, ok := charmap.Windows1252.EncodeRune(r); ok {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}
