package history

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/hold"
)

// ForHolds reads what legal holds keep of history: records and conversations.
type ForHolds struct{ persons *Holder }

// ForHolds is the source of holds; it finds persons by this holder.
func (p *Holder) ForHolds() ForHolds { return ForHolds{p} }

var _ hold.Source = ForHolds{}

// Messages implements hold.Source.
func (x ForHolds) Messages(ctx context.Context, tenant ids.Tenant, kind hold.Kind, who address.Address, m ids.Message, yield func(ids.Message) error) error {
	switch kind {
	case hold.Person:
		s := pledge.Subject{Scope: scope.Tenant(tenant), Address: who}
		return x.persons.Messages(ctx, s, func(f Found) error { return yield(f.Message) })
	case hold.Message:
		return yield(m)
	case hold.Customer:
	}
	for before := ids.Message(0); ; {
		page, err := x.persons.h.Recent(ctx, scope.Tenant(tenant), before, time.Time{}, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, m := range page {
			if err := yield(m); err != nil {
				return err
			}
		}
		before = page[len(page)-1]
	}
}

// Records implements hold.Source.
func (x ForHolds) Records(ctx context.Context, tenant ids.Tenant, messages []ids.Message, had func(string, int64) bool, yield func(hold.Record) error) error {
	for _, m := range messages {
		events, err := x.persons.h.Of(ctx, scope.Tenant(tenant), m)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := x.ofMessage(ctx, events, had, yield); err != nil {
			return err
		}
	}
	return nil
}

func (x ForHolds) ofMessage(ctx context.Context, events []Event, had func(string, int64) bool, yield func(hold.Record) error) error {
	seen := map[ids.Attempt]bool{0: true}
	for i := range events {
		e := &events[i]
		if !had(records, e.Position.pos()) {
			if err := yield(heldEvent(e)); err != nil {
				return err
			}
		}
		if seen[e.Attempt] || had(conversations, int64(e.Attempt)) {
			continue
		}
		seen[e.Attempt] = true
		r, err := x.conversation(ctx, e)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue
		}
		if err == nil {
			err = yield(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func heldEvent(e *Event) hold.Record {
	d := &e.Detail
	r := hold.Record{Category: records, ID: e.Position.pos(), Message: e.Message, At: e.At}
	add := func(name, value string, other bool) {
		if value != "" {
			r.Fields = append(r.Fields, hold.Field{Name: name, Value: value, Other: other})
		}
	}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	add("event", e.Kind.String(), false)
	add("direction", e.Direction.String(), false)
	add("sender", d.Sender, false)
	add("recipients", strings.Join(d.Recipients, ", "), true)
	add("subject", d.Subject, false)
	add("message_id", d.MessageID, false)
	add("sender_ip", d.IP, true)
	add("reply", d.Reply, true)
	add("by", d.By, false)
	add("tls", d.TLS, false)
	add("took_ms", number(d.Took.Milliseconds()), false)
	add("size", number(d.Size), false)
	add("attempts", number(int64(d.Attempts)), false)
	add("tags", strings.Join(d.Tags, ", "), true)
	add("actor", string(d.Actor), false)
	add("note", d.Note, true)
	for _, text := range append([]string{d.Sender}, d.Recipients...) {
		if a, err := address.Parse(text); err == nil && !a.IsNull() {
			r.Persons = append(r.Persons, a)
		}
	}
	return r
}

func (x ForHolds) conversation(ctx context.Context, e *Event) (hold.Record, error) {
	c, err := x.persons.h.Conversation(ctx, scope.Tenant(e.Tenant), e.Attempt)
	if err != nil {
		return hold.Record{}, err
	}
	r := hold.Record{Category: conversations, ID: int64(e.Attempt), Message: e.Message, At: e.Attempt.Time()}
	for i, step := range c.Steps {
		r.Fields = append(r.Fields, hold.Field{
			Name: "step_" + strconv.Itoa(i+1), Other: true,
			Value: step.At.UTC().Format(time.RFC3339Nano) + " > " + step.Sent + " < " + step.Got,
		})
	}
	return r, nil
}
