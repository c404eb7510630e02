package words

import (
	"context"
	"time"

	"mailvow/internal/keep/column"
	"mailvow/internal/keep/db"
)

// LookThrough sets how many parts one answer opens at most.
func (x *Words) LookThrough(parts int) { x.parts = parts }

// Interrupted reads a node's next events, lets something happen, and writes them.
func (x *Words) Interrupted(ctx context.Context, node int, meanwhile func()) error {
	x.reading.Lock()
	defer x.reading.Unlock()
	b, err := x.next(ctx, node)
	if err != nil {
		return err
	}
	meanwhile()
	return x.write(ctx, b)
}

// Plant stores a part as the reader would.
func (x *Words) Plant(ctx context.Context, p column.Place, entries []column.Entry) error {
	r, err := x.columns.Build(p, entries)
	if err != nil {
		return err
	}
	u := &db.Unit{Adds: []db.Add{{By: x.add, Row: append([]any{p.Part}, rowOf(r)...)}}}
	return x.db.Commit(ctx, u)
}

// Stored gives every record that is there.
func (x *Words) Stored(ctx context.Context) (list []column.Record, err error) {
	var places []column.Place
	err = x.set.Each(ctx, "page_of_all", []any{field, int64(0), int64(everything), int64(everything), 100_000}, func(scan func(...any) error) error {
		p := column.Place{Field: field}
		var last int64
		err := scan(&p.Part, &p.Tenant, &p.Hour, &last)
		places = append(places, p)
		return err
	})
	for _, p := range places {
		r := column.Record{Place: p}
		if err := x.set.One(ctx, "get", placeArgs(p), recordInto(&r)...); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, err
}

// Held counts what is held of each message.
func (x *Words) Held(ctx context.Context) (map[int64]int, error) {
	list, err := x.Stored(ctx)
	held := map[int64]int{}
	for _, r := range list {
		entries, err := x.columns.Open(r)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			held[e.ID]++
		}
	}
	return held, err
}

// JoinAll joins the parts of every hour, also those that are not over.
func (x *Words) JoinAll(ctx context.Context) error {
	hours, err := x.crowded(ctx, time.Time{}, x.clock.Now().Add(time.Hour))
	for _, h := range hours {
		if err == nil {
			err = x.compactHour(ctx, h)
		}
	}
	return err
}

// Die takes a batch and forgets it, as a process that ends.
func (x *Words) Die(ctx context.Context, node int) {
	x.reading.Lock()
	defer x.reading.Unlock()
	if b, err := x.next(ctx, node); err == nil {
		err = x.fill(b)
		_ = err
	}
	x.turn = 0
}
