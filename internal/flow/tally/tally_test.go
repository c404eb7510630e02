package tally

import (
	"testing"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// TestTally: what history commits is counted, per customer, and survives a
// second tally on the same database.
func TestTally(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, history.Schema(), Schema)
		source := ids.NewSource(clock, 1, 0)
		h := history.New(d, keys.Vault(t, clock, source), source, clock, history.NoRedaction{})
		tally := New(d, clock, observe.Silent().Log)
		write := func(tenant ids.Tenant, kinds ...history.Kind) {
			t.Helper()
			u := &db.Unit{}
			for _, k := range kinds {
				e := history.Event{Message: ids.New[ids.Message](source), Tenant: tenant, Direction: history.Outbound, Kind: k, At: clock.Now()}
				if err := h.Write(u, e, history.Known{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		start := clock.Now()
		write(1001, history.Accepted, history.Delivered, history.Held)
		for range 2 { // sums are added up, and written once
			if err := tally.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		write(1001, history.Accepted, history.Failed, history.Expired)
		write(1002, history.Accepted, history.Deferred)
		clock.Wind(3 * time.Minute)
		write(1001, history.Delivered)
		if err := tally.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		own, err := tally.Series(t.Context(), scope.Tenant(1001), start, time.Minute)
		if err != nil || len(own) != 4 {
			t.Fatal(own, err)
		}
		if p := own[0]; p.Accepted != 2 || p.Delivered != 1 || p.Failed != 2 || p.Deferred != 0 || !p.At.Equal(start) {
			t.Errorf("%+v", p)
		}
		if own[1] != (Point{At: start.Add(time.Minute)}) || own[3].Delivered != 1 {
			t.Errorf("%+v", own)
		}
		all, err := tally.Series(t.Context(), scope.Everyone, start, time.Hour)
		if err != nil || len(all) != 1 || all[0].Accepted != 3 || all[0].Deferred != 1 || all[0].Delivered != 2 {
			t.Errorf("%+v %v", all, err)
		}
		clock.Wind(period + time.Hour)
		if n, err := tally.Purge(t.Context(), scope.Everyone, clock.Now().Add(-90*24*time.Hour)); err != nil || n != 8 {
			t.Errorf("purged %d rows: %v", n, err)
		}
	})
}
