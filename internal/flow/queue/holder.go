package queue

import (
	"context"
	"io"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
)

// Holder reaches one person's mail that still waits: what goes to the person,
// what the person sent, and notices that report on the person.
type Holder struct {
	q     *Queue
	found *history.Holder
}

// Holder makes the holder of this queue. A person's messages are found by the
// records that name them.
func (q *Queue) Holder(found *history.Holder) *Holder { return &Holder{q, found} }

// HolderName implements pledge.Holder.
func (p *Holder) HolderName() string { return "queue" }

// waits is one recipient's row, opened; a holder's also with its message.
type waits struct {
	leased
	row
	env     *Envelope
	content *Stored
}

// each gives every waiting row that has to do with the person.
func (p *Holder) each(ctx context.Context, s pledge.Subject, yield func(waits) error) error {
	return p.found.Messages(ctx, s, func(f history.Found) error {
		in := scope.Tenant(f.Tenant)
		rows, err := p.ofMessage(ctx, in, f.Message, s.Address)
		if err != nil {
			return err
		}
		notices, err := p.notices(ctx, in, f.Message)
		if err != nil {
			return err
		}
		for _, w := range append(rows, notices...) {
			if err := yield(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// ofMessage are the rows of a message: all of them if the person sent it, else
// the person's own.
func (p *Holder) ofMessage(ctx context.Context, in scope.Scope, m ids.Message, person address.Address) ([]waits, error) {
	all, tenant := in.Args()
	rows, err := p.read(ctx, in, "of_message", int64(m), all, tenant)
	if err != nil {
		return nil, err
	}
	var mine []waits
	for _, w := range rows {
		if same(w.env.Sender, person) || same(w.Address, person) {
			mine = append(mine, w)
		}
	}
	return mine, nil
}

func same(a, b address.Address) bool { return !a.IsNull() && a.Canonical() == b.Canonical() }

// notices are the rows of notifications about a message: they quote its
// recipients. Which notice told of it stands in the message's record.
func (p *Holder) notices(ctx context.Context, in scope.Scope, m ids.Message) ([]waits, error) {
	events, err := p.q.History.Of(ctx, in, m)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, tenant := in.Args()
	var list []waits
	seen := map[string]bool{}
	for _, e := range events {
		if e.Kind != history.Notified || seen[e.Detail.Note] {
			continue
		}
		seen[e.Detail.Note] = true
		id, err := ids.Parse[ids.Recipient](e.Detail.Note)
		if err != nil {
			continue // an older spelling; the notice is long settled
		}
		rows, err := p.read(ctx, in, "row", int64(id), all, tenant)
		if err != nil {
			return nil, err
		}
		list = append(list, rows...)
	}
	return list, nil
}

// read opens rows with the envelope of their message.
func (p *Holder) read(ctx context.Context, in scope.Scope, query string, args ...any) ([]waits, error) {
	var rows []leased
	err := p.q.set.Each(ctx, query, args, func(scan func(...any) error) error {
		l, err := scanLeased(scan)
		rows = append(rows, l)
		return err
	})
	if err != nil {
		return nil, fault.Wrap(err, "find a person's mail in the queue")
	}
	var list []waits
	for _, l := range rows {
		w := waits{leased: l}
		if w.row, err = p.q.openRow(l.tenant, l.id, l.sealed); err == nil {
			w.env, w.content, err = p.q.stored(ctx, in, l.message)
		}
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue // settled meanwhile, or nothing opens it any more
		}
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

// Find implements pledge.Holder.
func (p *Holder) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	t := pledge.Trace{Category: queued, Holder: p.HolderName()}
	err := p.each(ctx, s, func(w waits) error {
		at := w.message.Time()
		if t.Count++; t.First.IsZero() || at.Before(t.First) {
			t.First = at
		}
		if at.After(t.Last) {
			t.Last = at
		}
		return nil
	})
	if err != nil || t.Count == 0 {
		return nil, err
	}
	return []pledge.Trace{t}, nil
}

// HandOver implements pledge.Holder: each waiting message with its bytes, which
// stand with the first of its recipients.
func (p *Holder) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	var first waits
	return p.each(ctx, s, func(w waits) error {
		fields := map[string]string{"sender": w.env.Sender.Text(), "state": w.state.String(), "subject": w.env.Subject, "message_id": w.env.MessageID}
		if same(w.Address, s.Address) || same(w.env.Sender, s.Address) {
			fields["recipient"] = w.Address.Text()
		}
		for name, value := range fields {
			if value == "" {
				delete(fields, name)
			}
		}
		r := pledge.Record{Category: queued, ID: w.id.String(), At: w.env.Received, Fields: fields}
		if w.message == first.message {
			fields["same_mail_as"] = first.id.String()
		} else {
			first, r.Content = w, p.content(w)
		}
		return yield(r)
	})
}

// content reads a message's bytes piece by piece.
func (p *Holder) content(w waits) func(context.Context, func([]byte) error) error {
	return func(ctx context.Context, yield func([]byte) error) error {
		c, err := p.q.read(ctx, w.content)
		if err != nil {
			return err
		}
		defer c.Close()
		piece := make([]byte, 64<<10)
		for at := int64(0); at < c.Size(); {
			n, err := c.ReadAt(piece, at)
			if n == 0 && err != nil && err != io.EOF { //nolint:errorlint // io.ReaderAt gives io.EOF itself
				return fault.Wrap(err, "read message bytes")
			}
			if err := yield(piece[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
		return nil
	}
}

// Correct implements pledge.Holder. A message is its sender's; nobody else may
// change it.
func (p *Holder) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// restricted marks a row that waits because its person asked for it.
const (
	restricted = "restricted at the person's request"
	lifted     = "the person's restriction was lifted"
)

// Restrict implements pledge.Holder: what waits is held, and let go when the
// restriction is lifted. What is under way now is not stopped.
func (p *Holder) Restrict(ctx context.Context, s pledge.Subject, on bool) (int, error) {
	count := 0
	err := p.each(ctx, s, func(w waits) error {
		if on == (w.Why == restricted) || w.state == Leased {
			return nil
		}
		was, kind, by := w.state, history.Held, Hand{Reason: restricted}
		if w.state, w.Why = Held, restricted; !on {
			w.state, w.Why, kind, by = Ready, "", history.Released, Hand{Reason: lifted}
		}
		moved, err := p.q.move(ctx, &w, was, kind, by)
		if moved {
			count++
		}
		return err
	})
	p.q.feed()
	return count, fault.Wrap(err, "restrict a person's mail in the queue")
}

// Erase implements pledge.Holder: what goes to the person or comes from it is
// cancelled, with nobody told; bytes that others wait for stay for them and go
// with the last of them. What a courier has in hand cannot be taken back; it is
// reached by a repeat once it is settled.
func (p *Holder) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	gone := pledge.Erased{Category: queued, Epoch: p.q.config.Expiry + keysAfter}
	o := outcome.ByUs(outcome.Cancelled, 554, "5.3.0", "The message was cancelled.")
	err := p.each(ctx, s, func(w waits) error {
		took, err := p.q.takeOut(ctx, scope.Tenant(w.tenant), w.id, o, Hand{})
		switch {
		case fault.Is(err, fault.NotFound):
			return nil
		case err != nil:
			return err
		case took:
			gone.Count++
		default:
			gone.Later++
			gone.Why = "a delivery was under way; it is erased once it is settled"
		}
		return nil
	})
	return []pledge.Erased{gone}, fault.Wrap(err, "erase a person from the queue")
}

// keysAfter is how long after a message's expiry its keys live.
const keysAfter = 24 * time.Hour

var _ pledge.Holder = (*Holder)(nil)
