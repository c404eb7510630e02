package policy

import (
	"context"
	_ "embed" // the table
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

//go:embed policy.sql
var sql string

const pkg = "protect/policy"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "policies", About: pledge.Staff,
		What:    "every version of the privacy policy, and which user published it",
		Purpose: "obey it, and show what was promised when", For: pledge.ToAccount,
		Basis:   pledge.LegalDuty,
		Period:  pledge.Period{From: "never removed: older versions stay public; a customer's own goes with the contract"},
		Found:   "the user's id",
		Erasing: pledge.KeepByLaw,
	}},
	Places: append(pledge.Columns("policies", false, "policy_version", "tenant", "number", "effective", "published", "withdrawn", "author", "note", "text"),
		pledge.Place{Kind: pledge.Memory, Name: "policies in force", Category: "policies"}),
}

// Version is one text with its number and its date.
type Version struct {
	Tenant    ids.Tenant // tenant.Platform, or the customer whose it is
	Number    int        // 1, 2, 3 … of this tenant
	Effective time.Time
	Published time.Time
	Withdrawn time.Time // zero, or when it was taken back before it took effect
	Author    ids.User  // zero: the server's first start
	Note      string
	Text      string
}

// Draft is a text that somebody wants to put in force.
type Draft struct {
	Tenant    ids.Tenant
	Text      string
	Effective time.Time // zero: as soon as it may be
	Note      string    // what the change is for, to people
	Author    ids.User
	Role      evidence.Role
}

// Verdict is what publishing a draft would do, or did.
type Verdict struct {
	Changes   []Change
	Effective time.Time // when it would take effect
	Earliest  time.Time // when it may at the earliest: a notice period lies before what loosens
}

// Config is what the store stands on.
type Config struct {
	DB      *db.DB
	Stage   *evidence.Stage
	Nudge   func() // something was staged
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	// Profile is the platform's first policy, where there is none yet; empty: the
	// recommended one.
	Profile string
	Known   Known
	// Audience reports whether there is a customer who would have to be told of a
	// change; nil: there is. Without one no notice period passes.
	Audience func(context.Context) (bool, error)
	// Refuse says why the server could not obey a text, or nil; nil: it can.
	Refuse func(of ids.Tenant, d *Document) error
	// Published is called after a version was published or withdrawn; it tells the
	// people whom it concerns.
	Published func(ctx context.Context, v Version, changes []Change)
}

// Store keeps the versions and answers what is in force.
type Store struct {
	Config
	set   *db.Set
	force force
}

// New opens the policies; a profile is the platform's first where there is none
// yet. A profile that there is not is Invalid.
func New(ctx context.Context, c Config) (*Store, error) {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	if c.Profile == "" {
		c.Profile = Recommended
	}
	s := &Store{Config: c, set: c.DB.Set(pkg)}
	if err := s.first(ctx); err != nil {
		return nil, fault.Wrap(err, "write the first policy")
	}
	return s, fault.Wrap(s.refresh(ctx), "read the policies")
}

// first writes version 1 of the platform where there is none. Of two processes
// that start together one comes first, and the other obeys what that one wrote.
func (s *Store) first(ctx context.Context) error {
	p, err := profile(s.Profile)
	if err != nil {
		return err
	}
	err = s.DB.Change(ctx, "write the first policy", func(tx *db.Tx) error {
		old, err := s.read(ctx, tx, "get", tenant.Platform, 1)
		if err != nil || len(old) > 0 {
			return err
		}
		return s.add(ctx, tx, Version{Tenant: tenant.Platform, Number: 1, Effective: tx.Now(), Note: "The first policy of this server.", Text: string(p.Text)}, evidence.BySystem)
	})
	if fault.Is(err, fault.Conflict) {
		err = nil
	}
	return err
}

// Judge says what a draft would change and when it could take effect, and
// refuses what cannot be published.
func (s *Store) Judge(ctx context.Context, d Draft) (Verdict, error) {
	now := s.Clock.Now()
	next, err := s.document(d)
	if err != nil {
		return Verdict{}, err
	}
	newest, err := s.newest(ctx, d.Tenant)
	if err != nil {
		return Verdict{}, err
	}
	before, notice, err := s.standing(newest, d.Tenant, now)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Changes: before.Diff(next), Earliest: now, Effective: d.Effective}
	if Loosens(v.Changes) && d.Tenant == tenant.Platform {
		told, err := s.audience(ctx)
		if err != nil {
			return v, err
		}
		if told {
			v.Earliest = notice.After(now)
		}
	}
	if newest.Effective.After(v.Earliest) { // numbers and dates go the same way
		v.Earliest = newest.Effective
	}
	switch {
	case d.Effective.IsZero():
		v.Effective = v.Earliest
	case d.Effective.Before(v.Earliest):
		return v, fault.Field("effective", fmt.Sprintf("The policy may take effect on %s at the earliest: a change that loosens it is announced %s before, and versions take effect in the order of their numbers.",
			v.Earliest.UTC().Format(time.RFC3339), notice.Words()))
	}
	if len(v.Changes) == 0 {
		return v, fault.New(fault.Conflict, "This policy says what the one before it says.")
	}
	return v, nil
}

func (s *Store) audience(ctx context.Context) (bool, error) {
	if s.Audience == nil {
		return true, nil
	}
	return s.Audience(ctx)
}

// document reads a draft's text and holds it against the server and, for a
// customer's, against the platform's.
func (s *Store) document(d Draft) (*Document, error) {
	if utf8.RuneCountInString(d.Note) > 500 || !utf8.ValidString(d.Note) || strings.Contains(d.Note, "@") {
		return nil, fault.Field("note", "A note has at most 500 characters, and no address in it: it is public for ever.")
	}
	doc, err := Parse([]byte(d.Text))
	if err != nil {
		return nil, err
	}
	if err := doc.CheckAgainst(s.Known); err != nil {
		return nil, err
	}
	if s.Refuse != nil {
		if err := s.Refuse(d.Tenant, doc); err != nil {
			return nil, err
		}
	}
	if d.Tenant == tenant.Platform {
		return doc.complete()
	}
	return doc, doc.Narrows(s.Platform(s.Clock.Now()).Document)
}

// complete gives a platform's document with what it leaves to the recommended
// profile.
func (d *Document) complete() (*Document, error) {
	base, err := FindProfile(Recommended)
	if err != nil {
		return nil, err
	}
	all := d.Over(base)
	return all, all.check()
}

// standing is the document that a draft would follow, and the notice period that
// holds until then.
func (s *Store) standing(newest Version, of ids.Tenant, now time.Time) (*Document, Notice, error) {
	notice := s.Platform(now).Document.Notice.Policy
	if newest.Number == 0 {
		return &Document{}, notice, nil
	}
	d, err := Parse([]byte(newest.Text))
	if err == nil && of == tenant.Platform {
		d, err = d.complete()
	}
	return d, notice, err
}

// newest is the newest version that was not withdrawn; its Number is zero where
// there is none.
func (s *Store) newest(ctx context.Context, of ids.Tenant) (Version, error) {
	list, err := s.Versions(ctx, of, 0, 100)
	for _, v := range list {
		if v.Withdrawn.IsZero() {
			return v, err
		}
	}
	return Version{}, err
}

// Publish puts a draft on record; it holds from its date. Nobody may have
// published in between: Conflict.
func (s *Store) Publish(ctx context.Context, d Draft) (Version, Verdict, error) {
	verdict, err := s.Judge(ctx, d)
	if err != nil {
		return Version{}, verdict, err
	}
	top, err := s.Versions(ctx, d.Tenant, 0, 1)
	if err != nil {
		return Version{}, verdict, err
	}
	v := Version{Tenant: d.Tenant, Number: 1, Effective: verdict.Effective, Author: d.Author, Note: strings.TrimSpace(d.Note), Text: d.Text}
	if len(top) > 0 {
		v.Number = top[0].Number + 1
	}
	err = s.DB.Change(ctx, "publish a policy", func(tx *db.Tx) error {
		v.Published = tx.Now()
		return s.add(ctx, tx, v, d.Role)
	})
	if err == nil {
		err = s.refresh(ctx)
	}
	if err != nil {
		return Version{}, verdict, fault.Wrap(err, "publish a policy")
	}
	s.Nudge()
	if s.Published != nil {
		s.Published(ctx, v, verdict.Changes)
	}
	return v, verdict, nil
}

func (s *Store) add(ctx context.Context, tx *db.Tx, v Version, by evidence.Role) error {
	n, err := tx.Do(ctx, s.set, "add", v.Tenant, v.Number, v.Effective, tx.Now(), v.Author, v.Note, v.Text)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "Somebody published another version meanwhile.")
	}
	if err != nil {
		return err
	}
	body := &evidence.PolicyChange{Digest: evidence.DigestOf([]byte(v.Text)), Version: label(v.Number, 0)}
	if v.Number > 1 {
		body.Previous = label(v.Number-1, 0)
	}
	return s.Stage.Stage(ctx, tx, evidence.Leaf{ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: by}, Tenant: v.Tenant, Body: body})
}

// Withdraw takes back a version that has not taken effect yet; one that has is
// followed by another, never taken back: Conflict. It stays on record. NotFound
// where there is none of this number.
func (s *Store) Withdraw(ctx context.Context, of ids.Tenant, number int, by evidence.Role) error {
	if _, err := s.Version(ctx, of, number); err != nil {
		return err
	}
	err := s.DB.Change(ctx, "withdraw a policy", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "withdraw", of, number, tx.Now())
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Only a version that has not taken effect can be withdrawn; publish another instead.")
		}
		if err != nil {
			return err
		}
		return s.Stage.Stage(ctx, tx, evidence.Leaf{
			ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: by}, Tenant: of,
			Body: &evidence.Act{Act: "policy.withdraw"},
		})
	})
	if err == nil {
		s.Nudge()
		err = s.refresh(ctx)
	}
	return fault.Wrap(err, "withdraw a policy")
}

// Versions lists a tenant's versions, newest first, with numbers below before
// (zero: from the newest). The platform's are public.
func (s *Store) Versions(ctx context.Context, of ids.Tenant, before, limit int) ([]Version, error) {
	if before <= 0 {
		before = 1 << 30
	}
	list, err := s.read(ctx, nil, "list", of, before, limit)
	return list, fault.Wrap(err, "list the versions of a policy")
}

// Version gives one; NotFound if there is none of this number.
func (s *Store) Version(ctx context.Context, of ids.Tenant, number int) (Version, error) {
	list, err := s.read(ctx, nil, "get", of, number)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such version of the policy.")
	}
	if err != nil {
		return Version{}, fault.Wrap(err, "get a version of a policy")
	}
	return list[0], nil
}

// Drop removes a customer's versions, at the contract's end. The platform's stay.
func (s *Store) Drop(ctx context.Context, of ids.Tenant) error {
	if of == tenant.Platform {
		return fault.New(fault.Conflict, "The platform's policies stay on record.")
	}
	err := s.DB.Change(ctx, "drop a customer's policies", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "drop_tenant", of)
		return err
	})
	if err == nil {
		err = s.refresh(ctx)
	}
	return fault.Wrap(err, "drop a customer's policies")
}

// read runs one of the queries that give versions, in a transaction or beside.
func (s *Store) read(ctx context.Context, tx *db.Tx, query string, args ...any) ([]Version, error) {
	var list []Version
	each := func(scan func(...any) error) error {
		var v Version
		var withdrawn int64
		if err := scan(&v.Tenant, &v.Number, &v.Effective, &v.Published, &withdrawn, &v.Author, &v.Note, &v.Text); err != nil {
			return err
		}
		if withdrawn > 0 {
			v.Withdrawn = clock.FromMicros(withdrawn)
		}
		list = append(list, v)
		return nil
	}
	var err error
	if tx != nil {
		err = tx.Each(ctx, s.set, query, args, each)
	} else {
		err = s.set.Each(ctx, query, args, each)
	}
	return list, err
}
