package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/clearance"
)

// LawfulRequest is a request of an authority.
type LawfulRequest struct {
	ID         string     `json:"id"`
	Customer   string     `json:"customer,omitempty" doc:"Whose data is asked for; empty: no customer's in particular."`
	Kind       string     `json:"kind" enum:"data,content,preservation,other"`
	State      string     `json:"state" enum:"open,refused,narrowed,complied"`
	Country    string     `json:"country"`
	Authority  string     `json:"authority"`
	Case       string     `json:"case" doc:"The authority's number."`
	Law        string     `json:"law"`
	Note       string     `json:"note,omitempty"`
	ReceivedAt time.Time  `json:"received_at"`
	DecidedAt  *time.Time `json:"decided_at"`
	Persons    int64      `json:"persons" doc:"Whose data was given."`
	Exports    int64      `json:"exports" doc:"How often data was taken out for it."`
}

// Transparency is the report on authorities' requests.
type Transparency struct {
	Platform TransparencyReport `json:"platform" doc:"Of everybody."`
	Yours    TransparencyReport `json:"yours" doc:"About the data of the customer who asks."`
}

// TransparencyReport counts.
type TransparencyReport struct {
	None    string             `json:"none,omitempty" doc:"What it says while there was no request."`
	At      time.Time          `json:"at"`
	Total   int64              `json:"total"`
	Persons int64              `json:"persons" doc:"Whose data was given."`
	Years   []TransparencyYear `json:"years" nullable:"false"`
}

// TransparencyYear is one calendar year, in UTC.
type TransparencyYear struct {
	Year      int              `json:"year"`
	Total     int64            `json:"total"`
	Persons   int64            `json:"persons"`
	States    map[string]int64 `json:"states"`
	Kinds     map[string]int64 `json:"kinds"`
	Countries map[string]int64 `json:"countries"`
}

type newLawful struct {
	Body struct {
		Customer   string    `json:"customer,omitempty" maxLength:"64"`
		Kind       string    `json:"kind" enum:"data,content,preservation,other"`
		Country    string    `json:"country" minLength:"2" maxLength:"2"`
		Authority  string    `json:"authority" maxLength:"200"`
		Case       string    `json:"case" maxLength:"100"`
		Law        string    `json:"law" maxLength:"200"`
		Note       string    `json:"note,omitempty" maxLength:"2000"`
		ReceivedAt time.Time `json:"received_at,omitzero"`
	}
}

type decideLawful struct {
	ByID
	Body struct {
		State   string `json:"state" enum:"refused,narrowed,complied"`
		Persons int64  `json:"persons,omitempty" minimum:"0"`
	}
}

type authorityExport struct {
	Body struct {
		Case     string `json:"case,omitempty" maxLength:"100" doc:"The authority's number; without one nothing leaves."`
		Customer string `json:"customer" maxLength:"64"`
		Address  string `json:"address" maxLength:"320"`
	}
}

type (
	lawfulOut       struct{ Body LawfulRequest }
	transparencyOut struct{ Body Transparency }
)

func (a *API) lawfulRoutes() {
	tag, p := "assurance", access.LawfulManage
	register(a, op{id: "list-lawful-requests", method: http.MethodGet, path: "/v1/lawful-requests", summary: "What authorities asked for, newest first", tag: tag, needs: p}, a.listLawful)
	register(a, op{id: "create-lawful-request", method: http.MethodPost, path: "/v1/lawful-requests", summary: "Enter what an authority asks for", tag: tag, needs: p, status: http.StatusCreated, quiet: true}, a.createLawful)
	register(a, op{id: "decide-lawful-request", method: http.MethodPost, path: "/v1/lawful-requests/{id}/decision", summary: "Refuse, narrow or comply", tag: tag, needs: p, status: http.StatusOK, quiet: true}, a.decideLawful)
	register(a, op{id: "export-for-authority", method: http.MethodPost, path: "/v1/lawful-exports", summary: "Everything on one person, under the number of an open case (JSON lines); on record before the first byte", tag: tag, needs: p, status: http.StatusOK, quiet: true, once: true}, a.exportLawful)
	register(a, op{id: "get-transparency", method: http.MethodGet, path: "/v1/transparency", summary: "How often authorities asked, and what they got", tag: tag, needs: access.PolicyRead}, a.transparency)
}

func viewLawful(r lawful.Request) LawfulRequest {
	v := LawfulRequest{
		ID: r.ID.String(), Kind: string(r.Kind), State: string(r.State), Country: r.Country, Authority: r.Authority, Case: r.Case, Law: r.Law, Note: r.Note,
		ReceivedAt: r.Received.UTC(), DecidedAt: when(r.Decided), Persons: r.Persons, Exports: r.Exports,
	}
	if r.Customer != 0 {
		v.Customer = r.Customer.String()
	}
	return v
}

func (a *API) listLawful(ctx context.Context, who Asker, in *Paging) (*pageOut[LawfulRequest], error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	return pageOf(a, listing("lawful", who), *in, func(before int64, limit int) ([]lawful.Request, error) {
		return a.parts.Assurance.Lawful(ctx, who.Scope, ids.Lawful(before), limit)
	}, func(r lawful.Request) int64 { return int64(r.ID) }, viewLawful)
}

func (a *API) createLawful(ctx context.Context, who Asker, in *newLawful) (*lawfulOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	b := &in.Body
	r := lawful.Request{Kind: lawful.Kind(b.Kind), Country: b.Country, Authority: b.Authority, Case: b.Case, Law: b.Law, Note: b.Note, Received: b.ReceivedAt}
	var err error
	if b.Customer != "" {
		if r.Customer, err = a.customerAt(ctx, b.Customer); err != nil {
			return nil, err
		}
	}
	if r, err = a.parts.Assurance.Ask(ctx, r, who.Principal); err != nil {
		return nil, err
	}
	return &lawfulOut{viewLawful(r)}, nil
}

// customerAt is a customer who is there.
func (a *API) customerAt(ctx context.Context, text string) (ids.Tenant, error) {
	id, err := idAt[ids.Tenant]("customer", text)
	if err == nil {
		_, err = a.parts.Tenants.Get(ctx, scope.Tenant(id), id)
	}
	return id, err
}

func (a *API) decideLawful(ctx context.Context, who Asker, in *decideLawful) (*lawfulOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Lawful]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	r, err := a.parts.Assurance.Decide(ctx, who.Scope, id, lawful.State(in.Body.State), in.Body.Persons, who.Principal)
	if err != nil {
		return nil, err
	}
	return &lawfulOut{viewLawful(r)}, nil
}

func (a *API) exportLawful(ctx context.Context, who Asker, in *authorityExport) (*stream, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	to, err := addressAt("address", in.Body.Address)
	if err != nil {
		return nil, err
	}
	customer, err := a.customerAt(ctx, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	// The register names nobody; what is taken out for it is personal.
	reach, _ := who.May(access.SubjectsManage)
	if !reach.Allows(customer) {
		return nil, fault.New(fault.Denied, cmp.Or(who.Why(), "Your grant does not reach this customer's data."))
	}
	var lines bytes.Buffer
	_, err = a.parts.Assurance.TakeOut(ctx, who.Scope, in.Body.Case, customer, to, who.Principal, &bounded{w: &lines, left: maxExport})
	if err != nil {
		return nil, err
	}
	return download("application/jsonl", "export.jsonl", int64(lines.Len()), &lines, io.NopCloser(nil)), nil
}

func (a *API) transparency(ctx context.Context, who Asker, _ *nothing) (*transparencyOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	out := &transparencyOut{}
	for in, to := range map[scope.Scope]*TransparencyReport{scope.Everyone: &out.Body.Platform, scope.Tenant(who.Tenant): &out.Body.Yours} {
		r, err := a.parts.Assurance.Report(ctx, in)
		if err != nil {
			return nil, err
		}
		*to = viewReport(r)
	}
	return out, nil
}

func viewReport(r lawful.Report) TransparencyReport {
	v := TransparencyReport{None: r.None, At: r.At, Total: r.Total, Persons: r.Persons, Years: []TransparencyYear{}}
	for _, y := range r.Years {
		v.Years = append(v.Years, TransparencyYear{Year: y.Year, Total: y.Total, Persons: y.Persons, States: counted(y.States), Kinds: counted(y.Kinds), Countries: y.Countries})
	}
	return v
}

func counted[K ~string](m map[K]int64) map[string]int64 {
	out := map[string]int64{}
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}

// Staff says what is open to the operator's people; protect/clearance does.
type Staff interface {
	Bind(ctx context.Context, p access.Principal) (access.Principal, error)
	Take(ctx context.Context, by access.Principal, g clearance.Grant) (clearance.Grant, error)
	End(ctx context.Context, by access.Principal, id ids.Grant) (clearance.Grant, error)
	List(ctx context.Context, in scope.Scope, before ids.Grant, limit int) ([]clearance.Grant, error)
}

// AccessGrant opens personal data to one of the operator's people for a time.
type AccessGrant struct {
	ID       string     `json:"id"`
	User     string     `json:"user"`
	Customer string     `json:"customer,omitempty" doc:"Whose data it opens; empty: every customer's."`
	Reason   string     `json:"reason"`
	TakenAt  time.Time  `json:"taken_at"`
	Until    time.Time  `json:"until"`
	EndedAt  *time.Time `json:"ended_at" doc:"When it was given back before its end."`
	Live     bool       `json:"live"`
}

type newGrant struct {
	Body struct {
		Customer string    `json:"customer,omitempty" maxLength:"64" doc:"Whose data; without it every customer's."`
		Reason   string    `json:"reason" maxLength:"500" doc:"The ticket, the complaint, the request. The customer reads it."`
		Until    time.Time `json:"until" doc:"Within a day."`
	}
}

type grantOut struct{ Body AccessGrant }

func (a *API) grantRoutes() {
	tag := "assurance"
	register(a, op{id: "list-grants", method: http.MethodGet, path: "/v1/grants", summary: "Who of the operator's people opened personal data, and why", tag: tag, needs: access.EvidenceRead}, a.listGrants)
	register(a, op{id: "take-grant", method: http.MethodPost, path: "/v1/grants", summary: "Open personal data to oneself, with a reason and an end", tag: tag, needs: access.GrantsTake, status: http.StatusCreated, quiet: true}, a.takeGrant)
	register(a, op{id: "end-grant", method: http.MethodPost, path: "/v1/grants/{id}/end", summary: "Give one's own grant back", tag: tag, needs: access.GrantsTake, status: http.StatusOK, quiet: true}, a.endGrant)
}

func (a *API) viewGrant(g clearance.Grant) AccessGrant {
	v := AccessGrant{
		ID: g.ID.String(), User: g.User.String(), Reason: g.Reason, TakenAt: g.Taken.UTC(), Until: g.Until.UTC(), EndedAt: when(g.Ended), Live: g.Live(a.parts.Clock.Now()),
	}
	if g.Customer != 0 {
		v.Customer = g.Customer.String()
	}
	return v
}

func (a *API) listGrants(ctx context.Context, who Asker, in *Paging) (*pageOut[AccessGrant], error) {
	if a.parts.Staff == nil {
		return nil, absent()
	}
	return pageOf(a, listing("grants", who), *in, func(before int64, limit int) ([]clearance.Grant, error) {
		return a.parts.Staff.List(ctx, who.Scope, ids.Grant(before), limit)
	}, func(g clearance.Grant) int64 { return int64(g.ID) }, a.viewGrant)
}

func (a *API) takeGrant(ctx context.Context, who Asker, in *newGrant) (*grantOut, error) {
	if a.parts.Staff == nil {
		return nil, absent()
	}
	g := clearance.Grant{Reason: in.Body.Reason, Until: in.Body.Until}
	var err error
	if in.Body.Customer != "" {
		if g.Customer, err = a.customerAt(ctx, in.Body.Customer); err != nil {
			return nil, err
		}
	}
	if g, err = a.parts.Staff.Take(ctx, who.Principal, g); err != nil {
		return nil, err
	}
	return &grantOut{a.viewGrant(g)}, nil
}

func (a *API) endGrant(ctx context.Context, who Asker, in *ByID) (*grantOut, error) {
	if a.parts.Staff == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Grant]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	g, err := a.parts.Staff.End(ctx, who.Principal, id)
	if err != nil {
		return nil, err
	}
	return &grantOut{a.viewGrant(g)}, nil
}
