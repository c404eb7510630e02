package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

const testSQL = `
-- migration: 1
create table parcel (
  id     int primary key,
  token  int not null,
  state  text not null,
  sealed blob,
  open   bool not null
);
create table event (
  node   int not null,
  seq    int not null,
  parcel int not null,
  what   text not null,
  primary key (node, seq)
);

-- query: parcel
select token, state, sealed, open from parcel where id = $1

-- query: parcels
select id from parcel order by id

-- query: last
select coalesce(max(id), 0) from parcel

-- query: token
select token from parcel where id = $1

-- query: set_token
update parcel set token = $2 where id = $1

-- query: forever [sqlite]
with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n
-- query: forever [postgres]
select 1 from pg_sleep(60)

-- query: steal
update keep_node set token = token + 1, until = until + 60000000 where node = $1

-- query: events
select node, seq, parcel, what from event order by node, seq

-- The same number twice, and out of order.
-- query: either
select id from parcel where token = $2 and (id = $1 or id = $1 + 1) order by id

-- query: set_state
update parcel set state = $2 where id = $1

-- query: insert_parcel
insert into parcel (id, token, state, open) values ($1, $2, $3, $4)

-- query: named [sqlite]
select 'sqlite'
-- query: named [postgres]
select 'postgres'

-- bulk: add_parcel (id int, token int, state text, sealed blob, open bool)
insert into parcel (id, token, state, sealed, open)
select id, token, state, sealed, open from rows

-- bulk: settle (id int, token int)
delete from parcel where (id, token) in (select id, token from rows) returning id

-- bulk: move (id int, token int, state text)
update parcel set state = rows.state, token = parcel.token + 1
from rows where parcel.id = rows.id and parcel.token = rows.token
returning parcel.id

-- bulk numbered: add_event (node int, seq int, parcel int, what text)
insert into event (node, seq, parcel, what) select node, seq, parcel, what from rows
`

var testSchema = db.Schema{Package: "flow/parcel", SQL: testSQL}

// store is what the suite works with.
type store struct {
	*db.DB
	set                    *db.Set
	add, settle, move, log *db.Bulk
}

func storeOf(d *db.DB) *store {
	s := d.Set("flow/parcel")
	return &store{DB: d, set: s, add: s.Bulk("add_parcel"), settle: s.Bulk("settle"), move: s.Bulk("move"), log: s.Bulk("add_event")}
}

func (s *store) accept(id int64, what string) *db.Unit {
	return &db.Unit{
		Adds:    []db.Add{{By: s.add, Row: []any{id, 1, "queued", []byte("sealed"), true}}, {By: s.log, Row: []any{nil, nil, id, what}, Memo: id}},
		NewMail: true,
	}
}

func (s *store) settled(id, token int64) *db.Unit {
	return &db.Unit{
		Changes: []db.Change{{By: s.settle, Row: []any{id, token}}},
		Adds:    []db.Add{{By: s.log, Row: []any{nil, nil, id, "settled"}, Memo: id}},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("got %v, want a fault of kind %v", err, kind)
	}
}

func (s *store) ids(t *testing.T) []int64 {
	t.Helper()
	var ids []int64
	must(t, s.set.Each(t.Context(), "parcels", nil, func(scan func(...any) error) error {
		var id int64
		defer func() { ids = append(ids, id) }()
		return scan(&id)
	}))
	return ids
}

type eventRow struct {
	node, seq, parcel int64
	what              string
}

func (s *store) events(t *testing.T) []eventRow {
	t.Helper()
	var all []eventRow
	must(t, s.set.Each(t.Context(), "events", nil, func(scan func(...any) error) error {
		var e eventRow
		err := scan(&e.node, &e.seq, &e.parcel, &e.what)
		all = append(all, e)
		return err
	}))
	return all
}

// each runs the suite's test on every database; open opens the same one again.
func each(t *testing.T, f func(t *testing.T, open func(...db.Schema) *store)) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		f(t, func(more ...db.Schema) *store { return openWith(t, config, more...) })
	})
}

func openWith(t *testing.T, config db.Config, schemas ...db.Schema) *store {
	t.Helper()
	if len(schemas) == 0 {
		schemas = []db.Schema{testSchema}
	}
	d, err := db.Open(t.Context(), config, schemas...)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return storeOf(d)
}

func TestCommitAndRead(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		must(t, s.Commit(t.Context(), s.accept(7, "accepted")))
		var token int
		var state string
		var sealed []byte
		var isOpen bool
		must(t, s.set.One(t.Context(), "parcel", []any{7}, &token, &state, &sealed, &isOpen))
		if token != 1 || state != "queued" || string(sealed) != "sealed" || !isOpen {
			t.Fatal(token, state, sealed, isOpen)
		}
		wantKind(t, s.set.One(t.Context(), "parcel", []any{8}, &token, &state, &sealed, &isOpen), fault.NotFound)
		var id int64
		must(t, s.set.One(t.Context(), "either", []any{6, 1}, &id))
		if id != 7 {
			t.Fatal("parameters out of order are mixed up")
		}
		var name string
		must(t, s.set.One(t.Context(), "named", nil, &name))
		if name != s.Dialect().String() {
			t.Fatal(name)
		}
	})
}

func TestNullAndEmptyValues(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		for id, sealed := range map[int64]any{1: nil, 2: []byte{}, 3: []byte(nil), 4: bytes.Repeat([]byte{0xfe}, 100_000)} {
			must(t, s.Commit(t.Context(), &db.Unit{Adds: []db.Add{{By: s.add, Row: []any{id, 1, "", sealed, false}}}}))
			var token int
			var state string
			var got []byte
			var isOpen bool
			must(t, s.set.One(t.Context(), "parcel", []any{id}, &token, &state, &got, &isOpen))
			want, _ := sealed.([]byte)
			if !bytes.Equal(got, want) {
				t.Errorf("%d: %v came back as %v", id, want, got)
			}
		}
	})
}

func TestConflictFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		for id := range int64(40) {
			must(t, s.Commit(t.Context(), s.accept(id, "accepted")))
		}
		var wg sync.WaitGroup
		errs := make([]error, 80)
		for i := range errs {
			wg.Go(func() { errs[i] = s.Commit(t.Context(), s.settled(int64(i), 1)) })
		}
		wg.Wait()
		for i, err := range errs {
			if i < 40 && err != nil {
				t.Errorf("unit %d: %v", i, err)
			}
			if i >= 40 && !fault.Is(err, fault.Conflict) {
				t.Errorf("unit %d settles what is not there and gets %v", i, err)
			}
		}
		if left := s.ids(t); len(left) != 0 {
			t.Error(left)
		}
		s.gapless(t, 80)
	})
}

// gapless checks that events count 1, 2, 3 up to n.
func (s *store) gapless(t *testing.T, n int) {
	t.Helper()
	events := s.events(t)
	if len(events) != n {
		t.Fatalf("%d events, want %d", len(events), n)
	}
	for i, e := range events {
		if e.seq != int64(i+1) {
			t.Fatalf("event %d has number %d", i+1, e.seq)
		}
	}
}

func TestBrokenRuleFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		must(t, s.Commit(t.Context(), s.accept(5, "accepted")))
		var wg sync.WaitGroup
		var conflicts atomic.Int64
		for i := range int64(30) {
			wg.Go(func() {
				err := s.Commit(t.Context(), s.accept(i, "accepted")) // 5 is there
				if i == 5 && fault.Is(err, fault.Conflict) {
					conflicts.Add(1)
				} else if err != nil {
					t.Error(i, err)
				}
			})
		}
		wg.Wait()
		if conflicts.Load() != 1 {
			t.Error("the doubled key was not refused")
		}
		s.gapless(t, 30)
	})
}

func TestSameKeyIsServedOnce(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := s.Commit(t.Context(), s.settled(1, 1)); err == nil {
					won.Add(1)
				} else if !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d settled the same row", won.Load())
		}
		s.gapless(t, 2)
	})
}

// TestUnitsThatMeetInOneRow: two statements of one group change one row, each for
// a unit of its own: one of them is told that it was late, and neither is told of
// something that did not happen.
func TestUnitsThatMeetInOneRow(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		for id := range int64(2) {
			must(t, s.Commit(t.Context(), s.accept(id+1, "accepted")))
		}
		moved := func(id int64) *db.Unit {
			return &db.Unit{Changes: []db.Change{{By: s.move, Row: []any{id, 1, "moved"}}}}
		}
		units := []*db.Unit{moved(1), moved(2), s.settled(1, 1)}
		answers := make([]error, len(units))
		var entered sync.WaitGroup
		must(t, s.Change(t.Context(), "hold the committer", func(*db.Tx) error {
			for i, u := range units {
				entered.Go(func() { answers[i] = s.Commit(context.WithoutCancel(t.Context()), u) })
			}
			for s.Waiting() < len(units) {
				runtime.Gosched()
			}
			return nil
		}))
		entered.Wait()
		must(t, answers[1])
		if (answers[0] == nil) == (answers[2] == nil) {
			t.Fatalf("moved: %v, settled: %v", answers[0], answers[2])
		}
		if gone := !slices.Contains(s.ids(t), 1); gone != (answers[2] == nil) {
			t.Errorf("settled: %v, and the row is gone: %v", answers[2], gone)
		}
	})
}

func TestOptionalChange(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		var settled, moved atomic.Int64
		s.Watch(s.settle, func(rows []db.Committed) { settled.Add(int64(len(rows))) })
		s.Watch(s.move, func(rows []db.Committed) { moved.Add(int64(len(rows))) })
		must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
		u := s.settled(1, 1)
		u.Changes = append(u.Changes, db.Change{By: s.settle, Row: []any{2, 1}, Optional: true}, db.Change{By: s.move, Row: []any{9, 9, "x"}, Optional: true})
		must(t, s.Commit(t.Context(), u))
		if settled.Load() != 1 || moved.Load() != 0 {
			t.Errorf("watchers saw %d settled, %d moved", settled.Load(), moved.Load())
		}
		u = s.settled(1, 1)
		u.Changes = append(u.Changes, db.Change{By: s.move, Row: []any{9, 9, "x"}, Optional: true})
		wantKind(t, s.Commit(t.Context(), u), fault.Conflict)
	})
}

func TestWatchersSeeCommitOrder(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		var seen []int64
		var settled int
		s.Watch(s.log, func(rows []db.Committed) {
			for _, r := range rows {
				if r.Memo.(int64) != r.Row[2].(int64) {
					t.Error("the memo is another row's")
				}
				seen = append(seen, r.Seq)
			}
		})
		s.Watch(s.settle, func(rows []db.Committed) { settled += len(rows) })
		var wg sync.WaitGroup
		for i := range int64(200) {
			wg.Go(func() {
				if err := s.Commit(t.Context(), s.accept(i%190, "accepted")); err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		must(t, s.Commit(t.Context(), s.settled(3, 1)))
		must(t, s.Change(t.Context(), "apply", func(tx *db.Tx) error { return tx.Apply(t.Context(), s.settled(4, 1)) }))
		must(t, s.Close())
		if len(seen) != 192 || settled != 2 {
			t.Fatal(len(seen), settled)
		}
		for i, seq := range seen {
			if seq != int64(i+1) {
				t.Fatalf("place %d saw %d", i, seq)
			}
		}
	})
}

func TestReopenContinuesNumbers(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		node := s.Node()
		for i := range int64(10) {
			must(t, s.Commit(t.Context(), s.accept(i, "accepted")))
		}
		must(t, s.Close())
		wantKind(t, s.Commit(t.Context(), s.accept(99, "late")), fault.Unavailable)
		s = open()
		if s.Node() != node {
			t.Errorf("the node was %d and is %d", node, s.Node())
		}
		must(t, s.Commit(t.Context(), s.accept(100, "after")))
		s.gapless(t, 11)
	})
}

func TestChange(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		ctx := t.Context()
		must(t, s.Change(ctx, "insert", func(tx *db.Tx) error {
			n, err := tx.Do(ctx, s.set, "insert_parcel", 1, 1, "new", true)
			if err != nil || n != 1 {
				return fmt.Errorf("%d %w", n, err)
			}
			if tx.Now().IsZero() {
				t.Error("no time")
			}
			// A broken rule and a missed condition leave the transaction usable.
			if _, err := tx.Do(ctx, s.set, "insert_parcel", 1, 1, "new", true); !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
			if err := tx.Apply(ctx, s.settled(77, 1)); !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
			if err := tx.Apply(ctx, s.accept(1, "twice")); !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
			return tx.Apply(ctx, s.accept(2, "applied"))
		}))
		bad := errors.New("no")
		if err := s.Change(ctx, "fail", func(tx *db.Tx) error {
			if err := tx.Apply(ctx, s.accept(3, "applied")); err != nil {
				return err
			}
			return bad
		}); !errors.Is(err, bad) {
			t.Error(err)
		}
		wantKind(t, s.Change(ctx, "panic", func(*db.Tx) error { panic("at the disco") }), fault.Internal)
		must(t, s.Commit(ctx, s.accept(4, "accepted")))
		if got := fmt.Sprint(s.ids(t)); got != "[1 2 4]" {
			t.Error(got)
		}
		s.gapless(t, 2)
	})
}

func TestReadInsideChange(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s, ctx := open(), t.Context()
		must(t, s.Commit(ctx, s.accept(1, "accepted")))
		var kept *db.Tx
		must(t, s.Change(ctx, "read", func(tx *db.Tx) error {
			kept = tx
			if _, err := tx.Do(ctx, s.set, "set_state", 1, "held"); err != nil {
				return err
			}
			var token int
			var state string
			var sealed []byte
			var isOpen bool
			if err := tx.One(ctx, s.set, "parcel", []any{1}, &token, &state, &sealed, &isOpen); err != nil || state != "held" {
				t.Error(state, err)
			}
			return tx.Each(ctx, s.set, "parcels", nil, func(func(...any) error) error {
				if _, err := tx.Do(ctx, s.set, "set_state", 1, "no"); !fault.Is(err, fault.Internal) {
					t.Error("a transaction is used inside its own Each:", err)
				}
				return nil
			})
		}))
		if _, err := kept.Do(ctx, s.set, "set_state", 1, "late"); !fault.Is(err, fault.Internal) {
			t.Error("a transaction is used after its end:", err)
		}
	})
}

func TestCancelledBeforeEntering(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		ctx, cancel := context.WithCancel(t.Context())
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Change(t.Context(), "hold", func(*db.Tx) error { close(held); <-hold; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-held
		var answered atomic.Int64
		for i := range int64(2000) { // more than the channel takes
			wg.Go(func() {
				err := s.Commit(ctx, s.accept(i, "accepted"))
				if err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
				if err == nil {
					answered.Add(1)
				}
			})
		}
		cancel()
		close(hold)
		wg.Wait()
		s.gapless(t, int(answered.Load()))
		wantKind(t, s.set.One(ctx, "parcel", []any{1}), fault.Unavailable)
	})
}

func TestManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		var wg sync.WaitGroup
		want := atomic.Int64{}
		for p := range int64(40) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(p), 1))
				for i := range int64(20) {
					id := p*1000 + i
					if err := s.Commit(t.Context(), s.accept(id, "accepted")); err != nil {
						t.Error(err)
					}
					want.Add(1)
					token := int64(1 + r.IntN(2)) // every other token is wrong
					if err := s.Commit(t.Context(), s.settled(id, token)); (err == nil) != (token == 1) {
						t.Error(token, err)
					} else if err == nil {
						want.Add(1)
					}
					if i == 10 {
						must(t, s.Change(t.Context(), "between", func(tx *db.Tx) error {
							_, err := tx.Do(t.Context(), s.set, "set_state", id, "touched")
							return err
						}))
					}
				}
			})
		}
		wg.Wait()
		s.gapless(t, int(want.Load()))
	})
}

func TestWrongUnits(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		for name, u := range map[string]*db.Unit{
			"too few values":    {Adds: []db.Add{{By: s.add, Row: []any{1}}}},
			"wrong type":        {Adds: []db.Add{{By: s.add, Row: []any{1, 1, []byte("x"), nil, true}}}},
			"duration":          {Adds: []db.Add{{By: s.add, Row: []any{1, time.Second, "x", nil, true}}}},
			"no returning":      {Changes: []db.Change{{By: s.add, Row: []any{1, 1, "x", nil, true}}}},
			"no bulk":           {Adds: []db.Add{{Row: []any{1}}}},
			"one key two times": {Changes: []db.Change{{By: s.settle, Row: []any{1, 1}}, {By: s.settle, Row: []any{1, 2}}}},
		} {
			if err := s.Commit(t.Context(), u); !fault.Is(err, fault.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A read that takes too long is ended, and does not stop the next.
func TestReadsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, open func(...db.Schema) *store) {
		s := open()
		var n int
		wantKind(t, s.set.One(t.Context(), "forever", nil, &n), fault.Unavailable)
		must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
		must(t, s.set.One(t.Context(), "token", []any{1}, &n))
	})
}
