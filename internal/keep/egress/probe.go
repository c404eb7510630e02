package egress

import (
	"context"
	"net"
	"net/netip"
	"time"

	"mailvow/internal/base/fault"
)

// Lend lets customers' mail and webhooks reach one listener on this machine,
// until the function that it returns is called: the endpoint of a probe, which
// acts as a customer does. Only loopback addresses are lent.
func (g *Gate) Lend(l netip.AddrPort) (giveBack func(), err error) {
	if !l.Addr().IsLoopback() {
		return nil, fault.New(fault.Denied, "Only a listener on this machine alone is lent to a probe.")
	}
	g.guard.mu.Lock()
	defer g.guard.mu.Unlock()
	g.guard.lent[l] = struct{}{}
	return func() {
		g.guard.mu.Lock()
		defer g.guard.mu.Unlock()
		delete(g.guard.lent, l)
	}, nil
}

func (g *guard) isLent(l netip.AddrPort) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.lent[l]
	return ok
}

// Knock connects to one of this server's own doors, as an outsider would: for
// probes. Every other address is a Denied fault.
func (g *Gate) Knock(ctx context.Context, addr string) (net.Conn, error) {
	return g.KnockFrom(ctx, addr, netip.Addr{})
}

// KnockFrom is Knock from a given loopback address, as somebody of another network
// would. A door elsewhere is knocked at from wherever the system says.
func (g *Gate) KnockFrom(ctx context.Context, addr string, from netip.Addr) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "A door has the form address:port.")
	}
	if !g.guard.isOwn(to.Addr().Unmap(), to.Port()) {
		return nil, fault.New(fault.Denied, "This is no door of this server.")
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	if from.Is4() && from.IsLoopback() && to.Addr().Unmap().Is4() && to.Addr().IsLoopback() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "A door of this server does not open.")
	}
	return conn, nil
}
