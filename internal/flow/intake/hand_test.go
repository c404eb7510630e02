package intake_test

import (
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

// stands is what activity and queue say of a message: its state, then each
// recipient that waits with the reason.
func (r *road) stands(m ids.Message) (history.State, string) {
	r.t.Helper()
	events, err := r.history.Of(r.t.Context(), scope.Everyone, m)
	if err != nil {
		r.t.Fatal(err)
	}
	items, err := r.queue.OfMessage(r.t.Context(), scope.Everyone, m)
	if err != nil {
		r.t.Fatal(err)
	}
	var list []string
	for _, i := range items {
		list = append(list, strings.TrimSpace(i.Recipient.Local()+":"+i.State.String()+" "+i.Why))
	}
	return history.StateOf(events), strings.Join(list, ", ")
}

// TestActsByHandAreOnRecord: what activity says of a message is what the queue
// says, after each act, and history knows who acted and why.
func TestActsByHandAreOnRecord(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		p := newPersons(t, d)
		m := p.hold(tenant, "ann@src.test", mail, "bob@dst.test", "carol@dst.test").Message
		all, in := queue.Selection{Message: m}, scope.Tenant(tenant)
		operator := queue.Hand{Actor: history.ByOperator, Reason: "asked bob@dst.test about it"}
		program := queue.Hand{Actor: history.ByToken}
		type acting func() (int, error)
		for _, step := range []struct {
			name    string
			act     acting
			reached int
			state   history.State
			waits   string
		}{
			{"accepted", func() (int, error) { return 0, nil }, 0, history.StateHeld, "bob:held looked at by hand, carol:held looked at by hand"},
			{"retry what is held", func() (int, error) { return p.queue.Retry(t.Context(), in, all, program) }, 0, history.StateHeld, "bob:held looked at by hand, carol:held looked at by hand"},
			{"release", func() (int, error) { return p.queue.Release(t.Context(), in, all, operator) }, 2, history.StateQueued, "bob:ready, carol:ready"},
			{"release again", func() (int, error) { return p.queue.Release(t.Context(), in, all, operator) }, 0, history.StateQueued, "bob:ready, carol:ready"},
			{"hold", func() (int, error) { return p.queue.Hold(t.Context(), in, all, operator) }, 2, history.StateHeld, "bob:held asked bob@dst.test about it, carol:held asked bob@dst.test about it"},
			{"a stranger releases", func() (int, error) { return p.queue.Release(t.Context(), scope.Tenant(tenant+1), all, program) }, 0, history.StateHeld, "bob:held asked bob@dst.test about it, carol:held asked bob@dst.test about it"},
			{"release everything", func() (int, error) {
				return p.queue.Release(t.Context(), in, queue.Selection{Everything: true}, program)
			}, 2, history.StateQueued, "bob:ready, carol:ready"},
			{"retry a domain", func() (int, error) {
				return p.queue.Retry(t.Context(), in, queue.Selection{Domain: "dst.test"}, program)
			}, 2, history.StateQueued, "bob:ready, carol:ready"},
			{"restrict", func() (int, error) { return p.waits.Restrict(t.Context(), subject(p, in, "bob@dst.test"), true) }, 1, history.StateMixed, "bob:held restricted at the person's request, carol:ready"},
			{"release what a person restricted", func() (int, error) { return p.queue.Release(t.Context(), in, all, operator) }, 0, history.StateMixed, "bob:held restricted at the person's request, carol:ready"},
			{"lift", func() (int, error) { return p.waits.Restrict(t.Context(), subject(p, in, "bob@dst.test"), false) }, 1, history.StateQueued, "bob:ready, carol:ready"},
			{"fail", func() (int, error) { return p.queue.Fail(t.Context(), in, all, operator) }, 2, history.StateFailed, ""},
		} {
			if n, err := step.act(); n != step.reached || err != nil {
				t.Fatalf("%s reached %d, %v", step.name, n, err)
			}
			if state, waits := p.stands(m); state != step.state || waits != step.waits {
				t.Errorf("%s: activity says %s, the queue %q", step.name, state, waits)
			}
		}
		said := map[string]int{}
		events, err := p.history.Of(t.Context(), in, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			said[strings.TrimSpace(e.Kind.String()+" "+string(e.Detail.Actor)+" "+e.Detail.Note)]++
		}
		for want, n := range map[string]int{
			"released operator asked bob@dst.test about it": 2, "held operator asked bob@dst.test about it": 2, "released token": 2,
			"retried token": 2, "failed operator asked bob@dst.test about it": 2, "held  restricted at the person's request": 1,
		} {
			if said[want] != n {
				t.Errorf("%q stands %d times in history: %v", want, said[want], said)
			}
		}
		if _, err := p.record.Erase(t.Context(), subject(p, scope.Everyone, "bob@dst.test")); err != nil {
			t.Fatal(err)
		}
		if text := p.everything(scope.Everyone, m); strings.Contains(text, "bob@dst.test") {
			t.Errorf("a reason names who was erased:\n%s", text)
		}
	})
}

// peeking looks at the store whenever history is about to write.
type peeking struct{ look func() }

func (p *peeking) Redacted(ids.Tenant, history.Direction) history.Redactions {
	if p.look != nil {
		p.look()
	}
	return nil
}

// TestTakingOutIsOneCommit: until a held recipient is cancelled it is held, so
// that whoever dies in between sends nothing.
func TestTakingOutIsOneCommit(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		peek := &peeking{}
		p := &persons{road: newRoadWith(t, d, clock.Wall{}, peek)}
		m := p.hold(tenant, "ann@src.test", mail, "bob@dst.test").Message
		var seen []string
		peek.look = func() {
			_, waits := p.stands(m)
			seen = append(seen, waits)
		}
		if n, err := p.queue.Cancel(t.Context(), scope.Everyone, queue.Selection{Message: m}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		peek.look = nil
		if len(seen) == 0 || slices.ContainsFunc(seen, func(s string) bool { return s != "bob:held looked at by hand" }) {
			t.Errorf("on the way it was %q", seen)
		}
		if state, waits := p.stands(m); state != history.StateFailed || waits != "" {
			t.Errorf("in the end it is %s, %q", state, waits)
		}
	})
}

// TestEachEndsTheirOwnPause: what the operator paused no customer resumes, and
// what both paused goes on when both have ended it.
func TestEachEndsTheirOwnPause(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r := newRoad(t, d, clock.Wall{})
		mine, ctx := scope.Tenant(tenant), t.Context()
		pause := func(by queue.Pausers, reason string) queue.Pause {
			p, err := r.queue.Pause(ctx, queue.Pause{Tenant: tenant, Reason: reason, By: by})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		held := pause(queue.Operator, "a breach")
		if err := r.queue.Resume(ctx, mine, held.ID, queue.Customer); !fault.Is(err, fault.Denied) {
			t.Errorf("the customer ended the operator's pause: %v", err)
		}
		if both := pause(queue.Customer, "nothing"); both.ID != held.ID || both.Reason != "a breach" || both.By != queue.Customer|queue.Operator {
			t.Errorf("%+v", both)
		}
		if err := r.queue.Resume(ctx, mine, held.ID, queue.Customer); !fault.Is(err, fault.Conflict) {
			t.Errorf("the customer's half: %v", err)
		}
		pause(queue.Customer, "")
		if err := r.queue.Resume(ctx, scope.Everyone, held.ID, queue.Operator); !fault.Is(err, fault.Conflict) {
			t.Errorf("the operator's half: %v", err)
		}
		if list, err := r.queue.Pauses(ctx, mine); err != nil || len(list) != 1 || list[0].By != queue.Customer {
			t.Errorf("%+v, %v", list, err)
		}
		if err := r.queue.Resume(ctx, scope.Tenant(tenant+1), held.ID, queue.Customer); !fault.Is(err, fault.NotFound) {
			t.Errorf("another customer: %v", err)
		}
		if err := r.queue.Resume(ctx, scope.Everyone, held.ID, queue.Operator); err != nil {
			t.Error(err)
		}
		if list, err := r.queue.Pauses(ctx, mine); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestTheSameIsPausedOnce(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r := newRoad(t, d, clock.Wall{})
		pause := func(in ids.Tenant, domain, reason string) queue.Pause {
			p, err := r.queue.Pause(t.Context(), queue.Pause{Tenant: in, Domain: domain, Reason: reason})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		one := pause(tenant, "dst.test", "full")
		again, other := pause(tenant, "dst.test", ""), pause(0, "dst.test", "all")
		if again.ID != one.ID || again.Reason != "full" || again.Domain != "dst.test" || other.ID == one.ID {
			t.Errorf("paused %+v, then %+v; everybody %+v", one, again, other)
		}
		changed := pause(tenant, "dst.test", "still full")
		list, err := r.queue.Pauses(t.Context(), scope.Tenant(tenant))
		if err != nil || len(list) != 1 || list[0].Reason != "still full" || changed.ID != one.ID || !list[0].At.Equal(changed.At) {
			t.Errorf("pauses %+v, %v", list, err)
		}
		if err := r.queue.Resume(t.Context(), scope.Tenant(tenant), one.ID, queue.Customer); err != nil {
			t.Fatal(err)
		}
		if anew := pause(tenant, "dst.test", "full"); anew.ID == one.ID {
			t.Error("a pause that ended came back")
		}
	})
}
