package history

import (
	"context"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// purgeRows is how many rows one transaction of a purge looks at.
const purgeRows = 1000

// Purge deletes a scope's events that are older than a time and says how many.
// Rows stand in the order of their time, so it reads no further than the first
// thousand that are young; of one customer's it goes on where it was last time.
func (h *History) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	nodes, err := h.nodes(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, node := range nodes {
		n, err := h.purgeNode(ctx, in, node, before)
		total += n
		if err != nil {
			return total, fault.Wrap(err, "purge history")
		}
	}
	return total, nil
}

func (h *History) purgeNode(ctx context.Context, in scope.Scope, node int, before time.Time) (int, error) {
	from, end := Position{Node: node}.pos(), Position{Node: node + 1}.pos()
	tenant, one := in.ID()
	mark := reach{tenant, node}
	if one {
		from = max(from, h.purged.get(mark))
	}
	for total := 0; ; {
		p, err := h.purgePage(ctx, in, from, end, before)
		total += p.gone
		if err != nil {
			return total, err
		}
		if !p.due || p.last < from {
			return total, nil
		}
		from = p.last + 1
		if one && !p.young { // nothing of anybody before this one is left to become due
			h.purged.set(mark, from)
		}
	}
}

// page is what purgePage saw of the next rows of a node.
type page struct {
	last  int64
	due   bool // some row, of whomever, is old enough
	young bool // some row is not
	gone  int
}

// purgePage deletes what is due among the next rows of a node.
func (h *History) purgePage(ctx context.Context, in scope.Scope, from, end int64, before time.Time) (p page, err error) {
	all, tenant := in.Args()
	err = h.db.Change(ctx, "purge history", func(tx *db.Tx) error {
		p = page{}
		err := tx.Each(ctx, h.set, "first_rows", []any{from, end, purgeRows}, func(scan func(...any) error) error {
			var at int64
			err := scan(&p.last, &at)
			old := at < clock.Micros(before)
			p.due, p.young = p.due || old, p.young || !old
			return err
		})
		if err != nil || !p.due {
			return err
		}
		count, err := tx.Do(ctx, h.set, "purge", from, p.last+1, clock.Micros(before), purgeRows, all, tenant)
		p.gone = int(count)
		return err
	})
	return p, err
}

// reach is how far the records of a customer were purged on a node.
type reach struct {
	tenant ids.Tenant
	node   int
}

// reached holds, in memory, from where the next purge of a customer goes on: with
// a start it begins at the oldest row again.
type reached struct {
	mu   sync.Mutex
	from map[reach]int64
}

func (r *reached) get(k reach) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from[k]
}

func (r *reached) set(k reach, from int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from == nil {
		r.from = map[reach]int64{}
	}
	r.from[k] = from
}

// forget lets the next purges begin at the oldest row.
func (r *reached) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.from)
}

// PurgeConversations deletes a scope's conversations that began before a time. Of
// one customer's it goes on where it was last time.
func (h *History) PurgeConversations(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	all, tenant := in.Args()
	owner, one := in.ID()
	mark, from := reach{owner, conversationNode}, int64(0)
	if one {
		from = h.purged.get(mark)
	}
	cut := int64(ids.FirstAt[ids.Attempt](before))
	for total := 0; ; {
		var n int64
		err := h.db.Change(ctx, "purge conversations", func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, h.set, "purge_conversations", cut, purgeRows, from, all, tenant)
			return err
		})
		total += int(n)
		if done := int64(ids.FirstAt[ids.Attempt](before.Add(-late))); err == nil && n < purgeRows && one && done > from {
			h.purged.set(mark, done)
		}
		if err != nil || n < purgeRows {
			return total, fault.Wrap(err, "purge conversations")
		}
	}
}

// late is by how much a conversation may be written after it began.
const late = 24 * time.Hour

// conversationNode stands for the conversations, which are no node's.
const conversationNode = -1

// Oldest is the time of the oldest event, or zero.
func (h *History) Oldest(ctx context.Context) (time.Time, error) {
	first, err := h.firsts(ctx)
	var oldest time.Time
	for _, f := range first {
		if oldest.IsZero() || f.at.Before(oldest) {
			oldest = f.at
		}
	}
	return oldest, err
}

// First is, by node, the number of the first row that is still there: what the
// look-up holds below it leads nowhere.
func (h *History) First(ctx context.Context) (map[int]int64, error) {
	first, err := h.firsts(ctx)
	out := map[int]int64{}
	for _, f := range first {
		out[f.Node] = f.Seq
	}
	return out, err
}

type firstRow struct {
	Position
	at time.Time
}

func (h *History) firsts(ctx context.Context) ([]firstRow, error) {
	nodes, err := h.nodes(ctx)
	if err != nil {
		return nil, err
	}
	var list []firstRow
	for _, node := range nodes {
		args := []any{Position{Node: node}.pos(), Position{Node: node + 1}.pos(), 1}
		err := h.set.Each(ctx, "first_rows", args, func(scan func(...any) error) error {
			var pos, at int64
			err := scan(&pos, &at)
			list = append(list, firstRow{positionOf(pos), clock.FromMicros(at)})
			return err
		})
		if err != nil {
			return nil, fault.Wrap(err, "find the oldest events")
		}
	}
	return list, nil
}

// OldestConversation is when the oldest conversation was written, or zero.
func (h *History) OldestConversation(ctx context.Context) (time.Time, error) {
	var id, at int64
	err := h.set.One(ctx, "first_conversation", nil, &id, &at)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	return clock.FromMicros(at), fault.Wrap(err, "find the oldest conversation")
}
