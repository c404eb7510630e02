package smtpserver

import (
	"context"
	"io"
	"net/netip"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/standard/scram"
)

// Backend is the house behind the door. Its methods are called on the session's
// goroutine, one at a time per session, and many sessions at once. A refusal is
// a reply of the class 4 or 5 in a fixed, bland sentence that says what to do;
// the server adds the reference. A reply with code 421 ends the connection. The
// context ends when the server stops for good.
type Backend interface {
	// Connect is asked before the banner. A refusal ends the connection.
	Connect(ctx context.Context, p *Peer) *reply.Reply
	// Authenticate checks a password of AUTH PLAIN or LOGIN.
	Authenticate(ctx context.Context, p *Peer, username, password string) (Identity, *reply.Reply)
	// Scram finds the verifier of a user name. For a name without
	// one it returns the zero Verifier: the server then plays the exchange to its
	// end and refuses, so that names cannot be tried out.
	Scram(ctx context.Context, p *Peer, username string) (scram.Verifier, *reply.Reply)
	// Proved says who a user name is, once SCRAM has shown that its password is
	// known.
	Proved(ctx context.Context, p *Peer, username string) (Identity, *reply.Reply)
	// Trusted returns the identity of a network that needs no AUTH. It is asked on
	// submission listeners only.
	Trusted(ctx context.Context, ip netip.Addr) (Identity, bool)
	// Mail knows the sender; it may refuse.
	Mail(ctx context.Context, t *Transaction) *reply.Reply
	// Recipient is asked for each; nil means 250 2.1.5, and the server then adds it
	// to t.Recipients. It may leave a Note in r.
	Recipient(ctx context.Context, t *Transaction, r *Recipient) *reply.Reply
	// NewBody makes the place for the message. It is asked at DATA or at the first
	// BDAT, with at least one recipient.
	NewBody(ctx context.Context, t *Transaction) (Body, *reply.Reply)
	// Accept takes the whole message; its reply is the answer to the client: 250
	// only once the message is safe. From this call on the body is the backend's.
	Accept(ctx context.Context, t *Transaction, b Body) reply.Reply
}

// Body takes a message: dot-unstuffed, every line ended by CRLF, without NUL, in
// large slices that it must not keep. An error's fault kind chooses the reply
// (fault.Full: 452 4.3.1).
type Body interface {
	io.Writer
	// Discard is called instead of Accept when the message does not come to its
	// end or is refused.
	Discard()
}

// Identity is who is sending. The zero Identity is nobody.
type Identity struct {
	Tenant     ids.Tenant
	Credential ids.Credential
}

// Peer is the other end of a connection. The IP is personal data.
type Peer struct {
	Session ids.Session
	Role    Role
	IP      netip.Addr // as the PROXY header gives it, where one is due
	Helo    string     // as the client said it; "" before
	TLS     string     // version and cipher suite; "" without
	// TLSVersion is as in crypto/tls; 0 without TLS.
	TLSVersion uint16
	// ServerName is the name that the client asked for in its TLS handshake.
	ServerName string
	ESMTP      bool // EHLO, not HELO
	Authorized bool // by AUTH, not by its network
}

// Protocol is the word for Received (RFC 3848, RFC 6531 4.3): ESMTPSA.
func (p *Peer) Protocol(utf8 bool) string {
	word := "SMTP"
	switch {
	case utf8:
		word = "UTF8SMTP"
	case p.ESMTP:
		word = "ESMTP"
	}
	if p.TLS != "" {
		word += "S"
	}
	if p.Authorized {
		word += "A"
	}
	return word
}

// Transaction is one message on its way in. Each MAIL makes a new one, so the
// backend may keep it.
type Transaction struct {
	Peer       Peer // as it was at MAIL
	Identity   Identity
	Sender     address.Address // zero for <>
	Size       int64           // as MAIL declared, 0 if not; at Accept: as received
	Body8Bit   bool            // BODY=8BITMIME
	SMTPUTF8   bool
	RequireTLS bool
	RET        string // FULL, HDRS or ""
	ENVID      string // decoded
	Recipients []Recipient
	// Note is what the backend wants to remember from Mail to Accept; the server
	// does not look at it.
	Note any
}

// Recipient is one accepted recipient.
type Recipient struct {
	Address address.Address
	Notify  string // NEVER, or a list of SUCCESS, FAILURE, DELAY; "" if not given
	ORcpt   string // type;address, the address decoded; "" if not given
	Note    any    // the backend's, as in Transaction
}
