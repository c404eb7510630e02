package httpapi

import (
	"strings"
	"testing"
	"time"

	"mailvow/internal/protect/access"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	operator, owner, viewer := b.as(t, tenant.Platform, access.Operator), b.as(t, b.acme, access.Owner), b.as(t, b.acme, access.Viewer)
	var in PolicyInForce
	b.call("GET", "/v1/policy", "", viewer).into(t, &in)
	if in.Label != "1" || in.Platform || in.Text != "" || saidOf(in, "retention.message records") != "90d" {
		t.Errorf("at first: %+v", in)
	}
	// An owner narrows, and sees in words what would change before it does.
	var verdict PolicyVerdict
	b.call("POST", "/v1/policy/check", `{"settings":{"retention.message records":"14d","tls.mx":"1.3"}}`, owner).into(t, &verdict)
	if len(verdict.Changes) != 2 || verdict.Changes[0].Words != "retention.message records: gone after 14 days, of which nothing was said before (stricter)" || verdict.Number != 0 {
		t.Errorf("%+v", verdict)
	}
	r := b.call("POST", "/v1/policy/versions", `{"settings":{"retention.message records":"91d"}}`, owner)
	if r.Code != 422 || !strings.Contains(r.Body.String(), "would be looser than the platform's (gone after 90 days)") {
		t.Errorf("loosened: %d %s", r.Code, r.Body)
	}
	b.call("POST", "/v1/policy/versions", `{"settings":{"retention.message records":"14d"},"note":"less is enough"}`, owner).into(t, &verdict)
	b.call("GET", "/v1/policy", "", owner).into(t, &in)
	if verdict.Number != 1 || in.Label != "1-1" || saidOf(in, "retention.message records") != "14d" || !strings.Contains(in.Text, "14d") {
		t.Errorf("narrowed: %+v %+v", verdict, in)
	}
	for _, s := range in.Settings {
		if s.Obeyed != policy.Obeyed(s.Path) {
			t.Errorf("whether it is obeyed: %+v", s)
		}
		if s.Own != (s.Path == "retention.message records") {
			t.Errorf("whose is %+v", s)
		}
	}
	// The second change stands on the first.
	b.call("POST", "/v1/policy/versions", `{"settings":{"tls.mx":"1.2"}}`, owner).into(t, &verdict)
	b.call("GET", "/v1/policy", "", owner).into(t, &in)
	if saidOf(in, "retention.message records") != "14d" || saidOf(in, "tls.mx") != "1.2" {
		t.Errorf("after the second: %+v", in)
	}
	// What loosens the platform's is announced; until then it can be withdrawn.
	b.call("POST", "/v1/policy/versions", `{"settings":{"retention.message records":"100d"}}`, operator).into(t, &verdict)
	if got := verdict.EffectiveAt.Sub(b.clock.Now()); verdict.Number != 2 || got != 30*24*time.Hour {
		t.Errorf("loosened: %+v in %v", verdict, got)
	}
	if r := b.call("DELETE", "/v1/policy/versions/2", "", operator); r.Code >= 300 {
		t.Errorf("withdraw: %d %s", r.Code, r.Body)
	}
	var list struct{ Items []PolicyVersion }
	b.call("GET", "/v1/policy/versions", "", operator).into(t, &list)
	if len(list.Items) != 2 || list.Items[0].WithdrawnAt == nil || list.Items[1].Author != nil || list.Items[0].Author == nil {
		t.Errorf("%+v", list)
	}
	var profiles struct{ Items []PolicyProfile }
	b.call("GET", "/v1/policy/profiles", "", viewer).into(t, &profiles)
	if len(profiles.Items) != 6 {
		t.Errorf("%+v", profiles)
	}
	for body, says := range map[string]string{
		`{}`: "Give the policy's text", `{"text":"a: 1","settings":{"answers":"1KiB"}}`: "not both",
		`{"text":"secrecy: high"}`: "unknown field", `{"settings":{"tls.mx":"0.9"}}`: "it can be offered, 1.2, 1.3",
		`{"settings":{"tls.mx":"1.3"},"note":"a@b.example"}`: "no address in it",
	} {
		if r := b.call("POST", "/v1/policy/check", body, owner); r.Code != 422 || !strings.Contains(r.Body.String(), says) {
			t.Errorf("%s: %d %s", body, r.Code, r.Body)
		}
	}
}

func saidOf(in PolicyInForce, path string) string {
	for _, s := range in.Settings {
		if s.Path == path {
			return s.Value
		}
	}
	return ""
}
