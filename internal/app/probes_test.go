package app

import (
	"log/slog"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/pledge"
)

// running is a whole server in dev mode for the probes to act on.
func running(t *testing.T, postgres string, change ...func(*House)) *House {
	t.Helper()
	return runningAs(t, postgres, nil, change...)
}

// runningAs starts some roles only.
func runningAs(t *testing.T, postgres string, roles []config.Role, change ...func(*House)) *House {
	t.Helper()
	const any = "127.0.0.1:0"
	c := devConfig(DevOptions{Dir: t.TempDir(), MX: any, Submission: any, Submissions: any, HTTP: any})
	c.Data.Postgres, c.Roles = config.Secret(postgres), roles
	h, err := Build(t.Context(), Settings{Config: c, Dev: true, Clock: clock.Wall{}, Log: slog.DiscardHandler})
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
	"ca-rest", "cm-encryption", "cm-content-transient", "cm-inbound-http", "cm-inbound-record", "cm-metadata-delete", "cj-relay",
	"cl-queue", "cl-retry", "cl-dsn", "cl-minimise", "mb-tls", "mb-argon2id", "mb-certificate",
}

func TestPromisesAreKept(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	for _, id := range probed {
		if f := h.check(t, id); f.Status != pledge.Kept {
			t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
		}
	}
	if f := h.check(t, "cm-mgmt-separate"); f.Status != pledge.NotApplicable {
		t.Errorf("%+v", f)
	}
	if f := h.check(t, "mb-mfa"); f.Status != pledge.NotYet {
		t.Errorf("%+v", f)
	}
}
