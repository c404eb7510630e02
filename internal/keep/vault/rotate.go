package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// RotateKEK wraps every tenant's key under another key-encryption key, while
// others seal and open. Other nodes must know both (Config.KEK and
// Config.Former) before it is called. It may be repeated after a crash. The old
// key-encryption key is needed until it has returned, and for backups of the key
// store taken before.
func (v *Vault) RotateKEK(ctx context.Context, next Wrapper) error {
	v.admin.Lock()
	defer v.admin.Unlock()
	before := v.wrappers.Load()
	if before.now.ID() != next.ID() {
		v.wrappers.Store(&wrappers{now: next, former: slices.Concat([]Wrapper{before.now}, before.former)})
	}
	tenants, err := v.store.tenants(ctx)
	if err != nil {
		return fault.Wrap(err, "list the customers with keys")
	}
	for _, tenant := range tenants {
		if err := v.rewrapTenantKeys(ctx, tenant, next); err != nil {
			return fault.Wrap(err, "wrap a customer's keys again")
		}
	}
	return nil
}

// LearnKEK lets this vault open what is wrapped under another key-encryption key,
// and goes on wrapping under its own. Where several nodes share a key store each
// learns the next key before the first rotates.
func (v *Vault) LearnKEK(next Wrapper) {
	v.admin.Lock()
	defer v.admin.Unlock()
	before := v.wrappers.Load()
	if _, err := before.named(next.ID()); err != nil {
		v.wrappers.Store(&wrappers{now: before.now, former: slices.Concat(before.former, []Wrapper{next})})
	}
}

// WrapFile wraps what lies beside the keys under the key-encryption key of now,
// whose id it returns; UnwrapFile opens it. They are for small files that must
// be read before any key is.
func (v *Vault) WrapFile(ctx context.Context, plain, ad []byte) (id string, wrapped []byte, err error) {
	now := v.wrappers.Load().now
	wrapped, err = now.Wrap(ctx, plain, ad)
	return now.ID(), wrapped, err
}

// UnwrapFile opens what WrapFile wrapped under the key with an id.
func (v *Vault) UnwrapFile(ctx context.Context, id string, wrapped, ad []byte) ([]byte, error) {
	w, err := v.wrappers.Load().named(id)
	if err != nil {
		return nil, err
	}
	return w.Unwrap(ctx, wrapped, ad)
}

func (v *Vault) rewrapTenantKeys(ctx context.Context, tenant ids.Tenant, next Wrapper) error {
	mu := v.lock(tenant) // a key that is being made may still go under the old one
	mu.Lock()
	defer mu.Unlock()
	found, err := v.store.keys(ctx, tenant)
	if err = errors.Join(err, found.doubt); err != nil {
		return err
	}
	for _, name := range found.names {
		if _, ok := parseTenantFile(name); !ok {
			continue
		}
		r, err := v.readRecord(ctx, tenant, name)
		if err != nil {
			return err
		}
		if r.under == next.ID() {
			continue
		}
		raw, err := v.unwrapTenant(ctx, r)
		if err != nil {
			return err
		}
		r.under = next.ID()
		if r.wrapped, err = next.Wrap(ctx, raw, r.header()); err != nil {
			return fault.Because(fault.Unavailable, err, "The new key-encryption key cannot be reached.")
		}
		if err := v.store.put(ctx, folderOf(tenant), name, r.encode()); err != nil {
			return err
		}
	}
	return nil
}

// RotateTenant gives a customer a new key and wraps everything under it, while
// others seal and open. The old key is destroyed when Config.Grace is over, by
// Sweep; without a grace at once.
func (v *Vault) RotateTenant(ctx context.Context, tenant ids.Tenant) error {
	v.admin.Lock()
	defer v.admin.Unlock()
	old, err := v.replaceTenantKey(ctx, tenant)
	if err != nil {
		return fault.Wrap(err, "make a new key for the customer")
	}
	if err := v.moveUnder(ctx, tenant); err != nil {
		return fault.Wrap(err, "wrap the customer's epoch keys again")
	}
	since := strconv.FormatInt(v.clock.Now().UnixMicro(), 10)
	for _, id := range old {
		if err := v.store.put(ctx, retired, fileOfKey(tenant, id), []byte(since)); err != nil {
			return fault.Wrap(err, "retire the customer's old key")
		}
	}
	if v.grace < 0 {
		return v.endRetired(ctx)
	}
	return nil
}

func (v *Vault) replaceTenantKey(ctx context.Context, tenant ids.Tenant) (old []ids.Key, err error) {
	mu := v.lock(tenant)
	mu.Lock()
	defer mu.Unlock()
	found, err := v.store.keys(ctx, tenant)
	if err = errors.Join(err, found.doubt); err != nil {
		return nil, err
	}
	if found.has(gone) {
		return nil, goneFault("The customer's keys were destroyed.")
	}
	for _, name := range found.names {
		if id, ok := parseTenantFile(name); ok {
			old = append(old, id)
		}
	}
	id := ids.New[ids.Key](v.ids)
	if newestTenantKey(found) > id {
		// Nodes wrap under the newest, which must be the one that stays.
		return nil, fault.New(fault.Conflict, "Another node made a key that is newer than one made now.").WithHint("Rotate again; if it stays so, set the nodes' clocks right.")
	}
	_, err = v.newTenantKey(ctx, tenant, id)
	return old, err
}

// moveUnder wraps each of a tenant's records under its newest key.
func (v *Vault) moveUnder(ctx context.Context, tenant ids.Tenant) error {
	found, err := v.store.keys(ctx, tenant)
	if err = errors.Join(err, found.doubt); err != nil {
		return err
	}
	if found.has(gone) {
		return goneFault("The customer's keys were destroyed.")
	}
	to, err := v.tenantKey(ctx, tenant, newestTenantKey(found))
	if err != nil {
		return err
	}
	for _, name := range found.names {
		if _, ok := parseEpochFile(tenant, name); !ok && name != indexFile {
			continue
		}
		if err := v.moveRecord(ctx, tenant, name, to); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) moveRecord(ctx context.Context, tenant ids.Tenant, name string, to *tenantKey) error {
	r, err := v.readRecord(ctx, tenant, name)
	if err != nil || r.under == underKey(to.id) {
		return err
	}
	raw, err := v.unwrapUnderTenant(ctx, r)
	if err != nil {
		return err
	}
	r.under = underKey(to.id)
	r.wrapped = to.aead.Seal(nil, nil, raw, r.header())
	return v.store.put(ctx, folderOf(tenant), name, r.encode())
}

func (v *Vault) endRetired(ctx context.Context) error {
	found, err := v.store.list(ctx, retired)
	if err = errors.Join(err, found.doubt); err != nil {
		return fault.Wrap(err, "list retired keys")
	}
	for _, file := range found.names {
		if err := v.endOne(ctx, file); err != nil {
			return fault.Wrap(err, "destroy a retired key")
		}
	}
	return nil
}

func (v *Vault) endOne(ctx context.Context, file string) error {
	var tenant, id uint64
	if _, err := fmt.Sscanf(file, "%016x-%016x", &tenant, &id); err != nil {
		return fault.Because(fault.Internal, err, "a stray file lies among the retired keys")
	}
	content, err := v.store.get(ctx, retired, file, func([]byte) error { return nil })
	if fault.Is(err, fault.NotFound) {
		return nil // another node ended it
	}
	if err != nil {
		return err
	}
	since, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err == nil && v.clock.Now().Sub(time.UnixMicro(since)) < v.grace {
		return nil
	}
	// A node that was just writing may have wrapped one more under the old key.
	if err := v.moveUnder(ctx, ids.Tenant(tenant)); err != nil && !fault.Is(err, fault.Gone) {
		return err
	}
	name := tenantFile(ids.Key(id))
	if err := v.store.destroy(ctx, ids.Tenant(tenant), ids.New[ids.Key](v.ids), []string{name}); err != nil {
		return err
	}
	if err := v.store.remove(ctx, retired, file); err != nil {
		return err
	}
	v.tenants.drop(func(k ids.Key, _ *tenantKey) bool { return k == ids.Key(id) })
	return nil
}
