// Package tally counts what happens to mail, per customer and minute, for
// people who look at charts. It promises that counting costs the road nothing: it
// listens to what is committed and writes sums every two seconds. A crash may
// lose the sums of those seconds; what must be exact is read from history.
package tally

import (
	"context"
	_ "embed" // the table
	"log/slog"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
)

//go:embed tally.sql
var sql string

const (
	pkg    = "flow/tally"
	period = 90 * 24 * time.Hour
	every  = 2 * time.Second
	// most bounds the sums in memory; past it they are written at once.
	most = 50_000
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept: numbers, nobody's data.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "counts", About: pledge.Nobody, What: "how many messages of a customer were accepted, delivered, deferred and failed in a minute",
		Purpose: "show how mail goes", For: pledge.ToCount, Basis: pledge.NotPersonal,
		Period: pledge.Period{Ceiling: period, From: "the minute"}, Found: "the customer's id", Erasing: pledge.Nothing,
	}},
	Places: append(pledge.Columns("counts", false, "tally", "tenant", "minute", "kind", "n"),
		pledge.Place{Kind: pledge.Memory, Name: "counts of the last seconds", Category: "counts"}),
}

// The columns of history's rows that are counted.
const (
	columnTenant = 5
	columnKind   = 7
	columnAt     = 8
)

type slot struct{ tenant, minute, kind int64 }

// Tally counts.
type Tally struct {
	db    *db.DB
	set   *db.Set
	count *db.Bulk
	clock clock.Clock
	log   *slog.Logger
	full  chan struct{}
	mu    sync.Mutex
	sums  map[slot]int64
	// Purposes says for whom is counted; set before the first commit.
	Purposes pledge.Instructions
}

// New makes a tally that listens to history from now on. Make it before the
// first commit, and let Run run.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Tally {
	set := d.Set(pkg)
	t := &Tally{db: d, set: set, count: set.Bulk("count"), clock: c, log: log, full: make(chan struct{}, 1), sums: map[slot]int64{}}
	d.Watch(d.Set("flow/history").Bulk("add"), t.saw)
	return t
}

// saw runs on the committing goroutine.
func (t *Tally) saw(rows []db.Committed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range rows {
		tenant, _ := r.Row[columnTenant].(int64)
		if !pledge.Runs(t.Purposes, ids.Tenant(tenant), pledge.ToCount) {
			continue
		}
		kind, _ := r.Row[columnKind].(int64)
		at, _ := r.Row[columnAt].(int64)
		t.sums[slot{tenant, at / time.Minute.Microseconds(), kind}]++
	}
	if len(t.sums) > most {
		select {
		case t.full <- struct{}{}:
		default:
		}
	}
}

// Run writes sums down until its context ends, and then once more.
func (t *Tally) Run(ctx context.Context) error {
	for {
		timer := t.clock.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), every)
			defer cancel()
			return t.Flush(last)
		case <-t.full:
			timer.Stop()
		case <-timer.C():
		}
		if err := t.Flush(ctx); err != nil && ctx.Err() == nil {
			t.log.Warn("write counts; they stay in memory", "error", err)
		}
	}
}

// Flush writes the sums down now. On an error they stay.
func (t *Tally) Flush(ctx context.Context) error {
	t.mu.Lock()
	sums := t.sums
	t.sums = map[slot]int64{}
	t.mu.Unlock()
	if len(sums) == 0 {
		return nil
	}
	u := &db.Unit{}
	for s, n := range sums {
		u.Adds = append(u.Adds, db.Add{By: t.count, Row: []any{s.tenant, s.minute, s.kind, n}})
	}
	if err := t.db.Commit(ctx, u); err != nil {
		t.putBack(sums)
		return fault.Wrap(err, "write counts")
	}
	return nil
}

func (t *Tally) putBack(sums map[slot]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, n := range sums {
		if len(t.sums) < 2*most {
			t.sums[s] += n
		}
	}
}

// Point is what happened from a moment on, for one step.
type Point struct {
	At                                    time.Time
	Accepted, Delivered, Deferred, Failed int64
}

// Series gives the scope's counts from a moment to now in steps of whole
// minutes, the empty ones included.
func (t *Tally) Series(ctx context.Context, s scope.Scope, from time.Time, step time.Duration) ([]Point, error) {
	minutes := int64(max(step, time.Minute) / time.Minute)
	first, end := from.Unix()/60, t.clock.Now().Unix()/60+1
	points := make([]Point, max(0, (end-first+minutes-1)/minutes))
	for i := range points {
		points[i].At = time.Unix((first+int64(i)*minutes)*60, 0).UTC()
	}
	all, tenant := s.Args()
	err := t.set.Each(ctx, "series", []any{all, tenant, first, minutes, end}, func(scan func(...any) error) error {
		var i, n int64
		var kind history.Kind
		if err := scan(&i, &kind, &n); err != nil {
			return err
		}
		if i >= 0 && i < int64(len(points)) {
			points[i].add(kind, n)
		}
		return nil
	})
	return points, fault.Wrap(err, "read counts")
}

// Busy gives the customers that had at least so many messages accepted since a
// moment, with how many.
func (t *Tally) Busy(ctx context.Context, since time.Time, least int64) (map[ids.Tenant]int64, error) {
	out := map[ids.Tenant]int64{}
	err := t.set.Each(ctx, "busy", []any{since.Unix() / 60, int64(history.Accepted), least}, func(scan func(...any) error) error {
		var id ids.Tenant
		var n int64
		err := scan(&id, &n)
		out[id] = n
		return err
	})
	return out, fault.Wrap(err, "look who sends much")
}

func (p *Point) add(k history.Kind, n int64) {
	switch k {
	case history.Accepted:
		p.Accepted += n
	case history.Delivered:
		p.Delivered += n
	case history.Deferred:
		p.Deferred += n
	case history.Failed, history.Expired, history.Suppressed:
		p.Failed += n
	case history.Cancelled, history.Held, history.Released, history.Retried, history.Notified, history.Superseded:
	}
}

// Purge drops a scope's counts of minutes before a time.
func (t *Tally) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	all, tenant := in.Args()
	var n int64
	err := t.db.Change(ctx, "purge counts", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, t.set, "purge", before.Unix()/60, all, tenant)
		return err
	})
	return int(n), fault.Wrap(err, "purge counts")
}
