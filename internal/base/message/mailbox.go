package message

import (
	"log/slog"
	"strings"
	"unicode/utf8"
)

// Mailbox is one entry of an address field as it stands in a header. Address
// may be malformed; base/address judges it. Printed, it is redacted.
type Mailbox struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

// String is redacted like address.Address.
func (m Mailbox) String() string {
	_, domain, _ := strings.Cut(m.Address, "@")
	return "…@…" + domain[strings.LastIndexByte(domain, '.')+1:]
}

// LogValue keeps a logged mailbox redacted.
func (m Mailbox) LogValue() slog.Value { return slog.StringValue(m.String()) }

// maxMailboxes bounds the entries read from one field.
const maxMailboxes = 10000

// Mailboxes reads every field of this name as one list of addresses.
func (h *Header) Mailboxes(name string) []Mailbox {
	var all []Mailbox
	for _, f := range h.All(name) {
		all = append(all, ParseMailboxes(f.Value())...)
	}
	return all
}

// ParseMailboxes reads an address list (RFC 5322 3.4) leniently: groups,
// comments, routes, missing quotes and brackets, semicolons for commas. Group
// names are dropped; an entry without an address keeps its words as the name.
func ParseMailboxes(s string) []Mailbox {
	r := mailboxReader{s: s}
	for r.pos < len(s) && len(r.out) < maxMailboxes {
		r.step()
	}
	r.flush()
	return r.out
}

// word is a piece of a phrase or of a bare address.
type word struct {
	text   string
	raw    string // with its quotes
	quoted bool
	spaced bool // white space stood before it
}

type mailboxReader struct {
	s       string
	pos     int
	words   []word
	comment string
	angle   string
	hasAddr bool
	spaced  bool
	at      bool // a word with an @ is among words
	out     []Mailbox
}

func (r *mailboxReader) step() {
	switch c := r.s[r.pos]; c {
	case ' ', '\t':
		r.spaced = true
		r.pos++
	case ',', ';':
		r.flush()
		r.pos++
	case '(':
		r.comment = r.readComment()
	case '"':
		r.quotedWord()
	case '<':
		r.readAngle()
	case '>', ')':
		r.pos++
	case ':':
		r.colon()
	default:
		r.atom()
	}
}

// colon ends a group's name, unless the words before it are an address already.
func (r *mailboxReader) colon() {
	r.pos++
	if !r.at {
		r.words, r.comment = nil, ""
	}
}

func (r *mailboxReader) push(text, raw string, quoted bool) {
	r.words = append(r.words, word{text: text, raw: raw, quoted: quoted, spaced: r.spaced})
	r.spaced = false
	r.at = r.at || !quoted && strings.Contains(text, "@")
}

func (r *mailboxReader) atom() {
	start := r.pos
	for r.pos < len(r.s) {
		c := r.s[r.pos]
		if strings.IndexByte(" \t,;(<>)\"", c) >= 0 || c == ':' && !strings.HasPrefix(r.s[start:], "=?") && !strings.Contains(r.s[start:r.pos], "[") {
			break
		}
		// An encoded word may hold anything, commas too, in the hands of careless senders.
		if c == '=' && strings.HasPrefix(r.s[r.pos:], "=?") {
			if _, _, n := encodedWord(r.s[r.pos:]); n > 0 && !strings.ContainsAny(r.s[r.pos:r.pos+n], "<>@") {
				r.pos += n
				continue
			}
		}
		r.pos++
	}
	text := r.s[start:r.pos]
	r.push(text, text, false)
}

func (r *mailboxReader) quotedWord() {
	text, n := quotedString(r.s[r.pos:])
	r.push(text, r.s[r.pos:r.pos+n], true)
	r.pos += n
}

// quotedString reads "…" at the start of s. Without an end quote it ends at the
// end of s.
func quotedString(s string) (text string, n int) {
	var b strings.Builder
	for n = 1; n < len(s); n++ {
		switch c := s[n]; {
		case c == '\\' && n+1 < len(s):
			n++
			b.WriteByte(s[n])
		case c == '"':
			return b.String(), n + 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), n
}

func (r *mailboxReader) readComment() string {
	start, depth := r.pos+1, 0
	for ; r.pos < len(r.s); r.pos++ {
		switch r.s[r.pos] {
		case '\\':
			r.pos++
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				r.pos++
				return r.s[start : r.pos-1]
			}
		}
	}
	r.pos = len(r.s)
	return r.s[min(start, len(r.s)):]
}

// readAngle reads <address>. A comma before the end bracket ends it too, unless
// it is part of a route (RFC 5322 4.4).
func (r *mailboxReader) readAngle() {
	r.pos++
	start := r.pos
	var b strings.Builder
	route := strings.HasPrefix(strings.TrimLeft(r.s[start:], " \t"), "@")
	for r.pos < len(r.s) {
		switch c := r.s[r.pos]; {
		case c == '>':
			r.pos++
			r.setAngle(b.String())
			return
		case c == '"':
			_, n := quotedString(r.s[r.pos:])
			b.WriteString(r.s[r.pos : r.pos+n])
			r.pos += n
			continue
		case c == '(':
			r.readComment()
			continue
		case c == ',' && !route:
			r.setAngle(b.String())
			return
		case c == ':' && route:
			route = false
			b.Reset()
		case c == ' ', c == '\t', c == '<':
		default:
			b.WriteByte(c)
		}
		r.pos++
	}
	r.setAngle(b.String())
}

func (r *mailboxReader) setAngle(addr string) {
	if !r.hasAddr || r.angle == "" {
		r.angle, r.hasAddr = addr, true
	}
}

// flush ends one entry.
func (r *mailboxReader) flush() {
	words, comment, angle, has := r.words, r.comment, r.angle, r.hasAddr
	r.words, r.comment, r.angle, r.hasAddr, r.spaced, r.at = nil, "", "", false, false, false
	if len(words) == 0 && !has {
		return
	}
	m := Mailbox{Address: angle}
	if !has {
		words, m.Address = bareAddress(words)
	}
	m.Name = phrase(words)
	if m.Name == "" {
		m.Name = DecodeText(strings.TrimSpace(comment))
	}
	m.Address = tidy(rawText(m.Address))
	if m.Name != "" || m.Address != "" {
		r.out = append(r.out, m)
	}
}

// bareAddress finds the address among words without brackets: the run of words
// that hang together by @ and dots. One word alone is an address without domain.
func bareAddress(words []word) (rest []word, addr string) {
	at := -1
	for i, w := range words {
		if !w.quoted && strings.Contains(w.text, "@") {
			at = i
			break
		}
	}
	if at < 0 {
		if len(words) == 1 && !words[0].quoted && !strings.Contains(words[0].text, "=?") {
			return nil, words[0].text
		}
		return words, ""
	}
	from, to := at, at+1
	for from > 0 && joined(words[from-1], words[from]) {
		from--
	}
	for to < len(words) && joined(words[to-1], words[to]) {
		to++
	}
	var b strings.Builder
	for _, w := range words[from:to] {
		b.WriteString(w.raw)
	}
	return append(append([]word(nil), words[:from]...), words[to:]...), b.String()
}

// joined reports that two words are one address with space in it (RFC 5322 4.4).
func joined(a, b word) bool {
	if !b.spaced {
		return true
	}
	last, first := a.raw[len(a.raw)-1], b.raw[0]
	return last == '@' || last == '.' || first == '@' || first == '.'
}

// phrase joins words to a display name.
func phrase(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 && w.spaced {
			b.WriteByte(' ')
		}
		text := w.text
		if w.quoted && !utf8.ValidString(text) {
			text = rawText(text)
		}
		b.WriteString(text)
	}
	return strings.TrimSpace(DecodeText(b.String()))
}
