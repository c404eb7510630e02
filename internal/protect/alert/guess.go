package alert

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mailvow/internal/base/clock"
)

// Guesses sees credentials being tried: refusals of one origin, or of all
// together, within a window. It holds no address but in memory, and none in what
// it raises.
type Guesses struct {
	Clock clock.Clock
	// Raise puts an event on the board; it must not wait long.
	Raise func(context.Context, Condition)

	mu    sync.Mutex
	since time.Time
	all   int
	of    map[string]int
}

// The marks: refusals within a window.
const (
	GuessWindow = 10 * time.Minute
	GuessesOf   = 20  // of one origin
	GuessesAll  = 200 // of all together
	maxOrigins  = 10_000
)

// GuessMarker is the marker of what is raised: one alert, however many try.
const GuessMarker = "guessing"

// Refused counts a credential that was refused.
func (g *Guesses) Refused(ctx context.Context, origin string) {
	g.mu.Lock()
	now := g.Clock.Now()
	if g.of == nil || now.Sub(g.since) >= GuessWindow || now.Before(g.since) {
		g.since, g.all, g.of = now, 0, map[string]int{}
	}
	g.all++
	if _, known := g.of[origin]; known || len(g.of) < maxOrigins {
		g.of[origin]++
	}
	one, all, origins := g.of[origin], g.all, len(g.of)
	g.mu.Unlock()
	// At the mark and at every doubling of it: the board counts, and is spared.
	if doubled(one, GuessesOf) || doubled(all, GuessesAll) {
		g.Raise(ctx, Condition{GuessMarker, Guessing, fmt.Sprintf("%d credentials were refused within ten minutes, from %d origins, %d of them from one.", all, origins, one)})
	}
}

// Forget begins a new window.
func (g *Guesses) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of = nil
}

func doubled(n, mark int) bool {
	for ; mark < n; mark *= 2 {
	}
	return n == mark
}
