package app

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// assurance are the registers that people keep, and what hangs on them.
type assurance struct {
	attests   *attest.Store
	findings  *finding.Store
	lawful    *lawful.Store
	clearance *clearance.Store
	reviews   *review.Desk
	patches   *patch.Store
	alerts    *alert.Board
	guesses   *alert.Guesses
	exports   *alert.Exports
	// probing is the user who acts for a probe as one of the operator's people.
	probing atomic.Int64
}

// openAssurance opens the registers. It comes before those who find persons by
// users, and after the policy.
func (h *House) openAssurance() error {
	h.attests = attest.New(attest.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock,
		User: func(ctx context.Context, in scope.Scope, a address.Address) (ids.User, error) {
			u, err := h.access.UserByEmail(ctx, in, a)
			return u.ID, err
		},
	})
	h.findings = finding.New(finding.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Due: h.findingDue,
	})
	h.clearance = clearance.New(clearance.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Policies: h.policies, Attested: h.attests.Trained,
		Apart: func() (ids.Tenant, ids.User) { return h.canary.is(), ids.User(h.probing.Load()) },
	})
	h.openReviews()
	if err := h.openPatches(); err != nil {
		return err
	}
	return h.openAlerts()
}

// openLawful opens the register of authorities' requests over what answers persons.
func (h *House) openLawful() {
	h.lawful = lawful.New(lawful.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, LeftOut: h.canary.is,
		Export: func(ctx context.Context, s pledge.Subject, by evidence.Actor, w io.Writer) (int, error) {
			return shownSubjects{h.subjects, h}.Export(ctx, s, by, subject.Lines, w)
		},
	})
}

// findingDue is when the policy in force wants a weakness mended.
func (h *House) findingDue(of finding.Severity, found time.Time) (time.Time, bool) {
	d, said := h.policies.Platform(h.Clock.Now()).Document.Findings[string(of)]
	if !said || !d.Given() {
		return time.Time{}, false
	}
	return d.After(found), true
}

// Transparency is the report on authorities' requests: of all, or of one
// customer's data. Whoever writes public pages asks here.
func (h *House) Transparency(ctx context.Context, in scope.Scope) (lawful.Report, error) {
	return h.lawful.Report(ctx, in)
}

// shownAssurance joins the API with the registers: who asks becomes who acted.
type shownAssurance struct{ h *House }

var _ httpapi.Assurance = shownAssurance{}

// Attestations implements httpapi.Assurance.
func (s shownAssurance) Attestations(ctx context.Context, in scope.Scope, before ids.Attestation, limit int) ([]attest.Attestation, error) {
	return s.h.attests.List(ctx, in, before, limit)
}

// Attest implements httpapi.Assurance. Attestations are the operator's.
func (s shownAssurance) Attest(ctx context.Context, a attest.Attestation, content []byte, by access.Principal) (attest.Attestation, error) {
	if a.User != 0 {
		if _, err := s.h.access.User(ctx, scope.Tenant(tenant.Platform), a.User); err != nil {
			return attest.Attestation{}, err
		}
	}
	a.Tenant = tenant.Platform
	return s.h.attests.Add(ctx, a, content, actor(by))
}

// Withdraw implements httpapi.Assurance.
func (s shownAssurance) Withdraw(ctx context.Context, in scope.Scope, id ids.Attestation, by access.Principal) (attest.Attestation, error) {
	return s.h.attests.Withdraw(ctx, in, id, actor(by))
}

// Evidence implements httpapi.Assurance.
func (s shownAssurance) Evidence(ctx context.Context, in scope.Scope, id ids.Attestation) (attest.Attestation, []byte, error) {
	return s.h.attests.Evidence(ctx, in, id)
}

// Weaknesses implements httpapi.Assurance.
func (s shownAssurance) Weaknesses(ctx context.Context, in scope.Scope, before ids.Weakness, limit int) ([]finding.Weakness, error) {
	return s.h.findings.List(ctx, in, before, limit)
}

// Found implements httpapi.Assurance. The register is the operator's.
func (s shownAssurance) Found(ctx context.Context, w finding.Weakness, by access.Principal) (finding.Weakness, error) {
	w.Tenant, w.Marker = tenant.Platform, ""
	return s.h.findings.Add(ctx, w, actor(by))
}

// Move implements httpapi.Assurance.
func (s shownAssurance) Move(ctx context.Context, in scope.Scope, id ids.Weakness, m finding.Move, by access.Principal) (finding.Weakness, error) {
	if m.Owner != 0 {
		if _, err := s.h.access.User(ctx, scope.Tenant(tenant.Platform), m.Owner); err != nil {
			return finding.Weakness{}, err
		}
	}
	return s.h.findings.Move(ctx, in, id, m, actor(by))
}

// Lawful implements httpapi.Assurance.
func (s shownAssurance) Lawful(ctx context.Context, in scope.Scope, before ids.Lawful, limit int) ([]lawful.Request, error) {
	return s.h.lawful.List(ctx, in, before, limit)
}

// Ask implements httpapi.Assurance.
func (s shownAssurance) Ask(ctx context.Context, r lawful.Request, by access.Principal) (lawful.Request, error) {
	return s.h.lawful.Add(ctx, r, actor(by))
}

// Decide implements httpapi.Assurance.
func (s shownAssurance) Decide(ctx context.Context, in scope.Scope, id ids.Lawful, to lawful.State, persons int64, by access.Principal) (lawful.Request, error) {
	return s.h.lawful.Decide(ctx, in, id, to, persons, actor(by))
}

// TakeOut implements httpapi.Assurance.
func (s shownAssurance) TakeOut(ctx context.Context, in scope.Scope, number string, customer ids.Tenant, who address.Address, by access.Principal, w io.Writer) (int, error) {
	return s.h.lawful.Export(ctx, in, number, customer, who, actor(by), w)
}

// Report implements httpapi.Assurance.
func (s shownAssurance) Report(ctx context.Context, in scope.Scope) (lawful.Report, error) {
	return s.h.Transparency(ctx, in)
}
