package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/protect/access"
)

// Suppression is an address that nothing is sent to.
type Suppression struct {
	ID        string     `json:"id"`
	Customer  string     `json:"customer,omitempty" doc:"Empty where it holds for every customer."`
	Address   string     `json:"address"`
	Reason    string     `json:"reason" enum:"manual,unsubscribe,complaint,hard_bounce,restricted"`
	Source    string     `json:"source" enum:"delivery,api,report,subject"`
	Note      string     `json:"note,omitempty"`
	Until     *time.Time `json:"until"`
	CreatedAt time.Time  `json:"created_at"`
}

type suppressionOut struct{ Body Suppression }

type newSuppression struct {
	Body struct {
		Address string     `json:"address" maxLength:"320"`
		Reason  string     `json:"reason,omitempty" enum:"manual,unsubscribe,complaint,hard_bounce" default:"manual"`
		Note    string     `json:"note,omitempty" maxLength:"1000"`
		Until   *time.Time `json:"until,omitempty" doc:"Without it, until it is lifted."`
	}
}

type suppressionQuery struct {
	Paging
	Address string `query:"address" maxLength:"320" doc:"Only those of this address."`
}

func (a *API) suppressionRoutes() {
	register(a, op{id: "list-suppressions", method: http.MethodGet, path: "/v1/suppressions", summary: "List addresses that nothing is sent to", tag: "suppressions", needs: access.SuppressionsRead}, a.listSuppressions)
	register(a, op{id: "create-suppression", method: http.MethodPost, path: "/v1/suppressions", summary: "Send nothing to an address", tag: "suppressions", needs: access.SuppressionsManage, status: http.StatusCreated}, a.createSuppression)
	register(a, op{id: "delete-suppression", method: http.MethodDelete, path: "/v1/suppressions/{id}", summary: "Lift a suppression", tag: "suppressions", needs: access.SuppressionsManage}, a.deleteSuppression)
}

func viewSuppression(s suppress.Suppression) Suppression {
	return Suppression{
		ID: s.ID.String(), Customer: s.Tenant.String(), Address: s.Address.Text(), Reason: string(s.Reason), Source: string(s.Source),
		Note: s.Note, Until: when(s.Until), CreatedAt: s.Created.UTC(),
	}
}

func (a *API) listSuppressions(ctx context.Context, who Asker, in *suppressionQuery) (*pageOut[Suppression], error) {
	var of address.Address
	if in.Address != "" {
		var err error
		if of, err = addressAt("query.address", in.Address); err != nil {
			return nil, err
		}
		in.Limit, in.Cursor = 200, "" // an address has a handful
	}
	return pageOf(a, listing("suppressions", who), in.Paging, func(before int64, limit int) ([]suppress.Suppression, error) {
		return a.parts.Suppressions.List(ctx, who.Scope, of, ids.Suppression(before), limit)
	}, func(s suppress.Suppression) int64 { return int64(s.ID) }, viewSuppression)
}

func (a *API) createSuppression(ctx context.Context, who Asker, in *newSuppression) (*suppressionOut, error) {
	to, err := addressAt("address", in.Body.Address)
	if err != nil {
		return nil, err
	}
	n := suppress.Suppression{Tenant: who.Tenant, Address: to, Reason: suppress.Reason(in.Body.Reason), Source: suppress.FromAPI, Note: in.Body.Note}
	if in.Body.Until != nil {
		n.Until = *in.Body.Until
	}
	n, err = a.parts.Suppressions.Add(ctx, n)
	if err != nil {
		return nil, err
	}
	return &suppressionOut{viewSuppression(n)}, nil
}

func (a *API) deleteSuppression(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Suppression]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Suppressions.Remove(ctx, who.Scope, id)
}
