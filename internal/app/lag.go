package app

import (
	"context"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
)

// keyUntil is by when the key is destroyed under which a waiting message's key
// lies wrapped.
func (h *House) keyUntil(ctx context.Context, t ids.Tenant, x probes.Ciphertext) (time.Time, error) {
	all, err := h.vault.Epochs(ctx, t)
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range all {
		if e.Key == vault.KeyOf(x.Key) && e.Class == vault.Transit {
			return e.Ends.Add(transitGone), nil
		}
	}
	return time.Time{}, fault.New(fault.Internal, "the canary's key does not lie under one that is destroyed soon")
}

// transitKeys counts the transit keys of every customer in both copies of the
// key store, and those that should have been destroyed.
func (h *House) transitKeys(ctx context.Context) (all, overdue int, err error) {
	tenants, err := h.vault.Tenants(ctx)
	if err != nil {
		return 0, 0, err
	}
	now := h.Clock.Now()
	for _, t := range tenants {
		epochs, err := h.vault.Epochs(ctx, t)
		if err != nil {
			return 0, 0, err
		}
		for _, e := range epochs {
			if e.Class != vault.Transit {
				continue
			}
			if all++; now.After(e.Ends.Add(transitGone)) {
				overdue++
			}
		}
	}
	return all, overdue, nil
}

// opens tries a wrapped key of a message with what the key store holds today.
func (h *House) opens(ctx context.Context, t ids.Tenant, m ids.Message, wrapped []byte) (bool, error) {
	if err := h.vault.Refresh(ctx); err != nil { // what was destroyed may be in memory
		return false, err
	}
	_, err := h.vault.Unwrap(t, h.queue.KeyPlace(m), wrapped)
	if fault.Is(err, fault.Gone) {
		return false, nil
	}
	return err == nil, err
}
