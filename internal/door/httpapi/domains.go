package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
	"mailvow/internal/protect/access"
)

// Domain is a domain that a customer sends as and receives for.
type Domain struct {
	ID        string         `json:"id"`
	Customer  string         `json:"customer"`
	Name      string         `json:"name"`
	State     string         `json:"state" enum:"pending,verified,failed"`
	CreatedAt time.Time      `json:"created_at"`
	CheckedAt *time.Time     `json:"checked_at"`
	Records   []DomainRecord `json:"records,omitempty" nullable:"false" doc:"What to publish; found and ok are filled by a check."`
}

// DomainRecord is one record to publish.
type DomainRecord struct {
	Type    string   `json:"type" enum:"TXT,CNAME"`
	Name    string   `json:"name"`
	Value   string   `json:"value"`
	Purpose string   `json:"purpose" enum:"ownership,dkim,spf,dmarc,return_path"`
	Found   []string `json:"found" nullable:"false"`
	OK      bool     `json:"ok"`
	Needed  bool     `json:"needed" doc:"Without it nothing is sent as this domain."`
}

type domainOut struct{ Body Domain }

type newDomain struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"255" example:"example.com"`
	}
}

func (a *API) domainRoutes() {
	register(a, op{id: "list-domains", method: http.MethodGet, path: "/v1/domains", summary: "List domains", tag: "domains", needs: access.DomainsRead}, a.listDomains)
	register(a, op{id: "create-domain", method: http.MethodPost, path: "/v1/domains", summary: "Add a domain; the answer says what to publish", tag: "domains", needs: access.DomainsManage, status: http.StatusCreated}, a.createDomain)
	register(a, op{id: "get-domain", method: http.MethodGet, path: "/v1/domains/{id}", summary: "One domain, with the records to publish", tag: "domains", needs: access.DomainsRead}, a.getDomain)
	register(a, op{id: "check-domain", method: http.MethodPost, path: "/v1/domains/{id}/check", summary: "Look the domain's records up now", tag: "domains", needs: access.DomainsManage}, a.checkDomain)
	register(a, op{id: "delete-domain", method: http.MethodDelete, path: "/v1/domains/{id}", summary: "Remove a domain and its keys", tag: "domains", needs: access.DomainsManage}, a.deleteDomain)
}

func viewDomain(d relay.Domain) Domain {
	return Domain{ID: d.ID.String(), Customer: d.Tenant.String(), Name: d.Name, State: string(d.State), CreatedAt: d.Created.UTC(), CheckedAt: when(d.Checked)}
}

func withRecords(d relay.Domain, records []relay.Record) *domainOut {
	out := &domainOut{viewDomain(d)}
	for _, r := range records {
		found := r.Found
		if found == nil {
			found = []string{}
		}
		out.Body.Records = append(out.Body.Records, DomainRecord{Type: r.Type, Name: r.Name, Value: r.Value, Purpose: string(r.Purpose), Found: found, OK: r.OK, Needed: r.Needed})
	}
	return out
}

func (a *API) listDomains(ctx context.Context, who Asker, in *Paging) (*pageOut[Domain], error) {
	return pageOf(a, listing("domains", who), *in, func(before int64, limit int) ([]relay.Domain, error) {
		return a.parts.Domains.List(ctx, who.Scope, ids.Domain(before), limit)
	}, func(d relay.Domain) int64 { return int64(d.ID) }, viewDomain)
}

func (a *API) createDomain(ctx context.Context, who Asker, in *newDomain) (*domainOut, error) {
	d, err := a.parts.Domains.Add(ctx, who.Tenant, in.Body.Name)
	if err != nil {
		return nil, err
	}
	records, err := a.parts.Domains.Records(ctx, d)
	if err != nil {
		return nil, err
	}
	return withRecords(d, records), nil
}

func (a *API) getDomain(ctx context.Context, who Asker, in *ByID) (*domainOut, error) {
	id, err := idAt[ids.Domain]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.parts.Domains.Get(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	records, err := a.parts.Domains.Records(ctx, d)
	if err != nil {
		return nil, err
	}
	return withRecords(d, records), nil
}

func (a *API) checkDomain(ctx context.Context, who Asker, in *ByID) (*domainOut, error) {
	id, err := idAt[ids.Domain]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	d, records, err := a.parts.Domains.Check(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return withRecords(d, records), nil
}

func (a *API) deleteDomain(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Domain]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Domains.Remove(ctx, who.Scope, id)
}

// Route sends the mail of a recipient pattern to an endpoint.
type Route struct {
	ID        string       `json:"id"`
	Customer  string       `json:"customer"`
	Recipient string       `json:"recipient" example:"*@in.example"`
	Webhook   RouteWebhook `json:"webhook"`
	CreatedAt time.Time    `json:"created_at"`
}

// RouteWebhook is the endpoint of a route.
type RouteWebhook struct {
	URL    string `json:"url" maxLength:"2000"`
	Secret string `json:"secret,omitempty" readOnly:"true" doc:"Signs the requests (Standard Webhooks). Shown once."`
	Behind
}

// Behind says who stands behind an endpoint and what for.
type Behind struct {
	Recipient string   `json:"recipient,omitempty" maxLength:"200" doc:"Who stands behind the endpoint; empty: the customer itself."`
	Purpose   string   `json:"purpose,omitempty" maxLength:"200" doc:"What they get the mail for."`
	Own       []string `json:"own_purposes,omitempty" maxItems:"10" doc:"What they use it for on their own account: billing, security or legal duty. Anything else, others' marketing first of all, is refused."`
}

func (b Behind) of() pledge.Recipient {
	return pledge.Recipient{Name: strings.TrimSpace(b.Recipient), Purpose: strings.TrimSpace(b.Purpose), Own: b.Own}
}

type routeOut struct{ Body Route }

type newRoute struct {
	Body struct {
		Recipient string `json:"recipient" maxLength:"320" doc:"*@domain, user@domain or user+*@domain" example:"*@in.example"`
		Webhook   struct {
			URL string `json:"url" maxLength:"2000"`
			Behind
		} `json:"webhook"`
	}
}

type changeRoute struct {
	ByID
	Body struct {
		Webhook struct {
			URL       *string `json:"url,omitempty" maxLength:"2000"`
			NewSecret bool    `json:"new_secret,omitempty" doc:"Make another secret; it is shown once."`
			For       *Behind `json:"for,omitempty" doc:"Who stands behind it, in place of what was said before."`
		} `json:"webhook"`
	}
}

func (a *API) inboundRoutes() {
	register(a, op{id: "list-routes", method: http.MethodGet, path: "/v1/routes", summary: "List routes", tag: "routes", needs: access.RoutesRead}, a.listRoutes)
	register(a, op{id: "create-route", method: http.MethodPost, path: "/v1/routes", summary: "Send a recipient's mail to an endpoint; the secret is shown once", tag: "routes", needs: access.RoutesManage, status: http.StatusCreated, once: true}, a.createRoute)
	register(a, op{id: "get-route", method: http.MethodGet, path: "/v1/routes/{id}", summary: "One route", tag: "routes", needs: access.RoutesRead}, a.getRoute)
	register(a, op{id: "change-route", method: http.MethodPatch, path: "/v1/routes/{id}", summary: "Change a route's endpoint or secret", tag: "routes", needs: access.RoutesManage}, a.changeRoute)
	register(a, op{id: "delete-route", method: http.MethodDelete, path: "/v1/routes/{id}", summary: "Remove a route", tag: "routes", needs: access.RoutesManage}, a.deleteRoute)
}

func viewRoute(r inbound.Route) Route {
	return Route{ID: r.ID.String(), Customer: r.Tenant.String(), Recipient: r.Pattern, Webhook: RouteWebhook{URL: r.URL, Behind: Behind{r.To.Name, r.To.Purpose, r.To.Own}}, CreatedAt: r.Created.UTC()}
}

func (a *API) listRoutes(ctx context.Context, who Asker, in *Paging) (*pageOut[Route], error) {
	return pageOf(a, listing("routes", who), *in, func(before int64, limit int) ([]inbound.Route, error) {
		return a.parts.Inbound.List(ctx, who.Scope, ids.Route(before), limit)
	}, func(r inbound.Route) int64 { return int64(r.ID) }, viewRoute)
}

func (a *API) createRoute(ctx context.Context, who Asker, in *newRoute) (*routeOut, error) {
	r, err := a.parts.Inbound.AddTo(ctx, who.Tenant, in.Body.Recipient, in.Body.Webhook.URL, in.Body.Webhook.of())
	if err != nil {
		return nil, err
	}
	out := &routeOut{viewRoute(r)}
	out.Body.Webhook.Secret = r.SecretText()
	return out, nil
}

func (a *API) getRoute(ctx context.Context, who Asker, in *ByID) (*routeOut, error) {
	id, err := idAt[ids.Route]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	r, err := a.parts.Inbound.Get(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return &routeOut{viewRoute(r)}, nil
}

func (a *API) changeRoute(ctx context.Context, who Asker, in *changeRoute) (*routeOut, error) {
	id, err := idAt[ids.Route]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	change := inbound.Change{URL: in.Body.Webhook.URL, NewSecret: in.Body.Webhook.NewSecret}
	if b := in.Body.Webhook.For; b != nil {
		to := b.of()
		change.To = &to
	}
	r, err := a.parts.Inbound.Change(ctx, who.Scope, id, change)
	if err != nil {
		return nil, err
	}
	out := &routeOut{viewRoute(r)}
	if in.Body.Webhook.NewSecret {
		out.Body.Webhook.Secret = r.SecretText()
	}
	return out, nil
}

func (a *API) deleteRoute(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Route]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Inbound.Remove(ctx, who.Scope, id)
}
