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

// Pause begins one. Attempts under way are finished.
func (q *Queue) Pause(ctx context.Context, p Pause) (Pause, error) {
	p.ID, p.At = ids.New[ids.Job](q.IDs), q.Clock.Now()
	if p.Domain != "" {
		p.site = q.siteOf(p.Domain)
	}
	w := pack.To(nil, 1)
	w.String(p.Domain)
	w.String(p.Reason)
	sealed, err := q.Vault.Seal(nil, p.Tenant, vault.Platform, vault.AD{Table: pauseTable, Row: int64(p.ID)}, w.Bytes())
	if err != nil {
		return p, fault.Wrap(err, "seal pause")
	}
	err = q.DB.Change(ctx, "pause deliveries", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, q.set, "add_pause", int64(p.ID), int64(p.Tenant), p.site, clock.Micros(p.At), sealed)
		return err
	})
	if err != nil {
		return p, err
	}
	return p, q.RefreshPauses(ctx)
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
		plain, err := q.Vault.Open(nil, ids.Tenant(owner), vault.AD{Table: pauseTable, Row: id}, sealed)
		if err != nil {
			return fault.Wrap(err, "open pause")
		}
		r, _ := pack.From(plain)
		list = append(list, Pause{ID: ids.Job(id), Tenant: ids.Tenant(owner), site: site, At: clock.FromMicros(at), Domain: r.String(), Reason: r.String()})
		return r.Err()
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
