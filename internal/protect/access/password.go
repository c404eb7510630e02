package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

// Cost is what computing one password hash costs.
type Cost struct {
	Memory  limit.Bytes
	Passes  uint32
	Threads uint8
}

// HouseCost is the second recommended option of RFC 9106, section 4. Every
// password of the house is kept at this cost; one kept at another is hashed
// anew when its owner signs in.
var HouseCost = Cost{Memory: 64 * limit.MiB, Passes: 3, Threads: 4}

const (
	saltLen, hashLen = 16, 32
	// MinPassword is in characters, MaxPassword in bytes.
	MinPassword, MaxPassword = 12, 1024
)

// Passwords hashes what people choose, a bounded number at a time.
type Passwords struct {
	cost   Cost
	places limit.Places
	dummy  string // checked for an unknown user, so that both take as long
}

// NewPasswords makes a hasher that uses at most atOnce × cost.Memory.
func NewPasswords(cost Cost, atOnce int) *Passwords {
	p := &Passwords{cost: cost, places: limit.NewPlaces(max(1, atOnce))}
	p.dummy = encode(cost, make([]byte, saltLen), make([]byte, hashLen))
	return p
}

// Hash gives the PHC string of a password. A password that is too short, too
// long or no text is an Invalid fault on the field "password".
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if !utf8.ValidString(password) || len(password) > MaxPassword {
		return "", fault.Field("password", "The password must be text of at most 1024 bytes.")
	}
	if utf8.RuneCountInString(password) < MinPassword {
		return "", fault.Field("password", "The password must have at least 12 characters.")
	}
	salt := make([]byte, saltLen)
	rand.Read(salt)
	key, err := p.key(ctx, password, salt, p.cost, hashLen)
	if err != nil {
		return "", err
	}
	return encode(p.cost, salt, key), nil
}

// Verify says whether a password is the one that was hashed. An empty hash (no
// such user, or one without a password) costs the same and is never right.
// stale says that the hash was made at another cost than today's.
func (p *Passwords) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	known := phc != ""
	if !known {
		phc = p.dummy
	}
	cost, salt, want, err := decode(phc)
	if err != nil {
		return false, false, err
	}
	if len(password) > MaxPassword {
		return false, false, nil
	}
	got, err := p.key(ctx, password, salt, cost, uint32(len(want)))
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, want) == 1 && known
	return ok, ok && cost != p.cost, nil
}

func (p *Passwords) key(ctx context.Context, password string, salt []byte, c Cost, n uint32) ([]byte, error) {
	if err := p.places.Take(ctx); err != nil {
		return nil, fault.Because(fault.Unavailable, err, "Too many people are signing in right now. Try again.")
	}
	defer p.places.Leave()
	// One spelling for one password, whatever the keyboard sends (RFC 8265 4.2.1).
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, c.Passes, uint32(c.Memory/limit.KiB), c.Threads, n), nil
}

func encode(c Cost, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory/limit.KiB, c.Passes, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// decode reads a PHC string of our own; its bounds keep a damaged row from
// taking the machine's memory.
func decode(phc string) (c Cost, salt, key []byte, err error) {
	bad := fault.New(fault.Internal, "a stored password hash is not in the Argon2id PHC form")
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Cost{}, nil, nil, bad
	}
	var kib int64
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &kib, &c.Passes, &c.Threads); err != nil {
		return Cost{}, nil, nil, bad
	}
	c.Memory = limit.Bytes(kib) * limit.KiB
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(salt) < 8 || len(key) < 16 || len(key) > 64 ||
		kib < 8 || c.Memory > limit.GiB || c.Passes < 1 || c.Passes > 100 || c.Threads < 1 {
		return Cost{}, nil, nil, bad
	}
	return c, salt, key, nil
}
