package intake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/flow/queue"
	"mailvow/internal/lab"
)

// oneStuck holds every parcel to stuck.test until it is let go.
type oneStuck struct {
	letGo chan struct{}
	other chan struct{}
}

func (o *oneStuck) Deliver(_ context.Context, p *deliver.Parcel) []outcome.Outcome {
	if p.Recipients[0].Address.Domain() == "stuck.test" {
		<-o.letGo
	} else {
		o.other <- struct{}{}
	}
	list := make([]outcome.Outcome, len(p.Recipients))
	for i := range list {
		list[i] = outcome.FromReply("mx.test", reply.New(250, "2.0.0", "taken"))
	}
	return list
}

// TestStuckLaneLeavesRoomForOthers: more mail than memory holds comes for a host
// that does not answer; what comes for another is delivered all the same, and in
// the end everything is.
func TestStuckLaneLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	r := newRoad(t, lab.DB(t, schemas()...), clock.Wall{})
	courier := &oneStuck{letGo: make(chan struct{}), other: make(chan struct{}, 10)}
	parts := r.queue.Parts
	parts.Observe, parts.Couriers = observe.Silent(), map[deliver.RouteKind]deliver.Courier{deliver.MX: courier}
	r.queue = queue.New(parts, queue.Config{Hostname: "mail.test", Couriers: 2, PerLane: 1, Window: 1000})
	r.intake.Queue = r.queue
	r.start()
	send := func(domain string, n int) {
		draft := r.drafts.Begin(t.Context())
		if _, err := draft.Write([]byte(mail)); err != nil || draft.Finish() != nil {
			t.Fatal(err)
		}
		s := &intake.Submission{Tenant: tenant, Direction: history.Outbound, Sender: parse(t, "ann@src.test"), Draft: draft}
		for i := range n {
			to := parse(t, fmt.Sprintf("bob%d@%s", i, domain))
			s.Recipients = append(s.Recipients, queue.Recipient{Address: to, Route: deliver.Route{Kind: deliver.MX}})
		}
		if _, err := r.intake.Accept(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for range 12 {
		send("stuck.test", 100)
	}
	send("other.test", 1)
	select {
	case <-courier.other:
	case <-time.After(20 * time.Second):
		counts, err := r.queue.Counts(t.Context(), scope.Everyone)
		t.Errorf("mail to a host that answers waits for one that does not: %d in memory, states %v, %v", r.queue.Waiting(), counts, err)
	}
	close(courier.letGo)
	r.until(time.Minute, "all is delivered", func() bool {
		counts, err := r.queue.Counts(t.Context(), scope.Everyone)
		return err == nil && len(counts) == 0
	})
}
