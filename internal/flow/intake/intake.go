// Package intake takes responsibility for a message. It promises that Accept
// returns without an error only when the sealed message, its queue rows and its
// line of history are durable in one commit; that a message which loops is
// refused; and that what it adds (Received, and on submission Date, Message-ID
// and DKIM signatures) stands before the bytes that came, which it never
// changes. Who may send, and which recipients exist, its callers have decided.
package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/pledge"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
)

// Submission is a message as a door or a product hands it over. The draft is
// intake's from then on: it keeps or discards it.
type Submission struct {
	Tenant     ids.Tenant
	Direction  history.Direction
	Class      queue.Class
	Sender     address.Address
	Recipients []queue.Recipient
	Peer       deliver.Peer
	Need       deliver.Need
	Draft      *blob.Draft
	Tags       []string
	Hold       string // why it waits for a person; "" does not hold
	// MaySend is asked whether the customer may send as the From and Sender
	// fields say; nil lets everything pass.
	MaySend func(ctx context.Context, as address.Address) error
}

// Receipt is what was accepted.
type Receipt struct {
	Message    ids.Message
	Recipients []ids.Recipient
}

// Signer signs for a customer's domains. No signature is no error: the domain
// has no key.
type Signer interface {
	Sign(ctx context.Context, tenant ids.Tenant, domain string, content Content) ([]byte, error)
}

// Content is a message's bytes while they are signed.
type Content interface {
	io.ReaderAt
	Size() int64
}

// Intake is the one way into the queue for mail from outside it.
type Intake struct {
	Hostname string
	DB       *db.DB
	IDs      *ids.Source
	Clock    clock.Clock
	Log      *slog.Logger
	Queue    *queue.Queue
	History  *history.History
	Signer   Signer
	// Purposes says what runs for a customer; nil: everything.
	Purposes pledge.Instructions
}

// maxHops is how many Received fields say that a message loops (RFC 5321 6.3
// asks for at least 100).
const maxHops = 100

// Accept makes a message durable and lets it go. Faults: Invalid (it loops, or
// has no recipient), Denied (the customer's policy does not instruct sending), Full,
// ReadOnly, Unavailable.
func (i *Intake) Accept(ctx context.Context, s *Submission) (Receipt, error) {
	receipt, err := i.accept(ctx, s)
	if err != nil {
		if e := s.Draft.Discard(ctx); e != nil {
			i.Log.Warn("discard a draft; the sweep will", "error", e)
		}
	}
	return receipt, fault.Wrap(err, "accept message")
}

func (i *Intake) accept(ctx context.Context, s *Submission) (Receipt, error) {
	if len(s.Recipients) == 0 {
		return Receipt{}, fault.Field("recipients", "The message has no recipient.")
	}
	if s.Direction == history.Outbound {
		if err := pledge.Refusal(i.Purposes, s.Tenant, pledge.ToDeliver); err != nil {
			return Receipt{}, err
		}
	}
	env, err := i.envelope(s)
	if err != nil {
		return Receipt{}, err
	}
	if err := mayAppear(ctx, s, env); err != nil {
		return Receipt{}, err
	}
	prefix, err := i.prefix(ctx, s, env)
	if err != nil {
		return Receipt{}, err
	}
	stored, err := i.store(env, prefix, s.Draft)
	if err != nil {
		return Receipt{}, err
	}
	unit := &db.Unit{NewMail: true}
	adm, recipients, err := i.Queue.Add(unit, env.Envelope, stored, s.Recipients, s.Hold)
	if err != nil {
		return Receipt{}, err
	}
	err = i.record(unit, s, env)
	if err == nil {
		err = i.DB.Commit(ctx, unit)
	}
	if err != nil {
		adm.Drop()
		return Receipt{}, err
	}
	if err := s.Draft.Keep(); err != nil {
		i.Log.Warn("close an accepted draft", "message", env.ID.String(), "error", err)
	}
	adm.Go()
	return Receipt{Message: env.ID, Recipients: recipients}, nil
}

// arrival is an envelope with what acceptance alone needs.
type arrival struct {
	*queue.Envelope
	authors []address.Address // of the From and Sender fields
	hasFrom bool
	hasDate bool
	hasID   bool
}

// envelope reads the header once: what history shows, and whether it loops.
func (i *Intake) envelope(s *Submission) (*arrival, error) {
	h, err := message.ParseHeader(s.Draft.ReaderAt(), s.Draft.Size(), message.Options{})
	if err != nil {
		return nil, fault.Wrap(err, "read header")
	}
	now := i.Clock.Now()
	env := &queue.Envelope{
		ID: ids.New[ids.Message](i.IDs), Tenant: s.Tenant, Direction: s.Direction, Class: s.Class, Sender: s.Sender,
		Peer: s.Peer, Need: s.Need, Received: now, Subject: clip(h.Text("Subject"), 998), MessageID: clip(h.MessageID(), 998),
	}
	if env.Class == 0 {
		env.Class = queue.Transactional
	}
	a := &arrival{Envelope: env, hasID: env.MessageID != ""}
	hops := 0
	for j := range h.Fields {
		switch {
		case h.Fields[j].Is("Received"):
			hops++
		case h.Fields[j].Is("Date"):
			a.hasDate = true
		case h.Fields[j].Is("From"):
			a.hasFrom = true
		}
	}
	if hops >= maxHops {
		return nil, fault.New(fault.Invalid, "The message has passed 100 hosts; it seems to go round in a circle.")
	}
	return a, a.readAuthors(s, &h)
}

// readAuthors finds whom the message says it is from. A submission says so with
// exactly one address (RFC 5322 3.6.2 allows more; who answers for them is then
// unclear, and DMARC knows only one). One that has no From field at all is from
// its envelope sender.
func (a *arrival) readAuthors(s *Submission, h *message.Header) error {
	if a.lacksFrom(s) {
		a.authors = append(a.authors, s.Sender)
	}
	for _, name := range []string{"From", "Sender"} {
		list := h.Mailboxes(name)
		if s.MaySend != nil && name == "From" && len(list) != 1 && !a.lacksFrom(s) {
			return fault.Field("from", "The message must have one From field with one address.")
		}
		for _, m := range list {
			author, err := address.Parse(m.Address)
			if err == nil {
				a.authors = append(a.authors, author)
			} else if s.MaySend != nil {
				return fault.Field("from", "The address in the "+name+" field is none.")
			}
		}
	}
	return nil
}

// lacksFrom says that the envelope sender stands for an author that is missing.
func (a *arrival) lacksFrom(s *Submission) bool {
	return s.MaySend != nil && !a.hasFrom && !s.Sender.IsNull()
}

// mayAppear asks for each author whether the customer may send as it.
func mayAppear(ctx context.Context, s *Submission, a *arrival) error {
	if s.MaySend == nil {
		return nil
	}
	for _, author := range a.authors {
		if err := s.MaySend(ctx, author); err != nil {
			return err
		}
	}
	return nil
}

// clip cuts between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// prefix is what is put before the bytes that came: Received (RFC 5321 4.4),
// then signatures, then what a submitted message lacks (RFC 6409 8).
func (i *Intake) prefix(ctx context.Context, s *Submission, a *arrival) ([]byte, error) {
	var lacking []byte
	if s.Direction == history.Outbound {
		if a.lacksFrom(s) {
			lacking = fmt.Appendf(lacking, "From: <%s>\r\n", s.Sender.Text())
		}
		if !a.hasDate {
			lacking = fmt.Appendf(lacking, "Date: %s\r\n", a.Received.Format(dateForm))
		}
		if !a.hasID {
			a.MessageID = a.ID.String() + "@" + i.Hostname
			lacking = fmt.Appendf(lacking, "Message-ID: <%s>\r\n", a.MessageID)
		}
	}
	out := i.received(s, a)
	if s.Direction == history.Outbound && i.Signer != nil && len(a.authors) > 0 {
		signed, err := i.Signer.Sign(ctx, s.Tenant, a.authors[0].Domain(), blob.Join(lacking, s.Draft.ReaderAt(), s.Draft.Size()))
		if err != nil {
			return nil, fault.Wrap(err, "sign message")
		}
		out = append(out, signed...)
	}
	return append(out, lacking...), nil
}

const dateForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// received writes the trace field. A submitting client's address is its user's:
// it stays in the record and does not travel.
func (i *Intake) received(s *Submission, a *arrival) []byte {
	out := make([]byte, 0, 256)
	if s.Direction == history.Inbound {
		literal := s.Peer.IP
		if strings.Contains(literal, ":") {
			literal = "IPv6:" + literal // RFC 5321 4.1.3
		}
		out = fmt.Appendf(out, "Received: from %s ([%s])\r\n\t", word(s.Peer.Name), literal)
	} else {
		out = append(out, "Received: "...)
	}
	out = fmt.Appendf(out, "by %s with %s id %s", i.Hostname, s.Peer.Protocol, a.ID)
	if s.Peer.TLS != "" {
		out = fmt.Appendf(out, "\r\n\t(%s)", word(s.Peer.TLS))
	}
	return fmt.Appendf(out, ";\r\n\t%s\r\n", a.Received.Format(dateForm))
}

// word keeps what a peer said of itself from ending the field.
func word(s string) string {
	if s == "" {
		return "unknown"
	}
	clean := bytes.Map(func(r rune) rune {
		if r <= ' ' || r == '(' || r == ')' || r == ';' || r >= 0x7f {
			return '_'
		}
		return r
	}, []byte(clip(s, 255)))
	return string(clean)
}

// store seals the message: whole into its row, or only the prefix where the
// rest went to the blob store as it came.
func (i *Intake) store(a *arrival, prefix []byte, d *blob.Draft) (*queue.Stored, error) {
	a.Size = int64(len(prefix)) + d.Size()
	if s := d.Stored(); s != nil {
		return i.Queue.Large(a.Tenant, a.ID, prefix, s)
	}
	content := make([]byte, 0, a.Size)
	content = append(append(content, prefix...), d.Inline()...)
	return i.Queue.Inline(a.Tenant, a.ID, content)
}

// record writes the accepting line of history. Of inbound mail it keeps the
// fields of the policy's record and nothing else.
func (i *Intake) record(u *db.Unit, s *Submission, a *arrival) error {
	d := history.Detail{Sender: s.Sender.Text(), IP: s.Peer.IP, Subject: a.Subject, MessageID: a.MessageID}
	if s.Direction != history.Inbound {
		d.Size, d.Tags = a.Size, s.Tags
	}
	d.Recipients = make([]string, len(s.Recipients))
	for j, r := range s.Recipients {
		d.Recipients[j] = r.Address.Text()
	}
	known := history.Known{Sender: d.Sender, Subject: d.Subject, MessageID: d.MessageID, IP: d.IP}
	event := history.Event{Message: a.ID, Tenant: s.Tenant, Direction: s.Direction, Kind: history.Accepted, At: a.Received, Detail: d}
	if err := i.History.Write(u, event, known); err != nil || s.Hold == "" {
		return err
	}
	event.Kind, event.Detail = history.Held, history.Detail{Note: s.Hold}
	return i.History.Write(u, event, known)
}
