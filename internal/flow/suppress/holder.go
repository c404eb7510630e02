package suppress

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
)

const category = "suppressions"

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return "suppressions" }

// Find implements pledge.Holder. A hash that stayed of an erased person is not
// held about them any more: nobody can read it back.
func (s *Store) Find(ctx context.Context, subject pledge.Subject) ([]pledge.Trace, error) {
	list, err := s.List(ctx, subject.Scope, subject.Address, 0, 0)
	if err != nil || len(list) == 0 || subject.Address.IsNull() {
		return nil, err
	}
	return []pledge.Trace{{Category: category, Holder: s.HolderName(), Count: len(list), First: list[0].Created, Last: list[len(list)-1].Created}}, nil
}

// HandOver implements pledge.Holder.
func (s *Store) HandOver(ctx context.Context, subject pledge.Subject, yield func(pledge.Record) error) error {
	list, err := s.List(ctx, subject.Scope, subject.Address, 0, 0)
	if err != nil || subject.Address.IsNull() {
		return err
	}
	for _, n := range list {
		fields := map[string]string{"address": n.Address.Text(), "reason": string(n.Reason), "source": string(n.Source), "note": n.Note}
		if !n.Until.IsZero() {
			fields["until"] = n.Until.Format(time.RFC3339)
		}
		if err := yield(pledge.Record{Category: category, ID: n.ID.String(), At: n.Created, Fields: fields}); err != nil {
			return err
		}
	}
	return nil
}

// Correct implements pledge.Holder. There is nothing to correct in an address
// that is not written to.
func (s *Store) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: nothing is sent to a restricted person, by
// the scope's customer or, in everybody's scope, by anyone.
func (s *Store) Restrict(ctx context.Context, subject pledge.Subject, on bool) (int, error) {
	if on {
		tenant, _ := subject.Scope.ID()
		_, err := s.Add(ctx, Suppression{Tenant: tenant, Address: subject.Address, Reason: Restricted, Source: FromSubject})
		if err != nil {
			return 0, err
		}
		return 1, nil
	}
	list, err := s.of(ctx, subject.Scope, subject.Address)
	if err != nil {
		return 0, err
	}
	lifted := 0
	err = s.db.Change(ctx, "lift a restriction", func(tx *db.Tx) error {
		lifted = 0
		for _, n := range list {
			if n.Reason != Restricted {
				continue
			}
			count, err := tx.Do(ctx, s.set, "remove_one", n.ID)
			if err != nil {
				return err
			}
			lifted += int(count)
		}
		return nil
	})
	return lifted, fault.Wrap(err, "lift a restriction")
}

// Erase implements pledge.Holder: the sealed address and its notes go; where
// nothing was to be sent to the person, the bare hash stays so that it stays so.
func (s *Store) Erase(ctx context.Context, subject pledge.Subject) ([]pledge.Erased, error) {
	list, err := s.List(ctx, subject.Scope, subject.Address, 0, 0)
	if err != nil || len(list) == 0 || subject.Address.IsNull() {
		return nil, err
	}
	err = s.db.Change(ctx, "erase a person's suppressions", func(tx *db.Tx) error {
		for _, n := range list {
			if _, err := tx.Do(ctx, s.set, "remove_one", n.ID); err != nil {
				return err
			}
			keep := Suppression{Tenant: n.Tenant, Address: subject.Address, Reason: Erased, Source: FromSubject}
			values, err := s.row(&keep, tx.Now())
			if err != nil {
				return err
			}
			if err := tx.One(ctx, s.set, "put", values, &keep.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(err, "erase a person's suppressions")
	}
	return []pledge.Erased{{Category: category, Count: len(list)}}, nil
}

// KeepAway leaves a keyed hash of an erased person, so that they are not written
// to again although nothing else is known of them.
func (s *Store) KeepAway(ctx context.Context, subject pledge.Subject) error {
	tenant, one := subject.Scope.ID()
	if !one {
		tenant = Global
	}
	_, err := s.Add(ctx, Suppression{Tenant: tenant, Address: subject.Address, Reason: Erased, Source: FromSubject})
	return err
}

// Drop removes everything of a customer, what persons asked for too: the probes'
// own.
func (s *Store) Drop(ctx context.Context, tenant ids.Tenant) error {
	err := s.db.Change(ctx, "drop suppressions", func(tx *db.Tx) error { _, err := tx.Do(ctx, s.set, "drop", tenant); return err })
	return fault.Wrap(err, "drop suppressions")
}

var _ pledge.Holder = (*Store)(nil)
