// Package finding is the register of weaknesses: what a test, an audit, a report
// or a scan found, how bad it is, who mends it and by when. It promises that each
// has the deadline that the policy in force gives its severity, also when the
// policy changes; that it moves only along the table of states, each move in the
// evidence log; that what is found again is not entered twice; and that those past
// their deadline are named. Finding weaknesses is left to people and to scans.
package finding

import (
	"context"
	_ "embed" // the table
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

//go:embed finding.sql
var sql string

const pkg = "product/trust/finding"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "register of findings", About: pledge.Nobody,
		What:    "weaknesses that tests, audits, reports and scans found, how bad they are, who mends them and since when they are mended",
		Purpose: "mend them in time", For: pledge.ToSecure, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: slices.Concat(
		pledge.Columns("register of findings", false, "weakness", "id", "tenant", "source", "severity", "state", "owner", "found", "moved", "marker"),
		pledge.Columns("register of findings", true, "weakness", "sealed"),
	),
}

// Source says who or what found a weakness.
type Source string

// The sources.
const (
	Test          Source = "test"   // somebody tried to break in
	Audit         Source = "audit"  // an audit
	Report        Source = "report" // somebody told us
	Scan          Source = "scan"   // a scan of code or servers
	Vulnerability Source = "vulnerability"
)

// Severity says how bad it is; the policy's findings name the same four.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// State says where a weakness stands.
type State string

// The states.
const (
	Open      State = "open"
	Mending   State = "mending"   // somebody is at it
	Mended    State = "mended"    // it is gone
	Dismissed State = "dismissed" // it is none, or does not concern this server; with a reason
)

// moves is the table: what is not in it is refused.
var moves = map[State][]State{
	Open:      {Mending, Mended, Dismissed},
	Mending:   {Open, Mended, Dismissed},
	Mended:    {Open},
	Dismissed: {Open},
}

// Pending reports whether it is still to be mended.
func (s State) Pending() bool { return s == Open || s == Mending }

// Weakness is one entry.
type Weakness struct {
	ID       ids.Weakness
	Tenant   ids.Tenant
	Source   Source
	Severity Severity
	State    State
	Owner    ids.User // who mends it; zero: nobody yet
	Found    time.Time
	Moved    time.Time
	Marker   string
	Title    string
	Detail   string
	Reason   string // why it was dismissed, or how it was mended
	Due      time.Time
}

// Overdue reports whether it is past its deadline and not mended.
func (w Weakness) Overdue(now time.Time) bool { return w.State.Pending() && now.After(w.Due) }

type secret struct {
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Config is what the register stands on.
type Config struct {
	DB    *db.DB
	Vault *vault.Vault
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
	Clock clock.Clock
	// Due gives the end of a severity's time in the policy in force; false where
	// the policy gives none, and the time that the house gives holds.
	Due func(of Severity, found time.Time) (time.Time, bool)
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

// house is what a severity has where the policy says nothing.
var house = map[Severity]time.Duration{Critical: 7 * 24 * time.Hour, High: 30 * 24 * time.Hour, Medium: 90 * 24 * time.Hour, Low: 180 * 24 * time.Hour}

func (s *Store) due(w *Weakness) {
	if s.Due != nil {
		if at, said := s.Due(w.Severity, w.Found); said {
			w.Due = at
			return
		}
	}
	w.Due = w.Found.Add(house[w.Severity])
}

const maxTitle, maxDetail, maxMarker = 200, 4000, 300

func (w *Weakness) check(now time.Time) error {
	w.Title, w.Detail = strings.TrimSpace(w.Title), strings.TrimSpace(w.Detail)
	switch {
	case !slices.Contains([]Source{Test, Audit, Report, Scan, Vulnerability}, w.Source):
		return fault.Field("source", "A finding comes from a test, an audit, a report, a scan or a vulnerability.")
	case house[w.Severity] == 0:
		return fault.Field("severity", "The severity is critical, high, medium or low.")
	case w.Title == "" || len(w.Title) > maxTitle || !utf8.ValidString(w.Title):
		return fault.Field("title", "Say what was found, in at most 200 characters.")
	case len(w.Detail) > maxDetail || !utf8.ValidString(w.Detail):
		return fault.Field("detail", "The detail has at most 4,000 characters.")
	case len(w.Marker) > maxMarker:
		return fault.Field("marker", "The marker is too long.")
	case w.Found.After(now):
		return fault.Field("found_at", "It cannot have been found in the future.")
	}
	return nil
}

// Add enters a weakness. Its clock runs from the day it was found.
func (s *Store) Add(ctx context.Context, w Weakness, by evidence.Actor) (Weakness, error) {
	now := s.Clock.Now().UTC().Truncate(time.Microsecond)
	if w.Found.IsZero() {
		w.Found = now
	}
	if err := w.check(now); err != nil {
		return Weakness{}, err
	}
	w.ID, w.State, w.Moved, w.Reason = ids.New[ids.Weakness](s.IDs), Open, now, ""
	blob, err := sealed.Put(s.Vault, vault.Account, row(w), secret{w.Title, w.Detail, ""})
	if err != nil {
		return Weakness{}, err
	}
	err = s.DB.Change(ctx, "enter a finding", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "add", w.ID, w.Tenant, string(w.Source), string(w.Severity), w.Owner, clock.Micros(w.Found), clock.Micros(now), w.Marker, blob); err != nil {
			return err
		}
		return s.stage(ctx, tx, w.ID, "finding.add", by)
	})
	s.Nudge()
	s.due(&w)
	return w, fault.Wrap(err, "enter a finding")
}

// Raise enters a weakness that a scan found, once: while its marker stands in the
// register, whatever became of it, it is not entered again. A mended one that is
// found again is open again. It reports whether anything changed.
func (s *Store) Raise(ctx context.Context, w Weakness) (Weakness, bool, error) {
	if w.Marker == "" {
		return Weakness{}, false, fault.Field("marker", "What a scan finds needs a marker.")
	}
	all, own := scope.Tenant(w.Tenant).Args()
	list, err := s.read(ctx, "marked", all, own, w.Marker)
	system := evidence.Actor{Role: evidence.BySystem}
	switch {
	case err != nil:
		return Weakness{}, false, err
	case len(list) == 0:
		w, err = s.Add(ctx, w, system)
		return w, err == nil, err
	case list[0].State == Mended:
		w, err = s.Move(ctx, scope.Tenant(w.Tenant), list[0].ID, Move{To: Open, Owner: list[0].Owner, Reason: "It was found again."}, system)
		return w, err == nil, err
	}
	return list[0], false, nil
}

func row(w Weakness) sealed.Row {
	return sealed.Row{Tenant: w.Tenant, Table: "weakness", ID: int64(w.ID)}
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, id ids.Weakness, act string, by evidence.Actor) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by,
		Body: &evidence.Act{Act: act, Target: id.String()},
	})
}

// Move is what becomes of a weakness.
type Move struct {
	To     State
	Owner  ids.User // who mends it, for Mending
	Reason string   // how it was mended, or why it is none
}

// Move changes a state. Who mends it is named; what was mended or dismissed says
// how or why.
func (s *Store) Move(ctx context.Context, in scope.Scope, id ids.Weakness, m Move, by evidence.Actor) (Weakness, error) {
	w, err := s.Get(ctx, in, id)
	if err != nil {
		return Weakness{}, err
	}
	m.Reason = strings.TrimSpace(m.Reason)
	switch {
	case !slices.Contains(moves[w.State], m.To):
		return Weakness{}, fault.New(fault.Conflict, "What is "+string(w.State)+" cannot become "+string(m.To)+".")
	case m.To == Mending && m.Owner == 0:
		return Weakness{}, fault.Field("owner", "Say who mends it.")
	case !m.To.Pending() && m.Reason == "":
		return Weakness{}, fault.Field("reason", "Say how it was mended, or why it is none.")
	case len(m.Reason) > maxDetail || !utf8.ValidString(m.Reason):
		return Weakness{}, fault.Field("reason", "The reason has at most 4,000 characters.")
	}
	was := w.State
	w.State, w.Reason, w.Moved = m.To, m.Reason, s.Clock.Now().UTC().Truncate(time.Microsecond)
	if m.Owner != 0 {
		w.Owner = m.Owner
	}
	blob, err := sealed.Put(s.Vault, vault.Account, row(w), secret{w.Title, w.Detail, w.Reason})
	if err != nil {
		return Weakness{}, err
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, "move a finding", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "move", all, own, id, string(was), string(w.State), w.Owner, clock.Micros(w.Moved), blob)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Somebody else changed this finding meanwhile; look again.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, id, "finding."+string(m.To), by)
	})
	s.Nudge()
	return w, fault.Wrap(err, "move a finding")
}

// Get gives a weakness of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Weakness) (Weakness, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such finding.")
	}
	if err != nil {
		return Weakness{}, fault.Wrap(err, "get a finding")
	}
	return list[0], nil
}

// List gives the scope's findings, newest first, from before (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Weakness, limit int) ([]Weakness, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list findings")
}

// Pending gives the scope's findings that are still to be mended.
func (s *Store) Pending(ctx context.Context, in scope.Scope) ([]Weakness, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "pending", all, own)
	return list, fault.Wrap(err, "list findings that are not mended")
}

// Overdue gives the scope's findings that are past their deadline.
func (s *Store) Overdue(ctx context.Context, in scope.Scope) ([]Weakness, error) {
	list, err := s.Pending(ctx, in)
	now := s.Clock.Now()
	return slices.DeleteFunc(list, func(w Weakness) bool { return !w.Overdue(now) }), err
}

// Drop removes what a probe entered for a customer of its own.
func (s *Store) Drop(ctx context.Context, in scope.Scope, id ids.Weakness) error {
	all, own := in.Args()
	return fault.Wrap(s.DB.Change(ctx, "drop a finding", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "drop", all, own, id)
		return err
	}), "drop a finding")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Weakness, error) {
	var list []Weakness
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var w Weakness
		var found, moved int64
		var blob []byte
		if err := scan(&w.ID, &w.Tenant, &w.Source, &w.Severity, &w.State, &w.Owner, &found, &moved, &w.Marker, &blob); err != nil {
			return err
		}
		w.Found, w.Moved = clock.FromMicros(found), clock.FromMicros(moved)
		var x secret
		if err := sealed.Get(s.Vault, row(w), blob, &x); err != nil {
			return err
		}
		w.Title, w.Detail, w.Reason = x.Title, x.Detail, x.Reason
		s.due(&w)
		list = append(list, w)
		return nil
	})
	return list, err
}
