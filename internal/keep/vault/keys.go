package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// epochKey seals what one tenant writes into one class in one epoch.
type epochKey struct {
	id     ids.Key
	tenant ids.Tenant
	class  Class
	number number
	aead   cipher.AEAD
	seals  atomic.Uint64
}

func (k *epochKey) ends() time.Time { return k.class.start(k.number + 1) }

type tenantKey struct {
	id     ids.Key
	tenant ids.Tenant
	aead   cipher.AEAD
}

const indexFile = "index"

func tenantFile(id ids.Key) string     { return fmt.Sprintf("t-%016x", uint64(id)) }
func epochPrefix(id ids.Key) string    { return fmt.Sprintf("e-%016x-", uint64(id)) }
func epochFile(k *epochKey) string     { return epochOf(k).file() }
func soundRecord(content []byte) error { _, err := decodeRecord(content); return err }

// parseEpochFile reads an epoch's place in the tree from its name alone, so that
// listing does not open keys.
func parseEpochFile(tenant ids.Tenant, name string) (Epoch, bool) {
	part := strings.SplitN(name, "-", 4)
	if len(part) != 4 || part[0] != "e" || len(part[1]) != 16 {
		return Epoch{}, false
	}
	var id uint64
	if _, err := fmt.Sscanf(part[1], "%016x", &id); err != nil {
		return Epoch{}, false
	}
	class, err := ParseClass(part[2])
	if err != nil {
		return Epoch{}, false
	}
	starts, err := time.Parse(class.layout(), part[3])
	if err != nil {
		return Epoch{}, false
	}
	return Epoch{Key: ids.Key(id), Tenant: tenant, Class: class, Starts: starts, Ends: starts.Add(class.Length())}, true
}

// sealing gives the key under which a tenant seals now, and counts one seal.
func (v *Vault) sealing(tenant ids.Tenant, class Class) (*epochKey, error) {
	if k, ok := v.fresh(tenant, class); ok {
		return k, nil
	}
	if err := class.check(); err != nil {
		return nil, err
	}
	if tenant < 0 {
		return nil, fault.New(fault.Internal, "a negative tenant")
	}
	var k *epochKey
	err := v.reach(func(ctx context.Context) (err error) { k, err = v.newEpoch(ctx, tenant, class); return err })
	return k, fault.Wrap(err, "make an epoch key")
}

func (v *Vault) fresh(tenant ids.Tenant, class Class) (*epochKey, bool) {
	k, ok := v.current.get(slot{tenant, class})
	if !ok || k.number < v.now(class) || k.seals.Add(1) > v.maxSeals {
		return nil, false
	}
	return k, true
}

// newEpoch makes a key and hands it out only when both copies are durable. A
// restart makes a new one too: how often the last one was used is not known.
func (v *Vault) newEpoch(ctx context.Context, tenant ids.Tenant, class Class) (*epochKey, error) {
	mu := v.lock(tenant)
	mu.Lock()
	defer mu.Unlock()
	if k, ok := v.fresh(tenant, class); ok { // somebody made it while we waited
		return k, nil
	}
	at := slot{tenant, class}
	k, ok := v.coming.get(at)
	if !ok || k.number != v.now(class) || k.seals.Load() > 0 {
		var err error
		if k, err = v.makeEpoch(ctx, tenant, class, v.now(class)); err != nil {
			return nil, err
		}
	}
	k.seals.Add(1)
	v.epochs.put(k.id, k)
	v.current.put(at, k)
	return k, nil
}

// makeEpoch makes a key, durable in both copies. The caller holds the tenant's
// lock.
func (v *Vault) makeEpoch(ctx context.Context, tenant ids.Tenant, class Class, n number) (*epochKey, error) {
	under, err := v.wrappingKey(ctx, tenant)
	if err != nil {
		return nil, err
	}
	k := &epochKey{id: ids.New[ids.Key](v.ids), tenant: tenant, class: class, number: n}
	var raw [32]byte
	rand.Read(raw[:])
	if k.aead, err = newAEAD(raw[:]); err != nil {
		return nil, err
	}
	r := &record{kind: kindEpoch, tenant: tenant, class: class, number: k.number, id: k.id, under: underKey(under.id)}
	r.wrapped = under.aead.Seal(nil, nil, raw[:], r.header())
	return k, v.store.put(ctx, folderOf(tenant), epochFile(k), r.encode())
}

// prepareAhead is how long before an epoch's end the next one's keys are made.
func prepareAhead(c Class) time.Duration { return min(time.Hour, c.Length()/6) }

// Prepare makes the coming epochs' keys for those who seal in the present ones,
// shortly before these end: at midnight, or at the hour, nobody waits for a disk,
// and they do not all come at once. Every node calls it every few minutes.
func (v *Vault) Prepare(ctx context.Context) error {
	now := v.clock.Now()
	var due []slot
	v.current.each(func(at slot, k *epochKey) {
		if left := k.ends().Sub(now); left > 0 && left <= prepareAhead(at.class) {
			due = append(due, at)
		}
	})
	for _, at := range due {
		if err := v.prepareOne(ctx, at, at.class.numberOf(now)+1); err != nil && !fault.Is(err, fault.Gone) {
			return fault.Wrap(err, "make the coming epochs' keys")
		}
	}
	return nil
}

func (v *Vault) prepareOne(ctx context.Context, at slot, n number) error {
	mu := v.lock(at.tenant)
	mu.Lock()
	defer mu.Unlock()
	if k, ok := v.coming.get(at); ok && k.number == n {
		return nil
	}
	k, err := v.makeEpoch(ctx, at.tenant, at.class, n)
	if err == nil {
		v.coming.put(at, k)
	}
	return err
}

// wrappingKey gives a tenant's newest key, or makes its first. It asks the store
// each time, because another node may have rotated. The caller holds the
// tenant's lock.
func (v *Vault) wrappingKey(ctx context.Context, tenant ids.Tenant) (*tenantKey, error) {
	found, err := v.store.keys(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if found.has(gone) {
		return nil, goneFault("The customer's keys were destroyed.")
	}
	if id := newestTenantKey(found); id != 0 {
		return v.tenantKey(ctx, tenant, id)
	}
	if found.doubt != nil {
		return nil, found.doubt
	}
	return v.newTenantKey(ctx, tenant, ids.New[ids.Key](v.ids))
}

func newestTenantKey(found listing) (newest ids.Key) {
	for _, name := range found.names {
		if id, ok := parseTenantFile(name); ok {
			newest = max(newest, id)
		}
	}
	return newest
}

func parseTenantFile(name string) (ids.Key, bool) {
	var id uint64
	rest, ok := strings.CutPrefix(name, "t-")
	if !ok || len(rest) != 16 {
		return 0, false
	}
	_, err := fmt.Sscanf(rest, "%016x", &id)
	return ids.Key(id), err == nil
}

func (v *Vault) newTenantKey(ctx context.Context, tenant ids.Tenant, id ids.Key) (*tenantKey, error) {
	var raw [32]byte
	rand.Read(raw[:])
	k := &tenantKey{id: id, tenant: tenant}
	var err error
	if k.aead, err = newAEAD(raw[:]); err != nil {
		return nil, err
	}
	kek := v.wrappers.Load().now
	r := &record{kind: kindTenant, tenant: tenant, id: k.id, under: kek.ID()}
	if r.wrapped, err = kek.Wrap(ctx, raw[:], r.header()); err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The key-encryption key cannot be reached.")
	}
	if err := v.store.put(ctx, folderOf(tenant), tenantFile(k.id), r.encode()); err != nil {
		return nil, err
	}
	v.tenants.put(k.id, k)
	return k, nil
}

func (v *Vault) tenantKey(ctx context.Context, tenant ids.Tenant, id ids.Key) (*tenantKey, error) {
	if k, ok := v.tenants.get(id); ok {
		if k.tenant != tenant {
			return nil, tampered("a record names another customer's key")
		}
		return k, nil
	}
	r, err := v.readRecord(ctx, tenant, tenantFile(id))
	if err != nil {
		return nil, err
	}
	raw, err := v.unwrapTenant(ctx, r)
	if err != nil {
		return nil, err
	}
	k := &tenantKey{id: id, tenant: tenant}
	if k.aead, err = newAEAD(raw); err != nil {
		return nil, err
	}
	v.tenants.put(id, k)
	return k, nil
}

func (v *Vault) unwrapTenant(ctx context.Context, r *record) ([]byte, error) {
	kek, err := v.wrappers.Load().named(r.under)
	if err != nil {
		return nil, err
	}
	raw, err := kek.Unwrap(ctx, r.wrapped, r.header())
	if err != nil || len(raw) != 32 {
		return nil, fault.Because(fault.Unavailable, err, "The key-encryption key does not open a customer's key.").
			WithHint("The key store was damaged or changed by hand; bring its newest state back.")
	}
	return raw, nil
}

func (v *Vault) readRecord(ctx context.Context, tenant ids.Tenant, file string) (*record, error) {
	content, err := v.store.get(ctx, folderOf(tenant), file, soundRecord)
	if err != nil {
		return nil, err
	}
	r, err := decodeRecord(content)
	if err != nil {
		return nil, err
	}
	if r.tenant != tenant {
		return nil, tampered("a record of the key store lies with another customer")
	}
	return r, nil
}

// opening gives the key that sealed something.
func (v *Vault) opening(tenant ids.Tenant, id ids.Key) (*epochKey, error) {
	k, ok := v.epochs.get(id)
	if !ok {
		err := v.reach(func(ctx context.Context) (err error) { k, err = v.loadEpoch(ctx, tenant, id); return err })
		if err != nil {
			return nil, fault.Wrap(err, "load an epoch key")
		}
	}
	if k.tenant != tenant {
		return nil, tampered("the key is another customer's")
	}
	return k, nil
}

func (v *Vault) loadEpoch(ctx context.Context, tenant ids.Tenant, id ids.Key) (*epochKey, error) {
	found, err := v.store.keys(ctx, tenant)
	if err != nil {
		return nil, err
	}
	name := found.find(epochPrefix(id))
	epoch, ok := parseEpochFile(tenant, name)
	switch {
	case !ok && found.doubt != nil:
		return nil, found.doubt
	case !ok:
		return nil, goneFault("The key was destroyed: what it sealed cannot be read any more.")
	}
	raw, err := v.unwrapEpoch(ctx, tenant, name)
	if err != nil {
		// A destruction may have been under way: it overwrites before it unlinks.
		if found, again := v.store.keys(ctx, tenant); again == nil && found.doubt == nil && !found.has(name) {
			err = goneFault("The key was destroyed: what it sealed cannot be read any more.")
		}
		return nil, err
	}
	k := &epochKey{id: id, tenant: tenant, class: epoch.Class, number: epoch.Class.numberOf(epoch.Starts)}
	if k.aead, err = newAEAD(raw); err != nil {
		return nil, err
	}
	v.epochs.put(id, k)
	return k, nil
}

// unwrapEpoch opens a record under its tenant key. A rotation may move the
// record and destroy the old tenant key between the two reads; then the record
// is read again.
func (v *Vault) unwrapEpoch(ctx context.Context, tenant ids.Tenant, name string) (raw []byte, err error) {
	for range 3 {
		var r *record
		if r, err = v.readRecord(ctx, tenant, name); err != nil {
			break
		}
		if raw, err = v.unwrapUnderTenant(ctx, r); !fault.Is(err, fault.NotFound) {
			return raw, err
		}
	}
	if fault.Is(err, fault.NotFound) {
		return nil, goneFault("The key was destroyed: what it sealed cannot be read any more.")
	}
	return nil, err
}

func (v *Vault) unwrapUnderTenant(ctx context.Context, r *record) ([]byte, error) {
	id, err := r.tenantKeyID()
	if err != nil {
		return nil, err
	}
	under, err := v.tenantKey(ctx, r.tenant, id)
	if err != nil {
		return nil, err
	}
	raw, err := under.aead.Open(nil, nil, r.wrapped, r.header())
	if err != nil || len(raw) != 32 {
		return nil, tampered("a record of the key store does not open under its customer's key")
	}
	return raw, nil
}

// index gives a tenant's key for look-ups. It is made once, by one node: a
// second one would find nothing that the first one hashed.
func (v *Vault) index(ctx context.Context, tenant ids.Tenant) (*indexKey, error) {
	if k, ok := v.indexes.get(tenant); ok {
		return k, nil
	}
	mu := v.lock(tenant)
	mu.Lock()
	defer mu.Unlock()
	raw, err := v.unwrapEpoch(ctx, tenant, indexFile)
	if fault.Is(err, fault.Gone) {
		raw, err = v.newIndex(ctx, tenant)
	}
	if err != nil {
		return nil, err
	}
	k := &indexKey{key: [32]byte(raw)}
	v.indexes.put(tenant, k)
	return k, nil
}

func (v *Vault) newIndex(ctx context.Context, tenant ids.Tenant) ([]byte, error) {
	under, err := v.wrappingKey(ctx, tenant)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	r := &record{kind: kindIndex, tenant: tenant, id: ids.New[ids.Key](v.ids), under: underKey(under.id)}
	r.wrapped = under.aead.Seal(nil, nil, raw, r.header())
	err = v.store.putNew(ctx, folderOf(tenant), indexFile, r.encode())
	if fault.Is(err, fault.Conflict) { // another node was first
		return v.unwrapEpoch(ctx, tenant, indexFile)
	}
	return raw, err
}
