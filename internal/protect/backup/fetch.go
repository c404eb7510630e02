package backup

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
)

// Fetch brings a backup's rows back into an empty database: a folder for SQLite,
// into which a copy of PostgreSQL goes as well, or an empty PostgreSQL. What it
// leaves opens with db.Open, and its first row says that the erasures since then
// are still to be made again. If it fails PostgreSQL is as empty as before; a
// folder has to be removed.
func Fetch(ctx context.Context, s *chunk.Store, m *chunk.Manifest, to db.Config, schemas []db.Schema) error {
	f, err := factsOf(m)
	if err == nil {
		err = Fits(m, schemas)
	}
	if err != nil {
		return fault.Wrap(err, "bring a backup back")
	}
	if f.Dialect == db.Postgres.String() {
		err = fetchRows(ctx, s, m, f, to, schemas)
	} else {
		err = fetchFile(ctx, s, m, to, schemas)
	}
	return fault.Wrap(err, "bring a backup back")
}

// Fits is the fault of a backup that a newer version wrote, or nil.
func Fits(m *chunk.Manifest, schemas []db.Schema) error {
	f, err := factsOf(m)
	if err != nil {
		return err
	}
	return db.Newer(f.Versions, schemas...)
}

func fetchFile(ctx context.Context, s *chunk.Store, m *chunk.Manifest, to db.Config, schemas []db.Schema) (err error) {
	if to.Postgres != "" {
		return fault.New(fault.Conflict, "This backup is of SQLite and cannot be brought back into PostgreSQL.").WithHint("restore it without data.postgres")
	}
	f, ok := m.Find(databaseFile)
	if !ok {
		return fault.New(fault.Invalid, "The backup holds no database.")
	}
	out, err := os.OpenFile(filepath.Join(to.Dir, filepath.Base(databaseFile)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Because(fault.Conflict, err, "There is a database already.")
	}
	err = s.Read(ctx, m, f, out)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	d, err := db.Open(ctx, to, schemas...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Change(ctx, "mark a restore", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, d.Set(pkg), "set", mark(m)...)
		return err
	})
}

// mark is the row of a restore whose erasures are to be made again.
func mark(m *chunk.Manifest) []any {
	c := copyOf(m)
	return []any{"restore", int64(c.ID), clock.Micros(m.Taken), clock.Micros(m.Taken), false, ""}
}

func fetchRows(ctx context.Context, s *chunk.Store, m *chunk.Manifest, f facts, to db.Config, schemas []db.Schema) error {
	versions := maps.Clone(f.Versions)
	versions[pkg] = max(versions[pkg], 1)
	return db.Rebuild(ctx, to, versions, func(table func(db.Table) error, row func([]any) error) error {
		for _, t := range f.Tables {
			if t.Name == stateTable.Name {
				continue
			}
			file, ok := m.Find(rowFolder + t.Name)
			if !ok {
				return fault.New(fault.Invalid, "The backup is damaged: a table is missing.")
			}
			if err := table(t); err != nil {
				return err
			}
			if err := eachRow(s.Reader(ctx, m, file), len(t.Columns), row); err != nil {
				return err
			}
		}
		if err := table(stateTable); err != nil {
			return err
		}
		return row(mark(m))
	}, schemas...)
}

var stateTable = db.Table{Name: "backup_state", Columns: []string{"what", "backup", "taken", "at", "good", "note"}}

func eachRow(from io.Reader, columns int, row func([]any) error) error {
	r, values := bufio.NewReaderSize(from, chunk.Size), make([]any, columns)
	for {
		switch err := readRow(r, values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && fault.KindOf(err) == fault.Internal:
			return fault.Because(fault.Invalid, err, "The backup is damaged: its rows cannot be read.")
		case err != nil:
			return err
		}
		if err := row(values); err != nil {
			return err
		}
	}
}

// FetchBlobs brings the message bodies back that are not there, and gives their
// number.
func FetchBlobs(ctx context.Context, s *chunk.Store, m *chunk.Manifest, to blob.Store) (n int, err error) {
	there := map[string]bool{}
	if err := to.List(ctx, func(e blob.Entry) error { there[string(e.Name)] = true; return nil }); err != nil {
		return 0, fault.Wrap(err, "list message bodies")
	}
	for _, f := range m.Files {
		text, is := strings.CutPrefix(f.Name, blobFolder)
		if !is || there[text] {
			continue
		}
		name, err := blob.ParseName(text)
		if err == nil {
			_, err = blob.Put(ctx, to, name, s.Reader(ctx, m, f))
		}
		if err != nil {
			return n, fault.Wrap(err, "bring message bodies back")
		}
		n++
	}
	return n, nil
}

// Pending is the restore whose erasures are still to be made again, if there is one.
func (k *Keeper) Pending(ctx context.Context) (Drill, bool, error) {
	d, err := k.state(ctx, "restore")
	return d, err == nil && !d.At.IsZero() && !d.Good, err
}

// Settled says that they were made.
func (k *Keeper) Settled(ctx context.Context, d Drill) error {
	return k.DB.Change(ctx, "end a restore", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, k.set, "set", "restore", int64(d.Backup), clock.Micros(d.Taken), clock.Micros(k.Clock.Now()), true, "")
		return err
	})
}

// textOf is what may be told of an error.
func textOf(err error) string {
	if text, _ := fault.Public(err); text != "" {
		return text
	}
	return "The server failed; its log says why."
}

func idOf(b ids.Backup) string {
	if b == 0 {
		return ""
	}
	return b.String()
}
