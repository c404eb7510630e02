package words

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/column"
	"mailvow/internal/keep/db"
)

const (
	// partEntries is how many subjects stand in one part: few enough that a part
	// is rewritten inside a transaction, enough that a search opens few of them.
	partEntries = 8192
	// purgeParts is how many parts one transaction of a purge deletes.
	purgeParts = 100
	// joinBack is how far back a process looks for hours to join when it starts.
	joinBack = 72 * time.Hour
	// mostHours is how many hours of customers one round joins.
	mostHours = 1000
)

// Purge drops the subjects of a scope's messages that were accepted before a time, with the
// keys of their chunks, and says how many chunks it deleted or rewrote.
func (x *Words) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	all, tenant := in.Args()
	cut := int64(ids.FirstAt[ids.Message](before))
	total := 0
	for {
		var n int64
		err := x.db.Change(ctx, "purge subjects", func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, x.set, "purge", cut, purgeParts, all, tenant)
			return err
		})
		total += int(n)
		if err != nil {
			return total, fault.Wrap(err, "purge subjects")
		}
		if n < purgeParts {
			break
		}
	}
	for {
		n, err := x.purgeStraddling(ctx, in, cut)
		total += n
		if err != nil || n < purgeParts {
			return total, fault.Wrap(err, "purge subjects")
		}
	}
}

// purgeStraddling rewrites parts that hold both what is due and what is not.
func (x *Words) purgeStraddling(ctx context.Context, in scope.Scope, cut int64) (int, error) {
	all, tenant := in.Args()
	var list []column.Place
	end := endOf(column.HourOf(ids.Message(cut).Time()))
	err := x.set.Each(ctx, "straddling", []any{cut, end, purgeParts, all, tenant}, func(scan func(...any) error) error {
		var p column.Place
		err := scan(&p.Part, &p.Tenant, &p.Field, &p.Hour)
		list = append(list, p)
		return err
	})
	if err != nil {
		return 0, err
	}
	for i, p := range list {
		if err := x.db.Change(ctx, "purge subjects", func(tx *db.Tx) error { return x.cutPart(ctx, tx, p, cut) }); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

func (x *Words) cutPart(ctx context.Context, tx *db.Tx, p column.Place, cut int64) error {
	store := records{tx, x.set, 0, everything}
	r, err := store.Get(ctx, p)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := x.columns.Open(r)
	if fault.Is(err, fault.Gone) {
		return store.Delete(ctx, p)
	}
	if err != nil {
		return err
	}
	old := 0
	for old < len(entries) && entries[old].ID < cut { // by id
		old++
	}
	if old == len(entries) {
		return store.Delete(ctx, p)
	}
	return column.New(store, x.vault).Write(ctx, p, entries[old:])
}

// Oldest is when the oldest message was accepted whose subject is held, or zero.
func (x *Words) Oldest(ctx context.Context) (time.Time, error) {
	var first int64
	err := x.set.One(ctx, "oldest", nil, &first)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fault.Wrap(err, "find the oldest subject")
	}
	return ids.Message(first).Time(), nil
}

// Compact joins the parts of hours that are over. One process at a time calls it,
// now and then.
func (x *Words) Compact(ctx context.Context) error {
	x.keeping.Lock()
	defer x.keeping.Unlock()
	now := x.clock.Now()
	end := now.Add(-10 * time.Minute).Truncate(time.Hour) // what comes late is still written
	from := x.compactedTo
	if from.IsZero() {
		from = now.Add(-joinBack).Truncate(time.Hour)
	}
	hours, err := x.crowded(ctx, from, end)
	if err != nil {
		return err
	}
	for _, p := range hours {
		if err := x.compactHour(ctx, p); err != nil {
			return err
		}
	}
	if len(hours) < mostHours {
		x.compactedTo = end
	}
	return nil
}

func (x *Words) crowded(ctx context.Context, from, end time.Time) (hours []column.Place, err error) {
	args := []any{int64(ids.FirstAt[ids.Message](from)), int64(ids.FirstAt[ids.Message](end)), partEntries, mostHours}
	err = x.set.Each(ctx, "crowded", args, func(scan func(...any) error) error {
		var p column.Place
		err := scan(&p.Tenant, &p.Field, &p.Hour)
		hours = append(hours, p)
		return err
	})
	return hours, fault.Wrap(err, "find hours in many parts")
}

// compactHour joins neighbours, by id, as long as they fit into one part.
func (x *Words) compactHour(ctx context.Context, hour column.Place) error {
	var run []column.Place
	var runs [][]column.Place
	size := 0
	err := x.set.Each(ctx, "parts", []any{int64(hour.Tenant), hour.Field, int64(hour.Hour)}, func(scan func(...any) error) error {
		p := hour
		var entries int
		var first, last int64
		err := scan(&p.Part, &entries, &first, &last)
		if size+entries > partEntries || len(run) == purgeParts {
			runs, run, size = append(runs, run), nil, 0
		}
		run, size = append(run, p), size+entries
		return err
	})
	if err != nil {
		return fault.Wrap(err, "list the parts of an hour")
	}
	for _, places := range append(runs, run) {
		if err := x.join(ctx, places); err != nil {
			return err
		}
	}
	return nil
}

func (x *Words) join(ctx context.Context, places []column.Place) error {
	if len(places) < 2 {
		return nil
	}
	err := x.db.Change(ctx, "join the parts of an hour", func(tx *db.Tx) error {
		done, err := column.New(records{tx, x.set, 0, everything}, x.vault).Join(ctx, places)
		if err == nil && done {
			_, err = tx.Do(ctx, x.set, "take_turn", joined)
		}
		return err
	})
	if fault.Is(err, fault.Gone) {
		return nil // the keys of these chunks are gone, and soon they are
	}
	return err
}
