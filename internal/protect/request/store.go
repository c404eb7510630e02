package request

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
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

// words are sealed with the platform's key: the case belongs to no customer.
type words struct {
	Address string `json:"address"`
	Note    string `json:"note,omitempty"`

	Identifiers []pledge.Identifier `json:"identifiers,omitempty"`
}

// ruling is sealed with the customer's key.
type ruling struct {
	Reason   string `json:"reason,omitempty"`
	Field    string `json:"field,omitempty"`
	Value    string `json:"value,omitempty"`
	KeepAway bool   `json:"keep_away,omitempty"`
	Theirs   bool   `json:"theirs,omitempty"`
}

func caseRow(id ids.Case) sealed.Row { return sealed.Row{Table: "request_case", ID: int64(id)} }

func shareRow(s *Share) sealed.Row {
	return sealed.Row{Tenant: s.Tenant, Table: "request_share", ID: int64(s.Case)}
}

func resultRow(of ids.Case, t ids.Tenant) sealed.Row {
	return sealed.Row{Tenant: t, Table: "request_share.result", ID: int64(of)}
}

func (d *Desk) hash(a address.Address) ([16]byte, error) {
	h, err := d.Vault.Hash(0, "request address", a.Canonical())
	return h, fault.Wrap(err, "hash an address")
}

// moment reads a column in which zero is never.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return clock.FromMicros(micros)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Micros(t)
}

// cases runs one of the queries that give cases, without their shares.
func (d *Desk) cases(ctx context.Context, query string, args ...any) ([]Case, error) {
	var list []Case
	err := d.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var c Case
		var law string
		var blob []byte
		var received, proved, confirmed, ended int64
		if err := scan(&c.ID, &c.Kind, &law, &c.Source, &c.State, &blob, &received, &proved, &confirmed, &ended); err != nil {
			return err
		}
		c.Received, c.Proved, c.Confirmed, c.Ended = moment(received), moment(proved), moment(confirmed), moment(ended)
		var open words
		err := sealed.Get(d.Vault, caseRow(c.ID), blob, &open)
		if err == nil {
			c.Address, err = address.Parse(open.Address)
		}
		if err == nil {
			c.Law, err = clockOf(c.Kind, law)
		}
		c.Note, c.Identifiers = open.Note, open.Identifiers
		list = append(list, c)
		return err
	})
	return list, err
}

func (d *Desk) shares(ctx context.Context, query string, args ...any) ([]Share, error) {
	var list []Share
	err := d.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var s Share
		var blob []byte
		var due, extended, decided, until int64
		if err := scan(&s.Case, &s.Tenant, &s.State, &due, &extended, &decided, &s.Role, &blob, &until); err != nil {
			return err
		}
		s.Due, s.Extended, s.Decided, s.Until = moment(due), moment(extended), moment(decided), moment(until)
		if blob != nil {
			var open ruling
			err := sealed.Get(d.Vault, shareRow(&s), blob, &open)
			if err != nil && !fault.Is(err, fault.Gone) { // an ended customer's reasons went with its key
				return err
			}
			s.Reason, s.Field, s.Value, s.KeepAway, s.Theirs = open.Reason, open.Field, open.Value, open.KeepAway, open.Theirs
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

// Get gives one case with the shares of the scope; NotFound if it has none.
func (d *Desk) Get(ctx context.Context, in scope.Scope, id ids.Case) (Case, error) {
	all, own := in.Args()
	list, err := d.cases(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such request.")
	}
	if err != nil {
		return Case{}, fault.Wrap(err, "get a request")
	}
	list[0].Shares, err = d.shares(ctx, "shares", all, own, id)
	return list[0], fault.Wrap(err, "get a request")
}

// mostUrgent is how many reports of a child stand ahead of all other cases.
const mostUrgent = 20

// List gives the cases of the scope, newest first, from before (zero: from the
// newest). Open reports of a child stand ahead of all others on the first page, the
// oldest of them first. What nobody proved is not listed.
func (d *Desk) List(ctx context.Context, in scope.Scope, before ids.Case, limit int) ([]Case, error) {
	all, own := in.Args()
	urgent, err := d.cases(ctx, "urgent", all, own, mostUrgent)
	if err != nil {
		return nil, fault.Wrap(err, "list requests")
	}
	first := before == 0
	if first {
		before = 1<<63 - 1
	}
	list, err := d.cases(ctx, "list", all, own, before, limit)
	list = slices.DeleteFunc(list, func(c Case) bool { return slices.ContainsFunc(urgent, func(u Case) bool { return u.ID == c.ID }) })
	if first {
		list = append(urgent, list...)
	}
	list = list[:min(len(list), limit)]
	for i := range list {
		if err != nil {
			break
		}
		list[i].Shares, err = d.shares(ctx, "shares", all, own, list[i].ID)
	}
	return list, fault.Wrap(err, "list requests")
}

// Late counts the scope's shares that are overdue, and those that will be soon.
func (d *Desk) Late(ctx context.Context, in scope.Scope) (overdue, due int, err error) {
	all, own := in.Args()
	now := d.Clock.Now()
	if err = d.set.One(ctx, "late", []any{all, own, clock.Micros(now)}, &overdue); err == nil {
		err = d.set.One(ctx, "late", []any{all, own, clock.Micros(now.Add(soon))}, &due)
	}
	return overdue, due - overdue, fault.Wrap(err, "count late requests")
}

// move moves a case, in a transaction.
func (d *Desk) move(ctx context.Context, tx *db.Tx, id ids.Case, from, to State) error {
	if !from.MayBecome(to) {
		return fault.New(fault.Conflict, "A request that is "+string(from)+" cannot become "+string(to)+".")
	}
	ended := int64(0)
	if to.Ended() {
		ended = clock.Micros(tx.Now())
	}
	n, err := tx.Do(ctx, d.set, "move", id, to, from, ended)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "Somebody else has just moved this request.")
	}
	return err
}

// shift moves a share to its new state, and its case after it.
func (d *Desk) shift(ctx context.Context, tx *db.Tx, from State, s *Share, result []byte) error {
	if !from.MayBecome(s.State) {
		return fault.New(fault.Conflict, "This request is "+string(from)+"; it was decided already.")
	}
	blob, err := sealed.Put(d.Vault, vault.Account, shareRow(s), ruling{s.Reason, s.Field, s.Value, s.KeepAway, s.Theirs})
	if err != nil {
		return err
	}
	if _, err := tx.Do(ctx, d.set, "lock", s.Case); err != nil {
		return err
	}
	n, err := tx.Do(ctx, d.set, "shift", s.Case, s.Tenant, from, s.State, clock.Micros(s.Due), micros(s.Extended), micros(s.Decided), s.Role, blob, result, micros(s.Until))
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "Somebody else has just decided on this request.")
	}
	if err != nil {
		return err
	}
	return d.follow(ctx, tx, s)
}

// follow moves a case after one of its shares: it is extended with the first, and
// ends with the last, as refused only where everybody refused.
func (d *Desk) follow(ctx context.Context, tx *db.Tx, s *Share) error {
	var state State
	var pending, agreed int
	if err := tx.One(ctx, d.set, "state", []any{s.Case}, &state); err != nil {
		return err
	}
	if err := tx.One(ctx, d.set, "pending", []any{s.Case}, &pending); err != nil {
		return err
	}
	if err := tx.One(ctx, d.set, "agreed", []any{s.Case}, &agreed); err != nil {
		return err
	}
	switch {
	case pending == 0 && agreed == 0:
		return d.move(ctx, tx, s.Case, state, Refused)
	case pending == 0:
		return d.move(ctx, tx, s.Case, state, Answered)
	case s.State == Extended && state == Open:
		return d.move(ctx, tx, s.Case, state, Extended)
	}
	return nil
}
