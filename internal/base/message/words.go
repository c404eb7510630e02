package message

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DecodeText turns a header value into UTF-8 for people: encoded words (RFC
// 2047) are decoded wherever they stand, since many senders put them where the
// standard does not allow them; raw octets are taken as UTF-8 or else as
// windows-1252; control characters become spaces.
func DecodeText(s string) string {
	return tidy(decodeWords(s))
}

// decodeWords decodes encoded words and leaves control characters.
func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return rawText(s)
	}
	var b strings.Builder
	var run wordRun
	for len(s) > 0 {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		charset, octets, n := encodedWord(s[i:])
		if n == 0 {
			run.flush(&b)
			b.WriteString(rawText(s[:i+2]))
			s = s[i+2:]
			continue
		}
		// White space between two encoded words is not shown (RFC 2047 6.2).
		if !run.open || strings.Trim(s[:i], " \t\r\n") != "" {
			run.flush(&b)
			b.WriteString(rawText(s[:i]))
		}
		run.add(&b, charset, octets)
		s = s[i+n:]
	}
	run.flush(&b)
	b.WriteString(rawText(s))
	return b.String()
}

// wordRun joins the octets of adjacent words of one charset before decoding,
// because senders split multibyte characters between words.
type wordRun struct {
	open    bool
	charset string
	octets  strings.Builder
}

func (r *wordRun) add(b *strings.Builder, charset, octets string) {
	// ISO-2022 words start and end in ASCII (RFC 2047 3); each stands alone.
	if r.open && (!strings.EqualFold(charset, r.charset) || strings.HasPrefix(strings.ToLower(charset), "iso-2022")) {
		r.flush(b)
	}
	r.open, r.charset = true, charset
	r.octets.WriteString(octets)
}

func (r *wordRun) flush(b *strings.Builder) {
	if r.open {
		b.WriteString(decodeCharset(r.charset, r.octets.String()))
	}
	r.open = false
	r.octets.Reset()
}

// maxCharsetName bounds the name of a charset in an encoded word.
const maxCharsetName = 64

// maxEncodedText bounds the text of an encoded word, so that a header full of
// beginnings without an end costs no square of its length.
const maxEncodedText = 16 << 10

// encodedWord reads =?charset?encoding?text?= at the start of s. n is its
// length, 0 if there is none.
func encodedWord(s string) (charset, octets string, n int) {
	rest := s[2:]
	q := strings.IndexByte(rest, '?')
	if q <= 0 || q > maxCharsetName || strings.ContainsAny(rest[:q], " \t=\"") || len(rest) < q+3 || rest[q+2] != '?' {
		return "", "", 0
	}
	charset, _, _ = strings.Cut(rest[:q], "*") // RFC 2231 5: charset*language
	encoding := rest[q+1]
	text := rest[q+3:]
	end := strings.Index(text[:min(len(text), maxEncodedText)], "?=")
	if end < 0 {
		return "", "", 0
	}
	n = 2 + q + 3 + end + 2
	text = text[:end]
	switch encoding {
	case 'B', 'b':
		octets = wordBase64(text)
	case 'Q', 'q':
		octets = wordQ(text)
	default:
		return "", "", 0
	}
	return charset, octets, n
}

func wordBase64(s string) string {
	clean := make([]byte, 0, len(s))
	for i := range len(s) {
		if base64Value[s[i]] < 64 {
			clean = append(clean, s[i])
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, clean) // the alphabet was checked; a partial result is what we want
	return string(out[:n])
}

func wordQ(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '_':
			b.WriteByte(' ')
		case s[i] == '=' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// rawText takes octets as UTF-8, or as windows-1252 where they are not.
func rawText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return decodeCharset("", s)
}

// tidy keeps decoded text on one line: an encoded word may hold CR and LF.
func tidy(s string) string {
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return ' '
		}
		return r
	}, s)
}
