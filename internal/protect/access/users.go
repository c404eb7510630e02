package access

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/tenant"
)

// User is a person who may sign in.
type User struct {
	ID          ids.User
	Tenant      ids.Tenant
	Email       address.Address
	Name        string
	Role        Role
	State       UserState
	HasPassword bool
	Created     time.Time
	Seen        time.Time // zero if never
	Until       time.Time // when an auditor's access ends; zero of all others
	phc         string
}

// Over reports that the user's access has ended.
func (u User) Over(now time.Time) bool { return !u.Until.IsZero() && !now.Before(u.Until) }

// UserState says whether a user may sign in.
type UserState string

// The closed list of states.
const (
	UserActive    UserState = "active"
	UserSuspended UserState = "suspended"
)

// NewUser is what a user is made of. An empty password means that they sign in
// by link only.
type NewUser struct {
	Tenant   ids.Tenant
	Email    address.Address
	Name     string
	Role     Role
	Password string
	Until    time.Time // of an auditor, a year away at most
}

// UserChange is what may change; nil leaves a field as it is.
type UserChange struct {
	Email    *address.Address
	Name     *string
	Role     *Role
	State    *UserState
	Password *string
	Until    *time.Time
}

// House is the principal of the command line and of the first start: whoever
// runs the program on the server itself.
func House() Principal { return ForRole(tenant.Platform, 0, 0, Operator) }

// atTheServer reports the principal that House gives.
func (p Principal) atTheServer() bool {
	return p.Role == Operator && p.Tenant == tenant.Platform && p.User == 0 && p.Token == 0
}

type personal struct {
	Email string `json:"email"`
	Name  string `json:"name"`
}

func userRow(t ids.Tenant, id ids.User) sealed.Row {
	return sealed.Row{Tenant: t, Table: "access_user", ID: int64(id)}
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.Field("name", "A name has 1 to 200 characters, without control characters.")
	}
	return name, nil
}

// mayAssign holds that nobody makes another mightier than themselves, and that
// only the platform has operators.
func mayAssign(by Principal, in ids.Tenant, r Role) error {
	switch {
	case !slices.Contains(Roles(), r):
		return fault.Field("role", "The role is operator, custodian, owner, admin, developer, viewer or auditor.")
	case r != Auditor && r.OfPlatform() != (in == tenant.Platform):
		return fault.Field("role", "The platform's own users are operators, custodians or auditors, and nobody else's are operators or custodians.")
	case r == Custodian && by.atTheServer():
		return nil
	case r == Custodian:
		return fault.New(fault.Denied, "A custodian is appointed on the server itself: mailvow user add --role custodian.")
	case !by.Grants().Covers(OfRole(r)):
		return fault.New(fault.Denied, "You cannot give a role that may do more than you.")
	}
	return nil
}

// longestAudit is how far away the end of an auditor's access may be.
const longestAudit = 366 * 24 * time.Hour

// checkUntil holds that an auditor's access has an end, and nobody else's.
func (s *Store) checkUntil(r Role, until time.Time) error {
	switch {
	case r != Auditor && !until.IsZero():
		return fault.Field("until", "Only an auditor's access has an end; suspend or remove other users.")
	case r == Auditor && until.IsZero():
		return fault.Field("until", "An auditor's access ends on a date: say when.")
	case until.After(s.Clock.Now().Add(longestAudit)):
		return fault.Field("until", "An auditor's access ends within a year.")
	}
	return nil
}

// AddUser makes a user. An address that is in use, here or at another customer,
// is a Conflict.
func (s *Store) AddUser(ctx context.Context, by Principal, n NewUser) (User, error) {
	name, err := checkName(n.Name)
	if err != nil {
		return User{}, err
	}
	if err := mayAssign(by, n.Tenant, n.Role); err != nil {
		return User{}, err
	}
	if n.Email.IsNull() {
		return User{}, fault.Field("email", "A user needs an e-mail address.")
	}
	if err := s.checkUntil(n.Role, n.Until); err != nil {
		return User{}, err
	}
	u := User{ID: ids.New[ids.User](s.IDs), Tenant: n.Tenant, Email: n.Email, Name: name, Role: n.Role, State: UserActive, Created: s.Clock.Now(), Until: n.Until}
	if n.Password != "" {
		if u.phc, err = s.Passwords.Hash(ctx, n.Password); err != nil {
			return User{}, err
		}
		u.HasPassword = true
	}
	hash, blob, err := s.sealUser(u)
	if err != nil {
		return User{}, err
	}
	err = s.DB.Change(ctx, "add a user", func(tx *db.Tx) error {
		u.Created = tx.Now()
		n, err := tx.Do(ctx, s.set, "add_user", u.ID, u.Tenant, hash, blob, u.phc, u.Role, tx.Now(), micros(u.Until))
		if err == nil && n == 0 {
			err = &fault.Error{Kind: fault.Conflict, Field: "email", Text: "A user with this e-mail address exists already."}
		}
		if err != nil {
			return err
		}
		return s.note(ctx, tx, Joins, by, u)
	})
	if err == nil {
		s.risen(ctx, by, u, "")
	}
	return u, fault.Wrap(err, "add a user")
}

// risen tells of a user who is mightier than before.
func (s *Store) risen(ctx context.Context, by Principal, u User, was Role) {
	higher := was == "" || slices.Index(Roles(), u.Role) < slices.Index(Roles(), was)
	if s.Risen != nil && higher {
		s.Risen(ctx, by, u, was)
	}
}

func (s *Store) sealUser(u User) (hash [16]byte, blob []byte, err error) {
	if hash, err = s.hash("user", u.Email.Canonical()); err != nil {
		return hash, nil, err
	}
	blob, err = sealed.Put(s.Vault, vault.Account, userRow(u.Tenant, u.ID), personal{u.Email.Text(), u.Name})
	return hash, blob, err
}

// User gives one user of the scope, or NotFound.
func (s *Store) User(ctx context.Context, in scope.Scope, id ids.User) (User, error) {
	all, own := in.Args()
	return s.oneUser(ctx, "user", all, own, id)
}

// UserByEmail finds the user who signs in with an address, or NotFound.
func (s *Store) UserByEmail(ctx context.Context, in scope.Scope, email address.Address) (User, error) {
	hash, err := s.hash("user", email.Canonical())
	if err != nil {
		return User{}, err
	}
	all, own := in.Args()
	return s.oneUser(ctx, "user_by_email", all, own, hash)
}

func (s *Store) oneUser(ctx context.Context, query string, args ...any) (User, error) {
	var u User
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) (err error) {
		u, err = s.readUser(scan)
		return err
	})
	if err == nil && u.ID == 0 {
		err = fault.New(fault.NotFound, "There is no such user.")
	}
	return u, fault.Wrap(err, "find a user")
}

// Users lists the scope's users, newest first, from before.
func (s *Store) Users(ctx context.Context, in scope.Scope, before ids.User, limit int) ([]User, error) {
	all, own := in.Args()
	var list []User
	err := s.set.Each(ctx, "users", []any{all, own, from(before), limit}, func(scan func(...any) error) error {
		u, err := s.readUser(scan)
		list = append(list, u)
		return err
	})
	return list, fault.Wrap(err, "list users")
}

func (s *Store) readUser(scan func(...any) error) (User, error) {
	var u User
	var blob []byte
	var seen, until int64
	if err := scan(&u.ID, &u.Tenant, &blob, &u.phc, &u.Role, &u.State, &u.Created, &seen, &until); err != nil {
		return User{}, err
	}
	var p personal
	if err := sealed.Get(s.Vault, userRow(u.Tenant, u.ID), blob, &p); err != nil {
		return User{}, err
	}
	email, err := address.Parse(p.Email)
	u.Email, u.Name, u.HasPassword, u.Seen = email, p.Name, u.phc != "", moment(seen)
	u.Until = moment(until)
	return u, fault.Wrap(err, "read a user's address")
}

// moment reads a time that may not have come yet.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// ChangeUser changes a user of the scope. A new password, role or suspension
// ends their sessions. The last owner of a customer stays: Conflict.
func (s *Store) ChangeUser(ctx context.Context, by Principal, in scope.Scope, id ids.User, c UserChange) (User, error) {
	u, err := s.User(ctx, in, id)
	if err != nil {
		return User{}, err
	}
	if err := s.mayTouch(by, u); err != nil {
		return User{}, err
	}
	was := u
	if err := s.applyChange(ctx, by, &u, c); err != nil {
		return User{}, err
	}
	hash, blob, err := s.sealUser(u)
	if err != nil {
		return User{}, err
	}
	all, own := in.Args()
	err = s.DB.Change(ctx, "change a user", func(tx *db.Tx) error {
		if err := s.keepOneOwner(ctx, tx, was, u.Role == was.Role && u.State == UserActive); err != nil {
			return err
		}
		if taken, err := s.emailTaken(ctx, tx, hash, id); err != nil || taken {
			return orConflict(err)
		}
		n, err := tx.Do(ctx, s.set, "change_user", all, own, id, hash, blob, u.phc, u.Role, u.State, tx.Now(), micros(u.Until))
		if err := mustFind(n, err, "There is no such user."); err != nil {
			return err
		}
		if err := s.note(ctx, tx, turn(was, u), by, u); err != nil {
			return err
		}
		if u.phc == was.phc && u.Role == was.Role && u.State == was.State {
			return nil
		}
		return s.endSessions(ctx, tx, id)
	})
	if err == nil {
		s.risen(ctx, by, u, was.Role)
	}
	return u, fault.Wrap(err, "change a user")
}

// mayTouch holds that nobody changes somebody mightier than themselves.
func (s *Store) mayTouch(by Principal, u User) error {
	if by.User == u.ID || by.Grants().Covers(OfRole(u.Role)) || u.Role == Custodian && by.atTheServer() {
		return nil
	}
	return fault.New(fault.Denied, "You cannot change a user who may do more than you.")
}

func (s *Store) applyChange(ctx context.Context, by Principal, u *User, c UserChange) (err error) {
	if c.Name != nil {
		if u.Name, err = checkName(*c.Name); err != nil {
			return err
		}
	}
	if c.Email != nil {
		if c.Email.IsNull() {
			return fault.Field("email", "A user needs an e-mail address.")
		}
		u.Email = *c.Email
	}
	if c.Role != nil && *c.Role != u.Role {
		if err := mayAssign(by, u.Tenant, *c.Role); err != nil {
			return err
		}
		if u.Role = *c.Role; u.Role != Auditor {
			u.Until = time.Time{}
		}
	}
	if c.Until != nil {
		u.Until = *c.Until
	}
	if err := s.checkUntil(u.Role, u.Until); err != nil {
		return err
	}
	if c.State != nil {
		if *c.State != UserActive && *c.State != UserSuspended {
			return fault.Field("state", "The state is active or suspended.")
		}
		u.State = *c.State
	}
	if c.Password != nil {
		if u.phc, err = s.Passwords.Hash(ctx, *c.Password); err != nil {
			return err
		}
		u.HasPassword = true
	}
	return nil
}

func (s *Store) emailTaken(ctx context.Context, tx *db.Tx, hash [16]byte, id ids.User) (bool, error) {
	taken := false
	err := tx.Each(ctx, s.set, "user_by_email", []any{1, 0, hash}, func(scan func(...any) error) error {
		var other ids.User
		var rest [8]any
		err := scan(&other, &rest[0], &rest[1], &rest[2], &rest[3], &rest[4], &rest[5], &rest[6], &rest[7])
		taken = other != id
		return err
	})
	return taken, err
}

func orConflict(err error) error {
	if err != nil {
		return err
	}
	return &fault.Error{Kind: fault.Conflict, Field: "email", Text: "A user with this e-mail address exists already."}
}

// keepOneOwner refuses to take the last owner, or the last operator, away.
func (s *Store) keepOneOwner(ctx context.Context, tx *db.Tx, u User, stays bool) error {
	if stays || u.State != UserActive || (u.Role != Owner && u.Role != Operator) {
		return nil
	}
	var others int
	if err := tx.One(ctx, s.set, "other_owners", []any{u.Tenant, u.Role, u.ID}, &others); err != nil {
		return err
	}
	if others == 0 {
		return fault.New(fault.Conflict, "This is the last "+string(u.Role)+". Make another one first.")
	}
	return nil
}

func (s *Store) endSessions(ctx context.Context, tx *db.Tx, id ids.User) error {
	if _, err := tx.Do(ctx, s.set, "delete_sessions", id); err != nil {
		return err
	}
	_, err := tx.Do(ctx, s.set, "delete_links", id)
	return err
}

// RemoveUser deletes a user with their sessions and links; what they made stays.
func (s *Store) RemoveUser(ctx context.Context, by Principal, in scope.Scope, id ids.User) error {
	u, err := s.User(ctx, in, id)
	if err != nil {
		return err
	}
	if err := s.mayTouch(by, u); err != nil {
		return err
	}
	return s.deleteUser(ctx, by, u)
}

// Dismiss removes an account that was made for a moment, also where there is no
// other of its role: a probe's.
func (s *Store) Dismiss(ctx context.Context, u User) error {
	return fault.Wrap(s.DB.Change(ctx, "dismiss a user", func(tx *db.Tx) error {
		if err := s.endSessions(ctx, tx, u.ID); err != nil {
			return err
		}
		all, own := scope.Tenant(u.Tenant).Args()
		_, err := tx.Do(ctx, s.set, "delete_user", all, own, u.ID)
		return err
	}), "dismiss a user")
}

func (s *Store) deleteUser(ctx context.Context, by Principal, u User) error {
	return fault.Wrap(s.DB.Change(ctx, "remove a user", func(tx *db.Tx) error {
		if err := s.keepOneOwner(ctx, tx, u, false); err != nil {
			return err
		}
		if err := s.endSessions(ctx, tx, u.ID); err != nil {
			return err
		}
		all, own := scope.Tenant(u.Tenant).Args()
		if _, err := tx.Do(ctx, s.set, "delete_user", all, own, u.ID); err != nil {
			return err
		}
		return s.note(ctx, tx, Leaves, by, u)
	}), "remove a user")
}
