package egress

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Terms is the register of those outside whom the operator may speak to.
type Terms interface {
	// Covers gives the entry by which an endpoint (host:port, as it is configured)
	// may be spoken to for a purpose now; a Denied fault says what to add. of is the
	// customer whose data alone goes there, zero for everybody's. region is where it
	// stands, if the configuration puts it into another one than this server's.
	Covers(purpose, endpoint, region string, of ids.Tenant) (entry string, err error)
}

// Govern sets the terms. From then on an operator's endpoint outside this machine
// and its private networks, or in another region, is refused without an entry.
// Before, nothing is.
func (g *Gate) Govern(t Terms) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.terms = t
}

// covered asks the terms for an endpoint. Ours is true where none are needed.
func (g *Gate) covered(d *Destination, endpoint string, ip netip.Addr) (entry string, ours bool, err error) {
	g.mu.RLock()
	t := g.terms
	g.mu.RUnlock()
	abroad := g.abroad(d)
	if abroad == "" && (d.Free || private(ip)) {
		return "", true, nil
	}
	if t == nil {
		return "", false, nil
	}
	entry, err = t.Covers(d.use(), endpoint, abroad, d.For)
	if err != nil && abroad == "" && isLocal(ip) {
		return "", true, nil
	}
	return entry, false, err
}

// abroad is a destination's region where that is not this server's; "" where it is,
// or where the configuration does not say.
func (g *Gate) abroad(d *Destination) string {
	if len(g.here) == 0 || slices.Contains(g.here, d.Region) {
		return ""
	}
	return d.Region
}

// use is the word under which the terms know the purpose.
func (d *Destination) use() string {
	if d.Use != "" {
		return d.Use
	}
	return d.Name
}

// private reports an address of this machine or of a private network: RFC 1918,
// 4193, 3927 and 4291 2.5.6.
func private(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
}

// judged is what control learnt of one attempt to connect.
type judged struct {
	entry string
	ours  bool
}

// governed is net.Dialer.Control for an operator's destination: it sees the
// address after every resolution, before anything is sent.
func (g *Gate) governed(d *Destination, endpoint string, learnt *judged) func(string, string, syscall.RawConn) error {
	var mu sync.Mutex // Happy Eyeballs tries two at a time
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil // a Unix socket: of this machine
		}
		entry, ours, err := g.covered(d, endpoint, to.Addr())
		mu.Lock()
		defer mu.Unlock()
		learnt.entry, learnt.ours = entry, ours
		return err
	}
}

// lasting is an open connection that rests on an entry.
type lasting struct {
	net.Conn
	gate     *Gate
	to       *Destination
	endpoint string
	ip       netip.Addr
}

// Close implements net.Conn.
func (l *lasting) Close() error {
	l.gate.mu.Lock()
	delete(l.gate.open, l)
	l.gate.mu.Unlock()
	return l.Conn.Close()
}

// keep remembers a connection that rests on an entry, so that it ends with it.
// Datagrams have no connection that could outlive their entry.
func (g *Gate) keep(conn net.Conn, d *Destination, endpoint, network string) net.Conn {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return conn
	}
	l := &lasting{conn, g, d, endpoint, at.Addr()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[l] = struct{}{}
	return l
}

// Review closes every open connection whose entry has ended, and gives their
// number.
func (g *Gate) Review() int {
	g.mu.RLock()
	all := make([]*lasting, 0, len(g.open))
	for l := range g.open {
		all = append(all, l)
	}
	g.mu.RUnlock()
	n := 0
	for _, l := range all {
		if _, _, err := g.covered(l.to, l.endpoint, l.ip); fault.Is(err, fault.Denied) {
			_ = l.Close() // who uses it sees that it is closed
			n++
		}
	}
	return n
}

// Endpoint is one place that the operator configured.
type Endpoint struct {
	Destination string
	Purpose     string // in words
	Use         string // the word under which the register knows it
	Host        string // host:port
	Ours        bool   // of this machine or a private network: no entry is needed
	Region      string // the other region in which the configuration puts it, or ""
	Entry       string // the register's, where one is needed and in force
	Problem     string // why it is refused, or ""
}

// Endpoints lists what the operator configured and by which entry each may be
// spoken to, by destination.
func (g *Gate) Endpoints(ctx context.Context) []Endpoint {
	var list []Endpoint
	for _, d := range g.destinations {
		if d.Owner != Operator {
			continue
		}
		for _, h := range d.Hosts {
			list = append(list, g.endpoint(ctx, &d, h))
		}
	}
	slices.SortFunc(list, func(a, b Endpoint) int {
		return strings.Compare(a.Destination+"\x00"+a.Host, b.Destination+"\x00"+b.Host)
	})
	return list
}

func (g *Gate) endpoint(ctx context.Context, d *Destination, host string) Endpoint {
	e := Endpoint{Destination: d.Name, Purpose: d.Purpose, Use: d.use(), Host: host, Ours: d.Free, Region: g.abroad(d)}
	if e.Ours = e.Ours && e.Region == ""; e.Ours {
		return e
	}
	g.mu.RLock()
	t, resolver := g.terms, g.resolver
	g.mu.RUnlock()
	var denied error
	if t != nil {
		if e.Entry, denied = t.Covers(d.use(), host, e.Region, d.For); denied == nil {
			return e
		}
	}
	if e.Region != "" {
		if denied != nil {
			e.Problem, _ = fault.Public(denied)
		}
		return e
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return e
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(name); err == nil {
		ips = append(ips, ip)
	} else if resolver != nil {
		if ips, err = resolver.Addresses(ctx, name); err != nil && denied != nil {
			e.Problem = "where " + host + " stands could not be looked up"
			return e
		}
	}
	e.Ours = !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !private(ip) && !isLocal(ip.Unmap().WithZone("")) })
	if !e.Ours && denied != nil {
		e.Problem, _ = fault.Public(denied)
	}
	return e
}

// nowhere is a network that nobody has (RFC 5737).
var nowhere = netip.MustParsePrefix("192.0.2.0/24")

// Try connects, for probes, to an endpoint that nobody has, or to a listener that was
// lent, as if the operator had configured it for a purpose: nil or an Unavailable
// fault where the terms would let a connection out, Denied where they refuse it.
// region is the one in which the configuration would put it, or "". It waits for at
// most a tenth of a second.
func (g *Gate) Try(ctx context.Context, purpose, endpoint, region string, of ids.Tenant) error {
	to, err := netip.ParseAddrPort(endpoint)
	if err != nil || !nowhere.Contains(to.Addr()) && !g.guard.isLent(to) {
		return fault.New(fault.Denied, "A probe connects to the test network 192.0.2.0/24 alone, and to what was lent.")
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	d := &Dialer{gate: g, probe: true, to: Destination{Name: "probe of the register", Use: purpose, Purpose: "see what is refused", Owner: Operator, Hosts: []string{endpoint}, Region: region, For: of}}
	conn, err := d.Dial(ctx, "tcp", endpoint)
	if err != nil {
		return err
	}
	return conn.Close()
}
