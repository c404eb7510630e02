package queue

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Pause stops deliveries to a destination, of a customer, or of a customer to a
// destination, until a person resumes them.
type Pause struct {
	ID     ids.Job
	Tenant ids.Tenant // zero: of every customer
	Domain string     // "": to every destination
	Reason string
	At     time.Time
	By     Pausers // who paused it; in Pause one of them, the customer if it is not said
	site   int64
}

// Pausers are those who hold a pause: it lasts until each has ended it.
type Pausers uint8

// Who may hold a pause.
const (
	Customer Pausers = 1 << iota
	Operator
)

const pauseTable = "queue_pause"

// Pause begins one. Attempts under way are finished. What is paused already
// stays paused as it was: the answer is the pause in force, with the new reason
// where one is given. A customer gives no reason to what the operator paused.
func (q *Queue) Pause(ctx context.Context, p Pause) (Pause, error) {
	p.ID, p.At, p.By = ids.New[ids.Job](q.IDs), q.Clock.Now(), max(p.By, Customer)
	var err error
	if p.site, err = q.siteBy(p.Domain); err != nil {
		return p, err
	}
	fresh := p
	err = q.DB.Change(ctx, "pause deliveries", func(tx *db.Tx) (err error) {
		p, err = q.pauseIn(ctx, tx, fresh)
		return err
	})
	if err != nil {
		return p, fault.Wrap(err, "pause deliveries")
	}
	return p, q.RefreshPauses(ctx)
}

// pauseIn writes a pause, or finds the one that there is.
func (q *Queue) pauseIn(ctx context.Context, tx *db.Tx, p Pause) (Pause, error) {
	sealed, err := q.sealPause(p)
	if err != nil {
		return p, err
	}
	n, err := tx.Do(ctx, q.set, "add_pause", int64(p.ID), int64(p.Tenant), p.site, clock.Micros(p.At), sealed)
	if err != nil || n == 1 {
		return p, err
	}
	var id, at int64
	if err := tx.One(ctx, q.set, "pause_of", []any{int64(p.Tenant), p.site}, &id, &at, &sealed); err != nil {
		return p, err
	}
	old := Pause{ID: ids.Job(id), Tenant: p.Tenant, site: p.site, At: clock.FromMicros(at)}
	if err := q.openPause(&old, sealed); err != nil {
		return old, err
	}
	before := old
	if p.Reason != "" && (p.By == Operator || old.By == Customer) {
		old.Reason = p.Reason
	}
	if old.By |= p.By; old == before {
		return old, nil
	}
	return old, q.changePause(ctx, tx, old)
}

func (q *Queue) changePause(ctx context.Context, tx *db.Tx, p Pause) error {
	sealed, err := q.sealPause(p)
	if err == nil {
		_, err = tx.Do(ctx, q.set, "change_pause", int64(p.ID), sealed)
	}
	return err
}

func (q *Queue) sealPause(p Pause) ([]byte, error) {
	w := pack.To(nil, 1)
	w.String(p.Domain)
	w.String(p.Reason)
	w.Uint(uint64(p.By))
	sealed, err := q.Vault.Seal(nil, p.Tenant, vault.Platform, vault.AD{Table: pauseTable, Row: int64(p.ID)}, w.Bytes())
	return sealed, fault.Wrap(err, "seal pause")
}

func (q *Queue) openPause(p *Pause, sealed []byte) error {
	plain, err := q.Vault.Open(nil, p.Tenant, vault.AD{Table: pauseTable, Row: int64(p.ID)}, sealed)
	if err != nil {
		return fault.Wrap(err, "open pause")
	}
	r, _ := pack.From(plain)
	p.Domain, p.Reason, p.By = r.String(), r.String(), Pausers(r.Uint())
	return r.Err()
}

// Resume ends what one of its holders paused, and lets go what it set aside, a
// thousand rows a commit, once nobody holds it; while another still does, a Conflict
// fault says so. A customer who ends what only the operator paused gets a Denied
// fault; the operator may end what only the customer paused.
func (q *Queue) Resume(ctx context.Context, s scope.Scope, id ids.Job, by Pausers) error {
	all, tenant := s.Args()
	var ended Pause
	err := q.DB.Change(ctx, "resume deliveries", func(tx *db.Tx) error {
		var at int64
		var sealed []byte
		p := Pause{ID: id}
		err := tx.One(ctx, q.set, "pause", []any{int64(id), all, tenant}, &p.Tenant, &p.site, &at, &sealed)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "There is no such pause; list the pauses to see those in force.")
		}
		if err == nil {
			err = q.openPause(&p, sealed)
		}
		switch {
		case err != nil:
			return err
		case p.By&by == 0 && by == Customer:
			return fault.New(fault.Denied, "The operator paused this, who alone can end it.").WithHint("Ask the operator of this server.")
		}
		if ended = p; p.By == Customer {
			by = Customer // the operator may end that as well
		}
		if ended.By &^= by; ended.By != 0 {
			return q.changePause(ctx, tx, ended)
		}
		_, err = tx.Do(ctx, q.set, "drop_pause", int64(id), all, tenant)
		return err
	})
	if err != nil {
		return fault.Wrap(err, "resume deliveries")
	}
	switch ended.By {
	case Customer:
		return fault.New(fault.Conflict, "It stays paused: the customer paused it, too. Resume it again to end that as well.")
	case Operator:
		return fault.New(fault.Conflict, "It stays paused: the operator paused it, too.")
	}
	if err := q.RefreshPauses(ctx); err != nil {
		return err
	}
	return q.letGo(ctx, s, ended)
}

func (q *Queue) letGo(ctx context.Context, s scope.Scope, p Pause) error {
	all, tenant := s.Args()
	for {
		var n int64
		err := q.DB.Change(ctx, "let paused recipients go", func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, q.set, "resume", int64(p.Tenant), p.site, all, tenant, 1000)
			return err
		})
		if err != nil || n == 0 {
			q.feed()
			return err
		}
	}
}

// Pauses lists those in force within a scope.
func (q *Queue) Pauses(ctx context.Context, s scope.Scope) ([]Pause, error) {
	all, tenant := s.Args()
	var list []Pause
	err := q.set.Each(ctx, "pauses", []any{all, tenant}, func(scan func(...any) error) error {
		var id, owner, site, at int64
		var sealed []byte
		if err := scan(&id, &owner, &site, &at, &sealed); err != nil {
			return err
		}
		p := Pause{ID: ids.Job(id), Tenant: ids.Tenant(owner), site: site, At: clock.FromMicros(at)}
		err := q.openPause(&p, sealed)
		list = append(list, p)
		return err
	})
	return list, fault.Wrap(err, "list pauses")
}

func (q *Queue) paused(tenant ids.Tenant, site int64) bool {
	q.pauses.RLock()
	defer q.pauses.RUnlock()
	for _, p := range q.pauses.list {
		if (p.Tenant == 0 || p.Tenant == tenant) && (p.site == 0 || p.site == site) {
			return true
		}
	}
	return false
}
