package queue

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
)

// deliver makes one attempt: ask the gate, open the content, let the courier
// carry. It returns one outcome per recipient.
func (q *Queue) deliver(ctx context.Context, w *work) ([]outcome.Outcome, error) {
	now := q.Clock.Now()
	outcomes := make([]outcome.Outcome, len(w.entries))
	open, err := q.gate(ctx, w, outcomes)
	if err != nil || len(open) == 0 {
		return outcomes, err
	}
	courier := q.Couriers[w.parcel.Route.Kind]
	if courier == nil {
		return nil, fault.New(fault.Internal, "no courier for this kind of route").WithHint("start a process with the deliver role that has it")
	}
	content, err := q.open(ctx, w)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	p := *w.parcel
	p.Content, p.Recipients = content, open
	carried := courier.Deliver(ctx, &p)
	if len(carried) != len(open) {
		return nil, fault.New(fault.Internal, "a courier returned too few outcomes")
	}
	next := 0
	for i := range outcomes {
		if outcomes[i].Kind == 0 {
			outcomes[i] = carried[next]
			next++
		}
	}
	q.meter.attempt(w.parcel.Route.Kind, q.Clock.Now().Sub(now))
	return outcomes, nil
}

// gate decides, at the moment of sending, who may be sent to. The outcomes of
// the others are set; the open ones are returned.
func (q *Queue) gate(ctx context.Context, w *work, outcomes []outcome.Outcome) ([]deliver.Recipient, error) {
	list := make([]address.Address, len(w.parcel.Recipients))
	for i, r := range w.parcel.Recipients {
		list[i] = r.Address
	}
	refused, err := q.Gate.Refused(ctx, w.parcel.Tenant, list)
	if err != nil {
		return nil, fault.Wrap(err, "ask whether recipients may be sent to")
	}
	open := make([]deliver.Recipient, 0, len(list))
	for i, r := range w.parcel.Recipients {
		if i < len(refused) && refused[i] != "" {
			outcomes[i] = outcome.ByUs(outcome.Suppressed, 550, "5.7.1", refused[i])
			continue
		}
		open = append(open, r)
	}
	return open, nil
}

// settle writes the outcomes of a parcel in one commit: rows removed or due
// again, history, suppression of addresses that do not exist, notices. If a
// lease was lost meanwhile, nothing changes but history.
func (q *Queue) settle(ctx context.Context, w *work, outcomes []outcome.Outcome) error {
	s := settlement{q: q, w: w, unit: &db.Unit{}, conversations: map[*outcome.Conversation]ids.Attempt{}}
	for i := range outcomes {
		if err := s.recipient(i, &outcomes[i]); err != nil {
			return err
		}
	}
	if err := s.notices(ctx); err != nil {
		s.drop()
		return err
	}
	if s.settled > 0 {
		s.unit.Changes = append(s.unit.Changes,
			db.Change{By: q.bulk.dropMessage, Row: []any{int64(w.parcel.Message)}, Optional: true},
			db.Change{By: q.bulk.dropBody, Row: []any{int64(w.parcel.Message)}, Optional: true})
	}
	ctx, span := q.Observe.Tracer.Start(ctx, "settle", trace.WithAttributes(
		attribute.String("mailvow.message", w.parcel.Message.String()), attribute.Int("mailvow.recipients", len(outcomes))))
	err := q.DB.Commit(ctx, s.unit)
	span.End()
	if fault.Is(err, fault.Conflict) && !w.unleased {
		s.drop()
		return q.superseded(ctx, w, outcomes)
	}
	if err != nil {
		s.drop()
		return fault.Wrap(err, "settle parcel")
	}
	s.release()
	q.meter.settled(outcomes)
	q.dropBlob(ctx, w, s.settled)
	return nil
}

// settlement gathers what one parcel's outcomes mean.
type settlement struct {
	q             *Queue
	w             *work
	unit          *db.Unit
	settled       int
	failed        []report
	conversations map[*outcome.Conversation]ids.Attempt
	admissions    []*Admission
}

func (s *settlement) drop() {
	for _, a := range s.admissions {
		a.Drop()
	}
}

func (s *settlement) release() {
	for _, a := range s.admissions {
		a.Go()
	}
}

// recipient adds what one outcome changes.
func (s *settlement) recipient(i int, o *outcome.Outcome) error {
	q, r, e := s.q, s.w.parcel.Recipients[i], s.w.entries[i]
	now := q.Clock.Now()
	if !o.Kind.Final() && !now.Before(e.expires) {
		*o = outcome.Outcome{Kind: outcome.Expired, Class: outcome.Soft, Reply: o.Reply, By: o.By, Took: o.Took, TLS: o.TLS, Conversation: o.Conversation}
	}
	if err := s.write(history.KindOf(o.Kind), i, o); err != nil {
		return err
	}
	if o.Kind.Final() {
		s.settled++
		done := q.bulk.done
		if s.w.unleased {
			done = q.bulk.takeOut
		}
		s.unit.Changes = append(s.unit.Changes, db.Change{By: done, Row: []any{int64(r.ID), e.token}})
	} else if err := s.again(i, o); err != nil {
		return err
	}
	if o.Kind == outcome.Failed && o.Class == outcome.Hard && s.w.env.Direction == history.Outbound {
		if err := q.Gate.Bounced(s.unit, s.w.parcel.Tenant, r.Address, o.Reply.String()); err != nil {
			return fault.Wrap(err, "suppress a recipient that does not exist")
		}
	}
	if wantsReport(r, o) {
		s.failed = append(s.failed, report{r, *o})
	}
	return nil
}

// again makes a row due later.
func (s *settlement) again(i int, o *outcome.Outcome) error {
	q, r, e := s.q, s.w.parcel.Recipients[i], s.w.entries[i]
	due := q.Clock.Now().Add(Delay(e.attempt, o.RetryAfter, spreadOf(int64(r.ID))))
	if due.After(e.expires) {
		due = e.expires
	}
	sealed, err := q.sealRow(q.classUntil(due, r.ID), s.w.parcel.Tenant, r.ID, &row{
		Recipient: Recipient{Address: r.Address, Notify: r.Notify, ORcpt: r.ORcpt, Route: s.w.parcel.Route},
		LastReply: o.Reply.String(),
	})
	if err != nil {
		return err
	}
	s.unit.Changes = append(s.unit.Changes, db.Change{By: q.bulk.again, Row: []any{int64(r.ID), e.token, int64(Ready), clock.Micros(due), sealed}})
	return nil
}

// write adds the outcome's line of history and its conversation.
func (s *settlement) write(kind history.Kind, i int, o *outcome.Outcome) error {
	q, p, env := s.q, s.w.parcel, s.w.env
	known := env.known(p.Recipients[i].Address)
	attempt := ids.Attempt(0)
	if o.Conversation != nil && len(o.Conversation.Steps) > 0 {
		attempt = s.conversations[o.Conversation]
		if attempt == 0 {
			attempt = ids.New[ids.Attempt](q.IDs)
			s.conversations[o.Conversation] = attempt
			if err := q.History.WriteConversation(s.unit, attempt, p.Message, p.Tenant, env.Direction, o.Conversation, known); err != nil {
				return err
			}
		}
	}
	d := history.Detail{Recipients: []string{p.Recipients[i].Address.Text()}, Reply: o.Reply.String(), Took: o.Took, Actor: s.w.by.Actor, Note: s.w.by.Reason}
	if env.Direction != history.Inbound {
		d.By, d.TLS, d.Attempts = o.By, o.TLS, s.w.entries[i].attempt
	}
	return q.History.Write(s.unit, history.Event{
		Message: p.Message, Recipient: p.Recipients[i].ID, Tenant: p.Tenant, Direction: env.Direction,
		Kind: kind, At: q.Clock.Now(), Attempt: attempt, Detail: d,
	}, known)
}

func (e *Envelope) known(recipient address.Address) history.Known {
	return history.Known{Sender: e.Sender.Text(), Recipient: recipient.Text(), Subject: e.Subject, MessageID: e.MessageID, IP: e.Peer.IP}
}

// superseded records outcomes that came after their lease was lost, unless the
// record was deleted meanwhile: then nothing is told of the message any more.
func (q *Queue) superseded(ctx context.Context, w *work, outcomes []outcome.Outcome) error {
	_, err := q.History.Of(ctx, scope.Tenant(w.parcel.Tenant), w.parcel.Message)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s := settlement{q: q, w: w, unit: &db.Unit{}, conversations: map[*outcome.Conversation]ids.Attempt{}}
	for i := range outcomes {
		if err := s.write(history.Superseded, i, &outcomes[i]); err != nil {
			return err
		}
	}
	return fault.Wrap(q.DB.Commit(ctx, s.unit), "record outcomes without a lease")
}

// wantsReport decides by RFC 3461 4.1: without NOTIFY failures are reported;
// with it, what it lists.
func wantsReport(r deliver.Recipient, o *outcome.Outcome) bool {
	asked := func(word string) bool { return strings.Contains(strings.ToUpper(r.Notify), word) }
	switch o.Kind {
	case outcome.Failed, outcome.Expired:
		return r.Notify == "" || asked("FAILURE")
	case outcome.Delivered:
		return asked("SUCCESS") && !o.PassedDSN
	case outcome.Deferred, outcome.Unknown, outcome.Suppressed, outcome.Cancelled:
	}
	return false
}

// report is one recipient's line in a delivery status notification.
type report struct {
	recipient deliver.Recipient
	outcome   outcome.Outcome
}
