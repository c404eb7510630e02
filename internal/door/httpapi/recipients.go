package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"

	"mailvow/internal/base/ids"
	"mailvow/internal/product/inbound"
	"mailvow/internal/protect/access"
)

// Recipient is somebody who gets personal data. Beside them mail goes to the hosts
// of the people it is written to, and to nobody else.
type Recipient struct {
	Kind     string   `json:"kind" enum:"sub_processor,endpoint" doc:"One of the operator's, or who stands behind an endpoint of the customer's."`
	Name     string   `json:"name" doc:"Empty: the customer itself."`
	Purposes []string `json:"purposes" nullable:"false" doc:"What they get it for."`
	Own      []string `json:"own_purposes" nullable:"false" doc:"What they use it for on their own account."`
	Country  string   `json:"country,omitempty" doc:"Where a sub-processor has it."`
	Host     string   `json:"host,omitempty" doc:"Of an endpoint."`
	Customer string   `json:"customer,omitempty" doc:"Whose endpoint it is, or whose data alone a sub-processor gets."`
}

func (a *API) recipientRoutes() {
	register(a, op{id: "list-recipients", method: http.MethodGet, path: "/v1/recipients", summary: "Everybody who gets personal data, and what for: sub-processors in force and endpoints of routes", tag: "sub-processors", needs: access.PolicyRead}, a.listRecipients)
}

func (a *API) listRecipients(ctx context.Context, who Asker, _ *struct{}) (*itemsOut[Recipient], error) {
	if a.parts.Supply == nil {
		return nil, absent()
	}
	out := &itemsOut[Recipient]{}
	out.Body.Items = []Recipient{}
	for _, p := range a.parts.Supply.List(ofSupply(who)) {
		if p.Current == nil {
			continue
		}
		e := p.Current.Entry
		r := Recipient{Kind: "sub_processor", Name: e.Name, Purposes: e.Purposes, Own: orNone(e.Own), Country: e.Country}
		if p.Tenant != 0 {
			r.Customer = p.Tenant.String()
		}
		out.Body.Items = append(out.Body.Items, r)
	}
	list, err := a.endpointsOf(ctx, who)
	out.Body.Items = append(out.Body.Items, list...)
	return out, err
}

// takesMail is what an endpoint gets mail for where nobody said more.
const takesMail = "take in the customer's mail"

// endpointsOf are those behind routes, each host and recipient of a customer once.
func (a *API) endpointsOf(ctx context.Context, who Asker) ([]Recipient, error) {
	var out []Recipient
	for before := ids.Route(0); ; {
		page, err := a.parts.Inbound.List(ctx, who.Scope, before, 200)
		if err != nil || len(page) == 0 {
			slices.SortFunc(out, func(x, y Recipient) int {
				return cmp.Or(cmp.Compare(x.Customer, y.Customer), cmp.Compare(x.Host, y.Host))
			})
			return out, err
		}
		for _, r := range page {
			before = r.ID
			n := viewEndpoint(r)
			if !slices.ContainsFunc(out, func(o Recipient) bool {
				return o.Customer == n.Customer && o.Host == n.Host && o.Name == n.Name && slices.Equal(o.Purposes, n.Purposes) && slices.Equal(o.Own, n.Own)
			}) {
				out = append(out, n)
			}
		}
	}
}

func viewEndpoint(r inbound.Route) Recipient {
	n := Recipient{Kind: "endpoint", Name: r.To.Name, Purposes: []string{cmp.Or(r.To.Purpose, takesMail)}, Own: orNone(r.To.Own), Customer: r.Tenant.String()}
	if u, err := url.Parse(r.URL); err == nil {
		n.Host = u.Host
	}
	return n
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
