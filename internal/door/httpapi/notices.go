package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/product/trust/notice"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// Notices tells accounts of changes of the policy; product/trust/notice does.
type Notices interface {
	List(ctx context.Context, of ids.Tenant) ([]notice.Notice, error)
	Unseen(ctx context.Context, of ids.Tenant) ([]notice.Notice, error)
	See(ctx context.Context, account, of ids.Tenant, number int, accept bool, by evidence.Role) error
	Used(ctx context.Context, account ids.Tenant)
}

// Notice tells an account of a new version of a policy.
type Notice struct {
	Whose       string     `json:"whose" enum:"platform,own" doc:"The platform's policy, or the account's own."`
	Number      int        `json:"number"`
	Title       string     `json:"title"`
	URL         string     `json:"url,omitempty" doc:"Where every version stands, below the server's address."`
	PublishedAt time.Time  `json:"published_at"`
	EffectiveAt time.Time  `json:"effective_at"`
	MailedAt    *time.Time `json:"mailed_at" doc:"When the account's contacts were mailed; null: not yet."`
	SeenAt      *time.Time `json:"seen_at" doc:"Null: it stands on the overview."`
	AcceptedAt  *time.Time `json:"accepted_at"`
	AcceptedBy  string     `json:"accepted_by,omitempty" enum:"click,use" doc:"use: the first use after it took effect."`
}

type noticesOut struct{ Body []Notice }

type seeIn struct {
	Whose  string `path:"whose" enum:"platform,own"`
	Number int    `path:"number" minimum:"1" maximum:"1000000000"`
	Body   struct {
		Accept bool `json:"accept,omitempty" doc:"Put on record that the account accepts the version."`
	}
}

// seeNotice is no use of the service: who reads a notice accepts nothing by it.
const seeNotice = "see-notice"

func (a *API) policyNoticeRoutes() {
	const tag = "policy"
	register(a, op{id: "list-notices", method: http.MethodGet, path: "/v1/notices", summary: "What the account was told of changes of the policy, and what it accepted", tag: tag, needs: access.PolicyRead}, a.listPolicyNotices)
	register(a, op{id: seeNotice, method: http.MethodPost, path: "/v1/notices/{whose}/{number}/seen", summary: "Take a notice off the overview, and accept the version if so said", tag: tag, needs: access.UsersManage, status: http.StatusNoContent}, a.seeNotice)
}

func viewNotice(n notice.Notice) Notice {
	v := Notice{
		Whose: "own", Number: n.Number, Title: n.Title(), PublishedAt: n.Published, EffectiveAt: n.Effective,
		MailedAt: when(n.Mailed), SeenAt: when(n.Seen), AcceptedAt: when(n.Accepted), AcceptedBy: string(n.How),
	}
	if n.Of == tenant.Platform {
		v.Whose, v.URL = "platform", fmt.Sprintf("/trust/policy#v%d", n.Number)
	}
	return v
}

func viewNotices(list []notice.Notice, err error) ([]Notice, error) {
	out := make([]Notice, len(list))
	for i, n := range list {
		out[i] = viewNotice(n)
	}
	return out, err
}

func (a *API) listPolicyNotices(ctx context.Context, who Asker, _ *struct{}) (*noticesOut, error) {
	if a.parts.Notices == nil {
		return nil, absent()
	}
	list, err := viewNotices(a.parts.Notices.List(ctx, who.Tenant))
	return &noticesOut{list}, err
}

func (a *API) seeNotice(ctx context.Context, who Asker, in *seeIn) (*nothing, error) {
	if a.parts.Notices == nil {
		return nil, absent()
	}
	of := who.Tenant
	if in.Whose == "platform" {
		of = tenant.Platform
	}
	role := evidence.ByAdmin
	switch who.Role {
	case access.Owner:
		role = evidence.ByOwner
	case access.Operator, access.Custodian:
		role = evidence.ByOperator
	case access.Admin, access.Developer, access.Viewer, access.Auditor:
	}
	return nil, a.parts.Notices.See(ctx, who.Tenant, of, in.Number, in.Body.Accept, role)
}

// used says that an account uses the service, where an operation does something. Who
// closed the account because of a new policy, and only fetches what is theirs, does not
// accept it by that.
func (a *API) used(ctx context.Context, who Asker, o op) {
	if o.method == http.MethodGet || o.id == seeNotice || who.Tenant == 0 || who.Tenant == tenant.Platform || a.parts.Notices == nil || a.parts.Tenants.Active(ctx, who.Tenant) != nil {
		return
	}
	a.parts.Notices.Used(ctx, who.Tenant)
}
