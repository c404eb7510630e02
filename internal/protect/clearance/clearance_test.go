package clearance_test

import (
	"context"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// said is what policies say, by customer.
type said map[ids.Tenant]policy.Document

func (s said) Platform(time.Time) policy.InForce {
	d := s[tenant.Platform]
	return policy.InForce{Document: &d}
}

func (s said) Narrower(time.Time) map[ids.Tenant]policy.InForce {
	m := map[ids.Tenant]policy.InForce{}
	for id, d := range s {
		if id != tenant.Platform {
			m[id] = policy.InForce{Document: &d}
		}
	}
	return m
}

const (
	ann, prober  ids.User   = 7, 8
	acme, canary ids.Tenant = 21, 22
)

func open(t *testing.T, d *db.DB, c *lab.Clock, policies said, trained map[ids.User]bool) *clearance.Store {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	if err := tenant.New(d, v, source, c).EnsurePlatform(t.Context(), "Platform", "test"); err != nil {
		t.Fatal(err)
	}
	return clearance.New(clearance.Config{
		DB: d, Vault: v, Stage: evidence.NewStage(d), IDs: source, Clock: c, Policies: policies,
		Attested: func(_ context.Context, u ids.User) (bool, error) { return trained[u], nil },
		Apart:    func() (ids.Tenant, ids.User) { return canary, prober },
	})
}

// TestBind: what the platform's or any customer's policy asks binds the operator's
// people; what the probes' customer asks binds the prober alone, and a customer's
// own people are never bound.
func TestBind(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{tenant.Schema, evidence.Schema(), clearance.Schema}, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		policies, trained := said{}, map[ids.User]bool{}
		s := open(t, d, c, policies, trained)
		me := access.ForRole(tenant.Platform, ann, 1, access.Operator)
		sees := func(p access.Principal, want scope.Scope) {
			t.Helper()
			b, err := s.Bind(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			got, open := b.May(access.MessagesRead)
			if got != want || open == (want == scope.Scope{}) || open == (b.Why() != "") {
				t.Errorf("sees %+v (%v, %q), want %+v", got, open, b.Why(), want)
			}
			if _, may := b.May(access.GrantsTake); !may && p.User != 0 && p.Role == access.Operator {
				t.Error("is locked out of taking a grant")
			}
		}
		nothing := scope.Scope{}
		sees(me, scope.Everyone)
		policies[canary] = policy.Document{Staff: policy.ByGrant, Training: policy.TrainingRequired}
		sees(me, scope.Everyone)
		sees(access.ForRole(tenant.Platform, prober, 1, access.Operator), nothing)
		policies[acme] = policy.Document{Training: policy.TrainingRequired}
		sees(me, nothing)
		sees(access.ForToken(tenant.Platform, 3, 0, access.ScopeMessagesRead), nothing)
		sees(access.ForRole(acme, 99, 1, access.Owner), scope.Tenant(acme))
		trained[ann] = true
		sees(me, scope.Everyone)
		policies[tenant.Platform] = policy.Document{Staff: policy.ByGrant}
		sees(me, nothing)

		take := func(g clearance.Grant) clearance.Grant {
			t.Helper()
			g, err := s.Take(t.Context(), me, g)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		take(clearance.Grant{Customer: acme, Reason: "ticket 7", Until: c.Now().Add(time.Hour)})
		sees(me, scope.Tenant(acme))
		sees(access.ForRole(tenant.Platform, ann+5, 1, access.Operator), nothing)
		all := take(clearance.Grant{Reason: "ticket 8", Until: c.Now().Add(time.Hour)})
		sees(me, scope.Everyone)
		if _, err := s.End(t.Context(), access.ForRole(tenant.Platform, prober, 1, access.Operator), all.ID); !fault.Is(err, fault.NotFound) {
			t.Error("ended by another:", err)
		}
		if g, err := s.End(t.Context(), me, all.ID); err != nil || g.Live(c.Now()) {
			t.Errorf("%+v %v", g, err)
		}
		sees(me, nothing)
		take(clearance.Grant{Reason: "ticket 9", Until: c.Now().Add(time.Hour)})
		c.Wind(time.Hour)
		sees(me, nothing)
		if list, err := s.List(t.Context(), scope.Tenant(acme), 0, 10); err != nil || len(list) != 3 || list[2].Reason != "ticket 7" {
			t.Errorf("acme sees %+v %v", list, err)
		}
		if list, err := s.List(t.Context(), scope.Tenant(acme+9), 0, 10); err != nil || len(list) != 2 {
			t.Errorf("another sees %+v %v", list, err)
		}
		if n, err := s.Purge(t.Context(), c.Now().Add(time.Second)); err != nil || n != 3 {
			t.Error(n, err)
		}
	})
}

// TestTake names the grants that nobody gets.
func TestTake(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	s := open(t, lab.DB(t, tenant.Schema, evidence.Schema(), clearance.Schema), c, said{}, nil)
	me := access.ForRole(tenant.Platform, ann, 1, access.Operator)
	good := clearance.Grant{Reason: "ticket", Until: c.Now().Add(time.Hour)}
	for name, x := range map[string]struct {
		by     access.Principal
		change func(*clearance.Grant)
		kind   fault.Kind
	}{
		"no reason":            {me, func(g *clearance.Grant) { g.Reason = " \n" }, fault.Invalid},
		"over":                 {me, func(g *clearance.Grant) { g.Until = c.Now() }, fault.Invalid},
		"no end":               {me, func(g *clearance.Grant) { g.Until = time.Time{} }, fault.Invalid},
		"too long":             {me, func(g *clearance.Grant) { g.Until = c.Now().Add(clearance.Longest + time.Second) }, fault.Invalid},
		"a customer's":         {access.ForRole(acme, ann, 1, access.Owner), func(*clearance.Grant) {}, fault.Denied},
		"a token":              {access.ForToken(tenant.Platform, 3, ann, access.ScopePlatformManage), func(*clearance.Grant) {}, fault.Denied},
		"nobody in particular": {access.House(), func(*clearance.Grant) {}, fault.Denied},
	} {
		g := good
		x.change(&g)
		if _, err := s.Take(t.Context(), x.by, g); !fault.Is(err, x.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
