package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// Table is one table of a copy.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// passing are tables whose rows mean nothing elsewhere: who holds which node's
// number, and the migrations, which a rebuilt database writes itself.
var passing = map[string]bool{"keep_node": true, "keep_migration": true}

// quote writes a table's or column's own name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// Versions are the migrations that each package's tables stand at.
func (d *DB) Versions(ctx context.Context) (map[string]int, error) {
	rows, err := d.readers.QueryContext(ctx, d.own.queries["applied"].text)
	if err != nil {
		return nil, fault.Wrap(d.classify(err), "read the migrations")
	}
	defer rows.Close()
	versions := map[string]int{}
	for rows.Next() {
		var pkg, sum string
		var n int
		if err := rows.Scan(&pkg, &n, &sum); err != nil {
			return nil, fault.Wrap(d.classify(err), "read the migrations")
		}
		versions[pkg] = max(versions[pkg], n)
	}
	return versions, fault.Wrap(d.classify(rows.Err()), "read the migrations")
}

// Copy gives every row of PostgreSQL as of one moment, table by table, by its
// key. It holds one snapshot for as long as that takes, the only read that does:
// mail goes on, and what is deleted meanwhile is vacuumed afterwards. Values are
// nil, int64, []byte, string and bool; a row is only valid until row returns.
func (d *DB) Copy(ctx context.Context, table func(Table) error, row func([]any) error) error {
	if d.dialect != Postgres {
		return fault.New(fault.Internal, "SQLite is copied as a file")
	}
	config, err := d.postgresConfig(map[string]string{"default_transaction_read_only": "on"})
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fault.Wrap(d.classify(err), "copy the database")
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // a read; what was read counts
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fault.Wrap(d.classify(err), "copy the database")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // likewise
	tables, err := copyTables(ctx, tx, d.own.queries["tables"].text)
	if err != nil {
		return fault.Wrap(d.classify(err), "copy the database")
	}
	for _, t := range tables {
		if err := copyTable(ctx, tx, t, table, row); err != nil {
			return fault.Wrap(err, "copy the table "+t[0])
		}
	}
	return nil
}

// copyTables gives name and "order by" of each table.
func copyTables(ctx context.Context, tx pgx.Tx, query string) ([][2]string, error) {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list [][2]string
	for rows.Next() {
		var name, key string
		if err := rows.Scan(&name, &key); err != nil {
			return nil, err
		}
		var columns []string
		if err := json.Unmarshal([]byte(key), &columns); err != nil {
			return nil, err
		}
		for i := range columns {
			columns[i] = quote(columns[i])
		}
		order := ""
		if len(columns) > 0 {
			order = " order by " + strings.Join(columns, ", ")
		}
		if !passing[name] {
			list = append(list, [2]string{name, order})
		}
	}
	return list, rows.Err()
}

func copyTable(ctx context.Context, tx pgx.Tx, t [2]string, table func(Table) error, row func([]any) error) error {
	rows, err := tx.Query(ctx, "select * from "+quote(t[0])+t[1])
	if err != nil {
		return classifyPostgres(err)
	}
	defer rows.Close()
	one := Table{Name: t[0]}
	for _, f := range rows.FieldDescriptions() {
		one.Columns = append(one.Columns, f.Name)
	}
	if err := table(one); err != nil {
		return err
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return classifyPostgres(err)
		}
		if err := row(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return classifyPostgres(err)
	}
	return nil
}

// Rows is where Rebuild reads a copy from.
type Rows func(table func(Table) error, row func([]any) error) error

// Rebuild fills an empty database with a copy's rows, in tables of the versions
// that it was taken at; Open then brings them forward. It happens whole or not
// at all. A database that is not empty is a Conflict; a copy of a newer version
// is Invalid.
func Rebuild(ctx context.Context, config Config, versions map[string]int, rows Rows, schemas ...Schema) error {
	return fault.Wrap(rebuild(ctx, config, versions, rows, schemas), "rebuild the database")
}

// Newer is the fault of data that a newer version wrote, or nil.
func Newer(versions map[string]int, schemas ...Schema) error {
	d := &DB{sets: map[string]*Set{}}
	if err := d.read(append([]Schema{{Package: "keep/db", SQL: ownSQL}}, schemas...)); err != nil {
		return err
	}
	for pkg, n := range versions {
		if set := d.sets[pkg]; set == nil || n > len(set.migrations) {
			return fault.Because(fault.Invalid, fmt.Errorf("%s stands at migration %d", pkg, n), "It was written by a newer version of Mailvow.").
				WithHint("install the version that wrote it, or choose an older backup")
		}
	}
	return nil
}

func rebuild(ctx context.Context, config Config, versions map[string]int, rows Rows, schemas []Schema) error {
	if err := Newer(versions, schemas...); err != nil {
		return err
	}
	d := &DB{config: config, sets: map[string]*Set{}, space: &space{marks: config.Space.withDefaults()}}
	if config.Postgres != "" {
		d.dialect = Postgres
	}
	if err := d.read(append([]Schema{{Package: "keep/db", SQL: ownSQL}}, schemas...)); err != nil {
		return err
	}
	for pkg, set := range d.sets {
		set.migrations = set.migrations[:versions[pkg]]
	}
	pool, err := d.rebuildPool()
	if err != nil {
		return err
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return d.classify(err)
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	if err := d.rebuildTables(ctx, tx); err != nil {
		return err
	}
	f := &filler{db: d, tx: tx}
	err = rows(func(t Table) error { return f.begin(ctx, t) }, func(row []any) error { return f.add(ctx, row) })
	if err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	return d.classify(tx.Commit())
}

func (d *DB) rebuildPool() (*sql.DB, error) {
	if d.dialect == Postgres {
		return d.openPostgres()
	}
	pool, err := sql.Open("sqlite", d.sqliteDSN(true))
	return pool, d.classify(err)
}

func (d *DB) rebuildTables(ctx context.Context, tx *sql.Tx) error {
	there, err := tx.QueryContext(ctx, d.own.queries["tables"].text)
	if err != nil {
		return d.classify(err)
	}
	taken := there.Next()
	if err := errors.Join(there.Err(), there.Close()); err != nil {
		return d.classify(err)
	}
	if taken {
		return fault.New(fault.Conflict, "The database is not empty.").WithHint("give an empty one; a restore replaces nothing")
	}
	exec := func(text string, args ...any) error {
		_, err := tx.ExecContext(ctx, text, args...)
		return d.classify(err)
	}
	if err := exec(d.own.queries["bootstrap"].text); err != nil {
		return err
	}
	for _, pkg := range d.order {
		for _, m := range d.sets[pkg].migrations {
			if err := exec(m.text); err != nil {
				return fault.Wrap(err, fmt.Sprintf("%s: migration %d", pkg, m.number))
			}
			if err := exec(d.own.queries["add_applied"].text, pkg, int64(m.number), m.checksum, clock.Micros(d.config.Clock.Now())); err != nil {
				return err
			}
		}
	}
	return nil
}

// filler adds rows, one statement a table.
type filler struct {
	db   *DB
	tx   *sql.Tx
	stmt *sql.Stmt
	args []any
}

func (f *filler) begin(ctx context.Context, t Table) error {
	if err := f.end(); err != nil {
		return err
	}
	if _, err := f.tx.ExecContext(ctx, "delete from "+quote(t.Name)); err != nil { // what a migration added
		return f.db.classify(err)
	}
	columns, places := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i], places[i] = quote(c), fmt.Sprintf("$%d", i+1)
	}
	var err error
	f.stmt, err = f.tx.PrepareContext(ctx, "insert into "+quote(t.Name)+" ("+strings.Join(columns, ", ")+") values ("+strings.Join(places, ", ")+")")
	f.args = make([]any, len(t.Columns))
	return f.db.classify(err)
}

func (f *filler) add(ctx context.Context, row []any) error {
	if f.stmt == nil || len(row) != len(f.args) {
		return fault.New(fault.Invalid, "The copy's rows do not fit its tables.")
	}
	for i, v := range row {
		if b, is := v.(bool); is && f.db.dialect == SQLite {
			v = int64(0)
			if b {
				v = int64(1)
			}
		}
		f.args[i] = v
	}
	_, err := f.stmt.ExecContext(ctx, f.args...)
	return f.db.classify(err)
}

func (f *filler) end() error {
	if f.stmt == nil {
		return nil
	}
	err := f.stmt.Close()
	f.stmt = nil
	return f.db.classify(err)
}
