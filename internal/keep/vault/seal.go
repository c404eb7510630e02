package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// AD names the place that a sealed value belongs to. Tenant, class and format
// are bound besides it.
type AD struct {
	Table string
	Row   int64
}

// ErrTampered says that something does not open: it was changed, moved to
// another row or customer, or is no sealed value. It comes inside an Internal
// fault, because no input of a customer leads here.
var ErrTampered = errors.New("sealed data does not authenticate")

func tampered(why string) error {
	return &fault.Error{Kind: fault.Internal, Op: why, Err: ErrTampered,
		Hint: "Stored data was damaged, moved or changed outside the server."}
}

func goneFault(text string) error { return fault.New(fault.Gone, text) }

// The first byte of a sealed value is its format.
const (
	formatValue byte = 0x01 // a value
	formatKey   byte = 0x02 // a key for a stream or a chunk
)

// Overhead is by how much a sealed value is longer than its plain text.
const Overhead = headSize + nonceSize + tagSize

const (
	headSize  = 1 + 8
	nonceSize = 12
	tagSize   = 16
)

// Seal appends a sealed value to dst: format, key id, nonce, ciphertext and tag.
// dst must not overlap plain. A Gone fault says that the customer's keys were
// destroyed; Unavailable, Full and ReadOnly faults come from the key store.
func (v *Vault) Seal(dst []byte, tenant ids.Tenant, class Class, ad AD, plain []byte) ([]byte, error) {
	return v.seal(dst, formatValue, tenant, class, ad, plain)
}

func (v *Vault) seal(dst []byte, format byte, tenant ids.Tenant, class Class, ad AD, plain []byte) ([]byte, error) {
	k, err := v.sealing(tenant, class)
	if err != nil {
		return dst, err
	}
	dst = append(dst, format)
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.id))
	extra := v.scratch.Get().(*[]byte)
	*extra = additional((*extra)[:0], format, tenant, class, ad)
	dst = k.aead.Seal(dst, nil, plain, *extra)
	v.scratch.Put(extra)
	return dst, nil
}

// Open appends the plain text of a sealed value to dst. The tenant and ad must
// be those of Seal, or the error is ErrTampered. A Gone fault says that the key
// was destroyed.
func (v *Vault) Open(dst []byte, tenant ids.Tenant, ad AD, sealed []byte) ([]byte, error) {
	plain, _, err := v.open(dst, formatValue, tenant, ad, sealed)
	return plain, err
}

func (v *Vault) open(dst []byte, format byte, tenant ids.Tenant, ad AD, sealed []byte) ([]byte, *epochKey, error) {
	if len(sealed) < Overhead || sealed[0] != format {
		return dst, nil, tampered("this is no sealed value")
	}
	k, err := v.opening(tenant, KeyOf(sealed))
	if err != nil {
		return dst, nil, err
	}
	extra := v.scratch.Get().(*[]byte)
	*extra = additional((*extra)[:0], format, tenant, k.class, ad)
	plain, err := k.aead.Open(dst, nil, sealed[headSize:], *extra)
	v.scratch.Put(extra)
	if err != nil {
		return dst, nil, tampered("open a sealed value")
	}
	return plain, k, nil
}

// KeyOf reads which epoch key sealed something, or 0. It proves nothing.
func KeyOf(sealed []byte) ids.Key {
	if len(sealed) < headSize {
		return 0
	}
	return ids.Key(binary.BigEndian.Uint64(sealed[1:]))
}

// additional is the additional data: format, tenant, class, row, table. Only
// the last part has no fixed length, so that no two inputs give the same bytes.
func additional(b []byte, format byte, tenant ids.Tenant, class Class, ad AD) []byte {
	b = append(b, format)
	b = binary.BigEndian.AppendUint64(b, uint64(tenant))
	b = append(b, byte(class))
	b = binary.BigEndian.AppendUint64(b, uint64(ad.Row))
	return append(b, ad.Table...)
}

// Rewrap seals a survivor, a value or a wrapped key, under the present epoch of its
// own class. What it was sealed under is not changed.
func (v *Vault) Rewrap(_ context.Context, tenant ids.Tenant, ad AD, sealed []byte) ([]byte, error) {
	return v.rewrap(tenant, 0, ad, sealed)
}

// RewrapAs is Rewrap into another class, such as Hold.
func (v *Vault) RewrapAs(_ context.Context, tenant ids.Tenant, class Class, ad AD, sealed []byte) ([]byte, error) {
	return v.rewrap(tenant, class, ad, sealed)
}

func (v *Vault) rewrap(tenant ids.Tenant, class Class, ad AD, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || (sealed[0] != formatValue && sealed[0] != formatKey) {
		return nil, tampered("this is no sealed value")
	}
	plain, k, err := v.open(nil, sealed[0], tenant, ad, sealed)
	if err != nil {
		return nil, err
	}
	if class == 0 {
		class = k.class
	}
	again, err := v.seal(nil, sealed[0], tenant, class, ad, plain)
	clear(plain)
	return again, err
}

// Key is a key of its own for one message, stream or chunk. It is worth nothing
// in memory after the process; wrapped it lies beside what it sealed.
type Key struct {
	raw  [32]byte
	aead cipher.AEAD
}

// WrappedKeySize is the length of a wrapped key.
const WrappedKeySize = Overhead + 32

// RandomKey makes a key that nobody holds yet; WrapKey gives it to a holder.
func RandomKey() (Key, error) {
	var raw [32]byte
	rand.Read(raw[:])
	return KeyFrom(raw)
}

// KeyFrom makes a key of 32 bytes.
func KeyFrom(raw [32]byte) (Key, error) {
	block, err := aes.NewCipher(raw[:])
	if err != nil {
		return Key{}, fault.Because(fault.Internal, err, "make a cipher")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Key{}, fault.Because(fault.Internal, err, "make a cipher")
	}
	return Key{raw: raw, aead: aead}, nil
}

// Secret gives the 32 bytes, to derive other keys from.
func (k Key) Secret() []byte { return k.raw[:] }

// Zero reports a key that was never made.
func (k Key) Zero() bool { return k.aead == nil }

// Seal appends ciphertext and tag to dst. A nonce must never repeat under one
// key: it is for formats that count.
func (k Key) Seal(dst []byte, nonce [12]byte, plain, ad []byte) []byte {
	return k.aead.Seal(dst, nonce[:], plain, ad)
}

// Open appends the plain text to dst, or gives ErrTampered.
func (k Key) Open(dst []byte, nonce [12]byte, sealed, ad []byte) ([]byte, error) {
	plain, err := k.aead.Open(dst, nonce[:], sealed, ad)
	if err != nil {
		return dst, tampered("open under a key of its own")
	}
	return plain, nil
}

// NewKey makes a key and wraps it for its holder.
func (v *Vault) NewKey(tenant ids.Tenant, class Class, ad AD) (Key, []byte, error) {
	k, err := RandomKey()
	if err != nil {
		return Key{}, nil, err
	}
	wrapped, err := v.WrapKey(tenant, class, ad, k)
	return k, wrapped, err
}

// WrapKey wraps a key for one more holder: a body shared by several customers
// dies with the last of its wrapped keys.
func (v *Vault) WrapKey(tenant ids.Tenant, class Class, ad AD, k Key) ([]byte, error) {
	return v.seal(make([]byte, 0, WrappedKeySize), formatKey, tenant, class, ad, k.raw[:])
}

// Unwrap opens a wrapped key; its errors are those of Open.
func (v *Vault) Unwrap(tenant ids.Tenant, ad AD, wrapped []byte) (Key, error) {
	raw, _, err := v.open(make([]byte, 0, 32), formatKey, tenant, ad, wrapped)
	if err != nil {
		return Key{}, err
	}
	if len(raw) != 32 {
		return Key{}, tampered("a wrapped key of the wrong length")
	}
	return KeyFrom([32]byte(raw))
}
