package onward

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/protect/evidence"
)

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return clock.FromMicros(micros)
}

func (d *Desk) read(ctx context.Context, query string, args ...any) ([]Notice, error) {
	var list []Notice
	err := d.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var n Notice
		var blob []byte
		var created, due, next, ended int64
		err := scan(&n.ID, &n.Tenant, &n.Kind, &n.Cause, &n.Case, &n.Route, &n.State, &created, &due, &next, &n.Attempts, &n.Code, &ended, &blob)
		if err != nil {
			return err
		}
		n.Created, n.Due, n.Next, n.Ended = moment(created), moment(due), moment(next), moment(ended)
		err = sealed.Get(d.Vault, row(n.Tenant, n.ID), blob, &n.inside)
		if fault.Is(err, fault.Gone) { // an ended customer's went with its key
			return nil
		}
		n.Host = n.inside.Host
		list = append(list, n)
		return err
	})
	return list, err
}

// Get gives one notice of the scope; NotFound if it has none.
func (d *Desk) Get(ctx context.Context, in scope.Scope, id ids.Onward) (Notice, error) {
	all, own := in.Args()
	list, err := d.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such notice.")
	}
	if err != nil {
		return Notice{}, fault.Wrap(err, "get a notice")
	}
	return list[0], nil
}

// List gives the scope's notices, newest first, from before (zero: from the
// newest); only those that are open where it is asked so.
func (d *Desk) List(ctx context.Context, in scope.Scope, before ids.Onward, limit int, open bool) ([]Notice, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	only := 0
	if open {
		only = 1
	}
	all, own := in.Args()
	list, err := d.read(ctx, "list", all, own, before, only, limit)
	return list, fault.Wrap(err, "list notices")
}

// OfCase gives who was told because of a person's request.
func (d *Desk) OfCase(ctx context.Context, in scope.Scope, id ids.Case) ([]Notice, error) {
	all, own := in.Args()
	list, err := d.read(ctx, "of_request", all, own, id)
	return list, fault.Wrap(err, "list the notices of a request")
}

// Late counts the scope's notices that nobody acknowledged in time.
func (d *Desk) Late(ctx context.Context, in scope.Scope) (late int, err error) {
	all, own := in.Args()
	err = d.set.One(ctx, "late", []any{all, own, clock.Micros(d.Clock.Now())}, &late)
	return late, fault.Wrap(err, "count late notices")
}

// Retry makes an open notice due now.
func (d *Desk) Retry(ctx context.Context, in scope.Scope, id ids.Onward) (Notice, error) {
	n, err := d.open(ctx, in, id)
	if err == nil {
		err = d.DB.Change(ctx, "try a notice again", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, d.set, "soon", id, clock.Micros(d.Clock.Now()))
			return err
		})
	}
	if err != nil {
		return n, fault.Wrap(err, "try a notice again")
	}
	return d.Get(ctx, in, id)
}

// Settle ends an open notice by hand: its recipient was told by other means.
func (d *Desk) Settle(ctx context.Context, in scope.Scope, id ids.Onward, by evidence.Actor) (Notice, error) {
	n, err := d.open(ctx, in, id)
	if err == nil {
		err = d.end(ctx, &n, Settled, n.Code)
	}
	if err == nil {
		err = d.DB.Change(ctx, "record who settled a notice", func(tx *db.Tx) error {
			return d.Stage.Stage(ctx, tx, evidence.Leaf{
				ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: n.Tenant, Body: &evidence.Act{Act: "onward.settle", Target: id.String()},
			})
		})
	}
	if err != nil {
		return n, fault.Wrap(err, "settle a notice")
	}
	d.Nudge()
	return d.Get(ctx, in, id)
}

func (d *Desk) open(ctx context.Context, in scope.Scope, id ids.Onward) (Notice, error) {
	n, err := d.Get(ctx, in, id)
	if err == nil && n.State != Open {
		err = fault.New(fault.Conflict, "This notice is "+string(n.State)+" already.")
	}
	return n, err
}

// Purge removes notices that ended before a time; retention calls it.
func (d *Desk) Purge(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := d.DB.Change(ctx, "purge notices", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, d.set, "purge", clock.Micros(before))
		return err
	})
	return int(n), fault.Wrap(err, "purge notices")
}

// Oldest is when the oldest notice ended, or zero.
func (d *Desk) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := d.set.One(ctx, "oldest", nil, &at)
	return moment(at), fault.Wrap(err, "look for the oldest notice")
}

// Drop removes every notice of a customer: the probes' own, which are nobody's
// proof.
func (d *Desk) Drop(ctx context.Context, t ids.Tenant) error {
	err := d.DB.Change(ctx, "drop notices", func(tx *db.Tx) error { _, err := tx.Do(ctx, d.set, "drop", t); return err })
	return fault.Wrap(err, "drop notices")
}

// HolderName implements pledge.Holder.
func (d *Desk) HolderName() string { return "notices" }

func (d *Desk) held(ctx context.Context, s pledge.Subject) ([]Notice, error) {
	if s.Address.IsNull() {
		return nil, nil
	}
	hash, err := d.hash(s)
	if err != nil {
		return nil, err
	}
	all, own := s.Scope.Args()
	list, err := d.read(ctx, "of_person", all, own, hash)
	some := list[:0]
	for _, n := range list {
		if s.Before.IsZero() || n.Created.Before(s.Before) {
			some = append(some, n)
		}
	}
	return some, fault.Wrap(err, "find a person's notices")
}

// Find implements pledge.Holder.
func (d *Desk) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	list, err := d.held(ctx, s)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Trace{{Category: category, Holder: d.HolderName(), Count: len(list), First: list[0].Created, Last: list[len(list)-1].Created}}, nil
}

// HandOver implements pledge.Holder: which hosts are told what.
func (d *Desk) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	list, err := d.held(ctx, s)
	for _, n := range list {
		fields := map[string]string{"address": n.inside.Address, "event": n.Kind.Event(), "handed_to": n.Host, "state": string(n.State), "due": n.Due.UTC().Format(time.RFC3339)}
		if n.inside.Field != "" {
			fields["field"], fields["value"] = n.inside.Field, n.inside.Value
		}
		if err := yield(pledge.Record{Category: category, ID: n.ID.String(), At: n.Created, Fields: fields}); err != nil {
			return err
		}
	}
	return err
}

// Correct implements pledge.Holder: an event says what it said.
func (d *Desk) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: telling recipients is what the law asks for.
func (d *Desk) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: an open notice keeps the address until its
// recipient acknowledges it, for otherwise nobody could tell it whom it is about.
func (d *Desk) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	all := s
	all.Before = time.Time{}
	list, err := d.held(ctx, all)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Erased{{Category: category, Kept: len(list), Why: "recipients of the data are told (GDPR Art. 17(2), 19); the address goes with their acknowledgement, after 30 days at the latest"}}, nil
}

var _ pledge.Holder = (*Desk)(nil)
