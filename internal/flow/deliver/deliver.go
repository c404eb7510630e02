// Package deliver holds the words in which the queue speaks to those who carry
// mail: a courier takes a parcel and says, recipient by recipient, what
// happened. It knows no protocol; the couriers stand in the packages below it.
package deliver

import (
	"context"
	"io"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/outcome"
)

// Courier delivers one parcel. It returns one outcome per recipient in the same
// order, always, also when the context ends. No transaction is open meanwhile.
type Courier interface {
	Deliver(ctx context.Context, p *Parcel) []outcome.Outcome
}

// Parcel is one content for one or more recipients of the same lane.
type Parcel struct {
	Message    ids.Message
	Tenant     ids.Tenant
	Sender     address.Address // the zero Address is the null reverse-path
	Recipients []Recipient
	Content    Content
	Need       Need
	Route      Route
	Attempt    int // counts from 1
	Received   time.Time
	Peer       Peer
}

// Content is a message's bytes with CRLF line ends, the same on every attempt.
type Content interface {
	io.ReaderAt
	Size() int64
}

// Recipient is one recipient of a parcel with its DSN wishes (RFC 3461).
type Recipient struct {
	ID      ids.Recipient
	Address address.Address
	Notify  string // "", "NEVER", or SUCCESS,FAILURE,DELAY in any choice
	ORcpt   string // original recipient, xtext-decoded, with its type: "rfc822;a@b.example"
}

// Need is what the content or its sender demands of the next host.
type Need struct {
	EightBit   bool   // RFC 6152
	SMTPUTF8   bool   // RFC 6531
	RequireTLS bool   // RFC 8689
	Return     string // RFC 3461 4.3: "", "FULL" or "HDRS"
	EnvelopeID string // RFC 3461 4.4, decoded
}

// Peer is who handed the message to us.
type Peer struct {
	IP       string // text form; "" for mail that the API took
	Name     string // what it called itself
	TLS      string // protocol and cipher, or ""
	Protocol string // RFC 3848: ESMTPSA and its kin, or HTTP
}

// RouteKind is a way of delivering.
type RouteKind uint8

// The ways. A row of the queue keeps these numbers.
const (
	MX      RouteKind = 1 // look the domain up
	Host    RouteKind = 2 // a named host (smarthost, customer's server)
	Webhook RouteKind = 3
	Caught  RouteKind = 4 // the built-in inbox of mailvow dev
	Local   RouteKind = 5 // mail to the platform itself
	Cases   RouteKind = 6 // mail to the operator, which opens a case
)

// Floor is the least TLS towards other servers that a customer's policy takes.
// Mail to a host that offers less waits.
type Floor struct {
	Required bool   // TLS, with any certificate
	Verified bool   // TLS with a certificate for the host's name
	Version  uint16 // tls.VersionTLS12 when zero
}

// TLSPolicy is how much the next hop's TLS must prove.
type TLSPolicy uint8

// The policies.
const (
	Opportunistic TLSPolicy = 0 // TLS if offered, any certificate (RFC 7435)
	Verified      TLSPolicy = 1 // TLS with a certificate for the host's name, or not at all
	Plain         TLSPolicy = 2 // no TLS; for a sink on this machine
)

// Route is where a parcel goes.
type Route struct {
	Kind  RouteKind
	Hosts []string // host:port in order of preference, for Host
	TLS   TLSPolicy
	// Username and Password are for AUTH at a smarthost.
	Username string
	Password string
	URL      string // for Webhook
	Secret   []byte // signs webhooks
	Pool     string // source address pool; "" is the default one
}
