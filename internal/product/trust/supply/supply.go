// Package supply is the register of sub-processors and of transfers. It promises
// that every version of an entry stays on record; that nothing which gives a
// sub-processor more, or another one anything, takes effect before customers were
// told and the notice period of the policy passed, nor while an objection waits
// for its answer; and that an outside endpoint of the operator's is covered only by
// an entry in force, for a purpose that stands in it, with an agreement and, for a
// place outside, a safeguard that have not ended. Refusing to connect is done by
// keep/egress, which asks here; sending mail is left to who opens the register.
package supply

import (
	"context"
	_ "embed" // the tables
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

//go:embed supply.sql
var sql string

const (
	pkg             = "product/trust/supply"
	objectionsTable = "supply_objection"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "sub-processors", About: pledge.Staff,
		What:    "every version of the register of sub-processors with which user announced it, and which customer was told when",
		Purpose: "show customers who gets data, and refuse everybody else", For: pledge.ToNameOthers,
		Basis:   pledge.LegalDuty,
		Period:  pledge.Period{From: "never removed: older versions stay; a customer's own go with the contract"},
		Found:   "the user's id",
		Erasing: pledge.KeepByLaw,
	}, {
		Name: "objections to sub-processors", About: pledge.Staff,
		What:    "which customer objected to a change, the reason, and the operator's answer",
		Purpose: "answer them, and show that they were answered", For: pledge.ToNameOthers,
		Basis:   pledge.LegalDuty,
		Period:  pledge.Period{From: "goes with the customer's contract"},
		Found:   "the user's id",
		Erasing: pledge.KeepByLaw,
	}},
	Places: slices.Concat(
		pledge.Columns("sub-processors", false, "supply_version", "processor", "number", "tenant", "announced", "effective", "withdrawn", "removed", "author", "note", "text"),
		pledge.Columns("sub-processors", false, "supply_notice", "tenant", "processor", "number", "told", "mailed"),
		pledge.Columns("objections to sub-processors", false, objectionsTable, "id", "tenant", "processor", "number", "made", "author", "answered"),
		pledge.Columns("objections to sub-processors", true, objectionsTable, "sealed"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "the register", Category: "sub-processors"}},
	),
}

// Version is one version of an entry.
type Version struct {
	ID        ids.SubProcessor
	Number    int        // 1, 2, 3 … of this sub-processor
	Tenant    ids.Tenant // zero: it gets data of all customers; else of this one
	Announced time.Time
	Effective time.Time
	Withdrawn time.Time // zero, or when it was taken back before it took effect
	Removed   bool      // from Effective on it is no sub-processor any more
	Author    ids.User  // zero: the command line or the configuration
	Note      string
	Entry     Entry
	Open      int // objections that wait for an answer
}

// holds reports whether the version is in force at a time, or was.
func (v *Version) holds(at time.Time) bool {
	return v.Withdrawn.IsZero() && v.Open == 0 && !v.Effective.After(at)
}

// Draft is an entry that somebody wants in the register.
type Draft struct {
	ID        ids.SubProcessor // zero: a new one
	Tenant    ids.Tenant       // of a new one: zero, or the one customer whose data it gets
	Entry     Entry
	Remove    bool      // take it out; Entry is not read
	Effective time.Time // zero: as soon as it may be
	Note      string    // what the change is for, to customers
	Author    ids.User
	By        evidence.Actor
	// Unannounced puts an entry of the probes' own customer in force at once, with
	// papers that may have ended; for everybody else it is Denied.
	Unannounced bool
}

// Verdict is what a draft would change, or did.
type Verdict struct {
	Changes   []Change
	Loosens   bool
	Earliest  time.Time
	Effective time.Time
}

// Config is what the register stands on.
type Config struct {
	DB       *db.DB
	Vault    *vault.Vault
	Stage    *evidence.Stage
	Nudge    func() // something was staged
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	Policies *policy.Store
	Home     Home
	// Customers gives every customer who is to be told.
	Customers func(ctx context.Context, yield func(ids.Tenant) error) error
	// Probing reports the probes' own customer.
	Probing func(ids.Tenant) bool
	// Tell mails a customer's contacts; nil: nobody is mailed.
	Tell func(ctx context.Context, to ids.Tenant, l Letter) error
	// Listed are the entries of the configuration.
	Listed []Entry
}

// Store keeps the register and answers from memory who may be spoken to.
type Store struct {
	Config
	set   *db.Set
	log   *slog.Logger
	force force
}

// New opens the register. Entries of the configuration whose names it does not
// know are announced: with customers they wait for their notice period like any
// other. Of a known entry the configuration can only bring papers that end later.
func New(ctx context.Context, c Config) (*Store, error) {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	s := &Store{Config: c, set: c.DB.Set(pkg), log: c.Observe.For(pkg).Log}
	if err := s.refresh(ctx); err != nil {
		return nil, fault.Wrap(err, "read the register of sub-processors")
	}
	for i := range c.Listed {
		if err := s.adopt(ctx, &c.Listed[i]); err != nil {
			return nil, fault.Wrap(err, "take a sub-processor from the configuration")
		}
	}
	return s, nil
}

// adopt takes one entry of the configuration.
func (s *Store) adopt(ctx context.Context, e *Entry) error {
	by := evidence.Actor{Role: evidence.BySystem}
	known, now := s.named(e.Name), s.Clock.Now()
	d := Draft{Entry: *e, Note: "From the configuration of this server.", By: by}
	if known != 0 {
		in := s.inForce(known, now)
		if in == nil {
			return nil
		}
		renewed := in.Entry
		if renewed.Agreement.Until.End().Before(e.Agreement.Until.End()) {
			renewed.Agreement = e.Agreement
		}
		if s := e.Safeguard; renewed.Safeguard.Kind == s.Kind && renewed.Safeguard.Until.End().Before(s.Until.End()) {
			renewed.Safeguard = s
		}
		if len(diff(&in.Entry, &renewed)) == 0 {
			return nil
		}
		d.ID, d.Entry, d.Note = known, renewed, "New papers, from the configuration of this server."
	}
	_, _, err := s.Announce(ctx, d)
	if fault.Is(err, fault.Conflict) { // another process was faster, or a change is under way
		err = s.refresh(ctx)
	}
	return err
}

// maxEntries bounds the register.
const maxEntries = 500

// Judge says what a draft would change and when it could take effect, and refuses
// what cannot be announced.
func (s *Store) Judge(ctx context.Context, d Draft) (Verdict, error) {
	before, err := s.standing(&d)
	if err != nil {
		return Verdict{}, err
	}
	now := s.Clock.Now()
	v := Verdict{Changes: diff(before, &d.Entry), Earliest: now, Effective: d.Effective}
	v.Loosens = Loosens(v.Changes) && !d.Remove
	if d.Unannounced && (d.Tenant == 0 || s.Probing == nil || !s.Probing(d.Tenant)) {
		return v, fault.New(fault.Denied, "Every customer is told before a change.")
	}
	if v.Loosens && !d.Unannounced {
		if v.Earliest, err = s.earliest(ctx, d.Tenant, now); err != nil {
			return v, err
		}
	}
	switch {
	case len(v.Changes) == 0:
		return v, fault.New(fault.Conflict, "The register says this already.")
	case d.Effective.IsZero():
		v.Effective = v.Earliest
	case d.Effective.Before(v.Earliest):
		return v, fault.Field("effective", fmt.Sprintf("This may take effect on %s at the earliest: customers are told before, and the policy gives them that time to object.",
			v.Earliest.UTC().Format(time.RFC3339)))
	}
	if lacks := d.Entry.Lacks(v.Effective, s.Home); lacks != "" && !d.Remove && !d.Unannounced {
		return v, fault.Field("agreement", "It could not be used when it takes effect: "+lacks+".")
	}
	return v, nil
}

// standing checks a draft and gives the entry that it follows; the zero entry for
// a new one.
func (s *Store) standing(d *Draft) (*Entry, error) {
	if len([]rune(d.Note)) > 500 || strings.Contains(d.Note, "@") {
		return nil, fault.Field("note", "A note has at most 500 characters, and no address in it: it stays for ever.")
	}
	now := s.Clock.Now()
	before := &Entry{}
	if d.ID != 0 {
		all := s.versions(d.ID)
		if len(all) == 0 {
			return nil, fault.New(fault.NotFound, "There is no such sub-processor.")
		}
		if coming(all, now) != nil {
			return nil, fault.New(fault.Conflict, "A change of this entry is announced already; withdraw it first.")
		}
		d.Tenant = all[0].Tenant
		in := s.inForce(d.ID, now)
		switch {
		case in != nil:
			before = &in.Entry
		case d.Remove:
			return nil, fault.New(fault.Conflict, "It is no sub-processor any more.")
		}
	}
	if d.Remove {
		d.Entry = Entry{}
		return before, nil
	}
	if err := d.Entry.Check(); err != nil {
		return nil, err
	}
	if id := s.named(d.Entry.Name); id != 0 && id != d.ID && d.Tenant == 0 {
		return nil, fault.Field("name", "The register has an entry of this name; change that one.")
	}
	if d.ID == 0 && len(*s.force.live.Load()) >= maxEntries {
		return nil, fault.New(fault.Exhausted, "The register holds 500 sub-processors at most.")
	}
	return before, nil
}

// earliest is the end of the longest notice period that anybody concerned has.
func (s *Store) earliest(ctx context.Context, of ids.Tenant, now time.Time) (time.Time, error) {
	at := s.Policies.Platform(now).Document.Notice.SubProcessor.After(now)
	if of != 0 {
		return latest(at, s.Policies.For(of, now).Document.Notice.SubProcessor.After(now)), nil
	}
	anybody := false
	err := s.Customers(ctx, func(id ids.Tenant) error {
		anybody = true
		at = latest(at, s.Policies.For(id, now).Document.Notice.SubProcessor.After(now))
		return nil
	})
	if !anybody {
		at = now
	}
	return at, err
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Announce puts a draft on record and has every customer concerned told; it holds
// from its date. What was announced meanwhile by somebody else is a Conflict.
func (s *Store) Announce(ctx context.Context, d Draft) (Version, Verdict, error) {
	verdict, err := s.Judge(ctx, d)
	if err != nil {
		return Version{}, verdict, err
	}
	v := Version{
		ID: d.ID, Tenant: d.Tenant, Number: 1, Effective: verdict.Effective.UTC().Truncate(time.Microsecond), Removed: d.Remove,
		Author: d.Author, Note: strings.TrimSpace(d.Note), Entry: d.Entry,
	}
	if v.ID == 0 {
		v.ID = ids.New[ids.SubProcessor](s.IDs)
	} else {
		all := s.versions(v.ID)
		v.Tenant, v.Number = all[0].Tenant, all[len(all)-1].Number+1
	}
	if d.Remove {
		if in := s.inForce(v.ID, s.Clock.Now()); in != nil {
			v.Entry = in.Entry
		}
	}
	var told []ids.Tenant
	if !d.Unannounced {
		if told, err = s.concerned(ctx, v.Tenant); err != nil {
			return Version{}, verdict, err
		}
	}
	if err := s.add(ctx, &v, told, d.By); err != nil {
		return Version{}, verdict, fault.Wrap(err, "announce a sub-processor")
	}
	s.Nudge()
	if err := s.refresh(ctx); err != nil {
		return v, verdict, err
	}
	return v, verdict, s.objectByPolicy(ctx, &v, told)
}

func (s *Store) concerned(ctx context.Context, of ids.Tenant) (list []ids.Tenant, err error) {
	if of != 0 {
		return []ids.Tenant{of}, nil
	}
	err = s.Customers(ctx, func(id ids.Tenant) error { list = append(list, id); return nil })
	return list, err
}

// add writes a version, the notices of it and the act.
func (s *Store) add(ctx context.Context, v *Version, told []ids.Tenant, by evidence.Actor) error {
	text, err := json.Marshal(v.Entry)
	if err != nil {
		return fault.Wrap(err, "write an entry")
	}
	act, removed := "subprocessor.announce", 0
	if v.Removed {
		act, removed = "subprocessor.remove", 1
	}
	return s.DB.Change(ctx, act, func(tx *db.Tx) error {
		v.Announced = tx.Now()
		n, err := tx.Do(ctx, s.set, "add", v.ID, v.Number, v.Tenant, v.Announced, v.Effective, removed, v.Author, v.Note, string(text))
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Somebody announced another version meanwhile.")
		}
		for i := 0; err == nil && i < len(told); i++ {
			_, err = tx.Do(ctx, s.set, "tell", told[i], v.ID, v.Number, v.Announced)
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, v.Tenant, act, v.ID.String(), by)
	})
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, of ids.Tenant, act, target string, by evidence.Actor) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: of, Body: &evidence.Act{Act: act, Target: target},
	})
}

// Withdraw takes back what was announced and has not taken effect; it stays on
// record. Conflict where nothing is coming.
func (s *Store) Withdraw(ctx context.Context, id ids.SubProcessor, by evidence.Actor) (Version, error) {
	v := coming(s.versions(id), s.Clock.Now())
	if v == nil {
		return Version{}, fault.New(fault.Conflict, "Nothing is announced that has not taken effect.")
	}
	out := *v
	err := s.DB.Change(ctx, "withdraw a sub-processor", func(tx *db.Tx) error {
		out.Withdrawn = tx.Now()
		n, err := tx.Do(ctx, s.set, "withdraw", id, v.Number, out.Withdrawn)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "It was withdrawn already.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, v.Tenant, "subprocessor.withdraw", id.String(), by)
	})
	if err == nil {
		s.Nudge()
		err = s.refresh(ctx)
	}
	return out, fault.Wrap(err, "withdraw a sub-processor")
}

// Drop removes what a customer alone has here, at the contract's end.
func (s *Store) Drop(ctx context.Context, of ids.Tenant) error {
	if of == 0 {
		return fault.New(fault.Conflict, "The register stays on record.")
	}
	err := s.DB.Change(ctx, "drop a customer's sub-processors", func(tx *db.Tx) error {
		for _, q := range []string{"drop_objections", "drop_notices", "drop_versions"} {
			if _, err := tx.Do(ctx, s.set, q, of); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.refresh(ctx)
	}
	return fault.Wrap(err, "drop a customer's sub-processors")
}
