package words

import (
	"cmp"
	"context"
	"slices"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/column"
)

// The bounds of one answer's work. A million subjects lie in about 125 parts.
const (
	mostParts = 512
	mostBytes = 128 << 20
	// pageParts is how many places are listed at once.
	pageParts = 64
	// mostBehind is how many batches a search reads before it begins.
	mostBehind = 8
)

// Find implements history.Words. The first page reads what is due, so that
// mail that has just come is found.
func (x *Words) Find(ctx context.Context, s scope.Scope, q history.WordQuery) ([]ids.Message, ids.Message, error) {
	if q.Before == 0 {
		err := x.follow(ctx, mostBehind, 0)
		if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Full) && !fault.Is(err, fault.ReadOnly) {
			return nil, 0, err
		}
	}
	for again := 0; ; again++ {
		var before, after int64
		if err := x.set.One(ctx, "turn", []any{joined}, &before); err != nil {
			return nil, 0, fault.Wrap(err, "read the turn of chunks")
		}
		w := newWalk(q, x.parts)
		if err := x.walk(ctx, s, w); err != nil {
			return nil, 0, fault.Wrap(err, "search subjects")
		}
		if err := x.set.One(ctx, "turn", []any{joined}, &after); err != nil {
			return nil, 0, fault.Wrap(err, "read the turn of chunks")
		}
		if before == after || again == 2 {
			return w.found, w.next, nil
		}
	}
}

// walk is one search on its way from the newest part to the oldest. Parts of one
// hour may overlap, since nodes write at the same time; a find is given when no
// part that is left can hold a newer one.
type walk struct {
	q       column.Query
	limit   int
	most    int   // parts that are opened
	from    int64 // ids that are looked for are not smaller
	before  int64 // and smaller than this
	pending []int64
	found   []ids.Message
	next    ids.Message

	parts   int
	bytes   int
	scratch []byte
}

func newWalk(q history.WordQuery, most int) *walk {
	w := &walk{q: column.Query{Needle: []byte(q.Text)}, limit: max(1, q.Limit), most: most, from: int64(ids.FirstAt[ids.Message](q.From)), before: int64(q.Before)}
	if q.Before == 0 {
		w.before = everything
	}
	return w
}

func (x *Words) walk(ctx context.Context, s scope.Scope, w *walk) error {
	ceiling := w.before
	if ceiling != everything {
		ceiling = endOf(column.HourOf(ids.Message(ceiling).Time()))
	}
	for {
		list, err := x.places(ctx, s, w, ceiling)
		if err != nil {
			return err
		}
		for _, p := range list {
			if w.settle(p.last); w.enough(p.last) {
				return nil
			}
			if err := x.scan(ctx, p.Place, w); err != nil {
				return err
			}
			ceiling = p.last
		}
		if len(list) < pageParts {
			if w.settle(-1); len(w.found) == w.limit {
				w.next = w.found[w.limit-1]
			}
			return nil
		}
	}
}

// settle gives the finds that are newer than everything that is left.
func (w *walk) settle(last int64) {
	slices.SortFunc(w.pending, func(a, b int64) int { return cmp.Compare(b, a) })
	w.pending = slices.Compact(w.pending)
	for len(w.pending) > 0 && w.pending[0] > last && len(w.found) < w.limit {
		w.found = append(w.found, ids.Message(w.pending[0]))
		w.pending = w.pending[1:]
	}
}

// enough ends a walk that has its page, or has done its work: then it goes on at
// the part that is next, if that is further than where it began.
func (w *walk) enough(last int64) bool {
	if len(w.found) == w.limit {
		w.next = w.found[w.limit-1]
		return true
	}
	if (w.parts >= w.most || w.bytes >= mostBytes) && last+1 < w.before {
		w.next = ids.Message(last + 1)
		return true
	}
	return false
}

func (x *Words) scan(ctx context.Context, p column.Place, w *walk) error {
	if err := ctx.Err(); err != nil {
		return fault.Because(fault.Unavailable, err, "")
	}
	r := column.Record{Place: p}
	err := x.set.One(ctx, "get", placeArgs(p), recordInto(&r)...)
	if fault.Is(err, fault.NotFound) {
		return nil // purged or joined meanwhile
	}
	if err != nil {
		return err
	}
	w.parts++
	w.bytes += len(r.Sealed)
	fresh := 0 // a part's newest finds are enough
	return x.columns.Scan(r, w.q, &w.scratch, func(h column.Hit) bool {
		if h.ID >= w.from && h.ID < w.before {
			w.pending = append(w.pending, h.ID)
			fresh++
		}
		return fresh < w.limit
	})
}

type place struct {
	column.Place
	last int64
}

// places are the next parts of a scope, by their newest id.
func (x *Words) places(ctx context.Context, s scope.Scope, w *walk, ceiling int64) (list []place, err error) {
	query, args := "page_of_all", []any{field, w.from, ceiling, w.before, pageParts}
	if tenant, one := s.ID(); one {
		query, args = "page_of_tenant", append([]any{int64(tenant)}, args...)
	} else if !s.All() {
		return nil, nil
	}
	err = x.set.Each(ctx, query, args, func(scan func(...any) error) error {
		p := place{Place: column.Place{Field: field}}
		err := scan(&p.Part, &p.Tenant, &p.Hour, &p.last)
		list = append(list, p)
		return err
	})
	return list, err
}
