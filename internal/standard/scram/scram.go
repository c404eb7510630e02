// Package scram is SCRAM-SHA-256 (RFC 5802, RFC 7677) on the server's side, with
// channel binding by tls-exporter (RFC 9266). The server keeps a verifier from
// which the password cannot be computed. Storing it, and the words of AUTH, are
// left to others.
package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/text/secure/precis"

	"mailvow/internal/base/fault"
)

// The mechanisms' names, and the iterations that RFC 7677 section 4 asks for at
// least.
const (
	Name          = "SCRAM-SHA-256"
	NamePlus      = "SCRAM-SHA-256-PLUS"
	MinIterations = 4096
)

// Verifier is what is kept instead of a password.
type Verifier struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte // 32 bytes
	ServerKey  []byte // 32 bytes
}

// NewVerifier derives the verifier of a password; salt is random, 16 bytes or
// more.
func NewVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	prepared, err := prepare(password)
	if err != nil {
		return Verifier{}, err
	}
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, iterations, sha256.Size)
	if err != nil {
		return Verifier{}, fault.Because(fault.Internal, err, "derive the salted password")
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return Verifier{Salt: bytes.Clone(salt), Iterations: iterations, StoredKey: stored[:], ServerKey: mac(salted, "Server Key")}, nil
}

// prepare brings a password into one form: ASCII stays, the rest by RFC 8265,
// which replaced SASLprep.
func prepare(password string) (string, error) {
	for i := range len(password) {
		if password[i] >= 0x80 {
			s, err := precis.OpaqueString.String(password)
			if err != nil {
				return "", fault.New(fault.Invalid, "The password holds characters that cannot be typed the same way everywhere.")
			}
			return s, nil
		}
	}
	return password, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Exchange is the server's side of one authentication.
type Exchange struct {
	binding   []byte // the tls-exporter value; nil without
	header    string // gs2 header as the client sent it
	bound     bool   // the client binds to the channel
	bare      string // client-first-message-bare
	nonce     string // client's and ours
	first     string // server-first-message
	verifier  Verifier
	plus      bool // the mechanism's name ended in -PLUS
	offerPlus bool
}

// NewExchange starts one. binding is the tls-exporter value of the connection,
// nil without; plus says which mechanism the client named.
func NewExchange(binding []byte, plus bool) *Exchange {
	return &Exchange{binding: binding, plus: plus, offerPlus: binding != nil}
}

func malformed(text string) error { return fault.New(fault.Invalid, text) }

// First reads the client's first message and gives the user name.
func (x *Exchange) First(message string) (username string, err error) {
	flag, rest, ok := strings.Cut(message, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 || authzid != "" && !strings.HasPrefix(authzid, "a=") {
		return "", malformed("The first SCRAM message has no header.")
	}
	if err := x.bind(flag); err != nil {
		return "", err
	}
	x.header, x.bare = flag+","+authzid+",", bare
	fields := strings.Split(bare, ",")
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") || !strings.HasPrefix(fields[1], "r=") || len(fields[1]) < 10 || len(fields[1]) > 200 {
		return "", malformed("The first SCRAM message holds n= and r= in this order.")
	}
	x.nonce = fields[1][2:]
	return unescape(fields[0][2:])
}

// bind judges the channel binding flag (RFC 5802 section 6).
func (x *Exchange) bind(flag string) error {
	switch {
	case flag == "n" && !x.plus:
		return nil
	case flag == "y" && !x.plus:
		if x.offerPlus {
			return fault.New(fault.Denied, "Somebody took SCRAM-SHA-256-PLUS out of the list of mechanisms.")
		}
		return nil
	case flag == "p=tls-exporter" && x.plus && x.binding != nil:
		x.bound = true
		return nil
	}
	return malformed("The channel binding is tls-exporter, with SCRAM-SHA-256-PLUS over TLS only.")
}

// unescape reads saslname (RFC 5802 5.1).
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '=':
			b.WriteByte(s[i])
			continue
		case strings.HasPrefix(s[i:], "=2C"):
			b.WriteByte(',')
		case strings.HasPrefix(s[i:], "=3D"):
			b.WriteByte('=')
		default:
			return "", malformed("An equals sign in the user name is written =3D.")
		}
		i += 2
	}
	if b.Len() == 0 {
		return "", malformed("The user name is empty.")
	}
	return b.String(), nil
}

// Challenge gives the server's first message. nonce is ours: random, printable,
// without comma.
func (x *Exchange) Challenge(v Verifier, nonce string) string {
	x.verifier = v
	x.nonce += nonce
	x.first = "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(v.Salt) + ",i=" + strconv.Itoa(v.Iterations)
	return x.first
}

// Final checks the client's proof and gives the server's own, which the client
// checks in turn. A wrong proof is Unauthenticated.
func (x *Exchange) Final(message string) (string, error) {
	without, proof64, ok := cutLast(message, ",p=")
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if !ok || err != nil || len(proof) != sha256.Size {
		return "", malformed("The last SCRAM message ends in a proof.")
	}
	want := x.header
	if x.bound {
		want += string(x.binding)
	}
	rest, ok := strings.CutPrefix(without, "c="+base64.StdEncoding.EncodeToString([]byte(want))+",")
	nonce, _, _ := strings.Cut(rest, ",")
	if !ok || subtle.ConstantTimeCompare([]byte(nonce), []byte("r="+x.nonce)) != 1 {
		return "", fault.New(fault.Unauthenticated, "The SCRAM exchange does not match its beginning.")
	}
	auth := x.bare + "," + x.first + "," + without
	signature := mac(x.verifier.StoredKey, auth)
	key := make([]byte, sha256.Size)
	subtle.XORBytes(key, proof, signature)
	stored := sha256.Sum256(key)
	if subtle.ConstantTimeCompare(stored[:], x.verifier.StoredKey) != 1 {
		return "", fault.New(fault.Unauthenticated, "The user name or the password is wrong.")
	}
	return "v=" + base64.StdEncoding.EncodeToString(mac(x.verifier.ServerKey, auth)), nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
