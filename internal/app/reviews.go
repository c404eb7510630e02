package app

import (
	"context"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/tenant"
)

// openReviews makes the desk of access reviews.
func (h *House) openReviews() {
	h.reviews = review.New(review.Config{
		DB: h.db, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Items: h.accesses, Revoke: h.revoke,
		Began: func(ctx context.Context, of ids.Tenant) (time.Time, error) {
			t, err := h.tenants.Get(ctx, scope.Everyone, of)
			return t.Created, err
		},
	})
}

// throughout calls read with the last one that was seen until there are no more. read
// gives how many it read.
func throughout(read func() (int, error)) error {
	for {
		if n, err := read(); err != nil || n == 0 {
			return err
		}
	}
}

const pageOfAccess = 200

// accesses are all that somebody or something may come in with to an account.
func (h *House) accesses(ctx context.Context, of ids.Tenant) (list []review.Item, err error) {
	in := scope.Tenant(of)
	users, tokens, credentials := ids.User(1<<63-1), ids.Token(1<<63-1), ids.Credential(1<<63-1)
	for _, read := range []func() (int, error){
		func() (int, error) {
			page, err := h.access.Users(ctx, in, users, pageOfAccess)
			for _, u := range page {
				if users = u.ID; u.State == access.UserActive && !u.Over(h.Clock.Now()) && u.ID != ids.User(h.probing.Load()) {
					list = append(list, review.Item{What: "user", ID: u.ID.String(), Detail: string(u.Role), Label: u.Email.Text(), Since: u.Created, Used: u.Seen, Until: u.Until})
				}
			}
			return len(page), err
		},
		func() (int, error) {
			page, err := h.access.Tokens(ctx, in, tokens, pageOfAccess)
			for _, t := range page {
				if tokens = t.ID; t.Expires.IsZero() || t.Expires.After(h.Clock.Now()) {
					var scopes []string
					for _, s := range t.Scopes {
						scopes = append(scopes, string(s))
					}
					list = append(list, review.Item{What: "token", ID: t.ID.String(), Detail: strings.Join(scopes, " "), Label: t.Name, Since: t.Created, Used: t.Used, Until: t.Expires})
				}
			}
			return len(page), err
		},
		func() (int, error) {
			page, err := h.access.Credentials(ctx, in, credentials, pageOfAccess)
			for _, c := range page {
				credentials = c.ID
				list = append(list, review.Item{What: "credential", ID: c.ID.String(), Detail: string(c.Kind), Label: c.Name, Since: c.Created, Used: c.Used})
			}
			return len(page), err
		},
	} {
		if err := throughout(read); err != nil {
			return nil, err
		}
	}
	if of != tenant.Platform {
		return list, nil
	}
	grants, err := h.liveGrants(ctx)
	return append(list, grants...), err
}

// liveGrants are those by which the operator's people open personal data now.
func (h *House) liveGrants(ctx context.Context) (list []review.Item, err error) {
	page, err := h.clearance.List(ctx, scope.Everyone, 0, pageOfAccess)
	for _, g := range page {
		if g.Ended.IsZero() && g.Until.After(h.Clock.Now()) && g.User != ids.User(h.probing.Load()) {
			list = append(list, review.Item{What: "grant", ID: g.ID.String(), Detail: "of " + g.User.String(), Since: g.Taken, Until: g.Until})
		}
	}
	return list, err
}

// revoke takes an access away.
func (h *House) revoke(ctx context.Context, of ids.Tenant, x review.Item) error {
	in := scope.Tenant(of)
	switch x.What {
	case "user":
		id, err := ids.Parse[ids.User](x.ID)
		if err != nil {
			return err
		}
		return h.access.RemoveUser(ctx, access.House(), in, id)
	case "token":
		id, err := ids.Parse[ids.Token](x.ID)
		if err != nil {
			return err
		}
		return h.access.RemoveToken(ctx, in, id)
	case "credential":
		id, err := ids.Parse[ids.Credential](x.ID)
		if err != nil {
			return err
		}
		return h.access.RemoveCredential(ctx, in, id)
	}
	id, err := ids.Parse[ids.Grant](x.ID)
	if err != nil {
		return err
	}
	return h.endGrant(ctx, id)
}

// endGrant ends a grant in the name of whoever has it.
func (h *House) endGrant(ctx context.Context, id ids.Grant) error {
	page, err := h.clearance.List(ctx, scope.Everyone, id+1, 1)
	if err != nil {
		return err
	}
	var g clearance.Grant
	if len(page) == 1 && page[0].ID == id {
		g = page[0]
	}
	_, err = h.clearance.End(ctx, access.ForRole(tenant.Platform, g.User, 0, access.Operator), id)
	return err
}

// unreviewedAccess is the platform's own review when it is late.
func (h *House) unreviewedAccess(ctx context.Context) ([]alert.Condition, error) {
	late, err := h.lateReview(ctx)
	if err != nil || late == "" {
		return nil, err
	}
	return []alert.Condition{{Marker: "platform", Kind: alert.Review, Text: late + "."}}, nil
}

// lateReview says what is wrong with the review of the operator's own access, or "".
func (h *House) lateReview(ctx context.Context) (string, error) {
	s, err := h.reviews.State(ctx, tenant.Platform)
	if err != nil || !s.Overdue {
		return "", err
	}
	return "the access of the operator's people was not reviewed in " + s.Quarter.Before().String() + ", and not yet in " + s.Quarter.String(), nil
}

// shownReviews implements httpapi.Reviews.
type shownReviews struct{ h *House }

var _ httpapi.Reviews = shownReviews{}

// State implements httpapi.Reviews and admin.Reviews.
func (s shownReviews) State(ctx context.Context, of ids.Tenant) (review.State, []review.Item, error) {
	state, err := s.h.reviews.State(ctx, of)
	if err != nil {
		return state, nil, err
	}
	items, err := s.h.accesses(ctx, of)
	return state, items, err
}

// Sign implements httpapi.Reviews.
func (s shownReviews) Sign(ctx context.Context, of ids.Tenant, by access.Principal, keep map[string]bool) (review.Review, error) {
	if by.Token != 0 {
		return review.Review{}, fault.New(fault.Denied, "A review is signed by a person, signed in.")
	}
	return s.h.reviews.Sign(ctx, of, actor(by), keep)
}

// operatedReviews implements admin.Reviews.
type operatedReviews struct{ shownReviews }

// Sign implements admin.Reviews.
func (o operatedReviews) Sign(ctx context.Context, of ids.Tenant, by evidence.Actor, keep map[string]bool) (review.Review, error) {
	return o.h.reviews.Sign(ctx, of, by, keep)
}

// reviewed hands a customer's reviews over at the contract's end.
func (p belongings) reviewed(ctx context.Context, of ids.Tenant, f yield) error {
	s, err := p.House.reviews.State(ctx, of)
	if err != nil {
		return err
	}
	for _, r := range s.Past {
		err := f(pledge.Record{Category: review.Category, ID: r.Entry.String(), At: r.Signed, Fields: facts("quarter", r.Quarter.String(), "by", string(r.By), "decisions", r.Decisions)})
		if err != nil {
			return err
		}
	}
	return nil
}
