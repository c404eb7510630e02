package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/standard/dsn"
)

// notices adds one notification for the sender, if somebody is to be told. A
// message with the null sender gets none: no bounce of a bounce (RFC 5321 6.1).
func (s *settlement) notices(ctx context.Context) error {
	w, q := s.w, s.q
	if len(s.failed) == 0 || w.env.Sender.IsNull() || w.env.Direction == history.Notice {
		return nil
	}
	headers, err := q.headers(ctx, w)
	if err != nil {
		// Without its key the original is gone; the sender is told all the same.
		q.log.Warn("a notice goes out without the original's headers", "message", w.parcel.Message.String(), "error", err)
	}
	now := q.Clock.Now()
	env := &Envelope{
		ID: ids.New[ids.Message](q.IDs), Tenant: w.env.Tenant, Direction: history.Notice, Class: Transactional,
		Peer: deliver.Peer{Protocol: "local"}, Received: now, Need: deliver.Need{SMTPUTF8: w.env.Need.SMTPUTF8, EightBit: true},
	}
	env.MessageID = fmt.Sprintf("%s@%s", env.ID, q.config.Hostname)
	var content bytes.Buffer
	known := w.env.known(address.Address{})
	headers = []byte(q.History.Withhold(env.Tenant, w.env.Direction, string(headers), known))
	for i := range s.failed {
		r := &s.failed[i].outcome.Reply
		r.Text = q.History.Withhold(env.Tenant, w.env.Direction, r.Text, known)
	}
	if err := q.reportOf(w, env, s.failed, headers).Write(&content); err != nil {
		return fault.Wrap(err, "write notice")
	}
	env.Size, env.Subject = int64(content.Len()), ""
	return s.admit(ctx, env, content.Bytes())
}

// admit puts the notice into the same commit as what it tells of.
func (s *settlement) admit(ctx context.Context, env *Envelope, content []byte) error {
	q, w := s.q, s.w
	to := w.env.Sender
	route, err := q.Routes.Route(ctx, env.Tenant, to)
	if err != nil {
		return fault.Wrap(err, "route notice")
	}
	stored, err := q.Inline(env.Tenant, env.ID, content)
	if err != nil {
		return err
	}
	adm, given, err := q.Add(s.unit, env, stored, []Recipient{{Address: to, Notify: "NEVER", Route: route}}, "")
	if err != nil {
		return err
	}
	s.admissions = append(s.admissions, adm)
	known := env.known(to)
	err = q.History.Write(s.unit, history.Event{
		Message: env.ID, Tenant: env.Tenant, Direction: history.Notice, Kind: history.Accepted, At: env.Received,
		Detail: history.Detail{Recipients: []string{to.Text()}, MessageID: env.MessageID, Size: env.Size},
	}, known)
	for _, f := range s.failed {
		if err == nil {
			err = q.History.Write(s.unit, history.Event{
				Message: w.parcel.Message, Recipient: f.recipient.ID, Tenant: env.Tenant, Direction: w.env.Direction,
				Kind: history.Notified, At: env.Received, Detail: history.Detail{Note: given[0].String()},
			}, known)
		}
	}
	return err
}

func (q *Queue) reportOf(w *work, env *Envelope, failed []report, headers []byte) *dsn.Report {
	r := &dsn.Report{
		Hostname: q.config.Hostname, To: w.env.Sender.Text(), Boundary: "notice" + env.ID.String()[4:], MessageID: "<" + env.MessageID + ">",
		EnvelopeID: w.env.Need.EnvelopeID, Received: w.env.Received, Now: env.Received, UTF8: w.env.Need.SMTPUTF8, Headers: headers,
	}
	for _, f := range failed {
		x := dsn.Recipient{Address: f.recipient.Address.Text(), ORcpt: f.recipient.ORcpt, Action: dsn.Failed, Reply: f.outcome.Reply, At: env.Received}
		if f.outcome.Kind == outcome.Delivered {
			x.Action = dsn.Relayed
		}
		if f.outcome.By != "mailvow" {
			x.RemoteMTA = f.outcome.By
		}
		r.Recipients = append(r.Recipients, x)
	}
	return r
}

// maxHeader bounds how much of a message is searched for the end of its headers.
const maxHeader = 256 << 10

// headers reads a message's header section with its last line end.
func (q *Queue) headers(ctx context.Context, w *work) ([]byte, error) {
	content, err := q.open(ctx, w)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	b := make([]byte, min(content.Size(), maxHeader))
	n, err := content.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(err, "read headers")
	}
	b = b[:n]
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		b = b[:i+2]
	}
	return b, nil
}
