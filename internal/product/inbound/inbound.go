// Package inbound is mail to a customer's address that becomes a signed HTTP
// request. It promises that a recipient finds the most particular route of the
// customer whose domain it is, that a route stops matching when its domain is the
// customer's no longer, that URL and secret are sealed, and that the secret is
// shown once. Calling the endpoint is left to flow/deliver/webhook.
package inbound

import (
	"context"
	_ "embed" // the table
	"net/url"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/standard/webhook"
)

//go:embed inbound.sql
var sql string

const (
	pkg   = "product/inbound"
	table = "inbound_route"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

const routes = "routes"

// Declaration says what is kept. A pattern may name a person's mailbox; it is the
// customer's own set-up, and a route that names an erased person goes.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: routes, About: pledge.Customer,
		What: "address patterns of a customer, which may name a person's mailbox, and the endpoint that their mail goes to, with the secret " +
			"that signs; a route that names an erased person is deleted, and mail for the mailbox is refused from then on unless the whole domain has a route",
		Purpose: "hand mail over to the customer's endpoint", For: pledge.ToHandOver,
		Basis: pledge.Contract, Period: pledge.Period{From: "the route's deletion, or the erasure of the person whose mailbox it names"},
		Found: "the customer's id, or the keyed hash of the pattern, which is the person's address or its sub-addresses", Erasing: pledge.Delete,
	}},
	Places: slices.Concat(
		pledge.Columns(routes, false, table, "id", "tenant", "domain", "hash", "created", "changed"),
		pledge.Columns(routes, true, table, "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "routes in use", Category: routes}},
	),
}

// Route sends the mail of a pattern to an endpoint.
type Route struct {
	ID      ids.Route
	Tenant  ids.Tenant
	Pattern string // *@in.example, user@in.example or user+*@in.example
	URL     string
	Secret  []byte           // signs; shown once, as text
	To      pledge.Recipient // who stands behind the endpoint, and what for
	Created time.Time
	hash    [16]byte
}

// Domains says whose a domain is; product/relay fills it.
type Domains interface {
	MayReceive(ctx context.Context, tenant ids.Tenant, domain string) (bool, error)
}

// Config is what a Store is made of.
type Config struct {
	DB      *db.DB
	Vault   *vault.Vault
	IDs     *ids.Source
	Clock   clock.Clock
	Domains Domains
	// Shared are domains of the operator's on which a customer takes single
	// addresses, never the whole domain.
	Shared []string
}

// Store keeps routes.
type Store struct {
	Config
	set   *db.Set
	found matches
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	return &Store{Config: c, set: c.DB.Set(pkg), found: matches{each: map[[16]byte]match{}}}
}

type secret struct {
	Pattern string `json:"pattern"`
	URL     string `json:"url"`
	Secret  []byte `json:"secret"`
	// Who, For and Own are the recipient's; empty is the customer itself.
	Who string   `json:"who,omitempty"`
	For string   `json:"for,omitempty"`
	Own []string `json:"own,omitempty"`
}

func row(tenant ids.Tenant, id ids.Route) sealed.Row {
	return sealed.Row{Tenant: tenant, Table: table, ID: int64(id)}
}

func (s *Store) hash(pattern string) ([16]byte, error) {
	h, err := s.Vault.Hash(0, "route", pattern)
	return h, fault.Wrap(err, "hash a pattern")
}

// Pattern brings a recipient pattern into its canonical form and gives its
// domain. The three forms are *@domain, user@domain and user+*@domain.
func Pattern(text string) (pattern, domain string, err error) {
	text = strings.TrimSpace(text)
	bad := fault.Field("recipient", "The recipient has one of the forms *@in.example, user@in.example, user+*@in.example.")
	at := strings.LastIndexByte(text, '@')
	if at < 1 {
		return "", "", bad
	}
	local, sub := strings.CutSuffix(text[:at], "+*")
	if text[:at] == "*" {
		domain, err = address.Domain(text[at+1:])
		if err != nil || strings.HasPrefix(domain, "[") {
			return "", "", bad
		}
		return "*@" + domain, domain, nil
	}
	a, err := address.Parse(local + text[at:])
	if err != nil || strings.Contains(local, "*") || strings.HasPrefix(a.Domain(), "[") {
		return "", "", bad
	}
	canonical := a.Canonical()
	if sub {
		canonical = strings.TrimSuffix(canonical, "@"+a.Domain()) + "+*@" + a.Domain()
	}
	return canonical, a.Domain(), nil
}

// patterns are those that match a recipient, the most particular first.
func patterns(recipient address.Address) [3]string {
	canonical := recipient.Canonical()
	local := strings.TrimSuffix(canonical, "@"+recipient.Domain())
	all := [3]string{canonical, canonical, "*@" + recipient.Domain()}
	if base, _, ok := strings.Cut(local, "+"); ok && base != "" {
		all[1] = base + "+*@" + recipient.Domain()
	}
	return all
}

// checkURL takes http and https with a host, and nothing that hides one. Where
// the host may lie is decided when the connection is made.
func checkURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || len(text) > 2000 || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", fault.Field("webhook.url", "The URL begins with https:// or http://, names a host, and holds no user, password or fragment.")
	}
	return u.String(), nil
}

// Add makes a route to an endpoint of the customer's own.
func (s *Store) Add(ctx context.Context, tenant ids.Tenant, pattern, endpoint string) (Route, error) {
	return s.AddTo(ctx, tenant, pattern, endpoint, pledge.Recipient{})
}

// AddTo makes a route with a secret of its own, to a recipient who may be somebody
// else. The pattern's domain must be the customer's (Denied), the pattern free
// (Conflict), and the recipient without a purpose of its own that is not allowed.
func (s *Store) AddTo(ctx context.Context, tenant ids.Tenant, pattern, endpoint string, to pledge.Recipient) (Route, error) {
	if err := to.Check("webhook"); err != nil {
		return Route{}, err
	}
	pattern, domain, err := Pattern(pattern)
	if err != nil {
		return Route{}, err
	}
	if endpoint, err = checkURL(endpoint); err != nil {
		return Route{}, err
	}
	if err := s.mayHave(ctx, tenant, pattern, domain); err != nil {
		return Route{}, err
	}
	r := Route{ID: ids.New[ids.Route](s.IDs), Tenant: tenant, Pattern: pattern, URL: endpoint, Secret: webhook.NewSecret(), To: to}
	if r.hash, err = s.hash(pattern); err != nil {
		return Route{}, err
	}
	blob, err := s.seal(r)
	if err != nil {
		return Route{}, err
	}
	err = s.DB.Change(ctx, "add a route", func(tx *db.Tx) error {
		r.Created = tx.Now()
		if err := s.free(ctx, tx, r, domain); err != nil {
			return err
		}
		n, err := tx.Do(ctx, s.set, "add", r.ID, r.Tenant, domain, r.hash, blob, tx.Now())
		if err == nil && n == 0 {
			err = &fault.Error{Kind: fault.Conflict, Field: "recipient", Text: "There is a route for this recipient already."}
		}
		return err
	})
	s.found.clear()
	return r, fault.Wrap(err, "add a route")
}

func (s *Store) mayHave(ctx context.Context, tenant ids.Tenant, pattern, domain string) error {
	if slices.Contains(s.Shared, domain) {
		if strings.HasPrefix(pattern, "*@") {
			return fault.Field("recipient", "This domain is shared: take single addresses, such as yourname@"+domain+".")
		}
		return nil
	}
	may, err := s.Domains.MayReceive(ctx, tenant, domain)
	if err == nil && !may {
		err = &fault.Error{Kind: fault.Denied, Field: "recipient", Text: "You may not receive for " + domain + ": add the domain and publish its records first."}
	}
	return err
}

// free holds that an address on a shared domain is one customer's.
func (s *Store) free(ctx context.Context, tx *db.Tx, r Route, domain string) error {
	if !slices.Contains(s.Shared, domain) {
		return nil
	}
	var others int
	if err := tx.One(ctx, s.set, "taken", []any{r.hash, r.Tenant}, &others); err != nil {
		return err
	}
	if others > 0 {
		return &fault.Error{Kind: fault.Conflict, Field: "recipient", Text: "This address is taken."}
	}
	return nil
}

func (s *Store) seal(r Route) ([]byte, error) {
	return sealed.Put(s.Vault, vault.Account, row(r.Tenant, r.ID), secret{r.Pattern, r.URL, r.Secret, r.To.Name, r.To.Purpose, r.To.Own})
}

// SecretText is a route's secret as the endpoint's library wants it (whsec_…).
func (r Route) SecretText() string { return webhook.FormatSecret(r.Secret) }

// Get gives one route of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Route) (Route, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such route.")
	}
	if err != nil {
		return Route{}, fault.Wrap(err, "get a route")
	}
	return list[0], nil
}

// List gives the scope's routes, newest first, from before.
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Route, limit int) ([]Route, error) {
	all, own := in.Args()
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list routes")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Route, error) {
	var list []Route
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var r Route
		var hash, blob []byte
		if err := scan(&r.ID, &r.Tenant, &hash, &blob, &r.Created); err != nil {
			return err
		}
		var open secret
		if err := sealed.Get(s.Vault, row(r.Tenant, r.ID), blob, &open); err != nil {
			return err
		}
		copy(r.hash[:], hash)
		r.Pattern, r.URL, r.Secret = open.Pattern, open.URL, open.Secret
		r.To = pledge.Recipient{Name: open.Who, Purpose: open.For, Own: open.Own}
		list = append(list, r)
		return nil
	})
	return list, err
}

// Change is what may change of a route; nil leaves a field as it is.
type Change struct {
	URL *string
	To  *pledge.Recipient
	// NewSecret makes another secret, which is shown once.
	NewSecret bool
}

// Change changes a route of the scope.
func (s *Store) Change(ctx context.Context, in scope.Scope, id ids.Route, c Change) (Route, error) {
	r, err := s.Get(ctx, in, id)
	if err != nil {
		return Route{}, err
	}
	if c.URL != nil {
		if r.URL, err = checkURL(*c.URL); err != nil {
			return Route{}, err
		}
	}
	if c.To != nil {
		if err := c.To.Check("webhook"); err != nil {
			return Route{}, err
		}
		r.To = *c.To
	}
	if c.NewSecret {
		r.Secret = webhook.NewSecret()
	}
	blob, err := s.seal(r)
	if err != nil {
		return Route{}, err
	}
	all, own := in.Args()
	return r, s.do(ctx, "change a route", "change", all, own, id, blob, s.Clock.Now())
}

// Remove drops a route of the scope; what is queued for it goes there still.
func (s *Store) Remove(ctx context.Context, in scope.Scope, id ids.Route) error {
	all, own := in.Args()
	return s.do(ctx, "remove a route", "delete", all, own, id)
}

func (s *Store) do(ctx context.Context, act, query string, args ...any) error {
	err := s.DB.Change(ctx, act, func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, query, args...)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "There is no such route.")
		}
		return err
	})
	s.found.clear()
	return fault.Wrap(err, act)
}
