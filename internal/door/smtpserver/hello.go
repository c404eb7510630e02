package smtpserver

import (
	"context"
	"crypto/tls"
	"strconv"

	"mailvow/internal/base/reply"
	"mailvow/internal/standard/scram"
	"mailvow/internal/standard/smtp"
)

const maxHelo = 255 // octets of a domain (RFC 5321 4.5.3.1.2)

// hello answers EHLO and HELO. Either ends a transaction (RFC 5321 4.1.4).
func (s *session) hello(arg []byte, extended bool) {
	if len(arg) == 0 || len(arg) > maxHelo {
		s.no(becauseSyntax, 501, "5.5.4", "Say who you are: EHLO and your host name.")
		return
	}
	for _, c := range arg {
		if c <= ' ' || c >= 0x7f {
			s.no(becauseSyntax, 501, "5.5.4", "A host name has neither spaces nor characters beyond ASCII.")
			return
		}
	}
	s.reset()
	s.peer.Helo, s.peer.ESMTP = string(arg), extended
	if !extended {
		s.link.say("250 " + s.server.cfg.Hostname + "\r\n")
		return
	}
	lines := s.server.cfg.Hostname
	s.offered().Each(func(x smtp.Offers) { lines += "\n" + s.offer(x) })
	s.answer(reply.Reply{Code: 250, Text: lines})
}

// offered is what this session may use now.
func (s *session) offered() smtp.Offers {
	x := s.server.cfg.Extensions
	secure := s.peer.TLS != ""
	if secure || s.server.cfg.TLS == nil {
		x &^= smtp.OfferStartTLS
	}
	if !secure {
		x &^= smtp.OfferRequireTLS // RFC 8689 section 2
	}
	if s.server.cfg.Role == MX || !secure && !s.server.cfg.PlaintextAuth {
		x &^= smtp.OfferAuth
	}
	return x
}

// offer is an extension's line in the answer to EHLO.
func (s *session) offer(x smtp.Offers) string {
	switch x {
	case smtp.OfferSize:
		return "SIZE " + strconv.FormatInt(int64(s.server.limits.MessageSize), 10)
	case smtp.OfferAuth:
		plus := ""
		if s.binding() != nil {
			plus = scram.NamePlus + " "
		}
		return "AUTH " + plus + scram.Name + " PLAIN LOGIN"
	case smtp.OfferLimits:
		return "LIMITS" + s.server.limits.line()
	}
	return x.Keyword()
}

// startTLS goes over to TLS and forgets what was said before (RFC 3207 4.2).
func (s *session) startTLS(ctx context.Context, arg []byte) {
	switch {
	case s.peer.TLS != "":
		s.no(becauseSequence, 503, "5.5.1", "TLS is already in use.")
		return
	case !s.offered().Has(smtp.OfferStartTLS):
		s.no(becauseDisabled, 502, "5.5.1", "TLS is not offered here.")
		return
	case len(arg) > 0:
		s.no(becauseSyntax, 501, "5.5.4", "STARTTLS takes no argument.")
		return
	case s.link.in.Buffered() > 0:
		// Somebody on the way may have put them there, to be obeyed inside TLS.
		s.no(becauseInjection, 521, "5.7.0", "Commands came after STARTTLS in the clear; wait for its reply.")
		return
	}
	s.reset()
	s.link.say("220 2.0.0 Go ahead.\r\n")
	if s.link.flush() != nil || !s.handshake(ctx) {
		s.over = true
		return
	}
	s.peer.Helo, s.peer.ESMTP = "", false
}

// handshake takes the connection over to TLS.
func (s *session) handshake(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	s.link.setIdle(true) // a stop of the server need not wait for it
	defer s.link.setIdle(false)
	conn := tls.Server(s.link.conn, s.server.cfg.TLS)
	if s.link.armAll(handshakeWait) != nil || conn.HandshakeContext(limited) != nil {
		// Nothing can be said any more.
		s.server.refusals.refuse(s.caller, s.peer.Session, becauseTLS, 0)
		return false
	}
	state := conn.ConnectionState()
	s.peer.TLS = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	s.peer.TLSVersion, s.peer.ServerName = state.Version, state.ServerName
	s.link.replace(conn)
	return true
}

// binding is the channel binding value of RFC 9266, or nil.
func (s *session) binding() []byte {
	conn, ok := s.link.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := conn.ConnectionState()
	b, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil { // TLS 1.2 without extended master secret
		return nil
	}
	return b
}
