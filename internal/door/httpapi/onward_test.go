package httpapi

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/onward"
)

// noticeShelf stands for protect/onward, which has tests of its own.
type noticeShelf struct {
	ids *ids.Source
	mu  sync.Mutex
	has []onward.Notice
}

func (s *noticeShelf) add(in ids.Tenant) ids.Onward {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := onward.Notice{ID: ids.New[ids.Onward](s.ids), Tenant: in, Kind: onward.Erased, State: onward.Open, Host: "hook.example", Created: lab.Epoch, Due: lab.Epoch.Add(onward.Term)}
	s.has = append(s.has, n)
	return n.ID
}

func (s *noticeShelf) List(_ context.Context, in scope.Scope, _ ids.Onward, limit int, _ bool) (list []onward.Notice, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.has {
		if in.Allows(n.Tenant) && len(list) < limit {
			list = append(list, n)
		}
	}
	return list, nil
}

func (s *noticeShelf) Get(ctx context.Context, in scope.Scope, id ids.Onward) (onward.Notice, error) {
	list, _ := s.List(ctx, in, 0, 1<<30, false)
	for _, n := range list {
		if n.ID == id {
			return n, nil
		}
	}
	return onward.Notice{}, fault.New(fault.NotFound, "There is no such notice.")
}

func (s *noticeShelf) OfCase(context.Context, scope.Scope, ids.Case) ([]onward.Notice, error) {
	return nil, nil
}

func (s *noticeShelf) Late(ctx context.Context, in scope.Scope) (int, error) {
	list, err := s.List(ctx, in, 0, 1<<30, true)
	return len(list), err
}

func (s *noticeShelf) Retry(ctx context.Context, in scope.Scope, id ids.Onward) (onward.Notice, error) {
	return s.Get(ctx, in, id)
}

func (s *noticeShelf) Settle(ctx context.Context, in scope.Scope, id ids.Onward, _ access.Principal) (onward.Notice, error) {
	n, err := s.Get(ctx, in, id)
	n.State = onward.Settled
	return n, err
}

func TestLateNoticesAreSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	shelf, _ := b.parts.Onward.(*noticeShelf)
	id := shelf.add(b.acme)
	owner, stranger := b.as(t, b.acme, access.Owner), b.as(t, b.other, access.Owner)
	var seen, theirs Overview
	b.call("GET", "/v1/overview", "", owner).into(t, &seen)
	b.call("GET", "/v1/overview", "", stranger).into(t, &theirs)
	if len(seen.Alerts) != 1 || seen.Alerts[0].Kind != "notice" || !strings.HasPrefix(seen.Alerts[0].Text, "1 endpoint did") || theirs.Alerts != nil {
		t.Errorf("alerts: the owner's %+v, a stranger's %+v", seen.Alerts, theirs.Alerts)
	}
	b.clock.Wind(8 * 24 * time.Hour)
	owner = b.as(t, b.acme, access.Owner)
	var n OnwardNotice
	b.call("GET", "/v1/onward/"+id.String(), "", owner).into(t, &n)
	if !n.Late || n.Host != "hook.example" || n.Event != "subject.erased" || n.State != "open" {
		t.Errorf("after eight days it is %+v", n)
	}
	b.call("POST", "/v1/onward/"+id.String()+"/settle", "", owner).into(t, &n)
	if n.State != "settled" {
		t.Errorf("settled by hand it is %+v", n)
	}
}
