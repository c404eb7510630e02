package hold

import (
	"context"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Outlive makes a customer's holds survive the customer's keys: what they hold is
// copied a last time, and their own keys are wrapped under the platform's. What
// was released goes. It says how many records stay held. A repeat goes on.
func (s *Store) Outlive(ctx context.Context, of ids.Tenant) (int, error) {
	in := scope.Tenant(of)
	if err := s.Preserve(ctx, in); err != nil {
		return 0, err
	}
	list, err := s.holding(ctx, in)
	if err != nil {
		return 0, err
	}
	kept := 0
	for i := range list {
		h := &list[i]
		if err := s.outlive(ctx, h); err != nil {
			return kept, fault.Wrap(err, "make a hold outlive its customer")
		}
		n, err := s.Count(ctx, *h)
		if err != nil {
			return kept, err
		}
		kept += n
	}
	return kept, nil
}

func (s *Store) outlive(ctx context.Context, h *Hold) error {
	if h.outlives {
		return nil
	}
	key, err := s.keyOf(h)
	if fault.Is(err, fault.Gone) {
		return nil // it kept nothing any more
	}
	if err != nil {
		return err
	}
	wrapped, err := s.Vault.WrapKey(0, vault.Hold, keyAD(h.ID), key)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, "make a hold outlive its customer", func(tx *db.Tx) error {
		// The look-up goes with the customer's keys; Records is gone through instead.
		if _, err := tx.Do(ctx, s.set, "drop_named", h.ID, h.Tenant); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "outlive", h.ID, h.Tenant, h.key, wrapped)
		return err
	})
}

// EachOf gives every record that a customer's holds keep.
func (s *Store) EachOf(ctx context.Context, of ids.Tenant, yield func(ids.Hold, Record) error) error {
	list, err := s.holding(ctx, scope.Tenant(of))
	if err != nil {
		return err
	}
	for i := range list {
		h := &list[i]
		key, err := s.keyOf(h)
		if fault.Is(err, fault.Gone) {
			continue
		}
		if err == nil {
			err = s.walk(ctx, h, key, func(r Record) error { return yield(h.ID, r) })
		}
		if err != nil {
			return fault.Wrap(err, "read what a customer's holds keep")
		}
	}
	return nil
}

// walk gives the records of one hold, page by page.
func (s *Store) walk(ctx context.Context, h *Hold, key vault.Key, yield func(Record) error) error {
	for last := (Record{}); ; {
		list, err := s.open(ctx, h, key, "records", h.ID, h.Tenant, last.Message, last.ID, page)
		if err != nil {
			return err
		}
		for _, r := range list {
			last = r
			if err := yield(r); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
	}
}

// Drop removes what released holds of an ended customer left.
func (s *Store) Drop(ctx context.Context, of ids.Tenant) (int, error) {
	if _, err := s.Sweep(ctx); err != nil {
		return 0, err
	}
	var n int64
	err := s.DB.Change(ctx, "drop a customer's released holds", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "drop_bare", of)
		return err
	})
	return int(n), fault.Wrap(err, "drop a customer's released holds")
}

// search finds a person in a hold that outlived its customer: nothing but its
// records is left to look into.
func (s *Store) search(ctx context.Context, h *Hold, x pledge.Subject, yield func(*Hold, []ids.Message) error) error {
	key, err := s.keyOf(h)
	if fault.Is(err, fault.Gone) {
		return nil
	}
	if err != nil {
		return err
	}
	var found []ids.Message
	err = s.walk(ctx, h, key, func(r Record) error {
		if r.names(x) && !slices.Contains(found, r.Message) {
			found = append(found, r.Message)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	return yield(h, found)
}

// names reports whether a record holds the person's address.
func (r *Record) names(x pledge.Subject) bool {
	if !x.Before.IsZero() && !r.Message.Time().Before(x.Before) {
		return false
	}
	who := strings.ToLower(x.Address.Text())
	return slices.ContainsFunc(r.Fields, func(f Field) bool { return strings.Contains(strings.ToLower(f.Value), who) })
}
