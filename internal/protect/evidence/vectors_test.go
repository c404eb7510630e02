package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"mailvow/internal/base/ids"
)

var update = flag.Bool("update", false, "write the vectors into docs/formats")

const docs = "../../../docs/formats/"

// TestVectors makes what the format pages show, and compares. What changes here
// changes what certificates out in the world mean: add a version instead.
func TestVectors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	salt, err := NewSalt(&stream{seed: "salt"})
	if err != nil {
		t.Fatal(err)
	}
	var leaves bytes.Buffer
	var erasure ids.Leaf
	for _, l := range oneOfEach(t) {
		data, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		leaves.Write(append(data, '\n'))
		if err := b.stage.Stage(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if l.Body.Kind() == KindErasure {
			erasure = l.ID
		}
	}
	b.integrate()
	cp, err := b.log.Reader().Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	export, _ := b.export()
	cert, err := b.log.Certify(t.Context(), erasure, &salt)
	if err != nil {
		t.Fatal(err)
	}
	file, err := cert.JSON()
	if err != nil {
		t.Fatal(err)
	}
	ada := mustAddress(t, "Ada.Lovelace@Example.COM")
	subject, err := json.MarshalIndent(map[string]any{
		"address": ada.Text(), "canonical": ada.Canonical(), "salt": base64.StdEncoding.EncodeToString(salt[:]),
		"subject": HashSubject(salt, ada),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	vector(t, "evidence.md", "leaves", leaves.String())
	vector(t, "evidence.md", "subject", string(subject)+"\n")
	vector(t, "evidence.md", "checkpoint", fmt.Sprintf("private key: %s\npublic key:  %s\n\n%s", privateKey(t, b), b.ring.Keys()[0], cp.Text))
	vector(t, "evidence.md", "export", export)
	vector(t, "certificate.md", "certificate", string(file))
}

func privateKey(t *testing.T, b *bench) string {
	t.Helper()
	data, err := b.disk.read("/keys/0001.key")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// TestPagesVerify takes the vectors from the pages as a reader would.
func TestPagesVerify(t *testing.T) {
	t.Parallel()
	ada := mustAddress(t, "ada.lovelace@example.com")
	_, public, _ := strings.Cut(shown(t, "evidence.md", "checkpoint"), "public key:  ")
	public, _, _ = strings.Cut(public, "\n")
	key, err := ParseKey(public)
	if err != nil {
		t.Fatal(err)
	}
	report, err := VerifyCertificate([]byte(shown(t, "certificate.md", "certificate")), CertificateCheck{Trusted: []Key{key}, Address: &ada})
	if err != nil || !report.SubjectMatches || !report.KeyTrusted {
		t.Fatal(report, err)
	}
	log, err := VerifyExport(strings.NewReader(shown(t, "evidence.md", "export")), LogCheck{Trusted: []Key{key}})
	if err != nil || log.Size != 9 {
		t.Fatal(log, err)
	}
}

// vector compares a block of a page with what the program makes.
func vector(t *testing.T, page, name, want string) {
	t.Helper()
	if *update {
		text, err := os.ReadFile(docs + page)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(string(text), "```vector "+name+"\n")
		_, after, closed := strings.Cut(rest, "```\n")
		if !ok || !closed {
			t.Fatalf("%s has no vector %s", page, name)
		}
		if err := os.WriteFile(docs+page, []byte(before+"```vector "+name+"\n"+want+"```\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := shown(t, page, name); got != want {
		t.Errorf("%s shows for %s:\n%s\nthe program makes:\n%s", page, name, got, want)
	}
}

func shown(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(docs + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```vector "+name+"\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatalf("%s has no vector %s", page, name)
	}
	return block
}
