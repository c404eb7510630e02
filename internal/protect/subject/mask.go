package subject

import (
	"io"
	"regexp"
	"strings"

	"mailvow/internal/base/address"
)

// somebody stands where the address of another person stood.
const somebody = "[somebody else]"

// likeAddress finds what may be an address in a text. It takes too much rather
// than too little: what is no address is left as it is.
var likeAddress = regexp.MustCompile(`[^\s<>()\[\],;:"'=@]+@[^\s<>()\[\],;:"'@]+`)

// plain are fields that say with whom the person corresponded, which the person
// knows and has a right to (GDPR Art. 15(1)(c) and (g)), or that are no text.
var plain = map[string]bool{"sender": true, "recipient": true, "address": true, "email": true, "handed_to": true, "message_id": true, "same_mail_as": true}

// mask takes the addresses of others out of what one person gets (GDPR Art. 15(4)).
type mask struct{ mine string }

func newMask(person address.Address) *mask { return &mask{person.Canonical()} }

func (m *mask) text(text string) string {
	if !strings.ContainsRune(text, '@') {
		return text
	}
	return likeAddress.ReplaceAllStringFunc(text, func(found string) string {
		bare := strings.TrimRight(found, ".!?")
		a, err := address.Parse(bare)
		if err != nil || a.Canonical() == m.mine {
			return found
		}
		return somebody + found[len(bare):]
	})
}

func (m *mask) fields(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for name, value := range in {
		if !plain[name] {
			value = m.text(value)
		}
		out[name] = value
	}
	return out
}

// maxLine is the longest line that is held; a longer one is masked in pieces.
const maxLine = 64 << 10

// maskedLines masks a message line by line.
type maskedLines struct {
	mask *mask
	w    io.Writer
	held []byte
}

func (l *maskedLines) write(b []byte) error {
	l.held = append(l.held, b...)
	end := len(l.held)
	for end > 0 && l.held[end-1] != '\n' {
		end--
	}
	if end == 0 {
		if len(l.held) < maxLine {
			return nil
		}
		end = len(l.held)
	}
	_, err := io.WriteString(l.w, l.mask.text(string(l.held[:end])))
	l.held = append(l.held[:0], l.held[end:]...)
	return err
}

func (l *maskedLines) end() error {
	_, err := io.WriteString(l.w, l.mask.text(string(l.held)))
	l.held = nil
	return err
}
