package httpapi

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
	rights "mailvow/internal/protect/request"
)

// caseShelf stands for protect/request, which has tests of its own: what is decided
// on it stays open.
type caseShelf struct {
	ids *ids.Source
	mu  sync.Mutex
	has []rights.Case
}

func (s *caseShelf) Enter(_ context.Context, t ids.Tenant, _ access.Principal, q rights.Asked) (rights.Case, error) {
	a, err := address.Parse(q.Address)
	if err != nil {
		return rights.Case{}, err
	}
	law, err := rights.LawOf(q.Law)
	c := rights.Case{ID: ids.New[ids.Case](s.ids), Kind: q.Kind, Law: law, Source: rights.ByCustomer, State: rights.Open, Address: a, Received: lab.Epoch}
	c.Shares = []rights.Share{{Case: c.ID, Tenant: t, State: rights.Open, Due: law.Answer.After(lab.Epoch)}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = append(s.has, c)
	return c, err
}

func (s *caseShelf) List(_ context.Context, in scope.Scope, _ ids.Case, limit int) (list []rights.Case, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.has {
		if in.Allows(c.Shares[0].Tenant) && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, nil
}

func (s *caseShelf) Get(ctx context.Context, in scope.Scope, id ids.Case) (rights.Case, error) {
	list, _ := s.List(ctx, in, 0, 1<<30)
	for _, c := range list {
		if c.ID == id {
			return c, nil
		}
	}
	return rights.Case{}, fault.New(fault.NotFound, "There is no such request.")
}

func (s *caseShelf) Decide(ctx context.Context, _ access.Principal, x rights.Decision) (rights.Case, error) {
	return s.Get(ctx, scope.Tenant(x.Tenant), x.Case)
}

func (s *caseShelf) Late(_ context.Context, in scope.Scope) (int, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.has {
		if in.Allows(c.Shares[0].Tenant) {
			return 1, 2, nil
		}
	}
	return 0, 0, nil
}

func TestLateRequestsAreSeenByWhoAnswersThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner, viewer, stranger := b.as(t, b.acme, access.Owner), b.as(t, b.acme, access.Viewer), b.as(t, b.other, access.Owner)
	var made Request
	b.call("POST", "/v1/requests", `{"address":"ann@example.net","kind":"access","law":"ccpa"}`, owner).into(t, &made)
	due := lab.Epoch.AddDate(0, 0, 45)
	if made.State != "open" || len(made.Shares) != 1 || !made.Shares[0].DueAt.Equal(due) || made.Shares[0].Standing != "in_time" || made.ConfirmBy == nil {
		t.Errorf("entered %+v", made)
	}
	var seen, hidden, theirs Overview
	b.call("GET", "/v1/overview", "", owner).into(t, &seen)
	b.call("GET", "/v1/overview", "", viewer).into(t, &hidden)
	b.call("GET", "/v1/overview", "", stranger).into(t, &theirs)
	if len(seen.Alerts) != 2 || !strings.HasPrefix(seen.Alerts[0].Text, "1 request of") || !strings.HasPrefix(seen.Alerts[1].Text, "2 requests") || hidden.Alerts != nil || theirs.Alerts != nil {
		t.Errorf("alerts: the owner's %+v, a viewer's %+v, a stranger's %+v", seen.Alerts, hidden.Alerts, theirs.Alerts)
	}
	b.clock.Wind(46 * 24 * time.Hour)
	owner = b.as(t, b.acme, access.Owner)
	b.call("GET", "/v1/requests/"+made.ID, "", owner).into(t, &made)
	if made.Shares[0].Standing != "overdue" {
		t.Errorf("after 46 days it is %+v", made.Shares[0])
	}
	body := `{"decision":"accept","customer":"` + b.other.String() + `"}`
	if r := b.call("POST", "/v1/requests/"+made.ID+"/decide", body, owner); r.Code != 404 {
		t.Errorf("deciding for another customer answers %d", r.Code)
	}
}
