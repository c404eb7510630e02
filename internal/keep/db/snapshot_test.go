package db_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

var copied = db.Schema{Package: "test/copied", SQL: `
-- migration: 1
create table left_side (id int primary key, body blob not null, word text not null default 'none');
create table right_side (id int primary key, done bool not null);
-- migration: 2
alter table left_side add column more int not null default 7;
-- bulk: left (id int, body blob)
insert into left_side (id, body) select id, body from rows where true
-- bulk: right (id int, done bool)
insert into right_side (id, done) select id, done from rows where true
-- query: pairs
select count(*) from left_side l join right_side r on r.id = l.id
`}

// pair adds a row to each table in one commit.
func pair(t *testing.T, d *db.DB, id int64, body []byte) {
	t.Helper()
	set := d.Set("test/copied")
	u := &db.Unit{Adds: []db.Add{{By: set.Bulk("left"), Row: []any{id, body}}, {By: set.Bulk("right"), Row: []any{id, id%2 == 0}}}}
	if err := d.Commit(t.Context(), u); err != nil {
		t.Error(err)
	}
}

// TestSnapshotWhileMailFlows copies the file while units of two rows are
// committed: the copy is sound, holds whole units only, and all that stood there
// before it began.
func TestSnapshotWhileMailFlows(t *testing.T) {
	t.Parallel()
	d, file := lab.DB(t, copied), filepath.Join(t.TempDir(), "copy.db")
	body := make([]byte, 20_000)
	const before = 400 // 8 MB, which takes several steps
	for id := range int64(before) {
		pair(t, d, id, body)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for w := range int64(4) {
		writing.Go(func() {
			for id := before + w; ctx.Err() == nil; id += 4 {
				pair(t, d, id, body)
			}
		})
	}
	err := d.Snapshot(t.Context(), file)
	stop()
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	counts, err := db.CountRows(t.Context(), file)
	if err != nil || counts["left_side"] != counts["right_side"] || counts["left_side"] < before {
		t.Errorf("the copy holds %v, %v", counts, err)
	}
	live, err := d.CountRows(t.Context())
	if err != nil || live["left_side"] <= before {
		t.Errorf("nothing was committed meanwhile: %v, %v", live, err)
	}
	pool, err := sql.Open("sqlite", "file:"+file+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var sound string
	if err := pool.QueryRowContext(t.Context(), "pragma integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("%s %v", sound, err)
	}
}

func TestSnapshotEnds(t *testing.T) {
	t.Parallel()
	d, file := lab.DB(t, copied), filepath.Join(t.TempDir(), "copy.db")
	for id := range int64(200) {
		pair(t, d, id, make([]byte, 20_000))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Snapshot(ctx, file); !fault.Is(err, fault.Unavailable) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := db.CountRows(t.Context(), file); err == nil {
		t.Error("half a copy is left")
	}
	if err := d.Snapshot(t.Context(), file); err != nil {
		t.Errorf("after a cancelled one: %v", err)
	}
}

// rows is a copy in memory.
type rows struct {
	tables []db.Table
	rows   [][][]any
}

func (r *rows) read(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Copy(t.Context(), func(x db.Table) error {
		r.tables, r.rows = append(r.tables, x), append(r.rows, nil)
		return nil
	}, func(row []any) error {
		last := len(r.rows) - 1
		r.rows[last] = append(r.rows[last], append([]any(nil), row...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rows) play(table func(db.Table) error, row func([]any) error) error {
	for i, x := range r.tables {
		if err := table(x); err != nil {
			return err
		}
		for _, y := range r.rows[i] {
			if err := row(y); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestRebuild copies PostgreSQL's rows into an empty PostgreSQL and into SQLite.
func TestRebuild(t *testing.T) {
	t.Parallel()
	from := lab.OpenDB(t, db.Config{Postgres: lab.Postgres(t)}, copied)
	for id := range int64(50) {
		pair(t, from, id, []byte{byte(id), 0, 255})
	}
	versions, err := from.Versions(t.Context())
	if err != nil || versions["test/copied"] != 2 {
		t.Fatalf("%v %v", versions, err)
	}
	var r rows
	r.read(t, from)
	want, err := from.CountRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clock := lab.NewClock(time.Now())
	for name, to := range map[string]db.Config{"postgres": {Postgres: lab.Postgres(t), Clock: clock}, "sqlite": {Dir: t.TempDir(), Clock: clock}} {
		t.Run(name, func(t *testing.T) {
			broken := func(table func(db.Table) error, row func([]any) error) error {
				return errors.Join(r.play(table, row), errors.New("a chunk is missing"))
			}
			if err := db.Rebuild(t.Context(), to, versions, broken, copied); err == nil {
				t.Fatal("a broken copy was taken")
			}
			if err := db.Rebuild(t.Context(), to, versions, r.play, copied); err != nil {
				t.Fatalf("nothing of the broken one may be left: %v", err)
			}
			if err := db.Rebuild(t.Context(), to, versions, r.play, copied); !fault.Is(err, fault.Conflict) {
				t.Errorf("over what is there: %v", err)
			}
			d := lab.OpenDB(t, to, copied)
			got, err := d.CountRows(t.Context())
			delete(got, "keep_node")
			delete(want, "keep_node")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if err := db.Newer(map[string]int{"test/copied": 3}, copied); !fault.Is(err, fault.Invalid) {
		t.Errorf("a newer version: %v", err)
	}
}
