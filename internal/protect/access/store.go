package access

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Limits says how long things live.
type Limits struct {
	Idle     time.Duration // a session that is not used
	Absolute time.Duration // a session, used or not
	Link     time.Duration // a one-time link
	Cache    time.Duration // a credential in memory: how long another node's deletion may go unnoticed
}

// HouseLimits are those of the house.
var HouseLimits = Limits{Idle: 12 * time.Hour, Absolute: 7 * 24 * time.Hour, Link: 15 * time.Minute, Cache: 30 * time.Second}

// usedEvery is how often "last used" is written down at most.
const usedEvery = time.Minute

// Tenants is what access asks about a customer: nil, or a Denied fault that says
// why not.
type Tenants interface {
	// Active is asked of those who send, Enters of those who sign in.
	Active(context.Context, ids.Tenant) error
	Enters(context.Context, ids.Tenant) error
}

// Config is what a Store is made of.
type Config struct {
	DB        *db.DB
	Vault     *vault.Vault
	IDs       *ids.Source
	Clock     clock.Clock
	Tenants   Tenants
	Passwords *Passwords
	Limits    Limits
	// Networks lets a network be a credential. Off unless the operator says so:
	// who owns an address today may not own it tomorrow.
	Networks bool
	// Note puts on record, in the transaction that does it, that a user comes, goes or
	// gets another role; nil: nobody does.
	Note func(ctx context.Context, tx *db.Tx, what Turn, by Principal, u User) error
	// Risen hears of a user who may do more than before; was is "" for a new one.
	// Nil: nobody does.
	Risen func(ctx context.Context, by Principal, u User, was Role)
}

// Turn is what became of a user.
type Turn string

// The turns.
const (
	Joins   Turn = "user.join"
	Leaves  Turn = "user.leave" // removed or suspended
	Changes Turn = "user.role"  // another role, or another end of an auditor's access
)

// note puts a turn on record.
func (s *Store) note(ctx context.Context, tx *db.Tx, what Turn, by Principal, u User) error {
	if s.Note == nil || what == "" {
		return nil
	}
	return s.Note(ctx, tx, what, by, u)
}

// turn says what a change makes of a user; "": nothing.
func turn(was, is User) Turn {
	switch {
	case was.State != is.State && is.State == UserSuspended:
		return Leaves
	case was.State != is.State:
		return Joins
	case was.Role != is.Role || !was.Until.Equal(is.Until):
		return Changes
	}
	return ""
}

// Store keeps who may come in.
type Store struct {
	Config
	set         *db.Set
	credentials *credentialCache
	networks    networkCache
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	return &Store{Config: c, set: c.DB.Set(pkg), credentials: newCredentialCache()}
}

// hash is the keyed hash under which a secret or an address is kept; it is the
// platform's, because whose it is comes out only by finding it.
func (s *Store) hash(domain, value string) ([16]byte, error) {
	h, err := s.Vault.Hash(0, domain, value)
	return h, fault.Wrap(err, "hash a credential")
}

// change runs one statement in a transaction of its own and gives the rows that
// it touched.
func (s *Store) change(ctx context.Context, act, query string, args ...any) (n int64, err error) {
	err = s.DB.Change(ctx, act, func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, query, args...)
		return err
	})
	return n, fault.Wrap(err, act)
}

// mustFind turns "touched nothing" into NotFound.
func mustFind(n int64, err error, text string) error {
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, text)
	}
	return err
}

// newest is where lists that go downward start.
const newest = int64(1<<63 - 1)

func from[T ~int64](before T) int64 {
	if before == 0 {
		return newest
	}
	return int64(before)
}

// Purge removes sessions and links whose time is over; retention calls it.
func (s *Store) Purge(ctx context.Context) (int, error) {
	var sum int64
	err := s.DB.Change(ctx, "purge sessions", func(tx *db.Tx) error {
		sum = 0
		n, err := tx.Do(ctx, s.set, "delete_old_sessions", tx.Now(), tx.Now().Add(-s.Limits.Idle))
		if err != nil {
			return err
		}
		m, err := tx.Do(ctx, s.set, "delete_old_links", tx.Now())
		sum = n + m
		return err
	})
	return int(sum), fault.Wrap(err, "purge sessions")
}
