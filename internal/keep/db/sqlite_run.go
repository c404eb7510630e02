package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

type freeSpace = limit.Bytes

// flatten lays the rows' values out as arguments, in one reused slice.
func (w *sqliteWriter) flatten(rows [][]any) []driver.NamedValue {
	need := len(rows) * len(rows[0])
	for len(w.args) < need {
		w.args = append(w.args, driver.NamedValue{Ordinal: len(w.args) + 1})
	}
	i := 0
	for _, row := range rows {
		for _, v := range row {
			w.args[i].Value = v
			i++
		}
	}
	return w.args[:need]
}

// missed asks row by row which keys a strict step did not find. A row that the
// chunk found is gone by now, so it asks in a fresh transaction. One unit alone
// may stand behind a savepoint of a larger transaction: there the answer is
// clear without asking.
func (w *sqliteWriter) missed(ctx context.Context, c rawConn, s *step) error {
	if s.units[0] == s.units[len(s.units)-1] {
		s.missed = append(s.missed, 0)
		return nil
	}
	if _, err := c.ExecContext(ctx, "rollback", nil); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "begin immediate", nil); err != nil {
		return err
	}
	stmt, err := w.bulk(ctx, c, s.bulk, 0, true)
	if err != nil {
		return err
	}
	for i, row := range s.rows {
		result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, w.flatten([][]any{row}))
		if err != nil {
			return err
		}
		if count, _ := result.RowsAffected(); count != 1 {
			s.missed = append(s.missed, i)
		}
	}
	if len(s.missed) == 0 {
		return errAmong
	}
	return nil
}

// errAmong says that a row was not found because another unit of the group had
// changed it by another statement: the units must run one after the other.
var errAmong = errors.New("units of one group changed one row")

// returned runs a chunk and compares the keys that came back.
func (w *sqliteWriter) returned(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue, s *step, at, n int) error {
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	found := make(map[any]struct{}, n)
	key := make([]driver.Value, 1)
	for {
		switch err := rows.Next(key); {
		case err == nil:
			if b, ok := key[0].([]byte); ok {
				key[0] = string(b)
			}
			found[key[0]] = struct{}{}
			continue
		case !errors.Is(err, io.EOF):
			return err
		}
		break
	}
	s.compare(found, at, n)
	return nil
}

// failed reports whether a row that must be found was not.
func (s *step) failed() bool {
	for _, row := range s.missed {
		if !s.changes[row].Optional {
			return true
		}
	}
	return false
}

// compare marks the rows of a chunk whose key did not come back.
func (s *step) compare(found map[any]struct{}, at, n int) {
	for i := at; i < at+n; i++ {
		key := s.rows[i][0]
		if b, ok := key.([]byte); ok {
			key = string(b)
		}
		if _, ok := found[key]; !ok {
			s.missed = append(s.missed, i)
		}
	}
}

// cap empties the log when it has grown large: what was deleted must not live
// on in it. If reads that overlap kept it from happening for long, mail waits
// for the last of them.
func (w *sqliteWriter) cap(ctx context.Context) {
	if size := w.walSize(); size > w.limit {
		w.truncate(ctx, size > 2*w.limit)
	}
}

func (w *sqliteWriter) walSize() int64 {
	info, err := os.Stat(filepath.Join(w.dir, fileName+"-wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// truncate empties the log into the file. A read that is under way holds it up:
// for a patient caller until the read's limit, else not at all, because mail
// waits behind it.
func (w *sqliteWriter) truncate(ctx context.Context, patient bool) bool {
	ctx = context.WithoutCancel(ctx)
	if !patient {
		if _, err := w.conn.ExecContext(ctx, "pragma busy_timeout = 10"); err != nil {
			_ = w.failed(err) // the next group finds out and tells its callers
			return false
		}
		defer func() {
			if _, err := w.conn.ExecContext(ctx, "pragma busy_timeout = 5000"); err != nil {
				w.bad = true
			}
		}()
	}
	var busy, log, done int
	if err := w.conn.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &log, &done); err != nil {
		_ = w.failed(err)
		return false
	}
	return busy == 0
}

// makeRoom empties the log into the file: pages that only change need no room.
func (w *sqliteWriter) makeRoom(ctx context.Context) bool {
	before := w.walSize()
	return w.conn != nil && before > 0 && w.truncate(ctx, true) && w.walSize() < before
}

// giveWay: nobody else writes this file.
func (w *sqliteWriter) giveWay(context.Context, int) {}

// rest empties the log and gives free pages back while nobody waits.
func (w *sqliteWriter) rest(ctx context.Context) {
	if w.walSize() == 0 {
		return
	}
	err := w.vacuum(ctx, vacuumSome)
	if fault.Is(err, fault.Full) && w.truncate(ctx, false) {
		err = w.vacuum(ctx, vacuumFew)
	}
	if err == nil {
		w.truncate(ctx, false)
	}
}

// How much is given back in one transaction: at one rest (some milliseconds), on
// a full disk, and when everything shall go.
const (
	vacuumSome = "pragma incremental_vacuum(2000)"
	vacuumFew  = "pragma incremental_vacuum(50)"
	vacuumAll  = "pragma incremental_vacuum"
)

// vacuum gives free pages back to the file system.
func (w *sqliteWriter) vacuum(ctx context.Context, text string) error {
	rows, err := w.conn.QueryContext(context.WithoutCancel(ctx), text)
	if err != nil {
		return w.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
	}
	return w.failed(rows.Err())
}

// vacuumFull gives all free pages back where the log has no room for them at
// once: few at a time, and the log is emptied after each.
func (w *sqliteWriter) vacuumFull(ctx context.Context) error {
	for left := int64(math.MaxInt64); ; {
		var now int64
		if err := w.conn.QueryRowContext(context.WithoutCancel(ctx), "pragma freelist_count").Scan(&now); err != nil {
			return w.failed(err)
		}
		if now == 0 || now >= left {
			return nil
		}
		left = now
		if !w.truncate(ctx, true) {
			return logHeld()
		}
		if err := w.vacuum(ctx, vacuumFew); err != nil {
			return err
		}
	}
}

func (w *sqliteWriter) scrub(ctx context.Context) error {
	err := w.vacuum(ctx, vacuumAll)
	if fault.Is(err, fault.Full) {
		err = w.vacuumFull(ctx)
	}
	if err != nil {
		return err
	}
	if !w.truncate(ctx, true) {
		return logHeld()
	}
	return nil
}

func logHeld() error {
	return fault.New(fault.Unavailable, "A long read holds the log; it will be emptied soon.")
}

// Scrub makes deleted rows unreadable in the files now: free pages are given
// back and the log is emptied. On PostgreSQL that is left to its own vacuum.
func (d *DB) Scrub(ctx context.Context) error {
	w := &waiting{answer: make(chan error, 1)}
	w.change = func(own context.Context, c *committer) {
		if err := c.writer.heal(own); err != nil {
			w.give(err)
			return
		}
		w.give(c.writer.scrub(own))
	}
	return fault.Wrap(d.enter(ctx, w), "scrub")
}

func classifySQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fault.Because(fault.Internal, err, "")
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT:
		return fault.Because(fault.Conflict, err, "It is there already, or something else still needs it.")
	case sqlite3.SQLITE_FULL:
		return fault.Because(fault.Full, err, "The server is short of space; try again later.").
			WithHint("Free space on the data folder's file system.")
	case sqlite3.SQLITE_READONLY:
		return fault.Because(fault.ReadOnly, err, "The server's store is read-only now.").
			WithHint("Make the data folder writable again.")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return fault.Because(fault.Unavailable, err, "The database cannot be written now; try again soon.").
			WithHint("Look at the data folder's disk.")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault.Because(fault.Internal, err, "").WithHint("The database file is damaged: stop the server and restore a backup.")
	}
	return fault.Because(fault.Internal, err, "")
}
