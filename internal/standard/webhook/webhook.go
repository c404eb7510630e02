// Package webhook signs and verifies Standard Webhooks 1.0.0 with symmetric
// keys (v1, HMAC-SHA256). It promises that a body is signed as it streams by
// and that signatures are compared in constant time. Sending, retrying and what
// a body says are left to others.
package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
)

// The headers of the specification.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// Tolerance is how old, or how far ahead, a timestamp may be.
const Tolerance = 5 * time.Minute

const (
	secretPrefix = "whsec_"
	version      = "v1"
	secretSize   = 32 // the specification asks for 24 to 64
	maxSignature = 16 // signatures looked at in one header
)

// NewSecret makes a secret of 256 bits.
func NewSecret() []byte {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}

// FormatSecret gives the text form, whsec_ and base64.
func FormatSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// ParseSecret reads the text form, with or without its prefix.
func ParseSecret(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, secretPrefix))
	if err != nil || len(b) < 24 || len(b) > 64 {
		return nil, fault.Field("secret", "A webhook secret is whsec_ and the base64 of 24 to 64 bytes.")
	}
	return b, nil
}

// Signer signs one body, which is written to it.
type Signer struct {
	macs []hash.Hash
}

// NewSigner begins a signature with every secret, the newest first: during a
// rotation the receiver may know either. An id must not hold a full stop.
func NewSigner(id string, at time.Time, secrets ...[]byte) (*Signer, error) {
	if id == "" || strings.ContainsAny(id, ". \r\n") || len(secrets) == 0 {
		return nil, fault.New(fault.Internal, "a webhook needs an id without full stops and a secret")
	}
	s := &Signer{}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		_, _ = io.WriteString(mac, id+"."+strconv.FormatInt(at.Unix(), 10)+".")
		s.macs = append(s.macs, mac)
	}
	return s, nil
}

// Write implements io.Writer.
func (s *Signer) Write(p []byte) (int, error) {
	for _, m := range s.macs {
		m.Write(p)
	}
	return len(p), nil
}

// Signature is the value of the signature header for what was written.
func (s *Signer) Signature() string {
	parts := make([]string, len(s.macs))
	for i, m := range s.macs {
		parts[i] = version + "," + base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	return strings.Join(parts, " ")
}

// SetHeader writes the three headers.
func (s *Signer) SetHeader(h http.Header, id string, at time.Time) {
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, s.Signature())
}

// Verify checks a received body against its headers. What is missing or wrong
// is an Unauthenticated fault.
func Verify(h http.Header, body []byte, now time.Time, secrets ...[]byte) error {
	bad := func(text string) error { return fault.New(fault.Unauthenticated, text) }
	seconds, err := strconv.ParseInt(h.Get(HeaderTimestamp), 10, 64)
	if err != nil {
		return bad("The header webhook-timestamp is missing or no number.")
	}
	at := time.Unix(seconds, 0)
	if now.Sub(at) > Tolerance || at.Sub(now) > Tolerance {
		return bad("The webhook is too old or comes from the future.")
	}
	s, err := NewSigner(h.Get(HeaderID), at, secrets...)
	if err != nil {
		return bad("The header webhook-id is missing or wrong.")
	}
	_, _ = s.Write(body)
	given := strings.Fields(h.Get(HeaderSignature))
	for _, g := range given[:min(len(given), maxSignature)] {
		label, value, ok := strings.Cut(g, ",")
		mac, err := base64.StdEncoding.DecodeString(value)
		if !ok || label != version || err != nil {
			continue
		}
		for _, m := range s.macs {
			if hmac.Equal(mac, m.Sum(nil)) {
				return nil
			}
		}
	}
	return bad("No signature fits the webhook.")
}
