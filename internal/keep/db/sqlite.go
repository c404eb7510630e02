package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/bits"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mailvow/internal/base/fault"
)

const (
	fileName    = "mailvow.db"
	lockName    = "mailvow.lock"
	reserveName = "mailvow.reserve"

	chunkLimit  = 64 // rows in one statement
	pageSize    = 8192
	walLimit    = 64 << 20 // bytes after which the log is emptied even under load
	readerLimit = 8        // connections that read
)

// Pragmas are part of the connection string: each connection obeys. The driver
// runs them in the order of the alphabet, _journal_mode last; the comment puts
// the page size first, because the vacuum mode already writes the first page.
var (
	writerPragmas = []string{"/**/page_size(8192)", "auto_vacuum(incremental)", "synchronous(full)", "secure_delete(on)", "foreign_keys(on)",
		"cache_size(-65536)", "temp_store(memory)", "trusted_schema(off)"}
	readerPragmas = []string{"query_only(on)", "cache_size(-8192)", "temp_store(memory)", "trusted_schema(off)"}
)

func (d *DB) sqliteDSN(write bool) string {
	q := url.Values{"_pragma": readerPragmas, "_busy_timeout": {"5000"}}
	if write {
		pages := min(2000, logLimit(d.space.marks)/(2*pageSize))
		q["_pragma"], q["_journal_mode"] = slices.Concat(writerPragmas, []string{fmt.Sprintf("wal_autocheckpoint(%d)", pages)}, d.config.pragmas), []string{"wal"}
	}
	return "file:" + (&url.URL{Path: filepath.Join(d.config.Dir, fileName)}).EscapedPath() + "?" + q.Encode()
}

// connectSQLite locks the folder and opens the file.
func (d *DB) connectSQLite(ctx context.Context) (writer, error) {
	dir := d.config.Dir
	if dir == "" {
		return nil, fault.Field("dir", "The data folder has no name.")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The data folder cannot be made.")
	}
	if err := d.lockFolder(dir); err != nil {
		return nil, err
	}
	d.node.number.Store(int64(d.config.Node))
	d.node.life.Store(1 + mathrand.Int64N(1<<62)) // no write: the disk may be full at the start
	d.space = &space{marks: d.config.Space.withDefaults(), clock: d.config.Clock, log: d.log}
	d.space.reserve.adopt(filepath.Join(dir, reserveName), int64(d.space.marks.Reserve))
	if d.space.marks.Free == nil {
		d.space.marks.Free = func() (freeSpace, error) { return freeBytes(dir) }
	}
	d.space.look()
	w := &sqliteWriter{db: d, dir: dir, limit: logLimit(d.space.marks)}
	err := w.start(ctx)
	if fault.Is(err, fault.Full) && d.space.release() {
		err = w.start(ctx)
	}
	if err != nil {
		return nil, err
	}
	readers, err := sql.Open("sqlite", d.sqliteDSN(false))
	if err != nil {
		w.close(ctx)
		return nil, d.classify(err)
	}
	readers.SetMaxOpenConns(readerLimit)
	readers.SetMaxIdleConns(readerLimit)
	d.readers = readers
	return w, syncFolder(dir)
}

// lockFolder keeps a second process out for as long as this one lives.
func (d *DB) lockFolder(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Because(fault.Unavailable, err, "The data folder cannot be written.")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fault.Because(fault.Conflict, err, "Another Mailvow is running on this data folder.").
			WithHint("Stop the other process, or give this one a folder of its own.")
	}
	d.lock = f
	return nil
}

// unlock lets go by itself, because a process that is just being started holds the
// file too.
func unlock(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // the close that follows does it otherwise
	f.Close()
}

// syncFolder makes the names of new files durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fault.Because(fault.Unavailable, err, "")
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fault.Because(fault.Unavailable, err, "")
	}
	return nil
}

// sqliteWriter is the one writing connection. Its bulk statements are the
// driver's own: database/sql would copy every argument once more.
type sqliteWriter struct {
	db     *DB
	dir    string
	pool   *sql.DB
	conn   *sql.Conn
	stmts  map[*query]*sql.Stmt
	bulks  map[bulkSize]driver.Stmt
	words  map[string]driver.Stmt
	args   []driver.NamedValue
	bad    bool
	groups int
	limit  int64 // of the log, see logLimit

	copying *sqlite.Backup // under way, see Snapshot
}

type bulkSize struct {
	bulk  *Bulk
	power uint8
	bare  bool
}

type rawConn interface {
	driver.ConnPrepareContext
	driver.ExecerContext
}

func (w *sqliteWriter) open(ctx context.Context) error {
	pool, err := sql.Open("sqlite", w.db.sqliteDSN(true))
	if err != nil {
		return w.db.classify(err)
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		pool.Close()
		return w.failed(err)
	}
	w.pool, w.conn, w.bad = pool, conn, false
	w.stmts, w.bulks, w.words = map[*query]*sql.Stmt{}, map[bulkSize]driver.Stmt{}, map[string]driver.Stmt{}
	return nil
}

// start opens the file and brings it forward.
func (w *sqliteWriter) start(ctx context.Context) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	begin := func(ctx context.Context) error {
		_, err := w.conn.ExecContext(ctx, "begin immediate")
		return err
	}
	if err := w.db.migrate(ctx, w.conn, begin); err != nil {
		w.close(ctx)
		return err
	}
	return nil
}

// logLimit is the size after which the log is emptied. When new mail is refused
// what stands in it must still fit into the file.
func logLimit(m SpaceMarks) int64 {
	return min(walLimit, max(int64(m.NoNewMail)/2, pageSize*16))
}

func (w *sqliteWriter) close(context.Context) {
	if w.conn == nil {
		return
	}
	_ = w.endCopy() // Snapshot finds out at its next step
	for _, s := range w.stmts {
		s.Close()
	}
	_ = w.raw(func(rawConn) error {
		for _, s := range w.bulks {
			s.Close()
		}
		for _, s := range w.words {
			s.Close()
		}
		return nil
	})
	w.conn.Close()
	w.pool.Close()
	w.conn = nil
}

func (w *sqliteWriter) broken() { w.bad = true }

func (w *sqliteWriter) heal(ctx context.Context) error {
	if !w.bad && w.conn != nil {
		return nil
	}
	w.close(ctx)
	return w.open(ctx)
}

// raw gives the driver's connection for the time of f.
func (w *sqliteWriter) raw(f func(rawConn) error) error {
	return w.conn.Raw(func(dc any) error { return f(dc.(rawConn)) })
}

// failed classifies an error and gives the connection up where it may be hurt.
func (w *sqliteWriter) failed(err error) error {
	if err == nil {
		return nil
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY:
	default:
		w.bad = true
	}
	if noRoom(err, w.dir) {
		return fault.Because(fault.Full, err, "The server is short of space; try again later.").
			WithHint("Free space on the data folder's file system.")
	}
	if code := sqliteCode(err); code == sqlite3.SQLITE_READONLY || (code == sqlite3.SQLITE_IOERR || code == sqlite3.SQLITE_CANTOPEN) && unwritable(w.dir) {
		w.bad = true
		return fault.Because(fault.ReadOnly, err, "The server's store is read-only now.").
			WithHint("Make the data folder's files writable again; the server goes on by itself.")
	}
	return w.db.classify(err)
}

// noRoom recognises a full disk where SQLite does not say so: it could not make
// or lengthen one of its files.
func noRoom(err error, dir string) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		free, e := freeBytes(dir)
		return e == nil && free < 16*pageSize
	}
	return false
}

// sqliteCode is the primary result code, or 0.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func (w *sqliteWriter) compile(ctx context.Context, text string) error {
	return w.raw(func(c rawConn) error {
		s, err := c.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		return s.Close()
	})
}

func (w *sqliteWriter) compileBulk(ctx context.Context, b *Bulk) error {
	return w.raw(func(c rawConn) error {
		if _, err := w.bulk(ctx, c, b, 0, false); err != nil {
			return err
		}
		_, err := w.bulk(ctx, c, b, 0, true)
		return err
	})
}

// bulk is the statement for 2^power rows, prepared once a connection.
func (w *sqliteWriter) bulk(ctx context.Context, c rawConn, b *Bulk, power uint8, bare bool) (driver.Stmt, error) {
	key := bulkSize{b, power, bare}
	if s := w.bulks[key]; s != nil {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, b.sqliteText(1<<power, bare))
	if err != nil {
		return nil, err
	}
	w.bulks[key] = s
	return s, nil
}

// word runs a statement without arguments.
func (w *sqliteWriter) word(ctx context.Context, text string) error {
	return w.failed(w.raw(func(c rawConn) error {
		s := w.words[text]
		if s == nil {
			var err error
			if s, err = c.PrepareContext(ctx, text); err != nil {
				return err
			}
			w.words[text] = s
		}
		_, err := s.(driver.StmtExecContext).ExecContext(ctx, nil)
		return err
	}))
}

func (w *sqliteWriter) begin(ctx context.Context, _ isolation) error {
	return w.word(context.WithoutCancel(ctx), "begin immediate")
}
func (w *sqliteWriter) savepoint(ctx context.Context) error {
	return w.word(context.WithoutCancel(ctx), "savepoint unit")
}
func (w *sqliteWriter) undo(ctx context.Context) error {
	return w.word(context.WithoutCancel(ctx), "rollback to unit")
}

func (w *sqliteWriter) commit(ctx context.Context) error {
	if err := w.word(context.WithoutCancel(ctx), "commit"); err != nil {
		return err
	}
	if w.groups++; w.groups%64 == 0 {
		w.cap(ctx)
	}
	return nil
}

// rollback may find nothing to undo, which is an error: SQLite undoes by itself
// where the disk is full.
func (w *sqliteWriter) rollback(ctx context.Context) {
	if w.conn == nil {
		return
	}
	if err := w.raw(func(c rawConn) error {
		_, err := c.ExecContext(context.WithoutCancel(ctx), "rollback", nil)
		return err
	}); err != nil && sqliteCode(err) != sqlite3.SQLITE_ERROR {
		w.bad = true
	}
}

func (w *sqliteWriter) guarded() bool { return false }

func (w *sqliteWriter) query(ctx context.Context, q *query) (*sql.Stmt, error) {
	if s := w.stmts[q]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.WithoutCancel(ctx), q.text)
	if err != nil {
		return nil, w.failed(err)
	}
	w.stmts[q] = s
	return s, nil
}

func (w *sqliteWriter) now(ctx context.Context) (time.Time, error) { return w.db.Now(ctx) }

func (w *sqliteWriter) numbers(ctx context.Context) (map[*Bulk]int64, error) {
	return w.db.readNumbers(ctx, w)
}

// run executes the steps in chunks of powers of two.
func (w *sqliteWriter) run(ctx context.Context, steps []*step) error {
	ctx = context.WithoutCancel(ctx)
	err := w.raw(func(c rawConn) error {
		for _, s := range steps {
			if err := w.runStep(ctx, c, s); err != nil {
				return fmt.Errorf("%s %s: %w", s.bulk.set.pkg, s.bulk.name, err)
			}
			if s.failed() {
				return nil // nothing of this transaction will stay
			}
		}
		return nil
	})
	if errors.Is(err, errAmong) {
		return conflict() // each alone, see separately
	}
	if err != nil {
		return w.failed(err)
	}
	for _, s := range steps {
		if s.last != 0 {
			if err := w.setNumber(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *sqliteWriter) setNumber(ctx context.Context, s *step) error {
	stmt, err := w.query(ctx, w.db.own.queries["set_number"])
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, w.db.node.number.Load(), s.bulk.numberName(), s.last)
	return w.failed(err)
}

func (w *sqliteWriter) runStep(ctx context.Context, c rawConn, s *step) error {
	for at := 0; at < len(s.rows); {
		power := min(bits.Len(uint(len(s.rows)-at))-1, bits.Len(chunkLimit)-1)
		n := 1 << power
		// A strict chunk need not return its keys: the count tells.
		bare := !s.change || s.strict
		stmt, err := w.bulk(ctx, c, s.bulk, uint8(power), bare)
		if err != nil {
			return err
		}
		args := w.flatten(s.rows[at : at+n])
		if bare {
			result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, args)
			if err != nil {
				return err
			}
			if count, _ := result.RowsAffected(); !s.change || count == int64(n) {
				at += n
				continue
			}
			return w.missed(ctx, c, s)
		}
		if err := w.returned(ctx, stmt, args, s, at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}
