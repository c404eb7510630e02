package app

import (
	"context"
	"errors"
	"time"

	"mailvow/internal/app/probes"
	"mailvow/internal/app/stored"
	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/mention"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/tenant"
)

// openPolicy opens what this server promises, which everything after obeys.
func (h *House) openPolicy(ctx context.Context) (err error) {
	h.policies, err = policy.New(ctx, policy.Config{
		DB: h.db, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
		Profile: h.Config.Policy.Profile, Known: known(), Audience: h.hasCustomers,
	})
	if err != nil {
		return err
	}
	h.inventory, err = stored.InForce(h.Config, h.policies.Platform(h.Clock.Now()).Document)
	return err
}

// ruled are the categories whose period a policy can set: those that a rule of
// retention purges by it.
var ruled = []string{"caught mail", "conversations", "counts", "job", mention.Category, "message records", reads.Category, "stored answers"}

// known are the words that a policy may use.
func known() policy.Known {
	k := policy.Known{Categories: ruled}
	for _, f := range history.Fields() {
		k.Fields = append(k.Fields, string(f))
	}
	for _, r := range access.Roles() {
		k.Roles = append(k.Roles, string(r))
	}
	for _, p := range pledge.Purposes() {
		if p.Ground == pledge.Instructed {
			k.Purposes = append(k.Purposes, string(p.Name))
		}
	}
	return k
}

// hasCustomers reports whether a change of the policy concerns anybody.
func (h *House) hasCustomers(ctx context.Context) (bool, error) {
	for before := ids.Tenant(1<<63 - 1); ; {
		page, err := h.tenants.List(ctx, scope.Everyone, before, 200)
		if err != nil || len(page) == 0 {
			return false, err
		}
		for _, t := range page {
			if t.ID != tenant.Platform && t.State == tenant.Active && !isCanary(t) {
				return true, nil
			}
			before = t.ID
		}
	}
}

// policyLabel names the policy in force for a customer, or with the zero tenant
// for the platform, as certificates bear it.
func (h *House) policyLabel(id ids.Tenant) string {
	return h.policies.For(id, h.Clock.Now()).Label
}

// redaction is what the policy in force says of a record.
type redaction struct {
	policies *policy.Store
	clock    clock.Clock
}

// Redacted implements history.Redaction.
func (r redaction) Redacted(id ids.Tenant, d history.Direction) history.Redactions {
	if !pledge.Runs(r.policies, id, pledge.ToRecord) {
		return history.Nothing()
	}
	record := r.policies.For(id, r.clock.Now()).Document.Record
	said := record.Outbound
	if d == history.Inbound {
		said = record.Inbound
	}
	var rules history.Redactions
	for f, how := range said {
		if how == policy.Keep {
			continue
		}
		if rules == nil {
			rules = history.Redactions{}
		}
		rules[history.Field(f)] = how
	}
	return rules
}

// policyForProbe puts a policy of the canary's in force until it is undone.
func (h *House) policyForProbe(ctx context.Context, c probes.Canary, text string) (func(), error) {
	_, _, err := h.policies.Publish(ctx, policy.Draft{Tenant: c.Tenant, Text: text, Note: "a probe", Role: evidence.BySystem})
	return func() {
		ctx := context.WithoutCancel(ctx)
		if err := errors.Join(h.policies.Drop(ctx, c.Tenant), h.notices.Drop(ctx, c.Tenant)); err != nil {
			h.observe.Log.Warn("drop the canary's policy", "error", err)
		}
	}, err
}

// exportForProbe hands out what history holds of a person, as a request for
// access does.
func (h *House) exportForProbe(ctx context.Context, c probes.Canary, person address.Address, yield func(pledge.Record) error) error {
	return h.persons.HandOver(ctx, pledge.Subject{Scope: scope.Tenant(c.Tenant), Address: person}, yield)
}

// recordsKept is how long the policies in force let records of a scope be kept.
func (h *House) recordsKept(in scope.Scope) time.Duration {
	now := h.Clock.Now()
	of := func(id ids.Tenant) time.Duration {
		before, _ := h.retention.Keeping(id, "message records")
		return now.Sub(before)
	}
	if id, one := in.ID(); one {
		return of(id)
	}
	longest := of(0)
	for id := range h.policies.Narrower(now) {
		longest = max(longest, of(id))
	}
	return longest
}
