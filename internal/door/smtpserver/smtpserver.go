// Package smtpserver is the door for mail that comes by SMTP (RFC 5321): from
// other servers (MX) and from customers (submission, RFC 6409, and submission
// over TLS, RFC 8314). It promises that one message on the wire never becomes
// two, that every refusal says what to do and carries a reference which the log
// finds, and that no peer, however it floods, can use more than its bounded
// share of connections, memory, time and log. Whether a sender, a recipient or a
// credential is good, and what becomes of a message, is left to the Backend.
//
// The conversation is written here rather than taken from a library: closing
// after a malformed BDAT, SCRAM with stored verifiers, LIMITS, limits per
// address, refusal of bare line feeds while the body streams, and one write per
// pipelined batch all lie inside the command loop, where go-smtp has no seam.
// A session is one goroutine; there is none per command.
package smtpserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/standard/smtp"
)

// Role is what a listener is for.
type Role uint8

// The roles.
const (
	MX          Role = iota // mail for us from anywhere; AUTH is not offered
	Submission              // customers; TLS by STARTTLS, AUTH before MAIL
	Submissions             // customers; TLS from the first byte
)

// String is the role as metrics and logs carry it.
func (r Role) String() string {
	return [...]string{"mx", "submission", "submissions"}[min(r, Submissions)]
}

// Config is one listener.
type Config struct {
	Role     Role
	Hostname string      // in the banner and in EHLO's answer; a domain name
	TLS      *tls.Config // nil: no STARTTLS; needed for Submissions
	// PlaintextAuth lets AUTH and submission go without TLS. For dev mode and
	// tests: passwords cross the network readable.
	PlaintextAuth bool
	Limits        Limits // zero fields mean DefaultLimits of the role
	// ProxyFrom lists the networks of our own proxies. A connection from there
	// must begin with a PROXY header (v1 or v2); from elsewhere none is read.
	ProxyFrom []netip.Prefix
	// Exempt lists networks without limits per address.
	Exempt []netip.Prefix
	// Extensions is what is offered; zero means DefaultExtensions. STARTTLS, AUTH
	// and REQUIRETLS are offered only where the session's state allows it.
	Extensions smtp.Offers

	// Refused hears of each wrong credential and of who showed it; nil: nobody does.
	Refused func(ctx context.Context, origin string)

	Backend Backend
	Clock   clock.Clock
	IDs     *ids.Source
	Observe *observe.Observer
}

// DefaultExtensions is what the road honours or answers for by a DSN of its own.
const DefaultExtensions = smtp.OfferPipelining | smtp.OfferSize | smtp.OfferEightBitMIME | smtp.OfferUTF8 | smtp.OfferChunking | smtp.OfferEnhanced | smtp.OfferDSN | smtp.OfferStartTLS | smtp.OfferAuth | smtp.OfferLimits

// Server serves one listener's connections.
type Server struct {
	cfg      Config
	limits   Limits
	postbox  string // the address that a bare <postmaster> means
	meter    *meter
	callers  *callers
	refusals *refusals
	scram    scramSecret
	buffers  sync.Pool

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	stopping  bool
	wg        sync.WaitGroup
}

// New checks the configuration. A configuration that cannot serve is an Invalid
// fault.
func New(cfg Config) (*Server, error) {
	if cfg.Backend == nil || cfg.Clock == nil || cfg.IDs == nil || cfg.Observe == nil || cfg.Hostname == "" {
		return nil, fault.New(fault.Invalid, "An SMTP listener needs a host name, a backend, a clock, identifiers and an observer.")
	}
	if cfg.Role == Submissions && cfg.TLS == nil {
		return nil, fault.Field("tls", "Submission over TLS needs a certificate.")
	}
	if cfg.Extensions == 0 {
		cfg.Extensions = DefaultExtensions
	}
	if cfg.Extensions.Has(smtp.OfferBinaryMIME) {
		return nil, fault.Field("extensions", "BINARYMIME cannot be offered: the next server may not take it.")
	}
	limits := cfg.Limits.orDefaults(DefaultLimits(cfg.Role))
	if limits.CommandLine < 512 || limits.CommandLine > maxCommandLine {
		return nil, fault.Field("command_line", "The longest command line is between 512 and 12288 octets (RFC 5321 4.5.3.1.4, RFC 4954).")
	}
	if limits.line() == "" {
		cfg.Extensions &^= smtp.OfferLimits
	}
	cfg.Observe = cfg.Observe.For("smtpserver")
	s := &Server{
		cfg: cfg, limits: limits, postbox: "postmaster@" + cfg.Hostname,
		listeners: map[net.Listener]struct{}{}, sessions: map[*session]struct{}{}, scram: newScramSecret(),
	}
	var err error
	if s.meter, err = newMeter(cfg.Observe.Metrics, cfg.Role); err != nil {
		return nil, fault.Wrap(err, "register the SMTP metrics")
	}
	s.refusals = &refusals{log: cfg.Observe.Log, ids: cfg.IDs, clock: cfg.Clock, role: cfg.Role, meter: s.meter}
	s.callers = newCallers(limits, cfg.Clock, s.refusals)
	s.buffers.New = func() any { return newBuffers() }
	return s, nil
}
