// Package leader gives each named duty to one of the processes that share a
// database. It promises that the database's clock alone judges the lease, that
// the token grows with each leader, and that a transaction which checks its Term
// cannot commit for a leader whose time is over. What the duty is, and making it
// harmless where it acts outside the database, is left to the caller.
package leader

import (
	"context"
	_ "embed" // the package's table
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/service"
	"mailvow/internal/keep/db"
)

//go:embed leader.sql
var schema string

// Schema is what the database must be opened with.
var Schema = db.Schema{Package: "keep/leader", SQL: schema}

// Declaration is what the package stores.
var Declaration = pledge.Declaration{
	Package: "keep/leader",
	Categories: []pledge.Category{{
		Name: "leader operation", About: pledge.Nobody, What: "which process leads a duty, and until when", Purpose: "one process at a time does what must not be done twice", For: pledge.ToRun,
		Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("leader operation", false, "leader_duty", "duty", "instance", "token", "until"),
}

// Lease is how long a leader that fell silent is waited for.
const Lease = 15 * time.Second

// Election runs duties.
type Election struct {
	db    *db.DB
	set   *db.Set
	clock clock.Clock
	log   *observe.Observer
}

// New makes an election over one database.
func New(d *db.DB, c clock.Clock, o *observe.Observer) *Election {
	return &Election{db: d, set: d.Set("keep/leader"), clock: c, log: o.For("keep/leader")}
}

// Term is one leader's time in a duty.
type Term struct {
	election *Election
	duty     string
	token    int64
}

// Token grows with each leader of the duty.
func (t Term) Token() int64 { return t.token }

// Check makes the transaction fail with a Conflict if the term is over: the
// first act of every transaction that only the leader may make.
func (t Term) Check(ctx context.Context, tx *db.Tx) error {
	var instance string
	var token int64
	var until time.Time
	if err := tx.One(ctx, t.election.set, "duty", []any{t.duty}, &instance, &token, &until); err != nil {
		return fault.Wrap(err, "check the term of "+t.duty)
	}
	if token != t.token || !tx.Now().Before(until) {
		return fault.Wrap(fault.New(fault.Conflict, "Another process has taken this duty over."), "check the term of "+t.duty)
	}
	return nil
}

// Hold runs f whenever this process leads the duty, until ctx ends. f's context
// ends when the lease is lost; f must return soon after. When f returns by
// itself the duty is given up and, if ctx goes on, sought again after a lease.
func (e *Election) Hold(ctx context.Context, duty string, f func(context.Context, Term) error) error {
	for {
		term, ok, err := e.Take(ctx, duty)
		if err != nil && ctx.Err() == nil {
			e.log.Log.Warn("a duty could not be sought", "duty", duty, "error", err)
		}
		if ok {
			if err := e.lead(ctx, term, f); err != nil && ctx.Err() == nil {
				e.log.Log.Error("a leader failed", "duty", duty, "error", err)
			}
		}
		if clock.Sleep(ctx, e.clock, Lease/3) != nil {
			return nil
		}
	}
}

// Once runs f if nobody leads the duty now, and reports whether it ran: a lock
// among processes, for work that is asked for.
func (e *Election) Once(ctx context.Context, duty string, f func(context.Context, Term) error) (bool, error) {
	term, ok, err := e.Take(ctx, duty)
	if err != nil || !ok {
		return false, err
	}
	return true, e.lead(ctx, term, f)
}

// Take seeks the duty once and reports whether this process leads it now.
func (e *Election) Take(ctx context.Context, duty string) (Term, bool, error) {
	term, taken := Term{election: e, duty: duty}, false
	err := e.db.Change(ctx, "seek the duty "+duty, func(tx *db.Tx) error {
		taken = false
		var instance string
		var until time.Time
		err := tx.One(ctx, e.set, "duty", []any{duty}, &instance, &term.token, &until)
		switch {
		case fault.Is(err, fault.NotFound):
			taken, term.token = true, 1
			_, err = tx.Do(ctx, e.set, "add_duty", duty, e.db.Instance(), tx.Now().Add(Lease))
			return err
		case err != nil:
			return err
		case tx.Now().Before(until) && !e.dead(instance):
			return nil
		}
		taken = true
		term.token++
		_, err = tx.Do(ctx, e.set, "take_duty", duty, e.db.Instance(), tx.Now().Add(Lease))
		return err
	})
	return term, taken && err == nil, err
}

// dead reports that the leader's process cannot live: on SQLite one process owns
// the folder.
func (e *Election) dead(instance string) bool {
	return e.db.Dialect() == db.SQLite && instance != e.db.Instance()
}

// Renew prolongs the term; false means that it is over.
func (t Term) Renew(ctx context.Context) (bool, error) {
	return t.until(ctx, "renew the duty "+t.duty, Lease)
}

// GiveUp ends the term, so that another need not wait.
func (t Term) GiveUp(ctx context.Context) error {
	_, err := t.until(ctx, "give up the duty "+t.duty, 0)
	return err
}

func (t Term) until(ctx context.Context, act string, d time.Duration) (bool, error) {
	mine := false
	err := t.election.db.Change(ctx, act, func(tx *db.Tx) error {
		mine = false
		if err := t.Check(ctx, tx); err != nil {
			if fault.Is(err, fault.Conflict) {
				return nil
			}
			return err
		}
		n, err := tx.Do(ctx, t.election.set, "renew_duty", t.duty, t.token, tx.Now().Add(d))
		mine = n == 1
		return err
	})
	return mine && err == nil, err
}

// lead runs f beside the renewal of its lease and waits for both.
func (e *Election) lead(ctx context.Context, term Term, f func(context.Context, Term) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewal := service.New(ctx, e.log.Log)
	renewal.Go("renew "+term.duty, func(ctx context.Context) error {
		defer cancel()
		return e.renewAll(ctx, term)
	})
	err := service.Guard(func() error { return f(ctx, term) })
	cancel()
	if stopped := renewal.Stop(Lease); err == nil {
		err = stopped
	}
	if given := term.GiveUp(context.WithoutCancel(ctx)); given != nil {
		e.log.Log.Warn("a duty was not given up", "duty", term.duty, "error", given)
	}
	return err
}

// renewAll returns when the lease is lost, or when it could not be renewed for
// so long that it may be.
func (e *Election) renewAll(ctx context.Context, term Term) error {
	renewed := e.clock.Now()
	for {
		if clock.Sleep(ctx, e.clock, Lease/3) != nil {
			return nil
		}
		mine, err := term.Renew(ctx)
		switch {
		case err == nil && !mine:
			return fault.New(fault.Conflict, "The lease of the duty was lost.")
		case err == nil:
			renewed = e.clock.Now()
		case e.clock.Now().Sub(renewed) >= Lease*2/3:
			return fault.Wrap(err, "renew the duty "+term.duty)
		}
	}
}
