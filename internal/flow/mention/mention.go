// Package mention finds where a person is named in texts of mail between others. It
// promises that it looks only when a customer orders it, within that customer's mail,
// as a job with bounds and progress; and that nothing it finds leaves before
// somebody has said of each place whether it is kept, masked or left out, since it
// may tell of others (GDPR Art. 15(4)). What the person sent or was sent is found
// without it and is not its concern.
package mention

import (
	"context"
	_ "embed" // the tables
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
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

const pkg = "flow/mention"

//go:embed mention.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Category is what this package keeps.
const Category = "mentions in texts"

// kept is how long a search is kept: a request is answered within 90 days at most.
const kept = 90 * 24 * time.Hour

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Correspondent,
		What:    "whom a customer had looked for in texts of its mail, the words around each place, and what was decided on it",
		Purpose: "answer a person who asks for everything about them", For: pledge.ToServeRights, Basis: pledge.LegalDuty,
		Period: pledge.Period{Ceiling: kept, From: "the order to look"},
		Found:  "keyed hash of the address that was looked for; the message's record", Erasing: pledge.Delete,
		Source: "mail between others", Recipients: "the customer whose mail it is; the person, after a review",
	}},
	Places: slices.Concat(
		pledge.Columns(Category, false, "mention_search", "id", "tenant", "hash", "asked", "ended", "looked", "found", "whole"),
		pledge.Columns(Category, true, "mention_search", "sealed"),
		pledge.Columns(Category, false, "mention_place", "search", "n", "tenant", "message", "place", "verdict"),
		pledge.Columns(Category, true, "mention_place", "sealed"),
	),
}

// Queue is flow/queue: the texts that are here.
type Queue interface {
	List(ctx context.Context, s scope.Scope, f queue.Filter) ([]queue.Item, error)
	Content(ctx context.Context, s scope.Scope, m ids.Message) (*queue.Content, error)
}

// Subjects finds messages by words of their subjects; it is flow/words.
type Subjects interface {
	Find(ctx context.Context, s scope.Scope, q history.WordQuery) ([]ids.Message, ids.Message, error)
}

// Records say who sent a message and to whom; it is flow/history.
type Records interface {
	Of(ctx context.Context, s scope.Scope, m ids.Message) ([]history.Event, error)
	Tenants(ctx context.Context) ([]ids.Tenant, error)
}

// Persons finds the messages of a person; it is history.Holder.
type Persons interface {
	Messages(ctx context.Context, s pledge.Subject, yield func(history.Found) error) error
}

// Config is what a store stands on.
type Config struct {
	DB       *db.DB
	Vault    *vault.Vault
	Jobs     *job.Store
	Queue    Queue
	Subjects Subjects
	Records  Records
	Persons  Persons
	Stage    *evidence.Stage
	Nudge    func() // something was staged
	IDs      *ids.Source
	Clock    clock.Clock
}

// Store orders searches, does them and keeps what they found.
type Store struct {
	Config
	set *db.Set
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store { return &Store{c, c.DB.Set(pkg)} }

// Search is one order to look.
type Search struct {
	ID          ids.Job
	Tenant      ids.Tenant
	Address     address.Address
	Identifiers []pledge.Identifier
	Asked       time.Time
	Ended       time.Time // zero: it goes on
	Looked      int       // texts that were looked at
	Found       int       // places
	Open        int       // places on which nobody has decided
	Whole       bool      // false: it stopped at its bound
	Problem     string    // why it goes on or ended badly
}

// Verdict is what is decided on a place.
type Verdict string

// The closed list of verdicts.
const (
	Open     Verdict = "open"
	Keep     Verdict = "keep"      // the person gets the words as they stand, without the addresses of others
	Mask     Verdict = "mask"      // the person gets their own name and what the reviewer leaves around it
	LeaveOut Verdict = "leave_out" // the person gets nothing of it
)

// Place is one place at which the person is named.
type Place struct {
	Search  ids.Job
	N       int
	Message ids.Message
	Where   string // "text" or "subject"
	Verdict Verdict
	Words   string // around it, as they stand
	Left    string // of a masked place: what the person gets
}

// terms are sealed with the customer's key.
type terms struct {
	Address     string              `json:"address"`
	Identifiers []pledge.Identifier `json:"identifiers,omitempty"`
}

// passage is sealed with the customer's key.
type passage struct {
	Words string `json:"words"`
	Left  string `json:"left,omitempty"`
}

func searchRow(t ids.Tenant, id ids.Job) sealed.Row {
	return sealed.Row{Tenant: t, Table: "mention_search", ID: int64(id)}
}

// placeRow binds a place to its search: a search has fewer than 1 << 12 of them.
func placeRow(t ids.Tenant, id ids.Job, n int) sealed.Row {
	return sealed.Row{Tenant: t, Table: "mention_place", ID: int64(id) ^ int64(n)<<52}
}

func (s *Store) hash(t ids.Tenant, a address.Address) ([16]byte, error) {
	h, err := s.Vault.Hash(t, "mentioned", a.Canonical())
	return h, fault.Wrap(err, "hash an address")
}

// Job is the kind of the jobs that look.
const Job = "mentions"

// atOnce is how many searches of one customer may go on.
const atOnce = 3

// Order has a person looked for in the texts of one customer's mail.
func (s *Store) Order(ctx context.Context, t ids.Tenant, by evidence.Actor, who pledge.Subject) (Search, error) {
	if who.Address.IsNull() {
		return Search{}, fault.Field("address", "Say who is looked for: an e-mail address.")
	}
	id := ids.New[ids.Job](s.IDs)
	hash, err := s.hash(t, who.Address)
	if err != nil {
		return Search{}, err
	}
	blob, err := sealed.Put(s.Vault, vault.Account, searchRow(t, id), terms{who.Address.Text(), who.Identifiers})
	if err != nil {
		return Search{}, err
	}
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: t, Body: &evidence.Act{Act: "subject.mentions", Target: id.String()}}
	err = s.DB.Change(ctx, "order a search for mentions", func(tx *db.Tx) error {
		var running int
		if err := tx.One(ctx, s.set, "running", []any{t}, &running); err != nil {
			return err
		}
		if running >= atOnce {
			return fault.New(fault.Exhausted, "Three searches go on already; wait for one of them.")
		}
		if _, err := tx.Do(ctx, s.set, "add", id, t, hash, clock.Micros(s.Clock.Now()), blob); err != nil {
			return err
		}
		if err := s.Jobs.StartIn(ctx, tx, id, t, Job, nil, 0); err != nil {
			return err
		}
		return s.Stage.Stage(ctx, tx, leaf)
	})
	if err != nil {
		return Search{}, fault.Wrap(err, "order a search for mentions")
	}
	s.Nudge()
	return s.Get(ctx, scope.Tenant(t), id)
}

func (s *Store) searches(ctx context.Context, query string, args ...any) ([]Search, error) {
	var list []Search
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var x Search
		var asked, ended int64
		var whole int
		var blob []byte
		if err := scan(&x.ID, &x.Tenant, &asked, &ended, &x.Looked, &x.Found, &whole, &blob, &x.Open); err != nil {
			return err
		}
		x.Asked, x.Whole = clock.FromMicros(asked), whole == 1
		if ended > 0 {
			x.Ended = clock.FromMicros(ended)
		}
		var open terms
		err := sealed.Get(s.Vault, searchRow(x.Tenant, x.ID), blob, &open)
		if err == nil {
			x.Address, err = address.Parse(open.Address)
		}
		x.Identifiers = open.Identifiers
		list = append(list, x)
		return err
	})
	return list, err
}

// Get gives a search of the scope; NotFound if it has none.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Job) (Search, error) {
	all, own := in.Args()
	list, err := s.searches(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such search for mentions.")
	}
	if err != nil {
		return Search{}, fault.Wrap(err, "get a search for mentions")
	}
	x := list[0]
	if x.Ended.IsZero() {
		if j, err := s.Jobs.Get(ctx, in, id); err == nil {
			x.Problem = j.Problem
		}
	}
	return x, nil
}

// List gives the searches of the scope, newest first, from before (zero: from the
// newest).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Job, limit int) ([]Search, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.searches(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list searches for mentions")
}

// Places gives what a search found, after n, with the words.
func (s *Store) Places(ctx context.Context, in scope.Scope, id ids.Job, n, limit int) ([]Place, error) {
	x, err := s.Get(ctx, in, id)
	if err != nil {
		return nil, err
	}
	var list []Place
	err = s.set.Each(ctx, "places", []any{id, n, limit}, func(scan func(...any) error) error {
		p, t, blob := Place{}, ids.Tenant(0), []byte(nil)
		if err := scan(&p.Search, &p.N, &t, &p.Message, &p.Where, &p.Verdict, &blob); err != nil {
			return err
		}
		var open passage
		err := sealed.Get(s.Vault, placeRow(x.Tenant, id, p.N), blob, &open)
		p.Words, p.Left = open.Words, open.Left
		list = append(list, p)
		return err
	})
	return list, fault.Wrap(err, "read mentions")
}

// Decide says of one place what the person gets of it. left is, of a masked one, what
// is left of the words; without it the person's own name alone is.
func (s *Store) Decide(ctx context.Context, in scope.Scope, by evidence.Actor, id ids.Job, n int, v Verdict, left string) error {
	if !slices.Contains([]Verdict{Keep, Mask, LeaveOut}, v) {
		return fault.Field("verdict", "Decide to keep, to mask or to leave out (leave_out).")
	}
	left = strings.TrimSpace(left)
	if utf8.RuneCountInString(left) > 2*around+maxTerm || !utf8.ValidString(left) {
		return fault.Field("left", "What is left is not longer than the words were.")
	}
	x, err := s.Get(ctx, in, id)
	if err != nil {
		return err
	}
	list, err := s.Places(ctx, in, id, n-1, 1)
	if err == nil && (len(list) == 0 || list[0].N != n) {
		err = fault.New(fault.NotFound, "The search found no such place.")
	}
	if err != nil {
		return err
	}
	open := passage{Words: list[0].Words}
	if v == Mask {
		if open.Left = left; left == "" {
			open.Left = alone(list[0].Words, x.wanted())
		}
	}
	blob, err := sealed.Put(s.Vault, vault.Account, placeRow(x.Tenant, id, n), open)
	if err != nil {
		return err
	}
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: x.Tenant, Body: &evidence.Act{Act: "mention." + string(v), Target: id.String()}}
	err = s.DB.Change(ctx, "decide on a mention", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "rule", id, n, string(v), blob); err != nil {
			return err
		}
		return s.Stage.Stage(ctx, tx, leaf)
	})
	s.Nudge()
	return fault.Wrap(err, "decide on a mention")
}
