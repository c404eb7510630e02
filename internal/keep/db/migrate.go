package db

import (
	"context"
	"database/sql"
	"fmt"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// migrate brings the database forward: each new migration with its record in
// one transaction. begin opens it in the dialect's way, alone among processes.
func (d *DB) migrate(ctx context.Context, conn *sql.Conn, begin func(context.Context) error) error {
	exec := func(text string, args ...any) error {
		_, err := conn.ExecContext(ctx, text, args...)
		return d.classify(err)
	}
	if err := begin(ctx); err != nil {
		return d.classify(err)
	}
	err := func() error {
		if err := exec(d.own.queries["bootstrap"].text); err != nil {
			return err
		}
		applied, err := d.applied(ctx, conn)
		if err != nil {
			return err
		}
		if err := d.known(applied); err != nil {
			return err
		}
		for _, pkg := range d.order {
			if err := d.forward(d.sets[pkg], applied[pkg], exec); err != nil {
				return err
			}
		}
		return exec("commit")
	}()
	if err != nil {
		_ = exec("rollback") // the first error is the one to tell
	}
	return fault.Wrap(err, "migrate")
}

func (d *DB) applied(ctx context.Context, conn *sql.Conn) (map[string][]migration, error) {
	rows, err := conn.QueryContext(ctx, d.own.queries["applied"].text)
	if err != nil {
		return nil, d.classify(err)
	}
	defer rows.Close()
	applied := map[string][]migration{}
	for rows.Next() {
		var pkg string
		var m migration
		if err := rows.Scan(&pkg, &m.number, &m.checksum); err != nil {
			return nil, d.classify(err)
		}
		applied[pkg] = append(applied[pkg], m)
	}
	return applied, d.classify(rows.Err())
}

// known refuses a database that a newer version wrote: this one would not know
// whose data lies in it.
func (d *DB) known(applied map[string][]migration) error {
	for pkg, done := range applied {
		set := d.sets[pkg]
		if set == nil || len(done) > len(set.migrations) {
			return fault.Because(fault.Invalid, fmt.Errorf("%s stands at migration %d", pkg, len(done)), "The database was written by a newer version of Mailvow.").
				WithHint("Start the newer version again, or restore a backup that this version wrote.")
		}
	}
	return nil
}

// forward runs what the database has not seen of one package.
func (d *DB) forward(set *Set, done []migration, exec func(string, ...any) error) error {
	for i, m := range done {
		if m.number != i+1 || m.checksum != set.migrations[i].checksum {
			return fault.Because(fault.Internal, fmt.Errorf("%s: the text of migration %d is not the one that was applied", set.pkg, m.number), "").
				WithHint("This program was built from changed migrations. Install a released version.")
		}
	}
	for _, m := range set.migrations[len(done):] {
		if err := exec(m.text); err != nil {
			return fault.Wrap(err, fmt.Sprintf("%s: migration %d", set.pkg, m.number))
		}
		at := clock.Micros(d.config.Clock.Now())
		if err := exec(d.own.queries["add_applied"].text, set.pkg, int64(m.number), m.checksum, at); err != nil {
			return err
		}
		d.log.Log.Info("migrated", "package", set.pkg, "number", m.number)
	}
	return nil
}
