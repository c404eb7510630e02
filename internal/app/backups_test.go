package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"mailvow/internal/app/config"
	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
	"mailvow/internal/protect/evidence"
)

// backed is a server with backups, whose schedule does not run: it has not the
// worker's role. Its clock can be set forward.
func backed(t *testing.T, postgres string) (h *House, dir string, a *ahead) {
	t.Helper()
	mine, err := age.GenerateX25519Identity()
	must(t, err)
	const any = "127.0.0.1:0"
	c := devConfig(DevOptions{Dir: t.TempDir(), MX: any, Submission: any, Submissions: any, HTTP: any})
	c.Data.Postgres, c.Roles, dir, a = config.Secret(postgres), []config.Role{config.RoleSMTP, config.RoleDeliver, config.RoleAPI}, t.TempDir(), &ahead{}
	c.Backup = config.Backup{Dir: filepath.Join(dir, "backups"), Recipients: []string{mine.Recipient().String()}, Newest: config.Newest{Dir: filepath.Join(dir, "newest")}}
	h, err = Build(t.Context(), Settings{Config: c, Dev: true, Clock: a, Log: slog.DiscardHandler})
	must(t, err)
	t.Cleanup(func() { must(t, h.Stop(20*time.Second)) })
	must(t, h.Start(t.Context()))
	if _, err := h.demo(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = h.backups.Make(t.Context(), evidence.ByOperator)
	must(t, err)
	return h, c.Backup.Dir, a
}

var backupPromises = []string{"mb-backups", "mb-backup-purge", "ca-backup-dr", "ca-availability"}

func TestBackupPromisesAreKept(t *testing.T) {
	long(t)
	t.Parallel()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := ""
			if postgres {
				dsn = lab.Postgres(t)
			}
			h, _, _ := backed(t, dsn)
			for _, id := range backupPromises {
				if f := h.check(t, id); f.Status != pledge.Kept {
					t.Errorf("%s: %s: %s", id, f.Status, f.Evidence)
				}
			}
			must(t, h.backups.Mirror(t.Context()))
			out, err := shownBackups{h}.Backups(t.Context())
			if err != nil || !out.Configured || !out.NewestState || out.Count != 1 || out.Newest == nil || !out.DrillHeld || len(out.Late) != 0 {
				t.Errorf("%+v %v", out, err)
			}
		})
	}
}

// TestWithoutBackups: that there are none is said, everywhere.
func TestWithoutBackups(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, "")
	for throwaway, want := range map[bool]pledge.Status{true: pledge.NotApplicable, false: pledge.Failing} {
		h.probed.Throwaway = throwaway
		for _, id := range backupPromises {
			if f := h.check(t, id); f.Status != want {
				t.Errorf("%s: %s: %s", id, f.Status, f.Evidence)
			}
		}
	}
	out, err := shownBackups{h}.Backups(t.Context())
	if err != nil || out.Configured || len(out.Late) != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := (operatedBackups{h}).Make(context.Background()); err == nil {
		t.Error("a backup was made nowhere")
	}
}
