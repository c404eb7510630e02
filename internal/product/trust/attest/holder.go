package attest

import (
	"context"
	"slices"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// Category is what attestations are in the inventory.
const Category = "attestations"

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Staff,
		What:    "what people attest: training, screening and secrecy of staff; audits, tests, reports of providers; with the file on which it rests",
		Purpose: "show what no probe can see", For: pledge.ToSecure, Basis: pledge.LegitimateInterest,
		Period: pledge.Period{Ceiling: 3 * 365 * 24 * time.Hour, From: "the attestation's end"},
		Found:  "the user's id", Erasing: pledge.Delete,
	}},
	Places: slices.Concat(
		pledge.Columns(Category, false, "attestation", "id", "tenant", "kind", "user_id", "issued", "until", "created", "withdrawn"),
		pledge.Columns(Category, true, "attestation", "sealed"),
		pledge.Columns(Category, false, "attestation_file", "id", "tenant"),
		pledge.Columns(Category, true, "attestation_file", "sealed"),
	),
}

// UserOf finds the user with an address, or NotFound.
type UserOf func(context.Context, scope.Scope, address.Address) (ids.User, error)

var _ pledge.Holder = (*Store)(nil)

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return Category }

// of gives a person's own attestations.
func (s *Store) of(ctx context.Context, x pledge.Subject) ([]Attestation, error) {
	if s.User == nil {
		return nil, nil
	}
	user, err := s.User(ctx, x.Scope, x.Address)
	if fault.Is(err, fault.NotFound) || err == nil && user == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, own := x.Scope.Args()
	list, err := s.read(ctx, "of_user", all, own, user)
	return list, fault.Wrap(err, "find a person's attestations")
}

// Find implements pledge.Holder.
func (s *Store) Find(ctx context.Context, x pledge.Subject) ([]pledge.Trace, error) {
	list, err := s.of(ctx, x)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Trace{{Category: Category, Holder: s.HolderName(), Count: len(list), First: list[0].Created, Last: list[len(list)-1].Created}}, nil
}

// HandOver implements pledge.Holder.
func (s *Store) HandOver(ctx context.Context, x pledge.Subject, yield func(pledge.Record) error) error {
	list, err := s.of(ctx, x)
	for _, a := range list {
		if err == nil {
			err = yield(pledge.Record{Category: Category, ID: a.ID.String(), At: a.Created, Fields: map[string]string{
				"kind": string(a.Kind), "note": a.Note, "file": a.File.Name, "from": a.Issued.UTC().Format(time.RFC3339), "until": a.Until.UTC().Format(time.RFC3339),
			}})
		}
	}
	return err
}

// Correct implements pledge.Holder: an attestation stays what was attested; a
// wrong one is withdrawn and entered anew.
func (s *Store) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: they are only stored, and asked for.
func (s *Store) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder.
func (s *Store) Erase(ctx context.Context, x pledge.Subject) ([]pledge.Erased, error) {
	list, err := s.of(ctx, x)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	n, err := s.Forget(ctx, x.Scope, list[0].User)
	return []pledge.Erased{{Category: Category, Count: n}}, err
}

// Forget removes a person's attestations, with the account.
func (s *Store) Forget(ctx context.Context, in scope.Scope, user ids.User) (int, error) {
	all, own := in.Args()
	return s.remove(ctx, [2]string{"drop_user_files", "drop_user"}, all, own, user)
}

// Purge removes attestations that ended before a moment.
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	return s.remove(ctx, [2]string{"purge_files", "purge"}, clock.Micros(before))
}

func (s *Store) remove(ctx context.Context, queries [2]string, args ...any) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "remove attestations", func(tx *db.Tx) (err error) {
		for _, q := range queries {
			if n, err = tx.Do(ctx, s.set, q, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return int(n), fault.Wrap(err, "remove attestations")
}

// Oldest is the end of the oldest attestation, or zero.
func (s *Store) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.set.One(ctx, "oldest", nil, &at)
	if err != nil || at == 0 {
		return time.Time{}, fault.Wrap(err, "find the oldest attestation")
	}
	return clock.FromMicros(at), nil
}
