// Package vault keeps the keys. It promises that what it sealed opens only for
// the tenant, the class and the row that it was sealed for; that a key is
// durable in both copies of the key store before anything is sealed with it;
// that a destroyed key is gone from both copies and, after Refresh, from this
// node's memory; and that keys can be rotated while others seal and open. The
// tree: a key-encryption key (Wrapper) wraps one key per tenant, which wraps one
// epoch key per (tenant, class, day or hour), which seals values and wraps the keys of
// messages and chunks. Keys are never in the database: data names a key by its
// id. When a key's time is over, and moving survivors under a younger one
// (Rewrap), is left to protect/retain and protect/erase. The formats are in
// docs/formats/sealed.md and docs/formats/lookup.md.
package vault

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Config is what a vault is made of.
type Config struct {
	// KEK wraps the tenants' keys.
	KEK Wrapper
	// Former are key-encryption keys that may still be found in the store while
	// a rotation is under way; they unwrap, and never wrap.
	Former []Wrapper
	// Store is where keys lie: Folder, Folders or Bucket.
	Store *Store
	Clock clock.Clock
	IDs   *ids.Source
	// MaxSeals is after how many seals a new epoch key is made; 0 is 2^28, far
	// below the 2^32 random nonces of NIST SP 800-38D 8.3.
	MaxSeals uint64
	// MaxKeys bounds each cache; 0 is 65,536 keys, about 1 KB each.
	MaxKeys int
	// Grace is how long a tenant's key outlives its rotation, so that a node
	// which is just writing an epoch key under it is not cut off; negative is
	// none, 0 is five minutes.
	Grace time.Duration
	// Patience is how long Seal and Open wait for the key store; 0 is 10 s.
	Patience time.Duration
}

// Vault seals and opens. It is safe for use by many goroutines.
type Vault struct {
	store    *Store
	clock    clock.Clock
	ids      *ids.Source
	maxSeals uint64
	grace    time.Duration
	patience time.Duration

	// life is the vault's own, because Seal and Open take no context: they
	// leave memory only on the first use of a key. Close ends it.
	life context.Context
	stop context.CancelFunc

	wrappers atomic.Pointer[wrappers]
	epochs   *cache[ids.Key, *epochKey]    // by id, for opening
	current  *cache[slot, *epochKey]       // for sealing now
	coming   *cache[slot, *epochKey]       // for sealing next, see Prepare
	tenants  *cache[ids.Key, *tenantKey]   // by id
	indexes  *cache[ids.Tenant, *indexKey] // for look-ups
	making   [64]sync.Mutex                // one key of a tenant is made at a time
	admin    sync.Mutex                    // one rotation or destruction at a time
	scratch  sync.Pool                     // *[]byte for additional data
}

// slot is what has one sealing key at a time.
type slot struct {
	tenant ids.Tenant
	class  Class
}

// Open makes a vault over a key store, finishes destructions that a crash
// interrupted, and checks that the key-encryption key is the one in use.
func Open(ctx context.Context, c Config) (*Vault, error) {
	if c.KEK == nil || c.Store == nil || c.Clock == nil || c.IDs == nil {
		return nil, fault.New(fault.Internal, "a vault needs a key-encryption key, a store, a clock and identifiers")
	}
	bound := or(c.MaxKeys, 1<<16)
	v := &Vault{
		store: c.Store, clock: c.Clock, ids: c.IDs,
		maxSeals: or(c.MaxSeals, 1<<28), grace: or(c.Grace, 5*time.Minute), patience: or(c.Patience, 10*time.Second),
		epochs: newCache[ids.Key, *epochKey](bound), current: newCache[slot, *epochKey](bound), coming: newCache[slot, *epochKey](bound),
		tenants: newCache[ids.Key, *tenantKey](bound), indexes: newCache[ids.Tenant, *indexKey](bound),
	}
	v.scratch.New = func() any { b := make([]byte, 0, 128); return &b }
	v.wrappers.Store(&wrappers{now: c.KEK, former: c.Former})
	if err := v.store.start(ctx); err != nil {
		return nil, fault.Wrap(err, "open the key store")
	}
	if err := v.checkKEK(ctx); err != nil {
		return nil, fault.Wrap(err, "open the vault")
	}
	v.life, v.stop = context.WithCancel(context.WithoutCancel(ctx))
	return v, nil
}

// Close ends what waits for the key store. The vault must not be used after it.
func (v *Vault) Close() { v.stop() }

// checkKEK opens or makes the platform's own key, so that a wrong
// key-encryption key shows at start and not at the first message.
func (v *Vault) checkKEK(ctx context.Context) error {
	_, err := v.index(ctx, 0)
	return err
}

func (v *Vault) lock(tenant ids.Tenant) *sync.Mutex {
	h := uint64(tenant) * 0x9e3779b97f4a7c15 // the identifiers' low bits repeat
	return &v.making[h>>58]
}

// reach runs work that may have to go to the key store.
func (v *Vault) reach(work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(v.life, v.patience)
	defer cancel()
	return work(ctx)
}

// now is the class's present epoch.
func (v *Vault) now(c Class) number { return c.numberOf(v.clock.Now()) }

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
