package retain

import (
	"context"
	"slices"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/policy"
)

// purge is one run of a rule: of everybody, or of a customer.
type purge struct {
	in     scope.Scope
	tenant ids.Tenant // zero for everybody
	before time.Time
}

// plan says what a rule purges now. Everybody's records go up to the time that
// the longest period leaves, so that nobody's floor is undercut; after that each
// customer's whose own period is shorter.
func (e *Engine) plan(ctx context.Context, r Rule, now time.Time) ([]purge, error) {
	platform := e.cut(r, 0, now)
	everyone := purge{in: scope.Everyone, before: platform}
	list := []purge{everyone}
	if e.Policies == nil || r.Age > 0 {
		return list, nil
	}
	own := map[ids.Tenant]time.Time{}
	for t := range e.Policies.Narrower(now) {
		own[t] = e.cut(r, t, now)
		if own[t].Before(list[0].before) {
			list[0].before = own[t]
		}
	}
	if list[0].before.Before(platform) { // somebody keeps longer: the others go one by one
		tenants, err := e.Vault.Tenants(ctx)
		if err != nil {
			return list, err
		}
		for _, t := range tenants {
			if _, apart := own[t]; !apart {
				own[t] = platform
			}
		}
	}
	for t, before := range own {
		if before.After(list[0].before) {
			list = append(list, purge{scope.Tenant(t), t, before})
		}
	}
	slices.SortFunc(list[1:], func(a, b purge) int { return int(a.tenant - b.tenant) })
	return list, nil
}

// cut is the time before which a customer's records of a rule go now; the zero
// tenant's is the platform's. It asks the policy each time, so that a change
// needs no restart.
func (e *Engine) cut(r Rule, tenant ids.Tenant, now time.Time) time.Time {
	if r.Age > 0 {
		return now.Add(-r.Age)
	}
	name := r.Category
	if r.By != "" {
		name = r.By
	}
	k, _ := e.Inventory.Category(name)
	before := now.Add(-max(k.Period.Ceiling, k.Period.Floor))
	if e.Policies == nil {
		return before
	}
	said := e.Policies.For(tenant, now).Document.Retention[name]
	return Before(said, before, now.Add(-k.Period.Floor), now)
}

// Before is the time before which something goes that a policy speaks of. Where
// it names no ceiling, that is otherwise; a law's floor is never undercut, nor
// the one that the house knows.
func Before(said policy.Keeping, otherwise, floor, now time.Time) time.Time {
	before := otherwise
	if said.AtMost.Given() {
		before = said.AtMost.Before(now)
	}
	if said.AtLeast.Given() {
		if law := said.AtLeast.Before(now); law.Before(before) {
			before = law
		}
	}
	if floor.Before(before) {
		before = floor
	}
	return before
}

// keysCut is the time by which a customer's epochs of a class must have ended to
// be no longer needed.
func (e *Engine) keysCut(k Keys, tenant ids.Tenant, now time.Time) time.Time {
	before := now.Add(-k.After)
	for _, r := range e.Rules {
		if !slices.Contains(k.Of, r.Category) {
			continue
		}
		if needed := e.cut(r, tenant, now).Add(-slack); needed.Before(before) {
			before = needed
		}
	}
	return before
}

// label names the policy in force, as evidence bears it.
func (e *Engine) label(tenant ids.Tenant) string {
	if e.Policies == nil {
		return "1"
	}
	return e.Policies.For(tenant, e.Clock.Now()).Label
}

// Keeping is what is in force for a customer of a category that a rule purges:
// the time before which its records go now.
func (e *Engine) Keeping(tenant ids.Tenant, category string) (before time.Time, ruled bool) {
	for _, r := range e.Rules {
		if r.Category == category && r.Age == 0 {
			return e.cut(r, tenant, e.Clock.Now()), true
		}
	}
	return time.Time{}, false
}
