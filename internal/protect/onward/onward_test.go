package onward_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/tenant"
)

// world is a desk whose endpoints answer as the test says.
type world struct {
	*onward.Desk
	clock  *lab.Clock
	acme   ids.Tenant
	answer map[string]int // by URL; 0: no answer
	got    []onward.Endpoint
	sent   []sent
	mails  int
}

type sent struct{ url, id, body string }

func newWorld(t *testing.T, d *db.DB, c *lab.Clock) *world {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	tenants := tenant.New(d, v, source, c)
	must(t, tenants.EnsurePlatform(t.Context(), "Platform", "test"))
	acme, err := tenants.Add(t.Context(), "Acme", "test")
	must(t, err)
	w := &world{clock: c, acme: acme.ID, answer: map[string]int{"https://a.example/hook": 204, "https://b.example/hook": 500}}
	for i, url := range []string{"https://a.example/hook", "https://b.example/hook"} {
		w.got = append(w.got, onward.Endpoint{Tenant: acme.ID, Route: ids.Route(100 + i), URL: url, Secret: []byte("0123456789abcdef01234567")})
	}
	w.Desk = onward.New(onward.Config{
		DB: d, Vault: v, Stage: evidence.NewStage(d), IDs: source, Clock: c, Observe: observe.Silent(),
		Got: func(_ context.Context, _ pledge.Subject, yield func(onward.Endpoint) error) error {
			for _, e := range w.got {
				if err := yield(e); err != nil {
					return err
				}
			}
			return nil
		},
		Send: func(_ context.Context, to onward.Endpoint, id string, body []byte) (int, error) {
			w.sent = append(w.sent, sent{to.URL, id, string(body)})
			if w.answer[to.URL] == 0 {
				return 0, errors.New("no answer")
			}
			return w.answer[to.URL], nil
		},
		Remind: func(context.Context, ids.Tenant, int) error { w.mails++; return nil },
	})
	return w
}

func each(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = c, func(time.Time) time.Time { return c.Now() }
		f(t, newWorld(t, lab.OpenDB(t, config, tenant.Schema, evidence.Schema(), onward.Schema), c))
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) order(t *testing.T) onward.Order {
	t.Helper()
	a, err := address.Parse("ann@persons.example")
	must(t, err)
	return onward.Order{Kind: onward.Erased, Subject: pledge.Subject{Scope: scope.Tenant(w.acme), Address: a}, Cause: 77, Case: 9}
}

func (w *world) states(t *testing.T) map[string]onward.State {
	t.Helper()
	list, err := w.List(t.Context(), scope.Tenant(w.acme), 0, 10, false)
	must(t, err)
	out := map[string]onward.State{}
	for _, n := range list {
		out[n.Host] = n.State
	}
	return out
}

func TestRecipientsAreToldUntilTheyAcknowledge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.order(t)
		for range 2 { // an erasure has several passes
			if n, err := w.Plan(t.Context(), o); err != nil || n != 2 {
				t.Fatalf("planned %d %v", n, err)
			}
		}
		if traces, err := w.Find(t.Context(), o.Subject); err != nil || len(traces) != 1 || traces[0].Count != 2 {
			t.Errorf("while it is open it is found as %+v %v", traces, err)
		}
		must(t, w.Tick(t.Context()))
		if s := w.states(t); len(w.sent) != 2 || s["a.example"] != onward.Acknowledged || s["b.example"] != onward.Open {
			t.Fatalf("sent %+v, and then they are %v", w.sent, s)
		}
		var e struct {
			Type string
			Data struct{ ID, Address string }
		}
		must(t, json.Unmarshal([]byte(w.sent[0].body), &e))
		if e.Type != "subject.erased" || e.Data.Address != "ann@persons.example" || e.Data.ID != w.sent[0].id || !strings.HasPrefix(e.Data.ID, "onw_") {
			t.Errorf("the event is %s under %s", w.sent[0].body, w.sent[0].id)
		}
		must(t, w.Tick(t.Context()))
		if len(w.sent) != 2 {
			t.Errorf("it was tried again at once")
		}
		if list, err := w.OfCase(t.Context(), scope.Tenant(w.acme), 9); err != nil || len(list) != 2 {
			t.Errorf("the case has %d %v", len(list), err)
		}
		if list, err := w.OfCase(t.Context(), scope.Tenant(w.acme+1), 9); err != nil || len(list) != 0 {
			t.Errorf("another customer sees %d %v", len(list), err)
		}
		w.answer["https://b.example/hook"] = 200
		w.clock.Wind(2 * time.Minute)
		must(t, w.Tick(t.Context()))
		if w.sent[2].body != w.sent[1].body && w.sent[2].body != w.sent[0].body || w.states(t)["b.example"] != onward.Acknowledged {
			t.Errorf("the second attempt: %+v, %v", w.sent[2], w.states(t))
		}
		// Nothing names the person any more.
		if traces, err := w.Find(t.Context(), o.Subject); err != nil || len(traces) != 0 {
			t.Errorf("after the acknowledgement it is found as %+v %v", traces, err)
		}
		w.clock.Wind(4 * 365 * 24 * time.Hour)
		if n, err := w.Purge(t.Context(), w.clock.Now().Add(-3*365*24*time.Hour)); err != nil || n != 2 {
			t.Errorf("purged %d %v", n, err)
		}
	})
}

func TestWhoDoesNotAcknowledgeIsReminded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.answer["https://a.example/hook"] = 0
		_, err := w.Plan(t.Context(), w.order(t))
		must(t, err)
		must(t, w.Tick(t.Context()))
		if late, err := w.Late(t.Context(), scope.Tenant(w.acme)); err != nil || late != 0 || w.mails != 0 {
			t.Errorf("at first %d are late %v, %d mails", late, err, w.mails)
		}
		w.clock.Wind(onward.Term + time.Minute)
		for range 2 {
			must(t, w.Tick(t.Context()))
		}
		if late, err := w.Late(t.Context(), scope.Tenant(w.acme)); err != nil || late != 2 || w.mails != 1 {
			t.Errorf("after a week %d are late %v, %d mails", late, err, w.mails)
		}
		list, err := w.List(t.Context(), scope.Tenant(w.acme), 0, 10, true)
		must(t, err)
		if _, err := w.Settle(t.Context(), scope.Tenant(w.acme+1), list[0].ID, evidence.Actor{Role: evidence.ByOwner}); !fault.Is(err, fault.NotFound) {
			t.Errorf("another customer settles: %v", err)
		}
		n, err := w.Settle(t.Context(), scope.Tenant(w.acme), list[0].ID, evidence.Actor{Role: evidence.ByOwner})
		if err != nil || n.State != onward.Settled {
			t.Errorf("settled by hand: %+v %v", n, err)
		}
		if _, err := w.Retry(t.Context(), scope.Tenant(w.acme), list[0].ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("what ended is tried again: %v", err)
		}
		before := len(w.sent)
		_, err = w.Retry(t.Context(), scope.Tenant(w.acme), list[1].ID)
		must(t, err)
		must(t, w.Tick(t.Context()))
		if len(w.sent) != before+1 {
			t.Errorf("a retry by hand sent %d", len(w.sent)-before)
		}
		w.clock.Wind(onward.GiveUp)
		must(t, w.Tick(t.Context()))
		if got, err := w.Get(t.Context(), scope.Everyone, list[1].ID); err != nil || got.State != onward.Unanswered {
			t.Errorf("after a month: %+v %v", got, err)
		}
		if traces, err := w.Find(t.Context(), w.order(t).Subject); err != nil || len(traces) != 0 {
			t.Errorf("what was given up still names the person: %+v %v", traces, err)
		}
	})
}
