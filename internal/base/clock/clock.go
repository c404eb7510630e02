// Package clock passes time in, so that tests wind it by hand. It promises that
// nothing below the top floor asks the machine for the time. Judging leases of
// several nodes is left to the database's own clock.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	// Now is the present time in UTC with its monotonic reading, where there is one.
	Now() time.Time
	// NewTimer fires once, d after now.
	NewTimer(d time.Duration) Timer
}

// Timer is a time.Timer that a test can wind.
type Timer interface {
	C() <-chan time.Time
	Stop() bool
	Reset(d time.Duration) bool
}

// Wall is the machine's clock.
type Wall struct{}

// Now implements Clock.
func (Wall) Now() time.Time { return time.Now().UTC() }

// NewTimer implements Clock.
func (Wall) NewTimer(d time.Duration) Timer { return wallTimer{time.NewTimer(d)} }

type wallTimer struct{ *time.Timer }

func (t wallTimer) C() <-chan time.Time { return t.Timer.C }

// Sleep waits for d on c, or returns the context's error when that ends first.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C():
		return nil
	}
}

// Micros is a time as the database keeps it: integer microseconds UTC since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the inverse of Micros.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
