package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// Evidence is how fast the log takes entries, each committed to the database and
// then under a signed checkpoint, and how fast it proves that one is in it.
type Evidence struct {
	Entries int             `json:"entries"`
	Rate    float64         `json:"entries_per_second"` // staged in the database, over the first ones
	Filled  float64         `json:"filled_per_second"`  // without the database, over all
	Proofs  []time.Duration `json:"proof_ns"`           // each read from disk, and checked
}

const (
	// throughDatabase is how many entries go the whole way.
	throughDatabase = 200_000
	proofs          = 1000
)

// evidence writes a log and proves entries of it.
func (b *bench) evidence(ctx context.Context) (*Evidence, error) {
	dir, err := os.MkdirTemp(b.dir, "evidence-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tiles, err := evidence.OpenFolder(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer tiles.Close()
	ring, err := evidence.OpenRing(filepath.Join(dir, "keys"), "mta.example/evidence", rand.Reader)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Entries: b.leaves}
	source := ids.NewSource(clock.Wall{}, 1, 0)
	config := evidence.Config{Tiles: tiles, Ring: ring, Clock: clock.Wall{}, Log: slog.New(slog.DiscardHandler)}
	if err := e.whole(ctx, filepath.Join(dir, "db"), config, source); err != nil {
		return nil, err
	}
	if err := e.fill(ctx, config, source); err != nil {
		return nil, err
	}
	return e, e.prove(ctx, evidence.NewReader(tiles, ring.Keys()...))
}

// whole stages entries in a database, from many goroutines, while the sequencer
// runs, and waits until the log holds the last.
func (e *Evidence) whole(ctx context.Context, dir string, config evidence.Config, source *ids.Source) error {
	d, err := db.Open(ctx, db.Config{Dir: dir, Clock: clock.Wall{}}, stored.Schemas()...)
	if err != nil {
		return err
	}
	stage := evidence.NewStage(d)
	config.Staged = stage
	log, err := evidence.Open(ctx, config)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- log.Run(running) }()
	n := min(e.Entries, throughDatabase)
	begun := time.Now()
	err = each(n, func() error {
		add, err := stage.Add(entry(source))
		if err != nil {
			return err
		}
		if err := d.Commit(ctx, &db.Unit{Adds: []db.Add{add}}); err != nil {
			return err
		}
		log.Nudge()
		return nil
	})
	if err == nil {
		err = reached(ctx, log.Reader(), int64(n))
	}
	e.Rate = float64(n) / time.Since(begun).Seconds()
	stop()
	return errors.Join(err, <-ended, d.Close())
}

// reached waits until a checkpoint covers so many entries.
func reached(ctx context.Context, r *evidence.Reader, size int64) error {
	for {
		c, err := r.Checkpoint(ctx)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil && c.Size >= size {
			return nil
		}
		if err := clock.Sleep(ctx, clock.Wall{}, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// fill brings the log to its size, without a database.
func (e *Evidence) fill(ctx context.Context, config evidence.Config, source *ids.Source) error {
	memory := evidence.NewMemory()
	config.Staged = memory
	log, err := evidence.Open(ctx, config)
	if err != nil {
		return err
	}
	begun, from := time.Now(), min(e.Entries, throughDatabase)
	for left := e.Entries - from; left > 0; {
		some := min(left, 1000)
		for range some {
			if err := memory.Stage(ctx, entry(source)); err != nil {
				return err
			}
		}
		if _, err := log.Integrate(ctx); err != nil {
			return err
		}
		left -= some
	}
	e.Filled = float64(e.Entries-from) / time.Since(begun).Seconds()
	return reached(ctx, log.Reader(), int64(e.Entries))
}

// prove proves entries anywhere in the log. Prove checks against the checkpoint
// what it read.
func (e *Evidence) prove(ctx context.Context, r *evidence.Reader) error {
	c, err := r.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if c.Size != int64(e.Entries) {
		return fmt.Errorf("the log holds %d entries, not %d", c.Size, e.Entries)
	}
	for range proofs {
		index := mathrand.Int64N(c.Size)
		begun := time.Now()
		if _, err := r.Prove(ctx, c, index); err != nil {
			return err
		}
		e.Proofs = append(e.Proofs, time.Since(begun))
	}
	return nil
}

// entry is an act of usual size.
func entry(source *ids.Source) evidence.Leaf {
	return evidence.Leaf{
		ID: ids.New[ids.Leaf](source), At: evidence.On(time.Now()), By: evidence.Actor{Role: evidence.BySystem}, Tenant: 2,
		Body: &evidence.Act{Act: "queue.hold"},
	}
}

func (e *Evidence) print(w io.Writer) {
	fmt.Fprintf(w, "\nevidence: %.0f entries/s through the database, %.0f/s to a log of %d without it; %d proofs of inclusion, each %s\n",
		e.Rate, e.Filled, e.Entries, len(e.Proofs), durations(e.Proofs))
}
