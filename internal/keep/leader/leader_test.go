package leader_test

import (
	"context"
	_ "embed" // the frozen schema
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/leader"
	"mailvow/internal/lab"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wound runs a test on both databases under a clock that it winds.
func wound(t *testing.T, f func(t *testing.T, d *db.DB, c *lab.Clock)) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = c, func(time.Time) time.Time { return c.Now() }
		f(t, lab.OpenDB(t, config, leader.Schema), c)
	})
}

func TestOneLeaderAndGrowingTokens(t *testing.T) {
	wound(t, func(t *testing.T, d *db.DB, c *lab.Clock) {
		a, b := leader.New(d, c, observe.Silent()), leader.New(d, c, observe.Silent())
		first, ok, err := a.Take(t.Context(), "sequence evidence")
		must(t, err)
		if !ok || first.Token() != 1 {
			t.Fatal("the first does not lead", ok, first.Token())
		}
		if _, ok, err := b.Take(t.Context(), "sequence evidence"); ok || err != nil {
			t.Fatal("two leaders", err)
		}
		if _, ok, _ := b.Take(t.Context(), "purge"); !ok {
			t.Fatal("another duty is free")
		}
		c.Wind(leader.Lease - time.Second)
		if mine, err := first.Renew(t.Context()); !mine || err != nil {
			t.Fatal("a live term is not renewed", err)
		}
		c.Wind(leader.Lease)
		second, ok, err := b.Take(t.Context(), "sequence evidence")
		must(t, err)
		if !ok || second.Token() != 2 {
			t.Fatal("the second does not lead", ok, second.Token())
		}
		if mine, _ := first.Renew(t.Context()); mine {
			t.Error("a term that is over was renewed")
		}
		act := func(term leader.Term) error {
			return d.Change(t.Context(), "act", func(tx *db.Tx) error { return term.Check(t.Context(), tx) })
		}
		if err := act(first); !fault.Is(err, fault.Conflict) {
			t.Error("an old leader may still act:", err)
		}
		must(t, act(second))
		must(t, second.GiveUp(t.Context()))
		if _, ok, _ := a.Take(t.Context(), "sequence evidence"); !ok {
			t.Error("a duty that was given up is not free")
		}
	})
}

func TestHoldTakesOverAndStops(t *testing.T) {
	wound(t, func(t *testing.T, d *db.DB, c *lab.Clock) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		led := make(chan int64)
		var inside atomic.Int32
		duty := func(ctx context.Context, term leader.Term) error {
			if inside.Add(1) != 1 {
				t.Error("two lead at once")
			}
			defer inside.Add(-1)
			led <- term.Token()
			<-ctx.Done()
			return nil
		}
		firstCtx, stopFirst := context.WithCancel(ctx)
		ended := make(chan error, 2)
		go func() { ended <- leader.New(d, c, observe.Silent()).Hold(firstCtx, "purge", duty) }()
		if token := <-led; token != 1 {
			t.Fatal(token)
		}
		stopFirst()
		must(t, <-ended)
		go func() { ended <- leader.New(d, c, observe.Silent()).Hold(ctx, "purge", duty) }()
		if token := <-led; token != 2 {
			t.Fatal(token)
		}
		cancel()
		must(t, <-ended)
	})
}

// On SQLite the folder belongs to one process: after a crash nobody waits.
func TestDeadProcessIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	config, c := db.Config{Dir: t.TempDir()}, lab.NewClock(lab.Epoch)
	config.Clock = c
	d := lab.OpenDB(t, config, leader.Schema)
	if _, ok, err := leader.New(d, c, observe.Silent()).Take(t.Context(), "purge"); !ok || err != nil {
		t.Fatal(err)
	}
	must(t, d.Close())
	d = lab.OpenDB(t, config, leader.Schema)
	term, ok, err := leader.New(d, c, observe.Silent()).Take(t.Context(), "purge")
	if !ok || err != nil || term.Token() != 2 {
		t.Fatal(ok, err, term.Token())
	}
}

//go:embed testdata/v1.sql
var version1 string // frozen: never edit it

func TestUpgradesVersion1(t *testing.T) {
	t.Parallel()
	lab.EachUpgrade(t, db.Schema{Package: "keep/leader", SQL: version1 + `
-- query: fill
insert into leader_duty (duty, instance, token, until) values ('purge', 'somebody', 7, 0)`}, leader.Schema,
		func(t *testing.T, d *db.DB) {
			must(t, d.Change(t.Context(), "fill", func(tx *db.Tx) error {
				_, err := tx.Do(t.Context(), d.Set("keep/leader"), "fill")
				return err
			}))
		},
		func(t *testing.T, d *db.DB) {
			term, ok, err := leader.New(d, lab.NewClock(lab.Epoch), observe.Silent()).Take(t.Context(), "purge")
			if !ok || err != nil || term.Token() != 8 {
				t.Error(ok, err, term.Token())
			}
		})
}
