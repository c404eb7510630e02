package dns

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"mailvow/internal/base/fault"
)

// question is what the cache is asked by: an absolute name in lower case.
type question struct {
	name string
	kind uint16
}

// answer is what the cache keeps.
type answer struct {
	records   []dns.RR
	name      string // the records' owner after CNAMEs
	authentic bool
	missing   bool // NXDOMAIN
	ttl       time.Duration
}

// maxAliases bounds a chain of CNAMEs, and udpSize is what fits without
// fragments (the DNS flag day's 1,232 octets).
const (
	maxAliases = 8
	udpSize    = 1232
	// negativeTTL bounds how long "no such name" is believed (RFC 2308 5).
	negativeTTL = 5 * time.Minute
)

// lookup answers from the cache, or asks. Callers with the same question share
// one query; a caller that gives up does not stop it for the others.
func (r *Resolver) lookup(ctx context.Context, q question) (answer, error) {
	if a, ok := r.cache.get(q, r.config.Clock.Now()); ok {
		return a, nil
	}
	shared := context.WithoutCancel(ctx)
	ch := r.flight.DoChan(q.name+dns.TypeToString[q.kind], func() (any, error) {
		// Who looked before the last query's answer was kept, and comes after
		// that query ended, finds it now.
		if a, ok := r.cache.get(q, r.config.Clock.Now()); ok {
			return a, nil
		}
		a, err := r.query(shared, q)
		if err == nil && a.ttl > 0 {
			r.cache.put(q, a, r.config.Clock.Now().Add(min(a.ttl, r.config.MaxTTL)))
		}
		return a, err
	})
	select {
	case <-ctx.Done():
		return answer{}, fault.Wrap(context.Cause(ctx), "look up a name")
	case got := <-ch:
		if got.Err != nil {
			return answer{}, got.Err
		}
		return got.Val.(answer), nil
	}
}

// query asks every server in turn until one answers, and follows aliases that
// the resolver left unresolved.
func (r *Resolver) query(ctx context.Context, q question) (answer, error) {
	total := answer{authentic: true, ttl: r.config.MaxTTL}
	for range maxAliases {
		msg, err := r.anyServer(ctx, q)
		if err != nil {
			return answer{}, err
		}
		a, alias := read(msg, q)
		a.authentic = a.authentic && total.authentic
		a.ttl = min(a.ttl, total.ttl)
		if alias == "" {
			return a, nil
		}
		if alias == q.name {
			break
		}
		total, q.name = a, alias
	}
	return answer{}, fault.New(fault.Unavailable, "The name's aliases do not end.")
}

func (r *Resolver) anyServer(ctx context.Context, q question) (*dns.Msg, error) {
	var last error
	for range r.config.Rounds {
		for _, server := range r.config.Servers {
			msg, err := r.exchange(ctx, "udp", server, q)
			if err == nil && msg.Truncated {
				msg, err = r.exchange(ctx, "tcp", server, q)
			}
			if err == nil {
				return msg, nil
			}
			last = err
		}
	}
	return nil, fault.Because(fault.Unavailable, last, "The resolver does not answer this name.")
}

func (r *Resolver) exchange(ctx context.Context, network, server string, q question) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	conn, err := r.config.Dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.Id = id()
	m.AuthenticatedData = true // RFC 6840 5.7: we understand the AD bit
	m.SetEdns0(udpSize, false)
	client := dns.Client{Net: network, UDPSize: udpSize, Timeout: r.config.Timeout}
	got, err := exchange(&client, conn, m)
	if err != nil {
		return nil, err
	}
	if len(got.Question) != 1 || !strings.EqualFold(got.Question[0].Name, q.name) || got.Question[0].Qtype != q.kind {
		return nil, fault.New(fault.Unavailable, "The resolver answered another question.")
	}
	if got.Rcode != dns.RcodeSuccess && got.Rcode != dns.RcodeNameError {
		return nil, fault.New(fault.Unavailable, "The resolver answered "+dns.RcodeToString[got.Rcode]+".")
	}
	return got, nil
}

func exchange(client *dns.Client, conn net.Conn, m *dns.Msg) (*dns.Msg, error) {
	got, _, err := client.ExchangeWithConn(m, &dns.Conn{Conn: conn, UDPSize: udpSize})
	return got, err
}

// read takes the records of a question out of a message, following the CNAMEs
// in it. alias is set if the chain leads out of the message.
func read(m *dns.Msg, q question) (a answer, alias string) {
	a = answer{name: q.name, authentic: m.AuthenticatedData, missing: m.Rcode == dns.RcodeNameError, ttl: time.Duration(1<<31) * time.Second}
	hops := 0
	for ; hops < maxAliases; hops++ {
		var target string
		for _, rr := range m.Answer {
			h := rr.Header()
			if !strings.EqualFold(h.Name, a.name) {
				continue
			}
			switch c, isAlias := rr.(*dns.CNAME); {
			case h.Rrtype == q.kind:
				a.records = append(a.records, rr)
				a.lives(h.Ttl)
			case isAlias:
				target = strings.ToLower(c.Target)
				a.lives(h.Ttl)
			}
		}
		if len(a.records) > 0 || target == "" {
			break
		}
		a.name = target
	}
	if len(a.records) > 0 {
		a.missing = false
		return a, ""
	}
	if hops == maxAliases || a.name != q.name && !a.missing && !authority(m) {
		return a, a.name
	}
	a.ttl = min(a.ttl, negative(m))
	return a, ""
}

func (a *answer) lives(seconds uint32) {
	a.ttl = min(a.ttl, time.Duration(seconds)*time.Second)
}

func authority(m *dns.Msg) bool {
	for _, rr := range m.Ns {
		if _, ok := rr.(*dns.SOA); ok {
			return true
		}
	}
	return false
}

// negative is how long an empty answer is believed: the SOA's say (RFC 2308 5),
// or not at all without one.
func negative(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(negativeTTL, time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second)
		}
	}
	return 0
}
