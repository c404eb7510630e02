package smtpserver

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mailvow/internal/base/clock"
	"mailvow/internal/door/crowd"
)

// callers remembers the addresses that connect, at most so many; who has an open
// connection is never forgotten, and those are bounded by the connections.
type callers struct {
	limits   Limits
	clock    clock.Clock
	refusals *refusals

	mu     sync.Mutex
	open   int
	byAddr map[netip.Prefix]*list.Element
	recent *list.List // of *caller, the latest first
}

// caller is one address. Its fields are guarded by callers.mu, except refused.
type caller struct {
	key      netip.Prefix
	open     int
	exempt   bool
	connects *rate.Limiter
	messages *rate.Limiter
	failures *rate.Limiter
	refused  tally // guarded by refusals.mu
}

func newCallers(l Limits, c clock.Clock, r *refusals) *callers {
	return &callers{limits: l, clock: c, refusals: r, byAddr: map[netip.Prefix]*list.Element{}, recent: list.New()}
}

// enter takes a place in the total; false when there is none.
func (cs *callers) enter() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.limits.Connections > 0 && cs.open >= cs.limits.Connections {
		return false
	}
	cs.open++
	return true
}

// leave gives the place back, and the address's place if it has one.
func (cs *callers) leave(c *caller) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open--
	if c != nil {
		c.open--
	}
}

// stressed reports that four fifths of all places are taken.
func (cs *callers) stressed() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.limits.Connections > 0 && cs.open*5 >= cs.limits.Connections*4
}

// meet counts a connection of ip. With ok false the connection is refused for
// the reason; the caller is given in both cases, its place counted, and leave is
// due.
func (cs *callers) meet(ip netip.Addr, exempt bool) (c *caller, because Reason, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c = cs.find(ip, exempt)
	c.open++
	switch {
	case c.exempt:
		return c, 0, true
	case cs.limits.ConnectionsPerAddress > 0 && c.open > cs.limits.ConnectionsPerAddress:
		return c, becauseAddressConnections, false
	case !allow(c.connects, cs.clock):
		return c, becauseConnectionRate, false
	}
	return c, 0, true
}

func (cs *callers) find(ip netip.Addr, exempt bool) *caller {
	key := crowd.Network(ip)
	if e, ok := cs.byAddr[key]; ok {
		cs.recent.MoveToFront(e)
		return e.Value.(*caller)
	}
	cs.forget()
	c := &caller{key: key, exempt: exempt, connects: cs.limits.ConnectionRate.limiter(), messages: cs.limits.MessageRate.limiter(), failures: cs.limits.AuthFailureRate.limiter()}
	cs.byAddr[key] = cs.recent.PushFront(c)
	return c
}

// forget makes room: the address that was silent longest and has no connection
// goes. It looks at a few only; the places in use are bounded elsewhere.
func (cs *callers) forget() {
	e := cs.recent.Back()
	for looked := 0; e != nil && len(cs.byAddr) >= cs.limits.Addresses && looked < 16; looked++ {
		before := e.Prev()
		if c := e.Value.(*caller); c.open == 0 {
			cs.drop(e, c)
		} else {
			cs.recent.MoveToFront(e)
		}
		e = before
	}
}

func (cs *callers) drop(e *list.Element, c *caller) {
	cs.refusals.settle(&c.refused, true)
	delete(cs.byAddr, c.key)
	cs.recent.Remove(e)
}

// sweep writes the sums of floods that are over, and with last all of them.
func (cs *callers) sweep(last bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for e := cs.recent.Front(); e != nil; e = e.Next() {
		cs.refusals.settle(&e.Value.(*caller).refused, last)
	}
	cs.refusals.settle(&cs.refusals.total, last)
}

// mayMessage counts a message of c; false when it has sent too many.
func (cs *callers) mayMessage(c *caller) bool {
	return c.exempt || allow(c.messages, cs.clock)
}

// mayAuth reports whether c has failures left; failed counts one.
func (cs *callers) mayAuth(c *caller) bool {
	return c.exempt || c.failures == nil || c.failures.TokensAt(cs.clock.Now()) >= 1
}

func (cs *callers) failed(c *caller) { allow(c.failures, cs.clock) }

func allow(l *rate.Limiter, c clock.Clock) bool { return l == nil || l.AllowN(c.Now(), 1) }

// sweepEvery is how often sums of floods are written.
const sweepEvery = time.Minute
