package history

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
)

// purgeRows is how many rows one transaction of a purge looks at.
const purgeRows = 1000

// Purge deletes the events that are older than a time and says how many. Rows
// stand in the order of their time, so it reads no further than the first
// thousand that are young.
func (h *History) Purge(ctx context.Context, before time.Time) (int, error) {
	nodes, err := h.nodes(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, node := range nodes {
		from, end := Position{Node: node}.pos(), Position{Node: node + 1}.pos()
		for {
			last, n, err := h.purgePage(ctx, from, end, before)
			total += n
			if err != nil {
				return total, fault.Wrap(err, "purge history")
			}
			if n == 0 {
				break
			}
			from = last + 1
		}
	}
	return total, nil
}

// purgePage deletes what is due among the next rows of a node.
func (h *History) purgePage(ctx context.Context, from, end int64, before time.Time) (last int64, n int, err error) {
	err = h.db.Change(ctx, "purge history", func(tx *db.Tx) error {
		due := false
		last, n = 0, 0
		err := tx.Each(ctx, h.set, "first_rows", []any{from, end, purgeRows}, func(scan func(...any) error) error {
			var at int64
			err := scan(&last, &at)
			due = due || at < clock.Micros(before)
			return err
		})
		if err != nil || !due {
			return err
		}
		count, err := tx.Do(ctx, h.set, "purge", from, last+1, clock.Micros(before), purgeRows)
		n = int(count)
		return err
	})
	return last, n, err
}

// PurgeConversations deletes the conversations that began before a time.
func (h *History) PurgeConversations(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var n int64
		err := h.db.Change(ctx, "purge conversations", func(tx *db.Tx) (err error) {
			n, err = tx.Do(ctx, h.set, "purge_conversations", int64(ids.FirstAt[ids.Attempt](before)), purgeRows)
			return err
		})
		total += int(n)
		if err != nil || n < purgeRows {
			return total, fault.Wrap(err, "purge conversations")
		}
	}
}

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
