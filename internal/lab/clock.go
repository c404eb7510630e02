// Package lab holds the fakes of the outside world and the hand-wound clock. It
// is imported by tests only; a test of the floors holds that.
package lab

import (
	"sync"
	"time"

	"mailvow/internal/base/clock"
)

// Clock is wound by hand: time passes only in Wind.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*handTimer]struct{}
}

// Epoch is where hand-wound clocks start unless a test says otherwise.
var Epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// NewClock starts at the given time.
func NewClock(start time.Time) *Clock {
	return &Clock{now: start.UTC(), timers: map[*handTimer]struct{}{}}
}

var _ clock.Clock = (*Clock)(nil)

// Now implements clock.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// NewTimer implements clock.Clock.
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	t := &handTimer{clock: c, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// Wind moves time forward and fires what became due, earliest first.
func (c *Clock) Wind(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.now.Add(d)
	for {
		var next *handTimer
		for t := range c.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		c.now = next.at
		delete(c.timers, next)
		select {
		case next.c <- c.now:
		default:
		}
	}
	c.now = end
}

// Waiting says how many timers have not fired, so that a test can wind only
// after the code under test sleeps.
func (c *Clock) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

type handTimer struct {
	clock *Clock
	at    time.Time
	c     chan time.Time
}

func (t *handTimer) C() <-chan time.Time { return t.c }

func (t *handTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	_, was := t.clock.timers[t]
	delete(t.clock.timers, t)
	return was
}

func (t *handTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	_, was := t.clock.timers[t]
	select {
	case <-t.c:
	default:
	}
	t.at = t.clock.now.Add(d)
	if d <= 0 {
		delete(t.clock.timers, t)
		t.c <- t.clock.now
		return was
	}
	t.clock.timers[t] = struct{}{}
	return was
}
