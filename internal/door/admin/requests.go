package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/request"
)

// Requests is protect/request.
type Requests interface {
	List(ctx context.Context, in scope.Scope, before ids.Case, limit int) ([]request.Case, error)
	Get(ctx context.Context, in scope.Scope, id ids.Case) (request.Case, error)
	Decide(ctx context.Context, x request.Decision) (request.Case, error)
}

// The operations on requests of persons.
const (
	RequestList   Op[RequestsOf, []PersonsRequest]     = "request/list"
	RequestShow   Op[RequestRef, PersonsRequest]       = "request/show"
	RequestDecide Op[RequestsDecision, PersonsRequest] = "request/decide"
)

// RequestsOf asks for a list, newest first.
type RequestsOf struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Before   ids.Case   `json:"before,omitzero"`
	Limit    int        `json:"limit,omitzero"`
}

// RequestRef names one request.
type RequestRef struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	ID       ids.Case   `json:"id"`
}

// RequestsDecision decides for a customer; where one alone holds something, it
// need not be named.
type RequestsDecision struct {
	RequestRef
	Verdict  request.Verdict `json:"verdict"`
	Reason   string          `json:"reason,omitzero"`
	Field    string          `json:"field,omitzero"`
	Value    string          `json:"value,omitzero"`
	KeepAway bool            `json:"keep_away,omitzero"`
	Theirs   bool            `json:"identified,omitzero"` // the identifiers are the person's
}

// PersonsRequest is a request as it is printed.
type PersonsRequest struct {
	ID      ids.Case       `json:"id"`
	Kind    request.Kind   `json:"kind"`
	Law     string         `json:"law"`
	Source  request.Source `json:"source"`
	State   request.State  `json:"state"`
	Address string         `json:"address"`
	Note    string         `json:"note,omitempty"`
	// Identifiers are words by which the person says to be known besides.
	Identifiers []pledge.Identifier `json:"identifiers,omitempty"`
	Received    time.Time           `json:"received"`
	Proved      time.Time           `json:"proved,omitzero"`
	Confirmed   time.Time           `json:"confirmed,omitzero"`
	Ended       time.Time           `json:"ended,omitzero"`
	Shares      []RequestShare      `json:"shares"`
}

// RequestShare is one customer's part.
type RequestShare struct {
	Customer ids.Tenant       `json:"customer"`
	State    request.State    `json:"state"`
	Standing request.Standing `json:"standing"`
	Due      time.Time        `json:"due"`
	Decided  time.Time        `json:"decided,omitzero"`
	Reason   string           `json:"reason,omitempty"`
}

// maxRequests is the longest list that is answered at once.
const maxRequests = 1000

func printed(c request.Case, now time.Time) PersonsRequest {
	v := PersonsRequest{
		ID: c.ID, Kind: c.Kind, Law: c.Law.Name, Source: c.Source, State: c.State, Address: c.Address.Text(), Note: c.Note, Identifiers: c.Identifiers, Received: c.Received,
		Proved: c.Proved, Confirmed: c.Confirmed, Ended: c.Ended, Shares: []RequestShare{},
	}
	for i := range c.Shares {
		s := &c.Shares[i]
		v.Shares = append(v.Shares, RequestShare{Customer: s.Tenant, State: s.State, Standing: s.Standing(now), Due: s.Due, Decided: s.Decided, Reason: s.Reason})
	}
	return v
}

func (s *Server) requests(mux *http.ServeMux, p Parts) {
	handle(s, mux, RequestList, func(ctx context.Context, in RequestsOf) ([]PersonsRequest, error) {
		if p.Requests == nil {
			return nil, absent("requests")
		}
		if in.Limit <= 0 || in.Limit > maxRequests {
			in.Limit = maxRequests
		}
		found, err := p.Requests.List(ctx, scopeOf(in.Customer), in.Before, in.Limit)
		list := make([]PersonsRequest, len(found))
		for i, c := range found {
			list[i] = printed(c, p.Clock.Now())
		}
		return list, err
	})
	handle(s, mux, RequestShow, func(ctx context.Context, in RequestRef) (PersonsRequest, error) {
		if p.Requests == nil {
			return PersonsRequest{}, absent("requests")
		}
		c, err := p.Requests.Get(ctx, scopeOf(in.Customer), in.ID)
		if err != nil {
			return PersonsRequest{}, err
		}
		return printed(c, p.Clock.Now()), nil
	})
	handle(s, mux, RequestDecide, func(ctx context.Context, in RequestsDecision) (PersonsRequest, error) {
		if p.Requests == nil {
			return PersonsRequest{}, absent("requests")
		}
		c, err := p.Requests.Get(ctx, scopeOf(in.Customer), in.ID)
		if err != nil {
			return PersonsRequest{}, err
		}
		if len(c.Shares) != 1 {
			return PersonsRequest{}, fault.Field("customer", "Several customers hold something about this person, or none does; say which one decides.")
		}
		c, err = p.Requests.Decide(ctx, request.Decision{
			Case: in.ID, Tenant: c.Shares[0].Tenant, By: evidence.ByOperator, Verdict: in.Verdict, Reason: in.Reason, Field: in.Field, Value: in.Value, KeepAway: in.KeepAway, Theirs: in.Theirs,
		})
		if err != nil {
			return PersonsRequest{}, err
		}
		return printed(c, p.Clock.Now()), nil
	})
}
