package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/history"
	"mailvow/internal/protect/access"
)

type messageQuery struct {
	Paging
	Recipient string    `query:"recipient" maxLength:"320" doc:"A whole address."`
	Sender    string    `query:"sender" maxLength:"320" doc:"A whole address."`
	Domain    string    `query:"domain" maxLength:"255" doc:"Of sender or recipient."`
	MessageID string    `query:"message_id" maxLength:"998" doc:"The Message-ID field."`
	Subject   string    `query:"subject" maxLength:"200" doc:"Words of the subject as they stand in it, in any case. A page may be short, or empty, and have a next all the same: one request looks through a bounded part."`
	Outcome   string    `query:"outcome" enum:"queued,delivered,deferred,failed,held,mixed"`
	Direction string    `query:"direction" enum:"outbound,inbound,notice"`
	From      time.Time `query:"from"`
	To        time.Time `query:"to"`
	Customer  string    `query:"customer" maxLength:"64"`
}

var directions = map[string]history.Direction{"outbound": history.Outbound, "inbound": history.Inbound, "notice": history.Notice}

func (q *messageQuery) filter() (history.Query, error) {
	f := history.Query{Domain: q.Domain, MessageID: q.MessageID, Subject: q.Subject, State: history.State(q.Outcome), Direction: directions[q.Direction], From: q.From, To: q.To, Limit: q.Limit}
	if q.Subject != "" && history.Fold(q.Subject) == "" {
		return f, fault.Field("query.subject", "Give a word of the subject.")
	}
	var err error
	if q.Recipient != "" {
		if f.Recipient, err = addressAt("query.recipient", q.Recipient); err != nil {
			return f, err
		}
	}
	if q.Sender != "" {
		f.Sender, err = addressAt("query.sender", q.Sender)
	}
	return f, err
}

func (a *API) searchRoutes() {
	register(a, op{id: "list-messages", method: http.MethodGet, path: "/v1/messages", summary: "Search messages, newest first", tag: "messages", needs: access.MessagesRead}, a.listMessages)
	register(a, op{id: "delete-message", method: http.MethodDelete, path: "/v1/messages/{id}", summary: "Delete a message's record, and cancel what is queued of it", tag: "messages", needs: access.MessagesDelete}, a.deleteMessage)
}

func (a *API) listMessages(ctx context.Context, who Asker, in *messageQuery) (*pageOut[Message], error) {
	in2, err := within(who, "query.customer", in.Customer)
	if err != nil {
		return nil, err
	}
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	filters, err := json.Marshal([]any{in.Recipient, in.Sender, in.Domain, in.MessageID, in.Subject, in.Outcome, in.Direction, in.From, in.To, in.Customer})
	if err != nil {
		return nil, fault.Wrap(err, "write filters")
	}
	list := listing("messages\x00"+string(filters), who)
	position, err := a.cursors.open(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	if position != "" {
		before, err := strconv.ParseInt(position, 36, 64)
		if err != nil {
			return nil, fault.Field("query.cursor", "The cursor is not one that this list gave.")
		}
		f.Before = ids.Message(before)
	}
	if a.parts.Sight != nil {
		from, err := a.parts.Sight.From(who.Principal, in2)
		if err != nil {
			return nil, err
		}
		f.From = later(f.From, from)
	}
	found, next, err := a.parts.History.Search(ctx, in2, f)
	if err != nil {
		return nil, err
	}
	out := &pageOut[Message]{Page[Message]{Items: []Message{}}}
	for _, s := range found {
		if a.shows(who, s.Tenant, s.At) {
			out.Body.Items = append(out.Body.Items, viewMessage(s))
		}
	}
	if next != 0 {
		mark := a.cursors.seal(list, strconv.FormatInt(int64(next), 36))
		out.Body.Next = &mark
	}
	return out, nil
}

// shows reports whether the policy in force shows a record to who asks.
func (a *API) shows(who Asker, of ids.Tenant, at time.Time) bool {
	return a.parts.Sight == nil || a.parts.Sight.Shows(who.Principal, of, at)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func viewMessage(s history.Summary) Message {
	m := Message{
		ID: s.Message.String(), Customer: s.Tenant.String(), Direction: s.Direction.String(), Sender: s.Sender, Recipients: len(s.Recipients),
		Subject: s.Subject, ReceivedAt: s.At.UTC(), State: string(s.State), Size: s.Size,
	}
	if len(s.Recipients) > 0 {
		m.Recipient = s.Recipients[0]
	}
	m.Tags, m.Metadata = splitTags(s.Tags)
	return m
}

// Deleted is the receipt of a deletion.
type Deleted struct {
	Receipt json.RawMessage `json:"receipt" doc:"The entry of the evidence log, as protect/evidence writes it."`
}

type deletedOut struct{ Body Deleted }

func (a *API) deleteMessage(ctx context.Context, who Asker, in *ByID) (*deletedOut, error) {
	id, err := idAt[ids.Message]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	if a.parts.Records == nil {
		return nil, absent()
	}
	receipt, err := a.parts.Records.DeleteMessage(ctx, who.Scope, id, who.Principal)
	return &deletedOut{Deleted{receipt}}, err
}

// absent is the answer of a part that this process does not have.
func absent() error {
	return fault.New(fault.Unavailable, "This process of the server does not do that.")
}

func absentNow() error {
	return fault.New(fault.Exhausted, "Too many are watching. Try again later.")
}
