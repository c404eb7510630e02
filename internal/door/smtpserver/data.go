package smtpserver

import (
	"context"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
	"mailvow/internal/standard/smtp"
)

// data takes a message up to the line that holds a dot.
func (s *session) data(ctx context.Context, arg []byte) {
	if !s.mayBegin(arg) || !s.begin(ctx) {
		return
	}
	s.link.say("354 Go ahead; end with a line that holds only a dot.\r\n")
	if err := s.untilDot(); err != nil {
		s.lost(err)
		return
	}
	s.finish(ctx)
}

// mayBegin holds DATA to its place in the conversation.
func (s *session) mayBegin(arg []byte) bool {
	switch {
	case s.tx == nil:
		s.no(becauseSequence, 503, "5.5.1", "Say MAIL and RCPT first.")
	case s.chunks:
		s.no(becauseSequence, 503, "5.5.1", "The message has begun with BDAT; DATA cannot be mixed with it. Say RSET.")
	case len(arg) > 0:
		s.no(becauseSyntax, 501, "5.5.4", "DATA takes no argument.")
	case len(s.tx.Recipients) == 0:
		s.no(becauseSequence, 554, "5.5.1", "No recipient was accepted.")
	default:
		return true
	}
	return false
}

// begin makes the place for a message.
func (s *session) begin(ctx context.Context) bool {
	body, r := s.server.cfg.Backend.NewBody(ctx, s.tx)
	if r != nil {
		s.refuse(becauseContent, *r)
		s.reset()
		return false
	}
	s.body, s.size = body, 0
	s.scanner.Reset(int64(s.server.limits.DataLine))
	if d := s.server.limits.Data; d > 0 {
		s.link.phase = s.server.cfg.Clock.Now().Add(d)
	}
	return true
}

// untilDot reads the message. A message that is refused is still read to its
// true end: stopping earlier would turn its rest into commands.
func (s *session) untilDot() error {
	in := s.link.in
	need := 1
	for {
		if in.Buffered() < need {
			if _, err := in.Peek(need); err != nil {
				return err
			}
		}
		buf, _ := in.Peek(in.Buffered())
		piece, skip, ended := s.scanner.Dots(buf)
		if len(piece)+skip == 0 {
			need = len(buf) + 1
			continue
		}
		s.take(piece)
		_, _ = in.Discard(len(piece) + skip) // it is all buffered
		if ended {
			return nil
		}
		need = 1
	}
}

// take writes a piece of the message, unless it is already refused.
func (s *session) take(piece []byte) {
	s.size += int64(len(piece))
	most := int64(s.server.limits.MessageSize)
	if s.bad != nil || len(piece) == 0 {
		return
	}
	switch {
	case s.scanner.Defect() != smtp.Clean:
		s.spoil(defect(s.scanner.Defect()))
	case most > 0 && s.size > most:
		s.spoil(becauseSize, s.sizeReply())
	default:
		if _, err := s.body.Write(piece); err != nil {
			s.server.cfg.Observe.Log.Error("cannot keep a message", "session", s.peer.Session, "error", err)
			s.spoil(becauseStore, storeReply(err))
		}
	}
}

// spoil notes what the message will be refused with; the first reason stays.
func (s *session) spoil(because Reason, r reply.Reply) {
	if s.bad == nil {
		s.bad, s.because = &r, because
	}
}

// finish hands the message over, or refuses it, and ends the transaction.
func (s *session) finish(ctx context.Context) {
	if d := s.scanner.Defect(); d != smtp.Clean {
		s.spoil(defect(d))
	}
	if s.bad != nil {
		s.refuse(s.because, *s.bad)
		s.reset()
		return
	}
	body, tx := s.body, s.tx
	s.body = nil // it is the backend's from here on
	tx.Size = s.size
	r := s.server.cfg.Backend.Accept(ctx, tx, body)
	if r.Code/100 == 2 {
		s.messages++
		s.server.meter.messages.Inc()
		s.server.meter.bytes.Add(float64(s.size))
		s.answer(r)
	} else {
		s.refuse(becauseContent, r)
	}
	s.reset()
}

// defect is the reply to a defect of the bytes.
func defect(d smtp.Defect) (Reason, reply.Reply) {
	switch d {
	case smtp.BareLF:
		return becauseBareLF, reply.New(550, "5.6.0", "The message has a bare line feed; every line ends in CR LF.")
	case smtp.BareCR:
		return becauseBareCR, reply.New(550, "5.6.0", "The message has a bare carriage return; every line ends in CR LF.")
	case smtp.NUL:
		return becauseNUL, reply.New(550, "5.6.0", "The message has a NUL octet; encode binary content in base64.")
	default:
		return becauseLongLine, reply.New(550, "5.6.0", "The message has a line that is far too long; break lines after 998 octets at most.")
	}
}

func (s *session) sizeReply() reply.Reply {
	return reply.New(552, "5.3.4", "The message is too large; the limit is "+strconv.FormatInt(int64(s.server.limits.MessageSize), 10)+" octets.")
}

func (s *session) tooLarge() { s.refuse(becauseSize, s.sizeReply()) }

// storeReply is the reply to a body that could not be kept.
func storeReply(err error) reply.Reply {
	switch fault.KindOf(err) {
	case fault.Full, fault.Exhausted:
		return reply.New(452, "4.3.1", "There is no room for new mail now; try again later.")
	case fault.ReadOnly:
		return reply.New(451, "4.3.0", "Mail cannot be kept now; try again later.")
	default:
		return reply.New(451, "4.3.0", "The message could not be kept; try again later.")
	}
}

// bdat takes one chunk (RFC 3030).
func (s *session) bdat(ctx context.Context, arg []byte) {
	octets, last, err := smtp.ParseBdat(arg)
	if err != nil || !s.offered().Has(smtp.OfferChunking) {
		s.no(becauseChunk, 521, "5.5.4", "BDAT has the form BDAT octets [LAST]; the connection is closed, because it is not certain where your chunk ends.")
		return
	}
	s.link.phase = s.phaseEnd()
	s.prepareChunk(ctx)
	if err := s.chunk(octets); err != nil {
		s.lost(err)
		return
	}
	switch {
	case s.tx == nil || s.body == nil:
		s.refuseChunk()
	case !last && s.bad != nil:
		s.refuseChunk()
	case !last:
		s.link.say("250 2.0.0 " + strconv.FormatInt(octets, 10) + " octets taken.\r\n")
	default:
		s.scanner.EndChunks()
		s.finish(ctx)
	}
}

// phaseEnd is when the message must be whole; every chunk counts against it.
func (s *session) phaseEnd() time.Time {
	if d := s.server.limits.Data; d > 0 && s.link.phase.IsZero() {
		return s.server.cfg.Clock.Now().Add(d)
	}
	return s.link.phase
}

// prepareChunk decides before the octets come whether they are kept. They are
// read in any case.
func (s *session) prepareChunk(ctx context.Context) {
	switch {
	case s.chunks || s.bad != nil:
	case s.tx == nil:
		s.spoil(becauseSequence, reply.New(503, "5.5.1", "Say MAIL and RCPT first."))
	case len(s.tx.Recipients) == 0:
		s.spoil(becauseSequence, reply.New(554, "5.5.1", "No recipient was accepted."))
	default:
		s.chunks = true
		body, r := s.server.cfg.Backend.NewBody(ctx, s.tx)
		if r != nil {
			s.spoil(becauseContent, *r)
			return
		}
		s.body, s.size = body, 0
		s.scanner.Reset(int64(s.server.limits.DataLine))
	}
}

// chunk reads exactly so many octets.
func (s *session) chunk(octets int64) error {
	in := s.link.in
	for octets > 0 {
		if in.Buffered() == 0 {
			if _, err := in.Peek(1); err != nil {
				return err
			}
		}
		piece, _ := in.Peek(int(min(int64(in.Buffered()), octets)))
		if s.body != nil && s.bad == nil {
			s.scanner.Chunk(piece)
		}
		s.take(piece)
		_, _ = in.Discard(len(piece))
		octets -= int64(len(piece))
	}
	return nil
}

// refuseChunk refuses a chunk. With a message under way, what follows of it is
// refused the same way until RSET or MAIL's turn comes again.
func (s *session) refuseChunk() {
	s.refuse(s.because, *s.bad)
	s.reset()
}
