package sample_test

import (
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/evidence"
)

// TestDraw: each entry stands in its list, within its period and for whom it is, and
// in no other.
func TestDraw(t *testing.T) {
	t.Parallel()
	clock := lab.NewClock(lab.Epoch)
	source := ids.NewSource(clock, 1, 0)
	dir := t.TempDir()
	ring, err := evidence.OpenRing(dir+"/keys", "mail.test/evidence", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := evidence.OpenFolder(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer tiles.Close()
	stage := evidence.NewMemory()
	log, err := evidence.Open(t.Context(), evidence.Config{Tiles: tiles, Ring: ring, Staged: stage, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	one, two := ids.Tenant(11), ids.Tenant(12)
	put := func(of ids.Tenant, b evidence.Body) {
		t.Helper()
		clock.Wind(time.Minute)
		if err := stage.Stage(t.Context(), evidence.Leaf{ID: ids.New[ids.Leaf](source), At: evidence.On(clock.Now()), By: evidence.Actor{Role: evidence.ByOwner}, Tenant: of, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	user := ids.New[ids.User](source).String()
	put(one, &evidence.Act{Act: sample.Joined, Target: user})
	for range 300 { // more than a tile
		put(two, &evidence.Act{Act: "alert.acknowledge"})
	}
	clock.Wind(24 * time.Hour)
	day := clock.Now()
	put(one, &evidence.Act{Act: sample.Left, Target: user})
	put(two, &evidence.Act{Act: sample.Joined, Target: user})
	put(one, &evidence.Act{Act: "create-token"})
	put(one, &evidence.Act{Act: "incident.open"})
	put(1, &evidence.PolicyChange{Version: "2", Previous: "1"})
	put(0, &evidence.ProbeResult{Promise: "mb-tls", Status: pledge.Failing})
	put(0, &evidence.ProbeResult{Promise: "ca-rest", Status: pledge.Kept})
	put(two, &evidence.ProbeResult{Promise: "cm-redact", Status: pledge.Failing})
	for n := 1; n > 0; {
		if n, err = log.Integrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	draw := func(in scope.Scope, l sample.List, from, to time.Time) string {
		t.Helper()
		rows, more, err := sample.Draw(t.Context(), log.Reader(), in, l, from, to)
		if err != nil || more {
			t.Fatal(err, more)
		}
		var names []string
		for _, r := range rows {
			names = append(names, r.What)
		}
		return strings.Join(names, " ")
	}
	end := clock.Now().Add(time.Minute)
	for list, want := range map[sample.List][2]string{
		sample.Joiners: {sample.Joined, ""}, sample.Leavers: {sample.Left, sample.Left}, sample.Grants: {"create-token", "create-token"},
		sample.Incidents: {"incident.open", "incident.open"}, sample.Changes: {"policy.version.2", ""}, sample.FailedProbes: {"mb-tls cm-redact", "mb-tls"},
	} {
		if got := draw(scope.Everyone, list, day, end); got != want[0] {
			t.Errorf("%s of all: %q, want %q", list, got, want[0])
		}
		if got := draw(scope.Tenant(one), list, day, end); got != want[1] {
			t.Errorf("%s of one: %q, want %q", list, got, want[1])
		}
	}
	if got := draw(scope.Everyone, sample.Joiners, lab.Epoch, end); got != sample.Joined+" "+sample.Joined {
		t.Errorf("from the beginning: %q", got)
	}
	if got := draw(scope.Everyone, sample.Joiners, lab.Epoch, lab.Epoch.Add(time.Minute)); got != "" {
		t.Errorf("before anything happened: %q", got)
	}
	if _, _, err := sample.Draw(t.Context(), log.Reader(), scope.Everyone, "all", day, end); !fault.Is(err, fault.NotFound) {
		t.Error("a list that there is not:", err)
	}
	if _, _, err := sample.Draw(t.Context(), log.Reader(), scope.Everyone, sample.Changes, end, day); !fault.Is(err, fault.Invalid) {
		t.Error("a period that ends before it begins:", err)
	}
	rows, _, err := sample.Draw(t.Context(), log.Reader(), scope.Tenant(one), sample.Leavers, day, end)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := sample.CSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !slices.Equal(strings.Split(lines[0], ","), []string{"entry", "at", "customer", "what", "target", "by"}) || !strings.HasPrefix(lines[1], "301,") || !strings.HasSuffix(lines[1], ","+sample.Left+","+user+",owner") {
		t.Errorf("%q", lines)
	}
}
