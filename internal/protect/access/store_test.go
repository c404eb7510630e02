package access

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/tenant"
	"mailvow/internal/standard/scram"
)

type bench struct {
	*Store
	clock   *lab.Clock
	tenants *tenant.Store
	acme    ids.Tenant
	other   ids.Tenant
}

// each runs a test on both databases with two customers.
func each(t *testing.T, f func(*testing.T, *bench)) {
	t.Helper()
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, tenant.Schema, Schema)
		source := ids.NewSource(clock, 1, 0)
		v := keys.Vault(t, clock, source)
		b := &bench{clock: clock, tenants: tenant.New(d, v, source, clock)}
		b.Store = New(Config{DB: d, Vault: v, IDs: source, Clock: clock, Tenants: b.tenants, Passwords: NewPasswords(cheap, 2), Limits: HouseLimits, Networks: true})
		if err := b.tenants.EnsurePlatform(t.Context(), "Platform", "test"); err != nil {
			t.Fatal(err)
		}
		for name, id := range map[string]*ids.Tenant{"Acme": &b.acme, "Other": &b.other} {
			made, err := b.tenants.Add(t.Context(), name, "test")
			if err != nil {
				t.Fatal(err)
			}
			*id = made.ID
		}
		f(t, b)
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

func (b *bench) user(t testing.TB, email string, r Role) User {
	t.Helper()
	u, err := b.AddUser(t.Context(), House(), NewUser{Tenant: b.acme, Email: mail(t, email), Name: "Some One", Role: r, Password: "a long password"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func want(t testing.TB, err error, kind fault.Kind, what string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: want %v, got %v (%v)", what, kind, err, fault.KindOf(err))
	}
}

func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		u := b.user(t, "Ann@Example.com", Owner)
		secret, p, err := b.SignIn(ctx, mail(t, "ann@example.com"), "a long password")
		if err != nil || p.User != u.ID || p.Tenant != b.acme || p.Role != Owner {
			t.Fatal(p, err)
		}
		if again, err := b.Session(ctx, secret); err != nil || again.Session != p.Session {
			t.Error(again, err)
		}
		_, _, err = b.SignIn(ctx, mail(t, "ann@example.com"), "a wrong password")
		want(t, err, fault.Unauthenticated, "wrong password")
		_, _, err = b.SignIn(ctx, mail(t, "nobody@example.com"), "a long password")
		want(t, err, fault.Unauthenticated, "unknown user")
		_, err = b.Session(ctx, strings.Repeat("a", len(secret)))
		want(t, err, fault.Unauthenticated, "a guessed session")

		for range 13 { // used every hour, it lives on past the idle time
			b.clock.Wind(time.Hour)
			if _, err := b.Session(ctx, secret); err != nil {
				t.Fatal("a session in use ended", err)
			}
		}
		b.clock.Wind(HouseLimits.Idle)
		_, err = b.Session(ctx, secret)
		want(t, err, fault.Unauthenticated, "idle too long")
		if n, err := b.Purge(ctx); n != 1 || err != nil {
			t.Error("purge", n, err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.user(t, "first@example.com", Owner)
		u := b.user(t, "ann@example.com", Admin)
		in := scope.Tenant(b.acme)
		start := func() string {
			secret, _, err := b.SignIn(ctx, u.Email, "a long password")
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		ends := func(what, secret string) {
			t.Helper()
			_, err := b.Session(ctx, secret)
			want(t, err, fault.Unauthenticated, what)
		}
		secret := start()
		p, err := b.Session(ctx, secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SignOut(ctx, p); err != nil {
			t.Fatal(err)
		}
		ends("signed out", secret)

		secret = start()
		for range 7 * 24 {
			b.clock.Wind(time.Hour)
			b.Session(ctx, secret)
		}
		ends("absolute end", secret)

		secret = start()
		role := Viewer
		if _, err := b.ChangeUser(ctx, House(), in, u.ID, UserChange{Role: &role}); err != nil {
			t.Fatal(err)
		}
		ends("another role", secret)

		secret = start()
		suspended := tenant.Suspended
		if _, err := b.tenants.Change(ctx, scope.Everyone, b.acme, tenant.Change{State: &suspended}); err != nil {
			t.Fatal(err)
		}
		_, err = b.Session(ctx, secret)
		want(t, err, fault.Denied, "a suspended customer")
	})
}

func TestLinkWorksOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		u := b.user(t, "ann@example.com", Owner)
		link, until, err := b.Link(ctx, House(), scope.Tenant(b.acme), u.ID)
		if err != nil || until.Sub(b.clock.Now()) != 15*time.Minute {
			t.Fatal(until, err)
		}
		var wins atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, _, err := b.SignInByLink(ctx, link); err == nil {
					wins.Add(1)
				} else if !fault.Is(err, fault.Unauthenticated) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d used one link", wins.Load())
		}
		old, _, err := b.Link(ctx, House(), scope.Tenant(b.acme), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.clock.Wind(15 * time.Minute)
		_, _, err = b.SignInByLink(ctx, old)
		want(t, err, fault.Unauthenticated, "an old link")
		_, _, err = b.Link(ctx, House(), scope.Tenant(b.other), u.ID)
		want(t, err, fault.NotFound, "a link for another customer's user")
	})
}

func TestUsersStayInTheirPlace(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		owner := b.user(t, "owner@example.com", Owner)
		in := scope.Tenant(b.acme)
		admin := ForRole(b.acme, 99, 0, Admin)
		_, err := b.AddUser(ctx, admin, NewUser{Tenant: b.acme, Email: mail(t, "x@example.com"), Name: "X", Role: Owner})
		want(t, err, fault.Denied, "an admin makes an owner")
		_, err = b.AddUser(ctx, House(), NewUser{Tenant: b.acme, Email: mail(t, "x@example.com"), Name: "X", Role: Operator})
		want(t, err, fault.Invalid, "an operator outside the platform")
		_, err = b.AddUser(ctx, House(), NewUser{Tenant: b.other, Email: mail(t, "OWNER@example.com"), Name: "X", Role: Viewer})
		want(t, err, fault.Conflict, "the address is in use")
		_, _, err = b.Link(ctx, admin, in, owner.ID)
		want(t, err, fault.Denied, "an admin signs in as the owner")
		suspended := UserSuspended
		_, err = b.ChangeUser(ctx, admin, in, owner.ID, UserChange{State: &suspended})
		want(t, err, fault.Denied, "an admin suspends an owner")
		_, err = b.ChangeUser(ctx, House(), in, owner.ID, UserChange{State: &suspended})
		want(t, err, fault.Conflict, "the last owner is suspended")
		want(t, b.RemoveUser(ctx, House(), in, owner.ID), fault.Conflict, "the last owner is removed")
		_, err = b.User(ctx, scope.Tenant(b.other), owner.ID)
		want(t, err, fault.NotFound, "another customer's user")
		want(t, b.RemoveUser(ctx, House(), scope.Tenant(b.other), owner.ID), fault.NotFound, "removing another customer's user")
		second := b.user(t, "second@example.com", Owner)
		taken := mail(t, "owner@example.com")
		_, err = b.ChangeUser(ctx, House(), in, second.ID, UserChange{Email: &taken})
		want(t, err, fault.Conflict, "taking another's address")
		if err := b.RemoveUser(ctx, House(), in, owner.ID); err != nil {
			t.Error(err)
		}
		list, err := b.Users(ctx, in, 0, 10)
		if err != nil || len(list) != 1 || list[0].Email.Text() != "second@example.com" || list[0].Name != "Some One" {
			t.Error(list, err)
		}
	})
}

func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		dev := ForRole(b.acme, 5, 0, Developer)
		token, secret, err := b.AddToken(ctx, dev, b.acme, "ci", []Scope{ScopeMessagesSend, ScopeMessagesSend}, b.clock.Now().Add(time.Hour))
		if err != nil || len(token.Scopes) != 1 || !strings.HasPrefix(secret, "mv_") {
			t.Fatal(token, err)
		}
		p, err := b.ByToken(ctx, secret)
		if _, send := p.May(MessagesSend); err != nil || !send || p.Tenant != b.acme || p.Token != token.ID {
			t.Error(p, err)
		}
		if _, read := p.May(MessagesRead); read {
			t.Error("the token may more than its scope")
		}
		_, _, err = b.AddToken(ctx, dev, b.acme, "x", []Scope{ScopeUsersManage}, time.Time{})
		want(t, err, fault.Denied, "a token mightier than its maker")
		_, _, err = b.AddToken(ctx, ForRole(b.acme, 5, 0, Owner), b.acme, "x", []Scope{ScopePlatformRead}, time.Time{})
		want(t, err, fault.Denied, "a customer's token for the platform")
		for _, bad := range [][]Scope{nil, {"root"}} {
			_, _, err = b.AddToken(ctx, dev, b.acme, "x", bad, time.Time{})
			want(t, err, fault.Invalid, "wrong scopes")
		}
		list, err := b.Tokens(ctx, scope.Tenant(b.acme), 0, 10)
		if err != nil || len(list) != 1 || list[0].Name != "ci" || !list[0].Used.Equal(b.clock.Now()) {
			t.Error(list, err)
		}
		b.clock.Wind(time.Hour)
		_, err = b.ByToken(ctx, secret)
		want(t, err, fault.Unauthenticated, "expired")
		if text, _ := fault.Public(err); !strings.Contains(text, "expired") {
			t.Error("the holder is not told that it expired:", text)
		}
		want(t, b.RemoveToken(ctx, scope.Tenant(b.other), token.ID), fault.NotFound, "another customer's token")
		if err := b.RemoveToken(ctx, scope.Tenant(b.acme), token.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestCredentials(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		c, password, err := b.AddCredential(ctx, b.acme, "printer")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the database, then from memory
			if s, err := b.Authenticate(ctx, c.Username, password); err != nil || s.Tenant != b.acme || s.Credential != c.ID {
				t.Fatal(s, err)
			}
		}
		for _, wrong := range [][2]string{{c.Username, password + "x"}, {c.Username, ""}, {"smtp-aaaaaaaaaaaaaaaa", password}, {"", ""}} {
			_, err := b.Authenticate(ctx, wrong[0], wrong[1])
			want(t, err, fault.Unauthenticated, "wrong credential")
		}
		v, s, err := b.Scram(ctx, c.Username)
		again, err2 := scram.NewVerifier(password, v.Salt, v.Iterations)
		if err != nil || err2 != nil || s.Tenant != b.acme || string(again.StoredKey) != string(v.StoredKey) || v.Iterations < 4096 {
			t.Error("the kept verifier is not the password's", err, err2)
		}
		if v, s, err := b.Scram(ctx, "smtp-aaaaaaaaaaaaaaaa"); err != nil || v.Iterations != 0 || s.Tenant != 0 {
			t.Error("a name that does not exist has a verifier", v, s, err)
		}
		want(t, b.RemoveCredential(ctx, scope.Tenant(b.other), c.ID), fault.NotFound, "another customer's credential")
		if err := b.RemoveCredential(ctx, scope.Tenant(b.acme), c.ID); err != nil {
			t.Fatal(err)
		}
		_, err = b.Authenticate(ctx, c.Username, password)
		want(t, err, fault.Unauthenticated, "a removed credential")
	})
}

func TestNetworks(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		for _, bad := range []string{"10.0.0.1/8", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.1/24", "2001:db8::/32"} {
			_, err := b.AddNetwork(ctx, b.acme, "x", netip.MustParsePrefix(bad))
			want(t, err, fault.Invalid, bad)
		}
		for name, n := range map[string]string{"wide": "192.0.2.0/24", "narrow": "192.0.2.128/25"} {
			in := b.acme
			if name == "narrow" {
				in = b.other
			}
			if _, err := b.AddNetwork(ctx, in, name, netip.MustParsePrefix(n)); err != nil {
				t.Fatal(err)
			}
		}
		for ip, wantTenant := range map[string]ids.Tenant{"192.0.2.1": b.acme, "::ffff:192.0.2.1": b.acme, "192.0.2.200": b.other, "192.0.3.1": 0} {
			s, ok, err := b.Trusted(ctx, netip.MustParseAddr(ip))
			if err != nil || ok != (wantTenant != 0) || s.Tenant != wantTenant {
				t.Errorf("%s: %v %v %v", ip, s, ok, err)
			}
		}
		b.Networks = false
		if _, ok, err := b.Trusted(ctx, netip.MustParseAddr("192.0.2.1")); ok || err != nil {
			t.Error("networks are off, and one is trusted", err)
		}
		_, err := b.AddNetwork(ctx, b.acme, "x", netip.MustParsePrefix("198.51.100.0/24"))
		want(t, err, fault.Denied, "networks are off")
	})
}

func TestHolder(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.user(t, "owner@example.com", Owner)
		b.user(t, "ann@example.com", Viewer)
		ann := pledge.Subject{Scope: scope.Tenant(b.acme), Address: mail(t, "Ann@example.com")}
		if traces, err := b.Find(ctx, ann); err != nil || len(traces) != 1 {
			t.Fatal(traces, err)
		}
		if n, err := b.Correct(ctx, ann, pledge.Correction{Field: "name", Value: "Ann Lee"}); n != 1 || err != nil {
			t.Error(n, err)
		}
		var got pledge.Record
		if err := b.HandOver(ctx, ann, func(r pledge.Record) error { got = r; return nil }); err != nil || got.Fields["name"] != "Ann Lee" || got.Fields["email"] != "ann@example.com" {
			t.Error(got, err)
		}
		if n, err := b.Restrict(ctx, ann, true); n != 1 || err != nil {
			t.Error(n, err)
		}
		_, _, err := b.SignIn(ctx, ann.Address, "a long password")
		want(t, err, fault.Unauthenticated, "a restricted user")
		elsewhere := pledge.Subject{Scope: scope.Tenant(b.other), Address: ann.Address}
		if e, err := b.Erase(ctx, elsewhere); len(e) != 0 || err != nil {
			t.Error("erased through another customer", e, err)
		}
		for _, count := range []int{1, 0} { // a repeat finds nothing and is no error
			if e, err := b.Erase(ctx, ann); err != nil || len(e) != count {
				t.Error(e, err)
			}
		}
		if e, err := b.Erase(ctx, pledge.Subject{Scope: scope.Everyone, Address: mail(t, "owner@example.com")}); err != nil || len(e) != 1 || e[0].Kept != 1 {
			t.Error("the last owner", e, err)
		}
	})
}

// TestNothingInTheClear: no secret, name or address stands in any column.
func TestNothingInTheClear(t *testing.T) {
	t.Parallel()
	for _, p := range Declaration.Places {
		for _, word := range []string{"email", "name", "secret"} {
			column := p.Name[strings.LastIndexByte(p.Name, '.')+1:]
			if column == word && !p.Sealed {
				t.Errorf("%s is not sealed", p.Name)
			}
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	clock := lab.NewClock(lab.Epoch)
	d := lab.DB(b, tenant.Schema, Schema)
	source := ids.NewSource(clock, 1, 0)
	v := keys.Vault(b, clock, source)
	tenants := tenant.New(d, v, source, clock)
	s := New(Config{DB: d, Vault: v, IDs: source, Clock: clock, Tenants: tenants, Passwords: NewPasswords(cheap, 2), Limits: HouseLimits})
	acme, err := tenants.Add(context.Background(), "Acme", "test")
	if err != nil {
		b.Fatal(err)
	}
	c, password, err := s.AddCredential(context.Background(), acme.ID, "x")
	if err != nil {
		b.Fatal(err)
	}
	for name, pass := range map[string]string{"right": password, "wrong": password[1:] + "a"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.Authenticate(context.Background(), c.Username, pass)
			}
		})
	}
}

// TestAuditorEnds: an auditor's access has an end within a year, and on its date
// the open session, the password and a link are over.
func TestAuditorEnds(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx, in, now := t.Context(), scope.Tenant(b.acme), b.clock.Now()
		add := func(r Role, until time.Time) (User, error) {
			return b.AddUser(ctx, House(), NewUser{Tenant: b.acme, Email: mail(t, "auditor@example.com"), Name: "A", Role: r, Password: "a long password", Until: until})
		}
		for _, bad := range []struct {
			role  Role
			until time.Time
		}{{Auditor, time.Time{}}, {Auditor, now.AddDate(2, 0, 0)}, {Viewer, now.AddDate(0, 1, 0)}} {
			_, err := add(bad.role, bad.until)
			want(t, err, fault.Invalid, string(bad.role)+" until "+bad.until.String())
		}
		u, err := add(Auditor, now.Add(3*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		secret, p, err := b.SignIn(ctx, u.Email, "a long password")
		if err != nil || p.Role != Auditor {
			t.Fatal(p, err)
		}
		link, _, err := b.Link(ctx, House(), in, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.clock.Wind(time.Hour)
		sooner := now.Add(2 * time.Hour)
		if u, err = b.ChangeUser(ctx, House(), in, u.ID, UserChange{Until: &sooner}); err != nil || !u.Until.Equal(sooner) {
			t.Fatal(u, err)
		}
		if _, err := b.Session(ctx, secret); err != nil {
			t.Error("before its date:", err)
		}
		b.clock.Wind(time.Hour)
		_, err = b.Session(ctx, secret)
		want(t, err, fault.Unauthenticated, "the session on the date")
		_, _, err = b.SignIn(ctx, u.Email, "a long password")
		want(t, err, fault.Unauthenticated, "the password on the date")
		_, _, err = b.SignInByLink(ctx, link)
		want(t, err, fault.Unauthenticated, "a link on the date")
		viewer := Viewer
		if u, err = b.ChangeUser(ctx, House(), in, u.ID, UserChange{Role: &viewer}); err != nil || !u.Until.IsZero() {
			t.Error("who is no auditor any more has no end:", u, err)
		}
	})
}
