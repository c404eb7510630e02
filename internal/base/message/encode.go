package message

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/fault"
)

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// crlf gives every line end its canonical form.
func crlf(s string) string {
	if strings.Count(s, "\n") == strings.Count(s, "\r\n") && strings.Count(s, "\r") == strings.Count(s, "\r\n") {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// chooseEncoding takes 7bit where the text allows it, else the shorter of
// quoted-printable and base64.
func (e *Entity) chooseEncoding(root bool) error {
	if e.Content != nil {
		e.encoding = "base64"
		if e.Type.Major() == "message" {
			// RFC 2046 5.2.1 allows an enclosed message no encoding.
			var err error
			e.encoding, err = identityOf(e.Content)
			return err
		}
		return nil
	}
	e.text = crlf(e.Text)
	// A message ends with a line end; SMTP would add it (RFC 5321 4.1.1.4).
	if root && e.text != "" && !strings.HasSuffix(e.text, "\r\n") {
		e.text += "\r\n"
	}
	escapes, longest := measure(e.text)
	switch {
	case escapes == 0 && longest <= 998:
		e.encoding = "7bit"
	case e.Type.Major() == "message" && longest <= 998:
		e.encoding = "8bit"
	case escapes*6 > len(e.text):
		e.encoding = "base64"
	default:
		e.encoding = "quoted-printable"
	}
	return nil
}

// measure counts octets that 7bit cannot carry, and the longest line.
func measure(s string) (escapes, longest int) {
	start := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			longest = max(longest, i-1-start)
			start = i + 1
		case c == '\t', c == '\r':
		case c < ' ' || c >= 0x7f:
			escapes++
		}
	}
	return escapes, max(longest, len(s)-start)
}

// identityOf tells whether an enclosed message needs 8bit. What cannot be read
// twice is taken as 8bit.
func identityOf(r io.Reader) (string, error) {
	s, ok := r.(io.Seeker)
	if !ok {
		return "8bit", nil
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", fault.Wrap(err, "measure enclosed message")
	}
	found := "7bit"
	buf := make([]byte, 16<<10)
	for found == "7bit" {
		n, err := r.Read(buf)
		if bytes.ContainsFunc(buf[:n], func(r rune) bool { return r >= utf8.RuneSelf }) {
			found = "8bit"
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fault.Wrap(err, "read enclosed message")
		}
	}
	if _, err = s.Seek(at, io.SeekStart); err != nil {
		return "", fault.Wrap(err, "rewind enclosed message")
	}
	return found, nil
}

// header gives the part's own fields.
func (e *Entity) header() (string, error) {
	h := &headerWriter{}
	ct := e.Type
	if e.boundary != "" {
		ct.Params = append(append([]Param(nil), ct.Params...), Param{"boundary", e.boundary})
	}
	if !isMediaType(ct.Value) {
		return "", fault.Field("body", "The content type must have the form type/subtype.")
	}
	h.params("Content-Type", "content_type", ct)
	if e.encoding != "" {
		h.raw("Content-Transfer-Encoding", e.encoding)
	}
	if e.Disposition.Value != "" {
		h.params("Content-Disposition", "filename", e.Disposition)
	}
	for _, f := range e.Headers {
		h.text(f.Name, "headers."+safeName(f.Name), f.Value)
	}
	return h.b.String(), h.err
}

func (e *Entity) write(w *countWriter) error {
	if e.boundary == "" {
		return e.writeLeaf(w)
	}
	for _, p := range e.Parts {
		h, err := p.header()
		if err != nil {
			return err
		}
		w.string("--" + e.boundary + "\r\n")
		w.string(h)
		w.string("\r\n")
		if err := p.write(w); err != nil {
			return err
		}
		w.string("\r\n")
	}
	w.string("--" + e.boundary + "--\r\n")
	return w.err
}

func (e *Entity) writeLeaf(w *countWriter) error {
	var content io.Reader = strings.NewReader(e.text)
	if e.Content != nil {
		content = e.Content
	}
	switch e.encoding {
	case "base64":
		lines := &lineWriter{w: w}
		enc := base64.NewEncoder(base64.StdEncoding, lines)
		if _, err := io.Copy(enc, content); err != nil {
			return fault.Wrap(err, "write attachment")
		}
		if err := enc.Close(); err != nil {
			return fault.Wrap(err, "write attachment")
		}
	case "quoted-printable":
		enc := quotedprintable.NewWriter(w)
		if _, err := io.Copy(enc, content); err != nil {
			return fault.Wrap(err, "write text")
		}
		if err := enc.Close(); err != nil {
			return fault.Wrap(err, "write text")
		}
	default:
		lines := &crlfWriter{w: w}
		if _, err := io.Copy(lines, content); err != nil {
			return fault.Wrap(err, "write lines")
		}
		if lines.cr {
			w.string("\n")
		}
	}
	return w.err
}

// countWriter counts and keeps the first error.
type countWriter struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (c *countWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}

func (c *countWriter) string(s string) { _, _ = io.WriteString(c, s) } // the error is kept in c.err

func (c *countWriter) flush() error {
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}

// lineWriter breaks base64 into lines of 76 (RFC 2045 6.8).
type lineWriter struct {
	w   *countWriter
	col int
}

func (l *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if l.col == 76 {
			l.w.string("\r\n")
			l.col = 0
		}
		n := min(76-l.col, len(rest))
		if _, err := l.w.Write(rest[:n]); err != nil {
			return 0, err
		}
		l.col += n
		rest = rest[n:]
	}
	return len(p), nil
}

// crlfWriter gives every line end its canonical form while bytes stream by.
type crlfWriter struct {
	w  *countWriter
	cr bool // a CR was written and its LF is due
}

func (l *crlfWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if l.cr {
			l.cr = false
			l.w.string("\n")
			if rest[0] == '\n' {
				rest = rest[1:]
				continue
			}
		}
		n := bytes.IndexAny(rest, "\r\n")
		if n < 0 {
			n = len(rest)
		}
		if _, err := l.w.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
		if len(rest) == 0 {
			break
		}
		l.w.string("\r")
		if rest[0] == '\n' {
			l.w.string("\n")
		} else {
			l.cr = true
		}
		rest = rest[1:]
	}
	return len(p), l.w.err
}
