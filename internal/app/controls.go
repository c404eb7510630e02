package app

import (
	"context"
	"encoding/json"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/keep/leader"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/tenant"
)

// The duties of probes: who runs them on schedule, and whose canary it is now.
const (
	controlsDuty = "controls"
	canaryDuty   = "canary"
)

// startControls runs the probes on schedule where there are the doors that they
// act on. A process without them would see nothing but shut doors.
func (h *House) startControls() {
	if h.has(config.RoleSMTP) && h.has(config.RoleAPI) {
		h.duty(controlsDuty, h.controls.Run)
	}
}

// aloneWithCanary waits for the canary customer, which one process at a time uses.
func (h *House) aloneWithCanary(ctx context.Context, work func(context.Context) error) error {
	const step, most = 200 * time.Millisecond, 5 * time.Minute
	for range most / step {
		var failed error
		ran, err := h.election.Once(ctx, canaryDuty, func(ctx context.Context, _ leader.Term) error {
			failed = work(ctx)
			return failed
		})
		if ran {
			return failed
		}
		if err != nil {
			return err
		}
		if err := clock.Sleep(ctx, h.Clock, step); err != nil {
			return fault.Because(fault.Unavailable, err, "The check was stopped.")
		}
	}
	return fault.New(fault.Unavailable, "Another process runs probes and did not end within five minutes.")
}

// eachCustomer gives every customer but the probes' own.
func (h *House) eachCustomer(ctx context.Context, yield func(ids.Tenant) error) error {
	for before := ids.Tenant(1<<63 - 1); ; {
		page, err := h.tenants.List(ctx, scope.Everyone, before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, t := range page {
			if before = t.ID; t.ID == tenant.Platform || t.State != tenant.Active || isCanary(t) {
				continue
			}
			if err := yield(t.ID); err != nil {
				return err
			}
		}
	}
}

// shownControls implements httpapi.Controls.
type shownControls struct{ h *House }

// Findings implements httpapi.Controls.
func (s shownControls) Findings(ctx context.Context, in scope.Scope) ([]httpapi.Control, error) {
	lines, err := s.h.controls.List(ctx, in)
	if err != nil {
		return nil, err
	}
	var list []httpapi.Control
	for _, l := range lines {
		c := httpapi.Control{
			ID: l.ID, Says: l.Says, Kind: string(l.Kind), Status: string(l.Status), Evidence: l.Evidence, Probed: l.Probed,
			CheckedAt: given(l.CheckedAt), FailingSince: given(l.Since), Customers: []httpapi.JudgedControl{},
		}
		for _, f := range l.Customers {
			c.Customers = append(c.Customers, httpapi.JudgedControl{
				Customer: f.Customer.String(), Status: string(f.Status), Evidence: f.Evidence, CheckedAt: f.CheckedAt, FailingSince: given(f.Since),
			})
		}
		list = append(list, c)
	}
	return list, nil
}

// given is nil for the zero time.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Run implements httpapi.Controls.
func (s shownControls) Run(ctx context.Context) error {
	return s.h.controls.Check(ctx, func(pledge.Finding) error { return nil })
}

// Map implements httpapi.Controls.
func (s shownControls) Map(ctx context.Context, in scope.Scope, standard string) ([]httpapi.MappedControl, error) {
	lines, err := s.h.controls.Map(ctx, in, control.Standard(standard))
	if err != nil {
		return nil, err
	}
	list := make([]httpapi.MappedControl, len(lines))
	for i, l := range lines {
		list[i] = httpapi.MappedControl{Standard: string(l.Standard), Ref: l.Ref, About: l.About, Gap: l.Gap, Status: string(l.Status), Promises: []httpapi.MappedPromise{}}
		for _, p := range l.Promises {
			list[i].Promises = append(list[i].Promises, httpapi.MappedPromise{ID: p.ID, Status: string(p.Status)})
		}
	}
	return list, nil
}

// Assessment implements httpapi.Controls and admin.Controls.
func (s shownControls) Assessment(ctx context.Context, in scope.Scope) (json.RawMessage, error) {
	doc, err := s.h.controls.Assessment(ctx, in, s.h.Config.Hostname, Version())
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return b, fault.Wrap(err, "write assessment results")
}

// operatorControls implements admin.Controls.
type operatorControls struct {
	*control.Control
	shownControls
}

// Map implements admin.Controls.
func (o operatorControls) Map(ctx context.Context, in scope.Scope, of control.Standard) ([]control.MapLine, error) {
	return o.Control.Map(ctx, in, of)
}

// Assessment implements admin.Controls.
func (o operatorControls) Assessment(ctx context.Context, in scope.Scope) (json.RawMessage, error) {
	return o.shownControls.Assessment(ctx, in)
}
