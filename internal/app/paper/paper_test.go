package paper

import (
	"bytes"
	"compress/zlib"
	"io"
	"os"
	"strings"
	"testing"

	"mailvow/internal/protect/evidence"
)

// vector is the certificate of the format's own page.
func vector(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../docs/formats/certificate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```vector certificate\n")
	file, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no vector")
	}
	return []byte(file)
}

// TestCertificate: the sheet says what was verified, and the file in it is the
// one it was drawn from.
func TestCertificate(t *testing.T) {
	t.Parallel()
	data := vector(t)
	report, err := evidence.VerifyCertificate(data, evidence.CertificateCheck{})
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := Certificate(report, data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-1.")) || !bytes.HasSuffix(bytes.TrimSpace(pdf), []byte("%%EOF")) {
		t.Fatal("this is no PDF")
	}
	for _, want := range []string{"Certificate of erasure", "queue content", "3 erased", "\xa7 147 AO", report.Certificate.String(), "entry 4 of 9", "proves nothing by itself"} {
		if !bytes.Contains(pdf, []byte(want)) {
			t.Errorf("the sheet does not say %q", want)
		}
	}
	if _, err := evidence.VerifyCertificate(attached(t, pdf), evidence.CertificateCheck{}); err != nil {
		t.Errorf("what is attached does not verify: %v", err)
	}
	again, err := Certificate(report, data)
	if err != nil || !bytes.Equal(pdf, again) {
		t.Error("drawn again it is another file")
	}
}

// attached gives the one compressed stream of the PDF.
func attached(t *testing.T, pdf []byte) []byte {
	t.Helper()
	for at := 0; ; {
		next := bytes.Index(pdf[at:], []byte("stream\n"))
		if next < 0 {
			t.Fatal("nothing is attached")
		}
		at += next + len("stream\n")
		if r, err := zlib.NewReader(bytes.NewReader(pdf[at:])); err == nil {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

// TestManyCategories goes over the end of the page.
func TestManyCategories(t *testing.T) {
	t.Parallel()
	r := evidence.CertificateReport{Reason: "art17", Policy: "1"}
	for range 120 {
		r.Categories = append(r.Categories, evidence.Counted{Category: strings.Repeat("long name ", 8), Erased: 1, Kept: 1, Why: strings.Repeat("a reason of many words ", 10)})
	}
	pdf, err := Certificate(r, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(pdf, []byte("/Type /Page\n")); n < 3 {
		t.Errorf("%d pages", n)
	}
	if n := bytes.Count(pdf, []byte("1 erased")); n != 120 {
		t.Errorf("%d of 120 categories", n)
	}
}

func TestLatin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"plain": "plain", "§ 147 €": "\xa7 147 \x80", "Łódź": "<U+0141>\xf3d<U+017A>", "数": "<U+6570>", "(a\\b)": "(a\\b)"} {
		if got := latin(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
