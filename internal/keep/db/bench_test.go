package db_test

import (
	"crypto/rand"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

const roadSQL = `
-- migration: 1
create table message (id int primary key, tenant int not null, epoch int not null, at int not null, sealed blob not null);
create table body (id int primary key, sealed blob not null);
create table queue (id int primary key, token int not null, lane int not null, due int not null, state int not null);
create table history (node int not null, seq int not null, message int not null, kind int not null, at int not null, sealed blob not null,
  primary key (node, seq)) without rowid;

-- bulk: add_message (id int, tenant int, epoch int, at int, sealed blob)
insert into message (id, tenant, epoch, at, sealed) select id, tenant, epoch, at, sealed from rows
-- bulk: add_body (id int, sealed blob)
insert into body (id, sealed) select id, sealed from rows
-- bulk: add_queue (id int, token int, lane int, due int, state int)
insert into queue (id, token, lane, due, state) select id, token, lane, due, state from rows
-- bulk: settle (id int, token int)
delete from queue where (id, token) in (select id, token from rows) returning id
-- bulk: drop_message (id int)
delete from message where id in (select id from rows) returning id
-- bulk: drop_body (id int)
delete from body where id in (select id from rows) returning id
-- bulk numbered: add_history (node int, seq int, message int, kind int, at int, sealed blob)
insert into history (node, seq, message, kind, at, sealed) select node, seq, message, kind, at, sealed from rows
`

// road makes the units of an accepted and settled message.
type road struct {
	message, body, queue, settle, dropMessage, dropBody, history *db.Bulk
	content, envelope, event                                     []byte
}

func newRoad(d *db.DB) *road {
	s := d.Set("flow/road")
	random := func(n int) []byte { b := make([]byte, n); _, _ = rand.Read(b); return b }
	return &road{
		message: s.Bulk("add_message"), body: s.Bulk("add_body"), queue: s.Bulk("add_queue"), settle: s.Bulk("settle"),
		dropMessage: s.Bulk("drop_message"), dropBody: s.Bulk("drop_body"), history: s.Bulk("add_history"),
		content: random(10 << 10), envelope: random(400), event: random(300),
	}
}

func (r *road) accept(id, at int64) *db.Unit {
	return &db.Unit{NewMail: true, Adds: []db.Add{
		{By: r.message, Row: []any{id, int64(1), int64(7), at, r.envelope}},
		{By: r.body, Row: []any{id, r.content}},
		{By: r.queue, Row: []any{id, int64(1), int64(3), at, int64(1)}},
		{By: r.history, Row: []any{nil, nil, id, int64(1), at, r.event}},
	}}
}

func (r *road) settled(id, at int64) *db.Unit {
	return &db.Unit{
		Changes: []db.Change{{By: r.settle, Row: []any{id, int64(1)}}, {By: r.dropMessage, Row: []any{id}}, {By: r.dropBody, Row: []any{id}}},
		Adds:    []db.Add{{By: r.history, Row: []any{nil, nil, id, int64(2), at, r.event}}},
	}
}

// BenchmarkRoad is the shape of a message's two commits with 100 senders at once:
// its figure is the processor time of both, in microseconds a message.
func BenchmarkRoad(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		dir, err := os.MkdirTemp(os.Getenv("MAILVOW_BENCH_DIR"), "road")
		if err != nil {
			b.Fatal(err)
		}
		defer os.RemoveAll(dir)
		benchRoad(b, db.Config{Dir: dir})
	})
	b.Run("postgres", func(b *testing.B) { benchRoad(b, db.Config{Postgres: lab.PostgresCluster(b, true).Database(b)}) })
}

func benchRoad(b *testing.B, config db.Config) {
	d, err := db.Open(b.Context(), config, db.Schema{Package: "flow/road", SQL: roadSQL})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	r := newRoad(d)
	var id atomic.Int64
	var wg sync.WaitGroup
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).UnixMicro()
	before := processorTime()
	b.ResetTimer()
	for range 100 {
		wg.Go(func() {
			for {
				n := id.Add(1)
				if n > int64(b.N) {
					return
				}
				if err := d.Commit(b.Context(), r.accept(n, at+n)); err != nil {
					b.Error(err)
					return
				}
				if err := d.Commit(b.Context(), r.settled(n, at+n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-us/message")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
