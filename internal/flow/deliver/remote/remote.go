// Package remote carries mail to other SMTP servers: to the mail hosts of a
// domain (RFC 5321 5) or to a named host. It promises one outcome per
// recipient with its evidence, that nothing is delivered twice unless a host's
// answer was never learnt (outcome.Unknown), and that connections are kept,
// reused and bounded. Every connection goes through keep/egress. When to try
// again, and how much a destination gets at once, is left to flow/queue and
// flow/pace.
package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
	"mailvow/internal/standard/dns"
	"mailvow/internal/standard/smtp"
)

// Resolver finds mail hosts and their addresses.
type Resolver interface {
	// MX gives the mail hosts of a domain; none and no error if it has none.
	MX(ctx context.Context, domain string) (dns.Result[dns.MX], error)
	// Addresses gives the addresses of a host; a NotFound fault if it has none.
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
}

// Source is where connections of a pool come from.
type Source struct {
	Address  netip.Addr // the local address; invalid means any
	Hostname string     // for EHLO; "" means the courier's
}

// Config is what a courier needs. Zero limits mean the defaults.
type Config struct {
	Hostname     string         // ours, for EHLO
	OwnNames     []string       // further names that mean ourselves in an MX record
	OwnAddresses []netip.Addr   // addresses on which our MX listens
	Dialer       *egress.Dialer // of a customer-directed destination
	Relays       *egress.Dialer // of the hosts that the operator routes to by name; nil: there are none
	Resolver     Resolver
	Sources      map[string]Source              // by pool name
	Floor        func(ids.Tenant) deliver.Floor // what a customer's policy asks; nil asks nothing
	Roots        *x509.CertPool                 // for verified TLS; nil means the system's
	Port         uint16                         // of mail hosts; 25 if zero
	Timeouts     smtp.ClientTimeouts
	IdleTimeout  time.Duration // how long a connection waits for its next message; 30 s
	Lifetime     time.Duration // how long a connection is used at all; 5 min
	MaxIdle      int           // idle connections in all; 1,000
	MaxIdleHost  int           // idle connections per host; 100
	MaxOpen      int           // connections in all; 2,000
	Clock        clock.Clock
	Observe      *observe.Observer
}

const (
	maxHosts      = 5   // addresses tried in one attempt
	maxSessions   = 2   // hosts asked after one said 4xx
	maxRecipients = 100 // per transaction: what every server must take, RFC 5321 4.5.3.1.8
)

// Courier implements deliver.Courier for the routes MX and Host.
type Courier struct {
	config  Config
	own     map[string]bool
	pool    *pool
	open    limit.Places
	any     tls.ClientSessionCache // sessions of peers that nobody verified
	known   tls.ClientSessionCache // sessions of verified peers
	metrics *metrics
}

var _ deliver.Courier = (*Courier)(nil)

// New makes a courier. Its Run closes idle connections.
func New(c Config) (*Courier, error) {
	defaults(&c)
	m, err := newMetrics(c.Observe)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{strings.ToLower(c.Hostname): true}
	for _, n := range c.OwnNames {
		own[strings.ToLower(strings.TrimSuffix(n, "."))] = true
	}
	for _, s := range c.Sources {
		if s.Hostname != "" {
			own[strings.ToLower(s.Hostname)] = true
		}
	}
	return &Courier{
		config:  c,
		own:     own,
		pool:    newPool(c.Clock, c.MaxIdle, c.MaxIdleHost, c.IdleTimeout, c.Lifetime),
		open:    limit.NewPlaces(c.MaxOpen),
		any:     tls.NewLRUClientSessionCache(1024),
		known:   tls.NewLRUClientSessionCache(1024),
		metrics: m,
	}, nil
}

func defaults(c *Config) {
	set := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	set(&c.MaxIdle, 1000)
	set(&c.MaxIdleHost, 100)
	set(&c.MaxOpen, 2000)
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 30 * time.Second
	}
	if c.Lifetime <= 0 {
		c.Lifetime = 5 * time.Minute
	}
	if c.Port == 0 {
		c.Port = 25
	}
	if c.Clock == nil {
		c.Clock = clock.Wall{}
	}
	if c.Observe == nil {
		c.Observe = observe.Silent()
	}
}

// Run closes connections whose idle time is over, until ctx ends; then it
// closes all idle ones.
func (c *Courier) Run(ctx context.Context) error {
	defer c.Close()
	for clock.Sleep(ctx, c.config.Clock, c.config.IdleTimeout/4) == nil {
		c.pool.expire()
	}
	return nil
}

// Close closes the idle connections. Those in use are closed when their
// delivery ends.
func (c *Courier) Close() { c.pool.close() }

// Deliver implements deliver.Courier.
func (c *Courier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	d := newDelivery(c, p)
	hosts, verdict := c.plan(ctx, p)
	if verdict != nil {
		d.every(*verdict)
		return d.finish()
	}
	sessions, addresses := 0, 0
	for _, h := range hosts {
		if ctx.Err() != nil || d.pending == 0 {
			break
		}
		targets, err := c.locate(ctx, h)
		if err != nil {
			d.failed(h, err)
			continue
		}
		for _, to := range targets {
			if d.pending == 0 || ctx.Err() != nil || sessions == maxSessions || addresses == maxHosts {
				break
			}
			addresses++
			if d.visit(ctx, to) {
				sessions++
				break // the host was heard; its other addresses would say the same
			}
		}
		if sessions == maxSessions || addresses == maxHosts {
			break
		}
	}
	return d.finish()
}

// verdict is an outcome for the whole parcel before any host was asked.
func verdict(k outcome.Kind, code int, enhanced, text string) *outcome.Outcome {
	o := outcome.FromReply("mailvow", reply.New(code, enhanced, text))
	o.Kind = k
	return &o
}

// domain is where the parcel's recipients live: a lane has one domain.
func domain(p *deliver.Parcel) string {
	var a address.Address
	if len(p.Recipients) > 0 {
		a = p.Recipients[0].Address
	}
	return a.Domain()
}

// Idle is the number of connections that wait for their next message.
func (c *Courier) Idle() int { return c.pool.size() }
