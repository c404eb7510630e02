package command

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"mailvow/internal/app"
	"mailvow/internal/app/config"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
)

type backupCommands struct {
	Now     backupNow     `cmd:"" help:"Make a backup now, while mail flows."`
	List    backupList    `cmd:"" help:"List the backups and say what is overdue."`
	Verify  backupVerify  `cmd:"" help:"Read a whole backup, or with --drill bring the newest one back into a scratch folder; exit 1 if it does not hold."`
	Restore backupRestore `cmd:"" help:"Bring a backup back on a machine whose database is empty; the server must not run."`
}

type backupNow struct {
	reader
	where
}

// Run makes a backup.
func (c *backupNow) Run(ctx context.Context, t *Terminal) error {
	made, err := call(ctx, t, &c.where, admin.BackupMake, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(made)
	}
	return t.say("%s was made: %s, of which %s are new.", made.ID, made.Size, made.New)
}

type backupList struct {
	reader
	where
}

// Run lists backups.
func (c *backupList) Run(ctx context.Context, t *Terminal) error {
	out, err := call(ctx, t, &c.where, admin.BackupList, struct{}{})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(out)
	}
	rows := make([][]string, len(out.Backups))
	for i, b := range out.Backups {
		rows[i] = []string{b.ID.String(), b.Taken.Format(time.RFC3339), b.Size.String(), b.New.String()}
	}
	if err := t.table("BACKUP|TAKEN|SIZE|NEW", rows); err != nil {
		return err
	}
	if d := out.State.Drill; !d.At.IsZero() && d.Good {
		if err := t.say("A restore was last tried and held on %s: %s.", d.At.Format(time.RFC3339), d.Note); err != nil {
			return err
		}
	}
	if len(out.Late) > 0 {
		return t.say("Overdue: %s.", strings.Join(out.Late, "; "))
	}
	return nil
}

type backupVerify struct {
	reader
	where
	Backup string `arg:"" optional:"" help:"The backup, bak_…; without it the newest."`
	Drill  bool   `help:"Bring the newest backup back into a scratch folder and open it."`
}

// Run verifies.
func (c *backupVerify) Run(ctx context.Context, t *Terminal) error {
	id, err := backupNamed(c.Backup)
	if err != nil {
		return err
	}
	v, err := call(ctx, t, &c.where, admin.BackupVerify, admin.BackupToVerify{Backup: id, Drill: c.Drill})
	switch {
	case err != nil:
		return err
	case c.JSON:
		if err := t.answer(v); err != nil || v.Good {
			return err
		}
		return errNo
	case !v.Good:
		if err := t.say("The backup does not hold: %s", v.Note); err != nil {
			return err
		}
		return errNo
	}
	return t.say("%s of %s holds: %s.", v.Backup, v.Taken.Format(time.RFC3339), v.Note)
}

func backupNamed(text string) (id ids.Backup, err error) {
	if text == "" {
		return 0, nil
	}
	id, err = ids.Parse[ids.Backup](text)
	return id, usage(err)
}

type backupRestore struct {
	reader
	Config   string `help:"The configuration of the server." env:"MAILVOW_CONFIG" default:"/etc/mailvow/mailvow.yaml" placeholder:"FILE"`
	Identity string `required:"" help:"The file with the AGE-SECRET-KEY of one of backup.recipients." placeholder:"FILE"`
	Backup   string `arg:"" optional:"" help:"The backup, bak_…; without it the newest."`
}

// Run restores.
func (c *backupRestore) Run(ctx context.Context, t *Terminal) error {
	id, err := backupNamed(c.Backup)
	if err != nil {
		return err
	}
	conf, err := config.Load(c.Config, t.Environ)
	if err != nil {
		return err
	}
	done, err := app.Restore(ctx, app.RestoreOptions{
		Config: conf, Identity: c.Identity, Backup: id, Log: slog.NewTextHandler(t.Err, &slog.HandlerOptions{Level: slog.LevelInfo}),
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.answer(done)
	}
	streams := "Key store, evidence log and erasure ledger were here"
	if len(done.Streams) > 0 {
		streams = "From backup.newest came: " + strings.Join(done.Streams, ", ")
	}
	return t.say("%s of %s was restored, with %d message bodies. %s.\nThe erasures since then were made again. Start the server.",
		done.Backup, done.Taken.Format(time.RFC3339), done.Bodies, streams)
}
