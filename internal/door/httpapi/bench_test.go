package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// bench is an API over a real database with the platform and two customers,
// each with one user per role.
type bench struct {
	*API
	clock *lab.Clock
	acme  ids.Tenant
	other ids.Tenant
	users map[ids.Tenant]map[access.Role]access.User
}

func schemas() []db.Schema {
	return []db.Schema{tenant.Schema, access.Schema, Schema}
}

func newBench(t testing.TB, change ...func(*Config, *Parts)) *bench {
	t.Helper()
	return benchOn(t, db.Config{Dir: t.TempDir()}, change...)
}

func benchOn(t testing.TB, config db.Config, change ...func(*Config, *Parts)) *bench {
	t.Helper()
	clock := lab.NewClock(lab.Epoch)
	config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
	d := lab.OpenDB(t, config, schemas()...)
	source := ids.NewSource(clock, 1, 0)
	v := keys.Vault(t, clock, source)
	p := Parts{DB: d, Vault: v, IDs: source, Clock: clock, Observe: observe.Silent()}
	p.Tenants = tenant.New(d, v, source, clock)
	cheap := access.Cost{Memory: 8 * limit.KiB, Passes: 1, Threads: 1}
	p.Access = access.New(access.Config{DB: d, Vault: v, IDs: source, Clock: clock, Tenants: p.Tenants, Passwords: access.NewPasswords(cheap, 2), Limits: access.HouseLimits, Networks: true})
	p.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") })
	c := Config{Hosts: []string{"localhost"}, Rate: 1000, Burst: 5000, Region: "test"}
	for _, f := range change {
		f(&c, &p)
	}
	a, err := New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{API: a, clock: clock, users: map[ids.Tenant]map[access.Role]access.User{}}
	b.people(t)
	return b
}

func (b *bench) people(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	if err := b.parts.Tenants.EnsurePlatform(ctx, "Platform", "test"); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]*ids.Tenant{"acme": &b.acme, "other": &b.other} {
		made, err := b.parts.Tenants.Add(ctx, name, "test")
		if err != nil {
			t.Fatal(err)
		}
		*id = made.ID
	}
	for name, in := range map[string]ids.Tenant{"platform": tenant.Platform, "acme": b.acme, "other": b.other} {
		b.users[in] = map[access.Role]access.User{}
		for _, role := range access.Roles() {
			if (role == access.Operator) != (in == tenant.Platform) {
				continue
			}
			to, err := address.Parse(string(role) + "@" + name + ".example")
			if err != nil {
				t.Fatal(err)
			}
			u, err := b.parts.Access.AddUser(ctx, access.House(), access.NewUser{Tenant: in, Email: to, Name: "A " + string(role), Role: role})
			if err != nil {
				t.Fatal(err)
			}
			b.users[in][role] = u
		}
	}
}

// as signs a user in and gives what a browser would send.
func (b *bench) as(t testing.TB, in ids.Tenant, role access.Role) func(*http.Request) {
	t.Helper()
	if role == access.Operator {
		in = tenant.Platform
	}
	link, _, err := b.parts.Access.Link(t.Context(), access.House(), scope.Everyone, b.users[in][role].ID)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := b.parts.Access.SignInByLink(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "mailvow_session", Value: secret}) }
}

// token makes a token with scopes at a customer.
func (b *bench) token(t testing.TB, in ids.Tenant, scopes ...access.Scope) func(*http.Request) {
	t.Helper()
	_, secret, err := b.parts.Access.AddToken(t.Context(), access.House(), in, "test", scopes, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return bearer(secret)
}

func bearer(secret string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

type reply struct {
	*httptest.ResponseRecorder
}

func (r reply) problem(t testing.TB) Problem {
	t.Helper()
	var p Problem
	if ct := r.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("%d with %s is no problem document: %s", r.Code, ct, r.Body)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Errorf("%v: %s", err, r.Body)
	}
	if p.Status != r.Code || !strings.HasPrefix(p.Type, problemPrefix) || p.Title == "" {
		t.Errorf("%d: not whole: %+v", r.Code, p)
	}
	return p
}

func (r reply) into(t testing.TB, v any) {
	t.Helper()
	if r.Code >= 300 {
		t.Fatalf("%d: %s", r.Code, r.Body)
	}
	d := json.NewDecoder(bytes.NewReader(r.Body.Bytes()))
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
}

func (b *bench) call(method, path, body string, with ...func(*http.Request)) reply {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range with {
		f(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return reply{w}
}

func bodyHash(body string) [32]byte { return sha256.Sum256([]byte(body)) }
