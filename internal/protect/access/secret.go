package access

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
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

// scramIterations is the least that RFC 7677 section 4 allows; a password of
// 160 random bits gains nothing from more.
const scramIterations = 4096

// Verifier is what a server keeps to check SCRAM-SHA-256 (RFC 5802 section 3).
type Verifier struct {
	Salt       []byte
	Iterations int
	StoredKey  [32]byte
	ServerKey  [32]byte
}

// newVerifier derives the verifier of a generated password, which is ASCII, so
// that SASLprep leaves it as it is.
func newVerifier(password string) (Verifier, error) {
	v := Verifier{Salt: make([]byte, 16), Iterations: scramIterations}
	rand.Read(v.Salt)
	salted, err := pbkdf2.Key(sha256.New, password, v.Salt, v.Iterations, sha256.Size)
	if err != nil {
		return Verifier{}, err
	}
	client := mac(salted, "Client Key")
	v.StoredKey = sha256.Sum256(client[:])
	v.ServerKey = mac(salted, "Server Key")
	return v, nil
}

func mac(key []byte, text string) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}
