package intake_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// waiting sends mail.
func (r *road) waiting(n int) (list []ids.Message) {
	r.t.Helper()
	for range n {
		list = append(list, r.send("ann@src.test", mail, "bob@dst.test").Message)
	}
	return list
}

// ended are the transit epochs whose key is due.
func (r *road) ended() (due []vault.Epoch, dying func(ids.Key) bool) {
	r.t.Helper()
	all, err := r.vault.Epochs(r.t.Context(), tenant)
	if err != nil {
		r.t.Fatal(err)
	}
	keys := map[ids.Key]bool{}
	for _, e := range all {
		if e.Class == vault.Transit && !e.Ends.Add(queue.TransitAfter).After(r.clock.Now()) {
			due, keys[e.Key] = append(due, e), true
		}
	}
	return due, func(k ids.Key) bool { return keys[k] }
}

func (r *road) leave(ctx context.Context, due []vault.Epoch, dying func(ids.Key) bool) (int, error) {
	return r.queue.LeaveTransit(ctx, due[0].Starts, r.clock.Now().Add(-queue.TransitAfter), dying)
}

// wrapped is the key of a message as it lies in the store.
func (r *road) wrapped(m ids.Message) []byte {
	r.t.Helper()
	var owner, direction, class, size int64
	var place string
	var key, sealed []byte
	if err := r.db.Set("flow/queue").One(r.t.Context(), "content", []any{int64(m)}, &owner, &direction, &class, &size, &place, &key, &sealed); err != nil {
		r.t.Fatal(err)
	}
	return key
}

// newStill makes a road whose rows are born waiting, and nobody leases.
func newStill(t *testing.T, d *db.DB) (*road, *lab.Clock) {
	t.Helper()
	c := lab.NewClock(lab.Epoch)
	r := newRoad(t, d, c)
	parts := r.queue.Parts
	parts.Observe = observe.Silent()
	r.queue = queue.New(parts, queue.Config{Hostname: "mail.test", AcceptOnly: true})
	r.intake.Queue = r.queue
	return r, c
}

// TestWhatWaitsLeavesTransit: after its hour the key is destroyed, and what still
// waits opens all the same; what was recorded before does not.
func TestWhatWaitsLeavesTransit(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r, c := newStill(t, d)
		ctx := t.Context()
		messages := r.waiting(210) // more than a page
		before := r.wrapped(messages[0])
		if due, _ := r.ended(); len(due) != 0 {
			t.Errorf("due in their hour: %v", due)
		}
		c.Wind(time.Hour + queue.TransitAfter)
		young := r.waiting(1)[0]
		due, dying := r.ended()
		if len(due) != 1 {
			t.Fatalf("due: %v", due)
		}
		// A crash after the first page: what has moved is not moved again.
		short, crash := context.WithCancel(ctx)
		asked := 0
		moved, err := r.leave(short, due, func(k ids.Key) bool {
			if asked++; asked == 201 {
				crash()
			}
			return dying(k)
		})
		if err == nil || moved < 200 || moved > 400 {
			t.Fatalf("%d moved before the crash, %v", moved, err)
		}
		again, err := r.leave(ctx, due, dying)
		if err != nil || moved+again != 2*210 {
			t.Fatalf("%d and %d moved, %v", moved, again, err)
		}
		if n, err := r.leave(ctx, due, dying); n != 0 || err != nil {
			t.Errorf("%d moved twice, %v", n, err)
		}
		if err := r.vault.DestroyEpochs(ctx, tenant, due); err != nil {
			t.Fatal(err)
		}
		if _, err := r.vault.Unwrap(tenant, vault.AD{Table: "body", Row: int64(messages[0])}, before); !fault.Is(err, fault.Gone) {
			t.Errorf("the key recorded before: %v", err)
		}
		for _, m := range append(messages, young) {
			content, err := r.queue.Content(ctx, scope.Tenant(tenant), m)
			if err != nil {
				t.Fatal(err)
			}
			if content.Size() < int64(len(mail)) || content.Close() != nil {
				t.Errorf("%d bytes", content.Size())
			}
			if items, err := r.queue.OfMessage(ctx, scope.Tenant(tenant), m); err != nil || len(items) != 1 || items[0].Recipient.Local() != "bob" {
				t.Fatalf("%v %v", items, err)
			}
		}
	})
}

// TestLostMessagesLeaveNothing: two nodes that settled the last two recipients at
// one moment left their message; it goes when its key would have been kept for it.
func TestLostMessagesLeaveNothing(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r, c := newStill(t, d)
		ctx := t.Context()
		lost := r.waiting(1)[0]
		err := d.Change(ctx, "settle its recipients", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, d.Set("flow/queue"), "drop_rows", int64(tenant), int64(lost))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		waits := r.waiting(1)[0]
		c.Wind(time.Hour + queue.TransitAfter)
		due, dying := r.ended()
		if n, err := r.leave(ctx, due, dying); n != 2 || err != nil {
			t.Errorf("%d values were moved, want the 2 of one message; %v", n, err)
		}
		if _, err := r.queue.Content(ctx, scope.Everyone, lost); !fault.Is(err, fault.NotFound) {
			t.Errorf("the message stays: %v", err)
		}
		var body []byte
		if err := d.Set("flow/queue").One(ctx, "body", []any{int64(lost)}, &body); !fault.Is(err, fault.NotFound) {
			t.Errorf("its bytes stay: %v", err)
		}
		if _, err := r.queue.Content(ctx, scope.Everyone, waits); err != nil {
			t.Errorf("what waits went: %v", err)
		}
	})
}

// TestALeaseWhileItLeaves: a row that is leased between reading and writing has
// its old seal, which is replaced all the same.
func TestALeaseWhileItLeaves(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r, c := newStill(t, d)
		ctx := t.Context()
		m := r.waiting(1)[0]
		items, err := r.queue.OfMessage(ctx, scope.Everyone, m)
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		c.Wind(2 * time.Hour)
		due, dying := r.ended()
		asked := 0
		_, err = r.leave(ctx, due, func(k ids.Key) bool {
			if asked++; asked == 3 { // the row was read and is not written yet
				set := d.Set("flow/queue")
				err := d.Change(ctx, "lease", func(tx *db.Tx) error {
					var lane, due int64
					if err := tx.One(ctx, set, "next_lane", []any{-1}, &lane, &due); err != nil {
						return err
					}
					_, err := tx.Do(ctx, set, "lease", int64(d.Life()), lane, due, 1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			return dying(k)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.vault.DestroyEpochs(ctx, tenant, due); err != nil {
			t.Fatal(err)
		}
		if items, err = r.queue.OfMessage(ctx, scope.Everyone, m); err != nil || len(items) != 1 || items[0].State != queue.Leased || items[0].Recipient.Local() != "bob" {
			t.Errorf("%+v %v", items, err)
		}
	})
}

// TestLongInMemory: a parcel that waits in memory while its key is wrapped again
// is delivered with the new one.
func TestLongInMemory(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	r := newRoad(t, lab.DB(t, schemas()...), c)
	large := mail + strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 20000)
	m := r.send("ann@src.test", large, "bob@dst.test").Message
	c.Wind(2 * time.Hour)
	due, dying := r.ended()
	if n, err := r.leave(t.Context(), due, dying); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if err := r.vault.DestroyEpochs(t.Context(), tenant, due); err != nil {
		t.Fatal(err)
	}
	if key := r.wrapped(m); dying(vault.KeyOf(key)) {
		t.Error("the store still names the old key")
	}
	r.start()
	if got := r.courier.wait(t, 1); !strings.HasSuffix(got[0].content, large) {
		t.Errorf("carried %d bytes, sent %d", len(got[0].content), len(large))
	}
	r.settled()
}

// TestDeferredRowsChangeClass: a row that waits past the transit key is sealed as
// content at once; a short wait leaves it where it is, so that greylisted mail is
// gone with its hour too.
func TestDeferredRowsChangeClass(t *testing.T) {
	t.Parallel()
	for late, want := range map[time.Duration]vault.Class{0: vault.Transit, 3 * time.Hour: vault.Content} {
		t.Run(want.String(), func(t *testing.T) {
			t.Parallel()
			c := lab.NewClock(lab.Epoch)
			// By the database's clock too, or the row would be due again at once.
			d := lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c}, schemas()...)
			r := newRoad(t, d, c)
			m := r.send("ann@src.test", mail, "later@dst.test").Message
			c.Wind(late)
			r.start()
			r.courier.wait(t, 1)
			r.until(10*time.Second, "the deferral", func() bool {
				items, err := r.queue.OfMessage(t.Context(), scope.Everyone, m)
				return err == nil && len(items) == 1 && items[0].State == queue.Ready
			})
			if got := r.rowClass(); got != want {
				t.Errorf("sealed as %v", got)
			}
		})
	}
}

// rowClass is the class that the one recipient's row is sealed in.
func (r *road) rowClass() (class vault.Class) {
	r.t.Helper()
	var id, owner int64
	var sealed []byte
	if err := r.db.Set("flow/queue").One(r.t.Context(), "old_rows", []any{0, int64(1<<63 - 1), 1}, &id, &owner, &sealed); err != nil {
		r.t.Fatal(err)
	}
	epochs, err := r.vault.Epochs(r.t.Context(), tenant)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range epochs {
		if e.Key == vault.KeyOf(sealed) {
			class = e.Class
		}
	}
	return class
}
