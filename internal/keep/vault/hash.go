package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

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

func (k *indexKey) hash(domain, value string) [16]byte {
	mac := hmac.New(sha256.New, k.key[:])
	mac.Write([]byte{HashVersion, byte(len(domain))})
	mac.Write([]byte(domain))
	mac.Write([]byte(value))
	var sum [sha256.Size]byte
	return [16]byte(mac.Sum(sum[:0]))
}
