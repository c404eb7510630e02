// Package hold keeps what a dispute, a claim or a duty of law needs beyond its
// period. It promises that what is held is copied under the hold's own key before
// retention, an erasure or a deletion takes it from its store; that it keeps
// exactly the records of the held person, message or customer; that nothing reads
// the copies but who looks into the hold, which is on record; and that a released
// hold is unreadable at once and its rows go at the next pass. Everything else
// keeps its period: no store knows of holds. How records are found and read is
// known by the store that Source stands for; who may hold is decided by the doors.
package hold

import (
	"context"
	"crypto/rand"
	_ "embed" // the tables
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

//go:embed hold.sql
var sql string

const (
	pkg   = "protect/hold"
	table = "hold"
)

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Kind says what is held.
type Kind string

// The kinds of hold.
const (
	Person   Kind = "person"   // all records that name an address
	Message  Kind = "message"  // the records of one message
	Customer Kind = "customer" // all records of the customer
)

// Ground is why something may outlive its period.
type Ground string

// The closed list of grounds: GDPR Art. 17(3)(b) and (e), 18(1)(c).
const (
	Claim     Ground = "claim"      // to establish, exercise or defend a legal claim
	Dispute   Ground = "dispute"    // somebody disputes what happened
	LegalDuty Ground = "legal_duty" // a law demands that it is kept
	Authority Ground = "authority"  // an authority ordered that it is kept
)

// Hold is one hold. Case, Address, Message and Note are gone once it is released.
type Hold struct {
	ID       ids.Hold
	Tenant   ids.Tenant
	Kind     Kind
	Address  address.Address // of a Person
	Message  ids.Message     // of a Message
	Case     string          // joins several holds
	Ground   Ground
	Note     string
	Owner    ids.User  // who answers for it; zero: the operator
	Review   time.Time // by when somebody must look at it again
	Created  time.Time
	Released time.Time // zero while it holds

	key      []byte
	outlives bool // the customer's keys are gone, or about to go
}

// Overdue reports whether nobody has reviewed it by its date.
func (h Hold) Overdue(now time.Time) bool { return h.Released.IsZero() && h.Review.Before(now) }

// secret is what a hold says of persons.
type secret struct {
	Address string      `json:"address,omitempty"`
	Message ids.Message `json:"message,omitzero"`
	Case    string      `json:"case,omitempty"`
	Note    string      `json:"note,omitempty"`
}

// Config is what holds stand on.
type Config struct {
	Source  Source
	DB      *db.DB
	Vault   *vault.Vault
	Stage   *evidence.Stage
	Nudge   func() // something was staged
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
}

// Store keeps holds.
type Store struct {
	Config
	set *db.Set
	log *slog.Logger
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Store{Config: c, set: c.DB.Set(pkg), log: c.Observe.For(pkg).Log}
}

// maxText bounds a case's name and a note in bytes; maxReview is how far off a
// review may be.
const (
	maxText   = 1000
	maxReview = 366 * 24 * time.Hour
)

func (s *Store) check(h *Hold) error {
	switch {
	case h.Tenant == 0:
		return fault.Field("customer", "Say whose data is held: a customer.")
	case !slices.Contains([]Ground{Claim, Dispute, LegalDuty, Authority}, h.Ground):
		return fault.Field("ground", "The ground is claim, dispute, legal_duty or authority.")
	case len(h.Case) > maxText || !utf8.ValidString(h.Case):
		return fault.Field("case", "The name of the case is too long.")
	case len(h.Note) > maxText || !utf8.ValidString(h.Note):
		return fault.Field("note", "The note is too long.")
	}
	switch h.Kind {
	case Person:
		if h.Address.IsNull() || h.Message != 0 {
			return fault.Field("address", "Say who is held: an e-mail address and nothing else.")
		}
	case Message:
		if h.Message == 0 || !h.Address.IsNull() {
			return fault.Field("message", "Say which message is held, and nothing else.")
		}
	case Customer:
		if h.Message != 0 || !h.Address.IsNull() {
			return fault.Field("kind", "A hold on a customer names neither a person nor a message.")
		}
	default:
		return fault.Field("kind", "What is held is a person, a message or a customer.")
	}
	return s.checkReview(h.Review)
}

func (s *Store) checkReview(at time.Time) error {
	now := s.Clock.Now()
	if !at.After(now) || at.After(now.Add(maxReview)) {
		return fault.Field("review", "Give the date of the next review: in the future, and within a year.")
	}
	return nil
}

// Add makes a hold and copies what it holds. A crash in between leaves the copies
// to the next pass, which comes before anything is purged.
func (s *Store) Add(ctx context.Context, h Hold, by evidence.Actor) (Hold, error) {
	if err := s.check(&h); err != nil {
		return Hold{}, err
	}
	h.ID, h.Created, h.Released = ids.New[ids.Hold](s.IDs), s.Clock.Now().UTC().Truncate(time.Microsecond), time.Time{}
	key, wrapped, err := s.Vault.NewKey(h.Tenant, vault.Hold, keyAD(h.ID))
	if err != nil {
		return Hold{}, fault.Wrap(err, "make a hold's key")
	}
	h.key = wrapped
	plain, err := json.Marshal(secret{h.Address.Text(), h.Message, h.Case, h.Note})
	if err != nil {
		return Hold{}, fault.Wrap(err, "write a hold")
	}
	sealed := seal(key, plain, bound(h.ID, "hold", int64(h.ID)))
	err = s.DB.Change(ctx, "add a hold", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "add", h.ID, h.Tenant, string(h.Kind), string(h.Ground), h.Owner, clock.Micros(h.Review), clock.Micros(h.Created), wrapped, sealed)
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, &h, "hold.add", by)
	})
	if err != nil {
		return Hold{}, fault.Wrap(err, "add a hold")
	}
	s.Nudge()
	return h, s.preserve(ctx, &h)
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, h *Hold, act string, by evidence.Actor) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: h.Tenant,
		Body: &evidence.Act{Act: act, Target: h.ID.String()},
	})
}

// Get gives a hold of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Hold) (Hold, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such hold.")
	}
	if err != nil {
		return Hold{}, fault.Wrap(err, "get a hold")
	}
	return list[0], nil
}

// List gives the scope's holds, newest first, from before (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Hold, limit int) ([]Hold, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list holds")
}

// Overdue gives the scope's holds that nobody reviewed by their date.
func (s *Store) Overdue(ctx context.Context, in scope.Scope) ([]Hold, error) {
	list, err := s.holding(ctx, in)
	now := s.Clock.Now()
	return slices.DeleteFunc(list, func(h Hold) bool { return !h.Overdue(now) }), err
}

func (s *Store) holding(ctx context.Context, in scope.Scope) ([]Hold, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "holding", all, own)
	return list, fault.Wrap(err, "list holds that are not released")
}

// Review says that a hold is still needed, until the next date.
func (s *Store) Review(ctx context.Context, in scope.Scope, id ids.Hold, next time.Time, by evidence.Actor) (Hold, error) {
	if err := s.checkReview(next); err != nil {
		return Hold{}, err
	}
	return s.change(ctx, in, id, "review", next, "hold.review", by)
}

// Release ends a hold: its key and what it says of persons go at once, so that
// its copies cannot be opened, and the copies' rows at the next Sweep. What is
// still in its own store there keeps its own period.
func (s *Store) Release(ctx context.Context, in scope.Scope, id ids.Hold, by evidence.Actor) (Hold, error) {
	return s.change(ctx, in, id, "release", s.Clock.Now(), "hold.release", by)
}

func (s *Store) change(ctx context.Context, in scope.Scope, id ids.Hold, query string, at time.Time, act string, by evidence.Actor) (Hold, error) {
	h, err := s.Get(ctx, in, id)
	if err != nil {
		return Hold{}, err
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, act, func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, query, all, own, id, clock.Micros(at))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "This hold is released; make a new one.")
		}
		return s.stage(ctx, tx, &h, act, by)
	})
	if err != nil {
		return Hold{}, fault.Wrap(err, "change a hold")
	}
	s.Nudge()
	return s.Get(ctx, in, id)
}

// read gives holds with what their keys open. One whose key is gone, because data
// from before its release was restored, is shown as it is, and keeps nothing.
func (s *Store) read(ctx context.Context, query string, args ...any) ([]Hold, error) {
	var list []Hold
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var h Hold
		var review, created, released int64
		var sealed []byte
		var outlives int
		if err := scan(&h.ID, &h.Tenant, &h.Kind, &h.Ground, &h.Owner, &review, &created, &released, &h.key, &sealed, &outlives); err != nil {
			return err
		}
		h.outlives = outlives == 1
		h.Review, h.Created = clock.FromMicros(review), clock.FromMicros(created)
		if released != 0 {
			h.Released = clock.FromMicros(released)
		}
		if err := s.unseal(&h, sealed); err != nil && !fault.Is(err, fault.Gone) {
			return err
		}
		list = append(list, h)
		return nil
	})
	return list, err
}

func (s *Store) unseal(h *Hold, sealed []byte) error {
	if len(h.key) == 0 {
		return nil
	}
	key, err := s.keyOf(h)
	if err != nil {
		return err
	}
	plain, err := open(key, sealed, bound(h.ID, "hold", int64(h.ID)))
	if err != nil {
		return err
	}
	var x secret
	if err := json.Unmarshal(plain, &x); err != nil {
		return fault.Wrap(err, "read a hold")
	}
	h.Message, h.Case, h.Note = x.Message, x.Case, x.Note
	if x.Address != "" {
		h.Address, err = address.Parse(x.Address)
	}
	return err
}

// keeper is under whose keys the hold's key is wrapped: its customer's, or the
// platform's once the customer's contract is over.
func (h *Hold) keeper() ids.Tenant {
	if h.outlives {
		return 0
	}
	return h.Tenant
}

func keyAD(id ids.Hold) vault.AD { return vault.AD{Table: table, Row: int64(id)} }

func (s *Store) keyOf(h *Hold) (vault.Key, error) {
	key, err := s.Vault.Unwrap(h.keeper(), keyAD(h.ID), h.key)
	return key, fault.Wrap(err, "open a hold's key")
}

// bound is what a sealed value of a hold is tied to: the hold, the sort of record
// and its name.
func bound(id ids.Hold, category string, row int64) []byte {
	return fmt.Appendf(nil, "mailvow hold v1\x00%d\x00%s\x00%d", int64(id), category, row)
}

func seal(k vault.Key, plain, ad []byte) []byte {
	var nonce [12]byte
	rand.Read(nonce[:])
	return k.Seal(nonce[:], nonce, plain, ad)
}

func open(k vault.Key, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return nil, fault.New(fault.Internal, "a sealed value of a hold is cut short")
	}
	plain, err := k.Open(nil, [12]byte(sealed[:12]), sealed[12:], ad)
	return plain, fault.Wrap(err, "open a value of a hold")
}

var _ pledge.Holder = (*Store)(nil)
