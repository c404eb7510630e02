package db_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

// TestPostgresStopsUnderLoad crashes PostgreSQL while it commits, and starts it
// again: callers get a temporary fault, what was acknowledged is there, nothing
// is half there, the numbers have no gap, and nobody restarted Mailvow.
func TestPostgresStopsUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := lab.PostgresCluster(t, true)
	s := openWith(t, db.Config{Postgres: cluster.Database(t)})
	var mu sync.Mutex
	acked := map[int64]bool{}
	var id, failed, after atomic.Int64
	var restarted, stop atomic.Bool
	reached := make(chan struct{}, 1)
	signal := func() {
		select {
		case reached <- struct{}{}:
		default:
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for !stop.Load() {
				n := id.Add(1)
				again := restarted.Load()
				err := s.Commit(t.Context(), s.accept(n, "accepted"))
				switch {
				case err == nil:
					mu.Lock()
					acked[n] = true
					mu.Unlock()
					if again {
						after.Add(1)
					}
				case fault.Is(err, fault.Unavailable):
					failed.Add(1)
				default:
					t.Error(err)
				}
				signal()
			}
		})
	}
	wait := func(enough func() bool) {
		for !enough() {
			<-reached
		}
	}
	wait(func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) > 200 })
	cluster.Stop()
	wait(func() bool { return failed.Load() > 20 })
	must(t, cluster.Start())
	restarted.Store(true)
	wait(func() bool { return after.Load() > 200 })
	stop.Store(true)
	wg.Wait()
	stored := s.ids(t)
	there := map[int64]bool{}
	for _, n := range stored {
		there[n] = true
	}
	for n := range acked {
		if !there[n] {
			t.Errorf("%d was acknowledged and is lost", n)
		}
	}
	s.gapless(t, len(stored))
	t.Logf("%d acknowledged, %d refused, %d after the restart", len(acked), failed.Load(), after.Load())
}

// TestNodesHaveNumbersOfTheirOwn opens one database from several nodes at once.
func TestNodesHaveNumbersOfTheirOwn(t *testing.T) {
	t.Parallel()
	dsn := lab.Postgres(t)
	nodes := make([]*store, 6)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			d, err := db.Open(t.Context(), db.Config{Postgres: dsn}, testSchema)
			if err != nil {
				t.Error(err)
				return
			}
			nodes[i] = storeOf(d)
			for k := range int64(50) {
				if err := nodes[i].Commit(t.Context(), nodes[i].accept(int64(i)*1000+k, "accepted")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	seen := map[int]bool{}
	for _, n := range nodes {
		if seen[n.Node()] || n.Node() == 0 {
			t.Errorf("number %d twice", n.Node())
		}
		seen[n.Node()] = true
	}
	next := map[int64]int64{}
	for _, e := range nodes[0].events(t) {
		if next[e.node]++; e.seq != next[e.node] {
			t.Fatalf("node %d has %d after %d", e.node, e.seq, next[e.node]-1)
		}
	}
	_, err := db.Open(t.Context(), db.Config{Postgres: dsn, Node: nodes[2].Node()}, testSchema)
	wantKind(t, err, fault.Conflict)
	free := nodes[2].Node()
	for _, n := range nodes {
		must(t, n.Close())
	}
	again := openWith(t, db.Config{Postgres: dsn, Node: free})
	if again.Node() != free {
		t.Error("a number that was given back is not free")
	}
}

// A node that was silent for longer than its lease finds its number taken: it
// must not write under it, and goes on under another.
func TestLostNodeNumber(t *testing.T) {
	t.Parallel()
	dsn := lab.Postgres(t)
	a := openWith(t, db.Config{Postgres: dsn})
	must(t, a.Commit(t.Context(), a.accept(1, "accepted")))
	old := a.Node()
	must(t, a.Change(t.Context(), "somebody takes the number", func(tx *db.Tx) error {
		_, err := tx.Do(t.Context(), a.set, "steal", old)
		return err
	}))
	wantKind(t, a.Commit(t.Context(), a.accept(2, "accepted")), fault.Unavailable)
	must(t, a.Commit(t.Context(), a.accept(3, "accepted")))
	if a.Node() == old {
		t.Error("it still writes under the lost number")
	}
	events := a.events(t)
	if len(events) != 2 || events[0].node == events[1].node || events[1].seq != 1 {
		t.Error(events)
	}
}

// Two nodes settle the same rows and count with the same counter: each row has
// one winner, and no count is lost.
func TestTwoNodesMeet(t *testing.T) {
	t.Parallel()
	dsn := lab.Postgres(t)
	nodes := []*store{openWith(t, db.Config{Postgres: dsn}), openWith(t, db.Config{Postgres: dsn})}
	const rows, counts = 100, 20
	for id := range int64(rows) {
		must(t, nodes[0].Commit(t.Context(), nodes[0].accept(id, "accepted")))
	}
	must(t, nodes[0].Commit(t.Context(), nodes[0].accept(1000, "the counter is its token")))
	var won atomic.Int64
	var wg sync.WaitGroup
	for _, s := range nodes {
		for id := range int64(rows) {
			wg.Go(func() {
				if err := s.Commit(t.Context(), s.settled(id, 1)); err == nil {
					won.Add(1)
				} else if !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			for range counts {
				err := s.Change(t.Context(), "count", func(tx *db.Tx) error {
					var token int64
					if err := tx.One(t.Context(), s.set, "token", []any{1000}, &token); err != nil {
						return err
					}
					_, err := tx.Do(t.Context(), s.set, "set_token", 1000, token+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var token int
	must(t, nodes[1].set.One(t.Context(), "token", []any{1000}, &token))
	if won.Load() != rows || token != 1+2*counts {
		t.Errorf("%d rows had a winner, the counter says %d", won.Load(), token)
	}
}

// A Change that another node is always faster than gets through all the same:
// after some attempts it has nobody beside it.
func TestNoNodeIsStarved(t *testing.T) {
	t.Parallel()
	dsn := lab.Postgres(t)
	slow, fast := openWith(t, db.Config{Postgres: dsn}), openWith(t, db.Config{Postgres: dsn})
	must(t, slow.Commit(t.Context(), slow.accept(1, "the counter is its token")))
	count := func(s *store, meanwhile func()) error {
		return s.Change(t.Context(), "count", func(tx *db.Tx) error {
			var token int64
			if err := tx.One(t.Context(), s.set, "token", []any{1}, &token); err != nil {
				return err
			}
			meanwhile()
			_, err := tx.Do(t.Context(), s.set, "set_token", 1, token+1)
			return err
		})
	}
	var counted, over atomic.Int64
	rival := make(chan error, 1)
	go func() {
		var err error
		for err == nil && over.Load() == 0 {
			if err = count(fast, func() {}); err == nil {
				counted.Add(1)
			}
		}
		rival <- err
	}()
	attempts := 0
	err := count(slow, func() {
		attempts++
		before, until := counted.Load(), time.Now().Add(300*time.Millisecond)
		for counted.Load() < before+2 && time.Now().Before(until) { // two: the one under way may have begun earlier
			time.Sleep(time.Millisecond)
		}
	})
	over.Store(1)
	if rivals := <-rival; err != nil || rivals != nil {
		t.Errorf("after %d attempts: %v; the other node: %v", attempts, err, rivals)
	}
	var token int64
	must(t, fast.set.One(t.Context(), "token", []any{1}, &token))
	if want := counted.Load() + 2; token != want {
		t.Errorf("the counter says %d after %d changes", token, want-1)
	}
}
