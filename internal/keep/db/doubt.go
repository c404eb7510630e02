package db

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
)

// doubts is how often the database is asked what became of a commit, with pauses
// of 0.1, 0.2, 0.4 … seconds between: some three seconds in all.
const doubts = 6

// happened finds out what became of a commit whose answer was lost. A group's
// numbers are kept in its own transaction, and nobody else writes this life's: if
// they are there, everything is. Connecting again waits for the fence that the
// lost transaction holds, so that it is over when the numbers are read. What has
// no numbers, and what is not learnt soon, is told as failed.
func (c *committer) happened(ctx context.Context, failure error) error {
	life, want := c.db.Life(), map[*Bulk]int64{}
	for _, s := range c.steps {
		if s.last != 0 {
			want[s.bulk] = s.last
		}
	}
	c.next = nil // read the numbers again
	if c.db.dialect != Postgres || len(want) == 0 || !fault.Is(failure, fault.Unavailable) {
		return failure
	}
	for try := range doubts {
		if c.ready(ctx) != nil {
			pause(ctx, 100*time.Millisecond<<try)
			continue
		}
		for b, n := range want {
			if c.db.Life() != life || c.next[b] < n {
				return failure
			}
		}
		c.db.log.Log.Info("a commit whose answer was lost had happened")
		return nil
	}
	return failure
}

// pause waits as long as the network's own time limits do, by the machine's time.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
