package smtpserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
	"mailvow/internal/standard/scram"
	"mailvow/internal/standard/smtp"
)

const maxFailures = 3 // of AUTH in one connection

var errCancelled = errors.New("the client gave AUTH up")

// auth finds out who is sending (RFC 4954).
func (s *session) auth(ctx context.Context, arg []byte) {
	mechanism, initial, has := strings.Cut(string(arg), " ")
	if !s.mayAuth() {
		return
	}
	mechanism = strings.ToUpper(mechanism)
	var known Identity
	var r *reply.Reply
	var err error
	switch mechanism {
	case "PLAIN":
		known, r, err = s.authPlain(ctx, initial, has)
	case "LOGIN":
		known, r, err = s.authLogin(ctx, initial, has)
	case scram.Name, scram.NamePlus:
		known, r, err = s.authScram(ctx, initial, has, mechanism == scram.NamePlus)
	default:
		s.no(becauseSyntax, 504, "5.5.4", "The mechanism is not offered; EHLO lists those that are.")
		return
	}
	s.authenticated(ctx, mechanism, known, r, err)
}

// mayAuth holds AUTH to its place in the conversation and to the limits.
func (s *session) mayAuth() bool {
	cfg := &s.server.cfg
	switch {
	case cfg.Role == MX || !cfg.Extensions.Has(smtp.OfferAuth):
		s.no(becauseDisabled, 502, "5.5.1", "AUTH is not offered here; customers send to the submission port.")
	case s.peer.TLS == "" && !cfg.PlaintextAuth:
		s.no(becauseTLS, 538, "5.7.11", "Say STARTTLS first; a password must not cross the network readable.")
	case !s.peer.ESMTP:
		s.no(becauseSequence, 503, "5.5.1", "Say EHLO first.")
	case s.peer.Authorized:
		s.no(becauseSequence, 503, "5.5.1", "You are already known.")
	case s.tx != nil:
		s.no(becauseSequence, 503, "5.5.1", "A message is under way; AUTH comes before MAIL.")
	case !s.server.callers.mayAuth(s.caller):
		s.no(becauseAuthRate, 454, "4.7.0", "Too many failed attempts from your address; try again later.")
	default:
		return true
	}
	return false
}

// authenticated answers the end of an exchange.
func (s *session) authenticated(ctx context.Context, mechanism string, known Identity, r *reply.Reply, err error) {
	result := "failed"
	defer func() { s.server.meter.auth.WithLabelValues(mechanism, result).Inc() }()
	switch {
	case errors.Is(err, errCancelled):
		s.no(becauseAuth, 501, "5.7.0", "AUTH was given up.")
	case fault.Is(err, fault.Invalid):
		text, _ := fault.Public(err)
		s.no(becauseSyntax, 501, "5.5.2", text)
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Denied):
		text, _ := fault.Public(err)
		s.failed(ctx, reply.New(535, "5.7.8", text))
	case err != nil:
		s.unreadable(err)
	case r != nil && r.Permanent():
		s.failed(ctx, *r)
	case r != nil:
		s.refuse(becauseAuth, *r)
	default:
		result = "ok"
		s.identity, s.known, s.peer.Authorized = known, true, true
		s.link.say("235 2.7.0 Welcome.\r\n")
	}
}

// failed counts a wrong credential.
func (s *session) failed(ctx context.Context, r reply.Reply) {
	s.server.callers.failed(s.caller)
	if s.server.cfg.Refused != nil {
		s.server.cfg.Refused(ctx, s.peer.IP.String())
	}
	s.failures++
	if s.failures >= maxFailures {
		r = reply.New(421, "4.7.0", "Too many failed attempts; check the user name and the password.")
	}
	s.refuse(becauseAuth, r)
}

// ask sends a challenge and reads the answer. With have the answer came along
// with the command.
func (s *session) ask(challenge string, initial string, have bool) (string, error) {
	if !have {
		s.link.say("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n")
		line, err := s.link.line(maxCommandLine)
		if err != nil {
			return "", err
		}
		initial = string(line)
	}
	switch initial {
	case "*":
		return "", errCancelled
	case "=": // RFC 4954 section 4: an empty initial response
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return "", fault.New(fault.Invalid, "The answer is not in base64.")
	}
	return string(b), nil
}

// authPlain is RFC 4616.
func (s *session) authPlain(ctx context.Context, initial string, has bool) (Identity, *reply.Reply, error) {
	answer, err := s.ask("", initial, has)
	if err != nil {
		return Identity{}, nil, err
	}
	parts := strings.Split(answer, "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return Identity{}, nil, fault.New(fault.Invalid, "PLAIN holds an authorization identity, a user name and a password, separated by NUL.")
	}
	if parts[0] != "" && parts[0] != parts[1] {
		return Identity{}, nil, fault.New(fault.Denied, "Nobody may act for another user here; leave the authorization identity empty.")
	}
	known, r := s.server.cfg.Backend.Authenticate(ctx, &s.peer, parts[1], parts[2])
	return known, r, nil
}

// authLogin is the old way of Outlook and others; it has no RFC.
func (s *session) authLogin(ctx context.Context, initial string, has bool) (Identity, *reply.Reply, error) {
	username, err := s.ask("Username:", initial, has)
	if err != nil {
		return Identity{}, nil, err
	}
	password, err := s.ask("Password:", "", false)
	if err != nil {
		return Identity{}, nil, err
	}
	if username == "" || password == "" {
		return Identity{}, nil, fault.New(fault.Invalid, "LOGIN wants a user name and a password.")
	}
	known, r := s.server.cfg.Backend.Authenticate(ctx, &s.peer, username, password)
	return known, r, nil
}

// authScram is RFC 7677: the password does not cross the network.
func (s *session) authScram(ctx context.Context, initial string, has, plus bool) (Identity, *reply.Reply, error) {
	x := scram.NewExchange(s.binding(), plus)
	first, err := s.ask("", initial, has)
	if err != nil {
		return Identity{}, nil, err
	}
	username, err := x.First(first)
	if err != nil {
		return Identity{}, nil, err
	}
	v, r := s.server.cfg.Backend.Scram(ctx, &s.peer, username)
	if r != nil {
		return Identity{}, r, nil
	}
	v = s.server.scram.standIn(v, username)
	last, err := s.ask(x.Challenge(v, rand.Text()), "", false)
	if err != nil {
		return Identity{}, nil, err
	}
	proof, err := x.Final(last)
	if err != nil {
		return Identity{}, nil, err
	}
	if _, err = s.ask(proof, "", false); err != nil {
		return Identity{}, nil, err
	}
	known, r := s.server.cfg.Backend.Proved(ctx, &s.peer, username)
	return known, r, nil
}

// scramSecret makes verifiers for names that have none: the same for one name
// each time, and never matched by any proof.
type scramSecret []byte

func newScramSecret() scramSecret { return []byte(rand.Text()) }

func (secret scramSecret) standIn(v scram.Verifier, username string) scram.Verifier {
	if len(v.StoredKey) == sha256.Size {
		return v
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(username))
	salt := h.Sum(nil)[:16]
	return scram.Verifier{Salt: salt, Iterations: max(v.Iterations, scram.MinIterations), StoredKey: []byte(rand.Text() + "000000")[:sha256.Size], ServerKey: salt}
}
