// Package dns looks records up at a recursive resolver (RFC 1034, 1035). It
// promises answers with their DNSSEC state as the resolver reports it (the AD
// bit, RFC 6840 5.8: trust it only if the way to the resolver is trusted), a
// bounded cache that honours every TTL, and that a name which does not exist is
// told apart from a resolver that does not answer. How to connect to the
// resolver is passed in. Validating signatures is left to the resolver.
package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// Config is what a resolver needs. Zero limits mean the defaults.
type Config struct {
	Servers []string // host:port of recursive resolvers, asked in this order
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Timeout time.Duration // for one question to one server; 3 s
	Rounds  int           // how often every server is asked; 2
	Cache   int           // answers kept; 10,000
	MaxTTL  time.Duration // no answer is kept longer; 1 h
	Clock   clock.Clock
}

// Result is the answer to one question.
type Result[T any] struct {
	Records   []T
	Authentic bool // the resolver vouches for it with DNSSEC
	// Name is where the records stand, after following CNAMEs.
	Name string
}

// MX is one mail host of a domain. Host is in lower case without a trailing
// dot; "" is the null MX's root (RFC 7505).
type MX struct {
	Host       string
	Preference uint16
}

// Resolver asks and remembers. It is safe for many goroutines.
type Resolver struct {
	config Config
	cache  *cache
	flight singleflight.Group
}

// New makes a resolver. Without servers it is an Invalid fault.
func New(c Config) (*Resolver, error) {
	if len(c.Servers) == 0 || c.Dial == nil {
		return nil, fault.Field("dns.servers", "Name at least one resolver as host:port.")
	}
	if c.Timeout <= 0 {
		c.Timeout = 3 * time.Second
	}
	if c.Rounds <= 0 {
		c.Rounds = 2
	}
	if c.Cache <= 0 {
		c.Cache = 10_000
	}
	if c.MaxTTL <= 0 {
		c.MaxTTL = time.Hour
	}
	if c.Clock == nil {
		c.Clock = clock.Wall{}
	}
	return &Resolver{config: c, cache: newCache(c.Cache)}, nil
}

// Servers reads the resolvers out of a resolv.conf(5).
func Servers(resolvConf io.Reader) ([]string, error) {
	c, err := dns.ClientConfigFromReader(resolvConf)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "resolv.conf cannot be read.")
	}
	var out []string
	for _, s := range c.Servers {
		out = append(out, net.JoinHostPort(s, c.Port))
	}
	return out, nil
}

// MX gives the mail hosts of a domain in no order. A domain without any has no
// records and no error; one that does not exist is a NotFound fault, as with
// all look-ups here; a resolver that does not answer is Unavailable.
func (r *Resolver) MX(ctx context.Context, domain string) (Result[MX], error) {
	return ask(ctx, r, domain, dns.TypeMX, func(rr dns.RR) (MX, bool) {
		mx, ok := rr.(*dns.MX)
		if !ok {
			return MX{}, false
		}
		return MX{Host: relative(mx.Mx), Preference: mx.Preference}, true
	})
}

// A gives the IPv4 addresses of a host.
func (r *Resolver) A(ctx context.Context, host string) (Result[netip.Addr], error) {
	return ask(ctx, r, host, dns.TypeA, func(rr dns.RR) (netip.Addr, bool) {
		a, ok := rr.(*dns.A)
		if !ok {
			return netip.Addr{}, false
		}
		ip, ok := netip.AddrFromSlice(a.A)
		return ip.Unmap(), ok
	})
}

// AAAA gives the IPv6 addresses of a host.
func (r *Resolver) AAAA(ctx context.Context, host string) (Result[netip.Addr], error) {
	return ask(ctx, r, host, dns.TypeAAAA, func(rr dns.RR) (netip.Addr, bool) {
		a, ok := rr.(*dns.AAAA)
		if !ok {
			return netip.Addr{}, false
		}
		return netip.AddrFromSlice(a.AAAA)
	})
}

// TXT gives the texts of a name, the strings of each joined (RFC 7208 3.3).
func (r *Resolver) TXT(ctx context.Context, name string) (Result[string], error) {
	return ask(ctx, r, name, dns.TypeTXT, func(rr dns.RR) (string, bool) {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			return "", false
		}
		return strings.Join(txt.Txt, ""), true
	})
}

// CNAME gives the name's own alias, not what it leads to.
func (r *Resolver) CNAME(ctx context.Context, name string) (Result[string], error) {
	return ask(ctx, r, name, dns.TypeCNAME, func(rr dns.RR) (string, bool) {
		c, ok := rr.(*dns.CNAME)
		if !ok {
			return "", false
		}
		return relative(c.Target), true
	})
}

// PTR gives the names of an address.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) (Result[string], error) {
	name, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return Result[string]{}, fault.Because(fault.Invalid, err, "This is no address.")
	}
	return ask(ctx, r, name, dns.TypePTR, func(rr dns.RR) (string, bool) {
		p, ok := rr.(*dns.PTR)
		if !ok {
			return "", false
		}
		return relative(p.Ptr), true
	})
}

// Addresses gives all addresses of a host, IPv4 first. One family that cannot
// be looked up is no fault if the other has addresses.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	four, err4 := r.A(ctx, host)
	six, err6 := r.AAAA(ctx, host)
	all := append(append([]netip.Addr(nil), four.Records...), six.Records...)
	if len(all) > 0 {
		return all, nil
	}
	for _, err := range []error{err4, err6} {
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return nil, fault.New(fault.NotFound, "The host has no address.")
}

func relative(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// ask looks one type up and reads its records.
func ask[T any](ctx context.Context, r *Resolver, name string, kind uint16, read func(dns.RR) (T, bool)) (Result[T], error) {
	if name == "" || len(name) > 254 {
		return Result[T]{}, fault.New(fault.NotFound, "This is no domain name.")
	}
	a, err := r.lookup(ctx, question{strings.ToLower(dns.Fqdn(name)), kind})
	if err != nil {
		return Result[T]{}, err
	}
	if a.missing {
		return Result[T]{Authentic: a.authentic}, fault.New(fault.NotFound, "The name does not exist.")
	}
	out := Result[T]{Authentic: a.authentic, Name: relative(a.name)}
	for _, rr := range a.records {
		if v, ok := read(rr); ok {
			out.Records = append(out.Records, v)
		}
	}
	return out, nil
}

// id is a query's number. It comes from the system's randomness: it is what an
// off-path forger must guess, beside the port.
func id() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}
