package message

import (
	"bytes"
)

// coding is a Content-Transfer-Encoding that this package undoes.
type coding uint8

const (
	codingNone coding = iota
	codingBase64
	codingQP
	codingUU
)

// codingOf maps the header's value to a coding. known is false for a name that
// no standard gives; such a body stays as it is.
func codingOf(name string) (c coding, known bool) {
	switch name {
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit":
		return codingNone, true
	case "base64", "base-64":
		return codingBase64, true
	case "quoted-printable", "quotedprintable", "quoted_printable":
		return codingQP, true
	case "x-uuencode", "uuencode", "x-uue", "x-uu":
		return codingUU, true
	}
	return codingNone, false
}

func decodes(name string) bool {
	c, _ := codingOf(name)
	return c != codingNone
}

// decoder undoes one coding over a stream. It is a value: a copy of it and the
// position in the source are a place to start again from.
type decoder struct {
	coding coding
	acc    uint32 // base64: bits gathered
	count  uint8  // base64: characters gathered
	done   bool   // base64 padding or the uuencode end was seen
	dirty  bool   // base64: characters outside the alphabet were seen
	begun  bool   // uuencode: the begin line was seen
	skip   bool   // uuencode: within a line that is too long to be one
}

// next decodes from src to dst. It consumes ns and gives nd bytes. last says
// that src will not grow: it is the end, or all that the buffer can hold. dst
// must have room for minRoom bytes.
func (d *decoder) next(dst, src []byte, last bool) (nd, ns int) {
	switch d.coding {
	case codingBase64:
		return d.base64(dst, src, last)
	case codingQP:
		return d.qp(dst, src, last)
	case codingUU:
		return d.uu(dst, src, last)
	case codingNone:
		n := copy(dst, src)
		return n, n
	}
	return 0, len(src)
}

// minRoom is more than one step of any coding gives: a uuencoded line has at
// most 63 bytes.
const minRoom = 64

// base64 skips what is outside the alphabet (RFC 2045 6.8) and ends at padding,
// so that a footer behind it is not taken for data.
func (d *decoder) base64(dst, src []byte, last bool) (nd, ns int) {
	if d.done {
		return 0, len(src)
	}
	for ns < len(src) && len(dst)-nd >= 3 {
		c := src[ns]
		ns++
		if c == '=' && d.count >= 2 {
			nd += d.tail(dst[nd:])
			d.done = true
			return nd, len(src)
		}
		v := base64Value[c]
		if v >= 64 {
			d.dirty = d.dirty || !isBreak(c)
			continue
		}
		d.acc = d.acc<<6 | uint32(v)
		d.count++
		if d.count == 4 {
			dst[nd], dst[nd+1], dst[nd+2] = byte(d.acc>>16), byte(d.acc>>8), byte(d.acc)
			nd += 3
			d.acc, d.count = 0, 0
		}
	}
	// An end without padding is taken (many senders write so), but not behind
	// characters that are no base64: there it is the rest of some other text.
	if last && ns == len(src) && len(dst)-nd >= 3 && !d.dirty {
		nd += d.tail(dst[nd:])
	}
	return nd, ns
}

// tail gives the bytes of an unfinished quantum.
func (d *decoder) tail(dst []byte) (n int) {
	switch d.count {
	case 2:
		dst[0], n = byte(d.acc>>4), 1
	case 3:
		dst[0], dst[1], n = byte(d.acc>>10), byte(d.acc>>2), 2
	}
	d.acc, d.count = 0, 0
	return n
}

// qp undoes quoted-printable (RFC 2045 6.7). White space before a line end was
// added on the way and goes; an = that begins nothing known stays as it is.
func (d *decoder) qp(dst, src []byte, last bool) (nd, ns int) {
	for ns < len(src) && nd < len(dst) {
		switch c := src[ns]; c {
		case '=':
			n, out, ok := qpEscape(src[ns:], last)
			if !ok {
				return nd, ns
			}
			if out >= 0 {
				dst[nd] = byte(out)
				nd++
			}
			ns += n
		case ' ', '\t':
			run := len(src[ns:]) - len(bytes.TrimLeft(src[ns:], " \t"))
			switch {
			case ns+run == len(src) && !last:
				return nd, ns
			case ns+run < len(src) && (src[ns+run] == '\r' || src[ns+run] == '\n'):
				ns += run
			default:
				n := copy(dst[nd:], src[ns:ns+run])
				nd += n
				ns += n
			}
		case '\r', '\n':
			n := lineEnd(src[ns:], last)
			if n == 0 || len(dst)-nd < 2 {
				return nd, ns
			}
			dst[nd], dst[nd+1] = '\r', '\n'
			nd += 2
			ns += n
		default:
			dst[nd] = c
			nd++
			ns++
		}
	}
	return nd, ns
}

// lineEnd gives the length of the line end at the start of src, or 0 if more
// must be seen. Whatever it is, it stands for the CRLF of the canonical form
// (RFC 2045 6.7 rule 4).
func lineEnd(src []byte, last bool) int {
	switch {
	case src[0] == '\n':
		return 1
	case len(src) == 1 && !last:
		return 0
	case len(src) > 1 && src[1] == '\n':
		return 2
	case len(src) == 2 && src[1] == '\r' && !last:
		return 0
	case len(src) > 2 && src[1] == '\r' && src[2] == '\n':
		return 3
	}
	return 1
}

// qpEscape reads what stands at an =. out is the octet, or -1 for a soft line
// break. ok is false if more of the source must be seen.
func qpEscape(src []byte, last bool) (n, out int, ok bool) {
	if len(src) >= 3 && unhex(src[1]) >= 0 && unhex(src[2]) >= 0 {
		return 3, unhex(src[1])<<4 | unhex(src[2]), true
	}
	i := 1
	for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
		i++
	}
	switch {
	case i+1 >= len(src) && !last:
		return 0, 0, false
	case i == len(src):
		return i, -1, true // the body ends in a soft line break
	case src[i] == '\n':
		return i + 1, -1, true
	case src[i] == '\r' && i+1 < len(src) && src[i+1] == '\n':
		return i + 2, -1, true
	case src[i] == '\r':
		return i + 1, -1, true
	}
	return 1, '=', true
}

// maxUULine is longer than any line of uuencoded data: one octet of length and
// 84 of data, with some slack for what gateways append.
const maxUULine = 200

// uu undoes uuencode line by line, from the begin line on.
func (d *decoder) uu(dst, src []byte, last bool) (nd, ns int) {
	for ns < len(src) && len(dst)-nd >= minRoom {
		rest := src[ns:]
		eol := bytes.IndexAny(rest[:min(len(rest), maxUULine)], "\r\n")
		switch {
		case eol < 0 && len(rest) >= maxUULine:
			d.skip = true
			ns += maxUULine
			continue
		case eol < 0 && !last:
			return nd, ns
		case eol < 0:
			eol = len(rest)
		}
		if !d.skip {
			nd += d.uuLine(dst[nd:], rest[:eol])
		}
		d.skip = false
		ns += min(eol+1, len(rest))
	}
	return nd, ns
}

func (d *decoder) uuLine(dst, l []byte) (n int) {
	switch {
	case d.done || len(l) == 0:
		return 0
	case !d.begun:
		_, d.begun = uuBegin(l)
		return 0
	case string(bytes.TrimRight(l, " \t")) == "end":
		d.done = true
		return 0
	}
	want := int(l[0]-' ') & 0x3f
	l = l[1:]
	for i := 0; n < want; i += 4 {
		var q [4]uint32
		for k := range q {
			if i+k < len(l) { // trailing spaces are lost on the way; they mean zero
				q[k] = uint32(l[i+k]-' ') & 0x3f
			}
		}
		v := q[0]<<18 | q[1]<<12 | q[2]<<6 | q[3]
		for _, b := range [3]byte{byte(v >> 16), byte(v >> 8), byte(v)} {
			if n < want {
				dst[n] = b
				n++
			}
		}
	}
	return n
}

// uuBegin reads "begin 644 name".
func uuBegin(l []byte) (name string, ok bool) {
	rest, ok := bytes.CutPrefix(l, []byte("begin "))
	if !ok {
		return "", false
	}
	mode, file, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(mode) < 3 || len(mode) > 4 {
		return "", false
	}
	for _, c := range mode {
		if c < '0' || c > '7' {
			return "", false
		}
	}
	file = bytes.TrimSpace(file)
	return string(file), len(file) > 0
}

// uuData reports whether a line may be uuencoded data.
func uuData(l []byte) bool {
	if len(l) == 0 || l[0] < ' ' || l[0] > '`' {
		return false
	}
	want := (int(l[0]-' ')&0x3f + 2) / 3 * 4
	if len(l)-1 > want+4 {
		return false
	}
	for _, c := range l {
		if c < ' ' || c > '`' {
			return false
		}
	}
	return true
}
