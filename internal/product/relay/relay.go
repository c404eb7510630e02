// Package relay is what a customer needs to send: domains that are shown to be
// theirs, and the keys that sign for them. It promises that a domain is a
// customer's only while that customer's own token stands in its DNS, that nobody
// sends as a domain before, that a private key is sealed, and that a message is
// signed with every key of its domain at once. Accepting and delivering are left
// to flow.
package relay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	_ "embed" // the tables
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/standard/dns"
)

//go:embed relay.sql
var sql string

const pkg = "product/relay"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept. A domain's name is no person's; it stands in
// public DNS.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: "sending domains", About: pledge.Customer,
			What:    "the names of a customer's domains and whether they were shown to be theirs",
			Purpose: "send and receive only as domains that are the customer's own", For: pledge.ToDeliver,
			Basis: pledge.Contract, Period: pledge.Period{From: "the domain's deletion"},
			Found: "the customer's id", Erasing: pledge.Delete,
		},
		{
			Name: "signing keys", About: pledge.Nobody,
			What:    "DKIM keys of customers' domains",
			Purpose: "sign mail", For: pledge.ToDeliver, Basis: pledge.NotPersonal, Period: pledge.Period{From: "the domain's deletion"},
			Found: "the domain", Erasing: pledge.Nothing,
		},
	},
	Places: slices.Concat(
		pledge.Columns("sending domains", false, "relay_domain", "id", "tenant", "name", "token", "state", "misses", "vouched", "checked", "created"),
		pledge.Columns("signing keys", false, "relay_key", "id", "domain", "tenant", "selector", "algorithm", "record", "created"),
		pledge.Columns("signing keys", true, "relay_key", "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "signing keys in use", Category: "signing keys"}},
	),
}

// State is where a domain stands.
type State string

// The closed list of states.
const (
	Pending  State = "pending"  // the token has not been seen yet
	Verified State = "verified" // the token is there: the domain is the customer's
	Failed   State = "failed"   // the token was there and is gone
)

// Domain is a domain that a customer claims.
type Domain struct {
	ID      ids.Domain
	Tenant  ids.Tenant
	Name    string
	Token   string
	State   State
	Misses  int
	Vouched bool      // the operator's word stands for the token
	Checked time.Time // zero: never
	Created time.Time
}

// Resolver looks up what the public sees; standard/dns.Resolver does it.
type Resolver interface {
	TXT(ctx context.Context, name string) (dns.Result[string], error)
	CNAME(ctx context.Context, name string) (dns.Result[string], error)
}

// Config says what customers are asked to publish.
type Config struct {
	// SPF is the mechanism that lets this platform's addresses send:
	// "include:spf.mail.example" or "ip4:192.0.2.1".
	SPF string
	// ReturnPath is the host that bounces go to; customers point
	// bounces.<domain> at it. Empty asks for nothing.
	ReturnPath string
	// Shared are the operator's own domains, for which a customer may have
	// routes without owning them.
	Shared []string
}

// Parts are what a Store is made of.
type Parts struct {
	DB       *db.DB
	Vault    *vault.Vault
	IDs      *ids.Source
	Clock    clock.Clock
	Resolver Resolver
	// RSA bounds the RSA signatures computed at once: one place per core.
	RSA limit.Places
	// NewRSA makes a domain's RSA key; nil: a new one of 2048 bits.
	NewRSA func() (*rsa.PrivateKey, error)
}

// Store keeps domains and signs for them.
type Store struct {
	Config
	Parts
	set    *db.Set
	owners owners
}

// New makes a store over a database that was opened with Schema.
func New(c Config, p Parts) *Store {
	if p.NewRSA == nil {
		p.NewRSA = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	return &Store{Config: c, Parts: p, set: p.DB.Set(pkg), owners: owners{each: map[string]*owner{}}}
}

// Add claims a domain for a customer and makes its keys. A domain that the
// customer has already is a Conflict; one that is no public name is Invalid.
func (s *Store) Add(ctx context.Context, tenant ids.Tenant, name string) (Domain, error) {
	name, err := checkName(name)
	if err != nil {
		return Domain{}, err
	}
	d := Domain{ID: ids.New[ids.Domain](s.IDs), Tenant: tenant, Name: name, Token: newToken(), State: Pending}
	keys, err := s.newKeys(d) // the slow part, before the transaction
	if err != nil {
		return Domain{}, err
	}
	err = s.DB.Change(ctx, "add a domain", func(tx *db.Tx) error {
		d.Created = tx.Now()
		n, err := tx.Do(ctx, s.set, "add", d.ID, d.Tenant, d.Name, d.Token, tx.Now())
		if err == nil && n == 0 {
			err = &fault.Error{Kind: fault.Conflict, Field: "name", Text: "This domain is on your list already."}
		}
		for i := 0; err == nil && i < len(keys); i++ {
			k := keys[i]
			_, err = tx.Do(ctx, s.set, "add_key", k.id, d.ID, d.Tenant, k.selector, k.algorithm, k.record, k.sealed, tx.Now())
		}
		return err
	})
	return d, fault.Wrap(err, "add a domain")
}

func checkName(name string) (string, error) {
	bad := fault.Field("name", "Give a domain such as example.com, without a host or a scheme.")
	clean, err := address.Domain(strings.TrimSpace(name))
	if err != nil || strings.HasPrefix(clean, "[") || !strings.Contains(clean, ".") || strings.HasPrefix(clean, "_") {
		return "", bad
	}
	return clean, nil
}

// Get gives one domain of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Domain) (Domain, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such domain.")
	}
	if err != nil {
		return Domain{}, fault.Wrap(err, "get a domain")
	}
	return list[0], nil
}

// List gives the scope's domains, newest first, from before.
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Domain, limit int) ([]Domain, error) {
	all, own := in.Args()
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list domains")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Domain, error) {
	var list []Domain
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		d, err := scanDomain(scan)
		list = append(list, d)
		return err
	})
	return list, err
}

func scanDomain(scan func(...any) error) (Domain, error) {
	var d Domain
	var checked, vouched int64
	err := scan(&d.ID, &d.Tenant, &d.Name, &d.Token, &d.State, &d.Misses, &vouched, &checked, &d.Created)
	d.Vouched = vouched == 1
	if checked != 0 {
		d.Checked = clock.FromMicros(checked)
	}
	return d, err
}

// Remove drops a domain of the scope and its keys: nothing is signed for it any
// more, on this node at once.
func (s *Store) Remove(ctx context.Context, in scope.Scope, id ids.Domain) error {
	d, err := s.Get(ctx, in, id)
	if err != nil {
		return err
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, "remove a domain", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "delete_keys", d.ID); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "delete", all, own, d.ID)
		return err
	})
	s.owners.forget(d.Name)
	return fault.Wrap(err, "remove a domain")
}

// MaySend returns nil if an address's domain was shown to be the customer's, or
// a Denied fault that says what to do; submission answers it with 550 5.7.1.
func (s *Store) MaySend(ctx context.Context, tenant ids.Tenant, from address.Address) error {
	owns, err := s.Owns(ctx, tenant, from.Domain())
	if err == nil && !owns {
		err = fault.New(fault.Denied, "You may not send as "+from.Domain()+": add the domain and publish its records first.")
	}
	return err
}

// Owns reports whether a domain was shown to be the customer's. It may be some
// seconds behind what another node learnt.
func (s *Store) Owns(ctx context.Context, tenant ids.Tenant, domain string) (bool, error) {
	o, err := s.owner(ctx, domain)
	return err == nil && o.tenant == tenant && tenant != 0, err
}

// MayReceive reports whether a customer may have routes for a domain: its own, or
// one that the operator shares.
func (s *Store) MayReceive(ctx context.Context, tenant ids.Tenant, domain string) (bool, error) {
	if slices.Contains(s.Shared, domain) {
		return true, nil
	}
	return s.Owns(ctx, tenant, domain)
}
