package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
)

// ClientTimeouts are the least that RFC 5321 4.5.3.2 asks a client to wait.
type ClientTimeouts struct {
	Greeting  time.Duration // the opening 220, EHLO, STARTTLS and AUTH
	Command   time.Duration // MAIL, RCPT, RSET
	Data      time.Duration // the 354 after DATA
	Block     time.Duration // each block of the message
	EndOfData time.Duration // the answer to the final dot
	Quit      time.Duration
}

// StandardTimeouts are those of RFC 5321 4.5.3.2.1 to 4.5.3.2.6.
var StandardTimeouts = ClientTimeouts{
	Greeting:  5 * time.Minute,
	Command:   5 * time.Minute,
	Data:      2 * time.Minute,
	Block:     3 * time.Minute,
	EndOfData: 10 * time.Minute,
	Quit:      5 * time.Second,
}

// ClientTLS says what the client does about STARTTLS.
type ClientTLS uint8

// The ways of using TLS.
const (
	NoTLS       ClientTLS = iota // never
	StartTLS                     // if the peer offers it
	RequireTLS                   // always, by STARTTLS
	ImplicitTLS                  // from the first byte (RFC 8314)
)

// ClientOptions are how a connection is opened.
type ClientOptions struct {
	Hostname string // ours, for EHLO
	Peer     string // the host's name, for the record
	TLS      ClientTLS
	// TLSConfig is used for the handshake; it decides about verification.
	TLSConfig *tls.Config
	Username  string // AUTH PLAIN (RFC 4616) is used if this is set; it needs TLS unless AuthInClear
	Password  string
	// AuthInClear allows AUTH without TLS, to a host of the same machine.
	AuthInClear bool
	Timeouts    ClientTimeouts // zero means StandardTimeouts
	Clock       clock.Clock
}

// Client is one connection to an SMTP server, as its client. It is used by one
// goroutine at a time. After an error it is spent; see Usable.
type Client struct {
	conn    net.Conn
	opts    ClientOptions
	in      replyReader
	out     []byte
	ext     Extensions
	tls     string
	greeted string
	record  transcript
	reset   bool // the peer still holds a transaction of ours
	spent   bool
	sent    int // transactions begun
}

// Stage says how far a connection had come when it failed.
type Stage uint8

// The stages of a connection.
const (
	StageGreeting Stage = iota // opening reply and EHLO
	StageTLS
	StageAuth
	StageEnvelope // MAIL, RCPT, DATA
	StageBody
	StageEnd // the final dot was sent, or may have been
)

var stageNames = [...]string{"greeting", "TLS", "authentication", "envelope", "message", "end of message"}

// String names the stage.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}

// Broken is a connection that failed, or a peer that refused it before any
// transaction; then Reply is its answer.
type Broken struct {
	Stage Stage
	Reply *reply.Reply
	Err   error
}

// Error implements error.
func (b *Broken) Error() string {
	s := "connection failed at " + b.Stage.String()
	if b.Reply != nil {
		s += ": " + b.Reply.String()
	}
	if b.Err != nil {
		s += ": " + b.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (b *Broken) Unwrap() error { return b.Err }

// Start greets the peer on a fresh connection: opening reply, EHLO or HELO,
// STARTTLS and AUTH as the options say. On an error, which is a *Broken, the
// connection is closed.
func Start(ctx context.Context, conn net.Conn, opts ClientOptions) (*Client, error) {
	if opts.Clock == nil {
		opts.Clock = clock.Wall{}
	}
	if opts.Timeouts == (ClientTimeouts{}) {
		opts.Timeouts = StandardTimeouts
	}
	c := &Client{conn: conn, opts: opts, out: make([]byte, 0, 1024)}
	c.in.attach(conn)
	stop := c.watch(ctx)
	err := c.start(ctx)
	if !stop() && err == nil {
		err = &Broken{Stage: StageGreeting, Err: context.Cause(ctx)}
	}
	if err != nil {
		c.spent = true
		conn.Close()
		var b *Broken
		if !errors.As(err, &b) {
			err = &Broken{Stage: StageGreeting, Err: err}
		}
		return nil, &StartError{Broken: err.(*Broken), Steps: slices.Collect(c.record.steps(everyone))}
	}
	return c, nil
}

// StartError is a Broken with the conversation up to it.
type StartError struct {
	*Broken
	Steps []Step
}

// Unwrap gives the Broken.
func (e *StartError) Unwrap() error { return e.Broken }

func (c *Client) start(ctx context.Context) error {
	if c.opts.TLS == ImplicitTLS {
		if err := c.handshake(ctx); err != nil {
			return err
		}
	}
	if err := c.greeting(ctx); err != nil {
		return err
	}
	if err := c.hello(ctx); err != nil {
		return err
	}
	if err := c.startTLS(ctx); err != nil {
		return err
	}
	return c.auth(ctx)
}

func (c *Client) greeting(ctx context.Context) error {
	at := c.opts.Clock.Now()
	c.deadline(ctx, c.opts.Timeouts.Greeting)
	r, err := c.in.read()
	if err != nil {
		return &Broken{Stage: StageGreeting, Err: err}
	}
	c.record.add(at, c.opts.Clock.Now(), "", r, everyone)
	if !r.Positive() {
		return &Broken{Stage: StageGreeting, Reply: &r}
	}
	c.greeted = r.Text
	return nil
}

// hello says EHLO, and HELO to a peer that does not know EHLO (RFC 5321 3.2).
func (c *Client) hello(ctx context.Context) error {
	r, err := c.command(ctx, StageGreeting, "EHLO "+c.opts.Hostname)
	if err != nil {
		return err
	}
	if r.Positive() {
		c.ext = parseExtensions(r)
		return nil
	}
	c.ext = Extensions{}
	if r.Permanent() {
		if r, err = c.command(ctx, StageGreeting, "HELO "+c.opts.Hostname); err != nil {
			return err
		}
	}
	if !r.Positive() {
		return &Broken{Stage: StageGreeting, Reply: &r}
	}
	return nil
}

func (c *Client) startTLS(ctx context.Context) error {
	switch {
	case c.opts.TLS == NoTLS, c.opts.TLS == ImplicitTLS:
		return nil
	case c.ext.StartTLS:
	case c.opts.TLS == RequireTLS:
		return &Broken{Stage: StageTLS, Err: fault.New(fault.Unavailable, "The host does not offer STARTTLS.")}
	default:
		return nil
	}
	r, err := c.command(ctx, StageTLS, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return &Broken{Stage: StageTLS, Reply: &r}
	}
	// Bytes that came in the clear after the 220 are somebody's injection: they
	// would be read as answers inside the TLS session.
	if c.in.buffered() > 0 {
		return &Broken{Stage: StageTLS, Err: fault.New(fault.Unavailable, "The host sent data between STARTTLS and the handshake.")}
	}
	if err := c.handshake(ctx); err != nil {
		return err
	}
	return c.hello(ctx) // RFC 3207 4.2: what was learnt before is discarded
}

func (c *Client) handshake(ctx context.Context) error {
	at := c.opts.Clock.Now()
	c.deadline(ctx, c.opts.Timeouts.Greeting)
	conn := tls.Client(c.conn, c.opts.TLSConfig)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.record.note(at, c.opts.Clock.Now(), "TLS handshake failed")
		return &Broken{Stage: StageTLS, Err: err}
	}
	state := conn.ConnectionState()
	c.tls = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	c.record.note(at, c.opts.Clock.Now(), c.tls)
	c.conn = conn
	c.in.attach(conn)
	return nil
}

// command sends one line and reads its answer.
func (c *Client) command(ctx context.Context, stage Stage, line string) (reply.Reply, error) {
	at := c.opts.Clock.Now()
	c.deadline(ctx, c.timeout(stage))
	c.out = append(append(c.out[:0], line...), "\r\n"...)
	if _, err := c.conn.Write(c.out); err != nil {
		return reply.Reply{}, &Broken{Stage: stage, Err: err}
	}
	r, err := c.in.read()
	if err != nil {
		return r, &Broken{Stage: stage, Err: err}
	}
	if stage != StageAuth {
		c.record.add(at, c.opts.Clock.Now(), line, r, everyone)
	}
	return r, nil
}

func (c *Client) timeout(stage Stage) time.Duration {
	switch stage {
	case StageEnvelope:
		return c.opts.Timeouts.Command
	case StageBody:
		return c.opts.Timeouts.Block
	case StageEnd:
		return c.opts.Timeouts.EndOfData
	case StageGreeting, StageTLS, StageAuth:
	}
	return c.opts.Timeouts.Greeting
}

// watch ends blocked reads and writes when ctx ends. The function it returns
// reports false if that happened.
func (c *Client) watch(ctx context.Context) func() bool {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	conn := c.conn // the TCP connection under TLS
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
}

var past = time.Unix(1, 0)

// deadline gives the next reads and writes d to finish, none if ctx has ended.
func (c *Client) deadline(ctx context.Context, d time.Duration) {
	_ = c.conn.SetDeadline(c.opts.Clock.Now().Add(d))
	if ctx.Err() != nil {
		_ = c.conn.SetDeadline(past)
	}
}

// Extensions are what the peer offers.
func (c *Client) Extensions() Extensions { return c.ext }

// TLS names version and cipher suite, or is "" in the clear.
func (c *Client) TLS() string { return c.tls }

// Usable reports whether another transaction may begin on the connection.
func (c *Client) Usable() bool {
	return !c.spent && (c.ext.MailMax == 0 || c.sent < c.ext.MailMax)
}

// Transactions is how many were begun on the connection.
func (c *Client) Transactions() int { return c.sent }

// Steps gives the conversation since the connection was opened, or since the
// last Forget, for recipient i of the last envelope: without what was said about
// its other recipients. It is used before the next Send. AUTH is never in it.
func (c *Client) Steps(i int) iter.Seq[Step] { return c.record.steps(i) }

// Forget empties the conversation before the connection serves another message.
func (c *Client) Forget() { c.record.clear() }

// Close says QUIT, without waiting long for the answer, and closes.
func (c *Client) Close() error {
	if !c.spent {
		_ = c.conn.SetDeadline(c.opts.Clock.Now().Add(c.opts.Timeouts.Quit))
		if _, err := c.conn.Write([]byte("QUIT\r\n")); err == nil {
			_, _ = c.in.read()
		}
	}
	return c.Drop()
}

// Leave says QUIT and closes without waiting for the answer. The peer has
// nothing of ours to lose.
func (c *Client) Leave() {
	if !c.spent {
		_ = c.conn.SetDeadline(c.opts.Clock.Now().Add(time.Second))
		_, _ = c.conn.Write([]byte("QUIT\r\n"))
	}
	_ = c.Drop()
}

// Drop closes without a word.
func (c *Client) Drop() error {
	c.spent = true
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fault.Wrap(err, "close an SMTP connection")
	}
	return nil
}

// clean makes text fit for one argument of a command: no space, no control.
func clean(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
