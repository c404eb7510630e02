package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"mailvow/internal/base/fault"
)

// cursors makes page marks that a client can hand back and cannot make up: a
// mark is bound to its list, to who asked, and to the filters.
type cursors struct{ key []byte }

const cursorTag = 16

// seal gives the mark of a position in a list.
func (c cursors) seal(list, position string) string {
	if position == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(c.tag(list, position), position...))
}

// open gives the position back; a mark that is not ours, or of another list, is
// an Invalid fault on query.cursor.
func (c cursors) open(list, mark string) (string, error) {
	if mark == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(mark)
	if err == nil && len(raw) > cursorTag {
		position := string(raw[cursorTag:])
		if hmac.Equal(raw[:cursorTag], c.tag(list, position)) {
			return position, nil
		}
	}
	return "", fault.Field("query.cursor", "The cursor is not one that this list gave. Start again without it, and change no filter while paging.")
}

func (c cursors) tag(list, position string) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte(list))
	h.Write([]byte{0})
	h.Write([]byte(position))
	return h.Sum(nil)[:cursorTag]
}
