package smtpserver_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailvow/internal/door/smtpserver"
	"mailvow/internal/lab"
)

// TestRealMailArrivesIdentical sends every file of the suites of real mail with
// CRLF line ends: what has a bare CR or a NUL is refused by name, all else
// arrives octet by octet.
func TestRealMailArrivesIdentical(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"mime", "spam-spamassassin"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			st := open(t, func(c *smtpserver.Config, _ *house) {
				c.Limits = smtpserver.Limits{Messages: -1, Errors: -1, MessageRate: smtpserver.Rate{Count: -1}, MessageSize: 1 << 30}
			})
			c := st.client(t)
			c.want("220", c.hear())
			c.want("250", c.say("EHLO c.example"))
			sent, refused := 0, map[string]int{}
			for _, file := range files(t, lab.Suite(t, suite)) {
				message := lines2crlf(file)
				answer := c.submit(message)
				got := st.house.empty()
				switch stray := strays(message); {
				case stray == "" && (len(got) != 1 || got[0].body != string(message)):
					t.Fatalf("a message did not arrive as it was: %s", answer)
				case stray != "" && (len(got) != 0 || !bytes.Contains([]byte(answer), []byte(stray))):
					t.Fatalf("a message with a %s: %s", stray, answer)
				case stray != "":
					refused[stray]++
				}
				sent++
			}
			t.Logf("%d files, refused: %v", sent, refused)
			if sent == 0 {
				t.Error("no file")
			}
		})
	}
}

func files(t *testing.T, dir string) (all [][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(dir, "README.md") {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".tar.gz") {
			all = append(all, unpack(t, b)...)
			return err
		}
		all = append(all, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func unpack(t *testing.T, packed []byte) (all [][]byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
}

// lines2crlf gives every line its CRLF, the last one too.
func lines2crlf(b []byte) []byte {
	b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b, "\r\n"...)
	}
	return b
}

// strays names what must not be there.
func strays(b []byte) string {
	rest := bytes.ReplaceAll(b, []byte("\r\n"), nil)
	cr, nul := bytes.IndexByte(rest, '\r'), bytes.IndexByte(rest, 0)
	switch {
	case cr < 0 && nul < 0:
		return ""
	case cr < 0:
		return "NUL"
	case nul < 0:
		return "bare carriage return"
	}
	return "The message has a" // either, whichever the reader meets first
}

func (c *client) submit(message []byte) string {
	c.Helper()
	c.want("250", c.say("MAIL FROM:<a@a.example>"))
	c.want("250", c.say("RCPT TO:<b@b.example>"))
	c.want("354", c.say("DATA"))
	stuffed := bytes.ReplaceAll(message, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(stuffed, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	if _, err := fmt.Fprintf(c.Conn, "%s.\r\n", stuffed); err != nil {
		c.Fatal(err)
	}
	return c.hear()
}

// empty gives what was taken since it was last asked.
func (h *house) empty() []taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.taken
	h.taken = nil
	return all
}
