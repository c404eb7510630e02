// Package clearance says whether one of the operator's people may open personal
// data now, beyond what their role allows. It promises that where the policy asks
// for training, an account without a valid attestation opens nothing personal;
// that where it asks for a grant, nothing is open without a live one, which has a
// reason and an end of a day at most and reaches one customer or all; that every
// grant stands in the evidence log before it opens anything; and that a customer
// sees the grants that reached its data. Attestations are kept elsewhere; whoever
// runs the program on the server itself has no account and is not bound here.
package clearance

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
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

//go:embed clearance.sql
var sql string

const (
	pkg   = "protect/clearance"
	table = "access_grant"
	// Category is what grants are in the inventory.
	Category = "access grants"
)

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Staff,
		What:    "which of the operator's people opened personal data of which customer, why, and until when",
		Purpose: "show that staff open personal data only where they need it", For: pledge.ToSecure, Basis: pledge.LegitimateInterest,
		Period: pledge.Period{Ceiling: 365 * 24 * time.Hour, From: "the grant's end"},
		Found:  "the user's id", Erasing: pledge.Delete,
	}},
	Places: slices.Concat(
		pledge.Columns(Category, false, table, "id", "user_id", "customer", "taken", "until", "ended"),
		pledge.Columns(Category, true, table, "sealed"),
	),
}

// Longest is how long a grant may last.
const Longest = 24 * time.Hour

const maxReason = 500

// Grant opens personal data to one person for a time.
type Grant struct {
	ID       ids.Grant
	User     ids.User
	Customer ids.Tenant // zero: every customer
	Reason   string
	Taken    time.Time
	Until    time.Time
	Ended    time.Time // given back before its end; else zero
}

// Live reports whether it opens anything at a moment.
func (g Grant) Live(at time.Time) bool { return g.Ended.IsZero() && at.Before(g.Until) }

// Policies say what is in force; policy.Store does.
type Policies interface {
	Platform(t time.Time) policy.InForce
	Narrower(t time.Time) map[ids.Tenant]policy.InForce
}

// Config is what clearance stands on.
type Config struct {
	DB       *db.DB
	Vault    *vault.Vault
	Stage    *evidence.Stage
	Nudge    func() // something was staged
	IDs      *ids.Source
	Clock    clock.Clock
	Policies Policies
	// Attested reports whether a person has valid attestations of training and
	// of screening.
	Attested func(context.Context, ids.User) (bool, error)
	// Apart is a customer whose policy binds only one person: the probes' own.
	// Nil: there is none.
	Apart func() (ids.Tenant, ids.User)
}

// Store keeps grants.
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

// The sentences that those hear who may not.
const (
	untrained = "The policy lets staff open personal data only with a valid attestation of training and of screening. Enter them under Assurance, or ask a colleague to."
	ungranted = "The policy lets staff open personal data only by a grant. Take one under Assurance: it has a reason and an end."
	unmanned  = "The policy lets staff open personal data only as somebody who is trained or has a grant, and no user stands behind this token."
)

// Bind gives a principal as they stand now. Customers' own people are not bound.
func (s *Store) Bind(ctx context.Context, p access.Principal) (access.Principal, error) {
	if p.Tenant != tenant.Platform {
		return p, nil
	}
	now := s.Clock.Now()
	training, grant := s.demands(now, p.User)
	if !training && !grant {
		return p, nil
	}
	if p.User == 0 {
		return p.Shut(unmanned), nil
	}
	if training {
		if ok, err := s.Attested(ctx, p.User); err != nil || !ok {
			return p.Shut(untrained), fault.Wrap(err, "look for an attestation")
		}
	}
	if !grant {
		return p, nil
	}
	g, err := s.live(ctx, p.User, now)
	switch {
	case err != nil || g.ID == 0:
		return p.Shut(ungranted), err
	case g.Customer != 0:
		return p.Only(g.Customer), nil
	}
	return p, nil
}

// demands joins what the platform's policy asks of staff with what any customer's
// narrower one does: what spans customers shows that customer's data too.
func (s *Store) demands(now time.Time, user ids.User) (training, grant bool) {
	ask := func(d *policy.Document) {
		training = training || d.Training == policy.TrainingRequired
		grant = grant || d.Staff == policy.ByGrant
	}
	ask(s.Policies.Platform(now).Document)
	var apart ids.Tenant
	var only ids.User
	if s.Apart != nil {
		apart, only = s.Apart()
	}
	for id, p := range s.Policies.Narrower(now) {
		if id == apart && user != only {
			continue
		}
		ask(p.Document)
	}
	return training, grant
}

func (s *Store) live(ctx context.Context, user ids.User, now time.Time) (Grant, error) {
	var g Grant
	err := s.set.Each(ctx, "live", []any{user, clock.Micros(now)}, func(scan func(...any) error) error { return scan(&g.ID, &g.Customer) })
	return g, fault.Wrap(err, "look for a grant")
}

// Take opens personal data to the person who asks. Their former grant ends.
func (s *Store) Take(ctx context.Context, by access.Principal, g Grant) (Grant, error) {
	now := s.Clock.Now().UTC().Truncate(time.Microsecond)
	g.Reason = strings.TrimSpace(g.Reason)
	switch {
	case by.Tenant != tenant.Platform || by.User == 0 || by.Token != 0:
		return Grant{}, fault.New(fault.Denied, "A grant is taken by one of the operator's people, signed in.")
	case g.Reason == "" || len(g.Reason) > maxReason || !utf8.ValidString(g.Reason):
		return Grant{}, fault.Field("reason", "Say why, in 1 to 500 characters: the ticket, the complaint, the request.")
	case !g.Until.After(now) || g.Until.After(now.Add(Longest)):
		return Grant{}, fault.Field("until", "A grant has an end: in the future, and within a day.")
	}
	g.ID, g.User, g.Taken, g.Ended = ids.New[ids.Grant](s.IDs), by.User, now, time.Time{}
	blob, err := sealed.Put(s.Vault, vault.Account, row(g.ID), g.Reason)
	if err != nil {
		return Grant{}, err
	}
	err = s.DB.Change(ctx, "take a grant", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "end_of", g.User, clock.Micros(now)); err != nil {
			return err
		}
		if _, err := tx.Do(ctx, s.set, "add", g.ID, g.User, g.Customer, clock.Micros(now), clock.Micros(g.Until), blob); err != nil {
			return err
		}
		return s.stage(ctx, tx, g, "grant.take")
	})
	s.Nudge()
	return g, fault.Wrap(err, "take a grant")
}

// End gives one's own grant back.
func (s *Store) End(ctx context.Context, by access.Principal, id ids.Grant) (Grant, error) {
	now := s.Clock.Now()
	err := s.DB.Change(ctx, "end a grant", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "end", id, clock.Micros(now), by.User)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "You have no such grant, or it is over.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, Grant{ID: id}, "grant.end")
	})
	if err != nil {
		return Grant{}, fault.Wrap(err, "end a grant")
	}
	s.Nudge()
	list, err := s.read(ctx, "get", 1, 0, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such grant.")
	}
	if err != nil {
		return Grant{}, fault.Wrap(err, "read a grant")
	}
	return list[0], nil
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, g Grant, act string) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: evidence.ByOperator}, Tenant: g.Customer,
		Body: &evidence.Act{Act: act, Target: g.ID.String()},
	})
}

// List gives the grants that reach the scope's data, newest first, from before.
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Grant, limit int) ([]Grant, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list grants")
}

// OfUser gives the grants that a person took.
func (s *Store) OfUser(ctx context.Context, user ids.User) ([]Grant, error) {
	list, err := s.read(ctx, "of_user", user)
	return list, fault.Wrap(err, "list a person's grants")
}

// Forget removes the grants that a person took, with the account.
func (s *Store) Forget(ctx context.Context, user ids.User) (int, error) {
	return s.remove(ctx, "drop_user", user)
}

// Purge removes grants that ended before a moment.
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	return s.remove(ctx, "purge", clock.Micros(before))
}

func (s *Store) remove(ctx context.Context, query string, arg any) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "remove grants", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, query, arg)
		return err
	})
	return int(n), fault.Wrap(err, "remove grants")
}

// Oldest is the end of the oldest grant, or zero.
func (s *Store) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.set.One(ctx, "oldest", nil, &at)
	if err != nil || at == 0 {
		return time.Time{}, fault.Wrap(err, "find the oldest grant")
	}
	return clock.FromMicros(at), nil
}

func row(id ids.Grant) sealed.Row {
	return sealed.Row{Tenant: tenant.Platform, Table: table, ID: int64(id)}
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Grant, error) {
	var list []Grant
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var g Grant
		var taken, until, ended int64
		var blob []byte
		if err := scan(&g.ID, &g.User, &g.Customer, &taken, &until, &ended, &blob); err != nil {
			return err
		}
		g.Taken, g.Until = clock.FromMicros(taken), clock.FromMicros(until)
		if ended != 0 {
			g.Ended = clock.FromMicros(ended)
		}
		if err := sealed.Get(s.Vault, row(g.ID), blob, &g.Reason); err != nil {
			return err
		}
		list = append(list, g)
		return nil
	})
	return list, err
}
