package history_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// effect is what the readers under test do: they note what they saw. Nothing
// keeps a double out but the reader.
var effect = db.Schema{Package: "test/effect", SQL: `
-- migration: 1
create table seen (
  id     int  not null primary key,
  reader text not null,
  node   int  not null,
  seq    int  not null
);
create table latch (
  id int not null primary key,
  n  int not null
);

-- bulk: add (id int, reader text, node int, seq int)
insert into seen (id, reader, node, seq) select id, reader, node, seq from rows

-- bulk: turn (id int, n int)
update latch set n = latch.n + 1 from rows r where latch.id = r.id and latch.n = r.n returning latch.id

-- query: set_latch
insert into latch (id, n) values (1, $1) on conflict (id) do update set n = excluded.n

-- query: all
select node, seq, count(*) from seen where reader = $1 group by node, seq
`}

const customer = ids.Tenant(7)

// node is one process's database and history.
type node struct {
	db *db.DB
	h  *history.History
}

func openNode(t *testing.T, config db.Config, v *vault.Vault, source *ids.Source) node {
	t.Helper()
	d := lab.OpenDB(t, config, lookup.Schema, history.Schema(), effect)
	return node{d, history.New(d, v, source, clock.Wall{}, history.NoRedaction{})}
}

// write commits units of one to three events and returns how many events.
func (n node) write(ctx context.Context, source *ids.Source, units int) (int, error) {
	total := 0
	for range units {
		u := &db.Unit{}
		for range 1 + rand.IntN(3) {
			e := history.Event{Message: ids.New[ids.Message](source), Tenant: customer, Direction: history.Outbound, Kind: history.Accepted, At: time.Now()}
			if err := n.h.Write(u, e, history.Known{}); err != nil {
				return total, err
			}
		}
		if err := n.db.Commit(ctx, u); err != nil {
			return total, err
		}
		total += len(u.Adds)
	}
	return total, nil
}

// follow reads under a name until stop says that everything was written and
// nothing is left. It crashes at random: before its commit, after it, and after
// a commit whose answer it never learns.
func (n node) follow(ctx context.Context, name string, next *atomic.Int64, written func() bool) error {
	add := n.db.Set("test/effect").Bulk("add")
	r, err := n.h.Reader(ctx, name)
	for err == nil {
		last := written()
		var b *history.Batch
		if b, err = r.Next(ctx, 1+rand.IntN(40)); err != nil {
			return err
		}
		if len(b.Events) == 0 {
			if last {
				return nil
			}
			err = clock.Sleep(ctx, clock.Wall{}, time.Millisecond)
			continue
		}
		for _, e := range b.Events {
			b.Unit.Adds = append(b.Unit.Adds, db.Add{By: add, Row: []any{next.Add(1), name, int64(e.Position.Node), e.Position.Seq}})
		}
		switch rand.IntN(10) {
		case 0: // dies before the commit
			r, err = n.h.Reader(ctx, name)
		case 1: // the answer is lost: it is done and the reader does not know
			err = n.db.Commit(ctx, b.Unit)
		default:
			err = r.Commit(ctx, b)
		}
		if fault.Is(err, fault.Conflict) {
			err = nil // another life of this reader was first
		}
	}
	return err
}

// slowCommits makes every transaction that writes history sleep at its commit,
// for up to 6 ms: transactions become visible in another order than they began.
func slowCommits(t *testing.T, dsn string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `
create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(random() * 0.003); return null; end $$;
create constraint trigger slow after insert on history deferrable initially deferred for each row execute function slow();`)
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadersSeeEveryRowOnce(t *testing.T) {
	t.Parallel()
	t.Run("8 nodes on postgres", func(t *testing.T) {
		t.Parallel()
		dsn := lab.Postgres(t)
		testReaders(t, 8, db.Config{Postgres: dsn}, func() { slowCommits(t, dsn) })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		testReaders(t, 1, db.Config{Dir: t.TempDir()}, func() {})
	})
}

func testReaders(t *testing.T, count int, config db.Config, ready func()) {
	source := ids.NewSource(clock.Wall{}, 1, 0)
	v := keys.Vault(t, clock.Wall{}, source)
	nodes := make([]node, count)
	for i := range nodes {
		nodes[i] = openNode(t, config, v, source)
	}
	ready()
	var wrote, effects atomic.Int64
	var writing sync.WaitGroup
	for _, n := range nodes {
		for range 4 {
			writing.Go(func() {
				m, err := n.write(t.Context(), source, 60)
				if err != nil {
					t.Error(err)
				}
				wrote.Add(int64(m))
			})
		}
	}
	var over atomic.Bool
	names := []string{"webhooks", "statistics", "warming"}
	var reading sync.WaitGroup
	for i, name := range names {
		for life := range 2 { // a second process that believes to be the reader, too
			reading.Go(func() {
				if err := nodes[(2*i+life)%count].follow(t.Context(), name, &effects, over.Load); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	writing.Wait()
	over.Store(true)
	reading.Wait()
	for _, name := range names {
		seen := 0
		err := nodes[0].db.Set("test/effect").Each(t.Context(), "all", []any{name}, func(scan func(...any) error) error {
			var of, seq, times int64
			err := scan(&of, &seq, &times)
			if times != 1 {
				t.Errorf("%s saw row %d of node %d %d times", name, seq, of, times)
			}
			seen++
			return err
		})
		if err != nil || int64(seen) != wrote.Load() {
			t.Errorf("%s saw %d rows of %d, %v", name, seen, wrote.Load(), err)
		}
	}
	t.Logf("%d nodes, %d events, %d effects tried", count, wrote.Load(), effects.Load())
}

// TestAnEffectThatConflictsLeavesTheOffset shows that a batch whose effect fails
// is read again, and that the others of the reader are not held up by it.
func TestAnEffectThatConflictsLeavesTheOffset(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		source := ids.NewSource(clock.Wall{}, 1, 0)
		n := openNode(t, config, keys.Vault(t, clock.Wall{}, source), source)
		if _, err := n.write(t.Context(), source, 3); err != nil {
			t.Fatal(err)
		}
		latch := func(to int) {
			err := n.db.Change(t.Context(), "set", func(tx *db.Tx) error {
				_, err := tx.Do(t.Context(), n.db.Set("test/effect"), "set_latch", to)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		latch(5)
		r, err := n.h.Reader(t.Context(), "webhooks")
		if err != nil {
			t.Fatal(err)
		}
		turn := func(from int) (history.Position, error) {
			b, err := r.Next(t.Context(), 1)
			if err != nil || len(b.Events) != 1 {
				t.Fatalf("next gave %+v, %v", b, err)
			}
			b.Unit.Changes = append(b.Unit.Changes, db.Change{By: n.db.Set("test/effect").Bulk("turn"), Row: []any{int64(1), int64(from)}})
			return b.Events[0].Position, r.Commit(t.Context(), b)
		}
		first, err := turn(4)
		if !fault.Is(err, fault.Conflict) {
			t.Fatalf("an effect whose condition does not hold gave %v", err)
		}
		again, err := turn(5)
		if err != nil || again != first {
			t.Fatalf("after the conflict came %v instead of %v, %v", again, first, err)
		}
		next, err := turn(5)
		if !fault.Is(err, fault.Conflict) || next.Seq != first.Seq+1 {
			t.Fatalf("then came %v, %v", next, err)
		}
		if next, err = turn(6); err != nil || next.Seq != first.Seq+1 {
			t.Fatalf("at last came %v, %v", next, err)
		}
	})
}

// TestIndexAcrossNodes shows that a node finds what another accepted, and finds
// nothing more of a person whom the other one erased.
func TestIndexAcrossNodes(t *testing.T) {
	t.Parallel()
	source := ids.NewSource(clock.Wall{}, 1, 0)
	v := keys.Vault(t, clock.Wall{}, source)
	config := db.Config{Postgres: lab.Postgres(t)}
	a, b := openNode(t, config, v, source), openNode(t, config, v, source)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var indexes []*history.Index
	for _, n := range []node{a, b} {
		x, err := n.h.OpenIndex(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, x)
		running.Go(func() {
			if err := x.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	u := &db.Unit{}
	e := history.Event{Message: ids.New[ids.Message](source), Tenant: customer, Direction: history.Outbound, Kind: history.Accepted, At: time.Now(),
		Detail: history.Detail{Sender: "ann@src.test", Recipients: []string{"bob@dst.test"}}}
	if err := a.h.Write(u, e, history.Known{}); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	hash, err := v.Hash(customer, "address", "bob@dst.test")
	if err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, func() error {
		found, err := indexes[1].Events(t.Context(), customer, hash)
		if err == nil && (len(found) != 1 || found[0].Message != e.Message) {
			err = fmt.Errorf("node B finds %d events", len(found))
		}
		return err
	})
	look, err := lookup.Open(t.Context(), b.db, "history")
	if err != nil {
		t.Fatal(err)
	}
	// Removing follows the rows' erasure: other nodes read their tails again.
	err = a.db.Change(t.Context(), "erase", func(tx *db.Tx) error {
		_, err := tx.Do(t.Context(), a.db.Set("flow/history"), "delete_message", int64(e.Message), 1, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := look.Remove(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	for i, x := range indexes {
		if err := x.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := x.Holding(t.Context(), hash); n != 0 || err != nil {
			t.Errorf("node %d still holds %d entries of an erased person, %v", i, n, err)
		}
	}
}

// until waits for a condition that comes true by itself.
func until(t *testing.T, limit time.Duration, condition func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		_ = clock.Sleep(t.Context(), clock.Wall{}, 20*time.Millisecond)
	}
}
