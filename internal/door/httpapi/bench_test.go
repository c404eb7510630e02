package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/flow/tally"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/egress"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/tenant"
	"mailvow/internal/standard/dns"
)

// bench is an API over a real database with the platform and two customers,
// each with one user per role.
type bench struct {
	*API
	clock    *lab.Clock
	acme     ids.Tenant
	other    ids.Tenant
	users    map[ids.Tenant]map[access.Role]access.User
	made     map[string]string // things that tests share
	versions int               // of policies that were published
}

func schemas() []db.Schema {
	return []db.Schema{tenant.Schema, access.Schema, Schema, relay.Schema, inbound.Schema, suppress.Schema, queue.Schema(), history.Schema(), lookup.Schema, inbox.Schema(), tally.Schema, words.Schema, policy.Schema, evidence.Schema(), hold.Schema, incident.Schema, document.Schema, link.Schema, attest.Schema, finding.Schema, lawful.Schema, patch.Schema, alert.Schema, clearance.Schema, supply.Schema}
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
	road(t, &p)
	p.Holds = holdsOf(&p)
	p.Endings = &standing{}
	p.Incidents = incidentsOf(&p)
	p.Documents, p.Notices = papersOf(t, &p), &board{}
	registers(&p)
	c := Config{Hosts: []string{"localhost"}, Rate: 1000, Burst: 5000}
	for _, f := range change {
		f(&c, &p)
	}
	a, err := New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{API: a, clock: clock, users: map[ids.Tenant]map[access.Role]access.User{}, made: map[string]string{}}
	b.people(t)
	return b
}

// customers are told of sub-processors from now on.
func (b *bench) customers(list ...ids.Tenant) {
	b.parts.Supply.Customers = func(_ context.Context, yield func(ids.Tenant) error) error {
		for _, id := range list {
			if err := yield(id); err != nil {
				return err
			}
		}
		return nil
	}
}

// everywhere routes all mail to a host that no test reaches.
type everywhere struct{}

func (everywhere) Route(context.Context, ids.Tenant, address.Address) (deliver.Route, error) {
	return deliver.Route{Kind: deliver.Host, Hosts: []string{"mx.test:25"}}, nil
}

// desk stands for the trust parts, which have tests of their own.
type desk struct{}

func (desk) Find(_ context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	return []pledge.Trace{{Category: "users", Holder: "access", Count: 1, First: lab.Epoch, Last: lab.Epoch}}, nil
}

func (desk) Export(_ context.Context, s pledge.Subject, _ access.Principal, w io.Writer) (int, error) {
	return io.WriteString(w, `{"address":"`+s.Address.Text()+`"}`)
}

func (desk) Archive(_ context.Context, s pledge.Subject, _ access.Principal) (func(io.Writer) error, error) {
	return func(w io.Writer) error { _, err := io.WriteString(w, "PK"+s.Address.Text()); return err }, nil
}

func (desk) Correct(context.Context, pledge.Subject, access.Principal, pledge.Correction) (int, error) {
	return 1, nil
}

func (desk) Restrict(context.Context, pledge.Subject, access.Principal, bool) (int, error) {
	return 1, nil
}

func (desk) Erase(context.Context, pledge.Subject, access.Principal, string, bool) (json.RawMessage, error) {
	return json.RawMessage(`{"certificate":1}`), nil
}

func (desk) Declared(context.Context, ids.Tenant) (map[string]pledge.Sort, error) {
	return map[string]pledge.Sort{"customer": pledge.CustomerNumber}, nil
}

func (desk) Declare(context.Context, ids.Tenant, access.Principal, map[string]pledge.Sort) error {
	return nil
}

func (desk) DeleteMessage(_ context.Context, s scope.Scope, m ids.Message, _ access.Principal) (json.RawMessage, error) {
	return json.RawMessage(`{"leaf":1}`), nil
}

func (desk) Findings(context.Context, scope.Scope) ([]Control, error) {
	return []Control{{ID: "mb-argon2id", Status: "kept"}}, nil
}

func (desk) Run(context.Context) error { return nil }

func (desk) Map(_ context.Context, _ scope.Scope, standard string) ([]MappedControl, error) {
	return []MappedControl{{Standard: standard, Ref: "1", Status: "gap", Gap: "nobody's", Promises: []MappedPromise{}}}, nil
}

// reviewShelf has one access.
type reviewShelf struct{}

func (reviewShelf) State(context.Context, ids.Tenant) (review.State, []review.Item, error) {
	q := review.QuarterOf(lab.Epoch)
	return review.State{Quarter: q, Due: q.End(), Past: []review.Review{{Quarter: q.Before(), Signed: lab.Epoch, By: evidence.ByOwner}}}, []review.Item{{What: "user", ID: "usr_x", Detail: "owner", Label: "ann@example.com"}}, nil
}

func (reviewShelf) Sign(_ context.Context, _ ids.Tenant, _ access.Principal, keep map[string]bool) (review.Review, error) {
	return review.Review{Quarter: review.QuarterOf(lab.Epoch), Signed: lab.Epoch, Kept: len(keep)}, nil
}

func (desk) Sample(context.Context, scope.Scope, sample.List, time.Time, time.Time) ([]sample.Row, bool, error) {
	return []sample.Row{{Entry: 3, At: lab.Epoch, What: "user.join", By: evidence.ByOwner}}, false, nil
}

func (desk) Bundle(context.Context, scope.Scope, access.Principal) (func(io.Writer) error, error) {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, "PK")
		return err
	}, nil
}

func (desk) Assessment(context.Context, scope.Scope) (json.RawMessage, error) {
	return json.RawMessage(`{"assessment-results":{}}`), nil
}

func (desk) Backups(context.Context) (Backups, error) {
	return Backups{Configured: true, Count: 1, Late: []string{}}, nil
}

func (desk) Endpoints(context.Context) []egress.Endpoint {
	return []egress.Endpoint{{Destination: "resolver", Use: "name look-ups", Host: "127.0.0.1:53", Ours: true}}
}

// kept stands for protect/retain.
type kept []retain.State

func (k kept) States(context.Context) ([]retain.State, error) { return k, nil }

// silence is a DNS without a record.
type silence struct{}

func (silence) TXT(context.Context, string) (dns.Result[string], error) {
	return dns.Result[string]{}, fault.New(fault.NotFound, "")
}

func (silence) CNAME(context.Context, string) (dns.Result[string], error) {
	return dns.Result[string]{}, fault.New(fault.NotFound, "")
}

// road builds what mail goes through. The queue is not started: what is accepted
// stays in it.
func road(t testing.TB, p *Parts) {
	t.Helper()
	blobs, err := blob.Folder(disk.Machine{}, t.TempDir(), "test")
	must(t, err)
	p.Domains = relay.New(relay.Config{SPF: "include:spf.mail.example"}, relay.Parts{DB: p.DB, Vault: p.Vault, IDs: p.IDs, Clock: p.Clock, Resolver: silence{}, RSA: limit.NewPlaces(1), NewRSA: keys.RSA})
	p.Inbound = inbound.New(inbound.Config{DB: p.DB, Vault: p.Vault, IDs: p.IDs, Clock: p.Clock, Domains: p.Domains})
	p.Suppressions, err = suppress.New(t.Context(), p.DB, p.Vault, p.IDs, p.Clock)
	must(t, err)
	p.History = history.New(p.DB, p.Vault, p.IDs, p.Clock, history.NoRedaction{})
	p.Queue = queue.New(queue.Parts{
		DB: p.DB, Vault: p.Vault, Blobs: blobs, IDs: p.IDs, Clock: p.Clock, Observe: p.Observe, History: p.History, Gate: p.Suppressions, Routes: everywhere{},
	}, queue.Config{Hostname: "mail.test", Couriers: 1})
	p.Drafts = blob.NewDrafts(blobs, 64<<10)
	p.Intake = &intake.Intake{Hostname: "mail.test", DB: p.DB, IDs: p.IDs, Clock: p.Clock, Log: p.Observe.Log, Queue: p.Queue, History: p.History, Signer: p.Domains}
	p.Senders, p.Routes = p.Domains, everywhere{}
	p.Caught = inbox.New(p.DB, p.Vault, p.IDs, p.Drafts, blobs)
	p.Tally = tally.New(p.DB, p.Clock, p.Observe.Log)
	_, err = p.History.OpenIndex(t.Context())
	must(t, err)
	_, err = words.Open(t.Context(), p.History, p.DB, p.Vault, p.IDs, p.Clock)
	must(t, err)
	p.Bundles, p.Reviews = desk{}, reviewShelf{}
	p.Subjects, p.Records, p.Controls, p.Backups, p.Requests, p.Onward = desk{}, desk{}, desk{}, desk{}, &caseShelf{ids: p.IDs}, &noticeShelf{ids: p.IDs}
	p.Mentions = &mentionShelf{ids: p.IDs}
	p.Retention = kept{
		{Category: "letters", Status: retain.Failing, Period: 48 * time.Hour, Problem: "The purge failed (unavailable); the server's log says why."},
		{Category: "trace keys", Status: retain.Kept, Period: 36 * time.Hour, Ran: lab.Epoch, Purged: 3, Gone: lab.Epoch, Total: 9},
	}
	p.Inventory, err = inventory.Join(access.Declaration, Declaration)
	must(t, err)
	p.Policy, err = policy.New(t.Context(), policy.Config{
		DB: p.DB, Stage: evidence.NewStage(p.DB), IDs: p.IDs, Clock: p.Clock, Observe: p.Observe,
		Known: policy.Known{
			Categories: []string{"message records", "conversations", "counts"}, Fields: texts(history.Fields()), Roles: texts(access.Roles()),
			Purposes: []string{"deliver", "endpoints", "record", "search", "suppress", "count"},
		},
	})
	must(t, err)
	p.Endpoints = desk{}
	p.Supply, err = supply.New(t.Context(), supply.Config{
		DB: p.DB, Vault: p.Vault, Stage: evidence.NewStage(p.DB), IDs: p.IDs, Clock: p.Clock, Observe: p.Observe, Policies: p.Policy, Home: supply.HomeOf("DE", "test"),
		Customers: func(context.Context, func(ids.Tenant) error) error { return nil }, // see bench.customers
	})
	must(t, err)
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// domain makes a domain a customer's.
func (b *bench) domain(t testing.TB, in ids.Tenant, name string) relay.Domain {
	t.Helper()
	d, err := b.parts.Domains.Add(t.Context(), in, name)
	must(t, err)
	d, err = b.parts.Domains.Vouch(t.Context(), d.ID)
	must(t, err)
	return d
}

// domainOf is a domain that is a customer's own.
func (b *bench) domainOf(t testing.TB, in ids.Tenant) string {
	t.Helper()
	name := "own" + in.String()[4:] + ".example"
	if b.made[name] == "" {
		b.made[name] = b.domain(t, in, name).Name
	}
	return name
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
			if role.OfPlatform() != (in == tenant.Platform) {
				continue
			}
			to, err := address.Parse(string(role) + "@" + name + ".example")
			if err != nil {
				t.Fatal(err)
			}
			n := access.NewUser{Tenant: in, Email: to, Name: "A " + string(role), Role: role}
			if role == access.Auditor {
				n.Until = b.clock.Now().AddDate(1, 0, 0)
			}
			u, err := b.parts.Access.AddUser(ctx, access.House(), n)
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
	if role.OfPlatform() {
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
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	b.ServeHTTP(leaver{w, cancel}, r.WithContext(ctx))
	return reply{w}
}

// leaver goes away at the first flush: a stream would go on.
type leaver struct {
	*httptest.ResponseRecorder
	leave func()
}

// Flush implements http.Flusher.
func (l leaver) Flush() { l.leave() }

func bodyHash(body string) [32]byte {
	return said(httptest.NewRequest(http.MethodPost, "/v1/users", nil), []byte(body))
}
