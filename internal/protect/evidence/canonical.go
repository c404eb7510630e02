package evidence

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// canonical writes JSON without spaces and without HTML escapes. With fields
// in the order of their keys, whole numbers and printable text, these are the
// bytes of RFC 8785 (a test compares the order).
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads one JSON value and nothing after it. What encoding/json lets
// pass (doubled keys, keys in another case) the caller finds by encoding again.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

const timeForm = "2006-01-02T15:04:05.000000Z"

// Time is a moment in UTC to the microsecond, always written with six digits.
type Time struct{ time.Time }

// On cuts t to what the log keeps.
func On(t time.Time) Time { return Time{time.UnixMicro(t.UnixMicro()).UTC()} }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.UTC().Format(timeForm)), nil }

// MarshalJSON overrides the embedded time's own form.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.UTC().Format(timeForm) + `"`), nil }

// UnmarshalJSON reads the one form.
func (t *Time) UnmarshalJSON(data []byte) error {
	v, err := time.Parse(`"`+timeForm+`"`, string(data))
	if err != nil {
		return errors.New("a time has the form 2006-01-02T15:04:05.000000Z")
	}
	t.Time = v.UTC()
	return nil
}

// Digest is 32 bytes, written in standard base64 (RFC 4648 4) with padding.
type Digest [32]byte

// DigestOf is the SHA-256 of data.
func DigestOf(data []byte) Digest { return sha256.Sum256(data) }

// String gives the base64 form.
func (d Digest) String() string { return base64.StdEncoding.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the one form; spare bits must be zero.
func (d *Digest) UnmarshalText(text []byte) error {
	v, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(v) != len(d) || base64.StdEncoding.EncodeToString(v) != string(text) {
		return errors.New("a digest is 32 bytes in base64")
	}
	copy(d[:], v)
	return nil
}

// Salt is the 32 random bytes that join a person to a leaf. It is handed to
// the person in their copy of the certificate and kept nowhere.
type Salt [32]byte

// NewSalt draws a salt from random (crypto/rand.Reader).
func NewSalt(random io.Reader) (Salt, error) {
	var s Salt
	if _, err := io.ReadFull(random, s[:]); err != nil {
		return Salt{}, fault.Because(fault.Unavailable, err, "")
	}
	return s, nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Salt) MarshalText() ([]byte, error) { return Digest(s).MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Salt) UnmarshalText(text []byte) error { return (*Digest)(s).UnmarshalText(text) }

// String does not show the salt.
func (Salt) String() string { return "salt" }

// SubjectHash is all that a leaf says about a person. Salt commits to the salt
// without showing it, so that nobody can put another one into a certificate;
// 256 random bits cannot be found from their hash.
type SubjectHash struct {
	Hash Digest `json:"hash"` // SHA-256(salt ‖ canonical address)
	Salt Digest `json:"salt"` // SHA-256("mailvow evidence salt v1\n" ‖ salt)
}

// HashSubject names a person to those alone who hold the salt.
func HashSubject(s Salt, a address.Address) SubjectHash {
	return SubjectHash{Hash: DigestOf(append(s[:], a.Canonical()...)), Salt: s.commitment()}
}

// HashCustomer names a customer, by its number's text form, to those who hold the
// salt.
func HashCustomer(s Salt, customer ids.Tenant) SubjectHash {
	return SubjectHash{Hash: DigestOf(append(s[:], customer.String()...)), Salt: s.commitment()}
}

func (s Salt) commitment() Digest {
	return DigestOf(append([]byte("mailvow evidence salt v1\n"), s[:]...))
}

// PseudonymOf names an actor to those alone who hold the key of that customer
// and year: HMAC-SHA256(key, "mailvow evidence actor v1\n" ‖ id).
func PseudonymOf(key []byte, id string) *Digest {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("mailvow evidence actor v1\n" + id))
	d := Digest(m.Sum(nil))
	return &d
}

func isWord(s string) bool {
	if s == "" || len(s) > 64 || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '.' && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// isID reports the form of an identifier of the house: prefix_ and 26 digits.
func isID(s string) bool {
	prefix, digits, ok := strings.Cut(s, "_")
	if !ok || prefix == "" || len(prefix) > 8 || len(digits) != 26 {
		return false
	}
	return isWord(prefix) && isWord(digits) && !strings.ContainsAny(s, ".-")
}

// isSentence lets printable text pass, but nothing that could be an address.
func isSentence(s string) bool {
	if s == "" || len(s) > 240 || !utf8.ValidString(s) || strings.ContainsRune(s, '@') {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == '＠' || r == '﹫' {
			return false
		}
	}
	return true
}
