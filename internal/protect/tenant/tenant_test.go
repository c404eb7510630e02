package tenant

import (
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

func each(t *testing.T, f func(*testing.T, *Store, *lab.Clock)) {
	t.Helper()
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, Schema)
		source := ids.NewSource(clock, 1, 0)
		s := New(d, keys.Vault(t, clock, source), source, clock)
		for range 2 { // the second start changes nothing
			if err := s.EnsurePlatform(t.Context(), "The House", "eu"); err != nil {
				t.Fatal(err)
			}
		}
		f(t, s, clock)
	})
}

func want(t testing.TB, err error, kind fault.Kind, what string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: want %v, got %v", what, kind, err)
	}
}

func TestTenants(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		ctx := t.Context()
		a, err := s.Add(ctx, "  Acme GmbH ", "eu")
		if err != nil || a.Name != "Acme GmbH" || a.Parent != Platform || a.State != Active || !a.Created.Equal(clock.Now()) {
			t.Fatal(a, err)
		}
		b, err := s.Add(ctx, "Other", "eu")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(ctx, scope.Tenant(b.ID), a.ID)
		want(t, err, fault.NotFound, "another customer's view")
		for _, bad := range []string{"", "  ", "a\nb"} {
			_, err = s.Add(ctx, bad, "eu")
			want(t, err, fault.Invalid, "name "+bad)
		}
		all, err := s.List(ctx, scope.Everyone, 0, 10)
		if err != nil || len(all) != 3 || all[0].ID != b.ID || all[2].ID != Platform || all[2].Name != "The House" {
			t.Error(all, err)
		}
		page, err := s.List(ctx, scope.Everyone, b.ID, 1)
		if err != nil || len(page) != 1 || page[0].ID != a.ID {
			t.Error(page, err)
		}
		own, err := s.List(ctx, scope.Tenant(a.ID), 0, 10)
		if err != nil || len(own) != 1 {
			t.Error(own, err)
		}
		if none, err := s.List(ctx, scope.Scope{}, 0, 10); err != nil || len(none) != 0 {
			t.Error("the zero scope sees something", none, err)
		}
	})
}

func TestStates(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		ctx := t.Context()
		a, err := s.Add(ctx, "Acme", "eu")
		if err != nil {
			t.Fatal(err)
		}
		move := func(id ids.Tenant, to State) error {
			_, err := s.Change(ctx, scope.Everyone, id, Change{State: &to})
			return err
		}
		if err := s.Active(ctx, a.ID); err != nil {
			t.Error(err)
		}
		if err := move(a.ID, Suspended); err != nil {
			t.Fatal(err)
		}
		want(t, s.Active(ctx, a.ID), fault.Denied, "suspended, at once on this node")
		if err := move(a.ID, Active); err != nil || s.Active(ctx, a.ID) != nil {
			t.Error("resumed", err)
		}
		if err := move(a.ID, Ended); err != nil {
			t.Fatal(err)
		}
		want(t, move(a.ID, Active), fault.Conflict, "back from the end")
		want(t, s.Active(ctx, a.ID), fault.Denied, "ended")
		want(t, move(Platform, Suspended), fault.Conflict, "the platform")
		want(t, move(a.ID, "gone"), fault.Invalid, "no such state")
		want(t, s.Active(ctx, 12345), fault.Denied, "unknown")
		name := "New"
		_, err = s.Change(ctx, scope.Tenant(a.ID+1), a.ID, Change{Name: &name})
		want(t, err, fault.NotFound, "another customer's view")
	})
}

// TestOtherNodeLearns: what another node changed is known within stateLife.
func TestOtherNodeLearns(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		ctx := t.Context()
		a, err := s.Add(ctx, "Acme", "eu")
		if err != nil {
			t.Fatal(err)
		}
		other := &Store{set: s.set, db: s.db, vault: s.vault, ids: s.ids, clock: clock, states: map[ids.Tenant]known{}}
		if err := other.Active(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
		to := Suspended
		if _, err := s.Change(ctx, scope.Everyone, a.ID, Change{State: &to}); err != nil {
			t.Fatal(err)
		}
		clock.Wind(stateLife)
		want(t, other.Active(ctx, a.ID), fault.Denied, "after the cache's life")
	})
}

// TestRegions: a customer of another region is not made, moved to or served, and a
// store that was made in another region does not open.
func TestRegions(t *testing.T) {
	each(t, func(t *testing.T, s *Store, clock *lab.Clock) {
		ctx := t.Context()
		s.Servers = map[string]string{"us": "https://us.example.net"}
		_, err := s.Add(ctx, "Acme", "us")
		want(t, err, fault.Invalid, "a customer of another region")
		if text, field := fault.Public(err); field != "region" || !strings.Contains(text, "at https://us.example.net") {
			t.Errorf("%s: %s", field, text)
		}
		a, err := s.Add(ctx, "Acme", "")
		if err != nil || a.Region != "eu" {
			t.Fatal(a, err)
		}
		us, eu := "us", "eu"
		_, err = s.Change(ctx, scope.Everyone, a.ID, Change{Region: &us})
		want(t, err, fault.Conflict, "to another region")
		if _, err := s.Change(ctx, scope.Everyone, a.ID, Change{Region: &eu}); err != nil {
			t.Error(err)
		}
		if err := s.Active(ctx, a.ID); err != nil {
			t.Error(err)
		}
		if err := s.Pin(ctx, a.ID, "us"); err != nil {
			t.Fatal(err)
		}
		want(t, s.Active(ctx, a.ID), fault.Denied, "a customer of another region is served")
		want(t, s.Enters(ctx, a.ID), fault.Denied, "a customer of another region signs in")
		_, err = s.Closed(ctx, a.ID)
		want(t, err, fault.Denied, "mail for a customer of another region")
		if text, _ := fault.Public(s.Active(ctx, a.ID)); !strings.Contains(text, "at https://us.example.net") {
			t.Error(text)
		}
		if err := s.Pin(ctx, Platform, "us"); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Get(ctx, scope.Everyone, Platform); err != nil || p.Region != "eu" {
			t.Error(p, err)
		}
		want(t, s.EnsurePlatform(ctx, "The House", "us"), fault.Conflict, "a store of another region")
	})
}

// TestARegionGetsItsName: who began without saying a region may say it later.
func TestARegionGetsItsName(t *testing.T) {
	t.Parallel()
	clock := lab.NewClock(lab.Epoch)
	d := lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: clock}, Schema)
	source := ids.NewSource(clock, 1, 0)
	s := New(d, keys.Vault(t, clock, source), source, clock)
	ctx := t.Context()
	for _, region := range []string{"local", "eu", "eu"} {
		if err := s.EnsurePlatform(ctx, "The House", region); err != nil {
			t.Fatal(region, err)
		}
		if _, err := s.Add(ctx, "in "+region, ""); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List(ctx, scope.Everyone, 0, 10)
	if err != nil || len(all) != 4 {
		t.Fatal(all, err)
	}
	for _, x := range all {
		if x.Region != "eu" || s.Active(ctx, x.ID) != nil {
			t.Errorf("%+v", x)
		}
	}
	want(t, s.EnsurePlatform(ctx, "The House", "local"), fault.Conflict, "back to no name")
}
