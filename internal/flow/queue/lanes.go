package queue

import (
	"context"
	"sync"
)

// lanes is the window of the queue that lies in memory: parcels that this node
// has leased and that wait for a courier. Customers are served in turn, a
// customer's lanes in turn, a lane's parcels first in first out. A lane with
// perLane parcels under way steps out of the round until one is done, so that
// a slow destination occupies no more than its own couriers; and it waits with
// no more than a share of the window, so that it leaves the rest to others.
type lanes struct {
	mu      sync.Mutex
	wake    sync.Cond
	perLane int
	window  int // bound on recipients, waiting and under way
	share   int // of it that one lane's waiting recipients take
	held    int
	closed  bool
	lanes   map[int64]*lane
	round   ring[*customer]
	tenants map[int64]*customer
}

type lane struct {
	id       int64
	customer *customer
	waiting  ring[*work]
	count    int // recipients in waiting
	underway int
	inRound  bool
}

type customer struct {
	id      int64
	lanes   int // how many exist, so that the last one takes the customer along
	round   ring[*lane]
	inRound bool
}

// ring is a first in first out list that keeps its memory.
type ring[T any] struct {
	items []T
	head  int
}

func (r *ring[T]) push(v T) { r.items = append(r.items, v) }

func (r *ring[T]) empty() bool { return r.head == len(r.items) }

func (r *ring[T]) pop() T {
	var none T
	v := r.items[r.head]
	r.items[r.head] = none
	r.head++
	if r.head == len(r.items) {
		r.items, r.head = r.items[:0], 0
	} else if r.head > 1024 && r.head*2 > len(r.items) {
		r.items, r.head = append(r.items[:0], r.items[r.head:]...), 0
	}
	return v
}

func newLanes(perLane, window int) *lanes {
	l := &lanes{perLane: perLane, window: window, share: max(1, window/4), lanes: map[int64]*lane{}, tenants: map[int64]*customer{}}
	l.wake.L = &l.mu
	return l
}

// reserve takes n places of the window, all or none.
func (l *lanes) reserve(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.held+n > l.window {
		return false
	}
	l.held += n
	return true
}

// release gives reserved places back that no parcel took.
func (l *lanes) release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= n
}

// room is how many recipients still fit.
func (l *lanes) room() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0
	}
	return max(0, l.window-l.held)
}

// has is how many recipients of a lane wait in memory.
func (l *lanes) has(id int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.lanes[id]; ln != nil {
		return ln.count
	}
	return 0
}

// sated reports that so many of a lane wait in memory that others come first.
func (l *lanes) sated(id int64) bool { return l.has(id) >= l.share }

// push queues a parcel whose places were reserved. It reports false when the
// window is closed; then the caller puts the parcel back.
func (l *lanes) push(w *work) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.held -= len(w.entries)
		return false
	}
	ln := l.lanes[w.lane]
	if ln == nil {
		c := l.tenants[int64(w.parcel.Tenant)]
		if c == nil {
			c = &customer{id: int64(w.parcel.Tenant)}
			l.tenants[c.id] = c
		}
		c.lanes++
		ln = &lane{id: w.lane, customer: c}
		l.lanes[w.lane] = ln
	}
	ln.waiting.push(w)
	ln.count += len(w.entries)
	l.enter(ln)
	return true
}

// enter puts a lane that can go on into its customer's round, and the customer
// into the round of all.
func (l *lanes) enter(ln *lane) {
	if ln.inRound || ln.waiting.empty() || ln.underway >= l.perLane {
		return
	}
	ln.inRound = true
	ln.customer.round.push(ln)
	if !ln.customer.inRound {
		ln.customer.inRound = true
		l.round.push(ln.customer)
	}
	l.wake.Signal()
}

// endWith wakes all who wait in next when ctx ends. The lock makes sure that
// nobody is between looking at the context and falling asleep.
func (l *lanes) endWith(ctx context.Context) {
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wake.Broadcast()
	})
}

// next waits for a parcel. It returns nil when the context or the window ends;
// who passes a context that can end calls endWith first.
func (l *lanes) next(ctx context.Context) *work {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.round.empty() && !l.closed && ctx.Err() == nil {
		l.wake.Wait()
	}
	if l.closed || ctx.Err() != nil {
		return nil
	}
	c := l.round.pop()
	ln := c.round.pop()
	ln.inRound = false
	w := ln.waiting.pop()
	ln.count -= len(w.entries)
	ln.underway++
	c.inRound = !c.round.empty()
	if c.inRound {
		l.round.push(c)
	}
	l.enter(ln)
	if !l.round.empty() {
		l.wake.Signal()
	}
	return w
}

// done ends an attempt: its lane may go on, its places are free.
func (l *lanes) done(w *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= len(w.entries)
	ln := l.lanes[w.lane]
	ln.underway--
	l.enter(ln)
	if ln.underway == 0 && ln.waiting.empty() {
		delete(l.lanes, ln.id)
		if ln.customer.lanes--; ln.customer.lanes == 0 {
			delete(l.tenants, ln.customer.id)
		}
	}
}

// close ends the window and returns what waited in it.
func (l *lanes) close() []*work {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var waiting []*work
	for _, ln := range l.lanes {
		for ; !ln.waiting.empty(); ln.count = 0 {
			waiting = append(waiting, ln.waiting.pop())
		}
	}
	l.wake.Broadcast()
	return waiting
}
