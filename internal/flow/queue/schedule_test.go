package queue

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDelayGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-5, 1_000_000).Draw(t, "attempt")
		wish := time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "wish"))
		spread := spreadOf(rapid.Int64().Draw(t, "id"))
		if spread < 0 || spread >= 1 {
			t.Fatalf("spread %v", spread)
		}
		d := Delay(n, wish, spread)
		if d < 5*time.Minute || d > 4*time.Hour+24*time.Minute {
			t.Fatalf("attempt %d wish %v: %v", n, wish, d)
		}
		if Delay(n+1, wish, 0) < Delay(n, wish, 0) {
			t.Fatalf("attempt %d waits longer than the next", n)
		}
	})
}

func TestDelayWrittenOut(t *testing.T) {
	t.Parallel()
	want := []time.Duration{5, 10, 20, 40, 80, 160, 240, 240, 240}
	total := time.Duration(0)
	for i, w := range want {
		if got := Delay(i+1, 0, 0); got != w*time.Minute {
			t.Errorf("after attempt %d: %v, want %v", i+1, got, w*time.Minute)
		}
		total += w * time.Minute
	}
	if got := Delay(1, time.Hour, 0); got != time.Hour {
		t.Errorf("a peer's wish of an hour gave %v", got)
	}
}
