// Package notice tells accounts of a change of the policy that holds for them: by
// mail to their contacts and on their overview, with the version's number and
// date, and keeps which account accepted which version, when and how. It promises
// that each account is told once of each version, also when the process dies
// between publishing and telling; that a notice stands until somebody who acts for
// the account has seen it; and that an acceptance is written once and never
// changed. Versions are protect/policy's; sending mail is the caller's.
package notice

import (
	"context"
	_ "embed" // the table
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

//go:embed notice.sql
var sql string

const (
	pkg      = "product/trust/notice"
	category = "notices of changes"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: category, About: pledge.Customer,
		What:    "of which version of the policy an account was told, when that was seen, and when and how it was accepted",
		Purpose: "tell accounts of changes, and show what they accepted", For: pledge.ToAccount,
		Basis:   pledge.LegalDuty,
		Period:  pledge.Period{From: "the contract's end"},
		Found:   "the customer's id",
		Erasing: pledge.KeepByLaw,
	}},
	Places: append(slices.Concat(
		pledge.Columns(category, false, "account_notice", "tenant", "whose", "number", "effective", "published", "mailed", "seen", "accepted", "how"),
		pledge.Columns(category, false, "announced", "whose", "number"),
	), pledge.Place{Kind: pledge.Memory, Name: "accounts that accept by use", Category: category}),
}

// How says how a version was accepted.
type How string

// The closed list of ways.
const (
	ByClick How = "click"
	ByUse   How = "use" // the first use after the version took effect
)

// Notice is one account's notice of one version.
type Notice struct {
	Tenant    ids.Tenant
	Of        ids.Tenant // whose policy: the platform's, or the account's own
	Number    int
	Effective time.Time
	Published time.Time
	Mailed    time.Time // zero: not yet
	Seen      time.Time // zero: not yet
	Accepted  time.Time // zero: not yet
	How       How
}

// Policies are protect/policy's versions.
type Policies interface {
	Versions(ctx context.Context, of ids.Tenant, before, limit int) ([]policy.Version, error)
}

// Contact is one who acts for an account. An owner may close it.
type Contact struct {
	User    ids.User
	Address address.Address
	Owner   bool
}

// Config is what notices stand on.
type Config struct {
	DB       *db.DB
	Stage    *evidence.Stage
	Nudge    func() // something was staged
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	Policies Policies
	// Accounts gives every customer.
	Accounts func(ctx context.Context, yield func(ids.Tenant) error) error
	// Contacts are those who act for an account.
	Contacts func(ctx context.Context, of ids.Tenant) ([]Contact, error)
	// Close makes the address of the page on which an owner, to whom alone it is
	// mailed, closes the account until a time; nil: there is none.
	Close func(of ids.Tenant, owner ids.User, until time.Time) (string, error)
	// Post sends a mail as the platform.
	Post func(ctx context.Context, to address.Address, subject, text string) error
	// Base is where people reach this server; Officer is whom they write to.
	Base    func() string
	Officer string
}

// Store keeps notices.
type Store struct {
	Config
	set  *db.Set
	mu   sync.RWMutex
	open map[ids.Tenant]bool // accounts whose next use accepts something
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Store{Config: c, set: c.DB.Set(pkg), open: map[ids.Tenant]bool{}}
}

// Announce puts a version's notices on record: the platform's for every account,
// an account's own for itself. Doing it again changes nothing.
func (s *Store) Announce(ctx context.Context, v policy.Version) error {
	list := []ids.Tenant{v.Tenant}
	if v.Tenant == tenant.Platform {
		list = list[:0]
		err := s.Accounts(ctx, func(t ids.Tenant) error { list = append(list, t); return nil })
		if err != nil {
			return fault.Wrap(err, "list the accounts to be told")
		}
	}
	for some := range slices.Chunk(list, 500) {
		err := s.DB.Change(ctx, "announce a policy", func(tx *db.Tx) error {
			for _, t := range some {
				if _, err := tx.Do(ctx, s.set, "add", t, v.Tenant, v.Number, clock.Micros(v.Effective), clock.Micros(v.Published)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fault.Wrap(err, "announce a policy")
		}
	}
	err := s.DB.Change(ctx, "announce a policy", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "done", v.Tenant, v.Number)
		return err
	})
	return fault.Wrap(err, "announce a policy")
}

// Tick announces what a crash left, mails what was not mailed, and learns whose
// next use accepts something. One process at a time calls it.
func (s *Store) Tick(ctx context.Context) error {
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	waiting, err := s.read(ctx, "unmailed")
	if err != nil {
		return err
	}
	for i := range waiting {
		s.mail(ctx, &waiting[i])
	}
	return nil
}

// lookBack is how many of the platform's versions are looked at.
const lookBack = 10

func (s *Store) catchUp(ctx context.Context) error {
	list, err := s.Policies.Versions(ctx, tenant.Platform, 0, lookBack)
	if err != nil {
		return err
	}
	for _, v := range list {
		var n int
		if err := s.set.One(ctx, "announced", []any{v.Tenant, v.Number}, &n); err != nil {
			return fault.Wrap(err, "look for what was announced")
		}
		// The first version is the server's own and changes nothing for anybody.
		if n > 0 || v.Number == 1 || !v.Withdrawn.IsZero() {
			continue
		}
		if err := s.Announce(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// mail tells an account's contacts. What cannot be sent is tried again.
func (s *Store) mail(ctx context.Context, n *Notice) {
	err := s.tell(ctx, n)
	if err == nil {
		err = s.DB.Change(ctx, "note a mailed notice", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, s.set, "mailed", n.Tenant, n.Of, n.Number, clock.Micros(s.Clock.Now()))
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		s.Observe.For(pkg).Log.WarnContext(ctx, "an account could not be told of a new policy; it is tried again", "tenant", n.Tenant.String(), "number", n.Number, "error", err)
	}
}

func (s *Store) tell(ctx context.Context, n *Notice) error {
	list, err := s.Contacts(ctx, n.Tenant)
	if err != nil {
		return err
	}
	changes, note, withdrawn, err := s.changes(ctx, n)
	if err != nil || withdrawn {
		return err
	}
	subject, text := s.letter(n, changes, note)
	for _, to := range list {
		way, err := s.wayOut(n, to)
		if err == nil {
			err = s.Post(ctx, to.Address, subject, text+way)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// closeFor is how long after a version took effect, or was told of, an owner may close
// the account by the notice's link.
const closeFor = 30 * 24 * time.Hour

// wayOut says what somebody can do who does not agree.
func (s *Store) wayOut(n *Notice, to Contact) (string, error) {
	if !to.Owner || s.Close == nil {
		return fmt.Sprintf("If you do not agree, an owner of your account can close it by the link in their copy of this mail.\nQuestions: %s.\n", s.Officer), nil
	}
	from := s.Clock.Now()
	if n.Effective.After(from) {
		from = n.Effective
	}
	until := from.Add(closeFor)
	at, err := s.Close(n.Tenant, to.User, until)
	return fmt.Sprintf(`If you do not agree, you can close the account and have its data deleted. This
link is for you, who own it, and leads to a page that asks once more; opening it
changes nothing. It acts once, until %s:

%s

Questions: %s.
`, until.UTC().Format("2 January 2006"), at, s.Officer), err
}

// changes says what a version changed against the one before it.
func (s *Store) changes(ctx context.Context, n *Notice) (words []string, note string, withdrawn bool, err error) {
	list, err := s.Policies.Versions(ctx, n.Of, n.Number+1, 100)
	if err != nil || len(list) == 0 || list[0].Number != n.Number {
		return nil, "", len(list) == 0, err
	}
	now, err := read(&list[0])
	if err != nil {
		return nil, "", false, err
	}
	before := &policy.Document{}
	for i := range list[1:] {
		if v := &list[1+i]; v.Withdrawn.IsZero() {
			if before, err = read(v); err != nil {
				return nil, "", false, err
			}
			break
		}
	}
	for _, c := range before.Diff(now) {
		words = append(words, c.Words())
	}
	return words, list[0].Note, !list[0].Withdrawn.IsZero(), nil
}

// read gives what a version says; the platform's says the rest by the recommended
// profile.
func read(v *policy.Version) (*policy.Document, error) {
	d, err := policy.Parse([]byte(v.Text))
	if err != nil || v.Tenant != tenant.Platform {
		return d, err
	}
	rest, err := policy.FindProfile(policy.Recommended)
	if err != nil {
		return nil, err
	}
	return d.Over(rest), nil
}

// Title names a notice to people.
func (n *Notice) Title() string {
	whose := "The privacy policy"
	if n.Of != tenant.Platform {
		whose = "Your account's own policy"
	}
	return fmt.Sprintf("%s changes: version %d, in force from %s", whose, n.Number, n.Effective.UTC().Format("2 January 2006"))
}

func (s *Store) letter(n *Notice, changes []string, note string) (subject, text string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n", n.Title())
	if note != "" {
		fmt.Fprintf(&b, "%s\n\n", note)
	}
	b.WriteString("What changes:\n\n")
	for _, c := range changes {
		fmt.Fprintf(&b, "- %s\n", c)
	}
	if n.Of == tenant.Platform {
		fmt.Fprintf(&b, "\nEvery version, with its text:\n\n%s/trust/policy#v%d\n", s.Base(), n.Number)
	}
	b.WriteString("\nUsing the service from that day on counts as acceptance, which is put on record.\n\n")
	return n.Title(), b.String()
}

// read runs one of the queries that give notices.
func (s *Store) read(ctx context.Context, query string, args ...any) ([]Notice, error) {
	var list []Notice
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var n Notice
		var effective, published, mailed, seen, accepted int64
		if err := scan(&n.Tenant, &n.Of, &n.Number, &effective, &published, &mailed, &seen, &accepted, &n.How); err != nil {
			return err
		}
		n.Effective, n.Published, n.Mailed, n.Seen, n.Accepted = moment(effective), moment(published), moment(mailed), moment(seen), moment(accepted)
		list = append(list, n)
		return nil
	})
	return list, fault.Wrap(err, "read notices")
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return clock.FromMicros(micros).UTC()
}

// List gives an account's notices, newest first, 100 at most.
func (s *Store) List(ctx context.Context, of ids.Tenant) ([]Notice, error) {
	return s.read(ctx, "list", of)
}

// Unseen are an account's that nobody has seen.
func (s *Store) Unseen(ctx context.Context, of ids.Tenant) ([]Notice, error) {
	return s.read(ctx, "unseen", of)
}
