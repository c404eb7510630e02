// Package review keeps the access reviews: once a quarter somebody of each account
// looks at every user, token, credential and grant, keeps or revokes each, and signs.
// It promises that a review which is signed has decided about everything that there
// was, that what was revoked is gone before it is signed, and that an account whose
// last review is too old is known. What access there is, and how it is taken away, is
// given by app.
package review

import (
	"context"
	_ "embed" // the table
	"fmt"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

//go:embed review.sql
var sql string

const pkg = "protect/review"

// Category is what is kept.
const Category = "access reviews"

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Staff,
		What:    "of each quarter which users, tokens, credentials and grants were kept or revoked, by identifier, and in which capacity that was signed",
		Purpose: "show that access is reviewed", For: pledge.ToAccount, Basis: pledge.LegalDuty,
		Period: pledge.Period{From: "kept while the contract lasts: auditors look back"},
		Found:  "the user's id", Erasing: pledge.KeepByLaw,
	}},
	Places: pledge.Columns(Category, false, "access_review", "entry", "tenant", "quarter", "signed", "role", "kept", "revoked", "decisions"),
}

// Quarter is one of a year: 20264 is the fourth of 2026.
type Quarter int

// QuarterOf is the quarter in which a moment lies, in UTC.
func QuarterOf(t time.Time) Quarter {
	t = t.UTC()
	return Quarter(t.Year()*10 + (int(t.Month())-1)/3 + 1)
}

// Begin is the quarter's first moment.
func (q Quarter) Begin() time.Time {
	return time.Date(int(q)/10, time.Month((int(q)%10-1)*3+1), 1, 0, 0, 0, 0, time.UTC)
}

// End is the first moment after it.
func (q Quarter) End() time.Time { return q.Begin().AddDate(0, 3, 0) }

// Before is the quarter before it.
func (q Quarter) Before() Quarter { return QuarterOf(q.Begin().AddDate(0, 0, -1)) }

// String is as people write it: 2026-Q4.
func (q Quarter) String() string { return fmt.Sprintf("%d-Q%d", int(q)/10, int(q)%10) }

// Item is one access that somebody or something has.
type Item struct {
	What   string // user, token, credential, grant
	ID     string
	Detail string // the role, the scopes, the kind
	Label  string // for those who may see it: a name
	Since  time.Time
	Used   time.Time // zero: never
	Until  time.Time // zero: no end of its own
}

// Review is one that was signed.
type Review struct {
	Entry     ids.Leaf
	Quarter   Quarter
	Signed    time.Time
	By        evidence.Role
	Kept      int
	Revoked   int
	Decisions string
}

// State is where an account stands.
type State struct {
	Quarter Quarter   // the present one
	Due     time.Time // by when it is to be signed
	Signed  bool      // it is
	Overdue bool      // the one before was not, and this one is not yet
	Past    []Review  // newest first
}

// Config is what reviews stand on.
type Config struct {
	DB    *db.DB
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
	Clock clock.Clock
	// Items gives every access that there is to an account; Revoke takes one away;
	// Began says since when there is the account.
	Items  func(ctx context.Context, of ids.Tenant) ([]Item, error)
	Revoke func(ctx context.Context, of ids.Tenant, x Item) error
	Began  func(ctx context.Context, of ids.Tenant) (time.Time, error)
}

// Desk keeps reviews.
type Desk struct {
	Config
	set *db.Set
}

// New makes a desk over a database that was opened with Schema.
func New(c Config) *Desk { return &Desk{c, c.DB.Set(pkg)} }

// past is how many reviews are shown: those of ten years.
const past = 40

// State gives where an account stands.
func (d *Desk) State(ctx context.Context, of ids.Tenant) (State, error) {
	q := QuarterOf(d.Clock.Now())
	s := State{Quarter: q, Due: q.End()}
	err := d.set.Each(ctx, "list", []any{of, past}, func(scan func(...any) error) error {
		var r Review
		var signed int64
		err := scan(&r.Entry, &r.Quarter, &signed, &r.By, &r.Kept, &r.Revoked, &r.Decisions)
		r.Signed = clock.FromMicros(signed).UTC()
		s.Past = append(s.Past, r)
		return err
	})
	if err != nil {
		return s, fault.Wrap(err, "read the reviews of access")
	}
	last := Quarter(0)
	if len(s.Past) > 0 {
		last = s.Past[0].Quarter
	}
	s.Signed = last == q
	if last < q.Before() {
		began, err := d.Began(ctx, of)
		if err != nil {
			return s, err
		}
		// An account that is younger than the quarter had nothing to review in it.
		s.Overdue = began.Before(q.Before().Begin())
	}
	return s, nil
}

// Sign decides about every access: true keeps it. What is to go is revoked first, so
// that a review that is signed holds. An access that is not decided about is a
// Conflict, as is a quarter that is signed; an identifier that there is not, Invalid.
func (d *Desk) Sign(ctx context.Context, of ids.Tenant, by evidence.Actor, keep map[string]bool) (Review, error) {
	s, err := d.State(ctx, of)
	if err != nil {
		return Review{}, err
	}
	if s.Signed {
		return Review{}, signedAlready(s.Quarter)
	}
	items, err := d.Items(ctx, of)
	if err != nil {
		return Review{}, err
	}
	for id := range keep {
		if !slices.ContainsFunc(items, func(x Item) bool { return x.ID == id }) {
			return Review{}, fault.Field("decisions", "There is no access "+id+".")
		}
	}
	r := Review{Entry: ids.New[ids.Leaf](d.IDs), Quarter: s.Quarter, Signed: d.Clock.Now().UTC().Truncate(time.Microsecond), By: by.Role}
	open := 0
	var lines []string
	for _, x := range items {
		kept, decided := keep[x.ID]
		switch {
		case !decided:
			open++
		case kept:
			r.Kept++
			lines = append(lines, x.What+" "+x.ID+" keep")
		default:
			r.Revoked++
			lines = append(lines, x.What+" "+x.ID+" revoke")
		}
	}
	if open > 0 {
		return Review{}, fault.New(fault.Conflict, fmt.Sprintf("%d accesses are not decided about; a review decides about all that there are.", open))
	}
	r.Decisions = strings.Join(lines, "\n")
	for _, x := range items {
		if !keep[x.ID] {
			if err := d.Revoke(ctx, of, x); err != nil && !fault.Is(err, fault.NotFound) {
				return Review{}, err
			}
		}
	}
	return r, d.write(ctx, of, by, r)
}

func signedAlready(q Quarter) error {
	return fault.New(fault.Conflict, "The review of "+q.String()+" is signed.")
}

func (d *Desk) write(ctx context.Context, of ids.Tenant, by evidence.Actor, r Review) error {
	err := d.DB.Change(ctx, "sign a review of access", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, d.set, "add", r.Entry, of, int(r.Quarter), clock.Micros(r.Signed), string(r.By), r.Kept, r.Revoked, r.Decisions)
		if err == nil && n == 0 {
			err = signedAlready(r.Quarter)
		}
		if err != nil {
			return err
		}
		return d.Stage.Stage(ctx, tx, evidence.Leaf{ID: r.Entry, At: evidence.On(r.Signed), By: by, Tenant: of, Body: &evidence.Act{Act: "access.review"}})
	})
	d.Nudge()
	return fault.Wrap(err, "sign a review of access")
}
