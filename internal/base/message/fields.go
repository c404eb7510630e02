package message

import (
	"strings"
	"unicode/utf8"
)

func validUTF8(b []byte) bool { return utf8.Valid(b) }

// MessageID is the first Message-ID without its brackets, or "".
func (h *Header) MessageID() string {
	if ids := ParseMessageIDs(h.Value("Message-ID")); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// MessageIDs reads every field of this name (In-Reply-To, References) as a list
// of message identifiers.
func (h *Header) MessageIDs(name string) []string {
	var all []string
	for _, f := range h.All(name) {
		all = append(all, ParseMessageIDs(f.Value())...)
	}
	return all
}

// maxMessageIDs bounds the identifiers read from one field.
const maxMessageIDs = 1000

// ParseMessageIDs reads identifiers (RFC 5322 3.6.4) without their brackets. If
// no bracket stands anywhere, words with an @ count; a field of one word is an
// identifier whatever it is.
func ParseMessageIDs(s string) []string {
	var ids []string
	rest := s
	for len(ids) < maxMessageIDs {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		id, next, closed := strings.Cut(after, ">")
		if !closed {
			next = ""
		}
		if id = compactID(id); id != "" {
			ids = append(ids, id)
		}
		rest = next
	}
	if len(ids) > 0 || strings.Contains(s, "<") {
		return ids
	}
	words := strings.Fields(s)
	for _, w := range words {
		if (strings.Contains(w, "@") || len(words) == 1) && len(ids) < maxMessageIDs {
			ids = append(ids, compactID(w))
		}
	}
	return ids
}

func compactID(s string) string {
	return tidy(rawText(strings.Join(strings.Fields(s), "")))
}

// Disposition is the Content-Disposition (RFC 2183): "inline", "attachment", or
// Value "" if there is none.
func (p *Part) Disposition() ContentType {
	ct, _ := ParseParams(p.Header.Value("Content-Disposition"))
	return ct
}

// Filename is the name that the sender gave to the part, decoded, or "". Folders
// are cut off, since a name must never choose a place on the reader's disk.
func (p *Part) Filename() string {
	for _, c := range []struct {
		ct   ContentType
		name string
	}{{p.Disposition(), "filename"}, {p.Type, "name"}, {p.Disposition(), "name"}, {p.Type, "filename"}} {
		if v, ok := c.ct.Param(c.name); ok {
			if name := baseName(DecodeText(v)); name != "" {
				return name
			}
		}
	}
	return ""
}

func baseName(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = strings.TrimSpace(s[i+1:])
	}
	if s == "." || s == ".." {
		return ""
	}
	return s
}

// ContentID is the Content-ID without its brackets, or "".
func (p *Part) ContentID() string {
	if ids := ParseMessageIDs(p.Header.Value("Content-ID")); len(ids) > 0 {
		return ids[0]
	}
	return ""
}
