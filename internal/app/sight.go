package app

import (
	"context"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/sight"
)

// openSight says what of mail's traces is shown to whom. It comes after retention.
func (h *House) openSight() {
	h.sight = &sight.Sight{Policies: h.policies, Clock: h.Clock, Kept: h.retention.Keeping}
}

// lawKeeps says before which time a customer's conversations may go although an
// erasure or a deletion asks for them, and which law keeps the younger ones.
func (h *House) lawKeeps(of ids.Tenant) (before time.Time, law string) {
	now := h.Clock.Now()
	said := h.policies.For(of, now).Document.Retention["conversations"]
	if !said.AtLeast.Given() {
		return now, ""
	}
	return said.AtLeast.Before(now), byLaw(said)
}

// byLaw says in words which law keeps something, and how long.
func byLaw(said policy.Keeping) string {
	if said.Law == "" {
		return "kept by law for " + said.AtLeast.Words()
	}
	return "kept by law for " + said.AtLeast.Words() + " (" + said.Law + ")"
}

// seenHistory is history as the command line shows it: as the policy in force lets
// the operator see.
type seenHistory struct {
	heldHistory
	sight *sight.Sight
}

// Search implements admin.History.
func (x seenHistory) Search(ctx context.Context, in scope.Scope, q history.Query) ([]history.Summary, ids.Message, error) {
	by := access.House()
	from, err := x.sight.From(by, in)
	if err != nil {
		return nil, 0, err
	}
	if from.After(q.From) {
		q.From = from
	}
	list, next, err := x.heldHistory.Search(ctx, in, q)
	return slices.DeleteFunc(list, func(s history.Summary) bool { return !x.sight.Shows(by, s.Tenant, s.At) }), next, err
}

// Of implements admin.History.
func (x seenHistory) Of(ctx context.Context, in scope.Scope, m ids.Message) ([]history.Event, error) {
	events, err := x.heldHistory.Of(ctx, in, m)
	if err == nil && !x.sight.Shows(access.House(), events[0].Tenant, events[0].At) {
		return nil, fault.New(fault.NotFound, "The policy in force does not show you the record of this message.")
	}
	return events, err
}
