package access

import (
	"context"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// wrongSignIn is what every failed sign-in hears, whatever the reason.
func wrongSignIn() error {
	return fault.New(fault.Unauthenticated, "The e-mail address or the password is wrong, or the link was used or is too old.")
}

// SignIn checks a password and starts a session. secret goes into the cookie and
// is not kept. An unknown address takes as long as a wrong password.
func (s *Store) SignIn(ctx context.Context, email address.Address, password string) (secret string, p Principal, err error) {
	u, err := s.UserByEmail(ctx, scope.Everyone, email)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", Principal{}, err
	}
	ok, stale, err := s.Passwords.Verify(ctx, u.phc, password)
	if err != nil {
		return "", Principal{}, fault.Wrap(err, "check a password")
	}
	if !ok || u.State != UserActive || u.Over(s.Clock.Now()) {
		return "", Principal{}, wrongSignIn()
	}
	if stale {
		if err := s.rehash(ctx, u, password); err != nil {
			return "", Principal{}, err
		}
	}
	return s.start(ctx, nil, u.ID, u.Tenant, u.Role)
}

// rehash keeps a password at today's cost.
func (s *Store) rehash(ctx context.Context, u User, password string) error {
	phc, err := s.Passwords.Hash(ctx, password)
	if fault.Is(err, fault.Invalid) {
		return nil // it was chosen under an older rule and still opens the door
	}
	if err != nil {
		return err
	}
	_, err = s.change(ctx, "renew a password's hash", "rehash", u.ID, u.phc, phc)
	return err
}

// Link makes a one-time sign-in link's secret for a user of the scope. Nobody
// makes one for somebody mightier than themselves: Denied.
func (s *Store) Link(ctx context.Context, by Principal, in scope.Scope, id ids.User) (secret string, until time.Time, err error) {
	u, err := s.User(ctx, in, id)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := s.mayTouch(by, u); err != nil {
		return "", time.Time{}, err
	}
	secret = generate("", linkBytes)
	hash, err := s.hash("link", secret)
	if err != nil {
		return "", time.Time{}, err
	}
	err = s.DB.Change(ctx, "make a sign-in link", func(tx *db.Tx) error {
		until = tx.Now().Add(s.Limits.Link)
		_, err := tx.Do(ctx, s.set, "add_link", hash, u.ID, until)
		return err
	})
	return secret, until, fault.Wrap(err, "make a sign-in link")
}

// SignInByLink starts a session by a one-time link; a second use fails, also
// when two come at the same moment.
func (s *Store) SignInByLink(ctx context.Context, link string) (secret string, p Principal, err error) {
	if !looksGenerated(link, "", linkBytes) {
		return "", Principal{}, wrongSignIn()
	}
	hash, err := s.hash("link", link)
	if err != nil {
		return "", Principal{}, err
	}
	var until time.Time
	var user ids.User
	var in ids.Tenant
	var role Role
	var ends int64
	err = s.set.One(ctx, "link", []any{hash}, &until, &user, &in, &role, &ends)
	if fault.Is(err, fault.NotFound) || err == nil && (User{Until: moment(ends)}).Over(s.Clock.Now()) {
		return "", Principal{}, wrongSignIn()
	}
	if err != nil {
		return "", Principal{}, fault.Wrap(err, "find a sign-in link")
	}
	return s.start(ctx, func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "use_link", hash)
		if err == nil && (n == 0 || !tx.Now().Before(until)) {
			err = wrongSignIn()
		}
		return err
	}, user, in, role)
}

// start makes a session in the transaction that does first.
func (s *Store) start(ctx context.Context, first func(*db.Tx) error, user ids.User, in ids.Tenant, role Role) (string, Principal, error) {
	if err := s.Tenants.Enters(ctx, in); err != nil {
		return "", Principal{}, err
	}
	secret := generate("", sessionBytes)
	hash, err := s.hash("session", secret)
	if err != nil {
		return "", Principal{}, err
	}
	id := ids.New[ids.Session](s.IDs)
	err = s.DB.Change(ctx, "sign in", func(tx *db.Tx) error {
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Do(ctx, s.set, "add_session", id, hash, user, tx.Now(), tx.Now().Add(s.Limits.Absolute)); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "seen_user", user, tx.Now())
		return err
	})
	if err != nil {
		return "", Principal{}, fault.Wrap(err, "sign in")
	}
	return secret, ForRole(in, user, id, role), nil
}

// Session gives whose session a cookie's secret is, or Unauthenticated.
func (s *Store) Session(ctx context.Context, secret string) (Principal, error) {
	over := fault.New(fault.Unauthenticated, "The session is over. Sign in again.")
	if !looksGenerated(secret, "", sessionBytes) {
		return Principal{}, over
	}
	hash, err := s.hash("session", secret)
	if err != nil {
		return Principal{}, err
	}
	var id ids.Session
	var seen, until time.Time
	var user ids.User
	var in ids.Tenant
	var role Role
	var ends int64
	err = s.set.One(ctx, "session", []any{hash}, &id, &seen, &until, &user, &in, &role, &ends)
	if fault.Is(err, fault.NotFound) {
		return Principal{}, over
	}
	if err != nil {
		return Principal{}, fault.Wrap(err, "find a session")
	}
	now := s.Clock.Now()
	if !now.Before(until) || now.Sub(seen) >= s.Limits.Idle || (User{Until: moment(ends)}).Over(now) {
		return Principal{}, over
	}
	if err := s.Tenants.Enters(ctx, in); err != nil {
		return Principal{}, err
	}
	if now.Sub(seen) >= usedEvery {
		if _, err := s.change(ctx, "note a session's use", "seen_session", id, now); err != nil && !storeResting(err) {
			return Principal{}, err
		}
	}
	return ForRole(in, user, id, role), nil
}

// storeResting reports a store that refuses writes; a note that something was
// used can wait until it takes them again.
func storeResting(err error) bool {
	switch fault.KindOf(err) {
	case fault.ReadOnly, fault.Full, fault.Unavailable:
		return true
	case fault.Internal, fault.Invalid, fault.Unauthenticated, fault.Denied, fault.NotFound, fault.Conflict, fault.Exhausted, fault.Gone:
	}
	return false
}

// SignOut ends the principal's own session.
func (s *Store) SignOut(ctx context.Context, p Principal) error {
	_, err := s.change(ctx, "sign out", "delete_session", p.Session, p.User)
	return err
}
