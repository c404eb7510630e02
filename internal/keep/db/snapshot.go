package db

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"

	"modernc.org/sqlite"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

const (
	snapshotPages = 128 // copied between two groups of commits: one MiB, some milliseconds
	snapshotTries = 3   // a writer that had to be healed begins the copy anew
)

// Snapshot copies the SQLite file to a new one, as of one commit: that of its
// end. The committing connection copies a few pages between two groups, and what
// it writes meanwhile it writes into the copy too; so mail goes on, and no read
// holds the log for longer than those pages take. The copy is not synced. There
// must be room for a second file of that size.
func (d *DB) Snapshot(ctx context.Context, file string) error {
	if d.dialect != SQLite {
		return fault.New(fault.Internal, "only SQLite is a file")
	}
	var err error
	for range snapshotTries {
		if err = d.snapshot(ctx, file); err == nil || ctx.Err() != nil || !fault.Is(err, fault.Conflict) {
			break
		}
	}
	if err != nil {
		err = errors.Join(err, removeFile(file))
	}
	return fault.Wrap(err, "copy the database")
}

func removeFile(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (d *DB) snapshot(ctx context.Context, file string) error {
	if err := removeFile(file); err != nil {
		return fault.Because(fault.Unavailable, err, "The copy's place cannot be written.")
	}
	var copying *sqlite.Backup
	step := func(ctx context.Context, w *sqliteWriter) (more bool, err error) {
		switch {
		case copying == nil:
			if copying, err = w.beginCopy(ctx, file); err != nil {
				return false, err
			}
		case w.copying != copying:
			return false, fault.New(fault.Conflict, "the connection that copied was given up")
		}
		more, err = copying.Step(snapshotPages)
		if err != nil || !more {
			err = errors.Join(err, w.endCopy())
		}
		return more, err
	}
	for more := true; more; {
		var err error
		if ctx.Err() != nil {
			more = false
			err = d.onWriter(context.WithoutCancel(ctx), func(_ context.Context, w *sqliteWriter) error { return errors.Join(ctx.Err(), w.endCopy()) })
		} else {
			err = d.onWriter(ctx, func(ctx context.Context, w *sqliteWriter) (err error) { more, err = step(ctx, w); return err })
		}
		if err != nil {
			return d.classify(err)
		}
	}
	return nil
}

// onWriter runs f on the committing goroutine, between two groups.
func (d *DB) onWriter(ctx context.Context, f func(context.Context, *sqliteWriter) error) error {
	w := &waiting{answer: make(chan error, 1)}
	w.change = func(own context.Context, c *committer) {
		err := c.writer.heal(own)
		if err == nil {
			err = f(own, c.writer.(*sqliteWriter))
		}
		w.give(err)
	}
	return d.enter(ctx, w)
}

// beginCopy makes the copy's file, if there is room for it.
func (w *sqliteWriter) beginCopy(ctx context.Context, file string) (*sqlite.Backup, error) {
	if w.copying != nil {
		return nil, fault.New(fault.Unavailable, "Another copy of the database is under way.")
	}
	var pages int64
	if err := w.conn.QueryRowContext(ctx, "pragma page_count").Scan(&pages); err != nil {
		return nil, w.failed(err)
	}
	if free, err := w.db.space.marks.Free(); err == nil && free < limit.Bytes(pages*pageSize)+w.db.space.marks.NoNewMail {
		return nil, fault.New(fault.Full, "There is no room for a second copy of the database.").WithHint("free space on the data folder's file system, or give backup.scratch another one")
	}
	err := w.conn.Raw(func(dc any) (err error) {
		q := url.Values{"_pragma": {"journal_mode(off)", "synchronous(off)"}}
		w.copying, err = dc.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		}).NewBackup("file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode())
		return err
	})
	return w.copying, err
}

func (w *sqliteWriter) endCopy() error {
	if w.copying == nil {
		return nil
	}
	err := w.copying.Finish()
	w.copying = nil
	return err
}

// CountRows counts the rows of every table of an SQLite file that nobody writes.
func CountRows(ctx context.Context, file string) (map[string]int64, error) {
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=ro&immutable=1")
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	defer pool.Close()
	set, err := parse(Schema{Package: "keep/db", SQL: ownSQL}, SQLite)
	if err != nil {
		return nil, err
	}
	counts, err := countRows(ctx, pool, set)
	return counts, fault.Wrap(err, "count the rows")
}

// CountRows counts the rows of every table. It reads all of them: it is for a
// database that nobody waits for.
func (d *DB) CountRows(ctx context.Context) (map[string]int64, error) {
	counts, err := countRows(ctx, d.readers, d.own)
	return counts, fault.Wrap(err, "count the rows")
}

func countRows(ctx context.Context, pool *sql.DB, set *Set) (map[string]int64, error) {
	rows, err := pool.QueryContext(ctx, set.queries["tables"].text)
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var table, key string
		if err := rows.Scan(&table, &key); err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		counts[table] = 0
	}
	if err := rows.Err(); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	for table := range counts {
		var n int64
		if err := pool.QueryRowContext(ctx, "select count(*) from "+quote(table)).Scan(&n); err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		counts[table] = n
	}
	return counts, nil
}
