// Package egress opens every outgoing connection of the house. It promises that
// a connection goes only to a declared destination, that its name and purpose
// are known and counted, and that an address which a customer can choose (a
// webhook, the mail hosts of a domain) never leads into a private network, to a
// metadata service or back to one of our own listeners, unless the operator
// listed that network; that one of the operator's outside this machine, or in another
// region, is spoken to only while the register of sub-processors covers it. The check happens at connect time on the address itself,
// so that no name can change its meaning in between. TLS, protocols and retries
// are left to the callers. A test enumerates the program's dials and fails on
// one that goes round this package.
package egress

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
)

// Owner says who chooses the addresses of a destination.
type Owner string

// The two owners.
const (
	Operator Owner = "operator" // named in the configuration: a sub-processor or the operator's own machine
	Customer Owner = "customer" // directed by a customer or by DNS: checked at connect time
)

// Destination is one declared place that connections go to.
type Destination struct {
	Name    string   // the entry's name: "resolver", "mail delivery"
	Purpose string   // in words: "look up mail hosts"
	Region  string   // where the other end stands by the configuration; "": it does not say
	Owner   Owner    // who chooses the address
	Hosts   []string // operator's: the host:port entries that may be dialled
	// Use is the word under which the register of sub-processors knows the purpose;
	// empty: the name. For is the one customer whose data goes there, zero for
	// everybody's. Free needs no entry wherever it stands: dev mode's resolver.
	Use  string
	For  ids.Tenant
	Free bool
}

// Config declares what may be dialled.
type Config struct {
	Destinations []Destination
	// Allow lists networks that customers may direct us to although they are
	// private. Dev mode lists loopback. A metadata address must be listed alone.
	Allow   []netip.Prefix
	Here    []string      // the names of this server's region; of every other one the terms are asked
	Timeout time.Duration // for one connect; 30 s if zero
	Clock   clock.Clock
	Observe *observe.Observer
}

// Resolver finds the addresses of a host name.
type Resolver interface {
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
}

// Gate holds the declarations and opens connections through Dialers.
type Gate struct {
	destinations map[string]Destination
	guard        guard
	here         []string // the names of this server's region
	timeout      time.Duration
	clock        clock.Clock
	opened       *prometheus.CounterVec

	mu       sync.RWMutex
	resolver Resolver
	terms    Terms
	open     map[*lasting]struct{} // connections that rest on an entry
	log      log
	day      day
}

// New checks the declarations. An operator's destination without hosts is an
// Invalid fault: it has no entry.
func New(c Config) (*Gate, error) {
	g := &Gate{destinations: map[string]Destination{}, open: map[*lasting]struct{}{}, here: slices.Clone(c.Here), timeout: c.Timeout, clock: c.Clock}
	if g.timeout <= 0 {
		g.timeout = 30 * time.Second
	}
	if g.clock == nil {
		g.clock = clock.Wall{}
	}
	for _, d := range c.Destinations {
		if err := check(d, g.destinations); err != nil {
			return nil, err
		}
		g.destinations[d.Name] = d
	}
	g.guard = newGuard(c.Allow)
	g.opened = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailvow_egress_connections_total",
		Help: "Outgoing connections by declared destination and result (opened, failed, refused).",
	}, []string{"destination", "result"})
	if c.Observe != nil && c.Observe.Metrics != nil {
		if err := c.Observe.Metrics.Register(g.opened); err != nil {
			return nil, fault.Wrap(err, "register the metric of outgoing connections")
		}
	}
	return g, nil
}

func check(d Destination, known map[string]Destination) error {
	_, twice := known[d.Name]
	switch {
	case d.Name == "" || d.Purpose == "":
		return fault.Field("egress", "A destination needs a name and a purpose.")
	case twice:
		return fault.Field("egress", "The destination "+d.Name+" is declared twice.")
	case d.Owner != Operator && d.Owner != Customer:
		return fault.Field("egress", "The destination "+d.Name+" must be owned by operator or customer.")
	case d.Owner == Operator && len(d.Hosts) == 0:
		return fault.Field("egress", "The destination "+d.Name+" needs an entry with its hosts.")
	}
	return nil
}

// Resolve sets the resolver for host names. The resolver itself dials through
// the gate, so it is set after New and before the first name is dialled.
func (g *Gate) Resolve(r Resolver) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resolver = r
}

// Own adds listeners of ours that a customer must not direct us to.
func (g *Gate) Own(listeners ...netip.AddrPort) { g.guard.own(listeners...) }

// Destinations gives what is declared, for the inventory and the trust pages.
func (g *Gate) Destinations() []Destination {
	all := make([]Destination, 0, len(g.destinations))
	for _, d := range g.destinations {
		all = append(all, d)
	}
	return all
}

// To gives the dialer of a declared destination; an unknown name is a Denied fault.
func (g *Gate) To(name string) (*Dialer, error) {
	d, ok := g.destinations[name]
	if !ok {
		return nil, fault.New(fault.Denied, "The destination "+name+" is not declared.").
			WithHint("Declare it in the configuration with purpose, region and owner.")
	}
	return &Dialer{gate: g, to: d}, nil
}

// Dialer opens connections to one destination. It is safe for many goroutines.
type Dialer struct {
	gate   *Gate
	to     Destination
	source netip.Addr
	probe  bool // nobody's data goes out: the day's flows do not have it
}

// From gives a dialer that connects from this local address.
func (d *Dialer) From(source netip.Addr) *Dialer {
	c := *d
	c.source = source
	return &c
}

// Destination is what the dialer was declared as.
func (d *Dialer) Destination() Destination { return d.to }

// Dial connects to addr, a host:port. Networks are those of net.Dial. A refused
// address is a Denied fault, everything else Unavailable.
func (d *Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.noted(func(learnt *judged) (net.Conn, error) { return d.dial(ctx, network, addr, learnt) })
}

// DialAt connects to an address (ip:port) that the caller looked up for an endpoint
// (host:port) of an operator's destination. Errors are those of Dial.
func (d *Dialer) DialAt(ctx context.Context, network, endpoint, addr string) (net.Conn, error) {
	return d.noted(func(learnt *judged) (net.Conn, error) {
		if d.to.Owner != Operator || !d.listed(endpoint) {
			return nil, d.unlisted()
		}
		return d.connect(ctx, network, addr, endpoint, learnt)
	})
}

// noted counts and logs an attempt to connect.
func (d *Dialer) noted(dial func(*judged) (net.Conn, error)) (net.Conn, error) {
	var learnt judged
	conn, err := dial(&learnt)
	result := "opened"
	switch {
	case fault.Is(err, fault.Denied):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	d.gate.opened.WithLabelValues(d.to.Name, result).Inc()
	e := Entry{At: d.gate.clock.Now(), Name: d.to.Name, Purpose: d.to.Purpose, Result: result, Use: d.to.use(), By: by(&d.to, learnt)}
	d.gate.log.add(e)
	if !d.probe {
		d.gate.day.add(e)
	}
	return conn, err
}

func (d *Dialer) dial(ctx context.Context, network, addr string, learnt *judged) (net.Conn, error) {
	if d.to.Owner == Operator && !d.listed(addr) {
		return nil, d.unlisted()
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil && !strings.HasPrefix(network, "unix") {
		return nil, fault.Because(fault.Invalid, err, "An address has the form host:port.")
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return d.connect(ctx, network, addr, addr, learnt)
	}
	d.gate.mu.RLock()
	resolver := d.gate.resolver
	d.gate.mu.RUnlock()
	if resolver == nil {
		return d.connect(ctx, network, addr, addr, learnt)
	}
	ips, err := resolver.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	err = fault.New(fault.Unavailable, "The host has no address.")
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		var conn net.Conn
		if conn, err = d.connect(ctx, network, net.JoinHostPort(ip.String(), port), addr, learnt); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 6

func (d *Dialer) unlisted() error {
	return fault.New(fault.Denied, "This address is not among the hosts of the destination "+d.to.Name+".").
		WithHint("Add it to the destination's hosts in the configuration.")
}

// connect opens a connection to addr, which is an address of the endpoint that was
// asked for.
func (d *Dialer) connect(ctx context.Context, network, addr, endpoint string, learnt *judged) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.gate.timeout}
	if d.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.source, 0))
	}
	switch d.to.Owner {
	case Customer:
		dialer.Control = d.gate.guard.control
	case Operator:
		dialer.Control = d.gate.governed(&d.to, endpoint, learnt)
	}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err == nil && learnt.entry != "" {
		return d.gate.keep(conn, &d.to, endpoint, network), nil
	}
	if err == nil {
		return conn, nil
	}
	if kind := fault.KindOf(err); kind == fault.Denied {
		return nil, fault.Wrap(err, "connect to "+d.to.Name)
	}
	return nil, fault.Because(fault.Unavailable, err, "")
}

// Lists reports that an endpoint (host:port) is one of the destination's.
func (d *Dialer) Lists(addr string) bool { return d.listed(addr) }

func (d *Dialer) listed(addr string) bool {
	for _, h := range d.to.Hosts {
		if strings.EqualFold(h, addr) {
			return true
		}
	}
	return false
}

// HTTPTransport gives a transport that connects through the dialer, uses no
// proxy from the environment and keeps a bounded number of idle connections.
func (d *Dialer) HTTPTransport() *http.Transport {
	return &http.Transport{
		DialContext:            d.Dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Socket connects to a Unix socket of this machine: the admin socket of a
// running server. It leaves the process, never the machine.
func Socket(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "No server answers on its socket.")
	}
	return conn, nil
}
