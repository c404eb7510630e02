package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/review"
)

// Reviews are those of an account's access; protect/review through app.
type Reviews interface {
	State(ctx context.Context, of ids.Tenant) (review.State, []review.Item, error)
	Sign(ctx context.Context, of ids.Tenant, by access.Principal, keep map[string]bool) (review.Review, error)
}

// AccessReview is where an account stands, and all that there is to decide about.
type AccessReview struct {
	Quarter string         `json:"quarter" example:"2026-Q4"`
	DueAt   time.Time      `json:"due_at"`
	Signed  bool           `json:"signed" doc:"This quarter's is."`
	Overdue bool           `json:"overdue" doc:"The quarter before had none, and this one has none yet."`
	Items   []AccessItem   `json:"items" nullable:"false"`
	Past    []SignedReview `json:"past" nullable:"false"`
}

// AccessItem is one access.
type AccessItem struct {
	ID     string     `json:"id"`
	What   string     `json:"what" enum:"user,token,credential,grant"`
	Detail string     `json:"detail" doc:"The role, the scopes, or the kind."`
	Label  string     `json:"label,omitempty" doc:"A name, for who may see users."`
	Since  time.Time  `json:"since"`
	Used   *time.Time `json:"used_at"`
	Until  *time.Time `json:"until"`
}

// SignedReview is one that was signed.
type SignedReview struct {
	Quarter   string    `json:"quarter"`
	SignedAt  time.Time `json:"signed_at"`
	By        string    `json:"by" doc:"In which capacity."`
	Kept      int       `json:"kept"`
	Revoked   int       `json:"revoked"`
	Decisions string    `json:"decisions" doc:"A line each: what, identifier, keep or revoke."`
	Entry     string    `json:"entry" doc:"Of the evidence log."`
}

type reviewToSign struct {
	Body struct {
		Decisions []struct {
			ID   string `json:"id" maxLength:"64"`
			Keep bool   `json:"keep"`
		} `json:"decisions" maxItems:"10000" nullable:"false" doc:"One for every access; what is not kept is revoked at once."`
	}
}

func (a *API) reviewRoutes() {
	register(a, op{id: "get-access-review", method: http.MethodGet, path: "/v1/access-review", summary: "Who and what has access to the account, and the reviews of it", tag: "users", needs: access.AuditRead}, a.getReview)
	register(a, op{id: "sign-access-review", method: http.MethodPost, path: "/v1/access-review", summary: "Keep or revoke every access, and sign this quarter's review", tag: "users", needs: access.UsersManage, status: http.StatusOK}, a.signReview)
}

func (a *API) getReview(ctx context.Context, who Asker, _ *nothing) (*struct{ Body AccessReview }, error) {
	if a.parts.Reviews == nil {
		return nil, absent()
	}
	s, items, err := a.parts.Reviews.State(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	_, named := who.May(access.UsersRead)
	out := AccessReview{Quarter: s.Quarter.String(), DueAt: s.Due, Signed: s.Signed, Overdue: s.Overdue, Items: []AccessItem{}, Past: []SignedReview{}}
	for _, x := range items {
		v := AccessItem{ID: x.ID, What: x.What, Detail: x.Detail, Since: x.Since.UTC(), Used: when(x.Used), Until: when(x.Until)}
		if named {
			v.Label = x.Label
		}
		out.Items = append(out.Items, v)
	}
	for _, r := range s.Past {
		out.Past = append(out.Past, viewReview(r))
	}
	return &struct{ Body AccessReview }{out}, nil
}

func viewReview(r review.Review) SignedReview {
	return SignedReview{Quarter: r.Quarter.String(), SignedAt: r.Signed, By: string(r.By), Kept: r.Kept, Revoked: r.Revoked, Decisions: r.Decisions, Entry: r.Entry.String()}
}

func (a *API) signReview(ctx context.Context, who Asker, in *reviewToSign) (*struct{ Body SignedReview }, error) {
	if a.parts.Reviews == nil {
		return nil, absent()
	}
	keep := map[string]bool{}
	for _, d := range in.Body.Decisions {
		keep[d.ID] = d.Keep
	}
	r, err := a.parts.Reviews.Sign(ctx, who.Tenant, who.Principal, keep)
	return &struct{ Body SignedReview }{viewReview(r)}, err
}
