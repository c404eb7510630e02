// Package queue holds what still has to be delivered and sees to it that it is.
// It promises: a row that was committed is delivered, failed with a notice to
// the sender, or waits for a person, also after kill -9 and on another node; an
// attempt is written down before its courier dials; nothing goes to a recipient
// whom the Gate refuses at the moment of sending; a lane that is stuck never
// holds up another and customers are served in turn; memory does not grow with
// the queue. How mail is carried is left to couriers, where it goes to Routes.
package queue

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

//go:embed queue.sql
var sql string

// Schema is what this package stores.
func Schema() db.Schema { return db.Schema{Package: "flow/queue", SQL: sql} }

// Class is how urgent a message is; each class has lanes of its own.
type Class uint8

// The classes. A row keeps these numbers.
const (
	Transactional Class = 1
	Marketing     Class = 2
	Digest        Class = 3
)

// State of a row. Moves are made by the queries of queue.sql alone.
type State uint8

// The states. Settled rows are gone.
const (
	Ready  State = 1 // to be leased when due
	Leased State = 2 // a courier has it, or will have it next
	Held   State = 3 // waits for a person
	Paused State = 4 // its destination or customer is paused
)

// String is the state as the API spells it.
func (s State) String() string {
	switch s {
	case Ready:
		return "ready"
	case Leased:
		return "leased"
	case Held:
		return "held"
	case Paused:
		return "paused"
	}
	return ""
}

// Gate is asked for every recipient at the moment of sending.
type Gate interface {
	// Refused returns, for each recipient, why nothing may be sent to it, or "".
	Refused(ctx context.Context, tenant ids.Tenant, recipients []address.Address) ([]string, error)
	// Bounced adds to u a suppression of a recipient that does not exist.
	Bounced(u *db.Unit, tenant ids.Tenant, recipient address.Address, why string) error
}

// Routes says where mail goes.
type Routes interface {
	Route(ctx context.Context, tenant ids.Tenant, recipient address.Address) (deliver.Route, error)
}

// Config sets the queue's bounds.
type Config struct {
	Hostname string        // names us in notices
	Expiry   time.Duration // how long a message is tried; 5 days (RFC 5321 4.5.4.1) when zero
	Couriers int           // attempts under way at once on this node
	PerLane  int           // of them to one lane
	Window   int           // recipients in memory; further ones wait in the database
	Memory   int64         // bytes of content kept for a first attempt
	// AcceptOnly is for a process that delivers nothing: rows are born ready for
	// another to lease, and Start is never called.
	AcceptOnly bool
}

func (c *Config) fill() {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&c.Couriers, 256)
	set(&c.PerLane, 40)
	set(&c.Window, 20000)
	if c.Memory == 0 {
		c.Memory = 128 << 20
	}
	if c.Expiry == 0 {
		c.Expiry = 5 * 24 * time.Hour
	}
}

// Parts are what the queue is built on.
type Parts struct {
	DB       *db.DB
	Vault    *vault.Vault
	Blobs    blob.Store
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	History  *history.History
	Gate     Gate
	Routes   Routes
	Couriers map[deliver.RouteKind]deliver.Courier
}

// Queue is the queue of one node.
type Queue struct {
	Parts
	config Config
	log    *slog.Logger
	meter  *meter
	set    *db.Set
	bulk   bulks

	lanes  *lanes
	memory atomic.Int64 // bytes of content held for first attempts
	hungry chan struct{}
	behind atomic.Bool // the store may hold due rows that found no room in memory

	pauses struct {
		sync.RWMutex
		list  []Pause
		ended []Pause // since the look before
	}
	running *service.Group
	cut     context.CancelFunc // ends attempts that are still under way
}

type bulks struct {
	addMessage, addBody, add, done, takeOut, again, byHand, dropMessage, dropBody, rewrapMessage, rewrapRow *db.Bulk
}

// New makes the queue of this node. Start begins delivering.
func New(p Parts, c Config) *Queue {
	c.fill()
	set := p.DB.Set("flow/queue")
	return &Queue{
		Parts: p, config: c, log: p.Observe.For("flow/queue").Log, meter: newMeter(p.Observe.Metrics),
		set: set, lanes: newLanes(c.PerLane, c.Window), hungry: make(chan struct{}, 1),
		bulk: bulks{
			addMessage: set.Bulk("add_message"), addBody: set.Bulk("add_body"), add: set.Bulk("add"),
			done: set.Bulk("done"), takeOut: set.Bulk("take_out"), again: set.Bulk("again"), byHand: set.Bulk("by_hand"), dropMessage: set.Bulk("drop_message"), dropBody: set.Bulk("drop_body"),
			rewrapMessage: set.Bulk("rewrap_message"), rewrapRow: set.Bulk("rewrap_row"),
		},
	}
}

// Start puts back what an earlier life of this node had leased, and begins.
func (q *Queue) Start(ctx context.Context) error {
	if q.config.AcceptOnly {
		return fault.New(fault.Internal, "a queue that only accepts was started")
	}
	if _, err := q.PutBackEnded(ctx); err != nil {
		return err
	}
	if err := q.RefreshPauses(ctx); err != nil {
		return err
	}
	q.running = service.New(ctx, q.log)
	q.lanes.endWith(q.running.Context())
	// Attempts outlive the order to stop: cutting one off after its message was
	// sent means sending it twice.
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	q.cut = cut
	for range q.config.Couriers {
		q.running.Go("courier", func(ctx context.Context) error { return q.carry(ctx, attempts) })
	}
	q.running.Go("lease due recipients", q.lease)
	return nil
}

// Stop lets attempts under way finish until wait is over; what is only in
// memory is put back for another life or node.
func (q *Queue) Stop(wait time.Duration) error {
	if q.running == nil {
		return nil
	}
	err := q.LetGo(wait)
	end := time.AfterFunc(wait, q.cut)
	defer end.Stop()
	defer q.cut()
	return errors.Join(err, q.running.Stop(wait+settleTime))
}

// LetGo leases nothing any more and puts back at once what waits in memory, so
// that another node need not wait for this one's last attempts. New mail is
// still taken, for others to deliver. Stop follows.
func (q *Queue) LetGo(wait time.Duration) error {
	if q.running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.running.Context()), wait)
	defer cancel()
	return q.putBack(ctx, q.lanes.close()...)
}

// work is one parcel in memory with what settling needs.
type work struct {
	life    db.Life // under which it was leased
	parcel  *deliver.Parcel
	env     *Envelope
	lane    int64
	site    int64
	entries []entry
	weight  *weight // of its content against the memory bound, or nil
	content *Stored
	by      Hand // who decided the outcome, where no host did
	// unleased is what a person takes out: no courier has it.
	unleased bool
}

// entry is the queue row of one recipient of a parcel.
type entry struct {
	token   int64
	attempt int
	expires time.Time
}

// carry is one courier's life: next parcel, attempt, settle. It takes none any
// more when ctx ends; the attempt that it has begun ends with attempts.
func (q *Queue) carry(ctx, attempts context.Context) error {
	for {
		w := q.lanes.next(ctx)
		if w == nil {
			return nil
		}
		if !q.ours(ctx, w) {
			q.abandon(w)
			continue
		}
		q.attempt(attempts, w)
	}
}

// attempt delivers one parcel and settles it. Whatever goes wrong, the parcel
// ends settled, or its rows stay leased until this node's lease ends.
func (q *Queue) attempt(ctx context.Context, w *work) {
	outcomes, err := q.deliverSurely(ctx, w)
	if err != nil && !q.ours(ctx, w) { // nothing was sent, and it is another node's by now
		q.abandon(w)
		return
	}
	q.lanes.done(w)
	q.lighten(w)
	if err != nil {
		q.log.Error("attempt failed inside the house", "message", w.parcel.Message.String(), "error", err)
		outcomes = repeat(outcome.ByUs(outcome.Deferred, 451, "4.3.0", "Local error while delivering; it will be tried again."), len(w.entries))
	}
	q.settleSurely(ctx, w, outcomes)
	if q.behind.Load() && q.lanes.room() > q.config.Window/4 {
		q.feed()
	}
}

// deliverSurely waits a little where the house's own stores are away, before
// anybody was spoken to: a restarted database is no reason to defer mail for an
// hour.
func (q *Queue) deliverSurely(ctx context.Context, w *work) (outcomes []outcome.Outcome, err error) {
	for wait := time.Second; ; wait *= 2 {
		err = service.Guard(func() (err error) {
			outcomes, err = q.deliver(ctx, w)
			return err
		})
		if !fault.Is(err, fault.Unavailable) || wait > settleTime/2 || clock.Sleep(ctx, q.Clock, wait) != nil {
			return outcomes, err
		}
	}
}

// settleSurely settles until it works: while the database is away the outcome
// lives here, because a remote host that took a message must not get it twice.
// A stopping server has settleTime left for it.
func (q *Queue) settleSurely(ctx context.Context, w *work, outcomes []outcome.Outcome) {
	final, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(settleTime, cancel) })
	defer stop()
	for wait := time.Second; ; wait = min(2*wait, settleTime) {
		err := q.settle(final, w, outcomes)
		if err == nil {
			return
		}
		q.log.Error("settling failed, trying again", "message", w.parcel.Message.String(), "error", err)
		if clock.Sleep(final, q.Clock, wait) != nil {
			return
		}
	}
}

const settleTime = 30 * time.Second

func repeat(o outcome.Outcome, n int) []outcome.Outcome {
	list := make([]outcome.Outcome, n)
	for i := range list {
		list[i] = o
	}
	return list
}
