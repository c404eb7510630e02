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
	site   int64
}

const pauseTable = "queue_pause"

// Pause begins one. Attempts under way are finished. What is paused already
// stays paused as it was: the answer is the pause in force, with the new reason
// where one is given.
func (q *Queue) Pause(ctx context.Context, p Pause) (Pause, error) {
	p.ID, p.At = ids.New[ids.Job](q.IDs), q.Clock.Now()
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
	if err := q.openPause(&old, sealed); err != nil || p.Reason == "" || p.Reason == old.Reason {
		return old, err
	}
	old.Reason = p.Reason
	if sealed, err = q.sealPause(old); err != nil {
		return old, err
	}
	_, err = tx.Do(ctx, q.set, "change_pause", id, sealed)
	return old, err
}

func (q *Queue) sealPause(p Pause) ([]byte, error) {
	w := pack.To(nil, 1)
	w.String(p.Domain)
	w.String(p.Reason)
	sealed, err := q.Vault.Seal(nil, p.Tenant, vault.Platform, vault.AD{Table: pauseTable, Row: int64(p.ID)}, w.Bytes())
	return sealed, fault.Wrap(err, "seal pause")
}

func (q *Queue) openPause(p *Pause, sealed []byte) error {
	plain, err := q.Vault.Open(nil, p.Tenant, vault.AD{Table: pauseTable, Row: int64(p.ID)}, sealed)
	if err != nil {
		return fault.Wrap(err, "open pause")
	}
	r, _ := pack.From(plain)
	p.Domain, p.Reason = r.String(), r.String()
	return r.Err()
}

// Resume ends a pause and lets go what it set aside, a thousand rows a commit.
func (q *Queue) Resume(ctx context.Context, s scope.Scope, id ids.Job) error {
	all, tenant := s.Args()
	pauses, err := q.Pauses(ctx, s)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		if p.ID != id {
			continue
		}
		err := q.DB.Change(ctx, "resume deliveries", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, q.set, "drop_pause", int64(id), all, tenant)
			return err
		})
		if err != nil {
			return err
		}
		if err := q.RefreshPauses(ctx); err != nil {
			return err
		}
		return q.letGo(ctx, s, p)
	}
	return fault.New(fault.NotFound, "There is no such pause; list the pauses to see those in force.")
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
