package access

import (
	"crypto/rand"
	"encoding/base32"
	"strings"

	"mailvow/internal/standard/scram"
)

// base32 in lower case without padding survives e-mail, telephones and URLs.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// generate makes a secret of n random bytes after a prefix that tells a scanner
// of leaked secrets whose it is.
func generate(prefix string, n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return prefix + letters.EncodeToString(b)
}

const (
	tokenPrefix  = "mv_"
	tokenBytes   = 25 // 200 bits: 40 letters
	sessionBytes = 32
	linkBytes    = 25
	// An SMTP password has 160 bits: 32 letters.
	passwordBytes = 20
)

// looksGenerated turns away, before any hashing, what cannot be ours.
func looksGenerated(secret, prefix string, n int) bool {
	rest, ok := strings.CutPrefix(secret, prefix)
	return ok && len(rest) == letters.EncodedLen(n)
}

// newVerifier derives what SCRAM keeps of a generated password. 160 random bits
// gain nothing from more iterations than RFC 7677 section 4 asks for.
func newVerifier(password string) (scram.Verifier, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	return scram.NewVerifier(password, salt, scram.MinIterations)
}
