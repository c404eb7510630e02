package smtp

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
)

// Envelope is what a client says about a message outside of it.
type Envelope struct {
	Sender     address.Address // the zero Address is <>
	Recipients []EnvelopeRecipient
	EightBit   bool   // the content has octets above 127 (RFC 6152)
	SMTPUTF8   bool   // the header has UTF-8 (RFC 6531)
	RequireTLS bool   // RFC 8689
	Return     string // RFC 3461 4.3: "", FULL or HDRS
	EnvelopeID string // RFC 3461 4.4, decoded
}

// EnvelopeRecipient is one recipient with its DSN wishes.
type EnvelopeRecipient struct {
	Address address.Address
	Notify  string // RFC 3461 4.1
	ORcpt   string // RFC 3461 4.2, type;address, the address decoded
}

// Fate is what became of one recipient in a transaction.
type Fate uint8

// The fates. Lost means that nothing was delivered; Uncertain that the whole
// message was sent and the peer's answer never came.
const (
	Lost      Fate = iota // the connection failed before the message's end
	Accepted              // the peer answers for it
	Refused               // the peer said no, for now or for ever
	Unfit                 // this client did not send it: the peer lacks what it needs
	Uncertain             // the connection failed after the message's end
)

// Answer is one recipient's fate and the reply that decided it.
type Answer struct {
	Fate  Fate
	Reply reply.Reply
}

// Send runs one transaction and gives one answer per recipient, in their order.
// The error, a *Broken, says that the connection failed; the answers say what
// it means for each recipient. With PIPELINING it takes two round trips: MAIL,
// RCPT and DATA in one write, then the message (RFC 2920 3.1).
//
// Content with octets above 127 for a peer without 8BITMIME is not converted,
// because that would break its signatures: its recipients are Unfit (5.6.3).
func (c *Client) Send(ctx context.Context, env *Envelope, content Content) ([]Answer, error) {
	t := transaction{c: c, env: env, answers: make([]Answer, len(env.Recipients)), open: len(env.Recipients)}
	t.admit(content.Size())
	if t.open == 0 {
		return t.answers, nil
	}
	t.body = newBody(content)
	defer t.body.release()
	block, err := t.body.next()
	if err != nil {
		return t.answers, t.unreadable(err)
	}
	stop := c.watch(ctx)
	c.sent++
	err = t.run(ctx, block)
	if !stop() {
		c.spent = true
	}
	if err != nil {
		c.spent = true
	}
	return t.answers, err
}

// transaction is the state of one Send.
type transaction struct {
	c        *Client
	env      *Envelope
	answers  []Answer
	open     int // recipients without an answer yet
	accepted int // recipients whose RCPT was accepted
	body     *body
	lines    [8]line
	mailed   bool // MAIL was accepted
	data     reply.Reply
}

func (t *transaction) answer(i int, fate Fate, r reply.Reply) {
	t.answers[i] = Answer{Fate: fate, Reply: r}
	t.open--
}

// all answers for every recipient that has no answer yet.
func (t *transaction) all(fate Fate, r reply.Reply) {
	for i := range t.answers {
		if t.answers[i].Fate == Lost {
			t.answer(i, fate, r)
		}
	}
}

// unreadable answers for content that cannot or must not be sent.
func (t *transaction) unreadable(err error) error {
	if errors.Is(err, errLineEnds) {
		t.all(Unfit, reply.New(554, "5.6.0", errLineEnds.Text))
		return nil
	}
	return err
}

func (t *transaction) run(ctx context.Context, first []byte) error {
	lines := t.write()
	if err := t.envelope(ctx, lines); err != nil {
		return err
	}
	switch {
	case t.c.spent: // the peer said 421 and closes
		return nil
	case t.data.Code == 354 && t.accepted == 0:
		return t.nothing(ctx)
	case t.data.Code == 354:
		return t.message(ctx, first)
	}
	t.c.reset = t.mailed
	if t.open == 0 {
		return nil
	}
	if t.data.Positive() {
		return &Broken{Stage: StageEnvelope, Reply: &t.data, Err: fault.New(fault.Unavailable, "The host answered DATA with something else than 354.")}
	}
	t.all(Refused, t.data)
	return nil
}

// envelope sends the commands and takes their answers: all at once to a peer
// that pipelines, else one by one and no further than makes sense.
func (t *transaction) envelope(ctx context.Context, lines []line) error {
	c := t.c
	c.deadline(ctx, c.opts.Timeouts.Command)
	at := c.opts.Clock.Now()
	if c.ext.Pipelining {
		if _, err := c.conn.Write(c.out); err != nil {
			return &Broken{Stage: StageEnvelope, Err: t.lastWords(err)}
		}
	}
	for _, l := range lines {
		if !c.ext.Pipelining {
			if l.verb > verbMAIL && !t.mailed || l.verb == verbDATA && t.accepted == 0 {
				c.reset = t.mailed
				return nil
			}
			at = c.opts.Clock.Now()
			c.deadline(ctx, c.opts.Timeouts.Command)
			if _, err := c.conn.Write(c.out[l.start : l.end+2]); err != nil {
				return &Broken{Stage: StageEnvelope, Err: t.lastWords(err)}
			}
		}
		if l.verb == verbDATA {
			c.deadline(ctx, c.opts.Timeouts.Data)
		}
		r, err := c.in.read()
		if err != nil {
			return &Broken{Stage: StageEnvelope, Err: err}
		}
		c.record.sent(at, c.opts.Clock.Now(), c.out[l.start:l.end], r, l.recipient)
		if t.take(l, r); c.spent {
			return nil
		}
	}
	return nil
}

// take books the answer to one command.
func (t *transaction) take(l line, r reply.Reply) {
	if r.Code == 421 { // RFC 5321 3.8: the peer closes, whatever was asked
		t.c.spent = true
		t.all(Refused, r)
		return
	}
	switch l.verb {
	case verbRSET:
	case verbMAIL:
		if t.mailed = r.Code/100 == 2; !t.mailed {
			t.all(Refused, r)
		}
	case verbRCPT:
		switch {
		case !t.mailed: // MAIL's refusal is the answer
		case r.Code/100 == 2:
			t.accepted++
		case r.Code/100 == 3:
			t.answer(l.recipient, Refused, reply.New(451, "4.5.0", "The host answered RCPT with "+r.String()))
		default:
			t.answer(l.recipient, Refused, r)
		}
	case verbDATA:
		t.data = r
	}
}

// nothing ends a DATA that the peer opened although it took no recipient
// (RFC 2920 3.1): a lone dot. What it says to that changes nothing.
func (t *transaction) nothing(ctx context.Context) error {
	c := t.c
	c.deadline(ctx, c.opts.Timeouts.Command)
	if _, err := c.conn.Write([]byte(".\r\n")); err != nil {
		c.spent = true
		return nil
	}
	if r, err := c.in.read(); err != nil || r.Code == 421 {
		c.spent = true
	}
	return nil
}

// message sends the content and takes the answer to its end.
func (t *transaction) message(ctx context.Context, block []byte) error {
	c := t.c
	at := c.opts.Clock.Now()
	for {
		c.deadline(ctx, c.opts.Timeouts.Block)
		n, err := c.conn.Write(block)
		if err != nil {
			return t.cut(n, len(block), err)
		}
		if t.body.done {
			break
		}
		if block, err = t.body.next(); err != nil {
			// Without its final dot the peer keeps nothing of the message.
			c.spent = true
			return t.unreadable(err)
		}
	}
	c.deadline(ctx, c.opts.Timeouts.EndOfData)
	r, err := c.in.read()
	now := c.opts.Clock.Now()
	if err == nil && r.Code/100 == 3 {
		err = fault.New(fault.Unavailable, "The host answered the end of the message with "+r.String())
	}
	if err != nil {
		c.record.note(at, now, t.octets()+" and no answer")
		t.all(Uncertain, reply.Reply{})
		return &Broken{Stage: StageEnd, Err: err}
	}
	t.end(at, now, r)
	return nil
}

func (t *transaction) end(at, now time.Time, r reply.Reply) {
	t.c.record.add(at, now, t.octets(), r, everyone)
	if r.Code == 421 {
		t.c.spent = true
	}
	if r.Code/100 == 2 {
		t.all(Accepted, r)
		return
	}
	t.all(Refused, r)
}

func (t *transaction) octets() string {
	return "(" + strconv.FormatInt(t.body.content.Size(), 10) + " octets of message)"
}

// cut handles a write that failed inside the message. If the peer said why
// before it closed, that is the answer.
func (t *transaction) cut(n, want int, err error) error {
	c := t.c
	at := c.opts.Clock.Now()
	_ = c.conn.SetReadDeadline(at.Add(c.opts.Timeouts.Quit))
	if r, readErr := c.in.read(); readErr == nil && (r.Temporary() || r.Permanent()) {
		t.end(at, c.opts.Clock.Now(), r)
		c.spent = true
		return nil
	}
	if t.body.done && (n == want || c.tls != "") {
		t.all(Uncertain, reply.Reply{})
		return &Broken{Stage: StageEnd, Err: err}
	}
	return &Broken{Stage: StageBody, Err: err}
}

// lastWords looks for an answer that the peer sent before it closed, such as
// 421 4.4.2 idle too long, and books it.
func (t *transaction) lastWords(err error) error {
	_ = t.c.conn.SetReadDeadline(t.c.opts.Clock.Now().Add(t.c.opts.Timeouts.Quit))
	if r, readErr := t.c.in.read(); readErr == nil {
		return errors.Join(err, &Broken{Stage: StageEnvelope, Reply: &r})
	}
	return err
}

var _ Content = (*io.SectionReader)(nil)
