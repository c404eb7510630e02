package evidence

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"sync"
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/object"
	"mailvow/internal/lab"
)

// nodesOnABucket are several processes' logs over one bucket and one database.
func nodesOnABucket(t *testing.T, n int) ([]*Log, *Stage, *db.DB) {
	t.Helper()
	s3 := lab.S3(t)
	d := lab.DB(t, Schema())
	stage := NewStage(d)
	var logs []*Log
	for range n {
		b, err := object.NewS3(object.Config{Endpoint: s3.Endpoint, Bucket: s3.Bucket, Region: s3.Region, Access: s3.Access, Secret: s3.Secret, Dial: (&net.Dialer{}).DialContext, PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := SharedRing(object.NewFiles(t.Context(), b, "keys", nil), "mail.example.com/evidence", rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, New(Config{Tiles: SharedTiles(object.NewFiles(t.Context(), b, "tiles", nil)), Ring: ring, Staged: stage, Clock: clock.Wall{}, Log: slog.New(slog.DiscardHandler)}))
	}
	return logs, stage, d
}

func stageActs(t *testing.T, s *Stage, d *db.DB, source *ids.Source, n int) (list []ids.Leaf) {
	t.Helper()
	for range n {
		leaf := Leaf{ID: ids.New[ids.Leaf](source), At: On(clock.Wall{}.Now()), By: Actor{Role: ByOperator}, Body: &Act{Act: "test.act"}}
		if err := d.Change(t.Context(), "act", func(tx *db.Tx) error { return s.Stage(t.Context(), tx, leaf) }); err != nil {
			t.Fatal(err)
		}
		list = append(list, leaf.ID)
	}
	return list
}

// TestSequencersTakeTurnsOnABucket: the lead goes from node to node; a node that
// follows answers for what another wrote, and the whole log verifies.
func TestSequencersTakeTurnsOnABucket(t *testing.T) {
	t.Parallel()
	logs, stage, d := nodesOnABucket(t, 3)
	source := ids.NewSource(clock.Wall{}, 1, 0)
	var last ids.Leaf
	for turn := range 9 {
		staged := stageActs(t, stage, d, source, 5)
		last = staged[4]
		leads := logs[turn%3]
		if turn == 4 {
			body, err := leads.Ring.Rotate()
			if err != nil {
				t.Fatal(err)
			}
			leaf := Leaf{ID: ids.New[ids.Leaf](source), At: On(clock.Wall{}.Now()), By: Actor{Role: ByOperator}, Body: body}
			if err := d.Change(t.Context(), "rotate", func(tx *db.Tx) error { return stage.Stage(t.Context(), tx, leaf) }); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := leads.Integrate(t.Context()); err != nil {
			t.Fatalf("turn %d: %v", turn, err)
		}
		leads.yield()
	}
	for i, l := range logs {
		if err := l.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at, err := l.Await(t.Context(), last); err != nil || at < 44 {
			t.Errorf("node %d finds the last leaf at %d, %v", i, at, err)
		}
		if c, err := l.Reader().Checkpoint(t.Context()); err != nil || c.Size != 46 {
			t.Errorf("node %d reads a checkpoint of %d leaves, %v", i, c.Size, err)
		}
		if v, err := Audit(t.Context(), given{NewPublished(l.Tiles)}, Seen{Keys: l.Ring.Keys()[:1]}, nil); err != nil || v.Checkpoint.Size != 46 || len(v.Seen.Keys) != 2 {
			t.Errorf("node %d does not give out the log: %v", i, err)
		}
	}
}

// TestTwoSequencersOnABucket: two that both believe to lead. Whoever is late
// signs nothing; every leaf is in the log once.
func TestTwoSequencersOnABucket(t *testing.T) {
	t.Parallel()
	logs, stage, d := nodesOnABucket(t, 2)
	source := ids.NewSource(clock.Wall{}, 1, 0)
	if _, err := logs[0].Integrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var conflicts sync.Map
	for round := range 6 {
		stageActs(t, stage, d, source, 3)
		var both sync.WaitGroup
		for i, l := range logs {
			both.Go(func() {
				if _, err := l.Integrate(context.WithoutCancel(t.Context())); err != nil {
					if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Internal) {
						t.Errorf("round %d node %d: %v", round, i, err)
					}
					conflicts.Store([2]int{round, i}, err)
				}
			})
		}
		both.Wait()
	}
	if _, err := logs[1].Integrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := logs[1].Reader().Checkpoint(t.Context())
	if err != nil || c.Size != 18 {
		t.Fatalf("%d leaves, %v", c.Size, err)
	}
	seen := map[ids.Leaf]bool{}
	err = logs[1].Reader().Leaves(t.Context(), 0, func(_ int64, l Leaf) error {
		if seen[l.ID] {
			t.Errorf("leaf %s twice", l.ID)
		}
		seen[l.ID] = true
		return nil
	})
	if err != nil || len(seen) != 18 {
		t.Errorf("%d leaves read, %v", len(seen), err)
	}
}
