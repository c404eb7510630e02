package app

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/keep/vault"
)

// rotate asks one node over its socket, as mailvow keys rotate does.
func rotate(t *testing.T, h *House, r admin.Rotation) {
	t.Helper()
	if _, err := admin.Call(t.Context(), admin.Dial(Socket(h.Config.Data.Dir)), admin.KeysRotate, r); err != nil {
		t.Fatal(err)
	}
}

// under counts the objects of the key store that name a key-encryption key.
func (e *estate) under(id string) (n int) {
	e.t.Helper()
	all, err := e.keys.Contents(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	for _, content := range all {
		if bytes.Contains(content, []byte(id)) {
			n++
		}
	}
	return n
}

func kekID(t *testing.T, file string) string {
	t.Helper()
	k, err := vault.LoadKEKFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

// TestRotatedUnderLoad changes the key-encryption key of two nodes that take and
// deliver mail all the while. Nothing that was acknowledged is lost, each opens
// what the other seals at every step, and in the end the old key opens nothing.
func TestRotatedUnderLoad(t *testing.T) {
	long(t)
	t.Parallel()
	e := newEstate(t, 0)
	a, b := e.house("smtp, deliver, worker"), e.house("smtp, deliver, worker")
	old, next := kekID(t, e.kek), filepath.Join(t.TempDir(), "kek.new")
	if e.under(old) == 0 {
		t.Fatal("nothing is wrapped under the first key: the test shows nothing")
	}
	customer := ids.Tenant(1 << 40) // of whom nobody has a key yet
	crossed := func(step string) {
		t.Helper()
		for range 2 { // a key made by one, and then one made by the other
			customer++
			for _, to := range []*House{a, b} {
				sealed, err := a.vault.Seal(nil, customer, vault.Content, vault.AD{Table: "t", Row: 1}, []byte(step))
				if err == nil {
					_, err = to.vault.Open(nil, customer, vault.AD{Table: "t", Row: 1}, sealed)
				}
				if err != nil {
					t.Errorf("%s: what one sealed the other cannot open: %v", step, err)
				}
			}
			a, b = b, a
		}
	}
	stop, acknowledged := e.load(a.doors.at("submission"), b.doors.at("submission"))
	grows := func(step string) {
		t.Helper()
		crossed(step)
		from := len(acknowledged())
		e.until(30*time.Second, "mail is taken after "+step, func() bool { return len(acknowledged()) >= from+20 })
	}
	grows("the start")
	rotate(t, a, admin.Rotation{KEK: next, Learn: true})
	rotate(t, b, admin.Rotation{KEK: next, Learn: true})
	grows("both have learnt the key")
	rotate(t, a, admin.Rotation{KEK: next})
	grows("one has rotated")
	rotate(t, b, admin.Rotation{KEK: next})
	grows("both have rotated")
	if n := e.under(old); n != 0 {
		t.Errorf("%d objects are still wrapped under the old key", n)
	}
	stop()
	for _, h := range []*House{a, b} {
		if err := h.Act(t.Context(), system, "test.act"); err != nil {
			t.Error(err)
		}
	}
	_, err := e.tryBuild(e.config("api", true))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a start with the old key: %v", err)
	}
	e.kek = next
	c := e.house("smtp, deliver, worker")
	if err := e.submit(c.doors.at("submission"), "with the new key alone", 300_000); err != nil {
		t.Error(err)
	}
	e.until(60*time.Second, "all that was acknowledged arrives", func() bool {
		found := e.arrived()
		for _, s := range acknowledged() {
			if found[s] == 0 {
				return false
			}
		}
		return found["with the new key alone"] == 1
	})
	if point, err := c.evidence.Reader().Checkpoint(t.Context()); err != nil || point.Size == 0 {
		t.Errorf("the evidence does not open: %+v, %v", point, err)
	}
}

// load submits small and large mail at doors until stop is called.
func (e *estate) load(doors ...string) (stop func(), acknowledged func() []string) {
	ctx, cancel := context.WithCancel(e.t.Context())
	var mu sync.Mutex
	var done []string
	var senders sync.WaitGroup
	for _, door := range doors {
		for worker := range 2 {
			senders.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					subject, size := fmt.Sprintf("%s-%d-%d", door, worker, i), 1000
					if i%10 == 9 {
						size = 100_000 // in the bucket
					}
					if err := e.submit(door, subject, size); err != nil {
						e.t.Errorf("a sender was refused: %v", err)
						return
					}
					mu.Lock()
					done = append(done, subject)
					mu.Unlock()
					_ = clock.Sleep(ctx, clock.Wall{}, 20*time.Millisecond)
				}
			})
		}
	}
	stop = func() { cancel(); senders.Wait() }
	e.t.Cleanup(stop)
	return stop, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), done...)
	}
}
