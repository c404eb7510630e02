package db_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openWith(t, db.Config{Dir: dir})
	_, err := db.Open(t.Context(), db.Config{Dir: dir}, testSchema)
	wantKind(t, err, fault.Conflict)
	if fault.HintOf(err) == "" {
		t.Error("no hint for the operator")
	}
	must(t, s.Close())
	must(t, openWith(t, db.Config{Dir: dir}).Close())
}

const secondSQL = testSQL + `
-- migration: 2
alter table parcel add column label text not null default 'none';
-- query: label
select label from parcel where id = $1
`

func TestMigratesForward(t *testing.T) {
	t.Parallel()
	second := db.Schema{Package: "flow/parcel", SQL: secondSQL}
	lab.EachUpgrade(t, testSchema, second,
		func(t *testing.T, d *db.DB) {
			s := storeOf(d)
			must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
		},
		func(t *testing.T, d *db.DB) {
			var label string
			must(t, d.Set("flow/parcel").One(t.Context(), "label", []any{1}, &label))
			if label != "none" {
				t.Error(label)
			}
		})
}

func TestRefusesToStart(t *testing.T) {
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		second := db.Schema{Package: "flow/parcel", SQL: secondSQL}
		must(t, openWith(t, config, second).Close())
		for name, c := range map[string]struct {
			schemas []db.Schema
			kind    fault.Kind
			words   string
		}{
			"newer database":      {[]db.Schema{testSchema}, fault.Invalid, "newer version"},
			"unknown package":     {nil, fault.Invalid, "newer version"},
			"changed migration":   {[]db.Schema{{Package: "flow/parcel", SQL: strings.Replace(secondSQL, "'none'", "'some'", 1)}}, fault.Internal, "not the one that was applied"},
			"query with a typo":   {[]db.Schema{{Package: "flow/parcel", SQL: secondSQL + "\n-- query: bad\nselect nothing from parcel"}}, fault.Internal, "query bad does not compile"},
			"bulk with a typo":    {[]db.Schema{{Package: "flow/parcel", SQL: secondSQL + "\n-- bulk: bad (id int)\ninsert into parcle (id) select id from rows"}}, fault.Internal, "bulk bad does not compile"},
			"gap in migrations":   {[]db.Schema{{Package: "x", SQL: "-- migration: 2\ncreate table x (a int);"}}, fault.Internal, "without a gap"},
			"bulk without types":  {[]db.Schema{{Package: "x", SQL: "-- bulk: b (id)\nselect 1"}}, fault.Internal, "write a name and one of"},
			"number without seq":  {[]db.Schema{{Package: "x", SQL: "-- bulk numbered: b (id int)\nselect 1"}}, fault.Internal, "begins with (node int, seq int"},
			"name stands twice":   {[]db.Schema{{Package: "x", SQL: "-- query: q\nselect 1\n-- query: q\nselect 2"}}, fault.Internal, "stands twice"},
			"schema stands twice": {[]db.Schema{second, second}, fault.Internal, "given twice"},
		} {
			d, err := db.Open(t.Context(), config, c.schemas...)
			if err == nil {
				d.Close()
			}
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, openWith(t, config, second).Close()) // nothing of the above changed it
	})
}

// TestFilesAndPragmas asks both sorts of connection, and the folder.
func TestFilesAndPragmas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := lab.OpenDB(t, db.Config{Dir: dir}, db.Schema{Package: "pragma", SQL: `
-- query: page_size
select page_size from pragma_page_size
-- query: auto_vacuum
select auto_vacuum from pragma_auto_vacuum
-- query: journal_mode
select journal_mode from pragma_journal_mode
-- query: synchronous
select synchronous from pragma_synchronous
-- query: secure_delete
select secure_delete from pragma_secure_delete
-- query: query_only
select query_only from pragma_query_only
-- query: foreign_keys
select foreign_keys from pragma_foreign_keys
`})
	set := d.Set("pragma")
	for name, want := range map[string][2]string{ // reader, writer
		"page_size": {"8192", "8192"}, "auto_vacuum": {"2", "2"}, "journal_mode": {"wal", "wal"}, "query_only": {"1", "0"},
		"synchronous": {"2", "2"}, "secure_delete": {"0", "1"}, "foreign_keys": {"0", "1"},
	} {
		var got [2]string
		must(t, set.One(t.Context(), name, nil, &got[0]))
		must(t, d.Change(t.Context(), "ask", func(tx *db.Tx) error { return tx.One(t.Context(), set, name, nil, &got[1]) }))
		if got != want {
			t.Errorf("%s: reader and writer have %v, want %v", name, got, want)
		}
	}
	declared := map[string]bool{}
	for _, p := range db.Declaration.Places {
		declared[p.Name] = p.Kind == pledge.DiskFile
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		if !declared[f.Name()] {
			t.Errorf("nobody declared the file %s", f.Name())
		}
	}
}

// TestScrub shows that what was deleted stands in no file afterwards.
func TestScrub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openWith(t, db.Config{Dir: dir})
	probe := "a sentence that stands nowhere else"
	for id := range int64(50) {
		must(t, s.Commit(t.Context(), &db.Unit{Adds: []db.Add{{By: s.add, Row: []any{id, 1, "x", []byte(strings.Repeat(probe, 500)), true}}}}))
	}
	if inFiles(t, dir, probe) == 0 {
		t.Fatal("the search is blind")
	}
	for id := range int64(50) {
		must(t, s.Commit(t.Context(), s.settled(id, 1)))
	}
	must(t, s.Scrub(t.Context()))
	if n := inFiles(t, dir, probe); n != 0 {
		t.Errorf("it still stands %d times in the files", n)
	}
}

func inFiles(t *testing.T, dir, text string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	n := 0
	for _, f := range files {
		content, err := os.ReadFile(f)
		must(t, err)
		n += strings.Count(string(content), text)
	}
	return n
}

// TestIdleEmptiesLog: some seconds after the last commit what was deleted is in
// no file, although nobody asked for it.
func TestIdleEmptiesLog(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), lab.NewClock(lab.Epoch)
	s := openWith(t, db.Config{Dir: dir, Clock: c})
	probe := "a sentence that stands nowhere else"
	must(t, s.Commit(t.Context(), &db.Unit{Adds: []db.Add{{By: s.add, Row: []any{1, 1, "x", []byte(strings.Repeat(probe, 500)), true}}}}))
	must(t, s.Commit(t.Context(), s.settled(1, 1)))
	if inFiles(t, dir, probe) == 0 {
		t.Fatal("the search is blind")
	}
	for end := time.Now().Add(time.Minute); inFiles(t, dir, probe) > 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the log still holds what was deleted")
		}
		if c.Waiting() > 0 {
			c.Wind(3 * time.Second)
		}
	}
}
