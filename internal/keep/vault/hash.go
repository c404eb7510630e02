package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// HashVersion stands in the input of every keyed hash (docs/formats/lookup.md).
const HashVersion = 1

// Hash is the keyed hash under which a value is looked up: HMAC-SHA256 cut to 16
// bytes, with the tenant's index key; tenant 0 is the platform's, for look-ups
// before the tenant is known. domain keeps kinds of values apart ("address",
// "domain", …), at most 255 bytes; value is in its canonical form
// (address.Address.Canonical). A Gone fault says that the customer's keys were
// destroyed.
func (v *Vault) Hash(tenant ids.Tenant, domain string, value string) ([16]byte, error) {
	if len(domain) == 0 || len(domain) > 255 {
		return [16]byte{}, fault.New(fault.Internal, "a keyed hash needs a domain of 1 to 255 bytes")
	}
	k, ok := v.indexes.get(tenant)
	if !ok {
		err := v.reach(func(ctx context.Context) (err error) { k, err = v.index(ctx, tenant); return err })
		if err != nil {
			return [16]byte{}, fault.Wrap(err, "load the key for look-ups")
		}
	}
	return k.hash(domain, value), nil
}

// indexKey hashes for one tenant. Its states hold the key's two first blocks, so
// that a hash costs half.
type indexKey struct {
	key    [32]byte
	states sync.Pool // *hashState
}

type hashState struct {
	mac hash.Hash
	in  []byte
}

func (k *indexKey) hash(domain, value string) [16]byte {
	s, _ := k.states.Get().(*hashState)
	if s == nil {
		s = &hashState{mac: hmac.New(sha256.New, k.key[:])}
	}
	s.mac.Reset()
	s.in = append(s.in[:0], HashVersion, byte(len(domain)))
	s.in = append(append(s.in, domain...), value...)
	s.mac.Write(s.in)
	clear(s.in)
	sum := [16]byte(s.mac.Sum(s.in[:0]))
	k.states.Put(s)
	return sum
}
