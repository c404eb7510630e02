package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"mailvow/internal/base/fault"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
	"mailvow/internal/standard/smtp"
)

// name is the host without its port.
func (k key) name() string {
	name, _, err := net.SplitHostPort(k.host)
	if err != nil {
		return k.host
	}
	return name
}

// session gives a kept connection to the host, unless fresh is set, or opens one.
func (c *Courier) session(ctx context.Context, d *delivery, to target, fresh bool) (*session, error) {
	k := c.key(d.p, to)
	if !fresh {
		if s := c.pool.take(k); s != nil {
			c.metrics.reused.Inc()
			return s, nil
		}
	}
	s, err := c.connect(ctx, d, to, k, k.tls)
	var b *smtp.Broken
	if err != nil && errors.As(err, &b) && b.Stage == smtp.StageTLS && k.tls == smtp.StartTLS && !d.p.Need.RequireTLS {
		// RFC 7435: TLS that does not work is no reason to keep the mail.
		return c.connect(ctx, d, to, k, smtp.NoTLS)
	}
	return s, err
}

// key says how the connection must be made.
func (c *Courier) key(p *deliver.Parcel, to target) key {
	k := key{host: to.host.String(), source: p.Route.Pool, username: p.Route.Username, password: p.Route.Password}
	floor := c.floor(p)
	switch {
	case p.Route.TLS == deliver.Plain && !floor.Required:
		return k
	case proven(p, floor):
		k.tls, k.verified = smtp.RequireTLS, true
	case floor.Required:
		k.tls = smtp.RequireTLS
	default:
		k.tls = smtp.StartTLS
	}
	k.version = floor.Version
	if to.host.port == "465" {
		k.tls = smtp.ImplicitTLS
	}
	return k
}

// proven reports whether the host must prove its name: because the route, the
// policy or the message (RFC 8689 4.2.1) says so, or since a password goes to it.
func proven(p *deliver.Parcel, floor deliver.Floor) bool {
	return floor.Verified || p.Route.TLS == deliver.Verified || p.Need.RequireTLS || p.Route.Username != ""
}

// floor is what the customer's policy asks. One that proves the host, or a later
// version than the least, cannot be had from a host without TLS.
func (c *Courier) floor(p *deliver.Parcel) deliver.Floor {
	if c.config.Floor == nil {
		return deliver.Floor{}
	}
	f := c.config.Floor(p.Tenant)
	f.Required = f.Required || f.Verified || f.Version > tls.VersionTLS12
	return f
}

func (c *Courier) connect(ctx context.Context, d *delivery, to target, k key, use smtp.ClientTLS) (*session, error) {
	if err := c.place(ctx); err != nil {
		return nil, err
	}
	source := c.config.Sources[k.source]
	at := c.config.Clock.Now()
	conn, err := c.dial(ctx, source, to)
	if err != nil {
		c.open.Leave()
		d.before = append(d.before, outcome.Step{At: at, Took: c.config.Clock.Now().Sub(at), Got: unreachable(err, to)})
		return nil, err
	}
	c.metrics.opened.Inc()
	client, err := smtp.Start(ctx, conn, c.options(source, to, k, use))
	if err != nil {
		c.open.Leave()
		var failed *smtp.StartError
		if errors.As(err, &failed) {
			for _, s := range failed.Steps {
				d.before = append(d.before, outcome.Step(s))
			}
		}
		return nil, err
	}
	c.metrics.opening(client.TLS())
	return &session{Client: client, key: k, opened: at, leave: c.open.Leave}, nil
}

// dial connects as what the host is: one that the operator routes to by name, or
// one that a customer or DNS directs mail to.
func (c *Courier) dial(ctx context.Context, source Source, to target) (net.Conn, error) {
	from := func(d *egress.Dialer) *egress.Dialer {
		if source.Address.IsValid() {
			return d.From(source.Address)
		}
		return d
	}
	if c.relays(to.host) {
		return from(c.config.Relays).DialAt(ctx, "tcp", to.host.String(), to.addr)
	}
	return from(c.config.Dialer).Dial(ctx, "tcp", to.addr)
}

// relays reports that the operator routes to a host by name.
func (c *Courier) relays(h host) bool {
	return c.config.Relays != nil && c.config.Relays.Lists(h.String())
}

// place takes one of the open connections' places, an idle one's if need be.
func (c *Courier) place(ctx context.Context) error {
	for !c.open.TryTake() {
		if !c.pool.spare() {
			return c.open.Take(ctx)
		}
	}
	return nil
}

func unreachable(err error, to target) string {
	if fault.Is(err, fault.Denied) {
		return "(" + to.host.String() + " may not be reached)"
	}
	return "(no connection to " + to.host.String() + " at " + to.addr + ")"
}

func (c *Courier) options(source Source, to target, k key, use smtp.ClientTLS) smtp.ClientOptions {
	o := smtp.ClientOptions{
		Hostname: c.config.Hostname,
		TLS:      use,
		Username: k.username,
		Password: k.password,
		Timeouts: c.config.Timeouts,
		Clock:    c.config.Clock,
	}
	if source.Hostname != "" {
		o.Hostname = source.Hostname
	}
	if ip, err := netip.ParseAddrPort(to.addr); err == nil && ip.Addr().Unmap().IsLoopback() {
		o.AuthInClear = use == smtp.NoTLS
	}
	if use == smtp.NoTLS {
		return o
	}
	o.TLSConfig = &tls.Config{
		ServerName:         k.name(),
		MinVersion:         max(tls.VersionTLS12, k.version),
		ClientSessionCache: c.any,
		// RFC 7435: an unauthenticated session still defeats the passive
		// listener. Routes that need proof set k.verified.
		InsecureSkipVerify: !k.verified,
	}
	if k.verified {
		o.TLSConfig.RootCAs, o.TLSConfig.ClientSessionCache = c.config.Roots, c.known
	}
	return o
}
