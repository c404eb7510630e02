package ids_test

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailvow/internal/base/ids"
	"mailvow/internal/lab"
)

func TestTextFormRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<41-1).Draw(t, "ms")
		low := rapid.Int64Range(0, 1<<22-1).Draw(t, "low")
		id := ids.Message(ms<<22 | low)
		if id == 0 {
			return
		}
		var m ids.Message
		if err := m.UnmarshalText([]byte(id.String())); err != nil || m != id {
			t.Fatalf("%d -> %s -> %d, %v", id, id, m, err)
		}
	})
}

func TestOtherKindsAndNonsenseAreRefused(t *testing.T) {
	t.Parallel()
	src := ids.NewSource(lab.NewClock(lab.Epoch), 3, 0)
	tenant := ids.New[ids.Tenant](src)
	var m ids.Message
	for _, s := range []string{tenant.String(), "msg_", "msg_zzzzzzzzzzzzzzzzzzzzzzzzzz", "msg_0000000000000000000000000u", "'; drop table message"} {
		if err := m.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q was taken for a message", s)
		}
	}
}

func TestNeverRepeatsNeverGoesBack(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	src := ids.NewSource(c, 7, 0)
	var mu sync.Mutex
	seen := map[ids.Tenant]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				id := ids.New[ids.Tenant](src)
				mu.Lock()
				if seen[id] {
					t.Errorf("%s came twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	last := ids.New[ids.Tenant](src)
	again := ids.NewSource(lab.NewClock(lab.Epoch.Add(-time.Hour)), 7, int64(last))
	if id := ids.New[ids.Tenant](again); id <= last {
		t.Errorf("after a restart with a clock set back: %d follows %d", id, last)
	}
	if got := last.Time(); got.Before(lab.Epoch) || got.After(lab.Epoch.Add(time.Minute)) {
		t.Errorf("time of the identifier is %v", got)
	}
}

// TestBoundsByTimeDoNotWrap: a time that no identifier can carry is still a bound.
func TestBoundsByTimeDoNotWrap(t *testing.T) {
	t.Parallel()
	now := ids.New[ids.Message](ids.NewSource(lab.NewClock(lab.Epoch), 3, 0))
	for _, year := range []int{2090, 2100, 2300, 9999} {
		if bound := ids.FirstAt[ids.Message](time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)); bound <= now {
			t.Errorf("the first of %d is %d, before one of today", year, bound)
		}
	}
	if bound := ids.FirstAt[ids.Message](time.Time{}); bound != 0 {
		t.Errorf("the first of the year 1 is %d", bound)
	}
}
