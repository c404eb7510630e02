package column

import (
	"bytes"
	"context"
	"slices"
	"sort"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Query says what to look for. An entry is met when its text contains Needle
// (byte for byte; every text contains the empty one) and Match, if there is one,
// says true. Neither may keep the bytes it is shown.
type Query struct {
	Tenant   ids.Tenant
	Field    string
	From, To Hour // From ≤ hour < To
	Needle   []byte
	Match    func(text []byte) bool
}

// Hit is one entry that was met.
type Hit struct {
	ID    int64
	Text  []byte // valid until yield returns
	Place Place
}

// Search gives what a query meets, newest hour first and within an hour the
// largest id first, until yield says false. It holds one chunk at a time. A
// chunk whose key was destroyed, or which was dropped meanwhile, is passed over.
func (c *Columns) Search(ctx context.Context, q Query, yield func(Hit) bool) error {
	places, err := c.store.List(ctx, q.Tenant, q.Field, q.From, q.To)
	if err != nil {
		return fault.Wrap(err, "list chunks")
	}
	var scratch []byte
	for len(places) > 0 {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(err, "search in chunks")
		}
		hour := places[0].Hour
		n := slices.IndexFunc(places, func(p Place) bool { return p.Hour != hour })
		if n < 0 {
			n = len(places)
		}
		more, err := c.searchHour(ctx, q, places[:n], &scratch, yield)
		if err != nil || !more {
			return err
		}
		places = places[n:]
	}
	return nil
}

// searchHour searches the parts of one hour. A reader's parts follow each other
// in time, so the larger part is the newer one; an entry that stands in two
// parts, as a crashed Compact leaves it, is given once.
func (c *Columns) searchHour(ctx context.Context, q Query, parts []Place, scratch *[]byte, yield func(Hit) bool) (more bool, err error) {
	var seen map[Entry]bool
	if len(parts) > 1 {
		seen = map[Entry]bool{}
	}
	for _, p := range parts {
		r, err := c.store.Get(ctx, p)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return false, fault.Wrap(err, "read a chunk")
		}
		more, err := c.scan(r, q, scratch, func(id int64, text []byte) bool {
			if seen != nil {
				e := Entry{ID: id, Text: string(text)}
				if seen[e] {
					return true
				}
				seen[e] = true
			}
			return yield(Hit{ID: id, Text: text, Place: p})
		})
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// Scan gives what a query meets in one record, largest id first, whatever period
// the query names. It works in scratch, which it may replace by a larger one. A
// record whose key was destroyed holds nothing any more.
func (c *Columns) Scan(r Record, q Query, scratch *[]byte, yield func(Hit) bool) error {
	_, err := c.scan(r, q, scratch, func(id int64, text []byte) bool { return yield(Hit{ID: id, Text: text, Place: r.Place}) })
	return err
}

func (c *Columns) scan(r Record, q Query, scratch *[]byte, yield func(int64, []byte) bool) (more bool, err error) {
	if cap(*scratch) < len(r.Sealed) {
		*scratch = make([]byte, 0, len(r.Sealed)+len(r.Sealed)/4)
	}
	ch, err := c.open(r, *scratch)
	if fault.Is(err, fault.Gone) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return ch.search(q, yield)
}

// search goes from the end to the front.
func (c *chunk) search(q Query, yield func(int64, []byte) bool) (more bool, err error) {
	if !bytes.Contains(c.text, q.Needle) {
		return true, nil
	}
	if err := c.unfold(); err != nil {
		return false, err
	}
	if len(q.Needle) == 0 {
		for i := len(c.ids) - 1; i >= 0; i-- {
			if !c.offer(q, i, yield) {
				return false, nil
			}
		}
		return true, nil
	}
	met := c.containing(q.Needle)
	for i := len(met) - 1; i >= 0; i-- {
		if !c.offer(q, met[i], yield) {
			return false, nil
		}
	}
	return true, nil
}

func (c *chunk) offer(q Query, i int, yield func(int64, []byte) bool) bool {
	text := c.at(i)
	return q.Match != nil && !q.Match(text) || yield(c.ids[i], text)
}

// containing lists the entries with a needle, in order. One pass over all texts
// is many times faster than one search in each; a find that reaches over the
// border of two texts is none.
func (c *chunk) containing(needle []byte) (met []int) {
	for at := 0; ; {
		found := bytes.Index(c.text[at:], needle)
		if found < 0 {
			return met
		}
		found += at
		i := sort.SearchInts(c.ends, found+1)
		if found+len(needle) <= c.ends[i] {
			met = append(met, i)
			at = c.ends[i]
			continue
		}
		at = found + 1
	}
}
