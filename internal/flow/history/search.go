package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
)

// Query is what people look for. Zero values do not narrow.
type Query struct {
	Recipient address.Address
	Sender    address.Address
	Domain    string // of sender or recipient
	MessageID string // the header field's value, with or without its brackets
	Subject   string // words of it, in any case
	State     State
	Direction Direction
	From      time.Time
	To        time.Time
	Before    ids.Message // the last one of the page before
	Limit     int         // 50 when zero, 200 at most
}

// State is where a whole message stands.
type State string

// The states of a message.
const (
	StateQueued    State = "queued"
	StateDelivered State = "delivered"
	StateDeferred  State = "deferred"
	StateFailed    State = "failed"
	StateHeld      State = "held"
	StateMixed     State = "mixed"
)

// Summary is one message in a list.
type Summary struct {
	Message    ids.Message
	Tenant     ids.Tenant
	Direction  Direction
	Sender     string
	Recipients []string
	Subject    string
	Size       int64
	Tags       []string
	At         time.Time
	State      State
}

const (
	pageLimit = 200
	// maxLooked bounds the messages opened for one page when the state narrows.
	maxLooked = 2000
)

// Personal reports whether it looks for people or words, and not for states and
// times alone.
func (q *Query) Personal() bool {
	return !q.Recipient.IsNull() || !q.Sender.IsNull() || q.Domain != "" || q.MessageID != "" || q.Subject != ""
}

// may asks whether a customer's messages may be searched so.
func (h *History) may(ctx context.Context, of ids.Tenant, q *Query) error {
	if h.MaySearch == nil || !q.Personal() {
		return nil
	}
	return h.MaySearch(ctx, of, q)
}

// allowed leaves out what a search over several customers may not find.
func (h *History) allowed(ctx context.Context, one bool, found []Summary, q *Query) []Summary {
	if one {
		return found
	}
	return slices.DeleteFunc(found, func(s Summary) bool { return h.may(ctx, s.Tenant, q) != nil })
}

// Search gives one page, newest first, and the message to go on before, or zero
// after the last. A search for people or words that MaySearch refuses for the one
// customer of the scope is refused; over several, theirs are left out.
func (h *History) Search(ctx context.Context, s scope.Scope, q Query) ([]Summary, ids.Message, error) {
	if q.Limit <= 0 || q.Limit > pageLimit {
		q.Limit = min(max(q.Limit, 50), pageLimit)
	}
	if !q.To.IsZero() {
		if upto := ids.FirstAt[ids.Message](q.To); q.Before == 0 || upto < q.Before {
			q.Before = upto
		}
	}
	q.Subject, q.MessageID = Fold(q.Subject), strings.Trim(q.MessageID, " <>")
	of, one := s.ID()
	if one {
		if err := h.may(ctx, of, &q); err != nil {
			return nil, 0, err
		}
	}
	var page []Summary
	for looked := 0; looked < maxLooked; {
		list, next, err := h.candidates(ctx, s, q)
		if err != nil {
			return page, 0, err
		}
		looked += len(list)
		var found []Summary
		err = h.OfMany(ctx, s, list, func(events []Event) error {
			for _, sum := range Summarise(events) {
				if q.wants(sum) && len(page)+len(found) < q.Limit {
					found = append(found, sum)
				}
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		full := len(page)+len(found) == q.Limit
		if full {
			q.Before = found[len(found)-1].Message
		}
		page = append(page, h.allowed(ctx, one, found, &q)...)
		if full {
			return page, q.Before, nil
		}
		q.Before = next
		if next == 0 || len(list) < q.Limit { // nothing more, or as much as one request may look through
			break
		}
	}
	return page, q.Before, nil
}

func (q *Query) wants(s Summary) bool {
	return (q.State == "" || q.State == s.State) && (q.Direction == 0 || q.Direction == s.Direction) && (q.From.IsZero() || !s.At.Before(q.From)) &&
		(q.Subject == "" || strings.Contains(Fold(s.Subject), q.Subject))
}

// candidates are the next messages that can match, and the message to go on
// before: by the look-up index where the query names somebody, by subject where
// it has words of one, else by time.
func (h *History) candidates(ctx context.Context, s scope.Scope, q Query) (list []ids.Message, next ids.Message, err error) {
	switch {
	case !q.Recipient.IsNull() || !q.Sender.IsNull() || q.Domain != "" || q.MessageID != "":
		list, err = h.indexed(ctx, s, q)
	case q.Subject != "":
		if h.words == nil {
			return nil, 0, fault.New(fault.Unavailable, "Subjects are not searched on this node.")
		}
		return h.words.Find(ctx, s, WordQuery{Text: q.Subject, Before: q.Before, From: q.From, Limit: q.Limit})
	default:
		list, err = h.Recent(ctx, s, q.Before, q.From, q.Limit)
	}
	if err == nil && len(list) == q.Limit {
		next = list[len(list)-1]
	}
	return list, next, err
}

func (h *History) indexed(ctx context.Context, s scope.Scope, q Query) ([]ids.Message, error) {
	if h.index == nil {
		return nil, fault.New(fault.Unavailable, "The look-up index is not open on this node.")
	}
	found, err := h.index.messages(ctx, s, q)
	if err != nil {
		return nil, err
	}
	first := ids.FirstAt[ids.Message](q.From)
	var list []ids.Message
	for _, m := range found {
		if (q.Before == 0 || m < q.Before) && (q.From.IsZero() || m >= first) {
			if list = append(list, m); len(list) == q.Limit {
				break
			}
		}
	}
	return list, nil
}

// Summarise groups events (of whole messages, newest message first) by message.
func Summarise(events []Event) []Summary {
	var list []Summary
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].Message == events[0].Message {
			n++
		}
		if sum, ok := summarise(events[:n]); ok {
			list = append(list, sum)
		}
		events = events[n:]
	}
	return list
}

func summarise(events []Event) (Summary, bool) {
	i := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Accepted })
	if i < 0 {
		return Summary{}, false
	}
	a := events[i]
	sum := Summary{
		Message: a.Message, Tenant: a.Tenant, Direction: a.Direction, Sender: a.Detail.Sender, Recipients: a.Detail.Recipients,
		Subject: a.Detail.Subject, Size: a.Detail.Size, Tags: a.Detail.Tags, At: a.At,
	}
	sum.State = StateOf(events)
	return sum, true
}

// StateOf reads a message's state off its events, oldest first.
func StateOf(events []Event) State {
	whole, expected := StateQueued, 0
	last, tried := map[ids.Recipient]State{}, map[ids.Recipient]bool{}
	for _, e := range events {
		switch e.Kind {
		case Accepted:
			expected = len(e.Detail.Recipients)
		case Delivered, Deferred, Failed, Expired, Suppressed, Cancelled, Held, Released, Retried:
			state := stateOfKind(e.Kind)
			if tried[e.Recipient] = tried[e.Recipient] || e.Kind == Deferred; state == StateQueued && tried[e.Recipient] {
				state = StateDeferred
			}
			if e.Recipient == 0 {
				whole = state // until it is told of one by one
				continue
			}
			last[e.Recipient] = state
		case Notified, Superseded:
		}
	}
	seen := map[State]bool{}
	for _, s := range last {
		seen[s] = true
	}
	if expected > len(last) || len(last) == 0 {
		seen[whole] = true
	}
	if len(seen) > 1 {
		return StateMixed
	}
	for s := range seen {
		return s
	}
	return StateQueued
}

func stateOfKind(k Kind) State {
	switch k {
	case Delivered:
		return StateDelivered
	case Deferred:
		return StateDeferred
	case Failed, Expired, Suppressed, Cancelled:
		return StateFailed
	case Held:
		return StateHeld
	case Accepted, Released, Retried, Notified, Superseded:
	}
	return StateQueued
}
