package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/onward"
)

// Onward is protect/onward; app fills it.
type Onward interface {
	Get(ctx context.Context, in scope.Scope, id ids.Onward) (onward.Notice, error)
	List(ctx context.Context, in scope.Scope, before ids.Onward, limit int, open bool) ([]onward.Notice, error)
	OfCase(ctx context.Context, in scope.Scope, id ids.Case) ([]onward.Notice, error)
	Late(ctx context.Context, in scope.Scope) (int, error)
	Retry(ctx context.Context, in scope.Scope, id ids.Onward) (onward.Notice, error)
	Settle(ctx context.Context, in scope.Scope, id ids.Onward, by access.Principal) (onward.Notice, error)
}

// OnwardNotice is one endpoint that got a person's data and is told what became of it.
type OnwardNotice struct {
	ID       string     `json:"id"`
	Customer string     `json:"customer"`
	Event    string     `json:"event" enum:"subject.erased,subject.corrected,subject.restricted,subject.objected"`
	Request  string     `json:"request,omitempty" doc:"The request of the person, where it was one."`
	Route    string     `json:"route"`
	Host     string     `json:"host" doc:"The endpoint's."`
	State    string     `json:"state" enum:"open,acknowledged,settled,unanswered" doc:"acknowledged: it answered 2xx; settled: somebody told it by other means; unanswered: given up after 30 days."`
	Late     bool       `json:"late" doc:"It was not acknowledged in time."`
	MadeAt   time.Time  `json:"created_at"`
	DueAt    time.Time  `json:"due_at" doc:"By when it is to be acknowledged."`
	NextAt   *time.Time `json:"next_attempt_at"`
	Attempts int        `json:"attempts"`
	Answer   int        `json:"last_status" doc:"The HTTP status that the endpoint answered last; 0: none."`
	EndedAt  *time.Time `json:"ended_at"`
}

type noticeOut struct{ Body OnwardNotice }

type noticeQuery struct {
	Paging
	Open bool `query:"open" doc:"Only those that are not acknowledged yet."`
}

func (a *API) noticeRoutes() {
	tag, p := "subjects", access.SubjectsManage
	register(a, op{id: "list-onward", method: http.MethodGet, path: "/v1/onward", summary: "Endpoints that got data of persons and are told of an erasure, a correction, a restriction or an objection", tag: tag, needs: p}, a.listNotices)
	register(a, op{id: "get-onward", method: http.MethodGet, path: "/v1/onward/{id}", summary: "One notice", tag: tag, needs: p}, a.getNotice)
	register(a, op{id: "retry-onward", method: http.MethodPost, path: "/v1/onward/{id}/retry", summary: "Tell an endpoint again now", tag: tag, needs: p, status: http.StatusOK}, a.retryNotice)
	register(a, op{id: "settle-onward", method: http.MethodPost, path: "/v1/onward/{id}/settle", summary: "Say that an endpoint was told by other means", tag: tag, needs: p, status: http.StatusOK, quiet: true}, a.settleNotice)
}

func (a *API) viewNotice(n onward.Notice) OnwardNotice {
	v := OnwardNotice{
		ID: n.ID.String(), Customer: n.Tenant.String(), Event: n.Kind.Event(), Route: n.Route.String(), Host: n.Host, State: string(n.State),
		Late: n.Late(a.parts.Clock.Now()), MadeAt: n.Created.UTC(), DueAt: n.Due.UTC(), Attempts: n.Attempts, Answer: n.Code, EndedAt: when(n.Ended),
	}
	if n.Case != 0 {
		v.Request = n.Case.String()
	}
	if n.State == onward.Open {
		v.NextAt = when(n.Next)
	}
	return v
}

func (a *API) listNotices(ctx context.Context, who Asker, in *noticeQuery) (*pageOut[OnwardNotice], error) {
	if a.parts.Onward == nil {
		return nil, absent()
	}
	return pageOf(a, listing("onward", who), in.Paging, func(before int64, limit int) ([]onward.Notice, error) {
		return a.parts.Onward.List(ctx, who.Scope, ids.Onward(before), limit, in.Open)
	}, func(n onward.Notice) int64 { return int64(n.ID) }, a.viewNotice)
}

// notice does something with one of the asker's.
func (a *API) notice(text string, do func(ids.Onward) (onward.Notice, error)) (*noticeOut, error) {
	if a.parts.Onward == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Onward]("path.id", text)
	if err != nil {
		return nil, err
	}
	n, err := do(id)
	if err != nil {
		return nil, err
	}
	return &noticeOut{a.viewNotice(n)}, nil
}

func (a *API) getNotice(ctx context.Context, who Asker, in *ByID) (*noticeOut, error) {
	return a.notice(in.ID, func(id ids.Onward) (onward.Notice, error) { return a.parts.Onward.Get(ctx, who.Scope, id) })
}

func (a *API) retryNotice(ctx context.Context, who Asker, in *ByID) (*noticeOut, error) {
	return a.notice(in.ID, func(id ids.Onward) (onward.Notice, error) { return a.parts.Onward.Retry(ctx, who.Scope, id) })
}

func (a *API) settleNotice(ctx context.Context, who Asker, in *ByID) (*noticeOut, error) {
	return a.notice(in.ID, func(id ids.Onward) (onward.Notice, error) {
		return a.parts.Onward.Settle(ctx, who.Scope, id, who.Principal)
	})
}

// told are the notices of a request.
func (a *API) told(ctx context.Context, in scope.Scope, id ids.Case) ([]OnwardNotice, error) {
	list := []OnwardNotice{}
	if a.parts.Onward == nil {
		return list, nil
	}
	found, err := a.parts.Onward.OfCase(ctx, in, id)
	for _, n := range found {
		list = append(list, a.viewNotice(n))
	}
	return list, err
}

// lateNotices is an alert for who answers persons.
func (a *API) lateNotices(ctx context.Context, in scope.Scope) ([]Alert, error) {
	if a.parts.Onward == nil {
		return nil, nil
	}
	late, err := a.parts.Onward.Late(ctx, in)
	if err != nil || late == 0 {
		return nil, err
	}
	text := "1 endpoint"
	if late > 1 {
		text = strconv.Itoa(late) + " endpoints"
	}
	return []Alert{{"notice", text + " did not acknowledge in time what became of a person's data: see Data subjects."}}, nil
}
