package history

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
)

// Index answers who was written to, by whom: a reader of history that keeps
// keyed hashes of addresses, domains and Message-IDs in sorted runs, because a
// secondary index on a random hash would cost the road nine tenths of its speed.
type Index struct {
	Log   *slog.Logger // set before Run; nothing is logged otherwise
	h     *History
	look  *lookup.Index
	work  sync.Mutex // one run at a time: who catches up waits for the one under way
	mu    sync.Mutex
	fresh []Event       // committed on this node and not indexed yet
	lost  bool          // fresh is not whole: read the store instead
	wake  chan struct{} // there is something fresh
}

// The kinds of value that are looked up. The names are part of the hash.
const (
	byAddress   = "address"
	byDomain    = "domain"
	byMessageID = "message-id"
	byAttribute = "attribute"
)

// maxFresh bounds the events that wait in memory for the indexer.
const maxFresh = 1 << 14

// OpenIndex opens the index and begins to note what this node commits. Run
// brings it up to date.
func (h *History) OpenIndex(ctx context.Context) (*Index, error) {
	look, err := lookup.Open(ctx, h.db, "history")
	if err != nil {
		return nil, fault.Wrap(err, "open look-up index")
	}
	x := &Index{Log: slog.New(slog.DiscardHandler), h: h, look: look, lost: true, wake: make(chan struct{}, 1)}
	h.index = x
	h.db.Watch(h.add, x.note)
	return x, nil
}

// note runs on the committing goroutine.
func (x *Index) note(committed []db.Committed) {
	x.mu.Lock()
	for _, c := range committed {
		if len(x.fresh) >= maxFresh {
			x.fresh, x.lost = x.fresh[:0], true
			break
		}
		if e, ok := c.Memo.(*Event); ok && !x.lost {
			e.Position = Position{Node: x.h.db.Node(), Seq: c.Seq}
			if len(x.fresh) > 0 && x.fresh[0].Position.Node != e.Position.Node {
				x.fresh, x.lost = x.fresh[:0], true // this node lost its number and took another
				break
			}
			x.fresh = append(x.fresh, *e)
		}
	}
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// CatchUp indexes everything that was committed before it was called.
func (x *Index) CatchUp(ctx context.Context) error {
	for {
		n, err := x.step(ctx)
		if err == nil && n == 0 {
			x.work.Lock()
			n, err = x.fromStore(ctx, x.h.db.Node(), false)
			x.work.Unlock()
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// Run keeps the index up to date until its context ends: with what this node
// commits as it comes, a run of it at a time, with other nodes' events every two
// seconds.
func (x *Index) Run(ctx context.Context) error {
	poll := x.h.clock.NewTimer(0)
	defer poll.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-x.wake:
			_, err = x.step(ctx)
		case <-poll.C():
			err = x.CatchUp(ctx)
			poll.Reset(pollEvery)
		}
		if err != nil && ctx.Err() == nil {
			x.Log.Error("index history", "error", err)
		}
	}
}

const pollEvery = 2 * time.Second

// step indexes one run of events and returns how many.
func (x *Index) step(ctx context.Context) (int, error) {
	x.work.Lock()
	defer x.work.Unlock()
	own := x.h.db.Node()
	x.mu.Lock()
	fresh, lost := x.fresh, x.lost
	x.fresh, x.lost = nil, false
	x.mu.Unlock()
	if len(fresh) > 0 {
		own = fresh[0].Position.Node
	}
	// A node's numbers have no gap, so that memory serves only if it goes on
	// exactly where the index stands.
	if !lost && len(fresh) == 0 {
		return 0, nil
	}
	if !lost && fresh[0].Position.Seq <= x.look.Offset(own)+1 {
		last := fresh[len(fresh)-1].Position.Seq
		for len(fresh) > 0 {
			n := min(len(fresh), 1000)
			if err := x.take(ctx, own, fresh[:n], fresh[n-1].Position.Seq); err != nil {
				x.lose()
				return 0, err
			}
			fresh = fresh[n:]
		}
		return int(last), nil
	}
	return x.fromStore(ctx, own, true)
}

// lose makes the next step read the store.
func (x *Index) lose() {
	x.mu.Lock()
	x.fresh, x.lost = nil, true
	x.mu.Unlock()
}

// fromStore indexes what nodes committed after the index's offsets; this node's
// rows only where memory does not have them.
func (x *Index) fromStore(ctx context.Context, own int, withOwn bool) (int, error) {
	if err := x.look.Refresh(ctx); err != nil {
		x.lose()
		return 0, err
	}
	nodes, err := x.h.nodes(ctx)
	total := 0
	for _, node := range nodes {
		if node == own && !withOwn {
			continue
		}
		for err == nil {
			var n int
			if n, err = x.page(ctx, node); n == 0 {
				break
			}
			total += n
		}
	}
	if err != nil {
		x.lose()
	}
	return total, err
}

// page indexes up to a thousand rows of a node and returns how far it came.
func (x *Index) page(ctx context.Context, node int) (int, error) {
	from := x.look.Offset(node)
	events, last, err := x.h.since(ctx, Position{Node: node, Seq: from}, 1000)
	if err != nil || last <= from {
		return 0, err
	}
	return int(last - from), x.take(ctx, node, events, last)
}

// take adds a node's events, which go up to last, to the index.
func (x *Index) take(ctx context.Context, node int, events []Event, last int64) error {
	entries := make([]lookup.Entry, 0, 4*len(events))
	for i := range events {
		var err error
		if entries, err = x.entries(entries, &events[i]); err != nil {
			return err
		}
	}
	for len(entries) > lookup.MaxAdd { // one message may have very many recipients
		if err := x.look.Add(ctx, entries[:lookup.MaxAdd], nil); err != nil {
			return fault.Wrap(err, "add to look-up index")
		}
		entries = entries[lookup.MaxAdd:]
	}
	return fault.Wrap(x.look.Add(ctx, entries, map[int]int64{node: last}), "add to look-up index")
}

// entries are the hashes under which an event is found. Only the accepting
// event is indexed by its recipients and sender: the others belong to its message.
func (x *Index) entries(list []lookup.Entry, e *Event) ([]lookup.Entry, error) {
	if e.Kind != Accepted {
		return list, nil
	}
	put := func(kind, value string) error {
		if value == "" {
			return nil
		}
		hash, err := x.h.vault.Hash(e.Tenant, kind, value)
		list = append(list, lookup.Entry{Hash: hash, Node: e.Position.Node, Seq: e.Position.Seq})
		return err
	}
	people := append([]string{e.Detail.Sender}, e.Detail.Recipients...)
	last := ""
	for _, text := range people {
		a, err := address.Parse(text)
		if err != nil {
			continue // redacted or the null sender
		}
		if err := put(byAddress, a.Canonical()); err != nil {
			return list, err
		}
		if a.Domain() != last {
			if err := put(byDomain, a.Domain()); err != nil {
				return list, err
			}
			last = a.Domain()
		}
	}
	for _, tag := range e.Detail.Tags {
		if name, value, is := IsAttribute(tag); is {
			for _, known := range attributeKeys(name, value) {
				if err := put(byAttribute, known); err != nil {
					return list, err
				}
			}
		}
	}
	return list, put(byMessageID, e.Detail.MessageID)
}

// messages are all messages that match what the query names, newest first.
func (x *Index) messages(ctx context.Context, s scope.Scope, q Query) ([]ids.Message, error) {
	tenants, err := x.tenants(ctx, s)
	if err != nil {
		return nil, err
	}
	var found []ids.Message
	for _, tenant := range tenants {
		list, err := x.ofTenant(ctx, tenant, q)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	slices.SortFunc(found, func(a, b ids.Message) int { return int(min(1, max(-1, b-a))) })
	return slices.Compact(found), nil
}

func (x *Index) ofTenant(ctx context.Context, tenant ids.Tenant, q Query) ([]ids.Message, error) {
	terms := [][2]string{}
	add := func(kind, value string) {
		if value != "" {
			terms = append(terms, [2]string{kind, value})
		}
	}
	add(byAddress, q.Recipient.Canonical())
	add(byAddress, q.Sender.Canonical())
	add(byDomain, q.Domain)
	add(byMessageID, q.MessageID)
	var list []ids.Message
	for i, t := range terms {
		hash, err := x.h.vault.Hash(tenant, t[0], t[1])
		if err != nil {
			return nil, fault.Wrap(err, "hash what is looked for")
		}
		events, err := x.Events(ctx, tenant, hash)
		if err != nil {
			return nil, err
		}
		var these []ids.Message
		for _, e := range events {
			if q.matches(&e) {
				these = append(these, e.Message)
			}
		}
		if i > 0 {
			these = slices.DeleteFunc(these, func(m ids.Message) bool { return !slices.Contains(list, m) })
		}
		list = these
	}
	return list, nil
}

// matches tells sender from recipient, which share one hash, and drops what a
// 128-bit collision or a stale run would bring.
func (q *Query) matches(e *Event) bool {
	has := func(texts []string, want address.Address) bool {
		return want.IsNull() || slices.ContainsFunc(texts, func(t string) bool {
			a, err := address.Parse(t)
			return err == nil && a.Canonical() == want.Canonical()
		})
	}
	return has(e.Detail.Recipients, q.Recipient) && has([]string{e.Detail.Sender}, q.Sender)
}

// Events are the indexed events of a tenant under a hash, newest first.
func (x *Index) Events(ctx context.Context, tenant ids.Tenant, hash [16]byte) ([]Event, error) {
	positions, err := x.look.Find(ctx, hash, lookup.Bounds{})
	if err != nil {
		return nil, fault.Wrap(err, "look up")
	}
	var events []Event
	for len(positions) > 0 {
		n := min(len(positions), 500)
		list := make([]int64, n)
		for i, p := range positions[:n] {
			list[i] = Position{Node: p.Node, Seq: p.Seq}.pos()
		}
		all, owner := scope.Tenant(tenant).Args()
		page, err := x.h.read(ctx, "at_positions", []any{jsonList(list), all, owner})
		if err != nil {
			return nil, err
		}
		events = append(events, page...)
		positions = positions[n:]
	}
	return events, nil
}

// tenants are those of a scope that have history.
func (x *Index) tenants(ctx context.Context, s scope.Scope) ([]ids.Tenant, error) {
	if id, one := s.ID(); one {
		return []ids.Tenant{id}, nil
	}
	if !s.All() {
		return nil, nil
	}
	return x.h.Tenants(ctx)
}

// Tenants are all that have history.
func (h *History) Tenants(ctx context.Context) ([]ids.Tenant, error) {
	var list []ids.Tenant
	err := h.set.Each(ctx, "tenants", nil, func(scan func(...any) error) error {
		var t int64
		err := scan(&t)
		list = append(list, ids.Tenant(t))
		return err
	})
	return list, fault.Wrap(err, "list customers of history")
}
