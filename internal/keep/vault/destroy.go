package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Epochs lists a tenant's epoch keys, oldest first.
func (v *Vault) Epochs(ctx context.Context, tenant ids.Tenant) ([]Epoch, error) {
	found, err := v.store.keys(ctx, tenant)
	if err = errors.Join(err, found.doubt); err != nil {
		return nil, fault.Wrap(err, "list epoch keys")
	}
	var epochs []Epoch
	for _, name := range found.names {
		if e, ok := parseEpochFile(tenant, name); ok {
			epochs = append(epochs, e)
		}
	}
	slices.SortStableFunc(epochs, func(x, y Epoch) int { return x.Starts.Compare(y.Starts) })
	return epochs, nil
}

// Tenants lists everybody who has keys, the platform (0) included.
func (v *Vault) Tenants(ctx context.Context) ([]ids.Tenant, error) {
	list, err := v.store.tenants(ctx)
	return list, fault.Wrap(err, "list the customers with keys")
}

// Destroy ends the epochs of a class that had ended at a time, which is now at
// the latest, and lists them.
func (v *Vault) Destroy(ctx context.Context, tenant ids.Tenant, class Class, by time.Time) ([]Epoch, error) {
	if by.After(v.clock.Now()) {
		return nil, inUse()
	}
	all, err := v.Epochs(ctx, tenant)
	if err != nil {
		return nil, err
	}
	due := slices.DeleteFunc(all, func(e Epoch) bool { return e.Class != class || e.Ends.After(by) })
	if len(due) == 0 {
		return nil, nil
	}
	return due, v.DestroyEpochs(ctx, tenant, due)
}

func inUse() error {
	return fault.New(fault.Internal, "the present epoch is in use; it cannot be destroyed alone")
}

// DestroyEpochs ends epochs that Epochs listed and whose time is over. When it
// returns they are overwritten and unlinked in both copies and this node has
// forgotten them; other nodes forget at their next Refresh, for which a
// certificate waits. A call that a crash interrupted is finished by the next Open
// or by calling again. One node at a time, the leader, destroys and rotates.
func (v *Vault) DestroyEpochs(ctx context.Context, tenant ids.Tenant, due []Epoch) error {
	if len(due) == 0 {
		return nil
	}
	v.admin.Lock()
	defer v.admin.Unlock()
	names := make([]string, len(due))
	dead := make(map[ids.Key]bool, len(due))
	for i, e := range due {
		if e.Tenant != tenant || e.Ends.After(v.clock.Now()) {
			return inUse()
		}
		names[i], dead[e.Key] = e.file(), true
	}
	if err := v.store.destroy(ctx, tenant, ids.New[ids.Key](v.ids), names); err != nil {
		return fault.Wrap(err, "destroy epoch keys")
	}
	v.forget(func(k *epochKey) bool { return dead[k.id] })
	return nil
}

// DestroyTenant ends every key of a customer for good: what any of them sealed
// is unreadable in every copy, and nothing is sealed for the customer again.
func (v *Vault) DestroyTenant(ctx context.Context, tenant ids.Tenant) error {
	if tenant <= 0 {
		return fault.New(fault.Internal, "the platform's own keys are not destroyed")
	}
	v.admin.Lock()
	defer v.admin.Unlock()
	mu := v.lock(tenant) // nobody makes a key in between
	mu.Lock()
	defer mu.Unlock()
	if err := v.store.put(ctx, folderOf(tenant), gone, []byte(gone)); err != nil {
		return fault.Wrap(err, "mark the customer's keys as destroyed")
	}
	found, err := v.store.keys(ctx, tenant)
	if err = errors.Join(err, found.doubt); err != nil {
		return fault.Wrap(err, "list the customer's keys")
	}
	names := slices.DeleteFunc(found.names, func(n string) bool { return n == gone })
	if err := v.store.destroy(ctx, tenant, ids.New[ids.Key](v.ids), names); err != nil {
		return fault.Wrap(err, "destroy the customer's keys")
	}
	v.forgetTenant(tenant)
	return nil
}

func (v *Vault) forget(dead func(*epochKey) bool) {
	v.current.drop(func(_ slot, k *epochKey) bool { return dead(k) })
	v.coming.drop(func(_ slot, k *epochKey) bool { return dead(k) })
	v.epochs.drop(func(_ ids.Key, k *epochKey) bool { return dead(k) })
}

func (v *Vault) forgetTenant(tenant ids.Tenant) {
	v.forget(func(k *epochKey) bool { return k.tenant == tenant })
	v.tenants.drop(func(_ ids.Key, k *tenantKey) bool { return k.tenant == tenant })
	v.indexes.drop(func(t ids.Tenant, _ *indexKey) bool { return t == tenant })
}

// Refresh drops from memory what is no longer in the store. Every node calls it
// at least each 30 s, so that a destroyed key, also one that was just being
// loaded, is forgotten within 60 s. An error means that one may still be in
// this node's memory.
func (v *Vault) Refresh(ctx context.Context) error {
	now := v.clock.Now()
	over := func(_ slot, k *epochKey) bool { return !k.ends().After(now) }
	v.current.drop(over)
	v.coming.drop(over)
	// What is in memory is listed before the store is, so that a key made in
	// between is not taken for a destroyed one.
	for tenant, held := range v.inMemory() {
		found, err := v.store.keys(ctx, tenant)
		if err = errors.Join(err, found.doubt); err != nil {
			return fault.Wrap(err, "refresh the keys in memory")
		}
		if found.has(gone) {
			v.forgetTenant(tenant)
			continue
		}
		dead := map[ids.Key]bool{}
		for id, file := range held {
			dead[id] = !found.has(file)
		}
		v.forget(func(k *epochKey) bool { return dead[k.id] })
		v.tenants.drop(func(id ids.Key, _ *tenantKey) bool { return dead[id] })
	}
	return nil
}

// inMemory gives the records behind every cached key, by tenant.
func (v *Vault) inMemory() map[ids.Tenant]map[ids.Key]string {
	held := map[ids.Tenant]map[ids.Key]string{}
	of := func(t ids.Tenant) map[ids.Key]string {
		if held[t] == nil {
			held[t] = map[ids.Key]string{}
		}
		return held[t]
	}
	v.epochs.each(func(id ids.Key, k *epochKey) { of(k.tenant)[id] = epochFile(k) })
	v.current.each(func(_ slot, k *epochKey) { of(k.tenant)[k.id] = epochFile(k) })
	v.coming.each(func(_ slot, k *epochKey) { of(k.tenant)[k.id] = epochFile(k) })
	v.tenants.each(func(id ids.Key, k *tenantKey) { of(k.tenant)[id] = tenantFile(id) })
	v.indexes.each(func(t ids.Tenant, _ *indexKey) { of(t) })
	return held
}

// Sweep is the leader's regular duty: it destroys rotated keys whose grace is
// over, and gives each copy of the key store what only the other one has.
func (v *Vault) Sweep(ctx context.Context) error {
	v.admin.Lock()
	defer v.admin.Unlock()
	if err := v.endRetired(ctx); err != nil {
		return err
	}
	_, err := v.store.mend(ctx)
	return fault.Wrap(err, "mend the copies of the key store")
}
