// Package crowd bounds who comes in at a listener. It promises that no more than
// so many connections are open at once, and from one address no more than its
// share, so that one caller cannot take every place, and says for all doors what
// counts as one address. What callers may say is left to who answers them; the mail doors, which answer whom they turn away and know
// proxies, count for themselves.
package crowd

import (
	"net"
	"net/netip"
	"sync"
)

// Limits are the places of a listener.
type Limits struct {
	Connections int
	PerAddress  int            // of an IPv4 address or an IPv6 /64
	Exempt      []netip.Prefix // callers that share an address: a proxy on this machine
}

// Listener turns away whom it has no place for.
type Listener struct {
	net.Listener
	limits Limits
	turned func()

	mu   sync.Mutex
	open int
	each map[netip.Prefix]int
}

// New bounds a listener; turned is told of each who was turned away.
func New(l net.Listener, limits Limits, turned func()) *Listener {
	return &Listener{Listener: l, limits: limits, turned: turned, each: map[netip.Prefix]int{}}
}

// Accept implements net.Listener. A connection without a place is closed without
// a word: nothing is spent on it.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, counted := l.caller(c)
		if l.enter(from, counted) {
			return &conn{Conn: c, leave: func() { l.leave(from, counted) }}, nil
		}
		l.turned()
		_ = c.Close() // a connection that nobody reads
	}
}

// caller is what counts as one address, and whether it is counted.
func (l *Listener) caller(c net.Conn) (netip.Prefix, bool) {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}, true // strangers of one kind share one place
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, p := range l.limits.Exempt {
		if p.Contains(ip) {
			return netip.Prefix{}, false
		}
	}
	return Network(ip), true
}

// Network is what limits count as one address: an IPv4 address, an IPv6 /64,
// because a /64 is what one host may freely choose from.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (l *Listener) enter(from netip.Prefix, counted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.limits.Connections || counted && l.each[from] >= l.limits.PerAddress {
		return false
	}
	l.open++
	if counted {
		l.each[from]++
	}
	return true
}

func (l *Listener) leave(from netip.Prefix, counted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if !counted {
		return
	}
	if l.each[from]--; l.each[from] == 0 {
		delete(l.each, from)
	}
}

// conn gives its place back once.
type conn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
