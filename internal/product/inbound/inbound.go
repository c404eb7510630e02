<<<<<<< HEAD
// Package inbound is mail to a customer's address that becomes a signed HTTP
// request. It promises that a recipient finds the most particular route of the
// customer whose domain it is, that a route stops matching when its domain is the
// customer's no longer, that URL and secret are sealed, and that the secret is
// shown once. Calling the endpoint is left to flow/deliver/webhook.
=======
// Package inbound is the product that turns mail into HTTP: which addresses a
// customer takes mail at, and to which endpoint it goes. It promises that one
// pattern belongs to one customer, that a pattern is taken only on a domain
// which that customer has proved, and that endpoints and signing secrets are
// sealed. Delivering to the endpoint is left to flow/deliver/webhook.
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
package inbound

import (
	"context"
<<<<<<< HEAD
	_ "embed" // the table
	"net/url"
	"slices"
	"strings"
=======
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"math"
	"net/url"
	"strings"
	"sync"
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
<<<<<<< HEAD
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/standard/webhook"
)

//go:embed inbound.sql
var sql string

=======
	"mailvow/internal/flow/deliver"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
const (
	pkg   = "product/inbound"
	table = "inbound_route"
)

<<<<<<< HEAD
// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept. A pattern may name a person's mailbox; it is the
// customer's own set-up and goes with the route.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "routes", About: pledge.Customer,
		What:    "address patterns of a customer and the endpoint that their mail goes to, with the secret that signs",
		Purpose: "hand mail over to the customer's endpoint",
		Basis:   pledge.Contract, Period: pledge.Period{From: "the route's deletion"},
		Found: "the customer's id, or the keyed hash of the pattern", Erasing: pledge.Delete,
	}},
	Places: slices.Concat(
		pledge.Columns("routes", false, table, "id", "tenant", "domain", "hash", "created", "changed"),
		pledge.Columns("routes", true, table, "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "routes in use", Category: "routes"}},
	),
}

// Route sends the mail of a pattern to an endpoint.
type Route struct {
	ID      ids.Route
	Tenant  ids.Tenant
	Pattern string // *@in.example, user@in.example or user+*@in.example
	URL     string
	Secret  []byte // signs; shown once, as text
	Created time.Time
	hash    [16]byte
}

// Domains says whose a domain is; product/relay fills it.
=======
//go:embed inbound.sql
var sql string

// Schema is what this package stores.
func Schema() db.Schema { return db.Schema{Package: pkg, SQL: sql} }

// Domains says whose a domain is.
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
type Domains interface {
	MayReceive(ctx context.Context, tenant ids.Tenant, domain string) (bool, error)
}

<<<<<<< HEAD
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
=======
// Route is one pattern of addresses and its endpoint.
type Route struct {
	ID      ids.Route
	Tenant  ids.Tenant
	Pattern string // "*@in.example", "box@in.example" or "box+*@in.example"
	URL     string
	Created time.Time
	secret  []byte
}

// secret fields, sealed as one value.
type secretPart struct {
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
	Pattern string `json:"pattern"`
	URL     string `json:"url"`
	Secret  []byte `json:"secret"`
}

<<<<<<< HEAD
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
=======
// Store keeps routes.
type Store struct {
	db      *db.DB
	set     *db.Set
	vault   *vault.Vault
	ids     *ids.Source
	clock   clock.Clock
	domains Domains
	// Dev lets endpoints be plain HTTP.
	Dev bool

	mu    sync.Mutex
	known map[[16]byte]cached
}

// cached is the answer to a look-up, or that there is none.
type cached struct {
	route *Route
	until time.Time
}

const (
	cacheFor  = 10 * time.Second // how long another node's change may go unnoticed
	cacheSize = 4096
)

// New opens the store on a database that has its Schema.
func New(d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock, domains Domains) *Store {
	return &Store{db: d, set: d.Set(pkg), vault: v, ids: source, clock: c, domains: domains, known: map[[16]byte]cached{}}
}

// Pattern brings a pattern into the form that is compared: like an address in
// canonical form, where * stands for a whole local part or for what follows the
// plus. Other patterns are an Invalid fault.
func Pattern(s string) (pattern, domain string, err error) {
	local, rest, ok := strings.Cut(s, "@")
	wrong := fault.Field("recipient", "Write an address, *@domain for all of a domain, or name+*@domain for its sub-addresses.")
	if !ok || strings.Count(s, "*") > 1 {
		return "", "", wrong
	}
	stand := strings.Replace(local, "*", "x", 1)
	if strings.Contains(local, "*") && local != "*" && (!strings.HasSuffix(local, "+*") || local == "+*") {
		return "", "", wrong
	}
	a, err := address.Parse(stand + "@" + rest)
	if err != nil {
		text, _ := fault.Public(err)
		return "", "", fault.Field("recipient", text)
	}
	canonical := a.Canonical()
	if local == "*" {
		return "*@" + a.Domain(), a.Domain(), nil
	}
	if strings.HasSuffix(local, "+*") {
		return strings.TrimSuffix(canonical, "x@"+a.Domain()) + "*@" + a.Domain(), a.Domain(), nil
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
	}
	return canonical, a.Domain(), nil
}

<<<<<<< HEAD
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
=======
// patternsOf are the patterns that cover an address, narrowest first.
func patternsOf(a address.Address) []string {
	canonical := a.Canonical()
	list := []string{canonical}
	local := strings.TrimSuffix(canonical, "@"+a.Domain())
	if base, _, ok := strings.Cut(local, "+"); ok && base != "" {
		list = append(list, base+"+*@"+a.Domain())
	}
	return append(list, "*@"+a.Domain())
}

func (s *Store) endpoint(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return "", fault.Field("webhook.url", "Write the endpoint's whole address, such as https://example.com/mail.")
	case u.Scheme == "http" && !s.Dev:
		return "", fault.Field("webhook.url", "The endpoint must be https: mail is not sent over an open line.")
	case len(raw) > 2000 || u.Fragment != "":
		return "", fault.Field("webhook.url", "The endpoint's address is too long, or has a part after #.")
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
	}
	return u.String(), nil
}

<<<<<<< HEAD
// Add makes a route with a secret of its own. The pattern's domain must be the
// customer's (Denied), and the pattern free (Conflict).
func (s *Store) Add(ctx context.Context, tenant ids.Tenant, pattern, endpoint string) (Route, error) {
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
	r := Route{ID: ids.New[ids.Route](s.IDs), Tenant: tenant, Pattern: pattern, URL: endpoint, Secret: webhook.NewSecret()}
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
	return sealed.Put(s.Vault, vault.Account, row(r.Tenant, r.ID), secret{r.Pattern, r.URL, r.Secret})
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
=======
// Add makes a route. The returned secret signs every request (Standard
// Webhooks); it is shown this once.
func (s *Store) Add(ctx context.Context, tenant ids.Tenant, pattern, endpoint string) (Route, string, error) {
	p, err := s.allowed(ctx, tenant, pattern)
	if err != nil {
		return Route{}, "", err
	}
	if endpoint, err = s.endpoint(endpoint); err != nil {
		return Route{}, "", err
	}
	r := Route{ID: ids.New[ids.Route](s.ids), Tenant: tenant, Pattern: p, URL: endpoint, Created: s.clock.Now(), secret: make([]byte, 32)}
	rand.Read(r.secret)
	hash, box, err := s.seal(&r)
	if err != nil {
		return Route{}, "", err
	}
	var n int64
	err = s.db.Change(ctx, "add inbound route", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "add", int64(r.ID), int64(tenant), hash[:], clock.Micros(r.Created), box)
		return err
	})
	if err == nil && n == 0 {
		err = fault.Field("recipient", "There is a route for "+p+" already; change that one, or write a narrower pattern.")
		err.(*fault.Error).Kind = fault.Conflict
	}
	s.forget()
	return r, "whsec_" + base64.StdEncoding.EncodeToString(r.secret), fault.Wrap(err, "add inbound route")
}

func (s *Store) allowed(ctx context.Context, tenant ids.Tenant, pattern string) (string, error) {
	p, domain, err := Pattern(pattern)
	if err != nil {
		return "", err
	}
	ok, err := s.domains.MayReceive(ctx, tenant, domain)
	if err != nil {
		return "", fault.Wrap(err, "ask whose a domain is")
	}
	if !ok {
		return "", fault.Field("recipient", fmt.Sprintf("The domain %s is not verified for you; add it under domains and publish its TXT record first.", domain))
	}
	return p, nil
}

func (s *Store) seal(r *Route) (hash [16]byte, box []byte, err error) {
	if hash, err = s.vault.Hash(0, "inbound route", r.Pattern); err != nil {
		return hash, nil, fault.Wrap(err, "hash a pattern")
	}
	box, err = sealed.Put(s.vault, vault.Account, sealed.Row{Tenant: r.Tenant, Table: table, ID: int64(r.ID)}, secretPart{r.Pattern, r.URL, r.secret})
	return hash, box, err
}

// Change replaces the endpoint of a route.
func (s *Store) Change(ctx context.Context, in scope.Scope, id ids.Route, endpoint string) (Route, error) {
	r, err := s.Get(ctx, in, id)
	if err != nil {
		return Route{}, err
	}
	if r.URL, err = s.endpoint(endpoint); err != nil {
		return Route{}, err
	}
	hash, box, err := s.seal(&r)
	if err != nil {
		return Route{}, err
	}
	all, owner := in.Args()
	err = s.db.Change(ctx, "change inbound route", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "change", int64(id), hash[:], box, all, owner)
		return err
	})
	s.forget()
	return r, fault.Wrap(err, "change inbound route")
}

// Get reads one route, or a NotFound fault.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Route) (Route, error) {
	all, owner := in.Args()
	list, err := s.read(ctx, "get", int64(id), all, owner)
	if err != nil {
		return Route{}, err
	}
	if len(list) == 0 {
		return Route{}, fault.New(fault.NotFound, "There is no such route.")
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
	}
	return list[0], nil
}

<<<<<<< HEAD
// List gives the scope's routes, newest first, from before.
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Route, limit int) ([]Route, error) {
	all, own := in.Args()
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list routes")
=======
// List gives one page of routes, newest first, before a route (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Route, limit int) ([]Route, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	all, owner := in.Args()
	return s.read(ctx, "list", int64(before), all, owner, min(max(limit, 1), 200))
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Route, error) {
	var list []Route
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
<<<<<<< HEAD
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
		list = append(list, r)
		return nil
	})
	return list, err
}

// Change is what may change of a route; nil leaves a field as it is.
type Change struct {
	URL *string
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
=======
		var id, tenant, created int64
		var box []byte
		if err := scan(&id, &tenant, &created, &box); err != nil {
			return err
		}
		var p secretPart
		if err := sealed.Get(s.vault, sealed.Row{Tenant: ids.Tenant(tenant), Table: table, ID: id}, box, &p); err != nil {
			return err
		}
		list = append(list, Route{
			ID: ids.Route(id), Tenant: ids.Tenant(tenant), Pattern: p.Pattern, URL: p.URL, Created: clock.FromMicros(created), secret: p.Secret,
		})
		return nil
	})
	return list, fault.Wrap(err, "read inbound routes")
}

// Remove deletes a route. Mail to it that waits is delivered still.
func (s *Store) Remove(ctx context.Context, in scope.Scope, id ids.Route) error {
	all, owner := in.Args()
	var n int64
	err := s.db.Change(ctx, "remove inbound route", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "drop", int64(id), all, owner)
		return err
	})
	s.forget()
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "There is no such route.")
	}
	return fault.Wrap(err, "remove inbound route")
}

// Find gives the route that takes mail to an address; the narrowest pattern wins.
func (s *Store) Find(ctx context.Context, a address.Address) (Route, bool, error) {
	for _, p := range patternsOf(a) {
		r, err := s.lookUp(ctx, p)
		if err != nil || r != nil {
			if r == nil {
				return Route{}, false, err
			}
			return *r, true, err
		}
	}
	return Route{}, false, nil
}

func (s *Store) lookUp(ctx context.Context, pattern string) (*Route, error) {
	hash, err := s.vault.Hash(0, "inbound route", pattern)
	if err != nil {
		return nil, fault.Wrap(err, "hash a pattern")
	}
	now := s.clock.Now()
	s.mu.Lock()
	c, ok := s.known[hash]
	s.mu.Unlock()
	if ok && now.Before(c.until) {
		return c.route, nil
	}
	list, err := s.read(ctx, "by_hash", hash[:])
	if err != nil {
		return nil, err
	}
	c = cached{until: now.Add(cacheFor)}
	if len(list) == 1 {
		c.route = &list[0]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= cacheSize {
		clear(s.known)
	}
	s.known[hash] = c
	return c.route, nil
}

func (s *Store) forget() {
	s.mu.Lock()
	clear(s.known)
	s.mu.Unlock()
}

// Recipient says who takes mail to an address and how it goes there: what the
// MX door and the local courier ask.
func (s *Store) Recipient(ctx context.Context, a address.Address) (ids.Tenant, deliver.Route, bool, error) {
	r, found, err := s.Find(ctx, a)
	if err != nil || !found {
		return 0, deliver.Route{}, false, err
	}
	return r.Tenant, deliver.Route{Kind: deliver.Webhook, URL: r.URL, Secret: r.secret}, true, nil
}

// Takes implements route.Ours.
func (s *Store) Takes(ctx context.Context, a address.Address) (bool, error) {
	_, found, err := s.Find(ctx, a)
	return found, err
}

// Declaration is what this package stores.
func Declaration() pledge.Declaration {
	const category = "inbound routes"
	d := pledge.Declaration{Package: pkg, Categories: []pledge.Category{{
		Name: category, About: pledge.Customer, What: "the addresses a customer takes mail at, with endpoint and signing secret",
		Purpose: "deliver inbound mail to the customer's endpoint", Basis: pledge.Contract,
		Period: pledge.Period{Ceiling: 30 * 24 * time.Hour, From: "the contract ended, or at once when the route is removed"},
		Found:  "keyed hash of the address pattern", Erasing: pledge.Delete,
	}}}
	d.Places = append(pledge.Columns(category, false, table, "id", "tenant", "hash", "created"), pledge.Columns(category, true, table, "sealed")...)
	return d
>>>>>>> 3c4c30c (product/inbound: which addresses a customer takes mail at, and where it goes)
}
