package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/door/smtpserver"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/protect/access"
	"mailvow/internal/standard/scram"
)

// mailDesk is what stands behind the SMTP doors: it asks access who sends, the
// products who may and who receives, and hands the message to intake.
type mailDesk struct {
	access  *access.Store
	floors  floors
	senders senders
	desk    desk
	routes  queue.Routes
	drafts  *blob.Drafts
	intake  *intake.Intake
	used    func(context.Context, ids.Tenant) // a customer sends
	tracer  trace.Tracer
	log     *slog.Logger
}

// senders says which addresses a customer may send as.
type senders interface {
	// MaySend returns nil, or a Denied fault whose text names the domain and what
	// to do.
	MaySend(ctx context.Context, tenant ids.Tenant, as address.Address) error
}

// desk says who takes mail to an address.
type desk interface {
	Recipient(ctx context.Context, a address.Address) (tenant ids.Tenant, r deliver.Route, found bool, err error)
}

var _ smtpserver.Backend = (*mailDesk)(nil)

// tryLater is the answer when a part of the house is out of reach.
func (m *mailDesk) tryLater(act string, err error) *reply.Reply {
	m.log.Error(act, "error", err)
	r := replyOf(err)
	return &r
}

// replyOf translates a fault into the words of SMTP.
func replyOf(err error) reply.Reply {
	text, _ := fault.Public(err)
	or := func(fallback string) string {
		if text == "" {
			return fallback
		}
		return text
	}
	switch fault.KindOf(err) {
	case fault.Full:
		return reply.New(452, "4.3.1", "The store is full for now; try again later.")
	case fault.ReadOnly:
		return reply.New(451, "4.3.0", "The store takes nothing for now; try again later.")
	case fault.Denied:
		return reply.New(550, "5.7.1", or("Not allowed."))
	case fault.Invalid:
		return reply.New(554, "5.6.0", or("The message cannot be taken as it is."))
	case fault.NotFound, fault.Gone:
		return reply.New(550, "5.1.1", or("No such recipient here."))
	case fault.Exhausted:
		return reply.New(452, "4.7.0", or("Too much for now; try again later."))
	case fault.Unauthenticated:
		return reply.New(535, "5.7.8", or("User name or password is wrong."))
	case fault.Internal, fault.Conflict, fault.Unavailable:
	}
	return reply.New(451, "4.3.0", "A part of this server is out of reach; try again later.")
}

// Connect implements smtpserver.Backend.
func (m *mailDesk) Connect(context.Context, *smtpserver.Peer) *reply.Reply { return nil }

// Authenticate implements smtpserver.Backend.
func (m *mailDesk) Authenticate(ctx context.Context, _ *smtpserver.Peer, username, password string) (smtpserver.Identity, *reply.Reply) {
	return m.identity(m.access.Authenticate(ctx, username, password))
}

// identity answers who a credential is.
func (m *mailDesk) identity(s access.Sender, err error) (smtpserver.Identity, *reply.Reply) {
	switch {
	case err == nil:
		return smtpserver.Identity{Tenant: s.Tenant, Credential: s.Credential}, nil
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Denied):
		r := replyOf(err)
		return smtpserver.Identity{}, &r
	}
	m.log.Error("check a credential", "error", err)
	r := reply.New(454, "4.7.0", "Authentication is out of reach; try again later.")
	return smtpserver.Identity{}, &r
}

// Scram implements smtpserver.Backend.
func (m *mailDesk) Scram(ctx context.Context, _ *smtpserver.Peer, username string) (scram.Verifier, *reply.Reply) {
	v, _, err := m.access.Scram(ctx, username)
	if err != nil && !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
		return v, m.tryLater("find a credential", err)
	}
	return v, nil
}

// Proved implements smtpserver.Backend.
func (m *mailDesk) Proved(ctx context.Context, _ *smtpserver.Peer, username string) (smtpserver.Identity, *reply.Reply) {
	return m.identity(m.access.Admit(ctx, username))
}

// Trusted implements smtpserver.Backend.
func (m *mailDesk) Trusted(ctx context.Context, ip netip.Addr) (smtpserver.Identity, bool) {
	s, ok, err := m.access.Trusted(ctx, ip)
	if err != nil {
		m.log.Error("look for a network credential", "error", err)
		return smtpserver.Identity{}, false
	}
	return smtpserver.Identity{Tenant: s.Tenant, Credential: s.Credential}, ok
}

// Mail implements smtpserver.Backend.
func (m *mailDesk) Mail(ctx context.Context, t *smtpserver.Transaction) *reply.Reply {
	if no := m.floors.mail(&t.Peer, t.Identity.Tenant); no != nil {
		return no
	}
	if t.Peer.Role == smtpserver.MX || t.Sender.IsNull() {
		return nil
	}
	if err := m.senders.MaySend(ctx, t.Identity.Tenant, t.Sender); err != nil {
		if fault.KindOf(err).Temporary() {
			return m.tryLater("ask who may send", err)
		}
		r := replyOf(err)
		return &r
	}
	return nil
}

// addressee is what Recipient found out and Accept needs.
type addressee struct {
	tenant ids.Tenant
	route  deliver.Route
}

// Recipient implements smtpserver.Backend.
func (m *mailDesk) Recipient(ctx context.Context, t *smtpserver.Transaction, r *smtpserver.Recipient) *reply.Reply {
	if t.Peer.Role != smtpserver.MX {
		route, err := m.routes.Route(ctx, t.Identity.Tenant, r.Address)
		if err != nil {
			return m.tryLater("route a recipient", err)
		}
		r.Note = addressee{t.Identity.Tenant, route}
		return nil
	}
	tenant, route, found, err := m.desk.Recipient(ctx, r.Address)
	switch {
	case fault.Is(err, fault.Denied):
		text, _ := fault.Public(err)
		no := reply.New(550, "5.2.1", text)
		return &no
	case err != nil:
		return m.tryLater("look up a recipient", err)
	case !found:
		no := reply.New(550, "5.1.1", "No such recipient here; check the address.")
		return &no
	case len(t.Recipients) > 0 && t.Recipients[0].Note.(addressee).tenant != tenant:
		// One message belongs to one customer's record and policy.
		later := reply.New(452, "4.5.3", "Send this recipient in a transaction of its own.")
		return &later
	}
	if no := m.floors.mail(&t.Peer, tenant); no != nil {
		return no
	}
	r.Note = addressee{tenant, route}
	return nil
}

// body is a draft as the door fills it.
type body struct {
	*blob.Draft
	ctx context.Context
	log *slog.Logger
}

// Discard implements smtpserver.Body.
func (b *body) Discard() {
	if err := b.Draft.Discard(context.WithoutCancel(b.ctx)); err != nil {
		b.log.Warn("discard a draft; the sweep will", "error", err)
	}
}

// NewBody implements smtpserver.Backend.
func (m *mailDesk) NewBody(ctx context.Context, _ *smtpserver.Transaction) (smtpserver.Body, *reply.Reply) {
	return &body{m.drafts.Begin(ctx), ctx, m.log}, nil
}

// Accept implements smtpserver.Backend.
func (m *mailDesk) Accept(ctx context.Context, t *smtpserver.Transaction, sb smtpserver.Body) reply.Reply {
	b := sb.(*body)
	if err := b.Finish(); err != nil {
		b.Discard()
		return *m.tryLater("finish a draft", err)
	}
	ctx, span := m.tracer.Start(ctx, "accept", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("mailvow.door", t.Peer.Role.String()), attribute.Int("mailvow.recipients", len(t.Recipients))))
	defer span.End()
	receipt, err := m.intake.Accept(ctx, m.submission(t, b.Draft))
	failSpan(span, err)
	if err != nil {
		if fault.KindOf(err).Temporary() {
			return *m.tryLater("accept a message", err)
		}
		return replyOf(err)
	}
	span.SetAttributes(attribute.String("mailvow.message", receipt.Message.String()))
	if t.Peer.Role != smtpserver.MX && m.used != nil {
		m.used(ctx, t.Identity.Tenant)
	}
	return reply.New(250, "2.0.0", fmt.Sprintf("Accepted as %s", receipt.Message))
}

func (m *mailDesk) submission(t *smtpserver.Transaction, d *blob.Draft) *intake.Submission {
	s := &intake.Submission{
		Tenant: t.Recipients[0].Note.(addressee).tenant, Direction: history.Inbound, Sender: t.Sender, Draft: d,
		Peer: deliver.Peer{IP: t.Peer.IP.String(), Name: t.Peer.Helo, TLS: t.Peer.TLS, Protocol: t.Peer.Protocol(t.SMTPUTF8)},
		Need: deliver.Need{EightBit: t.Body8Bit, SMTPUTF8: t.SMTPUTF8, RequireTLS: t.RequireTLS, Return: t.RET, EnvelopeID: t.ENVID},
	}
	if t.Peer.Role != smtpserver.MX {
		s.Direction = history.Outbound
		s.MaySend = func(ctx context.Context, from address.Address) error {
			return m.senders.MaySend(ctx, s.Tenant, from)
		}
	}
	for _, r := range t.Recipients {
		s.Recipients = append(s.Recipients, queue.Recipient{Address: r.Address, Notify: r.Notify, ORcpt: r.ORcpt, Route: r.Note.(addressee).route})
	}
	return s
}
