package suppress

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

const acme, other ids.Tenant = 1001, 1002

func each(t *testing.T, f func(*testing.T, *Store, *lab.Clock)) {
	t.Helper()
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, Schema)
		source := ids.NewSource(clock, 1, 0)
		s, err := New(t.Context(), d, keys.Vault(t, clock, source), source, clock)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, clock)
	})
}

func mail(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *Store) mustAdd(t testing.TB, n Suppression) Suppression {
	t.Helper()
	n, err := s.Add(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// refused asks for one address.
func (s *Store) refused(t testing.TB, tenant ids.Tenant, a string) bool {
	t.Helper()
	why, err := s.Refused(t.Context(), tenant, []address.Address{mail(t, a)})
	if err != nil || len(why) != 1 {
		t.Fatal(why, err)
	}
	return why[0] != ""
}

func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		s.mustAdd(t, Suppression{Tenant: acme, Address: mail(t, "ann@example.com"), Reason: Manual, Source: FromAPI})
		s.mustAdd(t, Suppression{Tenant: Global, Address: mail(t, "trap@example.com"), Reason: Complaint, Source: FromReport})
		s.mustAdd(t, Suppression{Tenant: acme, Address: mail(t, "soon@example.com"), Reason: Manual, Source: FromAPI, Until: clock.Now().Add(time.Hour)})
		why, err := s.Refused(t.Context(), acme, []address.Address{
			mail(t, "free@example.com"), mail(t, "ANN@Example.com"), mail(t, "trap@example.com"), mail(t, "soon@example.com"), mail(t, "ann@example.com"), mail(t, "ann+x@example.com"),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]bool, len(why))
		for i, w := range why {
			got[i] = w != ""
		}
		if diff := cmp.Diff([]bool{false, true, true, true, true, false}, got); diff != "" {
			t.Error(diff)
		}
		if s.refused(t, other, "ann@example.com") || !s.refused(t, other, "trap@example.com") {
			t.Error("one customer's suppression holds for another, or the global one does not")
		}
		clock.Wind(time.Hour)
		if s.refused(t, acme, "soon@example.com") {
			t.Error("it is over and still holds")
		}
		if n, err := s.Purge(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
		if none, err := s.Refused(t.Context(), acme, nil); err != nil || len(none) != 0 {
			t.Error(none, err)
		}
	})
}

// TestBounced: the settling commit brings a suppression; a second one changes
// nothing, also in the same group.
func TestBounced(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *lab.Clock) {
		for range 2 {
			u := &db.Unit{}
			for _, who := range []string{"gone@example.com", "gone@example.com", "left@example.com"} {
				if err := s.Bounced(u, acme, mail(t, who), "550 5.1.1 no such user"); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.db.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.List(t.Context(), scope.Tenant(acme), address.Address{}, 0, 10)
		if err != nil || len(list) != 2 || list[0].Reason != HardBounce || list[0].Note != "550 5.1.1 no such user" {
			t.Error(list, err)
		}
		if !s.refused(t, acme, "gone@example.com") || !s.refused(t, acme, "left@example.com") {
			t.Error("they are still written to")
		}
		if err := s.Bounced(&db.Unit{}, acme, address.Address{}, "x"); !fault.Is(err, fault.Invalid) {
			t.Error("the null address", err)
		}
	})
}

func TestListAndRemove(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		ctx := t.Context()
		a := s.mustAdd(t, Suppression{Tenant: acme, Address: mail(t, "a@example.com"), Reason: Manual, Source: FromAPI, Note: "asked by phone"})
		b := s.mustAdd(t, Suppression{Tenant: acme, Address: mail(t, "b@example.com"), Reason: Manual, Source: FromAPI})
		again := s.mustAdd(t, Suppression{Tenant: acme, Address: mail(t, "A@example.com"), Reason: Manual, Source: FromAPI, Until: clock.Now().Add(time.Minute)})
		if again.ID != a.ID {
			t.Error("the same address and reason is there twice")
		}
		page, err := s.List(ctx, scope.Tenant(acme), address.Address{}, b.ID, 5)
		if err != nil || len(page) != 1 || page[0].Address != a.Address || page[0].Note != "asked by phone" || !page[0].Until.Equal(clock.Now().Add(time.Minute)) {
			t.Error(page, err)
		}
		if of, err := s.List(ctx, scope.Tenant(acme), mail(t, "b@example.com"), 0, 5); err != nil || len(of) != 1 || of[0].ID != b.ID {
			t.Error(of, err)
		}
		if err := s.Remove(ctx, scope.Tenant(other), a.ID); !fault.Is(err, fault.NotFound) {
			t.Error("another customer lifts it", err)
		}
		if _, err := s.Get(ctx, scope.Tenant(other), a.ID); !fault.Is(err, fault.NotFound) {
			t.Error("another customer reads it", err)
		}
		if err := s.Remove(ctx, scope.Tenant(acme), a.ID); err != nil || s.refused(t, acme, "a@example.com") {
			t.Error("lifted", err)
		}
		for _, bad := range []Suppression{
			{Tenant: acme, Address: mail(t, "x@example.com"), Reason: "mood", Source: FromAPI},
			{Tenant: acme, Address: mail(t, "x@example.com"), Reason: Manual, Source: FromAPI, Until: clock.Now()},
			{Tenant: acme, Reason: Manual, Source: FromAPI},
		} {
			if _, err := s.Add(ctx, bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestHolder(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *lab.Clock) {
		ctx := t.Context()
		ann := pledge.Subject{Scope: scope.Everyone, Address: mail(t, "ann@example.com")}
		for _, tenant := range []ids.Tenant{acme, other} {
			s.mustAdd(t, Suppression{Tenant: tenant, Address: ann.Address, Reason: Manual, Source: FromAPI, Note: "ann@example.com called"})
		}
		if traces, err := s.Find(ctx, ann); err != nil || len(traces) != 1 || traces[0].Count != 2 {
			t.Fatal(traces, err)
		}
		if own, err := s.Find(ctx, pledge.Subject{Scope: scope.Tenant(acme), Address: ann.Address}); err != nil || own[0].Count != 1 {
			t.Error(own, err)
		}
		var records []pledge.Record
		err := s.HandOver(ctx, ann, func(r pledge.Record) error { records = append(records, r); return nil })
		if err != nil || len(records) != 2 || records[0].Fields["address"] != "ann@example.com" {
			t.Error(records, err)
		}
		for _, n := range []int{2, 0} {
			erased, err := s.Erase(ctx, ann)
			if err != nil || (n > 0) != (len(erased) == 1) || n > 0 && erased[0].Count != n {
				t.Error(n, erased, err)
			}
		}
		if traces, err := s.Find(ctx, ann); err != nil || len(traces) != 0 {
			t.Error("found after erasure", traces, err)
		}
		if !s.refused(t, acme, "ann@example.com") || !s.refused(t, other, "ann@example.com") {
			t.Error("an erased person is written to again")
		}
		rows, err := s.of(ctx, scope.Everyone, ann.Address)
		if err != nil || len(rows) != 2 {
			t.Fatal(rows, err)
		}
		for _, r := range rows {
			if !r.Address.IsNull() || r.Note != "" {
				t.Error("more than the hash is left", r)
			}
			if err := s.Remove(ctx, scope.Tenant(r.Tenant), r.ID); !fault.Is(err, fault.NotFound) {
				t.Error("a customer lifts what a person asked for", err)
			}
		}
	})
}

func TestRestrict(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *lab.Clock) {
		ctx := t.Context()
		bob := pledge.Subject{Scope: scope.Tenant(acme), Address: mail(t, "bob@example.com")}
		for range 2 {
			if n, err := s.Restrict(ctx, bob, true); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if !s.refused(t, acme, "bob@example.com") || s.refused(t, other, "bob@example.com") {
			t.Error("restricted at one customer only")
		}
		for _, want := range []int{1, 0} {
			if n, err := s.Restrict(ctx, bob, false); n != want || err != nil {
				t.Error(n, err)
			}
		}
		if s.refused(t, acme, "bob@example.com") {
			t.Error("the restriction is lifted and holds")
		}
		if err := s.KeepAway(ctx, pledge.Subject{Scope: scope.Everyone, Address: bob.Address}); err != nil || !s.refused(t, other, "bob@example.com") {
			t.Error(err)
		}
	})
}

// TestRestart: a store that is made over a full table refuses what is in it.
func TestRestart(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		u := &db.Unit{}
		for i := range 100 {
			if err := s.Bounced(u, acme, mail(t, fmt.Sprintf("gone%d@example.com", i)), "550"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.db.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		again, err := New(t.Context(), s.db, s.vault, s.ids, clock)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for i := range 100 {
			if !again.refused(t, acme, fmt.Sprintf("gone%d@example.com", i)) {
				t.Fatalf("gone%d is written to after a restart", i)
			}
			h, err := again.hash(mail(t, fmt.Sprintf("free%d@example.com", i)))
			if err != nil {
				t.Fatal(err)
			}
			if again.seen.maybe(h) {
				asked++
			}
		}
		if again.seen != nil && asked > 5 {
			t.Errorf("%d of 100 free addresses ask the database", asked)
		}
	})
}

func BenchmarkRefused(b *testing.B) {
	clock := lab.NewClock(lab.Epoch)
	d := lab.DB(b, Schema)
	source := ids.NewSource(clock, 1, 0)
	s, err := New(b.Context(), d, keys.Vault(b, clock, source), source, clock)
	if err != nil {
		b.Fatal(err)
	}
	s.mustAdd(b, Suppression{Tenant: acme, Address: mail(b, "two@example.com"), Reason: Manual, Source: FromAPI})
	for _, who := range []string{"one@example.com", "two@example.com"} {
		b.Run(who, func(b *testing.B) {
			to := []address.Address{mail(b, who)}
			for b.Loop() {
				if _, err := s.Refused(b.Context(), acme, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
