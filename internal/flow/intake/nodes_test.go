package intake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// estate is what several nodes share.
type estate struct {
	dsn    string
	vault  *vault.Vault
	blobs  blob.Store
	source *ids.Source
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	source := ids.NewSource(clock.Wall{}, 1, 0)
	blobs, err := blob.Folder(disk.Machine{}, t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return &estate{dsn: lab.Postgres(t), vault: keys.Vault(t, clock.Wall{}, source), blobs: blobs, source: source}
}

// node opens one process of the estate. wind changes what it believes to be the
// database's clock.
func (e *estate) node(t *testing.T, c queue.Config, courier deliver.Courier, wind func(time.Time) time.Time) *road {
	t.Helper()
	config := db.Config{Postgres: e.dsn, Region: "eu-test", Wind: wind}
	if wind != nil {
		config.Node = 9 // it would take the number that it sees given up
	}
	d := lab.OpenDB(t, config, schemas()...)
	r := &road{t: t, db: d, clock: clock.Wall{}, vault: e.vault, gate: &gate{refused: map[string]string{}}}
	r.history = history.New(d, e.vault, e.source, r.clock, history.NoRedaction{})
	c.Hostname = "mail.test"
	r.queue = queue.New(queue.Parts{
		DB: d, Vault: e.vault, Blobs: e.blobs, IDs: e.source, Clock: r.clock, Observe: observe.Silent(), History: r.history,
		Gate: r.gate, Routes: everywhere{}, Couriers: map[deliver.RouteKind]deliver.Courier{deliver.Host: courier},
	}, c)
	r.drafts = blob.NewDrafts(e.blobs, 64<<10)
	r.intake = &intake.Intake{Hostname: "mail.test", DB: d, IDs: e.source, Clock: r.clock, Log: observe.Silent().Log, Queue: r.queue, History: r.history}
	return r
}

// held is a courier that holds what it carries until it is let go.
type held struct {
	mu      sync.Mutex
	carried map[string]int
	began   chan struct{}
	letGo   chan struct{}
}

func newHeld() *held {
	return &held{carried: map[string]int{}, began: make(chan struct{}, 1000), letGo: make(chan struct{})}
}

func (h *held) Deliver(_ context.Context, p *deliver.Parcel) []outcome.Outcome {
	h.began <- struct{}{}
	<-h.letGo
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]outcome.Outcome, len(p.Recipients))
	for i, r := range p.Recipients {
		h.carried[r.Address.Text()]++
		list[i] = outcome.FromReply("mx.test", reply.New(250, "2.0.0", "taken"))
	}
	return list
}

func (h *held) count() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.carried {
		n += m
	}
	return n
}

func open() *held {
	h := newHeld()
	close(h.letGo)
	return h
}

// kinds counts the events of all messages.
func (r *road) kinds(messages []ids.Message) map[history.Kind]int {
	r.t.Helper()
	found := map[history.Kind]int{}
	for _, m := range messages {
		events, err := r.history.Of(r.t.Context(), scope.Everyone, m)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range events {
			found[e.Kind]++
		}
	}
	return found
}

func (r *road) sendMany(n int) []ids.Message {
	r.t.Helper()
	list := make([]ids.Message, n)
	for i := range list {
		list[i] = r.send("ann@src.test", mail, fmt.Sprintf("bob%d@dst.test", i)).Message
	}
	return list
}

func (r *road) until(limit time.Duration, what string, condition func() bool) {
	r.t.Helper()
	for end := time.Now().Add(limit); !condition(); {
		if time.Now().After(end) {
			r.t.Fatal("it did not come to pass: " + what)
		}
		_ = clock.Sleep(r.t.Context(), clock.Wall{}, 20*time.Millisecond)
	}
}

// TestSilentNodeLosesItsHold: a node falls silent with two attempts under way
// and the rest waiting. Another puts its rows back and delivers all. When the
// silent one comes back it delivers nothing of what waited, and its two outcomes
// change no state: they are recorded as superseded.
func TestSilentNodeLosesItsHold(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	slow, fast := newHeld(), open()
	a := e.node(t, queue.Config{Couriers: 2}, slow, nil)
	a.start()
	sent := a.sendMany(20)
	<-slow.began
	<-slow.began

	// To B it is forty seconds later: A's lease has run out.
	b := e.node(t, queue.Config{}, fast, func(now time.Time) time.Time { return now.Add(40 * time.Second) })
	if n, err := b.db.Ended(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d nodes have ended, %v", n, err)
	}
	b.start()
	b.until(20*time.Second, "B delivers everything", func() bool { return fast.count() == 20 })
	b.settled()
	if n, err := b.db.Ended(t.Context()); n != 0 || err != nil {
		t.Errorf("%d ended nodes are left, %v", n, err)
	}

	close(slow.letGo)
	a.until(20*time.Second, "A's outcomes are superseded", func() bool { return a.kinds(sent)[history.Superseded] == 2 })
	a.until(20*time.Second, "A's window empties", func() bool { return a.queue.Waiting() == 0 })
	if slow.count() != 2 || fast.count() != 20 {
		t.Errorf("A carried %d, B %d", slow.count(), fast.count())
	}
	if k := a.kinds(sent); k[history.Delivered] != 20 || k[history.Accepted] != 20 {
		t.Errorf("history says %v", k)
	}
	// A goes on under another life.
	more := a.sendMany(3)
	a.settled()
	if k := a.kinds(more); k[history.Delivered] != 3 {
		t.Errorf("after its return: %v", k)
	}
	nodes, err := a.db.Nodes(t.Context())
	if err != nil || len(nodes) != 2 || nodes[0].Region != "eu-test" || nodes[1].Region != "eu-test" {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
}

// TestDeletedWhileUnderWay: an attempt that is under way when its message is
// withdrawn is waited for, and one that ends after the deletion, because its node
// was silent, writes nothing of the message any more.
func TestDeletedWhileUnderWay(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	slow, fast := newHeld(), open()
	a := e.node(t, queue.Config{Couriers: 2}, slow, nil)
	a.start()
	sent := a.sendMany(2)
	<-slow.began
	<-slow.began
	all := scope.Everyone
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if n, err := a.queue.Withdraw(short, all, sent[0]); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("during an attempt %d were withdrawn, %v", n, err)
	}

	b := e.node(t, queue.Config{}, fast, func(now time.Time) time.Time { return now.Add(40 * time.Second) })
	if n, err := b.db.Ended(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d nodes have ended, %v", n, err)
	}
	b.start()
	b.until(20*time.Second, "B delivers both", func() bool { return fast.count() == 2 })
	if n, err := b.queue.Withdraw(t.Context(), all, sent[0]); n != 0 || err != nil {
		t.Errorf("after the attempt %d were withdrawn, %v", n, err)
	}
	if k := b.kinds(sent[:1]); k[history.Delivered] != 1 {
		t.Errorf("withdrawn before its attempt had ended: %v", k)
	}
	if n, err := b.history.Delete(t.Context(), all, sent[0]); n == 0 || err != nil {
		t.Fatalf("%d rows were deleted, %v", n, err)
	}
	close(slow.letGo)
	a.until(20*time.Second, "A's outcome of the other is superseded", func() bool { return a.kinds(sent[1:])[history.Superseded] == 1 })
	a.until(20*time.Second, "A's window empties", func() bool { return a.queue.Waiting() == 0 })
	if events, err := a.history.Of(t.Context(), all, sent[0]); !fault.Is(err, fault.NotFound) {
		t.Errorf("the deleted message has %d rows again, %v", len(events), err)
	}
}

// TestAcceptOnlyNode: a process without couriers commits rows that are ready for
// others, and holds none in memory.
func TestAcceptOnlyNode(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	door := e.node(t, queue.Config{AcceptOnly: true}, nil, nil)
	if err := door.queue.Start(t.Context()); err == nil {
		t.Fatal("a queue that only accepts was started")
	}
	sent := door.sendMany(10)
	counts, err := door.queue.Counts(t.Context(), scope.Everyone)
	if err != nil || counts[queue.Ready] != 10 || len(counts) != 1 || door.queue.Waiting() != 0 {
		t.Fatalf("states %v, %d in memory, %v", counts, door.queue.Waiting(), err)
	}
	courier := open()
	e.node(t, queue.Config{}, courier, nil).start()
	door.settled()
	if k := door.kinds(sent); k[history.Delivered] != 10 || courier.count() != 10 {
		t.Errorf("history says %v, carried %d", k, courier.count())
	}
}

// TestNodeThatStopsLetsGoAtOnce: what waits is delivered by another node while
// the stopping one finishes its attempts; nobody gets anything twice.
func TestNodeThatStopsLetsGoAtOnce(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	slow, fast := newHeld(), open()
	a := e.node(t, queue.Config{Couriers: 2}, slow, nil)
	a.start()
	sent := a.sendMany(20)
	<-slow.began
	<-slow.began
	b := e.node(t, queue.Config{}, fast, nil)
	b.start()
	if err := a.queue.LetGo(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	b.until(20*time.Second, "B takes what waited", func() bool { return fast.count() == 18 })
	sent = append(sent, a.sendMany(2)...) // still taken, for B
	b.until(20*time.Second, "B takes what came later", func() bool { return fast.count() == 20 })
	close(slow.letGo)
	if err := a.queue.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	b.settled()
	if k := b.kinds(sent); k[history.Delivered] != 22 || k[history.Superseded] != 0 || slow.count() != 2 {
		t.Errorf("history says %v, A carried %d", k, slow.count())
	}
}

// TestPausesAcrossNodes: what is paused on one node is set aside on the other,
// and goes on when either resumes it.
func TestPausesAcrossNodes(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	courier := open()
	a, b := e.node(t, queue.Config{AcceptOnly: true}, nil, nil), e.node(t, queue.Config{}, courier, nil)
	b.start()
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel()
	for _, n := range []*road{a, b} {
		keeping.Go(func() { _ = n.queue.Keep(ctx) })
	}
	p, err := a.queue.Pause(t.Context(), queue.Pause{Tenant: tenant, Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	a.until(10*time.Second, "B knows the pause", func() bool { return b.queue.IsPaused(tenant) })
	a.sendMany(3)
	b.sendMany(3)
	counts, err := a.queue.Counts(t.Context(), scope.Everyone)
	if err != nil || counts[queue.Paused] != 6 || courier.count() != 0 {
		t.Fatalf("states %v, carried %d, %v", counts, courier.count(), err)
	}
	if err := b.queue.Resume(t.Context(), scope.Everyone, p.ID, queue.Customer); err != nil {
		t.Fatal(err)
	}
	// A may still believe in the pause; what it sets aside meanwhile goes on, too.
	a.sendMany(3)
	b.until(20*time.Second, "all is delivered", func() bool { return courier.count() == 9 })
	a.settled()
}
