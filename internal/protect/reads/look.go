package reads

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

const pageRows = 256

// Each gives the records of reads between two moments, oldest batch first, and
// stops at yield's first error. lost counts batches that cannot be opened any
// more: their customer's keys are gone.
func (l *Log) Each(ctx context.Context, in scope.Scope, from, to time.Time, yield func(Read) error) (lost int, err error) {
	if err := l.Flush(ctx); err != nil {
		return 0, err
	}
	all, own := in.Args()
	after := ids.Reads(0)
	for {
		page, err := l.page(ctx, all, own, clock.Micros(from), clock.Micros(to), after, pageRows)
		if err != nil {
			return lost, fault.Wrap(err, "look for reads")
		}
		for _, b := range page {
			after = b.id
			list, err := l.open(b)
			if fault.Is(err, fault.Gone) {
				lost++
				continue
			}
			if err != nil {
				return lost, err
			}
			for _, r := range list {
				if r.At.Before(from) || r.At.After(to) {
					continue
				}
				if err := yield(r); err != nil {
					return lost, err
				}
			}
		}
		if len(page) < pageRows {
			return lost, nil
		}
	}
}

// page reads rows whole before they are opened, so that no snapshot is held open.
func (l *Log) page(ctx context.Context, args ...any) ([]batch, error) {
	var page []batch
	err := l.set.Each(ctx, "page", args, func(scan func(...any) error) error {
		var b batch
		err := scan(&b.id, &b.tenant, &b.sealed)
		page = append(page, b)
		return err
	})
	return page, err
}

func (l *Log) open(b batch) ([]Read, error) {
	plain, err := l.Vault.Open(nil, b.tenant, b.ad(), b.sealed)
	if err != nil {
		return nil, fault.Wrap(err, "open records of reads")
	}
	return unpacked(plain)
}

// Gap is a time whose records may not be complete.
type Gap struct {
	Node  int
	From  time.Time
	Until time.Time // zero: nobody has started there since
}

// dead is how long a process may be silent before it counts as one that died.
const dead = 3 * seenEvery

// Gaps says when records began and in which of the times between two moments a
// process died with records that it had not written. began is zero where there are
// no records yet.
func (l *Log) Gaps(ctx context.Context, from, to time.Time) (began time.Time, gaps []Gap, err error) {
	if err := l.Flush(ctx); err != nil {
		return time.Time{}, nil, err
	}
	type line struct {
		id                 ids.Reads
		node               int
		began, seen, ended int64
	}
	var lines []line
	err = l.set.Each(ctx, "watches", nil, func(scan func(...any) error) error {
		var x line
		err := scan(&x.id, &x.node, &x.began, &x.seen, &x.ended)
		lines = append(lines, x)
		return err
	})
	if err != nil {
		return time.Time{}, nil, fault.Wrap(err, "look when reads were recorded")
	}
	now := l.Clock.Now()
	for i, x := range lines {
		if i == 0 {
			began = clock.FromMicros(x.began)
		}
		seen := clock.FromMicros(x.seen)
		if x.ended != 0 || x.id == l.watch.id || now.Sub(seen) < dead {
			continue
		}
		g := Gap{Node: x.node, From: seen}
		for _, next := range lines[i+1:] {
			if next.node == x.node && next.began >= x.seen {
				g.Until = clock.FromMicros(next.began)
				break
			}
		}
		if !g.From.After(to) && (g.Until.IsZero() || !g.Until.Before(from)) {
			gaps = append(gaps, g)
		}
	}
	return began, gaps, nil
}

const purgeRows = 2000

// Purge removes the scope's records that are older than a time; retention calls it.
func (l *Log) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	all, own := in.Args()
	total := 0
	for {
		var n int64
		err := l.DB.Change(ctx, "purge records of reads", func(tx *db.Tx) (err error) {
			if n, err = tx.Do(ctx, l.set, "purge", clock.Micros(before), all, own, purgeRows); err == nil && in.All() {
				_, err = tx.Do(ctx, l.set, "purge_watch", clock.Micros(before))
			}
			return err
		})
		if total += int(n); err != nil || n < purgeRows {
			return total, fault.Wrap(err, "purge records of reads")
		}
	}
}

// Oldest is the time of the oldest record, or zero.
func (l *Log) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := l.set.One(ctx, "oldest", nil, &at)
	return moment(at), fault.Wrap(err, "look for the oldest record of a read")
}
