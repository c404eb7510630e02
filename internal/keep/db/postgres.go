package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"mailvow/internal/base/fault"
)

const (
	postgresNow     = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
	postgresReaders = 16
	answerLimit     = 90 * time.Second                              // after it a silent connection counts as lost
	migrationLock   = "select pg_advisory_xact_lock(7236837210231)" // any number that only migrations use
)

// postgresConfig is one kind of connection. A commit that the operator's
// settings would make asynchronous is made durable again.
func (d *DB) postgresConfig(limits map[string]string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(d.config.Postgres)
	if err != nil {
		// The text of err may hold the password.
		return nil, fault.Field("postgres", "The address of PostgreSQL cannot be read; write postgres://user:password@host/database.")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if d.config.Dial != nil {
		c.DialFunc = d.config.Dial
	}
	c.RuntimeParams["application_name"] = "mailvow"
	c.RuntimeParams["timezone"] = "UTC"
	for name, value := range limits {
		c.RuntimeParams[name] = value
	}
	return c, nil
}

// connectPostgres migrates, claims a node number and returns the writer.
func (d *DB) connectPostgres(ctx context.Context) (writer, error) {
	d.space = &space{clock: d.config.Clock, log: d.log}
	write, err := d.postgresConfig(map[string]string{
		"statement_timeout": "60000", "lock_timeout": "5000", "idle_in_transaction_session_timeout": "60000", "synchronous_commit": "on",
	})
	if err != nil {
		return nil, err
	}
	read, err := d.postgresConfig(map[string]string{"statement_timeout": "2500", "default_transaction_read_only": "on"})
	if err != nil {
		return nil, err
	}
	w := &postgresWriter{db: d, config: write}
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	begin := func(ctx context.Context) error {
		if _, err := w.conn.ExecContext(ctx, "begin"); err != nil {
			return err
		}
		_, err := w.conn.ExecContext(ctx, migrationLock)
		return err
	}
	if err := d.migrate(ctx, w.conn, begin); err != nil {
		w.close(ctx)
		return nil, err
	}
	d.readers = stdlib.OpenDB(*read)
	d.readers.SetMaxOpenConns(postgresReaders)
	d.readers.SetMaxIdleConns(postgresReaders)
	if err := w.claim(ctx); err != nil {
		w.close(ctx)
		return nil, err
	}
	return w, nil
}

// openPostgres gives connections without limits, for what takes long.
func (d *DB) openPostgres() (*sql.DB, error) {
	c, err := d.postgresConfig(map[string]string{"synchronous_commit": "on"})
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*c), nil
}

// postgresWriter is the one writing connection of this node.
type postgresWriter struct {
	db      *DB
	config  *pgx.ConnConfig
	pool    *sql.DB
	conn    *sql.Conn
	pg      *pgx.Conn // the same connection, without database/sql
	stmts   map[*query]*sql.Stmt
	bad     bool
	how     isolation
	begun   bool // the begin was sent; until then it travels with the first batch
	renewed time.Time
}

func (w *postgresWriter) open(ctx context.Context) error {
	pool := stdlib.OpenDB(*w.config)
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		pool.Close()
		return w.db.classify(err)
	}
	err = conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver gave a %T", dc)
		}
		w.pg = c.Conn()
		return nil
	})
	if err != nil {
		pool.Close()
		return fault.Because(fault.Internal, err, "")
	}
	w.pool, w.conn, w.bad, w.begun = pool, conn, false, false
	w.stmts = map[*query]*sql.Stmt{}
	return nil
}

// close gives the node number back, so that the next start takes the same.
func (w *postgresWriter) close(ctx context.Context) {
	if w.conn == nil {
		return
	}
	if !w.bad {
		w.release(context.WithoutCancel(ctx))
	}
	w.drop()
}

func (w *postgresWriter) drop() {
	for _, s := range w.stmts {
		s.Close()
	}
	w.conn.Close()
	w.pool.Close()
	w.conn, w.pg = nil, nil
}

func (w *postgresWriter) broken() { w.bad = true }

// heal connects again and makes sure that the node number is still ours.
func (w *postgresWriter) heal(ctx context.Context) error {
	if w.bad || w.conn == nil || w.pg.IsClosed() {
		if w.conn != nil {
			w.drop()
		}
		if err := w.open(ctx); err != nil {
			return err
		}
		return w.reclaim(ctx)
	}
	if w.db.config.Clock.Now().Sub(w.renewed) > renewEvery {
		return w.reclaim(ctx)
	}
	return nil
}

// failed classifies an error; a closed connection is given up.
func (w *postgresWriter) failed(err error) error {
	if err == nil {
		return nil
	}
	if w.pg == nil || w.pg.IsClosed() {
		w.bad = true
	}
	return w.db.classify(err)
}

func (w *postgresWriter) compile(ctx context.Context, text string) error {
	_, err := w.pg.PgConn().Prepare(ctx, "", text, nil)
	return err
}

func (w *postgresWriter) compileBulk(ctx context.Context, b *Bulk) error {
	return w.compile(ctx, b.head)
}

// begin remembers what to begin; it travels with the first statements.
func (w *postgresWriter) begin(_ context.Context, how isolation) error {
	w.how, w.begun = how, false
	return nil
}

func (w *postgresWriter) beginText() string {
	if w.how == grouped {
		return "begin isolation level read committed"
	}
	return "begin isolation level serializable"
}

// solitude waits for the transactions that hold a fence and keeps others from
// taking theirs. As a LOCK it comes before the snapshot, so that what it waited
// for is seen.
const solitude = "lock table keep_node in exclusive mode"

// fence holds the node's row until the commit: whoever takes the number over
// waits, and who lost it finds no row.
const fence = "select 1 from keep_node where node = $1 and token = $2 for share"

// start sends the begin by itself, for a transaction that is no group.
func (w *postgresWriter) start(ctx context.Context) error {
	if w.begun {
		return nil
	}
	if _, err := w.pg.Exec(ctx, w.beginText()); err != nil {
		return w.failed(err)
	}
	w.begun = true
	if w.how == alone {
		if _, err := w.pg.Exec(ctx, solitude); err != nil {
			return w.failed(err)
		}
	}
	var one int
	return w.lost(w.pg.QueryRow(ctx, fence, w.db.node.number.Load(), w.db.node.token).Scan(&one))
}

// lost turns a missing fence row into a fault and asks for a new number.
func (w *postgresWriter) lost(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		w.renewed = time.Time{}
		w.bad = true
		return fault.New(fault.Unavailable, "This node's lease is over; try again soon.")
	}
	return w.failed(err)
}

func (w *postgresWriter) savepoint(ctx context.Context) error {
	if err := w.start(ctx); err != nil {
		return err
	}
	_, err := w.pg.Exec(ctx, "savepoint unit")
	return w.failed(err)
}

func (w *postgresWriter) undo(ctx context.Context) error {
	_, err := w.pg.Exec(ctx, "rollback to savepoint unit")
	return w.failed(err)
}

func (w *postgresWriter) commit(ctx context.Context) error {
	if !w.begun {
		return nil // nothing was sent
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	tag, err := w.pg.Exec(ctx, "commit")
	if err != nil {
		return w.failed(err)
	}
	w.begun = false
	if tag.String() != "COMMIT" {
		return fault.Because(fault.Internal, fmt.Errorf("commit answered %s", tag), "")
	}
	return nil
}

func (w *postgresWriter) rollback(ctx context.Context) {
	if w.pg == nil || !w.begun {
		return
	}
	w.begun = false
	if _, err := w.pg.Exec(ctx, "rollback"); err != nil {
		w.bad = true
	}
}

func (w *postgresWriter) guarded() bool { return true }

func (w *postgresWriter) query(ctx context.Context, q *query) (*sql.Stmt, error) {
	if s := w.stmts[q]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(ctx, q.text)
	if err != nil {
		return nil, w.failed(err)
	}
	w.stmts[q] = s
	return s, nil
}

// now begins the transaction, too: it is the first thing a Change asks.
func (w *postgresWriter) now(ctx context.Context) (time.Time, error) {
	if err := w.start(ctx); err != nil {
		return time.Time{}, err
	}
	return w.clock(ctx)
}

func (w *postgresWriter) clock(ctx context.Context) (time.Time, error) {
	var us int64
	if err := w.pg.QueryRow(ctx, postgresNow).Scan(&us); err != nil {
		return time.Time{}, w.failed(err)
	}
	return w.db.wound(time.UnixMicro(us).UTC()), nil
}

func (w *postgresWriter) numbers(ctx context.Context) (map[*Bulk]int64, error) {
	return w.db.readNumbers(ctx, w)
}

// rest has nothing to do: heal renewed the lease, vacuum is PostgreSQL's own.
func (w *postgresWriter) rest(context.Context) {}

func (w *postgresWriter) makeRoom(context.Context) bool { return false }

func (w *postgresWriter) scrub(context.Context) error { return nil }

// classifyPostgres goes by the five characters of SQLSTATE.
func classifyPostgres(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return fault.Because(fault.Unavailable, err, "The database is out of reach; try again soon.").
			WithHint("Check that PostgreSQL runs and can be reached.")
	}
	switch {
	case strings.HasPrefix(e.Code, "23"):
		return fault.Because(fault.Conflict, err, "It is there already, or something else still needs it.")
	case e.Code == "53100":
		return fault.Because(fault.Full, err, "The server is short of space; try again later.").
			WithHint("Free space on PostgreSQL's disk.")
	case e.Code == "25006":
		return fault.Because(fault.ReadOnly, err, "The server's store is read-only now.").
			WithHint("The address leads to a read-only PostgreSQL: point it to the primary.")
	case e.Code == "40001", e.Code == "40P01", e.Code == "55P03", e.Code == "57014",
		strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "57P"), strings.HasPrefix(e.Code, "28"), e.Code == "25P03":
		return fault.Because(fault.Unavailable, err, "The database cannot answer now; try again soon.").
			WithHint("Check PostgreSQL's log and its limits.")
	}
	return fault.Because(fault.Internal, err, "")
}

// mostRepeats is how often a transaction is repeated that other nodes were
// faster than: with giveWay's pauses, for about half a second. The later ones of a
// Change have nobody beside them.
const mostRepeats = 9

// giveWay waits on the server for a random time of up to 1, 2, 4 … 128 ms: nodes
// that repeat at once take turns in failing.
func (w *postgresWriter) giveWay(ctx context.Context, attempt int) {
	if _, err := w.pg.Exec(ctx, "select pg_sleep(random() * $1 / 1000)", float64(int(1)<<min(attempt, 7))); err != nil {
		w.broken()
	}
}

// again reports whether the database asks for the transaction to be repeated:
// serialisation failure, deadlock.
func again(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
