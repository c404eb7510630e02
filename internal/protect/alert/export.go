package alert

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mailvow/internal/base/clock"
)

// Exports sees one reader being shown very many records within a window, however
// many requests it takes. It holds identifiers only.
type Exports struct {
	Clock clock.Clock
	// Raise puts an event on the board; it must not wait long.
	Raise func(context.Context, Condition)

	mu    sync.Mutex
	since time.Time
	of    map[string]int
}

// The marks: records that one reader is shown within a window.
const (
	ExportWindow = time.Hour
	ExportsOf    = 10_000
	maxReaders   = 10_000
)

// Shown counts records that a reader was shown. The reader's name stands in the
// alert: it is an identifier.
func (x *Exports) Shown(ctx context.Context, reader string, records int) {
	x.mu.Lock()
	now := x.Clock.Now()
	if x.of == nil || now.Sub(x.since) >= ExportWindow || now.Before(x.since) {
		x.since, x.of = now, map[string]int{}
	}
	before, known := x.of[reader]
	if !known && len(x.of) >= maxReaders {
		x.mu.Unlock()
		return
	}
	sum := before + records
	x.of[reader] = sum
	x.mu.Unlock()
	// At the mark and at every doubling of it.
	for mark := ExportsOf; mark <= sum; mark *= 2 {
		if mark > before {
			x.Raise(ctx, Condition{"export " + reader, Export, fmt.Sprintf("%s was shown %d records of persons within an hour.", reader, sum)})
			return
		}
	}
}
