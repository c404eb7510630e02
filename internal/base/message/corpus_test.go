package message_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailvow/internal/base/message"
	"mailvow/internal/lab"
)

// checkTree holds what every tree promises, whatever the message.
func checkTree(t testing.TB, m *message.Message) {
	t.Helper()
	m.Walk(func(p *message.Part) bool {
		h := p.Header
		if h.Start > h.End || h.End > h.Body || h.Body > p.Body.Start || p.Body.Start > p.Body.End || p.Lines < 0 {
			t.Errorf("part %s: offsets out of order: header %d %d %d, body %v, lines %d", p.Section(), h.Start, h.End, h.Body, p.Body, p.Lines)
		}
		if p.Layer == 0 && p.Body.End > m.Size {
			t.Errorf("part %s ends at %d behind the message's %d", p.Section(), p.Body.End, m.Size)
		}
		at := p.Body.Start
		for _, c := range p.Children {
			if c.Parent != p {
				t.Errorf("part %s has the wrong parent", c.Section())
			}
			if c.Layer != p.Layer {
				continue
			}
			if c.Header.Start < at || c.Body.End > p.Body.End {
				t.Errorf("part %s: %d to %d is not within its parent's %d to %d", c.Section(), c.Header.Start, c.Body.End, at, p.Body.End)
			}
			at = c.Body.End
		}
		if raw := readAll(t, p.Raw()); int64(len(raw)) != p.Size() {
			t.Errorf("part %s: %d raw bytes, size %d", p.Section(), len(raw), p.Size())
		} else if p.Layer == 0 && countLines(raw) != p.Lines {
			t.Errorf("part %s: %d line ends, Lines says %d", p.Section(), countLines(raw), p.Lines)
		}
		for _, f := range h.Fields {
			if !bytes.Contains(f.Raw(), []byte(":")) || f.Name() == "" || strings.ContainsAny(f.Text(), "\r\n\x00") {
				t.Errorf("part %s: field %q gives %q", p.Section(), f.Raw(), f.Text())
			}
		}
		return true
	})
}

// countLines counts line ends as the package does: CRLF, LF, CR, CRCRLF.
func countLines(b []byte) (n int) {
	for i := 0; i < len(b); i++ {
		switch {
		case bytes.HasPrefix(b[i:], []byte("\r\r\n")):
			i += 2
		case bytes.HasPrefix(b[i:], []byte("\r\n")):
			i++
		case b[i] != '\n' && b[i] != '\r':
			continue
		}
		n++
	}
	return n
}

// exercise calls every accessor.
func exercise(t testing.TB, m *message.Message) {
	t.Helper()
	checkTree(t, m)
	if _, err := m.View(1 << 20); err != nil {
		t.Fatal(err)
	}
	m.Walk(func(p *message.Part) bool {
		_, _, _, _ = p.Filename(), p.ContentID(), p.Section(), p.Disposition()
		if p.IsLeaf() {
			if text := readAll(t, p.Text()); strings.ToValidUTF8(string(text), "") != string(text) {
				t.Errorf("part %s: the text is not UTF-8", p.Section())
			}
		}
		return true
	})
}

// suiteFiles are all messages of the mime suite.
func suiteFiles(t testing.TB) []string {
	t.Helper()
	root := lab.Suite(t, "mime")
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		dir, ext := filepath.Base(filepath.Dir(path)), filepath.Ext(path)
		if ext == ".msg" || ext == ".raw" || ext == ".golden" || dir == "python-test-email" || dir == "test-1" {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEveryMessageOfTheSuiteParses(t *testing.T) {
	t.Parallel()
	files := suiteFiles(t)
	if len(files) < 240 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		raw := readFile(t, file)
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			m := parse(t, raw)
			exercise(t, m)
			sameHeader(t, raw, m)
		})
	}
	t.Logf("%d messages parsed", len(files))
}

// sameHeader holds that ParseHeader sees what Parse sees.
func sameHeader(t testing.TB, raw []byte, m *message.Message) {
	t.Helper()
	h, err := message.ParseHeader(bytes.NewReader(raw), int64(len(raw)), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := m.Header()
	if len(h.Fields) != len(all.Fields) || h.Start != all.Start || h.End != all.End || h.Body != all.Body {
		t.Errorf("ParseHeader: %d fields, %d %d %d; Parse: %d fields, %d %d %d", len(h.Fields), h.Start, h.End, h.Body, len(all.Fields), all.Start, all.End, all.Body)
	}
	for i := range h.Fields {
		if !bytes.Equal(h.Fields[i].Raw(), all.Fields[i].Raw()) || h.Fields[i].Offset != all.Fields[i].Offset {
			t.Errorf("field %d differs", i)
		}
	}
}

// TestRealMail runs over the 3,167 messages of the SpamAssassin corpus.
func TestRealMail(t *testing.T) {
	t.Parallel()
	n := 0
	defects := map[message.DefectKind]int{}
	eachSpamAssassin(t, func(name string, raw []byte) {
		n++
		m := parse(t, raw)
		exercise(t, m)
		sameHeader(t, raw, m)
		for _, d := range m.Defects {
			defects[d.Kind]++
		}
		if _, ok := m.Header().Get("From"); !ok && len(m.Header().Fields) < 3 {
			t.Errorf("%s: the header was not found", name)
		}
	})
	if n != 3167 {
		t.Errorf("%d messages, want 3167", n)
	}
	t.Logf("%d messages, defects %v", n, defects)
}

func eachSpamAssassin(t testing.TB, visit func(name string, raw []byte)) {
	t.Helper()
	f, err := os.Open(filepath.Join(lab.Suite(t, "spam-spamassassin"), "messages.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			visit(h.Name, readAll(t, r))
		}
	}
}
