package inbound

import (
	"context"
	"net/url"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
)

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return "inbound" }

// naming are the patterns that name one person's mailbox: the address and its
// sub-addresses. A whole domain names nobody.
func naming(person address.Address) [2]string {
	canonical := person.Canonical()
	base, _, _ := strings.Cut(strings.TrimSuffix(canonical, "@"+person.Domain()), "+")
	return [2]string{canonical, base + "+*@" + person.Domain()}
}

// ofPerson are the scope's routes for a person's mailbox.
func (s *Store) ofPerson(ctx context.Context, p pledge.Subject) ([]Route, error) {
	if p.Address.IsNull() {
		return nil, nil
	}
	var hashes [2][16]byte
	for i, pattern := range naming(p.Address) {
		var err error
		if hashes[i], err = s.hash(pattern); err != nil {
			return nil, err
		}
	}
	all, own := p.Scope.Args()
	found, err := s.read(ctx, "of_person", all, own, hashes[0], hashes[1])
	var list []Route
	for _, r := range found {
		if p.Before.IsZero() || r.Created.Before(p.Before) {
			list = append(list, r)
		}
	}
	return list, fault.Wrap(err, "find a person's routes")
}

// Find implements pledge.Holder.
func (s *Store) Find(ctx context.Context, p pledge.Subject) ([]pledge.Trace, error) {
	list, err := s.ofPerson(ctx, p)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	t := pledge.Trace{Category: routes, Holder: s.HolderName(), Count: len(list), First: list[0].Created, Last: list[0].Created}
	for _, r := range list {
		if r.Created.Before(t.First) {
			t.First = r.Created
		}
		if r.Created.After(t.Last) {
			t.Last = r.Created
		}
	}
	return []pledge.Trace{t}, nil
}

// HandOver implements pledge.Holder: the pattern, and to which host the mail is
// handed on (GDPR Art. 15(1)(c)). The rest of the URL and the secret are the
// customer's.
func (s *Store) HandOver(ctx context.Context, p pledge.Subject, yield func(pledge.Record) error) error {
	list, err := s.ofPerson(ctx, p)
	for _, r := range list {
		fields := map[string]string{"recipient": r.Pattern}
		if u, err := url.Parse(r.URL); err == nil {
			fields["handed_to"] = u.Hostname()
		}
		if err := yield(pledge.Record{Category: routes, ID: r.ID.String(), At: r.Created, Fields: fields}); err != nil {
			return err
		}
	}
	return err
}

// Correct implements pledge.Holder. A route is its customer's set-up: another
// address is another route, which the customer makes.
func (s *Store) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder. What waits for the person is held by the
// queue; the route itself does nothing but stand there, and the customer decides
// whether mail is taken.
func (s *Store) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: routes that name the person go, and with them
// the taking of mail for that mailbox, unless a route of the whole domain takes it.
func (s *Store) Erase(ctx context.Context, p pledge.Subject) ([]pledge.Erased, error) {
	list, err := s.ofPerson(ctx, p)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	gone := pledge.Erased{Category: routes}
	all, own := p.Scope.Args()
	err = s.DB.Change(ctx, "erase a person's routes", func(tx *db.Tx) error {
		gone.Count = 0
		for _, r := range list {
			n, err := tx.Do(ctx, s.set, "delete", all, own, r.ID)
			if err != nil {
				return err
			}
			gone.Count += int(n)
		}
		return nil
	})
	s.found.clear()
	return []pledge.Erased{gone}, fault.Wrap(err, "erase a person's routes")
}

var _ pledge.Holder = (*Store)(nil)
