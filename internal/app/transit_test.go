package app

import (
	"strings"
	"testing"

	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

// TestTransitIsJudgedByThePolicyInForce: TLS 1.3 on every way is no promise of the
// recommended policy; once the platform's policy makes it one, every door refuses
// what is below it from the next handshake on, and the promise is kept.
func TestTransitIsJudgedByThePolicyInForce(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, "")
	if f := h.check(t, "ca-transit"); f.Status != pledge.NotApplicable || !strings.Contains(f.Evidence, "mx offered") {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
	_, _, err := h.policies.Publish(t.Context(), policy.Draft{
		Text: `tls: {mx: "1.3", submission: "1.3", web: "1.3", outbound: required, version: "1.3"}`, Note: "TLS 1.3 everywhere", Role: evidence.ByOperator,
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := h.check(t, "ca-transit"); f.Status != pledge.Kept || !strings.Contains(f.Evidence, "mx 1.3, submission 1.3, submissions 1.3") {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
	h.doorMeters.below.Add(1)
	if f := h.check(t, "ca-transit"); f.Status != pledge.Failing || !strings.Contains(f.Evidence, "1 sessions came about under the floor") {
		t.Errorf("%s: %s", f.Status, f.Evidence)
	}
}
