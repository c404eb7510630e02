package app

import (
	"context"
	"errors"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
)

// instructedCourier carries mail only where its customer's policy instructs it,
// at the moment of sending; what was queued before waits, with the reason.
type instructedCourier struct {
	deliver.Courier
	purposes pledge.Instructions
	purpose  pledge.Purpose
}

// instructed puts the purposes before every courier that carries customers' mail
// out of the house. A local one hands it to intake again, and what opens a case
// is the operator's.
func (h *House) instructed(couriers map[deliver.RouteKind]deliver.Courier) {
	for kind, purpose := range map[deliver.RouteKind]pledge.Purpose{
		deliver.MX: pledge.ToDeliver, deliver.Host: pledge.ToDeliver, deliver.Caught: pledge.ToDeliver, deliver.Local: pledge.ToDeliver, deliver.Webhook: pledge.ToHandOver,
	} {
		couriers[kind] = instructedCourier{couriers[kind], h.policies, purpose}
	}
}

// Deliver implements deliver.Courier.
func (c instructedCourier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	err := c.purposes.Instructed(p.Tenant, c.purpose)
	if err == nil {
		return c.Courier.Deliver(ctx, p)
	}
	text, _ := fault.Public(err)
	list := make([]outcome.Outcome, len(p.Recipients))
	for i := range list {
		list[i] = outcome.ByUs(outcome.Deferred, 451, "4.7.1", text)
	}
	return list
}

// maySearch refuses to look for people or words where the customer's policy does
// not instruct it, and to look for a person who objected or had the processing of
// their data restricted (GDPR Art. 18(2), 21): their rights are still served.
func (h *House) maySearch(ctx context.Context, of ids.Tenant, q *history.Query) error {
	if err := h.policies.Instructed(of, pledge.ToSearch); err != nil {
		return err
	}
	for _, a := range []address.Address{q.Recipient, q.Sender} {
		if a.IsNull() {
			continue
		}
		stopped, err := h.suppress.Halted(ctx, of, a)
		if err != nil {
			return err
		}
		if stopped {
			return fault.New(fault.Denied, "The processing of this person's data was stopped at their request (restriction, objection or withdrawal), so nothing is looked up by their address. What they are owed is found under Persons.")
		}
	}
	return nil
}

// dropUninstructed deletes what was kept for a purpose that is instructed no more,
// where it serves nothing else: subjects that lie a second time to be searched.
// Records are rewritten by the rewriter of redactions, which follows too.
func (h *House) dropUninstructed(ctx context.Context) error {
	now := h.Clock.Now()
	if !h.policies.Platform(now).Document.Purposes.Has(string(pledge.ToSearch)) {
		_, err := h.words.Purge(ctx, scope.Everyone, later(h.Clock))
		return err
	}
	var failed []error
	for id := range h.policies.Narrower(now) {
		if !pledge.Runs(h.policies, id, pledge.ToSearch) {
			_, err := h.words.Purge(ctx, scope.Tenant(id), later(h.Clock))
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// later is after everything that was accepted.
func later(c clock.Clock) time.Time { return c.Now().Add(time.Hour) }
