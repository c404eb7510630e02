package blob

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
)

// sweepBatch is how many names one question to the database holds.
const sweepBatch = 500

// Sweep removes blobs that were written before a time and to which nobody
// refers, and what was begun before it and never committed. referenced answers
// for each name whether a row refers to it. The time must lie further back than
// any session lasts: between a blob's commit and its row's nobody refers to it.
func Sweep(ctx context.Context, s Store, before time.Time, referenced func(context.Context, []Name) (map[Name]bool, error)) (removed int, err error) {
	removed, err = s.Tidy(ctx, before)
	if err != nil {
		return removed, fault.Wrap(err, "remove unfinished blobs")
	}
	var batch []Name
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		held, err := referenced(ctx, batch)
		if err != nil {
			return err
		}
		for _, name := range batch {
			if held[name] {
				continue
			}
			if err := s.Delete(ctx, name); err != nil {
				return err
			}
			removed++
		}
		batch = batch[:0]
		return nil
	}
	err = s.List(ctx, func(e Entry) error {
		if e.Changed.Before(before) {
			batch = append(batch, e.Name)
		}
		if len(batch) < sweepBatch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return removed, fault.Wrap(err, "remove blobs without a row")
}
