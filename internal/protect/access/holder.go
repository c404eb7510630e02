package access

import (
	"context"
	"strconv"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return "access" }

// subject finds the one user that an address signs in as; ok is false if none.
func (s *Store) subject(ctx context.Context, subject pledge.Subject) (u User, ok bool, err error) {
	u, err = s.UserByEmail(ctx, subject.Scope, subject.Address)
	if fault.Is(err, fault.NotFound) {
		return User{}, false, nil
	}
	return u, err == nil, err
}

// Find implements pledge.Holder.
func (s *Store) Find(ctx context.Context, subject pledge.Subject) ([]pledge.Trace, error) {
	u, ok, err := s.subject(ctx, subject)
	if !ok || err != nil {
		return nil, err
	}
	last := u.Seen
	if last.IsZero() {
		last = u.Created
	}
	return []pledge.Trace{{Category: "users", Holder: s.HolderName(), Count: 1, First: u.Created, Last: last}}, nil
}

// HandOver implements pledge.Holder.
func (s *Store) HandOver(ctx context.Context, subject pledge.Subject, yield func(pledge.Record) error) error {
	u, ok, err := s.subject(ctx, subject)
	if !ok || err != nil {
		return err
	}
	fields := map[string]string{
		"email": u.Email.Text(), "name": u.Name, "role": string(u.Role), "state": string(u.State),
		"has_password": strconv.FormatBool(u.HasPassword),
	}
	if !u.Seen.IsZero() {
		fields["last_signed_in"] = u.Seen.Format(time.RFC3339)
	}
	return yield(pledge.Record{Category: "users", ID: u.ID.String(), At: u.Created, Fields: fields})
}

// Correct implements pledge.Holder; it corrects "name" and "email".
func (s *Store) Correct(ctx context.Context, subject pledge.Subject, c pledge.Correction) (int, error) {
	u, ok, err := s.subject(ctx, subject)
	if !ok || err != nil {
		return 0, err
	}
	var change UserChange
	switch c.Field {
	case "name":
		change.Name = &c.Value
	case "email":
		email, err := address.Parse(c.Value)
		if err != nil {
			return 0, err
		}
		change.Email = &email
	default:
		return 0, nil
	}
	if _, err := s.ChangeUser(ctx, House(), subject.Scope, u.ID, change); err != nil {
		return 0, err
	}
	return 1, nil
}

// Restrict implements pledge.Holder: a restricted user cannot sign in.
func (s *Store) Restrict(ctx context.Context, subject pledge.Subject, on bool) (int, error) {
	u, ok, err := s.subject(ctx, subject)
	if !ok || err != nil {
		return 0, err
	}
	state := UserActive
	if on {
		state = UserSuspended
	}
	if u.State == state {
		return 0, nil
	}
	if _, err := s.ChangeUser(ctx, House(), subject.Scope, u.ID, UserChange{State: &state}); err != nil {
		return 0, err
	}
	return 1, nil
}

// Erase implements pledge.Holder. The last owner of a customer is not erased
// before there is another one: the customer's contract needs a person.
func (s *Store) Erase(ctx context.Context, subject pledge.Subject) ([]pledge.Erased, error) {
	u, ok, err := s.subject(ctx, subject)
	if !ok || err != nil {
		return nil, err
	}
	err = s.deleteUser(ctx, House(), u)
	if fault.Is(err, fault.Conflict) {
		return []pledge.Erased{{Category: "users", Kept: 1, Why: "the last " + string(u.Role) + " of this customer; name another one first"}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []pledge.Erased{{Category: "users", Count: 1}}, nil
}

var _ pledge.Holder = (*Store)(nil)
