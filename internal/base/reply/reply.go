// Package reply is the answer of an SMTP server: code, enhanced code, text
// (RFC 5321 4.2, RFC 3463, RFC 2034). It reads a peer's answer leniently and
// writes our own exactly. What an answer means for a recipient is left to
// flow/outcome.
package reply

import (
	"fmt"
	"strconv"
	"strings"
)

// Enhanced is a status code of RFC 3463: class, subject, detail. The zero value
// means that the peer gave none.
type Enhanced [3]uint16

// String gives the dotted form, or "" for the zero value.
func (e Enhanced) String() string {
	if e == (Enhanced{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// append writes the dotted form and a space; nothing for the zero value.
func (e Enhanced) append(dst []byte) []byte {
	if e == (Enhanced{}) {
		return dst
	}
	for i, n := range e {
		dst = strconv.AppendUint(dst, uint64(n), 10)
		dst = append(dst, ".. "[i])
	}
	return dst
}

// ParseEnhanced reads the dotted form; ok is false for anything else.
func ParseEnhanced(s string) (e Enhanced, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Enhanced{}, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 3 {
			return Enhanced{}, false
		}
		e[i] = uint16(n)
	}
	if e[0] != 2 && e[0] != 4 && e[0] != 5 {
		return Enhanced{}, false
	}
	return e, true
}

// Reply is one answer. Text may have several lines, separated by \n.
type Reply struct {
	Code     int
	Enhanced Enhanced
	Text     string
}

// New makes a reply of our own, the enhanced code in its dotted form.
func New(code int, enhanced, text string) Reply {
	e, _ := ParseEnhanced(enhanced)
	return Reply{Code: code, Enhanced: e, Text: text}
}

// Positive, Temporary and Permanent are the classes of RFC 5321 4.2.1.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// Temporary reports a 4yz answer.
func (r Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent reports a 5yz answer.
func (r Reply) Permanent() bool { return r.Code >= 500 && r.Code < 600 }

// String is the answer on one line, for history and DSNs: 550 5.1.1 no such user.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code)
	if e := r.Enhanced.String(); e != "" {
		s += " " + e
	}
	if r.Text != "" {
		s += " " + strings.ReplaceAll(r.Text, "\n", " ")
	}
	return s
}

// Append writes the answer as it goes over the wire, every line with code and
// enhanced code, ended by CRLF. Control characters become spaces, so that no
// text can end a line early.
func (r Reply) Append(dst []byte) []byte {
	for more, rest := true, r.Text; more; {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		dst = strconv.AppendInt(dst, int64(r.Code), 10)
		if more {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		dst = r.Enhanced.append(dst)
		for j := range len(line) {
			if c := line[j]; c < ' ' || c == 0x7f {
				dst = append(dst, ' ')
			} else {
				dst = append(dst, c)
			}
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// Parse reads the lines of one answer, without their line ends, as a peer sent
// them. A line without a code, or with another than the first, is an error.
func Parse(lines []string) (Reply, error) {
	var r Reply
	for i, line := range lines {
		code, rest, err := splitCode(line)
		if err != nil {
			return Reply{}, err
		}
		if i == 0 {
			r.Code = code
		} else if code != r.Code {
			return Reply{}, fmt.Errorf("reply changes its code from %d to %d", r.Code, code)
		}
		word, tail, _ := strings.Cut(rest, " ")
		if e, ok := ParseEnhanced(word); ok && int(e[0]) == code/100 {
			r.Enhanced, rest = e, tail
		}
		if i > 0 {
			r.Text += "\n"
		}
		r.Text += rest
	}
	if len(lines) == 0 {
		return Reply{}, fmt.Errorf("reply has no line")
	}
	return r, nil
}

func splitCode(line string) (int, string, error) {
	if len(line) < 3 {
		return 0, "", fmt.Errorf("reply line %.60q is too short", line)
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", fmt.Errorf("reply line %.60q has no code", line)
	}
	rest := line[3:]
	if rest != "" && (rest[0] == ' ' || rest[0] == '-') {
		rest = rest[1:]
	}
	return code, rest, nil
}
