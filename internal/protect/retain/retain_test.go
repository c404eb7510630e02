package retain_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
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
			Name: "letters", About: pledge.Correspondent, What: "letters", Purpose: "carry them", For: pledge.ToDeliver, Basis: pledge.Contract,
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

func (b *box) purge(_ context.Context, _ scope.Scope, before time.Time) (n int, err error) {
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
		Keys: []retain.Keys{{Class: vault.Content, After: 5 * day, Needs: []string{"letters"}, Survivors: func(context.Context, time.Time, time.Time, func(ids.Key) bool) (int, error) {
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
	lab.EachDB(t, []db.Schema{evidence.Schema(), retain.Schema()}, func(t *testing.T, d *db.DB) {
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
		last := b.clock.Now()
		b.clock.Wind(time.Hour)
		if err := b.engine.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := b.engine.States(t.Context())
		if err != nil || len(s) != 2 || s[1].Category != "letters" || s[1].Total != 2 || s[1].Purged != 1 || !s[1].Gone.Equal(last) || s[1].Status != retain.Kept {
			t.Errorf("states %+v, %v", s, err)
		}
	})
}

func TestAFailingPurgeIsSeenAndHoldsTheKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema(), retain.Schema()))
	if _, err := b.vault.Seal(nil, 7, vault.Content, vault.AD{Table: "letter", Row: 1}, []byte("dear")); err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(7 * day)
	b.box.broken = errors.New("the box is stuck")
	if err := b.engine.Pass(t.Context()); err == nil {
		t.Error("a failing purge passed")
	}
	if f := b.failing(); len(f) != 2 {
		t.Errorf("failing: %v", f)
	}
	if all, err := b.vault.Epochs(t.Context(), 7); err != nil || len(all) != 1 {
		t.Errorf("keys died although a purge failed: %v, %v", all, err)
	}
	b.box.broken = nil
	if err := b.engine.Pass(t.Context()); err != nil || len(b.failing()) != 0 {
		t.Errorf("mended: %v, failing %v", err, b.failing())
	}
	b.box.deaf, b.box.stamps = true, []time.Time{b.clock.Now().Add(-11 * day)}
	if err := b.engine.Pass(t.Context()); err == nil || !slices.Contains(b.failing(), "letters") {
		t.Errorf("an overdue record passed: %v", err)
	}
}

func (b *bench) failing() []string {
	b.t.Helper()
	list, err := b.engine.Failing(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// TestAnotherProcessSeesIt: states are read by a process that never purges, and
// what nobody purges becomes overdue.
func TestAnotherProcessSeesIt(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{evidence.Schema(), retain.Schema()}, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		config := b.engine.Config
		config.Observe = observe.Silent()
		other, err := retain.New(config)
		if err != nil {
			t.Fatal(err)
		}
		statuses := func() map[string]retain.Status {
			list, err := other.States(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]retain.Status{}
			for _, s := range list {
				got[s.Category] = s.Status
			}
			return got
		}
		expect := func(when string, want retain.Status) {
			if got := statuses(); got["letters"] != want || got["content keys"] != want || len(got) != 2 {
				t.Errorf("%s: %v, want %s", when, got, want)
			}
		}
		expect("at first", retain.NotYet)
		b.clock.Wind(3*time.Hour + time.Second)
		expect("three hours without a pass", retain.Overdue)
		b.box.stamps = []time.Time{b.clock.Now().Add(-day)}
		if err := b.engine.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("after a pass", retain.Kept)
		if list, err := other.States(t.Context()); err != nil || !list[1].Due.Equal(b.clock.Now().Add(9*day)) {
			t.Errorf("due %v, %v", list, err)
		}
		b.box.broken = fault.New(fault.Unavailable, "away")
		if err := b.engine.Pass(t.Context()); err == nil {
			t.Error("a failing purge passed")
		}
		expect("a pass that failed", retain.Failing)
	})
}

func TestKeysDieAfterTheirTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema(), retain.Schema()))
	ad := vault.AD{Table: "letter", Row: 1}
	sealed, err := b.vault.Seal(nil, 7, vault.Content, ad, []byte("dear"))
	if err != nil {
		t.Fatal(err)
	}
	midnight := vault.Content.End(b.clock.Now())
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

// TestShortKeysDieBetweenPasses: keys that are looked for more often go without
// a pass, those of all customers after one search for survivors, and with one
// leaf of evidence.
func TestShortKeysDieBetweenPasses(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema(), retain.Schema()))
	asked := 0
	b.engine.Keys = append(b.engine.Keys, retain.Keys{
		Class: vault.Transit, After: 30 * time.Minute, Every: 15 * time.Minute,
		Survivors: func(_ context.Context, since, before time.Time, dying func(ids.Key) bool) (int, error) {
			asked++
			if !since.Equal(lab.Epoch) || before.Before(lab.Epoch.Add(time.Hour)) {
				t.Errorf("sealed between %v and %v", since, before)
			}
			return 0, nil
		},
	})
	ad := vault.AD{Table: "letter", Row: 1}
	for _, tenant := range []ids.Tenant{7, 8} {
		if _, err := b.vault.Seal(nil, tenant, vault.Transit, ad, []byte("dear")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.engine.Run(ctx) }()
	left := func() int {
		for b.clock.Waiting() == 0 {
			runtime.Gosched()
		}
		n := 0
		for _, tenant := range []ids.Tenant{7, 8} {
			all, err := b.vault.Epochs(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			n += len(all)
		}
		return n
	}
	for quarter := 1; quarter <= 6; quarter++ {
		if n := left(); n != 2 {
			t.Fatalf("%d keys after %d quarters of an hour", n, quarter-1)
		}
		b.clock.Wind(15 * time.Minute)
	}
	if n := left(); n != 0 || asked != 1 || b.leaves()[evidence.KindKeyDestruction] != 1 {
		t.Errorf("%d keys left, survivors asked %d times, leaves %v", n, asked, b.leaves())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
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
