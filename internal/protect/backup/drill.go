package backup

import (
	"context"
	"fmt"
	"io"
	"strings"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// The acts of a drill in the evidence log.
const (
	drillHeld   = "backup.drill.held"
	drillFailed = "backup.drill.failed"
)

// Try brings the newest backup back into a scratch folder: its database opens,
// has the rows that were counted, some of them open with today's keys, and every
// message body is whole. The result goes into the evidence log, whichever it is.
func (k *Keeper) Try(ctx context.Context, by evidence.Role) (d Drill, err error) {
	if k.Store == nil {
		return d, none()
	}
	err = k.alone(ctx, func(ctx context.Context) error {
		e, err := Find(ctx, k.Store, 0)
		if err != nil {
			return err
		}
		note, err := k.try(ctx, e)
		if ctx.Err() != nil {
			return fault.Because(fault.Unavailable, ctx.Err(), "The drill was broken off.")
		}
		d = Drill{Taken: e.Taken, At: k.Clock.Now(), Good: err == nil, Note: note}
		if err != nil {
			d.Note = textOf(err)
			k.Observe.For(pkg).Log.Error("a restore was tried and failed", "backup", e.ID, "error", err)
		}
		return k.tried(ctx, e, &d, by)
	})
	k.Nudge()
	return d, fault.Wrap(err, "try a restore")
}

// tried writes the result down.
func (k *Keeper) tried(ctx context.Context, e chunk.Entry, d *Drill, by evidence.Role) error {
	d.Backup = copyOf(&chunk.Manifest{ID: e.ID}).ID
	act := drillHeld
	if !d.Good {
		act = drillFailed
	}
	return k.DB.Change(ctx, "record a drill", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, k.set, "set", "drill", int64(d.Backup), clock.Micros(d.Taken), clock.Micros(d.At), d.Good, d.Note); err != nil {
			return err
		}
		return k.record(ctx, tx, by, act, idOf(d.Backup))
	})
}

// tiny are marks for a database that nobody waits for.
var tiny = db.SpaceMarks{Alert: 4, NoNewMail: 3, ReadOnly: 2, Reserve: 1}

func (k *Keeper) try(ctx context.Context, e chunk.Entry) (note string, err error) {
	m, err := k.Store.Open(ctx, e)
	if err != nil {
		return "", err
	}
	f, err := factsOf(m)
	if err != nil {
		return "", err
	}
	err = k.scratch("drill", func(dir string) error {
		to := db.Config{Dir: dir, Region: "drill", Clock: k.Clock, Space: tiny}
		if err := Fetch(ctx, k.Store, m, to, k.Schemas); err != nil {
			return err
		}
		note, err = k.examine(ctx, to, f)
		return err
	})
	if err != nil {
		return "", err
	}
	bodies := 0
	for _, x := range m.Files {
		if strings.HasPrefix(x.Name, blobFolder) {
			bodies++
			if err := k.Store.Read(ctx, m, x, io.Discard); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%s, %d message bodies whole", note, bodies), nil
}

// examine opens the restored database.
func (k *Keeper) examine(ctx context.Context, to db.Config, f facts) (note string, err error) {
	d, err := db.Open(ctx, to, k.Schemas...)
	if err != nil {
		return "", err
	}
	defer d.Close() //nolint:errcheck // it is thrown away
	found, err := d.CountRows(ctx)
	if err != nil {
		return "", err
	}
	rows := int64(0)
	for table, n := range f.Rows {
		own := table == stateTable.Name || strings.HasPrefix(table, "keep_")
		if !own && found[table] != n {
			return "", fault.New(fault.Invalid, fmt.Sprintf("The restored table %s has %d rows and not %d.", table, found[table], n))
		}
		rows += n
	}
	opened, err := k.Sample(ctx, d)
	if err != nil {
		return "", fault.Because(fault.Invalid, err, "Restored rows do not open with today's keys.")
	}
	return fmt.Sprintf("%d tables, %d rows, %d of them opened", len(f.Rows), rows, opened), nil
}
