package app

import (
	"context"
	"net"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/mention"
	"mailvow/internal/flow/queue"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/tenant"
)

// openCases makes the desk of persons' requests; it gets those who carry out what
// it decides when they exist, since its own cases are among what they reach.
func (h *House) openCases() {
	h.cases = request.New(request.Config{
		DB: h.db, Vault: h.vault, Links: link.New(h.db, h.vault, h.ids, h.Clock), Tenants: h.tenants, Stage: h.stage, Nudge: h.evidence.Nudge,
		IDs: h.ids, Clock: h.Clock, Observe: h.observe, Post: h.postLetter, Base: h.publicURL,
	})
}

// publicURL is where people without an account reach this server.
func (h *House) publicURL() string {
	if at := h.doors.at("http"); at != "" && h.Dev {
		if _, port, err := net.SplitHostPort(at); err == nil {
			return "http://" + net.JoinHostPort("localhost", port)
		}
	}
	return consoleURL(h.Config)
}

// postLetter mails a person as the platform, from privacy@ this server.
func (h *House) postLetter(ctx context.Context, l request.Letter) error {
	return h.postAs(ctx, "privacy", "Privacy", l)
}

// postAs mails somebody as the platform, from a mailbox of this server's name.
func (h *House) postAs(ctx context.Context, mailbox, name string, l request.Letter, files ...message.Attachment) error {
	_, err := h.post(ctx, mailbox, name, l.To, l.Subject, l.Text, files...)
	return err
}

// postsAs is the customer whose mail the platform's own is. In dev mode it is the
// one whose room of caught mail a developer looks into.
func (h *House) postsAs(to address.Address) ids.Tenant {
	if h.Dev && h.shown.tenant != 0 && !ofCanary(to) {
		return h.shown.tenant
	}
	return tenant.Platform
}

// post mails somebody as the platform, from an address of this server. A bounce
// has nowhere to go: the envelope's sender is null (RFC 5321 4.5.5).
func (h *House) post(ctx context.Context, from, name string, to address.Address, subject, text string, files ...message.Attachment) (ids.Message, error) {
	sender, err := address.Parse(from + "@" + h.Config.Hostname)
	if err != nil {
		return 0, fault.Wrap(err, "write as this server")
	}
	by := h.postsAs(to)
	route, err := h.routes().Route(ctx, by, to)
	if err != nil {
		return 0, err
	}
	draft := h.drafts.Begin(ctx)
	_, err = message.Compose{
		From: []message.Mailbox{{Name: name, Address: sender.Text()}}, To: []message.Mailbox{{Address: to.Text()}},
		Subject: subject, Text: text, Date: h.Clock.Now(), MessageID: ids.New[ids.Reference](h.ids).String() + "@" + sender.Domain(),
		Headers:  []message.HeaderField{{Name: "Auto-Submitted", Value: "auto-generated"}}, // RFC 3834 5
		SMTPUTF8: to.NeedsUTF8(), Attachments: files,
	}.WriteTo(draft)
	if err == nil {
		err = draft.Finish()
	}
	if err != nil {
		if e := draft.Discard(ctx); e != nil {
			h.observe.Log.WarnContext(ctx, "discard a draft; the sweep will", "error", e)
		}
		return 0, fault.Wrap(err, "write a letter")
	}
	receipt, err := h.intake.Accept(ctx, &intake.Submission{
		Tenant: by, Direction: history.Outbound, Class: queue.Transactional, Peer: deliver.Peer{Protocol: "HTTP"},
		Recipients: []queue.Recipient{{Address: to, Route: route}}, Draft: draft, Need: deliver.Need{SMTPUTF8: to.NeedsUTF8(), EightBit: to.NeedsUTF8()},
	})
	return receipt.Message, err
}

// ofCanary says whether an address is the probes'.
func ofCanary(a address.Address) bool {
	return a.Domain() == canaryDomain || strings.HasSuffix(a.Domain(), "."+canaryDomain)
}

// shownCases implements httpapi.Requests.
type shownCases struct{ *request.Desk }

var _ httpapi.Requests = shownCases{}

// Enter implements httpapi.Requests.
func (s shownCases) Enter(ctx context.Context, t ids.Tenant, by access.Principal, q request.Asked) (request.Case, error) {
	return s.Desk.Enter(ctx, t, actor(by), q)
}

// Decide implements httpapi.Requests.
func (s shownCases) Decide(ctx context.Context, by access.Principal, x request.Decision) (request.Case, error) {
	x.By = actingAs(by)
	return s.Desk.Decide(ctx, x)
}

// shownMentions implements httpapi.Mentions.
type shownMentions struct{ *mention.Store }

var _ httpapi.Mentions = shownMentions{}

// Order implements httpapi.Mentions.
func (s shownMentions) Order(ctx context.Context, t ids.Tenant, by access.Principal, who pledge.Subject) (mention.Search, error) {
	return s.Store.Order(ctx, t, actor(by), who)
}

// Decide implements httpapi.Mentions.
func (s shownMentions) Decide(ctx context.Context, in scope.Scope, by access.Principal, id ids.Job, n int, v mention.Verdict, left string) error {
	return s.Store.Decide(ctx, in, actor(by), id, n, v, left)
}
