package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
)

// Rows is the rate of the last tenth of so many rows of history.
type Rows struct {
	Rows  int     `json:"rows"`
	Rate  float64 `json:"rows_per_second"`
	Bytes int64   `json:"bytes"` // of all files, with index and log
}

// writers is how many units wait for the committer at once.
const writers = 200

// history writes rows as the road does, two for a message, sealed and with the
// keyed hashes and the chunks of subjects that make them findable, and says how
// fast each tenth went.
func (b *bench) history(ctx context.Context) ([]Rows, error) {
	dir, err := os.MkdirTemp(b.dir, "history-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	kek, err := vault.NewKEK(key)
	if err != nil {
		return nil, err
	}
	h, err := openHistory(ctx, filepath.Join(dir, "db"), filepath.Join(dir, "keys"), kek, clock.Wall{})
	if err != nil {
		return nil, err
	}
	defer h.close()
	var all []Rows
	for tenth := range 10 {
		begun := time.Now()
		n := b.rows / 10
		if err := h.write(ctx, n/2); err != nil {
			return all, err
		}
		r := Rows{Rows: (tenth + 1) * n, Rate: float64(n) / time.Since(begun).Seconds(), Bytes: sizeOf(dir)}
		all = append(all, r)
		fmt.Fprintf(os.Stderr, "history: %d rows, %.0f/s\n", r.Rows, r.Rate)
	}
	return all, nil
}

// record is a history with what stands below it.
type record struct {
	tenant  ids.Tenant
	clock   clock.Clock
	address func() string // of a message's recipient
	db      *db.DB
	vault   *vault.Vault
	ids     *ids.Source
	history *history.History
	index   *history.Index
	words   *words.Words
	stop    context.CancelFunc
	running sync.WaitGroup
}

// openHistory opens the history of a database's folder, in which no server works.
func openHistory(ctx context.Context, dir, keys string, kek vault.Wrapper, c clock.Clock) (*record, error) {
	d, err := db.Open(ctx, db.Config{Dir: dir, Clock: clock.Wall{}}, stored.Schemas()...)
	if err != nil {
		return nil, err
	}
	r := &record{tenant: 2, clock: c, db: d, ids: ids.NewSource(c, d.Node(), 0)}
	var last atomic.Int64
	r.address = func() string { return fmt.Sprintf("user%d@sink.example", last.Add(1)) }
	if r.vault, err = vault.Open(ctx, vault.Config{KEK: kek, Store: vault.Folder(disk.Machine{}, keys), Clock: c, IDs: r.ids}); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	r.history = history.New(d, r.vault, r.ids, c, history.NoRedaction{})
	if r.index, err = r.history.OpenIndex(ctx); err == nil {
		r.words, err = words.Open(ctx, r.history, d, r.vault, r.ids, clock.Wall{})
	}
	if err != nil {
		r.vault.Close()
		return nil, errors.Join(err, d.Close())
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.running.Go(func() { _ = r.index.Run(ctx) }) // it ends with the context; CatchUp reports what fails
	r.running.Go(func() { _ = r.words.Run(ctx) })
	return r, nil
}

func (r *record) close() {
	r.stop()
	r.running.Wait()
	r.vault.Close()
	if err := r.db.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: close the database:", err)
	}
}

// write commits so many messages of two rows each, from many goroutines, and
// waits until they can be found.
func (r *record) write(ctx context.Context, messages int) error {
	if err := each(messages, func() error { return r.message(ctx) }); err != nil {
		return err
	}
	return errors.Join(r.index.CatchUp(ctx), r.words.CatchUp(ctx))
}

// each runs f so many times, on many goroutines, until one fails.
func each(n int, f func() error) error {
	var wg sync.WaitGroup
	failed := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for range (n + w) / writers {
				if err := f(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed // nil if nobody failed
}

// message writes the rows of one message: accepted, and delivered.
func (r *record) message(ctx context.Context) error {
	id, address := ids.New[ids.Message](r.ids), r.address()
	for _, kind := range []history.Kind{history.Accepted, history.Delivered} {
		u := &db.Unit{}
		e := history.Event{
			Message: id, Recipient: ids.New[ids.Recipient](r.ids), Tenant: r.tenant, Kind: kind, At: r.clock.Now(),
			Detail: history.Detail{Sender: "sender@" + benchDomain, Recipients: []string{address}, Subject: "load"},
		}
		if err := r.history.Write(u, e, history.Known{}); err != nil {
			return err
		}
		if err := r.db.Commit(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func sizeOf(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a file that has just gone counts nothing
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
