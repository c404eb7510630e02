package egress

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"code.dny.dev/ssrf"

	"mailvow/internal/base/fault"
)

// guard judges addresses that a customer chose.
type guard struct {
	allow  []netip.Prefix
	public *ssrf.Guardian

	mu        *sync.RWMutex
	listeners map[netip.AddrPort]struct{}
	lent      map[netip.AddrPort]struct{} // see Gate.Lend
}

func newGuard(allow []netip.Prefix) guard {
	return guard{
		allow:     allow,
		public:    ssrf.New(ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6", "udp4", "udp6")),
		mu:        &sync.RWMutex{},
		listeners: map[netip.AddrPort]struct{}{},
		lent:      map[netip.AddrPort]struct{}{},
	}
}

func (g *guard) own(listeners ...netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range listeners {
		g.listeners[netip.AddrPortFrom(l.Addr().Unmap().WithZone(""), l.Port())] = struct{}{}
	}
}

// control is net.Dialer.Control: it sees the address after every resolution.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return fault.Because(fault.Denied, err, "Only IP destinations may be reached.")
	}
	return g.judge(addr)
}

// The metadata services of clouds. They hand out credentials, so a listed
// network does not open them; the address must be listed by itself.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("169.254.169.254"): true, // AWS, Google, Azure, and most others
	netip.MustParseAddr("169.254.170.2"):   true, // AWS ECS
	netip.MustParseAddr("169.254.170.23"):  true, // AWS EKS
	netip.MustParseAddr("fd00:ec2::254"):   true,
	netip.MustParseAddr("fd00:ec2::23"):    true,
	netip.MustParseAddr("fd20:ce::254"):    true, // Google
	netip.MustParseAddr("168.63.129.16"):   true, // Azure's wire server, a public address
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba
	netip.MustParseAddr("192.0.0.192"):     true, // Oracle
}

func (g *guard) judge(addr netip.AddrPort) error {
	ip := addr.Addr().Unmap().WithZone("")
	if v4, ok := nat64(ip); ok {
		// RFC 6052: the gateway would connect to the IPv4 address inside.
		if err := g.judge(netip.AddrPortFrom(v4, addr.Port())); err != nil {
			return err
		}
	}
	if metadata[ip] && !g.lists(ip, true) {
		return refused("This address belongs to a metadata service.")
	}
	if g.lists(ip, false) || g.isLent(netip.AddrPortFrom(ip, addr.Port())) {
		return nil
	}
	if err := g.public.SafeAddr(ip); err != nil {
		return refused("This address is not public.")
	}
	if g.isOwn(ip, addr.Port()) {
		return refused("This address is a listener of this server.")
	}
	return nil
}

func refused(text string) error {
	return fault.New(fault.Denied, text).WithHint("If customers may reach this network, list it under egress.allow in the configuration.")
}

// lists reports whether the operator listed ip, alone if single is set.
func (g *guard) lists(ip netip.Addr, single bool) bool {
	for _, p := range g.allow {
		if p.Contains(ip) && (!single || p.IsSingleIP()) {
			return true
		}
	}
	return false
}

func (g *guard) isOwn(ip netip.Addr, port uint16) bool {
	g.mu.RLock()
	_, exact := g.listeners[netip.AddrPortFrom(ip, port)]
	_, any4 := g.listeners[netip.AddrPortFrom(netip.IPv4Unspecified(), port)]
	_, any6 := g.listeners[netip.AddrPortFrom(netip.IPv6Unspecified(), port)]
	g.mu.RUnlock()
	return exact || (any4 || any6) && isLocal(ip)
}

// isLocal reports an address of one of this machine's interfaces. It is asked
// only for ports that we listen on, on every address.
func isLocal(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap().WithZone("") == ip {
			return true
		}
	}
	return false
}

var (
	nat64WellKnown = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local     = netip.MustParsePrefix("64:ff9b:1::/48")
)

// nat64 gives the IPv4 address inside a NAT64 one: RFC 6052 for the well-known
// prefix. Of the local-use prefix (RFC 8215) the place of the IPv4 address is
// not known; the last four octets are the common choice.
func nat64(ip netip.Addr) (netip.Addr, bool) {
	if !nat64WellKnown.Contains(ip) && !nat64Local.Contains(ip) {
		return netip.Addr{}, false
	}
	b := ip.As16()
	return netip.AddrFrom4([4]byte(b[12:])), true
}
