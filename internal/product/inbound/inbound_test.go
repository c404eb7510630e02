package inbound

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

const acme, other ids.Tenant = 1001, 1002

// owns is who owns which domain, as a test says.
type owns map[string]ids.Tenant

func (o owns) MayReceive(_ context.Context, tenant ids.Tenant, domain string) (bool, error) {
	return o[domain] == tenant, nil
}

func each(t *testing.T, f func(*testing.T, *Store, owns, *lab.Clock)) {
	t.Helper()
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		clock := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
		d := lab.OpenDB(t, config, Schema)
		source := ids.NewSource(clock, 1, 0)
		o := owns{"in.example": acme, "other.example": other}
		s := New(Config{DB: d, Vault: keys.Vault(t, clock, source), IDs: source, Clock: clock, Domains: o, Shared: []string{"shared.example"}})
		f(t, s, o, clock)
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

func (s *Store) mustAdd(t testing.TB, tenant ids.Tenant, pattern, url string) Route {
	t.Helper()
	r, err := s.Add(t.Context(), tenant, pattern, url)
	if err != nil {
		t.Fatal(pattern, err)
	}
	return r
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"*@In.Example":          "*@in.example",
		" Bob@in.example ":      "bob@in.example",
		"Bob+*@in.example":      "bob+*@in.example",
		"a+b@in.example":        "a+b@in.example",
		`"a b"@in.example`:      "a b@in.example",
		"*@bücher.example":      "*@xn--bcher-kva.example",
		"":                      "",
		"*":                     "",
		"@in.example":           "",
		"bob":                   "",
		"b*b@in.example":        "",
		"*+*@in.example":        "",
		"bob@[192.0.2.1]":       "",
		"*@[192.0.2.1]":         "",
		"bob@in.example, x@y.z": "",
		"bob\r\n@in.example":    "",
	} {
		got, domain, err := Pattern(in)
		if got != want || (err == nil) != (want != "") || (want != "" && !strings.HasSuffix(got, "@"+domain)) {
			t.Errorf("%q: %q %q %v", in, got, domain, err)
		}
	}
}

func TestMatch(t *testing.T) {
	each(t, func(t *testing.T, s *Store, o owns, clock *lab.Clock) {
		ctx := t.Context()
		s.mustAdd(t, acme, "*@in.example", "https://acme.example/all")
		s.mustAdd(t, acme, "bob@in.example", "https://acme.example/bob")
		s.mustAdd(t, acme, "bob+*@in.example", "https://acme.example/sub")
		s.mustAdd(t, other, "ann@other.example", "https://other.example/ann")
		for to, want := range map[string]string{
			"bob@in.example": "bob", "BOB@IN.example": "bob", "bob+x@in.example": "sub", "Bob+X+Y@in.example": "sub",
			"bobby@in.example": "all", "ann+x@in.example": "all", "ann@other.example": "ann",
			"ann+x@other.example": "", "eve@other.example": "", "bob@sub.in.example": "", "bob@elsewhere.example": "",
		} {
			for range 2 { // from the database, then from memory
				r, err := s.Match(ctx, mail(t, to))
				if want == "" {
					if !fault.Is(err, fault.NotFound) {
						t.Errorf("%s: %v %v", to, r, err)
					}
				} else if err != nil || !strings.HasSuffix(r.URL, "/"+want) {
					t.Errorf("%s: %v %v, want %s", to, r.URL, err, want)
				}
			}
		}
		if d := (Route{URL: "u", Secret: []byte("s")}).Deliver(); d.Kind != deliver.Webhook || d.URL != "u" || string(d.Secret) != "s" {
			t.Errorf("%+v", d)
		}
		for domain, want := range map[string]bool{"in.example": true, "shared.example": true, "sub.in.example": false} {
			if got, err := s.Handles(ctx, domain); got != want || err != nil {
				t.Errorf("%s: %v %v", domain, got, err)
			}
		}
		o["in.example"] = other // the domain changed hands
		clock.Wind(matchLife)
		if _, err := s.Match(ctx, mail(t, "bob@in.example")); !fault.Is(err, fault.NotFound) {
			t.Error("the former owner's route still matches", err)
		}
		s.mustAdd(t, other, "bob@in.example", "https://other.example/bob")
		if r, err := s.Match(ctx, mail(t, "bob@in.example")); err != nil || r.Tenant != other {
			t.Error("the new owner's route", r, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ owns, _ *lab.Clock) {
		ctx := t.Context()
		for _, c := range []struct {
			tenant       ids.Tenant
			pattern, url string
			kind         fault.Kind
		}{
			{acme, "nobody", "https://x.example/", fault.Invalid},
			{acme, "*@in.example", "ftp://x.example/", fault.Invalid},
			{acme, "*@in.example", "https://", fault.Invalid},
			{acme, "*@in.example", "https://user:pass@x.example/", fault.Invalid},
			{acme, "*@in.example", "javascript:alert(1)", fault.Invalid},
			{acme, "*@in.example", "/relative", fault.Invalid},
			{acme, "*@in.example", "https://x.example/" + strings.Repeat("x", 2000), fault.Invalid},
			{other, "*@in.example", "https://x.example/", fault.Denied},
			{acme, "*@sub.in.example", "https://x.example/", fault.Denied},
			{acme, "*@shared.example", "https://x.example/", fault.Invalid},
		} {
			if _, err := s.Add(ctx, c.tenant, c.pattern, c.url); !fault.Is(err, c.kind) {
				t.Errorf("%+v: %v", c, err)
			}
		}
		s.mustAdd(t, acme, "me@shared.example", "https://x.example/")
		if _, err := s.Add(ctx, other, "ME@shared.example", "https://y.example/"); !fault.Is(err, fault.Conflict) {
			t.Error("an address of the shared domain is two customers'", err)
		}
		if _, err := s.Add(ctx, acme, "Me@shared.example", "https://y.example/"); !fault.Is(err, fault.Conflict) {
			t.Error("twice", err)
		}
	})
}

func TestChange(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ owns, _ *lab.Clock) {
		ctx := t.Context()
		r := s.mustAdd(t, acme, "*@in.example", "https://x.example/a")
		if !strings.HasPrefix(r.SecretText(), "whsec_") || len(r.Secret) < 24 {
			t.Error(r.SecretText())
		}
		if _, err := s.Match(ctx, mail(t, "bob@in.example")); err != nil { // now it is in memory
			t.Fatal(err)
		}
		to := "https://x.example/b"
		changed, err := s.Change(ctx, scope.Tenant(acme), r.ID, Change{URL: &to})
		if err != nil || changed.URL != to || string(changed.Secret) != string(r.Secret) {
			t.Error(changed, err)
		}
		if m, err := s.Match(ctx, mail(t, "bob@in.example")); err != nil || m.URL != to {
			t.Error("the old endpoint is still in memory", m.URL, err)
		}
		renewed, err := s.Change(ctx, scope.Tenant(acme), r.ID, Change{NewSecret: true})
		if err != nil || string(renewed.Secret) == string(r.Secret) {
			t.Error("the secret stayed", err)
		}
		for what, err := range map[string]error{
			"get":    func() error { _, err := s.Get(ctx, scope.Tenant(other), r.ID); return err }(),
			"change": func() error { _, err := s.Change(ctx, scope.Tenant(other), r.ID, Change{URL: &to}); return err }(),
			"remove": s.Remove(ctx, scope.Tenant(other), r.ID),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("another customer's %s: %v", what, err)
			}
		}
		if list, err := s.List(ctx, scope.Tenant(acme), 0, 10); err != nil || len(list) != 1 || list[0].Pattern != "*@in.example" {
			t.Error(list, err)
		}
		if err := s.Remove(ctx, scope.Tenant(acme), r.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.Match(ctx, mail(t, "bob@in.example")); !fault.Is(err, fault.NotFound) {
			t.Error("removed and still matching", err)
		}
	})
}

// TestBounded: many recipients of one pattern do not fill memory.
func TestBounded(t *testing.T) {
	t.Parallel()
	m := matches{each: map[[16]byte]match{}}
	for i := range 2 * maxMatches {
		m.put([16]byte{byte(i), byte(i >> 8), byte(i >> 16)}, Route{Pattern: fmt.Sprint(i)}, lab.Epoch)
	}
	if len(m.each) > maxMatches {
		t.Error(len(m.each))
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("*@in.example")
	f.Add("a+*@b.c")
	f.Fuzz(func(t *testing.T, text string) {
		pattern, domain, err := Pattern(text)
		if err == nil && (!strings.HasSuffix(pattern, "@"+domain) || domain == "" || strings.ContainsAny(pattern, "\r\n\x00")) {
			t.Errorf("%q: %q %q", text, pattern, domain)
		}
	})
}
