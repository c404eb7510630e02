package history

import (
	"context"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
)

// Reader goes through all nodes' events in each node's commit order. Its
// offsets are committed with its effect, and only from where it stood, so that
// a crash, a lost answer and a second process under the same name repeat nothing
// and skip nothing. One Reader has one name; only one goroutine uses it.
type Reader struct {
	h       *History
	name    string
	offsets map[int]int64
	doubt   bool   // the store may be ahead of memory: load before going on
	fresh   *fresh // nil until Listen
}

// fresh is what this node committed and a reader has not read yet.
type fresh struct {
	mu     sync.Mutex
	events []Event
	lost   bool // events is not whole: read the store instead
	many   func()
}

// most is how many events a reader holds in memory before it reads them from the
// store instead; at half of them it is woken.
const most = 1 << 14

// Listen holds what this node commits in memory, so that the reader need not read
// it back. many is called when much has come; it must not wait. Call it once,
// before the first commit.
func (r *Reader) Listen(many func()) {
	f := &fresh{lost: true, many: many}
	r.fresh = f
	r.h.db.Watch(r.h.add, func(committed []db.Committed) { f.note(r.h.db.Node(), committed) })
}

// note runs on the committing goroutine.
func (f *fresh) note(node int, committed []db.Committed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range committed {
		e, ok := c.Memo.(*Event)
		if !ok || f.lost {
			continue
		}
		at := Position{Node: node, Seq: c.Seq}
		if len(f.events) >= most || len(f.events) > 0 && f.events[0].Position.Node != node {
			f.events, f.lost = nil, true // too many, or this node lost its number and took another
			f.many()
			continue
		}
		event := *e
		event.Position = at
		if f.events = append(f.events, event); len(f.events) == most/2 {
			f.many()
		}
	}
}

// take gives what was noted, if it goes on where the reader stands on its node,
// and begins afresh.
func (f *fresh) take(node int, after int64) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	events, lost := f.events, f.lost
	f.events, f.lost = nil, false
	if lost || len(events) == 0 || events[0].Position.Node != node || events[0].Position.Seq > after+1 {
		return nil
	}
	for len(events) > 0 && events[0].Position.Seq <= after {
		events = events[1:]
	}
	return events
}

// Lose forgets what Listen noted: the next events are read from the store, as
// they stand there now.
func (r *Reader) Lose() {
	if r.fresh == nil {
		return
	}
	r.fresh.mu.Lock()
	defer r.fresh.mu.Unlock()
	r.fresh.events, r.fresh.lost = nil, true
}

// Reader continues the reader of this name where it stood.
func (h *History) Reader(ctx context.Context, name string) (*Reader, error) {
	r := &Reader{h: h, name: name, offsets: map[int]int64{}}
	return r, r.load(ctx)
}

func (r *Reader) load(ctx context.Context) error {
	r.doubt = true
	clear(r.offsets)
	err := r.h.set.Each(ctx, "offsets", []any{r.name}, func(scan func(...any) error) error {
		var node int
		var seq int64
		err := scan(&node, &seq)
		r.offsets[node] = seq
		return err
	})
	if err != nil {
		return fault.Wrap(err, "load reader's offsets")
	}
	r.doubt = false
	return nil
}

// Batch is a run of one node's events and the unit that moves the offset past
// them: add the effect to Unit and commit it.
type Batch struct {
	Events []Event
	Unit   *db.Unit
	node   int
	last   int64
}

// Next gives up to limit events that come after the offsets, from the node that
// has any, or a Batch without events. Rows of a node become visible in their
// order, because one goroutine commits them; so a row that is seen has no
// unseen row of its node before it.
func (r *Reader) Next(ctx context.Context, limit int) (*Batch, error) {
	nodes, err := r.h.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, node := range nodes {
		b, err := r.NextOf(ctx, node, limit)
		if err != nil || !b.Empty() {
			return b, err
		}
	}
	return &Batch{Unit: &db.Unit{}}, nil
}

// NextOf is Next of one node. What Listen noted is given whole, past the limit.
func (r *Reader) NextOf(ctx context.Context, node, limit int) (*Batch, error) {
	if r.doubt {
		if err := r.load(ctx); err != nil {
			return nil, err
		}
	}
	from := r.offsets[node]
	if r.fresh != nil && node == r.h.db.Node() {
		if events := r.fresh.take(node, from); len(events) > 0 {
			return r.batch(node, events, events[len(events)-1].Position.Seq), nil
		}
	}
	events, last, err := r.h.since(ctx, Position{Node: node, Seq: from}, limit)
	if err != nil {
		return nil, err
	}
	if last > from {
		return r.batch(node, events, last), nil
	}
	return &Batch{Unit: &db.Unit{}}, nil
}

// Nodes are those that ever wrote.
func (r *Reader) Nodes(ctx context.Context) ([]int, error) { return r.h.nodes(ctx) }

// Empty reports that there was nothing to read, not even rows whose keys are gone.
func (b *Batch) Empty() bool { return b.last == 0 }

// batch moves the offset on condition that it is where this reader left it.
func (r *Reader) batch(node int, events []Event, last int64) *Batch {
	u := &db.Unit{}
	if from := r.offsets[node]; from == 0 {
		u.Adds = []db.Add{{By: r.h.begin, Row: []any{r.name, int64(node), last}}}
	} else {
		u.Changes = []db.Change{{By: r.h.offset, Row: []any{r.name, int64(node), from, last}}}
	}
	return &Batch{Events: events, Unit: u, node: node, last: last}
}

// Commit makes the batch's effect and the new offset durable together. After a
// fault nothing of the batch happened, or all of it did and the answer was lost:
// Next goes on from where the store stands, with new units. A Conflict is the
// effect's own condition, or another process under this reader's name.
func (r *Reader) Commit(ctx context.Context, b *Batch) error {
	if b.last == 0 {
		return nil
	}
	if err := r.h.db.Commit(ctx, b.Unit); err != nil {
		r.doubt = true
		return fault.Wrap(err, "commit reader's effect")
	}
	r.offsets[b.node] = b.last
	return nil
}

func (h *History) nodes(ctx context.Context) ([]int, error) {
	var nodes []int
	err := h.set.Each(ctx, "nodes", nil, func(scan func(...any) error) error {
		var n int
		err := scan(&n)
		nodes = append(nodes, n)
		return err
	})
	return nodes, fault.Wrap(err, "list nodes of history")
}

// since gives a node's events after p, and the last sequence number looked at,
// which counts rows that can no longer be opened too.
func (h *History) since(ctx context.Context, p Position, limit int) ([]Event, int64, error) {
	var events []Event
	last := p.Seq
	end := Position{Node: p.Node + 1}.pos()
	err := h.set.Each(ctx, "since", []any{p.pos(), end, limit}, func(scan func(...any) error) error {
		e, err := h.scan(scan)
		if err == nil || fault.Is(err, fault.Gone) {
			last = e.Position.Seq
		}
		if fault.Is(err, fault.Gone) {
			return nil
		}
		if err == nil {
			events = append(events, e)
		}
		return err
	})
	return events, last, fault.Wrap(err, "read events")
}
