package smtpserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/standard/smtp"
)

// session is one conversation.
type session struct {
	server *Server
	link   link
	caller *caller
	peer   Peer

	identity Identity
	known    bool // the identity is somebody
	scanner  smtp.Scanner
	tx       *Transaction
	body     Body         // of the BDAT chunks so far
	chunks   bool         // BDAT has begun
	bad      *reply.Reply // what the chunks so far are refused with
	because  Reason       // for bad
	size     int64        // of the message so far

	errors   int
	failures int // of AUTH
	messages int
	over     bool // nothing more is read
	abrupt   bool // the client does not expect the end
}

func (s *Server) newSession(conn net.Conn, ip netip.Addr, who *caller, b *buffers) *session {
	ses := &session{server: s, caller: who}
	ses.peer = Peer{Session: ids.New[ids.Session](s.cfg.IDs), Role: s.cfg.Role, IP: ip}
	l := &ses.link
	l.conn, l.in, l.out, l.clock = conn, b.in, b.out[:0], s.cfg.Clock
	l.wait = s.limits.Command
	if l.wait == 0 {
		l.wait = s.limits.Session
	}
	if s.limits.Session > 0 {
		l.end = s.cfg.Clock.Now().Add(s.limits.Session)
	}
	b.in.Reset(l)
	return ses
}

// run holds the conversation.
func (s *session) run(ctx context.Context) {
	defer s.drop()
	if s.server.cfg.Role == Submissions && !s.handshake(ctx) {
		return
	}
	s.greet(ctx)
	for !s.over {
		s.link.setIdle(true)
		if s.link.in.Buffered() == 0 {
			s.hurry()
		}
		line, err := s.link.line(s.server.limits.CommandLine)
		s.link.setIdle(false)
		if err != nil {
			s.unreadable(err)
			continue
		}
		s.command(ctx, line)
	}
	if s.link.flush() == nil && s.abrupt {
		s.linger()
	}
}

// greet asks the backend and says the banner.
func (s *session) greet(ctx context.Context) {
	if r := s.server.cfg.Backend.Connect(ctx, &s.peer); r != nil {
		s.refuse(becausePeer, *r)
		s.end()
		return
	}
	if s.server.cfg.Role != MX {
		s.identity, s.known = s.server.cfg.Backend.Trusted(ctx, s.peer.IP)
	}
	s.link.say("220 " + s.server.cfg.Hostname + " ESMTP Mailvow\r\n")
}

// hurry shortens the patience with idle clients while places are short.
func (s *session) hurry() {
	if stress := s.server.limits.Stress; stress > 0 && s.server.limits.Command > stress {
		s.link.wait = s.server.limits.Command
		if s.server.callers.stressed() {
			s.link.wait = stress
		}
	}
}

// end says that nothing more is read; the client does not expect it.
func (s *session) end() { s.over, s.abrupt = true, true }

const lingerWait, lingerSize = 2 * time.Second, 1 << 20

// linger reads on for a moment after the last reply, because closing on unread
// input would make the network throw away the reply.
func (s *session) linger() {
	half, ok := s.link.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.link.conn.SetReadDeadline(s.server.cfg.Clock.Now().Add(lingerWait))
	_, _ = io.CopyN(io.Discard, s.link.conn, lingerSize)
}

// drop gives up what is under way.
func (s *session) drop() {
	s.reset()
	s.link.close()
}

// reset ends the transaction, whatever its state.
func (s *session) reset() {
	if s.body != nil {
		s.body.Discard()
	}
	s.tx, s.body, s.chunks, s.bad, s.size = nil, nil, false, nil, 0
	s.link.phase = time.Time{}
}

// answer says a reply.
func (s *session) answer(r reply.Reply) { s.link.out = r.Append(s.link.out) }

// refuse says a refusal with its reference. Too many end the connection.
func (s *session) refuse(because Reason, r reply.Reply) {
	if r.Permanent() {
		s.errors++
	}
	if most := s.server.limits.Errors; most > 0 && s.errors > most && r.Code != 421 {
		because, r = becauseErrors, reply.New(421, "4.7.0", "Too many errors; look at the replies before and connect again.")
	}
	ref := s.server.refusals.refuse(s.caller, s.peer.Session, because, r.Code)
	s.answer(withReference(r, ref))
	if r.Code == 421 || r.Code == 521 {
		s.end()
	}
}

// no is refuse with the parts of a reply.
func (s *session) no(because Reason, code int, enhanced, text string) {
	s.refuse(because, reply.New(code, enhanced, text))
}

// faulty refuses for a fault of the language; sender says which side's address
// it may blame.
func (s *session) faulty(err error, sender bool) {
	text, field := fault.Public(err)
	switch {
	case field == smtp.BlameUnknown:
		s.no(becauseSyntax, 555, "5.5.4", text)
	case field == smtp.BlameUTF8:
		s.no(becauseSyntax, 553, "5.6.7", text)
	case field == smtp.BlamePath && sender:
		s.no(becauseSyntax, 501, "5.1.7", text)
	case field == smtp.BlamePath:
		s.no(becauseSyntax, 501, "5.1.3", text)
	default:
		s.no(becauseSyntax, 501, "5.5.4", text)
	}
}

// unreadable answers what stands in the way of a command.
func (s *session) unreadable(err error) {
	const close = " The connection is closed, because the end of your commands is not certain."
	switch {
	case errors.Is(err, errLong):
		s.no(becauseLine, 500, "5.5.2", "The command line is too long.")
	case errors.Is(err, errBareLF):
		s.no(becauseLine, 521, "5.5.2", "The command has a bare line feed; lines end in CR LF."+close)
	case errors.Is(err, errBareCR):
		s.no(becauseLine, 521, "5.5.2", "The command has a bare carriage return; lines end in CR LF."+close)
	case errors.Is(err, errNUL):
		s.no(becauseLine, 521, "5.5.2", "The command has a NUL octet; is this TLS? Use STARTTLS or the port for TLS."+close)
	case errors.Is(err, errEndless):
		s.no(becauseLine, 521, "5.5.2", "The command line does not end.")
	default:
		s.lost(err)
	}
}

// lost ends a session whose input ended.
func (s *session) lost(err error) {
	s.over = true
	switch {
	case s.link.stopped():
		s.no(becauseStopping, 421, "4.3.2", "The server is stopping; try again later.")
		s.abrupt = false // do not keep the server waiting
	case timedOut(err):
		s.no(becauseTimeout, 421, "4.4.2", "Nothing came in time; connect again.")
	}
}

// command obeys one line.
func (s *session) command(ctx context.Context, line []byte) {
	c := smtp.ParseCommand(line)
	switch c.Verb {
	case smtp.Mail:
		s.mail(ctx, c.Arg)
	case smtp.Rcpt:
		s.rcpt(ctx, c.Arg)
	case smtp.Data:
		s.data(ctx, c.Arg)
	case smtp.Bdat:
		s.bdat(ctx, c.Arg)
	case smtp.Ehlo:
		s.hello(c.Arg, true)
	case smtp.Helo:
		s.hello(c.Arg, false)
	case smtp.Quit:
		s.link.say("221 2.0.0 Goodbye.\r\n")
		s.over = true
	case smtp.Rset:
		s.reset()
		s.link.say("250 2.0.0 Nothing is under way now.\r\n")
	case smtp.Noop:
		s.link.say("250 2.0.0 Ok.\r\n")
	case smtp.STARTTLS:
		s.startTLS(ctx, c.Arg)
	case smtp.AUTH:
		s.auth(ctx, c.Arg)
	case smtp.Vrfy, smtp.Expn, smtp.Help, smtp.Foreign, smtp.Unknown:
		s.rare(c)
	}
}

func (s *session) rare(c smtp.Command) {
	switch c.Verb {
	case smtp.Vrfy:
		s.link.say("252 2.1.5 Addresses are not confirmed here; send the message, and the reply to RCPT tells.\r\n")
	case smtp.Help:
		s.link.say("214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH; see RFC 5321.\r\n")
	case smtp.Expn:
		s.no(becauseDisabled, 502, "5.5.1", "Lists are not expanded here.")
	case smtp.Foreign:
		s.no(becauseForeign, 521, "5.5.1", "This is a mail server; it does not speak HTTP.")
	default:
		s.no(becauseUnknown, 500, "5.5.1", "The command is not known; HELP lists those that are.")
	}
}
