package smtp

import (
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/fault"
)

const hexDigits = "0123456789ABCDEF"

// EncodeXtext writes s as xtext (RFC 3461 section 4).
func EncodeXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < '!' || c > '~' || c == '+' || c == '=' {
			b.Write([]byte{'+', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DecodeXtext reads xtext.
func DecodeXtext(s string) (string, error) {
	bad := fault.Field(BlameParameter, "The value is no xtext (RFC 3461 section 4).")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < '!' || c > '~' || c == '=':
			return "", bad
		case c != '+':
			b.WriteByte(c)
		default:
			if i+2 >= len(s) {
				return "", bad
			}
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", bad
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		}
	}
	return b.String(), nil
}

// ParseNotify reads the value of NOTIFY and gives it in capitals, in a fixed
// order (RFC 3461 4.1).
func ParseNotify(value string) (string, error) {
	bad := fault.Field(BlameParameter, "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY.")
	words := [...]string{"SUCCESS", "FAILURE", "DELAY"}
	var has [len(words)]bool
	if strings.EqualFold(value, "NEVER") {
		return "NEVER", nil
	}
next:
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		for i, w := range words {
			if w == word && !has[i] {
				has[i] = true
				continue next
			}
		}
		return "", bad
	}
	var kept []string
	for i, w := range words {
		if has[i] {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, ","), nil
}

// checkORcpt holds ORCPT to addr-type;xtext (RFC 3461 4.2). The type utf-8 may
// hold UTF-8 itself where SMTPUTF8 was asked for (RFC 6533 section 3).
func checkORcpt(value string, mayUTF8 bool) error {
	kind, text, ok := strings.Cut(value, ";")
	bad := !ok || text == "" || len(value) > maxORcpt || !keywordOK(strings.ToUpper(kind))
	if strings.EqualFold(kind, "utf-8") {
		bad = bad || !utf8.ValidString(text) || !mayUTF8 && !ascii([]byte(text))
	} else if _, err := DecodeXtext(text); err != nil {
		bad = true
	}
	if bad {
		return fault.Field(BlameParameter, "ORCPT has the form rfc822;address in xtext, at most 500 characters.")
	}
	return nil
}
