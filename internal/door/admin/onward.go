package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/onward"
)

// Onward is protect/onward.
type Onward interface {
	List(ctx context.Context, in scope.Scope, before ids.Onward, limit int, open bool) ([]onward.Notice, error)
	OfCase(ctx context.Context, in scope.Scope, id ids.Case) ([]onward.Notice, error)
	Retry(ctx context.Context, in scope.Scope, id ids.Onward) (onward.Notice, error)
	Settle(ctx context.Context, in scope.Scope, id ids.Onward, by evidence.Actor) (onward.Notice, error)
}

// The operations on notices to recipients of data.
const (
	OnwardList   Op[OnwardOf, []OnwardNotice] = "onward/list"
	OnwardRetry  Op[OnwardRef, OnwardNotice]  = "onward/retry"
	OnwardSettle Op[OnwardRef, OnwardNotice]  = "onward/settle"
)

// OnwardOf asks for a list, newest first.
type OnwardOf struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Open     bool       `json:"open,omitzero"`
}

// OnwardRef names one.
type OnwardRef struct {
	ID ids.Onward `json:"id"`
}

// OnwardNotice is one endpoint that got data, as it is printed.
type OnwardNotice struct {
	ID       ids.Onward   `json:"id"`
	Customer ids.Tenant   `json:"customer"`
	Event    string       `json:"event"`
	Request  ids.Case     `json:"request,omitzero"`
	Host     string       `json:"host"`
	State    onward.State `json:"state"`
	Late     bool         `json:"late"`
	Created  time.Time    `json:"created"`
	Due      time.Time    `json:"due"`
	Attempts int          `json:"attempts"`
	Status   int          `json:"last_status"`
	Ended    time.Time    `json:"ended,omitzero"`
}

func noticeOf(n onward.Notice, now time.Time) OnwardNotice {
	return OnwardNotice{
		ID: n.ID, Customer: n.Tenant, Event: n.Kind.Event(), Request: n.Case, Host: n.Host, State: n.State, Late: n.Late(now), Created: n.Created, Due: n.Due,
		Attempts: n.Attempts, Status: n.Code, Ended: n.Ended,
	}
}

func (s *Server) notices(mux *http.ServeMux, p Parts) {
	handle(s, mux, OnwardList, func(ctx context.Context, in OnwardOf) ([]OnwardNotice, error) {
		if p.Onward == nil {
			return nil, absent("onward")
		}
		found, err := p.Onward.List(ctx, scopeOf(in.Customer), 0, maxRequests, in.Open)
		list := make([]OnwardNotice, len(found))
		for i, n := range found {
			list[i] = noticeOf(n, p.Clock.Now())
		}
		return list, err
	})
	one := func(op Op[OnwardRef, OnwardNotice], do func(context.Context, ids.Onward) (onward.Notice, error)) {
		handle(s, mux, op, func(ctx context.Context, in OnwardRef) (OnwardNotice, error) {
			if p.Onward == nil {
				return OnwardNotice{}, absent("onward")
			}
			n, err := do(ctx, in.ID)
			if err != nil {
				return OnwardNotice{}, err
			}
			return noticeOf(n, p.Clock.Now()), nil
		})
	}
	one(OnwardRetry, func(ctx context.Context, id ids.Onward) (onward.Notice, error) {
		return p.Onward.Retry(ctx, scope.Everyone, id)
	})
	one(OnwardSettle, func(ctx context.Context, id ids.Onward) (onward.Notice, error) {
		return p.Onward.Settle(ctx, scope.Everyone, id, operator())
	})
}
