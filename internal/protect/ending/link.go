package ending

import (
	"context"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
)

// ClosePath is where the links by which an owner closes the account lead.
const ClosePath = "/account/close/"

// disagreed is the reason of an end that such a link ordered.
const disagreed = "policy.disagreed"

func closing(life time.Duration) link.Purpose {
	return link.Purpose{Name: "account.close", Once: true, Life: life}
}

// CloseLink makes the text of a link by which an owner closes the account until a
// time; whoever mails it to the owner's address proves the owner by it.
func (s *Store) CloseLink(of ids.Tenant, owner ids.User, until time.Time) (string, error) {
	return s.Links.Make(closing(until.Sub(s.Clock.Now())), of, int64(owner))
}

// Offer is what a link to close an account would do.
type Offer struct {
	Tenant   ids.Tenant
	Name     string // the account's
	Due      time.Time
	Deadline time.Time

	link link.Link
}

// Closing says what a link to close an account would do. It changes nothing. One that
// is none of ours is NotFound; one that is over, was used, or whose reader is no owner
// any more is Gone.
func (s *Store) Closing(ctx context.Context, text string) (Offer, error) {
	l, err := s.Links.Read(ctx, closing(0), text)
	if err != nil {
		return Offer{}, err
	}
	owner := false
	if len(l.Subject) == 1 {
		owner, err = s.Owner(ctx, l.Tenant, ids.User(l.Subject[0]))
	}
	if err == nil && !owner {
		err = fault.New(fault.Gone, "This link was for an owner of the account, and its reader is none any more.")
	}
	if err != nil {
		return Offer{}, err
	}
	t, err := s.Tenants.Get(ctx, scope.Tenant(l.Tenant), l.Tenant)
	if err != nil {
		return Offer{}, err
	}
	o := Offer{Tenant: l.Tenant, Name: t.Name, link: l}
	o.Due, o.Deadline = s.Plan(l.Tenant, s.Clock.Now())
	return o, nil
}

// CloseBy closes the account that a link is about: the contract ends now, and what is
// kept is destroyed after the policy's days, or with atOnce without them. confirm is
// the account's name. The link acts once, in the transaction of the order.
func (s *Store) CloseBy(ctx context.Context, text, confirm string, atOnce bool) (Ending, error) {
	o, err := s.Closing(ctx, text)
	if err != nil {
		return Ending{}, err
	}
	return s.Order(ctx, Order{
		Tenant: o.Tenant, By: evidence.ByOwner, Reason: disagreed, AtOnce: atOnce, Confirm: strings.TrimSpace(confirm),
		also: func(tx *db.Tx) error { return s.Links.Spend(ctx, tx, o.link) },
	})
}
