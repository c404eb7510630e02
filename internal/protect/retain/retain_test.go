package retain_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/retain"
)

const day = 24 * time.Hour

func letters() pledge.Declaration {
	return pledge.Declaration{
		Package: "test/letters",
		Categories: []pledge.Category{{
			Name: "letters", About: pledge.Correspondent, What: "letters", Purpose: "carry them", Basis: pledge.Contract,
			Period: pledge.Period{Ceiling: 10 * day, From: "the stamp"}, Found: "by name", Erasing: pledge.Delete,
		}},
		Places: pledge.Columns("letters", true, "letter", "sealed"),
	}
}

// box holds letters by the time of their stamp.
type box struct {
	stamps []time.Time
	broken error
	deaf   bool // it says that it purged, and did not
}

func (b *box) purge(_ context.Context, before time.Time) (n int, err error) {
	if b.broken != nil {
		return 0, b.broken
	}
	var kept []time.Time
	for _, s := range b.stamps {
		if s.Before(before) && !b.deaf {
			n++
		} else {
			kept = append(kept, s)
		}
	}
	b.stamps = kept
	return n, nil
}

func (b *box) oldest(context.Context) (oldest time.Time, err error) {
	for _, s := range b.stamps {
		if oldest.IsZero() || s.Before(oldest) {
			oldest = s
		}
	}
	return oldest, nil
}

type bench struct {
	t       *testing.T
	clock   *lab.Clock
	vault   *vault.Vault
	stage   *evidence.Stage
	box     *box
	engine  *retain.Engine
	wrapped int
}

func newBench(t *testing.T, d *db.DB) *bench {
	t.Helper()
	b := &bench{t: t, clock: lab.NewClock(lab.Epoch), box: &box{}, stage: evidence.NewStage(d)}
	source := ids.NewSource(b.clock, 1, 0)
	b.vault = keys.Vault(t, b.clock, source)
	i, err := inventory.Join(letters())
	if err != nil {
		t.Fatal(err)
	}
	b.engine, err = retain.New(retain.Config{
		Inventory: i, Rules: []retain.Rule{{Category: "letters", Purge: b.box.purge, Oldest: b.box.oldest}},
		Keys: []retain.Keys{{Class: vault.Content, After: 5 * day, Needs: []string{"letters"}, Survivors: func(context.Context, time.Time, func(ids.Key) bool) (int, error) {
			b.wrapped++
			return 0, nil
		}}},
		DB: d, Vault: b.vault, Stage: b.stage, IDs: source, Clock: b.clock, Observe: observe.Silent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leaves are the kinds of the staged leaves.
func (b *bench) leaves() map[evidence.Kind]int {
	b.t.Helper()
	rows, err := b.stage.Staged(b.t.Context(), 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	kinds := map[evidence.Kind]int{}
	for _, r := range rows {
		l, err := evidence.ParseLeaf(r.Leaf)
		if err != nil {
			b.t.Fatal(err)
		}
		kinds[l.Body.Kind()]++
	}
	return kinds
}

func TestOneSecondDecides(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{evidence.Schema()}, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		now := b.clock.Now()
		b.box.stamps = []time.Time{now.Add(-10*day + time.Second), now.Add(-10*day - time.Second)}
		if err := b.engine.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.box.stamps) != 1 || !b.box.stamps[0].Equal(now.Add(-10*day+time.Second)) {
			t.Errorf("left: %v", b.box.stamps)
		}
		if got := b.leaves()[evidence.KindPurge]; got != 1 {
			t.Errorf("%d purges are in the evidence", got)
		}
		b.clock.Wind(2 * time.Second)
		if err := b.engine.Pass(t.Context()); err != nil || len(b.box.stamps) != 0 {
			t.Errorf("two seconds later: %v, %v", b.box.stamps, err)
		}
		if s := b.engine.States(); len(s) != 2 || s[1].Category != "letters" || s[1].Total != 2 || s[1].Problem != "" {
			t.Errorf("states %+v", s)
		}
	})
}

func TestAFailingPurgeIsSeenAndHoldsTheKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()))
	if _, err := b.vault.Seal(nil, 7, vault.Content, vault.AD{Table: "letter", Row: 1}, []byte("dear")); err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(7 * day)
	b.box.broken = errors.New("the box is stuck")
	if err := b.engine.Pass(t.Context()); err == nil {
		t.Error("a failing purge passed")
	}
	if f := b.engine.Failing(); len(f) != 2 {
		t.Errorf("failing: %v", f)
	}
	if all, err := b.vault.Epochs(t.Context(), 7); err != nil || len(all) != 1 {
		t.Errorf("keys died although a purge failed: %v, %v", all, err)
	}
	b.box.broken = nil
	if err := b.engine.Pass(t.Context()); err != nil || len(b.engine.Failing()) != 0 {
		t.Errorf("mended: %v, failing %v", err, b.engine.Failing())
	}
	b.box.deaf, b.box.stamps = true, []time.Time{b.clock.Now().Add(-11 * day)}
	if err := b.engine.Pass(t.Context()); err == nil || !slices.Contains(b.engine.Failing(), "letters") {
		t.Errorf("an overdue record passed: %v", err)
	}
}

func TestKeysDieAfterTheirTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()))
	ad := vault.AD{Table: "letter", Row: 1}
	sealed, err := b.vault.Seal(nil, 7, vault.Content, ad, []byte("dear"))
	if err != nil {
		t.Fatal(err)
	}
	midnight := vault.DayOf(b.clock.Now()).Start().Add(day)
	b.clock.Wind(midnight.Add(5*day - time.Second).Sub(b.clock.Now()))
	if err := b.engine.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.vault.Open(nil, 7, ad, sealed); err != nil {
		t.Errorf("one second too young: %v", err)
	}
	b.clock.Wind(2 * time.Second)
	if err := b.engine.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.vault.Open(nil, 7, ad, sealed); !fault.Is(err, fault.Gone) {
		t.Errorf("one second too old: %v", err)
	}
	if b.wrapped != 1 || b.leaves()[evidence.KindKeyDestruction] != 1 {
		t.Errorf("survivors asked %d times, leaves %v", b.wrapped, b.leaves())
	}
}

func TestEveryCeilingNeedsARule(t *testing.T) {
	t.Parallel()
	i, err := inventory.Join(letters())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := retain.New(retain.Config{Inventory: i}); err == nil {
		t.Error("a category with a ceiling and no rule passed")
	}
}
