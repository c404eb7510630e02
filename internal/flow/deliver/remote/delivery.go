package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/standard/smtp"
)

// delivery is one call of Deliver: the parcel and what is known of each
// recipient so far.
type delivery struct {
	c        *Courier
	p        *deliver.Parcel
	start    time.Time
	outcomes []outcome.Outcome
	settled  []bool // no other host is asked for this recipient
	heard    []bool // a host answered for this recipient itself
	pending  int
	before   []outcome.Step // failed connections so far
}

func newDelivery(c *Courier, p *deliver.Parcel) *delivery {
	n := len(p.Recipients)
	flags := make([]bool, 2*n)
	return &delivery{
		c: c, p: p, start: c.config.Clock.Now(),
		outcomes: make([]outcome.Outcome, n),
		settled:  flags[:n:n], heard: flags[n:], pending: n,
	}
}

// every settles all recipients alike.
func (d *delivery) every(o outcome.Outcome) {
	for i := range d.outcomes {
		if !d.settled[i] {
			d.outcomes[i], d.settled[i] = o, true
		}
	}
	d.pending = 0
}

// finish gives each recipient its outcome; one without any was never tried.
func (d *delivery) finish() []outcome.Outcome {
	took := d.c.config.Clock.Now().Sub(d.start)
	var conversation *outcome.Conversation
	if len(d.before) > 0 {
		conversation = &outcome.Conversation{Steps: d.before}
	}
	for i := range d.outcomes {
		o := &d.outcomes[i]
		if o.Kind == 0 {
			*o = *verdict(outcome.Deferred, 451, "4.4.1", "No mail host of the domain could be reached.")
		}
		if o.Conversation == nil {
			o.Conversation = conversation
		}
		o.Took = took
		d.c.metrics.count(o.Kind)
	}
	return d.outcomes
}

// failed books a host that could not be asked. A host that answered for a
// recipient outweighs it, and so does one that may work later.
func (d *delivery) failed(h host, err error) {
	o := d.judge(h, err)
	for i := range d.outcomes {
		if d.settled[i] || d.heard[i] || d.outcomes[i].Kind == outcome.Deferred && o.Kind == outcome.Failed {
			continue
		}
		d.outcomes[i] = o
	}
}

// judge says what a failed connection means for the recipients.
func (d *delivery) judge(h host, err error) outcome.Outcome {
	var b *smtp.Broken
	switch {
	case errors.Is(err, errLoop):
		return *loops()
	case fault.Is(err, fault.Denied) && d.c.relays(h):
		// The register of the operator's endpoints is to blame, never the recipient.
		return *verdict(outcome.Deferred, 451, "4.3.5", "This server's own relay may not be spoken to now.")
	case fault.Is(err, fault.Denied):
		return *verdict(outcome.Failed, 550, "5.4.4", "The domain's mail host has no address that may be reached.")
	case fault.Is(err, fault.NotFound):
		return *verdict(outcome.Failed, 550, "5.4.4", "The domain's mail host has no address.")
	case errors.As(err, &b) && b.Stage == smtp.StageAuth:
		// The account at the smarthost is to blame, never the recipient.
		o := *verdict(outcome.Deferred, 451, "4.7.8", "The host did not accept this server's credentials.")
		o.By = h.name
		return o
	case errors.As(err, &b) && b.Stage == smtp.StageTLS:
		return *verdict(outcome.Deferred, 451, "4.7.5", d.lacking())
	case errors.As(err, &b) && b.Reply != nil:
		return outcome.FromReply(h.name, tidy(soften(*b.Reply)))
	case errors.As(err, &b):
		return *verdict(outcome.Deferred, 451, "4.4.2", "The connection to the mail host was lost at "+b.Stage.String()+".")
	}
	return *verdict(outcome.Deferred, 451, "4.4.1", "The mail host could not be reached.")
}

// lacking says what TLS was asked of the host and not to be had.
func (d *delivery) lacking() string {
	floor := d.c.floor(d.p)
	version := "TLS"
	if floor.Version != 0 {
		version = tls.VersionName(floor.Version) + " or later"
	}
	if !proven(d.p, floor) {
		return "The host offers no " + version + ", which the customer's policy requires."
	}
	return "The host offers no " + version + " that could be verified."
}

// soften keeps a refusal at the greeting from counting against the address: it
// speaks of us or of the host.
func soften(r reply.Reply) reply.Reply {
	if r.Permanent() && r.Enhanced == (reply.Enhanced{}) {
		r.Enhanced = reply.Enhanced{5, 7, 1}
	}
	return r
}

// maxText bounds what is kept of a host's words, in octets.
const maxText = 1024

// tidy makes a host's words fit for history and DSNs: short, UTF-8, without
// control characters but the line ends.
func tidy(r reply.Reply) reply.Reply {
	odd := func(c rune) bool { return c != '\n' && (c < ' ' || c == 0x7f) }
	if len(r.Text) <= maxText && utf8.ValidString(r.Text) && strings.IndexFunc(r.Text, odd) < 0 {
		return r
	}
	r.Text = strings.ToValidUTF8(r.Text[:min(len(r.Text), maxText)], "?")
	r.Text = strings.Map(func(c rune) rune {
		if odd(c) {
			return ' '
		}
		return c
	}, r.Text)
	return r
}

// visit delivers to one address of a host. It reports whether the host was
// heard, that is answered a transaction.
func (d *delivery) visit(ctx context.Context, to target) bool {
	for fresh := false; ; fresh = true {
		s, err := d.c.session(ctx, d, to, fresh)
		if err != nil {
			d.failed(to.host, err)
			return false
		}
		kept := s.Transactions() > 0
		heard, broken := d.transact(ctx, s)
		if broken != nil && kept && !fresh && broken.Stage == smtp.StageEnvelope && ctx.Err() == nil {
			continue // the host had closed the kept connection; a new one decides
		}
		if broken != nil {
			d.failed(to.host, broken)
		}
		return heard
	}
}

// transact sends the parcel over a session, 100 recipients at a time, and gives
// the session back.
func (d *delivery) transact(ctx context.Context, s *session) (heard bool, broken *smtp.Broken) {
	kept := s.Transactions() > 0
	most := maxRecipients
	if n := s.Extensions().RcptMax; n > 0 {
		most = min(most, n)
	}
	for batch := range d.batches(most) {
		env := d.envelope(batch)
		answers, err := s.Send(ctx, &env, d.p.Content)
		if kept && closing(answers) {
			// 421 on a kept connection says that it was idle too long.
			s.drop()
			return false, &smtp.Broken{Stage: smtp.StageEnvelope, Reply: &answers[0].Reply}
		}
		heard = d.book(s, batch, answers) || heard
		if err != nil {
			d.remember(s, len(batch))
			s.drop()
			if !errors.As(err, &broken) {
				// Not the connection: the content could not be read. No host can help.
				d.every(*verdict(outcome.Deferred, 451, "4.3.0", "The message could not be read."))
			}
			return heard, broken
		}
		if !s.Usable() {
			break
		}
		kept = false
	}
	s.Forget()
	d.c.pool.put(s)
	return heard, nil
}

// remember keeps what was said on a connection that broke, for the recipients
// whose outcome comes later. Of several recipients none learns of the others.
func (d *delivery) remember(s *session, recipients int) {
	which := -1
	if recipients == 1 {
		which = 0
	}
	for step := range s.Steps(which) {
		d.before = append(d.before, outcome.Step(step))
	}
}

func closing(answers []smtp.Answer) bool {
	for _, a := range answers {
		if a.Fate != smtp.Refused || a.Reply.Code != 421 {
			return false
		}
	}
	return len(answers) > 0
}

// batches yields the indexes of pending recipients, most at a time.
func (d *delivery) batches(most int) func(func([]int) bool) {
	var all []int
	if d.pending == 1 {
		all = make([]int, 0, 1)
	}
	for i, done := range d.settled {
		if !done {
			all = append(all, i)
		}
	}
	return func(yield func([]int) bool) {
		for len(all) > 0 {
			n := min(most, len(all))
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

func (d *delivery) envelope(batch []int) smtp.Envelope {
	env := smtp.Envelope{
		Sender:     d.p.Sender,
		Recipients: make([]smtp.EnvelopeRecipient, len(batch)),
		EightBit:   d.p.Need.EightBit,
		SMTPUTF8:   d.p.Need.SMTPUTF8,
		RequireTLS: d.p.Need.RequireTLS,
		Return:     d.p.Need.Return,
		EnvelopeID: d.p.Need.EnvelopeID,
	}
	for n, i := range batch {
		r := &d.p.Recipients[i]
		env.Recipients[n] = smtp.EnvelopeRecipient{Address: r.Address, Notify: r.Notify, ORcpt: r.ORcpt}
	}
	return env
}

// book turns answers into outcomes; true if the host answered at all.
func (d *delivery) book(s *session, batch []int, answers []smtp.Answer) (heard bool) {
	for n, i := range batch {
		a := answers[n]
		var o outcome.Outcome
		final := true
		switch a.Fate {
		case smtp.Lost:
			continue
		case smtp.Accepted:
			o = outcome.FromReply(s.key.name(), tidy(a.Reply))
			// RFC 3461 5.2.2: who was told what to report, reports.
			o.PassedDSN = o.Kind == outcome.Delivered && s.Extensions().DSN && d.p.Recipients[i].Notify != ""
		case smtp.Refused:
			o = outcome.FromReply(s.key.name(), tidy(a.Reply))
			final = o.Kind == outcome.Failed
		case smtp.Unfit:
			o = *verdict(outcome.Failed, a.Reply.Code, a.Reply.Enhanced.String(), a.Reply.Text)
			o.Class = outcome.Soft // the content or its sender, never the address
		case smtp.Uncertain:
			o = *verdict(outcome.Unknown, 451, "4.4.2", "The message was sent and the host's answer never came.")
		}
		o.TLS = s.TLS()
		o.Conversation = d.conversation(s, n)
		d.outcomes[i], d.heard[i], heard = o, true, true
		if final {
			d.settled[i] = true
			d.pending--
		}
	}
	return heard
}

func (d *delivery) conversation(s *session, n int) *outcome.Conversation {
	steps := make([]outcome.Step, len(d.before), len(d.before)+8)
	copy(steps, d.before)
	for step := range s.Steps(n) {
		steps = append(steps, outcome.Step(step))
	}
	return &outcome.Conversation{Steps: steps}
}
