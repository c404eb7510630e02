// Package suppress keeps the addresses that nothing is sent to: those that do not
// exist, those whose owner complained or asked to be left alone. It promises an
// answer for a whole parcel by one query, at the moment of sending; that an
// address is sealed and found by a keyed hash only; and that a person who was
// erased is still not written to, though only the hash is left of them. Deciding
// that an address is dead is left to others.
package suppress

import (
	"context"
	_ "embed" // the table
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

//go:embed suppress.sql
var sql string

const (
	pkg   = "flow/suppress"
	table = "suppression"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "suppressions", About: pledge.Correspondent,
		What:    "addresses that nothing is sent to, and why",
		Purpose: "write to nobody who is not there or who asked to be left alone", For: pledge.ToSuppress,
		Basis:   pledge.LegitimateInterest,
		Period:  pledge.Period{From: "its end, where it has one; else until it is lifted"},
		Found:   "keyed hash of the address",
		Erasing: pledge.Anonymise,
		Source:  "a refusal by the receiving host, the customer, or the person",
	}},
	Places: slices.Concat(
		pledge.Columns("suppressions", false, table, "id", "tenant", "hash", "reason", "source", "until", "created"),
		pledge.Columns("suppressions", true, table, "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "filter of suppressed hashes", Category: "suppressions"}},
	),
}

// Reason says why nothing is sent.
type Reason string

// The closed list of reasons.
const (
	HardBounce  Reason = "hard_bounce" // the next host said that the mailbox does not exist
	Complaint   Reason = "complaint"
	Unsubscribe Reason = "unsubscribe"
	Manual      Reason = "manual"
	Restricted  Reason = "restricted" // the person asked for it, GDPR Art. 18
	Erased      Reason = "erased"     // the person was erased and is not to be written to again
)

// ofPerson reports whether the person asked for it, so that a law demands it
// whatever the customer instructs (GDPR Art. 18, 21).
func (r Reason) ofPerson() bool {
	return r == Complaint || r == Unsubscribe || r == Restricted || r == Erased
}

// Source says who put an address here.
type Source string

// The closed list of sources.
const (
	FromDelivery Source = "delivery"
	FromAPI      Source = "api"
	FromReport   Source = "report"
	FromSubject  Source = "subject"
)

// Global is the tenant of those that hold for every customer.
const Global ids.Tenant = 0

// Suppression is one address that nothing is sent to.
type Suppression struct {
	ID      ids.Suppression
	Tenant  ids.Tenant      // Global: every customer's
	Address address.Address // null where only the hash is left
	Reason  Reason
	Source  Source
	Note    string    // a host's answer, or a person's words
	Until   time.Time // zero: for good
	Created time.Time
}

// Store keeps suppressions.
type Store struct {
	db    *db.DB
	set   *db.Set
	add   *db.Bulk
	vault *vault.Vault
	ids   *ids.Source
	clock clock.Clock
	seen  *filter // nil where others write the database too
	// Purposes says for whom the list is kept; set before use. What a person asked
	// for themselves is honoured for everybody.
	Purposes pledge.Instructions
}

// New makes a store over a database that was opened with Schema. Make one per
// process: it keeps in memory what is not in the table.
func New(ctx context.Context, d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock) (*Store, error) {
	set := d.Set(pkg)
	seen, err := newFilter(ctx, d, set)
	return &Store{db: d, set: set, add: set.Bulk("add"), vault: v, ids: source, clock: c, seen: seen}, err
}

var _ queue.Gate = (*Store)(nil)

// hash is made with the platform's key: a person who asks to be erased is found
// at every customer by one look-up.
func (s *Store) hash(a address.Address) ([16]byte, error) {
	h, err := s.vault.Hash(0, "address", a.Canonical())
	return h, fault.Wrap(err, "hash an address")
}

// Refused implements queue.Gate: for each recipient why nothing may be sent to
// it, or "". It asks the database once, or not at all where none of them was ever
// suppressed.
func (s *Store) Refused(ctx context.Context, tenant ids.Tenant, recipients []address.Address) ([]string, error) {
	why := make([]string, len(recipients))
	hashes := make([][16]byte, len(recipients))
	var hexes []string
	for i, a := range recipients {
		h, err := s.hash(a)
		if err != nil {
			return nil, err
		}
		if hashes[i] = h; s.seen.maybe(h) {
			hexes = append(hexes, hex.EncodeToString(h[:]))
		}
	}
	if len(hexes) == 0 {
		return why, nil
	}
	list, err := json.Marshal(hexes)
	if err != nil {
		return nil, fault.Wrap(err, "write a list of hashes")
	}
	runs := pledge.Runs(s.Purposes, tenant, pledge.ToSuppress)
	err = s.set.Each(ctx, "check", []any{tenant, string(list), s.clock.Now()}, func(scan func(...any) error) error {
		var hash []byte
		var reason Reason
		if err := scan(&hash, &reason); err != nil {
			return err
		}
		if !reason.ofPerson() && !runs {
			return nil
		}
		for i := range hashes {
			if string(hashes[i][:]) == string(hash) {
				why[i] = sentence(reason)
			}
		}
		return nil
	})
	return why, fault.Wrap(err, "check suppressions")
}

func sentence(r Reason) string {
	switch r {
	case HardBounce:
		return "the address does not exist: an earlier message was refused for good"
	case Complaint:
		return "its owner reported an earlier message as unwanted"
	case Unsubscribe:
		return "its owner unsubscribed"
	case Restricted:
		return "its owner restricted the processing of their data"
	case Erased:
		return "its owner asked to be erased"
	case Manual:
	}
	return "it is on the suppression list"
}

type secret struct {
	Address string `json:"address"`
	Note    string `json:"note,omitempty"`
}

func row(tenant ids.Tenant, id ids.Suppression) sealed.Row {
	return sealed.Row{Tenant: tenant, Table: table, ID: int64(id)}
}

const maxNote = 1000

func clip(s string) string {
	if len(s) <= maxNote {
		return s
	}
	s = s[:maxNote]
	for !utf8.ValidString(s) && len(s) > 0 {
		s = s[:len(s)-1]
	}
	return s
}

// Bounced implements queue.Gate: it adds to a unit a suppression of a recipient
// that does not exist. One that is there already stays as it is.
func (s *Store) Bounced(u *db.Unit, tenant ids.Tenant, recipient address.Address, why string) error {
	if !pledge.Runs(s.Purposes, tenant, pledge.ToSuppress) {
		return nil
	}
	return s.AddTo(u, Suppression{Tenant: tenant, Address: recipient, Reason: HardBounce, Source: FromDelivery, Note: why})
}

// AddTo adds a suppression to a unit of work.
func (s *Store) AddTo(u *db.Unit, n Suppression) error {
	values, err := s.row(&n, s.clock.Now())
	if err != nil {
		return err
	}
	u.Adds = append(u.Adds, db.Add{By: s.add, Row: values})
	return nil
}

// row gives the values of a row in the order of its columns.
func (s *Store) row(n *Suppression, now time.Time) ([]any, error) {
	if n.Address.IsNull() {
		return nil, fault.Field("address", "The null address cannot be suppressed.")
	}
	hash, err := s.hash(n.Address)
	if err != nil {
		return nil, err
	}
	s.seen.add(hash)
	n.ID, n.Created, n.Note = ids.New[ids.Suppression](s.ids), now, clip(n.Note)
	var blob []byte
	if n.Reason != Erased {
		blob, err = sealed.Put(s.vault, classOf(n.Tenant), row(n.Tenant, n.ID), secret{n.Address.Text(), n.Note})
	}
	until := int64(0)
	if !n.Until.IsZero() {
		until = clock.Micros(n.Until)
	}
	return []any{int64(n.ID), int64(n.Tenant), hash[:], string(n.Reason), string(n.Source), until, blob, clock.Micros(n.Created)}, err
}

func classOf(tenant ids.Tenant) vault.Class {
	if tenant == Global {
		return vault.Platform
	}
	return vault.Account
}

// Add makes a suppression. One of the same address and reason gets the new end
// and keeps its id.
func (s *Store) Add(ctx context.Context, n Suppression) (Suppression, error) {
	if !slices.Contains([]Reason{HardBounce, Complaint, Unsubscribe, Manual, Restricted, Erased}, n.Reason) {
		return Suppression{}, fault.Field("reason", "The reason is manual, unsubscribe, complaint or hard_bounce.")
	}
	if !n.Until.IsZero() && !n.Until.After(s.clock.Now()) {
		return Suppression{}, fault.Field("until", "The suppression would be over from the start.")
	}
	if !n.Reason.ofPerson() {
		if err := pledge.Refusal(s.Purposes, n.Tenant, pledge.ToSuppress); err != nil {
			return Suppression{}, err
		}
	}
	err := s.db.Change(ctx, "add a suppression", func(tx *db.Tx) error {
		values, err := s.row(&n, tx.Now())
		if err != nil {
			return err
		}
		return tx.One(ctx, s.set, "put", values, &n.ID)
	})
	return n, fault.Wrap(err, "add a suppression")
}

// Get gives one suppression of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Suppression) (Suppression, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such suppression.")
	}
	if err != nil {
		return Suppression{}, fault.Wrap(err, "get a suppression")
	}
	return list[0], nil
}

// List gives the scope's suppressions, newest first, from before; with an
// address only those of that address. Those of erased persons are not listed.
func (s *Store) List(ctx context.Context, in scope.Scope, of address.Address, before ids.Suppression, limit int) ([]Suppression, error) {
	all, own := in.Args()
	if of.IsNull() {
		if before == 0 {
			before = 1<<63 - 1
		}
		list, err := s.read(ctx, "list", all, own, before, limit)
		return list, fault.Wrap(err, "list suppressions")
	}
	list, err := s.of(ctx, in, of)
	return slices.DeleteFunc(list, func(n Suppression) bool { return n.Reason == Erased }), err
}

func (s *Store) of(ctx context.Context, in scope.Scope, a address.Address) ([]Suppression, error) {
	hash, err := s.hash(a)
	if err != nil {
		return nil, err
	}
	all, own := in.Args()
	list, err := s.read(ctx, "of_address", all, own, hash)
	return list, fault.Wrap(err, "find an address's suppressions")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Suppression, error) {
	var list []Suppression
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var n Suppression
		var until int64
		var blob []byte
		if err := scan(&n.ID, &n.Tenant, &n.Reason, &n.Source, &until, &blob, &n.Created); err != nil {
			return err
		}
		if until != 0 {
			n.Until = clock.FromMicros(until)
		}
		if blob != nil {
			if err := s.unseal(&n, blob); err != nil {
				return err
			}
		}
		list = append(list, n)
		return nil
	})
	return list, err
}

func (s *Store) unseal(n *Suppression, blob []byte) error {
	var open secret
	if err := sealed.Get(s.vault, row(n.Tenant, n.ID), blob, &open); err != nil {
		return err
	}
	a, err := address.Parse(open.Address)
	n.Address, n.Note = a, open.Note
	return fault.Wrap(err, "read a suppressed address")
}

// Halted reports whether a person had the processing of their data stopped, at a
// customer or everywhere (GDPR Art. 7(3), 18, 21).
func (s *Store) Halted(ctx context.Context, tenant ids.Tenant, a address.Address) (bool, error) {
	for _, of := range []ids.Tenant{tenant, Global} {
		list, err := s.of(ctx, scope.Tenant(of), a)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(list, func(n Suppression) bool { return n.Reason == Restricted }) {
			return true, nil
		}
	}
	return false, nil
}

// Remove lifts a suppression of the scope. What a person asked for stays:
// NotFound, as for one that is not there.
func (s *Store) Remove(ctx context.Context, in scope.Scope, id ids.Suppression) error {
	all, own := in.Args()
	return fault.Wrap(s.db.Change(ctx, "lift a suppression", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "remove", all, own, id)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "There is no such suppression, or it is not yours to lift.")
		}
		return err
	}), "lift a suppression")
}

// Purge removes those whose time is over; retention calls it.
func (s *Store) Purge(ctx context.Context) (int, error) {
	var n int64
	err := s.db.Change(ctx, "purge suppressions", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "purge", tx.Now())
		return err
	})
	return int(n), fault.Wrap(err, "purge suppressions")
}
