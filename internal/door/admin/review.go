package admin

import (
	"context"
	"net/http"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/tenant"
)

// Reviews are those of an account's access; app does.
type Reviews interface {
	State(ctx context.Context, of ids.Tenant) (review.State, []review.Item, error)
	Sign(ctx context.Context, of ids.Tenant, by evidence.Actor, keep map[string]bool) (review.Review, error)
}

// The operations on reviews of access.
const (
	ReviewShow Op[struct{}, Review]           = "access-review/show"
	ReviewSign Op[ReviewSigned, SignedReview] = "access-review/sign"
)

// Review is where the operator's own access stands.
type Review struct {
	Quarter string         `json:"quarter"`
	Due     string         `json:"due"`
	Signed  bool           `json:"signed"`
	Overdue bool           `json:"overdue"`
	Items   []review.Item  `json:"items"`
	Past    []SignedReview `json:"past"`
}

// ReviewSigned revokes some of them and keeps the others.
type ReviewSigned struct {
	Revoke []string `json:"revoke"`
}

// SignedReview is one that was signed.
type SignedReview struct {
	Quarter string `json:"quarter"`
	Signed  string `json:"signed"`
	Kept    int    `json:"kept"`
	Revoked int    `json:"revoked"`
	Entry   string `json:"entry"`
}

func signed(r review.Review) SignedReview {
	return SignedReview{r.Quarter.String(), evidence.On(r.Signed).String(), r.Kept, r.Revoked, r.Entry.String()}
}

func (s *Server) reviews(mux *http.ServeMux, p Parts) {
	handle(s, mux, ReviewShow, func(ctx context.Context, _ struct{}) (Review, error) {
		if p.Reviews == nil {
			return Review{}, absent("reviews of access")
		}
		state, items, err := p.Reviews.State(ctx, tenant.Platform)
		out := Review{Quarter: state.Quarter.String(), Due: evidence.On(state.Due).String(), Signed: state.Signed, Overdue: state.Overdue, Items: items, Past: []SignedReview{}}
		for _, r := range state.Past {
			out.Past = append(out.Past, signed(r))
		}
		return out, err
	})
	handle(s, mux, ReviewSign, func(ctx context.Context, in ReviewSigned) (SignedReview, error) {
		if p.Reviews == nil {
			return SignedReview{}, absent("reviews of access")
		}
		_, items, err := p.Reviews.State(ctx, tenant.Platform)
		if err != nil {
			return SignedReview{}, err
		}
		keep := map[string]bool{}
		for _, x := range items {
			keep[x.ID] = true
		}
		for _, id := range in.Revoke {
			if !keep[id] {
				return SignedReview{}, fault.New(fault.NotFound, "There is no access "+id+"; mailvow access-review show lists them.")
			}
			keep[id] = false
		}
		r, err := p.Reviews.Sign(ctx, tenant.Platform, operator(), keep)
		return signed(r), err
	})
}
