package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/tenant"
)

// guess shows the submission door a credential that nobody has.
func guess(t *testing.T, addr string) {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	must(t, err)
	defer c.Close()
	_, _, err = c.ReadResponse(220)
	must(t, err)
	for _, step := range []struct {
		line string
		want int
	}{{"EHLO thief.invalid", 250}, {"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00nobody\x00nothing")), 535}} {
		must(t, c.PrintfLine("%s", step.line))
		_, _, err = c.ReadResponse(step.want)
		must(t, err)
	}
}

// TestDetectors: what each detector is for happens, and its alert stands on the
// board with what to do; without it there is none.
func TestDetectors(t *testing.T) {
	long(t)
	t.Parallel()
	c := &ahead{}
	h := runningBy(t, c, "", nil)
	ctx, by := t.Context(), evidence.Actor{Role: evidence.ByOperator}
	stands := func(kind alert.Kind, says string) {
		t.Helper()
		must(t, h.alerts.Look(ctx))
		list, err := h.alerts.Standing(ctx)
		must(t, err)
		if !slices.ContainsFunc(list, func(a alert.Alert) bool { return a.Kind == kind && strings.Contains(a.Text, says) }) || kind.Runbook() == "" {
			t.Errorf("no alert %s that says %q: %+v", kind, says, list)
		}
	}
	must(t, h.alerts.Look(ctx))
	if list, err := h.alerts.Standing(ctx); err != nil || len(list) != 0 {
		t.Fatalf("before anything happened: %+v %v", list, err)
	}
	soon := watcher(h.Clock.Now().AddDate(0, 0, 3).Format(time.DateOnly))
	_, _, err := h.supply.Announce(ctx, supply.Draft{Entry: soon, By: by})
	must(t, err)
	stands(alert.Supply, "has papers that end on")
	for range alert.GuessesOf {
		guess(t, h.doors.at("submission"))
	}
	stands(alert.Guessing, "20 credentials were refused")

	customer, err := h.tenants.Add(ctx, "Surging", h.Config.Region)
	must(t, err)
	minute := h.Clock.Now().Unix() / 60
	plant := func(at, n int64) {
		t.Helper()
		statement(fmt.Sprintf("insert into tally values (%d, %d, %d, %d)", customer.ID, at, history.Accepted, n))(t, h)
	}
	plant(minute, surgeLeast-1)
	if list, err := h.surging(ctx); err != nil || len(list) != 0 {
		t.Errorf("under the mark: %+v %v", list, err)
	}
	plant(minute-1, 1)
	stands(alert.Volume, customer.ID.String()+" had 1000 messages")
	plant(minute-120, 101*surgeWeek) // it sends as much every hour
	if list, err := h.surging(ctx); err != nil || len(list) != 0 {
		t.Errorf("as ever: %+v %v", list, err)
	}

	token := ids.New[ids.Token](h.ids)
	for range 2 {
		counted, sum := reads.Count(ctx)
		for i := range alert.ExportsOf / 2 {
			reads.Saw(counted, "message records", customer.ID, ids.Message(i+1), h.Clock.Now())
		}
		must(t, h.reads.Record(ctx, reads.Reader{Door: reads.API, Operation: "list-messages", Tenant: customer.ID, Token: token}, []string{"message records"}, sum))
	}
	stands(alert.Export, "The token "+token.String()+" was shown 10000 records")

	email, err := address.Parse("climber@example.net")
	must(t, err)
	u, err := h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: customer.ID, Email: email, Name: "C", Role: access.Viewer})
	must(t, err)
	admin, viewer := access.Admin, access.Viewer
	_, err = h.access.ChangeUser(ctx, access.House(), scope.Tenant(customer.ID), u.ID, access.UserChange{Role: &admin})
	must(t, err)
	stands(alert.Role, "has the role admin now and had viewer")
	list, err := h.alerts.Standing(ctx)
	must(t, err)
	_, err = h.access.ChangeUser(ctx, access.House(), scope.Tenant(customer.ID), u.ID, access.UserChange{Role: &viewer})
	must(t, err)
	if after, err := h.alerts.Standing(ctx); err != nil || len(after) != len(list) {
		t.Errorf("a role that was lowered raised %+v %v", after, err)
	}

	operators, err := h.access.Users(ctx, scope.Tenant(tenant.Platform), 1<<63-1, 10)
	must(t, err)
	advised, err := h.unadvised(ctx)
	if err != nil || len(advised) != len(operators) {
		t.Errorf("%d of %d without training: %v", len(advised), len(operators), err)
	}
	_, _, err = h.policies.Publish(ctx, policy.Draft{Tenant: tenant.Platform, Text: "training: required", Role: evidence.ByOperator})
	must(t, err)
	if advised, err = h.unadvised(ctx); err != nil || len(advised) != 0 {
		t.Errorf("training is required, and advised: %+v %v", advised, err)
	}

	_, err = h.incidents.Open(ctx, incident.Opening{Title: "Late", Aware: h.Clock.Now().Add(-100 * time.Hour)}, by)
	must(t, err)
	stands(alert.Incident, "is overdue since")

	h.endings.Outlive = func(context.Context, ids.Tenant) (int, error) { return 0, errClosed } // it never ends
	_, err = h.endings.Order(ctx, ending.Order{Tenant: customer.ID, By: evidence.ByOperator, Confirm: customer.Name})
	must(t, err)
	c.by.Add(int64(62 * 24 * time.Hour))
	stands(alert.Contract, "The data of "+customer.ID.String()+" was to be gone by")
}
