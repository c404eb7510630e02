package queue

import (
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
)

// Envelope is what is known of a message besides its bytes, the same for all
// its recipients.
type Envelope struct {
	ID        ids.Message
	Tenant    ids.Tenant
	Direction history.Direction
	Class     Class
	Sender    address.Address
	Peer      deliver.Peer
	Need      deliver.Need
	Subject   string
	MessageID string
	Received  time.Time
	Size      int64
}

// Recipient is one recipient as intake hands it over.
type Recipient struct {
	Address address.Address
	Notify  string
	ORcpt   string
	Route   deliver.Route
}

const envelopeVersion, recipientVersion = 1, 1

func (e *Envelope) append(dst []byte) []byte {
	w := pack.To(dst, envelopeVersion)
	w.String(e.Sender.Text())
	w.String(e.Peer.IP)
	w.String(e.Peer.Name)
	w.String(e.Peer.TLS)
	w.String(e.Peer.Protocol)
	w.Bool(e.Need.EightBit)
	w.Bool(e.Need.SMTPUTF8)
	w.Bool(e.Need.RequireTLS)
	w.String(e.Need.Return)
	w.String(e.Need.EnvelopeID)
	w.String(e.Subject)
	w.String(e.MessageID)
	return w.Bytes()
}

func (e *Envelope) read(record []byte) error {
	r, version := pack.From(record)
	if version != envelopeVersion {
		return fault.New(fault.Internal, "message row of an unknown version")
	}
	sender := r.String()
	e.Peer = deliver.Peer{IP: r.String(), Name: r.String(), TLS: r.String(), Protocol: r.String()}
	e.Need = deliver.Need{EightBit: r.Bool(), SMTPUTF8: r.Bool(), RequireTLS: r.Bool(), Return: r.String(), EnvelopeID: r.String()}
	e.Subject = r.String()
	e.MessageID = r.String()
	e.Received = e.ID.Time()
	var err error
	if sender != "" {
		e.Sender, err = address.Parse(sender)
	}
	if err == nil {
		err = r.Err()
	}
	return err
}

// row is what the sealed column of one recipient holds.
type row struct {
	Recipient
	LastReply string
	Why       string // why it is held
}

func (r *row) append(dst []byte) []byte {
	w := pack.To(dst, recipientVersion)
	w.String(r.Address.Text())
	w.String(r.Notify)
	w.String(r.ORcpt)
	w.Uint(uint64(r.Route.Kind))
	w.Strings(r.Route.Hosts)
	w.Uint(uint64(r.Route.TLS))
	w.String(r.Route.Username)
	w.String(r.Route.Password)
	w.String(r.Route.URL)
	w.String(string(r.Route.Secret))
	w.String(r.Route.Pool)
	w.String(r.LastReply)
	w.String(r.Why)
	return w.Bytes()
}

func readRow(record []byte) (row, error) {
	r, version := pack.From(record)
	if version != recipientVersion {
		return row{}, fault.New(fault.Internal, "queue row of an unknown version")
	}
	var out row
	text := r.String()
	out.Notify, out.ORcpt = r.String(), r.String()
	out.Route = deliver.Route{
		Kind: deliver.RouteKind(r.Uint()), Hosts: r.Strings(), TLS: deliver.TLSPolicy(r.Uint()),
		Username: r.String(), Password: r.String(), URL: r.String(), Secret: []byte(r.String()), Pool: r.String(),
	}
	out.LastReply, out.Why = r.String(), r.String()
	if err := r.Err(); err != nil {
		return row{}, err
	}
	a, err := address.Parse(text)
	out.Address = a
	return out, err
}

// Site is by what people list, pause and act on recipients: their domain,
// whichever way the mail to it goes.
func Site(recipient address.Address) string { return recipient.Domain() }

// destination is by what lanes are told apart: the endpoint, the named host, or
// the recipient's domain.
func destination(r deliver.Route, recipient address.Address) string {
	switch r.Kind {
	case deliver.Webhook:
		return r.URL
	case deliver.Host:
		if len(r.Hosts) > 0 {
			return r.Hosts[0]
		}
	case deliver.Caught:
		return "caught"
	case deliver.MX, deliver.Local, deliver.Cases:
	}
	return Site(recipient)
}
