package lab

import (
	"testing"

	"mailvow/internal/keep/db"
)

// DB opens a SQLite database of the test's own, closed when the test ends.
func DB(t testing.TB, schemas ...db.Schema) *db.DB {
	t.Helper()
	return OpenDB(t, db.Config{Dir: t.TempDir()}, schemas...)
}

// OpenDB opens what the configuration says and closes it when the test ends.
func OpenDB(t testing.TB, config db.Config, schemas ...db.Schema) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), config, schemas...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// EachDB runs a suite on SQLite and on PostgreSQL, each on an empty database.
func EachDB(t *testing.T, schemas []db.Schema, f func(*testing.T, *db.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, config db.Config) { f(t, OpenDB(t, config, schemas...)) })
}

// EachConfig runs a suite on both databases and gives it a configuration that it
// may open, close and open again. It may set a clock: SQLite's time is that
// clock, and so is PostgreSQL's if Wind says so. With -short it runs on SQLite
// only: that is the race detector's run.
func EachConfig(t *testing.T, f func(*testing.T, db.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, db.Config{Dir: t.TempDir()})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("the same suite on PostgreSQL runs without -short")
		}
		f(t, db.Config{Postgres: Postgres(t)})
	})
}

// EachUpgrade fills a database under a frozen schema, opens it with today's and
// checks what became of it, on both databases. Freeze version 1 as a text in the
// test when it lands and never edit it: opening fails if today's text of an old
// migration differs.
func EachUpgrade(t *testing.T, frozen, today db.Schema, fill, check func(*testing.T, *db.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, config db.Config) {
		old, err := db.Open(t.Context(), config, frozen)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, old)
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, OpenDB(t, config, today))
	})
}
