// Package tenant keeps the operator and its customers. It promises that the
// platform is tenant 1 and the parent of every customer, that a name is sealed,
// that a customer who is closed neither sends nor receives but may still sign in,
// that one whose time is over does not come back, and that one of another region
// is not made, moved to or served here. What suspension stops is decided by those
// who ask Active; a contract's end is protect/ending's.
package tenant

import (
	"context"
	_ "embed" // the tables
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

//go:embed tenant.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: "protect/tenant", SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: "protect/tenant",
	Categories: []pledge.Category{{
		Name: "customers", About: pledge.Customer,
		What:    "a customer's name, state and region, and when its contract ends",
		Purpose: "know whose mail this is and whether the contract lives", For: pledge.ToKeepAccounts,
		Basis:   pledge.Contract,
		Period:  pledge.Period{From: "the contract's end"},
		Found:   "the customer's id",
		Erasing: pledge.Delete,
	}},
	Places: append(append(
		pledge.Columns("customers", false, "tenant", "id", "parent", "state", "region", "created", "changed", "closes"),
		pledge.Columns("customers", true, "tenant", "sealed")...),
		pledge.Place{Kind: pledge.Memory, Name: "states of customers", Category: "customers"}),
}

// Platform is the operator's own tenant.
const Platform ids.Tenant = 1

// State is where a customer stands. Ended is final.
type State string

// The closed list of states.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Ended     State = "ended"
)

// Tenant is the operator or a customer.
type Tenant struct {
	ID      ids.Tenant
	Parent  ids.Tenant // zero for the platform
	Name    string
	State   State
	Region  string // where its data is kept: a label such as "eu-central"
	Created time.Time
	Closes  time.Time // the contract's end; zero: none is ordered
}

// Change is what may change; nil leaves a field as it is.
type Change struct {
	Name   *string
	State  *State
	Region *string // never: a customer stays in its region
}

// Store keeps tenants.
type Store struct {
	set    *db.Set
	db     *db.DB
	vault  *vault.Vault
	ids    *ids.Source
	clock  clock.Clock
	region string // this server's; empty before EnsurePlatform
	mu     sync.Mutex
	states map[ids.Tenant]known
	// Servers are the addresses of the operator's servers in other regions, for who
	// asks here for a customer of theirs.
	Servers map[string]string
}

// known is a state as it was lately; other nodes learn a change when it is old.
type known struct {
	state  State
	closes int64 // microseconds; 0: never
	region string
	until  time.Time
}

// closed reports that the contract's end has come.
func (k known) closed(now time.Time) bool {
	return k.state == Ended || k.closes != 0 && clock.Micros(now) >= k.closes
}

const (
	stateLife = 5 * time.Second
	maxStates = 10_000
	table     = "tenant"
)

// New makes a store over a database that was opened with Schema.
func New(d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock) *Store {
	return &Store{set: d.Set("protect/tenant"), db: d, vault: v, ids: source, clock: c, states: map[ids.Tenant]known{}}
}

type secret struct {
	Name string `json:"name"`
}

// Add makes a customer of the platform in this server's region, which an empty
// region stands for. Another region is an Invalid fault on "region", a name that is
// empty or over 200 characters one on "name".
func (s *Store) Add(ctx context.Context, name, region string) (Tenant, error) {
	name, err := checkName(name)
	if err == nil {
		region, err = s.settles(region)
	}
	if err != nil {
		return Tenant{}, err
	}
	t := Tenant{ID: ids.New[ids.Tenant](s.ids), Parent: Platform, Name: name, Region: region}
	if err := s.insert(ctx, t); err != nil {
		return Tenant{}, err
	}
	return s.Get(ctx, scope.Tenant(t.ID), t.ID)
}

func (s *Store) insert(ctx context.Context, t Tenant) error {
	blob, err := s.seal(t)
	if err != nil {
		return err
	}
	return fault.Wrap(s.db.Change(ctx, "add a customer", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "add", t.ID, t.Parent, t.Region, blob, tx.Now())
		return err
	}), "add a customer")
}

func (s *Store) seal(t Tenant) ([]byte, error) {
	return sealed.Put(s.vault, vault.Account, row(t.ID), secret{t.Name})
}

func row(id ids.Tenant) sealed.Row { return sealed.Row{Tenant: id, Table: table, ID: int64(id)} }

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.Field("name", "A customer's name has 1 to 200 characters, without control characters.")
	}
	return name, nil
}

// Get gives one tenant; NotFound if it is not in the scope.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Tenant) (Tenant, error) {
	all, own := in.Args()
	var t Tenant
	err := s.set.Each(ctx, "get", []any{all, own, id}, func(scan func(...any) error) (err error) {
		t, err = s.read(scan)
		return err
	})
	if err == nil && t.ID == 0 {
		err = fault.New(fault.NotFound, "There is no such customer.")
	}
	return t, fault.Wrap(err, "get a customer")
}

// List gives tenants of the scope, newest first, from before (zero: from the newest).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Tenant, limit int) ([]Tenant, error) {
	all, own := in.Args()
	if before == 0 {
		before = 1<<63 - 1
	}
	var list []Tenant
	err := s.set.Each(ctx, "list", []any{all, own, before, limit}, func(scan func(...any) error) error {
		t, err := s.read(scan)
		list = append(list, t)
		return err
	})
	return list, fault.Wrap(err, "list customers")
}

func (s *Store) read(scan func(...any) error) (Tenant, error) {
	var t Tenant
	var blob []byte
	var closes int64
	if err := scan(&t.ID, &t.Parent, &t.State, &t.Region, &blob, &t.Created, &closes); err != nil {
		return Tenant{}, err
	}
	if closes != 0 {
		t.Closes = clock.FromMicros(closes)
	}
	var open secret
	err := sealed.Get(s.vault, row(t.ID), blob, &open)
	if fault.Is(err, fault.Gone) { // the keys are destroyed, whatever a restored row says
		t.State, err = Ended, nil
	}
	t.Name = open.Name
	return t, err
}

// Change renames, suspends, resumes or ends a tenant. The platform cannot be
// suspended or ended, what has ended stays so, and nobody moves to another region:
// Conflict.
func (s *Store) Change(ctx context.Context, in scope.Scope, id ids.Tenant, c Change) (Tenant, error) {
	t, err := s.Get(ctx, in, id)
	if err != nil {
		return Tenant{}, err
	}
	if c.Name != nil {
		if t.Name, err = checkName(*c.Name); err != nil {
			return Tenant{}, err
		}
	}
	if c.Region != nil && *c.Region != t.Region {
		return Tenant{}, s.stays(t.Region, *c.Region)
	}
	if c.State != nil {
		if err := mayMove(id, t.State, *c.State); err != nil {
			return Tenant{}, err
		}
		t.State = *c.State
	}
	blob, err := s.seal(t)
	if err != nil {
		return Tenant{}, err
	}
	all, own := in.Args()
	err = s.db.Change(ctx, "change a customer", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "change", all, own, id, t.State, blob, tx.Now())
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "This customer's contract has ended.")
		}
		return err
	})
	s.Forget(id)
	return t, fault.Wrap(err, "change a customer")
}

func mayMove(id ids.Tenant, from, to State) error {
	switch to {
	case Active, Suspended, Ended:
	default:
		return fault.Field("state", "The state is active, suspended or ended.")
	}
	if id == Platform && to != Active {
		return fault.New(fault.Conflict, "The platform itself can be neither suspended nor ended.")
	}
	if from == Ended {
		return fault.New(fault.Conflict, "This customer's contract has ended.")
	}
	return nil
}

// Active returns nil for a customer whose contract lives, and a Denied fault for
// one that is suspended, closed, ended, unknown or of another region. It may be some seconds behind
// what another node changed.
func (s *Store) Active(ctx context.Context, id ids.Tenant) error {
	k, err := s.known(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && k.state == Ended:
		return ended()
	case err == nil && s.foreign(k.region):
		return s.elsewhere(k.region)
	case err == nil && k.closed(s.clock.Now()):
		return fault.New(fault.Denied, "This account is closed: its contract ended on "+clock.FromMicros(k.closes).UTC().Format(time.DateOnly)+". Nothing is sent or received any more; its users can still sign in and fetch the export.")
	case err == nil && k.state == Suspended:
		return suspended()
	}
	return err
}

// Enters is Active for those who sign in: they still may when the account is
// closed, to fetch the export or to undo the end.
func (s *Store) Enters(ctx context.Context, id ids.Tenant) error {
	k, err := s.known(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && k.state == Ended:
		return ended()
	case err == nil && s.foreign(k.region):
		return s.elsewhere(k.region)
	case err == nil && k.state == Suspended:
		return suspended()
	}
	return err
}

// Closed reports that a customer's contract is over. One of another region is a
// Denied fault.
func (s *Store) Closed(ctx context.Context, id ids.Tenant) (bool, error) {
	k, err := s.known(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err == nil && s.foreign(k.region) {
		err = s.elsewhere(k.region)
	}
	return k.closed(s.clock.Now()), err
}

func ended() error { return fault.New(fault.Denied, "This account has ended.") }

func suspended() error {
	return fault.New(fault.Denied, "This account is suspended. Ask the operator of this server.")
}

func (s *Store) known(ctx context.Context, id ids.Tenant) (known, error) {
	now := s.clock.Now()
	s.mu.Lock()
	k, ok := s.states[id]
	s.mu.Unlock()
	if ok && now.Before(k.until) {
		return k, nil
	}
	k = known{until: now.Add(stateLife)}
	if err := s.set.One(ctx, "state", []any{id}, &k.state, &k.closes, &k.region); err != nil {
		return known{}, fault.Wrap(err, "read a customer's state")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) >= maxStates {
		clear(s.states)
	}
	s.states[id] = k
	return k, nil
}

// Close sets, in a transaction, when a customer's contract ends; the zero time
// takes it back. The platform and one that has ended are a Conflict. Follow it by
// Forget once the transaction is committed.
func (s *Store) Close(ctx context.Context, tx *db.Tx, id ids.Tenant, at time.Time) error {
	closes := int64(0)
	if !at.IsZero() {
		closes = clock.Micros(at)
	}
	n, err := tx.Do(ctx, s.set, "close", id, closes, tx.Now())
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "The contract of this customer cannot be ended: it is the platform, or has ended.")
	}
	return err
}

// Drop removes an ended customer's row and says whether there was one.
func (s *Store) Drop(ctx context.Context, id ids.Tenant) (int, error) {
	var n int64
	err := s.db.Change(ctx, "drop a customer", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "drop_tenant", id)
		return err
	})
	s.Forget(id)
	return int(n), fault.Wrap(err, "drop a customer")
}

// Forget makes the next question about a customer be read anew.
func (s *Store) Forget(id ids.Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.states, id)
}
