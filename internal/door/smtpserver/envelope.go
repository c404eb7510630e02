package smtpserver

import (
	"context"
	"mailvow/internal/base/address"
	"mailvow/internal/standard/smtp"
)

// mail begins a transaction.
func (s *session) mail(ctx context.Context, arg []byte) {
	if !s.mayMail() {
		return
	}
	// AUTH= stays a parameter after AUTH (RFC 4954 section 5).
	m, err := smtp.ParseMail(arg, s.offered())
	if err != nil {
		s.faulty(err, true)
		return
	}
	if most := int64(s.server.limits.MessageSize); most > 0 && m.Size > most {
		s.tooLarge()
		return
	}
	tx := &Transaction{
		Peer: s.peer, Identity: s.identity, Sender: m.Sender, Size: m.Size, Body8Bit: m.EightBit, SMTPUTF8: m.UTF8,
		RequireTLS: m.RequireTLS, RET: m.Ret, ENVID: m.EnvID,
	}
	if r := s.server.cfg.Backend.Mail(ctx, tx); r != nil {
		s.refuse(becauseSender, *r)
		return
	}
	s.tx = tx
	s.link.say("250 2.1.0 Ok.\r\n")
}

// mayMail holds MAIL to its place in the conversation and to the limits.
func (s *session) mayMail() bool {
	cfg, limits := &s.server.cfg, &s.server.limits
	switch {
	case s.peer.Helo == "":
		s.no(becauseSequence, 503, "5.5.1", "Say EHLO first.")
	case s.tx != nil:
		s.no(becauseSequence, 503, "5.5.1", "A message is under way; finish it, or say RSET.")
	case cfg.Role != MX && s.peer.TLS == "" && !cfg.PlaintextAuth && !s.known:
		s.no(becauseTLS, 530, "5.7.0", "Say STARTTLS first; mail is taken here over TLS only.")
	case cfg.Role != MX && !s.known:
		s.no(becauseAuth, 530, "5.7.0", "Say AUTH first; mail is taken here from known senders only.")
	case limits.Messages > 0 && s.messages >= limits.Messages:
		s.no(becauseMessages, 452, "4.5.3", "Too many messages in this connection; say QUIT and open another.")
	case !s.known && !s.server.callers.mayMessage(s.caller):
		s.no(becauseMessageRate, 450, "4.7.1", "Too many messages from your address in a short time; try again later.")
	default:
		return true
	}
	return false
}

// rcpt adds a recipient.
func (s *session) rcpt(ctx context.Context, arg []byte) {
	switch {
	case s.tx == nil:
		s.no(becauseSequence, 503, "5.5.1", "Say MAIL first.")
		return
	case s.chunks:
		s.no(becauseSequence, 503, "5.5.1", "The message has begun; no more recipients can be added.")
		return
	case s.server.limits.Recipients > 0 && len(s.tx.Recipients) >= s.server.limits.Recipients:
		s.no(becauseRecipients, 452, "4.5.3", "Too many recipients; send the message again to the others.")
		return
	}
	c, err := smtp.ParseRcpt(arg, s.offered(), s.tx.SMTPUTF8)
	if err == nil && c.Postmaster {
		c.Address, err = address.Parse(s.server.postbox)
	}
	if err != nil {
		s.faulty(err, false)
		return
	}
	// It is put in its place at once, but counts only when the backend agrees.
	all := append(s.tx.Recipients, Recipient{Address: c.Address, Notify: c.Notify, ORcpt: c.ORcpt})
	if refusal := s.server.cfg.Backend.Recipient(ctx, s.tx, &all[len(all)-1]); refusal != nil {
		s.refuse(becauseRecipient, *refusal)
		return
	}
	s.tx.Recipients = all
	s.link.say("250 2.1.5 Ok.\r\n")
}
