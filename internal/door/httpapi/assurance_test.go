package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// benchAssurance are real registers, as app joins them.
type benchAssurance struct {
	attests  *attest.Store
	findings *finding.Store
	lawful   *lawful.Store
}

var byOperator = evidence.Actor{Role: evidence.ByOperator}

func (b benchAssurance) Attestations(ctx context.Context, in scope.Scope, before ids.Attestation, limit int) ([]attest.Attestation, error) {
	return b.attests.List(ctx, in, before, limit)
}

func (b benchAssurance) Attest(ctx context.Context, a attest.Attestation, content []byte, _ access.Principal) (attest.Attestation, error) {
	a.Tenant = tenant.Platform
	return b.attests.Add(ctx, a, content, byOperator)
}

func (b benchAssurance) Withdraw(ctx context.Context, in scope.Scope, id ids.Attestation, _ access.Principal) (attest.Attestation, error) {
	return b.attests.Withdraw(ctx, in, id, byOperator)
}

func (b benchAssurance) Evidence(ctx context.Context, in scope.Scope, id ids.Attestation) (attest.Attestation, []byte, error) {
	return b.attests.Evidence(ctx, in, id)
}

func (b benchAssurance) Weaknesses(ctx context.Context, in scope.Scope, before ids.Weakness, limit int) ([]finding.Weakness, error) {
	return b.findings.List(ctx, in, before, limit)
}

func (b benchAssurance) Found(ctx context.Context, w finding.Weakness, _ access.Principal) (finding.Weakness, error) {
	w.Tenant = tenant.Platform
	return b.findings.Add(ctx, w, byOperator)
}

func (b benchAssurance) Move(ctx context.Context, in scope.Scope, id ids.Weakness, m finding.Move, _ access.Principal) (finding.Weakness, error) {
	return b.findings.Move(ctx, in, id, m, byOperator)
}

func (b benchAssurance) Lawful(ctx context.Context, in scope.Scope, before ids.Lawful, limit int) ([]lawful.Request, error) {
	return b.lawful.List(ctx, in, before, limit)
}

func (b benchAssurance) Ask(ctx context.Context, r lawful.Request, _ access.Principal) (lawful.Request, error) {
	return b.lawful.Add(ctx, r, byOperator)
}

func (b benchAssurance) Decide(ctx context.Context, in scope.Scope, id ids.Lawful, to lawful.State, persons int64, _ access.Principal) (lawful.Request, error) {
	return b.lawful.Decide(ctx, in, id, to, persons, byOperator)
}

func (b benchAssurance) TakeOut(ctx context.Context, in scope.Scope, number string, customer ids.Tenant, who address.Address, _ access.Principal, w io.Writer) (int, error) {
	return b.lawful.Export(ctx, in, number, customer, who, byOperator, w)
}

func (b benchAssurance) Report(ctx context.Context, in scope.Scope) (lawful.Report, error) {
	return b.lawful.Report(ctx, in)
}

// benchPatches compares nothing.
type benchPatches struct{ *patch.Store }

func (benchPatches) Raise(context.Context, patch.Named) (bool, error) { return false, nil }
func (benchPatches) Settle(context.Context, []string) error           { return nil }
func (b benchPatches) Bill() patch.BOM                                { return patch.Bill("test", nil) }

func (b benchPatches) State(ctx context.Context) (patch.Data, string, error) {
	d, err := b.Store.State(ctx)
	return d, d.Late(lab.Epoch.AddDate(0, -1, 0)), err
}

// benchAlerts is a board without sources.
type benchAlerts struct{ *alert.Board }

func (b benchAlerts) See(ctx context.Context, id ids.Alert, by access.Principal) (alert.Alert, error) {
	return b.Acknowledge(ctx, id, by.User, byOperator)
}

// registers gives the bench its registers and binds the operator's people.
func registers(p *Parts) {
	stage := evidence.NewStage(p.DB)
	r := benchAssurance{
		attests:  attest.New(attest.Config{DB: p.DB, Vault: p.Vault, Stage: stage, IDs: p.IDs, Clock: p.Clock}),
		findings: finding.New(finding.Config{DB: p.DB, Vault: p.Vault, Stage: stage, IDs: p.IDs, Clock: p.Clock}),
		lawful: lawful.New(lawful.Config{
			DB: p.DB, Vault: p.Vault, Stage: stage, IDs: p.IDs, Clock: p.Clock,
			Export: func(_ context.Context, s pledge.Subject, _ evidence.Actor, w io.Writer) (int, error) {
				return fmt.Fprintf(w, "{%q:%q}\n", "address", s.Address.Text())
			},
		}),
	}
	p.Assurance = r
	p.Patches = benchPatches{patch.New(patch.Config{DB: p.DB, Clock: p.Clock, Register: benchPatches{}})}
	p.Alerts = benchAlerts{alert.New(alert.Config{DB: p.DB, Stage: stage, IDs: p.IDs, Clock: p.Clock, Observe: p.Observe})}
	p.Staff = clearance.New(clearance.Config{DB: p.DB, Vault: p.Vault, Stage: stage, IDs: p.IDs, Clock: p.Clock, Policies: p.Policy, Attested: r.attests.Trained})
}

// TestStaffGrants: under a policy of grants and training the operator's people see
// what a live grant reaches, and nothing without; customers' people are not bound.
func TestStaffGrants(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acme, other := things["/v1/messages/{id}"](t, b, b.acme), things["/v1/messages/{id}"](t, b, b.other)
	operator, owner := b.as(t, b.acme, access.Operator), b.as(t, b.acme, access.Owner)
	list := func(with func(*http.Request)) (int, string) {
		r := b.call(http.MethodGet, "/v1/messages", "", with)
		return r.Code, r.Body.String()
	}
	if code, all := list(operator); code != 200 || !strings.Contains(all, acme) || !strings.Contains(all, other) {
		t.Fatalf("by role: %d %s", code, all)
	}
	_, _, err := b.parts.Policy.Publish(t.Context(), policy.Draft{Tenant: tenant.Platform, Text: "{staff: grant, training: required}", Role: evidence.ByOperator})
	must(t, err)
	code, all := list(operator)
	if code != http.StatusForbidden || !strings.Contains(all, "attestation") {
		t.Errorf("untrained: %d %s", code, all)
	}
	var me Session
	b.call(http.MethodGet, "/v1/session", "", operator).into(t, &me)
	if me.Shut == "" || strings.Contains(strings.Join(me.Permissions, " "), "messages:read") || !strings.Contains(strings.Join(me.Permissions, " "), "assurance:manage") {
		t.Errorf("the session says %q and %v", me.Shut, me.Permissions)
	}
	until := b.clock.Now().Add(2 * time.Hour).Format(time.RFC3339)
	for _, kind := range []string{"training", "screening"} {
		if code, all = list(operator); code != http.StatusForbidden {
			t.Errorf("half trained: %d %s", code, all)
		}
		if r := b.call(http.MethodPost, "/v1/attestations", `{"kind":"`+kind+`","note":"seen","until":"`+until+`"}`, operator); r.Code != http.StatusCreated {
			t.Fatal(r.Code, r.Body)
		}
	}
	if code, all = list(operator); code != http.StatusForbidden || !strings.Contains(all, "by a grant") {
		t.Errorf("trained, without a grant: %d %s", code, all)
	}
	hour := b.clock.Now().Add(time.Hour).Format(time.RFC3339)
	if r := b.call(http.MethodPost, "/v1/grants", `{"reason":" ","until":"`+hour+`"}`, operator); r.Code != 422 {
		t.Errorf("a grant without a reason: %d", r.Code)
	}
	if r := b.call(http.MethodPost, "/v1/grants", `{"customer":"`+b.acme.String()+`","reason":"ticket 7","until":"`+hour+`"}`, operator); r.Code != http.StatusCreated {
		t.Fatal(r.Code, r.Body)
	}
	if code, all = list(operator); code != 200 || !strings.Contains(all, acme) || strings.Contains(all, other) {
		t.Errorf("with a grant for one customer: %d %s", code, all)
	}
	if r := b.call(http.MethodGet, "/v1/messages/"+other, "", operator); r.Code != http.StatusNotFound {
		t.Errorf("another customer's message: %d", r.Code)
	}
	if r := b.call(http.MethodGet, "/v1/grants", "", owner); !strings.Contains(r.Body.String(), "ticket 7") {
		t.Errorf("the customer does not see who looked: %s", r.Body)
	}
	if r := b.call(http.MethodGet, "/v1/grants", "", b.as(t, b.other, access.Owner)); strings.Contains(r.Body.String(), "ticket 7") {
		t.Errorf("another customer sees it: %s", r.Body)
	}
	b.clock.Wind(time.Hour)
	if code, _ = list(operator); code != http.StatusForbidden {
		t.Errorf("after the grant's end: %d", code)
	}
	if code, _ = list(owner); code != 200 {
		t.Errorf("a customer's own people: %d", code)
	}
}
