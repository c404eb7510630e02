package httpapi

import (
	"strings"
	"testing"

	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/tenant"
)

// TestAPurgeThatFailedIsSeen: in the list, and as an alert of the overview, by
// who may read the platform and by nobody else.
func TestAPurgeThatFailedIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	operator, owner := b.as(t, tenant.Platform, access.Operator), b.as(t, b.acme, access.Owner)
	var list []RetentionState
	b.call("GET", "/v1/retention", "", operator).into(t, &list)
	if len(list) != 2 || list[0].Status != "failing" || list[0].Period != "2 days" || list[0].Problem == "" || list[1].Total != 9 || list[1].PurgedAt == nil || list[1].OldestAt != nil {
		t.Errorf("retention %+v", list)
	}
	must(t, b.parts.Alerts.(benchAlerts).Raise(t.Context(), alert.Condition{Marker: "letters", Kind: alert.Retention, Text: "The purge of letters failed."}))
	var seen, hidden Overview
	b.call("GET", "/v1/overview", "", operator).into(t, &seen)
	b.call("GET", "/v1/overview", "", owner).into(t, &hidden)
	if len(seen.Alerts) != 1 || !strings.Contains(seen.Alerts[0].Text, "letters failed") || hidden.Alerts != nil {
		t.Errorf("the operator's alerts %+v, the owner's %+v", seen.Alerts, hidden.Alerts)
	}
	if r := b.call("GET", "/v1/retention", "", owner); r.Code != 403 {
		t.Errorf("an owner gets %d", r.Code)
	}
}
