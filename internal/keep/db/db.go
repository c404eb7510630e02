// Package db is the one way to rows, on SQLite and on PostgreSQL. It promises
// that a unit is durable when Commit returns, that units that meet share one
// transaction and one statement per table, that a unit whose condition fails
// fails alone, that numbered rows count without a gap in commit order, and that
// a full disk, a read-only file or a lost connection is an answer to the caller
// and heals without a restart. It refuses to start on a query that does not
// compile and on a database that a newer version wrote.
//
// SQL stands in each package's .sql file; scope by tenant, sealing of what is
// personal and the meaning of rows are left to those packages.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed" // the package's own tables
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
)

// ReadLimit is the longest a read may hold a snapshot: a longer one would keep
// deleted rows in SQLite's write-ahead log and PostgreSQL's tables.
const ReadLimit = 2 * time.Second

// Config says where the rows are.
type Config struct {
	Dir      string // SQLite: the folder; the file is mailvow.db
	Postgres string // a DSN: then PostgreSQL, and Dir is not used
	Region   string // where this node stands; it is written beside its number
	Place    string // the data folder of this machine, likewise
	Node     int    // SQLite: as given. PostgreSQL: 0 takes a free number, another claims that number
	Clock    clock.Clock
	Observe  *observe.Observer
	Space    SpaceMarks
	// Dial opens connections to PostgreSQL; nil dials directly.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wind is for tests: it changes what PostgreSQL's own clock says. Nil leaves it.
	Wind func(time.Time) time.Time

	pragmas []string // for tests that show what a wrong one breaks
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	config  Config
	dialect Dialect
	log     *observe.Observer
	lock    *os.File // held while the folder is ours
	readers *sql.DB
	sets    map[string]*Set
	own     *Set
	order   []string // packages, in the order given
	bulks   []*Bulk
	node    nodeLease
	space   *space
	meters  meters
	parts   *service.Group

	entering sync.RWMutex // held for reading while a unit enters, for writing to close
	closed   bool
	instance string // of this opening
	born     time.Time
	queue    chan *waiting
	done     chan struct{} // closed when the committer has ended

	prepared sync.Map // *query -> *sql.Stmt of the reader pool
}

//go:embed db.sql
var ownSQL string

// Open opens the database, brings it forward and prepares every query. A second
// process on the same folder is a Conflict; a database of a newer version is
// Invalid with a hint.
func Open(ctx context.Context, config Config, schemas ...Schema) (*DB, error) {
	d, err := open(ctx, config, schemas)
	return d, fault.Wrap(err, "open the database")
}

func open(ctx context.Context, config Config, schemas []Schema) (_ *DB, err error) {
	if config.Clock == nil {
		config.Clock = clock.Wall{}
	}
	if config.Observe == nil {
		config.Observe = observe.Silent()
	}
	d := &DB{config: config, log: config.Observe.For("keep/db"), sets: map[string]*Set{}, done: make(chan struct{}), queue: make(chan *waiting, 2*groupLimit)}
	if config.Postgres != "" {
		d.dialect = Postgres
	}
	if err := d.read(append([]Schema{{Package: "keep/db", SQL: ownSQL}}, schemas...)); err != nil {
		return nil, err
	}
	d.instance, d.born = rand.Text(), config.Clock.Now()
	d.meters = newMeters(d.log)
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	w, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err = d.prepareAll(ctx, w); err != nil {
		w.close(ctx)
		return nil, err
	}
	watchSpace(d.log, d.space.now)
	d.parts = service.New(context.WithoutCancel(ctx), d.log.Log)
	d.parts.Go("committer", func(ctx context.Context) error { return d.commitAll(ctx, w) })
	return d, nil
}

// connect opens files or connections, migrates, and returns the one writer.
func (d *DB) connect(ctx context.Context) (writer, error) {
	if d.dialect == Postgres {
		return d.connectPostgres(ctx)
	}
	return d.connectSQLite(ctx)
}

func (d *DB) read(schemas []Schema) error {
	for _, schema := range schemas {
		if d.sets[schema.Package] != nil {
			return fault.Because(fault.Internal, fmt.Errorf("the schema of %s is given twice", schema.Package), "")
		}
		set, err := parse(schema, d.dialect)
		if err != nil {
			return err
		}
		set.db = d
		d.sets[schema.Package] = set
		d.order = append(d.order, schema.Package)
		d.bulks = append(d.bulks, set.ordered(len(d.bulks))...)
	}
	d.own = d.sets["keep/db"]
	return nil
}

// ordered gives the set's bulks in file order, numbered from first.
func (s *Set) ordered(first int) []*Bulk {
	out := make([]*Bulk, len(s.bulks))
	for _, b := range s.bulks {
		b.index = first + b.order
		out[b.order] = b
	}
	return out
}

// prepareAll compiles every query and bulk, so that a wrong one stops the start
// and not a night's mail.
func (d *DB) prepareAll(ctx context.Context, w writer) error {
	for _, set := range d.sets {
		for _, q := range set.queries {
			if err := w.compile(ctx, q.text); err != nil {
				return fault.Because(fault.Internal, fmt.Errorf("%s: query %s does not compile: %w", set.pkg, q.name, err), "")
			}
		}
		for _, b := range set.bulks {
			if err := w.compileBulk(ctx, b); err != nil {
				return fault.Because(fault.Internal, fmt.Errorf("%s: bulk %s does not compile: %w", set.pkg, b.name, err), "")
			}
		}
	}
	return nil
}

// Close lets what waits finish, then closes the files.
func (d *DB) Close() error {
	d.entering.Lock()
	if d.closed {
		d.entering.Unlock()
		return nil
	}
	d.closed = true
	close(d.queue)
	d.entering.Unlock()
	<-d.done
	err := d.parts.Stop(10 * time.Second)
	d.release()
	return fault.Wrap(err, "close the database")
}

func (d *DB) release() {
	if d.readers != nil {
		d.prepared.Range(func(_, s any) bool { s.(*sql.Stmt).Close(); return true })
		d.readers.Close()
	}
	if d.space != nil {
		d.space.close()
	}
	if d.lock != nil {
		unlock(d.lock)
	}
}

// Set gives a package's queries. A package whose schema was not opened is a
// defect of the program.
func (d *DB) Set(pkg string) *Set {
	s := d.sets[pkg]
	if s == nil {
		panic("db: the schema of " + pkg + " was not opened")
	}
	return s
}

// Bulk finds a bulk by name. A wrong name is a defect of the program.
func (s *Set) Bulk(name string) *Bulk {
	b := s.bulks[name]
	if b == nil {
		panic("db: " + s.pkg + " has no bulk " + name)
	}
	return b
}

// Dialect tells which database this is.
func (d *DB) Dialect() Dialect { return d.dialect }

// Node is this process's number among those that share the database.
func (d *DB) Node() int { return int(d.node.number.Load()) }

// Instance names this opening of the database and no other. On SQLite, where one
// process owns the folder, a lease of another instance is a dead process's.
func (d *DB) Instance() string { return d.instance }

// Space tells how much room is left.
func (d *DB) Space() SpaceState { return d.space.now() }

// Watch calls f with the rows of every later commit of b, in commit order, on
// the committing goroutine, before Commit returns: it must be quick and must not
// call the database. An optional change that found nothing is no row.
func (d *DB) Watch(b *Bulk, f func([]Committed)) {
	for {
		old := b.watchers.Load()
		all := []func([]Committed){f}
		if old != nil {
			all = append(slices.Clone(*old), f)
		}
		if b.watchers.CompareAndSwap(old, &all) {
			return
		}
	}
}

// Now is the database's own clock; on SQLite that is Config.Clock.
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	if d.dialect == SQLite {
		return d.config.Clock.Now().Truncate(time.Microsecond), nil
	}
	var t time.Time
	ctx, cancel := context.WithTimeout(ctx, ReadLimit)
	defer cancel()
	if err := d.readers.QueryRowContext(ctx, postgresNow).Scan((*microTime)(&t)); err != nil {
		return time.Time{}, fault.Wrap(d.classify(err), "ask the database's clock")
	}
	return d.wound(t), nil
}

func (d *DB) wound(t time.Time) time.Time {
	if d.config.Wind != nil {
		return d.config.Wind(t).Truncate(time.Microsecond)
	}
	return t
}
