package evidence

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

const (
	// maxRecent bounds the leaves remembered by id.
	maxRecent = 65536
	// slack is how far the order of the log may differ from the order of ids:
	// transactions that staged early and committed late, clocks that disagree.
	slack = time.Hour
	// late is how much older than what it remembers a row is that a running
	// sequencer has no reason to expect.
	late = time.Minute
)

// recent knows which leaves stand at the end of the log, so that a row whose
// removal was lost in a crash is not appended again. For rows older than what
// it remembers (a database restored from a snapshot) it reads further back.
type recent struct {
	at   map[ids.Leaf]int64
	from int64    // every leaf from this index on is in at
	old  ids.Leaf // the newest id seen among those before from, or thereabouts
	sure bool     // what was staged at the start is gone: every removal since is known
}

// suspect reports that a row may stand before what is remembered.
func (r *recent) suspect(id ids.Leaf) bool {
	if r.from == 0 {
		return false
	}
	if r.sure {
		return id.Time().Add(late).Before(r.old.Time())
	}
	return id.Time().Add(-slack).Before(r.old.Time())
}

// loadRecent reads the last leaves: more than one batch.
func loadRecent(ctx context.Context, t Files, size int64) (recent, error) {
	r := recent{at: map[ids.Leaf]int64{}}
	last := (size+tileWidth-1)/tileWidth - 1
	for n := last; n >= 0 && n > last-2*maxBatch/tileWidth; n-- {
		leaves, err := leavesOf(ctx, t, n, size)
		if err != nil {
			return recent{}, err
		}
		for i, l := range leaves {
			r.at[l.ID] = n*tileWidth + int64(i)
		}
		r.from, r.old = n*tileWidth, newestID(leaves)
	}
	return r, nil
}

func (r *recent) add(from int64, rows []Row) {
	for i, row := range rows {
		r.at[row.ID] = from + int64(i)
	}
	if len(r.at) <= maxRecent {
		return
	}
	end := from + int64(len(rows))
	r.from = end - maxRecent/2
	for id, index := range r.at {
		if index < r.from {
			r.old = max(r.old, id)
			delete(r.at, id)
		}
	}
}

// without gives the rows that the log does not hold.
func (r *recent) without(ctx context.Context, t Files, size int64, rows []Row) ([]Row, error) {
	older := map[ids.Leaf]int64{}
	for _, row := range rows {
		if _, ok := r.at[row.ID]; !ok && r.suspect(row.ID) {
			older[row.ID] = -1
		}
	}
	if err := locate(ctx, t, size, r.from, older); err != nil {
		return nil, err
	}
	var out []Row
	for _, row := range rows {
		index, wasOlder := older[row.ID]
		if _, ok := r.at[row.ID]; !ok && (!wasOlder || index < 0) {
			out = append(out, row)
		}
	}
	return out, nil
}

// locate fills in the indexes of leaves that stand before index below. It reads
// back until all are found or all leaves are too old.
func locate(ctx context.Context, t Files, size, below int64, want map[ids.Leaf]int64) error {
	left := len(want)
	var oldest time.Time
	for id := range want {
		if oldest.IsZero() || id.Time().Before(oldest) {
			oldest = id.Time()
		}
	}
	for n := (below+tileWidth-1)/tileWidth - 1; n >= 0 && left > 0; n-- {
		leaves, err := leavesOf(ctx, t, n, size)
		if err != nil {
			return err
		}
		for i, l := range leaves {
			if index, ok := want[l.ID]; ok && index < 0 {
				want[l.ID] = n*tileWidth + int64(i)
				left--
			}
		}
		if newestID(leaves).Time().Before(oldest.Add(-slack)) {
			return nil
		}
	}
	return nil
}

// find gives the index of one leaf, or a NotFound fault.
func find(ctx context.Context, t Files, size int64, id ids.Leaf) (int64, error) {
	want := map[ids.Leaf]int64{id: -1}
	if err := locate(ctx, t, size, size, want); err != nil {
		return 0, err
	}
	if want[id] < 0 {
		return 0, fault.New(fault.NotFound, "The evidence log does not hold that entry.")
	}
	return want[id], nil
}
