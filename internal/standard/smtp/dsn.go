package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/fault"
)

const xtextDigits = "0123456789ABCDEF"

// EncodeXtext writes s as xtext (RFC 3461 section 4).
func EncodeXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < '!' || c > '~' || c == '+' || c == '=' {
			b.Write([]byte{'+', xtextDigits[c>>4], xtextDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DecodeXtext reads xtext. It refuses what decodes to anything but printable
// ASCII, because a DSN could not hold it (RFC 3461 4.2 and 4.4).
func DecodeXtext(s string) (string, error) {
	decoded, err := decodeXtext(s)
	if err == nil && !ascii([]byte(decoded)) {
		return "", fault.Field(BlameParameter, "The value holds characters beyond ASCII, which xtext may not (RFC 3461 section 4).")
	}
	return decoded, err
}

// decodeXtext takes octets beyond ASCII too, which an address in AUTH= may have.
func decodeXtext(s string) (string, error) {
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
			hi, lo := strings.IndexByte(xtextDigits, s[i+1]), strings.IndexByte(xtextDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", bad
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		}
	}
	if !printable(b.String()) {
		return "", bad
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

// parseORcpt reads ORCPT: addr-type;xtext (RFC 3461 4.2), and gives it with the
// address decoded. The type utf-8 has an encoding of its own, and may hold UTF-8
// itself where SMTPUTF8 was asked for (RFC 6533 section 3).
func parseORcpt(value string, mayUTF8 bool) (string, error) {
	bad := fault.Field(BlameParameter, "ORCPT has the form rfc822;address in xtext, at most 500 characters.")
	kind, text, ok := strings.Cut(value, ";")
	if !ok || text == "" || len(value) > maxORcpt || !keywordOK(strings.ToUpper(kind)) {
		return "", bad
	}
	decode := DecodeXtext
	if strings.EqualFold(kind, "utf-8") {
		decode = decodeEmbedded
		if !mayUTF8 && !ascii([]byte(text)) {
			return "", bad
		}
	}
	address, err := decode(text)
	if err != nil {
		return "", bad
	}
	return kind + ";" + address, nil
}

// decodeEmbedded reads utf-8-addr-xtext and utf-8-addr-unitext: UTF-8 with
// \x{HEX} for what cannot stand there (RFC 6533 section 3).
func decodeEmbedded(s string) (string, error) {
	bad := fault.Field(BlameParameter, "The value is no UTF-8 address (RFC 6533 section 3).")
	var b strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !found {
			break
		}
		hex, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !closed || err != nil || len(hex) > 6 || n > utf8.MaxRune {
			return "", bad
		}
		b.WriteRune(rune(n))
		s = after
	}
	if decoded := b.String(); utf8.ValidString(decoded) && printable(decoded) {
		return decoded, nil
	}
	return "", bad
}

// printable reports that no control character would end a header line early
// where the value is written into a DSN.
func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return false
		}
	}
	return true
}
