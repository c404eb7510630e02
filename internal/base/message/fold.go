package message

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
)

const (
	foldAt   = 78  // RFC 5322 2.1.1: lines should be no longer
	maxLine  = 998 // RFC 5322 2.1.1: lines must be no longer
	wordLine = 76  // RFC 2047 2: a line with an encoded word
	maxWord  = 75  // RFC 2047 2: an encoded word
)

// headerWriter writes fields; the first fault is kept and nothing follows it.
type headerWriter struct {
	b    strings.Builder
	utf8 bool
	err  error
}

func (h *headerWriter) fail(err error) {
	if h.err == nil {
		h.err = err
	}
}

// token is a run without break, and the white space before it, where the line
// may be folded.
type token struct{ sep, text string }

// fold writes one field. It never folds before the first token, so that no line
// holds the name alone.
func (h *headerWriter) fold(name, field string, tokens []token) {
	if h.err != nil {
		return
	}
	col := len(name) + 1
	h.b.WriteString(name + ":")
	for i, t := range tokens {
		width := len(t.sep) + len(t.text)
		if i > 0 && col+width > foldAt && t.sep != "" {
			h.b.WriteString("\r\n")
			col = 0
		}
		col += width
		if col > maxLine {
			h.fail(fault.Field(field, "A word of the header is longer than a line of mail may be."))
			return
		}
		h.b.WriteString(t.sep + t.text)
	}
	h.b.WriteString("\r\n")
}

// raw writes a value that needs no folding.
func (h *headerWriter) raw(name, value string) { h.fold(name, name, []token{{" ", value}}) }

// clean refuses what would end the line or the field.
func (h *headerWriter) clean(field, value string) bool {
	switch {
	case strings.ContainsAny(value, "\r\n\x00"):
		h.fail(fault.Field(field, "Line ends and NUL are not allowed in a header."))
	case !utf8.ValidString(value):
		h.fail(fault.Field(field, "The header is not valid UTF-8."))
	default:
		return h.err == nil
	}
	return false
}

// text writes an unstructured field (RFC 5322 3.6.5).
func (h *headerWriter) text(name, field, value string) {
	if !isFieldName([]byte(name)) || strings.Contains(name, ":") || len(name) > foldAt-2 {
		h.fail(fault.Field(field, "A header name has 1 to 76 printable ASCII characters and no colon or space."))
		return
	}
	if !h.clean(field, value) {
		return
	}
	if value == "" {
		h.fold(name, field, []token{{" ", ""}})
		return
	}
	if h.plain(value, maxLine-len(name)-2) {
		h.fold(name, field, split(value))
		return
	}
	h.fold(name, field, encodeWords(value, len(name)+2))
}

// plain reports text that may stand as it is: every word fits on a line, and no
// reader would change it.
func (h *headerWriter) plain(s string, limit int) bool {
	if strings.Contains(s, "=?") || strings.Trim(s, " \t") != s {
		return false
	}
	word := 0
	for i := range len(s) {
		c := s[i]
		word++
		if c == ' ' || c == '\t' {
			word = 0
		}
		if word > limit || c < ' ' && c != '\t' || c == 0x7f || c >= 0x80 && !h.utf8 {
			return false
		}
	}
	return !h.utf8 || strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 && r < 0xa0 }) < 0
}

// split cuts text before each run of white space, which stays as it is.
func split(s string) []token {
	tokens := make([]token, 0, 8)
	sep := " "
	for len(s) > 0 {
		n := strings.IndexAny(s, " \t")
		if n < 0 {
			n = len(s)
		}
		word := s[:n]
		s = s[n:]
		space := len(s) - len(strings.TrimLeft(s, " \t"))
		tokens = append(tokens, token{sep, word})
		sep, s = s[:space], s[space:]
	}
	return tokens
}

// encodeWords makes encoded words of UTF-8, cut between characters. used is what
// stands on the first line already.
func encodeWords(s string, used int) []token {
	encode, size := wordEncoderFor(s)
	var tokens []token
	for len(s) > 0 {
		room := maxWord
		if len(tokens) == 0 {
			room = max(min(maxWord, wordLine-used), 30)
		}
		n := 0
		for n < len(s) {
			_, w := utf8.DecodeRuneInString(s[n:])
			if n > 0 && size(s[:n+w]) > room {
				break
			}
			n += w
		}
		tokens = append(tokens, token{" ", encode(s[:n])})
		s = s[n:]
	}
	return tokens
}

// wordEncoderFor picks B or Q, whichever is shorter for the whole text.
func wordEncoderFor(s string) (encode func(string) string, size func(string) int) {
	const frame = len("=?utf-8?q??=")
	if len(wordQEncode(s)) <= base64.StdEncoding.EncodedLen(len(s)) {
		return func(s string) string { return "=?utf-8?q?" + wordQEncode(s) + "?=" },
			func(s string) int { return frame + len(wordQEncode(s)) }
	}
	return func(s string) string { return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?=" },
		func(s string) int { return frame + base64.StdEncoding.EncodedLen(len(s)) }
}

// wordQEncode lets pass only what RFC 2047 5 (3) allows everywhere.
func wordQEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b.WriteByte('_')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!*+-/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// mailboxes writes an address field; an empty list writes nothing.
func (h *headerWriter) mailboxes(name, field string, list []Mailbox) {
	if len(list) == 0 || h.err != nil {
		return
	}
	var tokens []token
	for i, m := range list {
		t := h.mailbox(field, m, len(name)+2)
		if h.err != nil {
			return
		}
		if i < len(list)-1 {
			t[len(t)-1].text += ","
		}
		tokens = append(tokens, t...)
	}
	h.fold(name, field, tokens)
}

func (h *headerWriter) mailbox(field string, m Mailbox, used int) []token {
	if !h.clean(field, m.Name) || !h.clean(field, m.Address) {
		return nil
	}
	a, err := address.Parse(m.Address)
	if err != nil {
		h.fail(fault.Field(field, "The header holds something that is no mail address."))
		return nil
	}
	if a.NeedsUTF8() && !h.utf8 {
		h.fail(fault.Field(field, "An address outside ASCII needs SMTPUTF8."))
		return nil
	}
	if m.Name == "" {
		return []token{{" ", a.Text()}}
	}
	return append(h.phrase(m.Name, used), token{" ", "<" + a.Text() + ">"})
}

// phrase writes a display name: atoms, a quoted string, or encoded words.
func (h *headerWriter) phrase(name string, used int) []token {
	if !h.plain(name, 200) || strings.Contains(name, "\t") {
		return encodeWords(name, used)
	}
	atoms := !strings.Contains(name, "  ")
	for _, r := range name {
		if r < 0x80 && r != ' ' && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~", r) {
			atoms = false
		}
	}
	if atoms {
		return split(name)
	}
	return split(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`)
}

// ids writes message identifiers, one token each.
func (h *headerWriter) ids(name, field string, ids []string) {
	if len(ids) == 0 {
		return
	}
	var tokens []token
	for _, id := range ids {
		id = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
		if !isMessageID(id, true) {
			h.fail(fault.Field(field, "A message id has the form left@right, without spaces or brackets."))
			return
		}
		tokens = append(tokens, token{" ", "<" + id + ">"})
	}
	h.fold(name, field, tokens)
}

// isMessageID reports RFC 5322 3.6.4 within reason.
func isMessageID(s string, at bool) bool {
	if s == "" || len(s) > 900 || at && (strings.Count(s, "@") != 1 || s[0] == '@' || s[len(s)-1] == '@') {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// params writes a value with parameters.
func (h *headerWriter) params(name, field string, ct ContentType) {
	if !h.clean(field, ct.Value) {
		return
	}
	tokens := []token{{" ", ct.Value}}
	for _, p := range ct.Params {
		if !isToken(p.Name) || strings.ContainsAny(p.Name, "*'%") || !h.clean(field, p.Value) {
			h.fail(fault.Field(field, "A parameter's name must be an RFC 2045 token."))
			return
		}
		for _, t := range paramTokens(p) {
			tokens[len(tokens)-1].text += ";"
			tokens = append(tokens, token{" ", t})
		}
	}
	h.fold(name, field, tokens)
}

// maxParam is how long a parameter's value may be on one line.
const maxParam = 60

// paramTokens writes a parameter as a token, a quoted string, or after RFC 2231
// in as many sections as it takes.
func paramTokens(p Param) []string {
	quotable := len(p.Value) <= maxParam && isASCII(p.Value) && tidy(p.Value) == p.Value && !strings.ContainsAny(p.Value, "\\\"\t") &&
		!strings.Contains(p.Value, "=?") && strings.TrimSpace(p.Value) == p.Value
	switch {
	case isToken(p.Value) && quotable:
		return []string{p.Name + "=" + p.Value}
	case quotable:
		return []string{p.Name + `="` + p.Value + `"`}
	}
	var sections []string
	section := "utf-8''"
	for i := range len(p.Value) {
		c := p.Value[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' {
			section += string(rune(c))
		} else {
			section += fmt.Sprintf("%%%02X", c)
		}
		if len(section) >= maxParam-3 {
			sections = append(sections, section)
			section = ""
		}
	}
	if section != "" {
		sections = append(sections, section)
	}
	if len(sections) == 1 {
		return []string{p.Name + "*=" + sections[0]}
	}
	for i, s := range sections {
		sections[i] = p.Name + "*" + strconv.Itoa(i) + "*=" + s
	}
	return sections
}
