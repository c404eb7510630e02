package admin

import (
	"context"
	"net/http"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/product/relay"
)

func (s *Server) queue(mux *http.ServeMux, p Parts) {
	handle(s, mux, QueueList, func(ctx context.Context, f QueueFilter) ([]Item, error) {
		state, err := stateOf(f.State)
		if p.Queue == nil || err != nil {
			return nil, firstOf(err, absent("a queue"))
		}
		list, err := p.Queue.List(ctx, scopeOf(f.Customer), queue.Filter{State: state, Domain: f.Domain, After: f.After, Limit: f.Limit})
		return items(list), err
	})
	type method = func(Queue) func(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error)
	for op, do := range map[Op[Selection, Count]]method{
		QueueRetry: func(q Queue) func(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error) {
			return q.Retry
		},
		QueueFail: func(q Queue) func(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error) {
			return q.Fail
		},
		QueueHold: func(q Queue) func(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error) {
			return q.Hold
		},
		QueueRelease: func(q Queue) func(context.Context, scope.Scope, queue.Selection, queue.Hand) (int, error) {
			return q.Release
		},
	} {
		act(s, mux, p, op, selected, func(ctx context.Context, sel Selection) (Count, error) {
			if p.Queue == nil {
				return Count{}, absent("a queue")
			}
			if len(sel.IDs) == 0 && sel.Message == 0 && sel.Domain == "" && !sel.Everything {
				return Count{}, fault.New(fault.Invalid, "Say which: recipients by id, a message, a domain, or everything.")
			}
			n, err := do(p.Queue)(ctx, scopeOf(sel.Customer), queue.Selection{IDs: sel.IDs, Message: sel.Message, Domain: sel.Domain, Everything: sel.Everything},
				queue.Hand{Actor: history.ByOperator, Reason: sel.Reason})
			return Count{n}, err
		})
	}
	s.pauses(mux, p)
}

func (s *Server) pauses(mux *http.ServeMux, p Parts) {
	act(s, mux, p, QueuePause, func(_, out Pause) string { return out.ID.String() }, func(ctx context.Context, in Pause) (Pause, error) {
		if p.Queue == nil {
			return Pause{}, absent("a queue")
		}
		if in.Customer == 0 && in.Domain == "" {
			return Pause{}, fault.New(fault.Invalid, "Say what to pause: a customer, a domain, or both.")
		}
		done, err := p.Queue.Pause(ctx, queue.Pause{Tenant: in.Customer, Domain: in.Domain, Reason: in.Reason, By: queue.Operator})
		return pauseOf(done), err
	})
	handle(s, mux, QueuePauses, func(ctx context.Context, in MessageRef) ([]Pause, error) {
		if p.Queue == nil {
			return nil, absent("a queue")
		}
		list, err := p.Queue.Pauses(ctx, scopeOf(in.Customer))
		out := make([]Pause, len(list))
		for i, x := range list {
			out[i] = pauseOf(x)
		}
		return out, err
	})
	act(s, mux, p, QueueResume, func(in Pause, _ Count) string { return textOf(in.ID) }, func(ctx context.Context, in Pause) (Count, error) {
		if p.Queue == nil {
			return Count{}, absent("a queue")
		}
		list, err := p.Queue.Pauses(ctx, scopeOf(in.Customer))
		n := 0
		for _, x := range list {
			if err != nil || in.ID != 0 && x.ID != in.ID || in.Domain != "" && x.Domain != in.Domain {
				continue
			}
			err = p.Queue.Resume(ctx, scopeOf(in.Customer), x.ID, queue.Operator)
			n++
		}
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "No such pause is there.")
		}
		return Count{n}, err
	})
}

// reasonOf leaves out what is no reason: the notice that an event names.
func reasonOf(e history.Event) string {
	if e.Kind == history.Notified {
		return ""
	}
	return e.Detail.Note
}

// selected is what a selection names, where that is one thing.
func selected(sel Selection, _ Count) string {
	if len(sel.IDs) == 1 {
		return sel.IDs[0].String()
	}
	return textOf(sel.Message)
}

func textOf[K ids.Kind](id ids.ID[K]) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

func pauseOf(p queue.Pause) Pause {
	return Pause{ID: p.ID, Customer: p.Tenant, Domain: p.Domain, Reason: p.Reason, At: p.At}
}

func firstOf(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func stateOf(name string) (queue.State, error) {
	if name == "" {
		return 0, nil
	}
	for s := queue.Ready; s.String() != ""; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fault.Field("state", "There are the states ready, leased, held and paused.")
}

func items(list []queue.Item) []Item {
	out := make([]Item, len(list))
	for i, x := range list {
		out[i] = Item{
			ID: x.ID, Message: x.Message, Customer: x.Tenant, Recipient: x.Recipient.Text(), Site: x.Site, State: x.State.String(),
			Attempts: x.Attempts, Due: x.Due, Expires: x.Expires, LastReply: x.LastReply, Why: x.Why,
		}
	}
	return out
}

func (s *Server) domains(mux *http.ServeMux, p Parts) {
	act(s, mux, p, DomainAdd, func(_ NewDomain, out Domain) string { return out.ID.String() }, func(ctx context.Context, in NewDomain) (Domain, error) {
		if p.Domains == nil {
			return Domain{}, absent("domains")
		}
		customer, err := onlyCustomer(ctx, p.Tenants, in.Customer)
		if err != nil {
			return Domain{}, err
		}
		d, err := p.Domains.Add(ctx, customer, in.Name)
		if err != nil {
			return Domain{}, err
		}
		records, err := p.Domains.Records(ctx, d)
		return domainOf(d, records), err
	})
	handle(s, mux, DomainList, func(ctx context.Context, in DomainRef) ([]Domain, error) {
		if p.Domains == nil {
			return nil, absent("domains")
		}
		out := []Domain{}
		err := eachDomain(ctx, p.Domains, scopeOf(in.Customer), func(d relay.Domain) bool {
			out = append(out, domainOf(d, nil))
			return true
		})
		return out, err
	})
	handle(s, mux, DomainCheck, func(ctx context.Context, in DomainRef) (Domain, error) {
		if p.Domains == nil {
			return Domain{}, absent("domains")
		}
		id, err := findDomain(ctx, p.Domains, in)
		if err != nil {
			return Domain{}, err
		}
		d, records, err := p.Domains.Check(ctx, scopeOf(in.Customer), id)
		return domainOf(d, records), err
	})
}

// eachDomain reads the scope's domains, newest first, until visit says no.
func eachDomain(ctx context.Context, domains Domains, in scope.Scope, visit func(relay.Domain) bool) error {
	for before := ids.Domain(1<<63 - 1); ; {
		page, err := domains.List(ctx, in, before, 100)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, d := range page {
			if !visit(d) {
				return nil
			}
			before = d.ID
		}
	}
}

func findDomain(ctx context.Context, domains Domains, in DomainRef) (found ids.Domain, err error) {
	if id, err := ids.Parse[ids.Domain](in.Domain); err == nil {
		return id, nil
	}
	var twice bool
	err = eachDomain(ctx, domains, scopeOf(in.Customer), func(d relay.Domain) bool {
		if strings.EqualFold(d.Name, in.Domain) {
			twice, found = found != 0, d.ID
		}
		return !twice
	})
	switch {
	case err != nil:
		return 0, err
	case twice:
		return 0, fault.New(fault.Conflict, "Several customers claim this domain; give its id.")
	case found == 0:
		return 0, fault.New(fault.NotFound, "No customer has this domain.")
	}
	return found, nil
}

// onlyCustomer is the customer that was named, or the one there is.
func onlyCustomer(ctx context.Context, tenants Tenants, named ids.Tenant) (ids.Tenant, error) {
	if named != 0 {
		return named, nil
	}
	if tenants == nil {
		return 0, absent("customers")
	}
	list, err := tenants.List(ctx, scope.Everyone, 1<<63-1, 3)
	if err != nil {
		return 0, err
	}
	var only ids.Tenant
	for _, t := range list {
		if t.Parent == 0 {
			continue
		}
		if only != 0 {
			return 0, fault.Field("customer", "There are several customers; say whose domain it is by --customer.")
		}
		only = t.ID
	}
	if only == 0 {
		return 0, fault.Field("customer", "There is no customer yet; add one in the console.")
	}
	return only, nil
}

func domainOf(d relay.Domain, records []relay.Record) Domain {
	out := Domain{ID: d.ID, Customer: d.Tenant, Name: d.Name, State: string(d.State), Checked: d.Checked}
	for _, r := range records {
		out.Records = append(out.Records, Record{
			Purpose: string(r.Purpose), Type: r.Type, Name: r.Name, Value: r.Value, Found: r.Found, OK: r.OK, Needed: r.Needed,
		})
	}
	return out
}

// listMessages gives a page, and goes on while a part of the records that was
// looked through has nothing.
func listMessages(ctx context.Context, h History, f MessageFilter) (Messages, error) {
	out := Messages{Items: []Listed{}}
	q := history.Query{Subject: f.Subject, Before: f.Before, Limit: f.Limit}
	for _, x := range []struct {
		text string
		into *address.Address
	}{{f.Recipient, &q.Recipient}, {f.Sender, &q.Sender}} {
		if x.text == "" {
			continue
		}
		var err error
		if *x.into, err = address.Parse(x.text); err != nil {
			return out, err
		}
	}
	for {
		found, next, err := h.Search(ctx, scopeOf(f.Customer), q)
		if err != nil {
			return out, err
		}
		for _, m := range found {
			out.Items = append(out.Items, Listed{
				ID: m.Message, Customer: m.Tenant, At: m.At, Direction: m.Direction.String(), State: string(m.State),
				Sender: m.Sender, Recipients: m.Recipients, Subject: m.Subject,
			})
		}
		if out.Next = next; next == 0 || len(out.Items) > 0 {
			return out, nil
		}
		q.Before = next
	}
}

func (s *Server) messages(mux *http.ServeMux, p Parts) {
	handle(s, mux, MessageList, func(ctx context.Context, in MessageFilter) (Messages, error) {
		if p.History == nil {
			return Messages{}, absent("messages")
		}
		return listMessages(ctx, p.History, in)
	})
	handle(s, mux, MessageShow, func(ctx context.Context, in MessageRef) (Message, error) {
		if p.History == nil || p.Queue == nil {
			return Message{}, absent("messages")
		}
		out := Message{ID: in.Message, Events: []Event{}}
		events, err := p.History.Of(ctx, scopeOf(in.Customer), in.Message)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return out, err
		}
		for _, e := range events {
			out.Customer = e.Tenant
			out.Events = append(out.Events, Event{At: e.At, Kind: e.Kind.String(), Recipient: strings.Join(e.Detail.Recipients, ", "), Reply: e.Detail.Reply,
				Actor: string(e.Detail.Actor), Reason: reasonOf(e)})
		}
		queued, err := p.Queue.OfMessage(ctx, scopeOf(in.Customer), in.Message)
		out.Queued = items(queued)
		if err == nil && len(events) == 0 && len(queued) == 0 {
			err = fault.New(fault.NotFound, "No such message is there; it may have been erased.")
		}
		return out, err
	})
	act(s, mux, p, MessageErase, func(in MessageRef, _ Deleted) string { return in.Message.String() }, func(ctx context.Context, in MessageRef) (Deleted, error) {
		if p.History == nil || p.Queue == nil {
			return Deleted{}, absent("messages")
		}
		cancelled, err := p.Queue.Withdraw(ctx, scopeOf(in.Customer), in.Message)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Deleted{}, err
		}
		events, err := p.History.Delete(ctx, scopeOf(in.Customer), in.Message)
		if err == nil && events == 0 && cancelled == 0 {
			err = fault.New(fault.NotFound, "No such message is there; it may have been erased.")
		}
		return Deleted{events, cancelled}, err
	})
}

func (s *Server) keys(mux *http.ServeMux, p Parts) {
	act(s, mux, p, KeysRotate, nothing, func(ctx context.Context, in Rotation) (Count, error) {
		if p.Keys == nil {
			return Count{}, absent("keys")
		}
		switch {
		case in.Learn && in.KEK == "":
			return Count{}, fault.New(fault.Invalid, "Say which key-encryption key is to be learnt.")
		case in.Learn:
			return Count{1}, p.Keys.LearnKEK(ctx, in.KEK)
		case in.KEK != "":
			return Count{1}, p.Keys.RotateKEK(ctx, in.KEK)
		}
		n, err := p.Keys.RotateTenants(ctx)
		return Count{n}, err
	})
}
