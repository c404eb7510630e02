package dkim

import (
	"bytes"
	"io"
)

// relaxHeader appends the relaxed form of one header field, CRLF included
// (RFC 6376 3.4.2): the name in lower case, the value unfolded, its white space
// brought to single spaces. field is the field as it stands in the message.
func relaxHeader(dst, field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	dst = append(dst, bytes.ToLower(bytes.TrimRight(name, " \t"))...)
	dst = append(dst, ':')
	start, space := len(dst), false
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			space = true
		default:
			if space && len(dst) > start {
				dst = append(dst, ' ')
			}
			space = false
			dst = append(dst, c)
		}
	}
	return append(dst, '\r', '\n')
}

// relaxedBody is a Writer that hands the relaxed form of a body to w (RFC 6376
// 3.4.4): white space at line ends dropped, elsewhere one space, empty lines at
// the end dropped. It keeps a bounded amount whatever the body holds.
type relaxedBody struct {
	w      io.Writer
	out    []byte
	empty  int  // empty lines held back, in case the body ends with them
	inLine bool // something of this line was written
	space  bool
	cr     bool
}

const outSize = 8 << 10

func (b *relaxedBody) Write(p []byte) (int, error) {
	for _, c := range p {
		if b.cr {
			b.cr = false
			if c == '\n' {
				if err := b.endLine(); err != nil {
					return 0, err
				}
				continue
			}
			if err := b.put('\r'); err != nil { // a bare CR is an ordinary octet
				return 0, err
			}
		}
		switch c {
		case '\r':
			b.cr = true
		case ' ', '\t':
			b.space = true
		default:
			if err := b.put(c); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// put writes what was held back and then c.
func (b *relaxedBody) put(c byte) error {
	for ; b.empty > 0; b.empty-- {
		b.out = append(b.out, '\r', '\n')
		if err := b.spill(); err != nil {
			return err
		}
	}
	if b.space {
		b.out = append(b.out, ' ')
	}
	b.space, b.inLine = false, true
	b.out = append(b.out, c)
	return b.spill()
}

func (b *relaxedBody) endLine() error {
	b.space = false
	if !b.inLine {
		b.empty++
		return nil
	}
	b.inLine = false
	b.out = append(b.out, '\r', '\n')
	return b.spill()
}

func (b *relaxedBody) spill() error {
	if len(b.out) < outSize {
		return nil
	}
	return b.flush()
}

func (b *relaxedBody) flush() error {
	_, err := b.w.Write(b.out)
	b.out = b.out[:0]
	return err
}

// Close ends the body; a last line without CRLF gets one.
func (b *relaxedBody) Close() error {
	if b.cr {
		b.cr = false
		if err := b.put('\r'); err != nil {
			return err
		}
	}
	if b.inLine {
		if err := b.endLine(); err != nil {
			return err
		}
	}
	return b.flush()
}
