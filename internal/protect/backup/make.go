package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// The files of a backup.
const (
	databaseFile = "db/mailvow.db" // SQLite's file
	rowFolder    = "rows/"         // PostgreSQL's tables
	blobFolder   = "blobs/"
)

// facts stand in a backup's manifest.
type facts struct {
	Dialect  string           `json:"dialect"`
	Versions map[string]int   `json:"versions"` // migrations by package
	Rows     map[string]int64 `json:"rows"`     // by table
	Tables   []db.Table       `json:"tables,omitempty"`
}

func factsOf(m *chunk.Manifest) (f facts, err error) {
	err = json.Unmarshal(m.Facts, &f)
	return f, fault.Wrap(err, "read a manifest")
}

// Make makes a backup now.
func (k *Keeper) Make(ctx context.Context, by evidence.Role) (c Copy, err error) {
	if k.Store == nil {
		return c, none()
	}
	err = k.alone(ctx, func(ctx context.Context) error {
		m, err := k.make(ctx)
		if err != nil {
			return err
		}
		c = copyOf(m)
		return k.DB.Change(ctx, "record a backup", func(tx *db.Tx) error { return k.record(ctx, tx, by, "backup.made", m.ID) })
	})
	k.Nudge()
	return c, fault.Wrap(err, "make a backup")
}

func (k *Keeper) make(ctx context.Context) (*chunk.Manifest, error) {
	before, err := k.previous(ctx)
	if err != nil {
		return nil, err
	}
	// The time is that of the beginning: what is erased meanwhile is erased again.
	id := ids.New[ids.Backup](k.IDs)
	w, err := k.Store.Begin(ctx, id.String(), k.Clock.Now())
	if err != nil {
		return nil, err
	}
	// Bodies before rows, and those that came meanwhile after them: what a row of
	// the copy refers to is there, unless it was delivered meanwhile.
	done := map[string]bool{}
	if err := k.addBlobs(ctx, w, before, done); err != nil {
		return nil, err
	}
	f := facts{Dialect: k.DB.Dialect().String(), Rows: map[string]int64{}}
	if f.Versions, err = k.DB.Versions(ctx); err != nil {
		return nil, err
	}
	if k.DB.Dialect() == db.Postgres {
		err = k.addRows(ctx, w, &f)
	} else {
		err = k.addFile(ctx, w, &f)
	}
	if err == nil {
		err = k.addBlobs(ctx, w, before, done)
	}
	if err != nil {
		return nil, err
	}
	return w.Commit(ctx, f)
}

// previous are the files of the newest backup whose chunks have the same key.
func (k *Keeper) previous(ctx context.Context) (map[string]chunk.File, error) {
	files := map[string]chunk.File{}
	e, err := Find(ctx, k.Store, 0)
	if fault.Is(err, fault.NotFound) {
		return files, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := k.Store.Open(ctx, e)
	if err != nil || string(m.Key) != string(k.Store.Key[:]) {
		return files, nil //nolint:nilerr // a backup that cannot be read is no reason to make none
	}
	for _, f := range m.Files {
		files[f.Name] = f
	}
	return files, nil
}

// addBlobs archives every blob that is not done. A blob never changes, so one of
// the former backup is not read again.
func (k *Keeper) addBlobs(ctx context.Context, w *chunk.Writer, before map[string]chunk.File, done map[string]bool) error {
	var todo []blob.Entry
	err := k.Blobs.List(ctx, func(e blob.Entry) error {
		if !done[string(e.Name)] {
			todo = append(todo, e)
		}
		return nil
	})
	if err != nil {
		return fault.Wrap(err, "list message bodies")
	}
	for _, e := range todo {
		done[string(e.Name)] = true
		name := blobFolder + string(e.Name)
		if f, had := before[name]; had && f.Size == chunk.Bytes(e.Size) && w.Again(f) {
			continue
		}
		if err := k.addBlob(ctx, w, name, e.Name); err != nil && !fault.Is(err, fault.NotFound) {
			return fault.Wrap(err, "copy a message body")
		}
	}
	return nil
}

func (k *Keeper) addBlob(ctx context.Context, w *chunk.Writer, name string, n blob.Name) error {
	b, err := k.Blobs.Open(ctx, n)
	if err != nil {
		return err // NotFound: delivered meanwhile
	}
	defer b.Close()
	return w.Add(ctx, name, io.NewSectionReader(b, 0, b.Size()))
}

// scratch makes an empty folder for one act and removes it afterwards.
func (k *Keeper) scratch(what string, f func(dir string) error) (err error) {
	dir := filepath.Join(k.Scratch, what+".unfinished")
	if err := os.RemoveAll(dir); err != nil {
		return fault.Because(fault.Unavailable, err, "The scratch folder of backups cannot be emptied.")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Because(fault.Unavailable, err, "The scratch folder of backups cannot be made.")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}

// addFile archives SQLite's file from a copy.
func (k *Keeper) addFile(ctx context.Context, w *chunk.Writer, f *facts) error {
	return k.scratch("backup", func(dir string) (err error) {
		name := filepath.Join(dir, "mailvow.db")
		if err := k.DB.Snapshot(ctx, name); err != nil {
			return err
		}
		if f.Rows, err = db.CountRows(ctx, name); err != nil {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return fault.Because(fault.Unavailable, err, "")
		}
		defer file.Close()
		return w.Add(ctx, databaseFile, file)
	})
}

// addRows archives PostgreSQL's tables.
func (k *Keeper) addRows(ctx context.Context, w *chunk.Writer, f *facts) error {
	var out *rowWriter
	end := func() error {
		if out == nil {
			return nil
		}
		return out.end(ctx)
	}
	err := k.DB.Copy(ctx, func(t db.Table) error {
		if err := end(); err != nil {
			return err
		}
		f.Tables, f.Rows[t.Name], out = append(f.Tables, t), 0, &rowWriter{to: w.File(rowFolder + t.Name)}
		return nil
	}, func(row []any) error {
		f.Rows[f.Tables[len(f.Tables)-1].Name]++
		return out.add(ctx, row)
	})
	if err != nil {
		return err
	}
	return end()
}

// Plant archives content as a backup of another time, for a probe that sees it
// expire. It must not be younger than the real ones, for those are restored.
func (k *Keeper) Plant(ctx context.Context, taken time.Time, content []byte) (id ids.Backup, err error) {
	if k.Store == nil {
		return 0, none()
	}
	id = ids.New[ids.Backup](k.IDs)
	err = k.alone(ctx, func(ctx context.Context) error {
		w, err := k.Store.Begin(ctx, id.String(), taken)
		if err == nil {
			err = w.Add(ctx, "planted", bytes.NewReader(content))
		}
		if err == nil {
			_, err = w.Commit(ctx, facts{Dialect: "planted"})
		}
		return err
	})
	return id, fault.Wrap(err, "plant a backup")
}

// Expire removes the backups that were taken before a time, with every chunk
// that no other one uses.
func (k *Keeper) Expire(ctx context.Context, before time.Time) (n int, err error) {
	if k.Store == nil {
		return 0, nil
	}
	if oldest, err := k.Oldest(ctx); err != nil || oldest.IsZero() || !oldest.Before(before) {
		return 0, err // nobody need wait for a backup that is under way
	}
	err = k.alone(ctx, func(ctx context.Context) (err error) { n, err = k.expire(ctx, before); return err })
	return n, err
}

func (k *Keeper) expire(ctx context.Context, before time.Time) (int, error) {
	n, _, err := k.Store.Expire(ctx, func(e chunk.Entry) bool { return !e.Taken.Before(before) })
	return n, err
}

// Oldest is when the oldest backup was taken, or zero.
func (k *Keeper) Oldest(ctx context.Context) (time.Time, error) {
	s, err := k.State(ctx)
	return s.Oldest, err
}
