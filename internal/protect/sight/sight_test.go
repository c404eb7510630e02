package sight_test

import (
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/sight"
	"mailvow/internal/protect/tenant"
)

const (
	acme, other ids.Tenant = 7, 8
	day                    = 24 * time.Hour
)

// said is one document for the platform and one for acme.
type said map[ids.Tenant]*policy.Document

// For implements sight.Policies.
func (s said) For(id ids.Tenant, _ time.Time) policy.InForce {
	if d, own := s[id]; own {
		return policy.InForce{Document: d}
	}
	return policy.InForce{Document: s[0]}
}

func parse(t *testing.T, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newSight(t *testing.T, platform, own string) *sight.Sight {
	t.Helper()
	clock := lab.NewClock(lab.Epoch)
	return &sight.Sight{
		Policies: said{0: parse(t, platform), acme: parse(t, own)}, Clock: clock,
		Kept: func(ids.Tenant, string) (time.Time, bool) { return clock.Now().Add(-90 * day), true },
	}
}

func TestRolesThatThePolicyNames(t *testing.T) {
	t.Parallel()
	s := newSight(t, "visible: {records: [operator, owner, admin, viewer], conversations: [custodian]}", "visible: {records: [owner, admin], content: []}")
	may := func(p access.Principal, perm access.Permission) bool {
		p = s.Bind(p)
		_, ok := p.May(perm)
		if why := p.WhyNot(perm); ok == (why != "") {
			t.Errorf("%s %s: %v, and the reason is %q", p.Role, perm, ok, why)
		}
		return ok
	}
	person := func(of ids.Tenant, r access.Role) access.Principal { return access.ForRole(of, 5, 1, r) }
	made := func(maker access.Role) access.Principal {
		p := access.ForToken(acme, 3, 5, access.ScopeMessagesRead, access.ScopeMessagesContent)
		p.Maker = maker
		return p
	}
	for name, c := range map[string]struct {
		p    access.Principal
		perm access.Permission
		want bool
	}{
		"an admin reads records":                       {person(acme, access.Admin), access.MessagesRead, true},
		"a viewer does not":                            {person(acme, access.Viewer), access.MessagesRead, false},
		"of a customer without a policy they do":       {person(other, access.Viewer), access.MessagesRead, true},
		"a token of an admin reads":                    {made(access.Admin), access.MessagesRead, true},
		"a token of a developer does not":              {made(access.Developer), access.MessagesRead, false},
		"a token of somebody who has gone does not":    {made(""), access.MessagesRead, false},
		"a token of the command line reads":            {access.ForToken(acme, 3, 0, access.ScopeMessagesRead), access.MessagesRead, true},
		"but no conversation":                          {access.ForToken(other, 3, 0, access.ScopeMessagesContent), access.MessagesTranscript, false},
		"nobody reads content":                         {person(acme, access.Owner), access.MessagesContent, false},
		"nor what was caught":                          {person(acme, access.Owner), access.CaughtRead, false},
		"an owner reads no conversation":               {person(other, access.Owner), access.MessagesTranscript, false},
		"nor does the operator":                        {person(tenant.Platform, access.Operator), access.MessagesTranscript, false},
		"the custodian does":                           {person(tenant.Platform, access.Custodian), access.MessagesTranscript, true},
		"the operator reads the platform's own":        {person(tenant.Platform, access.Operator), access.MessagesRead, true},
		"what the policy does not speak of stays so":   {person(acme, access.Viewer), access.QueueRead, true},
		"the content of another's mail stays as it is": {person(other, access.Owner), access.MessagesContent, true},
	} {
		if got := may(c.p, c.perm); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if p := s.Bind(access.Principal{}); p.Known() {
		t.Error("nobody became somebody")
	}
	if why := s.Bind(person(acme, access.Owner)).WhyNot(access.MessagesContent); !strings.Contains(why, "to nobody") {
		t.Error(why)
	}
}

func TestHowFarBack(t *testing.T) {
	t.Parallel()
	s := newSight(t, "visible: {records: [operator, owner], back: 30d}", "visible: {records: [owner], back: 14d}")
	now := lab.Epoch
	operator := access.House()
	owner := access.ForRole(acme, 5, 1, access.Owner)
	from := func(s *sight.Sight, p access.Principal, in scope.Scope, want time.Duration) {
		t.Helper()
		if from, err := s.From(p, in); err != nil || !from.Equal(now.Add(-want)) {
			t.Errorf("from %v, %v", from, err)
		}
	}
	from(s, owner, scope.Tenant(acme), 14*day)
	from(s, operator, scope.Tenant(other), 30*day)
	from(s, operator, scope.Everyone, 30*day)
	if _, err := s.From(operator, scope.Tenant(acme)); !fault.Is(err, fault.Denied) {
		t.Errorf("the operator sees what the customer's policy hides from it: %v", err)
	}
	if s.Shows(operator, acme, now) || !s.Shows(owner, acme, now.Add(-14*day)) || s.Shows(owner, acme, now.Add(-14*day-time.Second)) {
		t.Error("a second does not decide")
	}
	if !s.ShowsConversation(operator, other, now.Add(-90*day)) || s.ShowsConversation(operator, other, now.Add(-90*day-time.Second)) {
		t.Error("a conversation that should be purged is shown, or a younger one is not")
	}
	plain := newSight(t, "visible: {records: [owner]}", "visible: {records: [owner]}")
	from(plain, owner, scope.Tenant(acme), 90*day) // without a limit of its own the period is the limit
	if from, err := plain.From(operator, scope.Everyone); err != nil || !from.IsZero() {
		t.Errorf("of everybody from %v, %v", from, err)
	}
}
