// Package lawful is the register of what authorities ask for, and the report that
// it gives. It promises that every request has the authority's case number and the
// law it names; that data is taken out for an authority only under the number of an
// open case, each time on record before the first byte leaves; and that the report
// counts exactly what stands in the register, and says so while there is nothing.
// Whether a request is lawful is judged by people; finding the data is left to
// whoever answers persons.
package lawful

import (
	"context"
	_ "embed" // the table
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

//go:embed lawful.sql
var sql string

const (
	pkg   = "product/trust/lawful"
	table = "lawful_request"
	// Category is what they are in the inventory.
	Category = "requests of authorities"
)

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept. No person is named: whose data was given stands
// with the authority.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Nobody,
		What:    "which authority asked for data of which customer, under which case and law, what was decided, and how many persons it concerned",
		Purpose: "answer authorities lawfully and report it openly", For: pledge.ToDisclose, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: slices.Concat(
		pledge.Columns(Category, false, table, "id", "customer", "kind", "state", "country", "received", "decided", "persons", "exports", "hash"),
		pledge.Columns(Category, true, table, "sealed"),
	),
}

// Kind says what is asked for.
type Kind string

// The kinds.
const (
	Data         Kind = "data"         // records of who wrote to whom, when
	Content      Kind = "content"      // what mail says
	Preservation Kind = "preservation" // that data be kept
	Other        Kind = "other"
)

// State says what was decided.
type State string

// The states: only what is open moves, once.
const (
	Open     State = "open"
	Refused  State = "refused"
	Narrowed State = "narrowed" // less was given than was asked for
	Complied State = "complied"
)

// Request is one entry.
type Request struct {
	ID        ids.Lawful
	Customer  ids.Tenant // zero: no customer's in particular
	Kind      Kind
	State     State
	Country   string // ISO 3166-1 alpha-2
	Authority string
	Case      string // the authority's number
	Law       string // that it names
	Note      string
	Received  time.Time
	Decided   time.Time // zero while it is open
	Persons   int64     // whose data was given
	Exports   int64
}

type secret struct {
	Authority string `json:"authority"`
	Case      string `json:"case"`
	Law       string `json:"law"`
	Note      string `json:"note,omitempty"`
}

// Config is what the register stands on.
type Config struct {
	DB    *db.DB
	Vault *vault.Vault
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
	Clock clock.Clock
	// Export writes everything on one person and gives the number of records.
	Export func(ctx context.Context, s pledge.Subject, by evidence.Actor, w io.Writer) (int, error)
	// LeftOut is the probes' customer, whose entries are no authority's; nil: none.
	LeftOut func() ids.Tenant
}

// Store is the register.
type Store struct {
	Config
	set *db.Set
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Store{Config: c, set: c.DB.Set(pkg)}
}

func short(s *string, most int) bool {
	*s = strings.TrimSpace(*s)
	return len(*s) <= most && utf8.ValidString(*s)
}

func (r *Request) check(now time.Time) error {
	r.Country = strings.ToUpper(strings.TrimSpace(r.Country))
	switch {
	case !slices.Contains([]Kind{Data, Content, Preservation, Other}, r.Kind):
		return fault.Field("kind", "An authority asks for data, content, preservation or other.")
	case len(r.Country) != 2 || strings.Trim(r.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fault.Field("country", "The country is two letters, as ISO 3166-1 has them: DE.")
	case !short(&r.Authority, 200) || r.Authority == "":
		return fault.Field("authority", "Say which authority asks.")
	case !short(&r.Case, 100) || r.Case == "":
		return fault.Field("case", "An authority's request has a case number.")
	case !short(&r.Law, 200) || r.Law == "":
		return fault.Field("law", "Say which law the authority names.")
	case !short(&r.Note, 2000):
		return fault.Field("note", "The note has at most 2,000 characters.")
	case r.Received.After(now):
		return fault.Field("received_at", "It cannot have been received in the future.")
	}
	return nil
}

func (s *Store) hash(number string) ([16]byte, error) {
	h, err := s.Vault.Hash(tenant.Platform, "authority case", strings.ToLower(strings.TrimSpace(number)))
	return h, fault.Wrap(err, "hash a case number")
}

func row(id ids.Lawful) sealed.Row {
	return sealed.Row{Tenant: tenant.Platform, Table: table, ID: int64(id)}
}

// Add enters a request. The same case number stands in the register once.
func (s *Store) Add(ctx context.Context, r Request, by evidence.Actor) (Request, error) {
	now := s.Clock.Now().UTC().Truncate(time.Microsecond)
	if r.Received.IsZero() {
		r.Received = now
	}
	if err := r.check(now); err != nil {
		return Request{}, err
	}
	if _, err := s.ByCase(ctx, scope.Everyone, r.Case); !fault.Is(err, fault.NotFound) {
		if err == nil {
			err = &fault.Error{Kind: fault.Conflict, Field: "case", Text: "This case number stands in the register already."}
		}
		return Request{}, err
	}
	r.ID, r.State, r.Decided, r.Persons, r.Exports = ids.New[ids.Lawful](s.IDs), Open, time.Time{}, 0, 0
	hash, err := s.hash(r.Case)
	if err != nil {
		return Request{}, err
	}
	blob, err := sealed.Put(s.Vault, vault.Account, row(r.ID), secret{r.Authority, r.Case, r.Law, r.Note})
	if err != nil {
		return Request{}, err
	}
	err = s.DB.Change(ctx, "enter a request of an authority", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "add", r.ID, r.Customer, string(r.Kind), r.Country, clock.Micros(r.Received), hash, blob); err != nil {
			return err
		}
		return s.stage(ctx, tx, r, &evidence.Act{Act: "lawful.add", Target: r.ID.String()}, by)
	})
	s.Nudge()
	return r, fault.Wrap(err, "enter a request of an authority")
}

// stage writes an act on the platform: a customer's own view of the log does not
// show it, because a law may forbid telling them.
func (s *Store) stage(ctx context.Context, tx *db.Tx, _ Request, body evidence.Body, by evidence.Actor) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Body: body})
}

// Decide closes a request: refused, narrowed or complied with, and for how many
// persons data was given.
func (s *Store) Decide(ctx context.Context, in scope.Scope, id ids.Lawful, to State, persons int64, by evidence.Actor) (Request, error) {
	r, err := s.Get(ctx, in, id)
	switch {
	case err != nil:
		return Request{}, err
	case to != Refused && to != Narrowed && to != Complied:
		return Request{}, fault.Field("state", "A request is refused, narrowed or complied with.")
	case persons < 0 || persons > 1<<40 || to == Refused && persons != 0:
		return Request{}, fault.Field("persons", "Say for how many persons data was given; none where it was refused.")
	case to == Refused && r.Exports > 0:
		return Request{}, fault.New(fault.Conflict, "Data was taken out for this request; it cannot be refused any more.")
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, "decide on an authority's request", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "decide", all, own, id, string(to), clock.Micros(s.Clock.Now()), persons)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "This request is decided.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, r, &evidence.Act{Act: "lawful." + string(to), Target: id.String()}, by)
	})
	if err != nil {
		return Request{}, fault.Wrap(err, "decide on an authority's request")
	}
	s.Nudge()
	return s.Get(ctx, in, id)
}

// Export writes what is held of a person for an authority. Without the number of
// an open case, or for a customer whom the case does not concern, nothing leaves.
func (s *Store) Export(ctx context.Context, in scope.Scope, number string, customer ids.Tenant, who address.Address, by evidence.Actor, w io.Writer) (int, error) {
	if strings.TrimSpace(number) == "" {
		return 0, fault.Field("case", "Data leaves for an authority only under a case number of the register.")
	}
	r, err := s.ByCase(ctx, in, number)
	switch {
	case err != nil:
		return 0, err
	case r.State != Open:
		return 0, fault.New(fault.Conflict, "This case is decided; enter a new request.")
	case r.Kind == Preservation:
		return 0, fault.New(fault.Conflict, "This case asks that data be kept, not that it be given: make a legal hold.")
	case customer == 0 || r.Customer != 0 && r.Customer != customer:
		return 0, fault.Field("customer", "Say of which customer, and of none whom the case does not concern.")
	}
	err = s.DB.Change(ctx, "take data out for an authority", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "exported", r.ID)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "This case was decided meanwhile.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, r, &evidence.Access{Category: "all records of a person", Purpose: "authority", Target: r.ID.String()}, by)
	})
	if err != nil {
		return 0, fault.Wrap(err, "take data out for an authority")
	}
	s.Nudge()
	return s.Config.Export(ctx, pledge.Subject{Scope: scope.Tenant(customer), Address: who}, by, w)
}

// Get gives a request of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Lawful) (Request, error) {
	all, own := in.Args()
	return s.one(ctx, "get", all, own, id)
}

// ByCase gives a request by the authority's number, or NotFound.
func (s *Store) ByCase(ctx context.Context, in scope.Scope, number string) (Request, error) {
	hash, err := s.hash(number)
	if err != nil {
		return Request{}, err
	}
	all, own := in.Args()
	return s.one(ctx, "by_case", all, own, hash)
}

func (s *Store) one(ctx context.Context, query string, args ...any) (Request, error) {
	list, err := s.read(ctx, query, args...)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such request in the register.")
	}
	if err != nil {
		return Request{}, fault.Wrap(err, "get an authority's request")
	}
	return list[0], nil
}

// List gives the scope's requests, newest first, from before (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Lawful, limit int) ([]Request, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list authorities' requests")
}

// Drop removes what a probe entered for a customer of its own.
func (s *Store) Drop(ctx context.Context, customer ids.Tenant) error {
	return fault.Wrap(s.DB.Change(ctx, "drop a probe's entries", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "drop", customer)
		return err
	}), "drop a probe's entries")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Request, error) {
	var list []Request
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var r Request
		var received, decided int64
		var blob []byte
		if err := scan(&r.ID, &r.Customer, &r.Kind, &r.State, &r.Country, &received, &decided, &r.Persons, &r.Exports, &blob); err != nil {
			return err
		}
		if r.Received = clock.FromMicros(received); decided != 0 {
			r.Decided = clock.FromMicros(decided)
		}
		var x secret
		if err := sealed.Get(s.Vault, row(r.ID), blob, &x); err != nil {
			return err
		}
		r.Authority, r.Case, r.Law, r.Note = x.Authority, x.Case, x.Law, x.Note
		list = append(list, r)
		return nil
	})
	return list, err
}
