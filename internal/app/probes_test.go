package app

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
)

// running is a whole server in dev mode for the probes to act on.
func running(t *testing.T, postgres string, change ...func(*House)) *House {
	t.Helper()
	return runningAs(t, postgres, nil, change...)
}

// runningAs starts some roles only.
func runningAs(t *testing.T, postgres string, roles []config.Role, change ...func(*House)) *House {
	t.Helper()
	return runningBy(t, clock.Wall{}, postgres, roles, change...)
}

// ahead is the machine's clock, set forward by a test. Timers are not touched.
type ahead struct {
	clock.Wall
	by atomic.Int64
}

// Now implements clock.Clock.
func (a *ahead) Now() time.Time { return a.Wall.Now().Add(time.Duration(a.by.Load())) }

func runningBy(t *testing.T, c clock.Clock, postgres string, roles []config.Role, change ...func(*House)) *House {
	t.Helper()
	const any = "127.0.0.1:0"
	cfg := devConfig(DevOptions{Dir: t.TempDir(), MX: any, Submission: any, Submissions: any, HTTP: any})
	cfg.Data.Postgres, cfg.Roles = config.Secret(postgres), roles
	h, err := Build(t.Context(), Settings{Config: cfg, Dev: true, Clock: c, Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(20 * time.Second); err != nil {
			t.Error(err)
		}
	})
	for _, f := range change {
		f(h)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// check runs one probe.
func (h *House) check(t *testing.T, id string) pledge.Finding {
	t.Helper()
	var found pledge.Finding
	if err := h.controls.Check(t.Context(), func(f pledge.Finding) error { found = f; return nil }, id); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s: %s", found.ID, found.Status, found.Evidence)
	return found
}

var probed = []string{
	"cm-cookies",
	"ca-rest", "cm-encryption", "cm-content-transient", "cm-inbound-http", "cm-inbound-record", "cm-metadata-delete", "cj-relay",
	"ca-instructions", "mb-legal-basis", "mb-no-sale", "cm-redact", "cm-outbound-policy", "cj-retention",
	"mb-ret-account", "mb-ret-analytics", "mb-ret-logs", "cl-log14",
	"cj-hold", "ca-breach", "ca-incident", "cl-queue", "cl-retry", "cl-dsn", "cl-minimise", "mb-tls", "mb-argon2id", "mb-certificate", "ca-termination", "cl-contract-end", "ca-rbac", "ca-ddos", "mb-csrf", "ca-ropa",
	"ca-training", "ca-audit-rights", "mb-need-to-know", "cm-lawful", "cl-authorities", "mb-patches", "ca-monitoring",
	"cm-dpa", "cm-whitepaper", "cm-contact", "ca-security-contact", "cj-intake", "mb-dpo", "mb-policy-changes", "mb-policy-accept", "mb-children",
	"cm-regions", "cm-subprocessors", "ca-subprocessor-notice", "ca-transfers", "cj-vendor-terms", "mb-vendor-dpa", "cl-vendor-contracts", "cj-sharing", "cl-no-sharing",
}

// long is for tests of minutes, which run with the whole suite and not under the
// race detector: what they call has shorter tests of its own.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs without -short only")
	}
}

func TestPromisesAreKept(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, "")
	for _, id := range probed {
		if f := h.check(t, id); f.Status != pledge.Kept {
			t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
		}
	}
	for _, id := range []string{"cm-mgmt-separate", "mb-banner"} {
		if f := h.check(t, id); f.Status != pledge.NotApplicable {
			t.Errorf("%+v", f)
		}
	}
	if f := h.check(t, "mb-mfa"); f.Status != pledge.NotYet {
		t.Errorf("%+v", f)
	}
}

// TestCopiesEndWithTheirHour: what a database keeps of a delivered message is
// opened by nothing once the key of its hour is destroyed, and the probe says
// which it saw. If the keys are not destroyed it fails.
func TestCopiesEndWithTheirHour(t *testing.T) {
	long(t)
	t.Parallel()
	for name, dsn := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return lab.Postgres(t) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &ahead{}
			h := runningBy(t, c, dsn(), nil)
			says := func(want string, status pledge.Status) {
				t.Helper()
				if f := h.check(t, "cl-queue"); f.Status != status || !strings.Contains(f.Evidence, want) {
					t.Errorf("%s: %s", f.Status, f.Evidence)
				}
			}
			says("no canary of this process is old enough", pledge.Kept)
			c.by.Add(int64(2*time.Hour + time.Minute))
			if name == "postgres" { // SQLite empties its free pages while it rests, for which each check waits
				says("past their time and were not destroyed", pledge.Failing)
			}
			if err := h.retention.Soon(t.Context()); err != nil {
				t.Fatal(err)
			}
			says("whose time is over none opens", pledge.Kept)
			if name == "postgres" {
				says("PostgreSQL still has sealed bytes of it in", pledge.Kept)
				// A key that came back from a copy of the key store is one that opens.
				h.probed.Opens = func(context.Context, ids.Tenant, ids.Message, []byte) (bool, error) { return true, nil }
				says("still opens, though its time was over", pledge.Failing)
			}
		})
	}
}
