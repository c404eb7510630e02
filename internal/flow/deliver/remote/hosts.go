package remote

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/standard/dns"
)

// host is one place to try: a name or an address, and a port.
type host struct {
	name string // lower case, without a trailing dot
	port string
}

func (h host) String() string { return net.JoinHostPort(h.name, h.port) }

// target is an address of a host. An idle connection of the host is used
// whatever its address.
type target struct {
	host host
	addr string // ip:port
}

// plan gives the hosts to try in order, or an outcome that needs none.
func (c *Courier) plan(ctx context.Context, p *deliver.Parcel) ([]host, *outcome.Outcome) {
	if p.Route.Kind == deliver.Host {
		return namedHosts(p.Route.Hosts)
	}
	name := domain(p)
	if ip, ok := literal(name); ok {
		return []host{{name: ip.String(), port: c.port()}}, nil
	}
	found, err := c.config.Resolver.MX(ctx, name)
	list := found.Records
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, verdict(outcome.Failed, 550, "5.1.2", "The domain does not exist.")
	case err != nil:
		return nil, verdict(outcome.Deferred, 451, "4.4.3", "The domain's mail hosts could not be looked up.")
	case len(list) == 0:
		// RFC 5321 5.1: without MX records the domain is its own mail host.
		if c.own[name] {
			return nil, loops()
		}
		return []host{{name: name, port: c.port()}}, nil
	case nullMX(list):
		return nil, verdict(outcome.Failed, 556, "5.1.10", "The domain takes no mail (null MX).")
	}
	return c.order(list)
}

func (c *Courier) port() string { return strconv.Itoa(int(c.config.Port)) }

func namedHosts(list []string) ([]host, *outcome.Outcome) {
	hosts := make([]host, 0, len(list))
	for _, h := range list {
		name, port, err := net.SplitHostPort(h)
		if err != nil {
			return nil, verdict(outcome.Deferred, 451, "4.3.5", "The route names a host that is not host:port.")
		}
		hosts = append(hosts, host{name: strings.ToLower(name), port: port})
	}
	if len(hosts) == 0 {
		return nil, verdict(outcome.Deferred, 451, "4.3.5", "The route names no host.")
	}
	return hosts, nil
}

// nullMX is RFC 7505: one record, preference 0, the root.
func nullMX(list []dns.MX) bool {
	return len(list) == 1 && (list[0].Host == "")
}

// order sorts by preference, mixes equals (RFC 5321 5.1) and cuts the list at
// ourselves: what stands at our own preference or after would come back.
func (c *Courier) order(list []dns.MX) ([]host, *outcome.Outcome) {
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b dns.MX) int { return int(a.Preference) - int(b.Preference) })
	hosts := make([]host, 0, len(list))
	limit := -1
	for _, mx := range list {
		if c.own[mx.Host] {
			limit = int(mx.Preference)
			break
		}
	}
	for _, mx := range list {
		if limit >= 0 && int(mx.Preference) >= limit {
			break
		}
		if mx.Host != "" {
			hosts = append(hosts, host{name: mx.Host, port: c.port()})
		}
	}
	switch {
	case len(hosts) == 0 && limit >= 0:
		return nil, loops()
	case len(hosts) == 0:
		return nil, verdict(outcome.Failed, 550, "5.4.4", "The domain's MX records name no host.")
	}
	return hosts, nil
}

func loops() *outcome.Outcome {
	return verdict(outcome.Failed, 554, "5.4.6", "The domain's best mail host is this server, which does not take its mail.")
}

// errLoop marks an address of ours.
var errLoop = fault.New(fault.Denied, "The host's address is this server's own.")

// locate gives a host's addresses, IPv4 first: the reputation of an IPv6
// network is easily spoilt by its other users.
func (c *Courier) locate(ctx context.Context, h host) ([]target, error) {
	if ip, err := netip.ParseAddr(h.name); err == nil {
		return []target{{host: h, addr: net.JoinHostPort(ip.String(), h.port)}}, nil
	}
	ips, err := c.config.Resolver.Addresses(ctx, h.name)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(ips), func(i, j int) { ips[i], ips[j] = ips[j], ips[i] })
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	var out []target
	for _, ip := range ips {
		if slices.Contains(c.config.OwnAddresses, ip) && h.port == c.port() {
			return nil, errLoop
		}
		out = append(out, target{host: h, addr: net.JoinHostPort(ip.String(), h.port)})
	}
	return out, nil
}

// literal reads an address literal, [192.0.2.1] or [IPv6:2001:db8::1].
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	inner = strings.TrimSuffix(inner, "]")
	if len(inner) > 5 && strings.EqualFold(inner[:5], "ipv6:") {
		inner = inner[5:]
	}
	ip, err := netip.ParseAddr(inner)
	return ip, err == nil
}
