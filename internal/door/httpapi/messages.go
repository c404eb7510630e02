package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/protect/access"
)

// Message is a message as lists show it.
type Message struct {
	ID         string            `json:"id"`
	Customer   string            `json:"customer"`
	Direction  string            `json:"direction" enum:"outbound,inbound,notice"`
	Sender     string            `json:"sender"`
	Recipient  string            `json:"recipient" doc:"The first one."`
	Recipients int               `json:"recipients_count"`
	Subject    string            `json:"subject"`
	ReceivedAt time.Time         `json:"received_at"`
	State      string            `json:"state" enum:"queued,delivered,deferred,failed,held,mixed"`
	Size       int64             `json:"size"`
	Tags       []string          `json:"tags" nullable:"false"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// MessageDetail is all that is known of a message.
type MessageDetail struct {
	Message
	MessageID    string             `json:"message_id"`
	To           []MessageRecipient `json:"recipients" nullable:"false"`
	Timeline     []TimelineEntry    `json:"timeline" nullable:"false"`
	Headers      []HeaderField      `json:"headers" nullable:"false" doc:"While the content is here, for who may read it."`
	Inbound      *InboundRecord     `json:"inbound,omitempty"`
	ContentIsFor bool               `json:"has_content" doc:"The content is still here, and the policy in force lets it be shown."`
}

// MessageRecipient is where one recipient stands.
type MessageRecipient struct {
	ID            string     `json:"id"`
	Address       string     `json:"address"`
	State         string     `json:"state" enum:"queued,delivered,deferred,failed,held"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	LastReply     string     `json:"last_reply,omitempty"`
}

// TimelineEntry is one thing that happened.
type TimelineEntry struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Recipient string    `json:"recipient,omitempty"`
	Reply     string    `json:"reply,omitempty"`
	By        string    `json:"by,omitempty"`
	Actor     string    `json:"actor,omitempty" doc:"Who acted by hand: operator, owner, admin, developer, viewer, or token for a program."`
	Reason    string    `json:"reason,omitempty" doc:"In the words of who acted by hand, or why it is held."`
	Text      string    `json:"text"`
}

// HeaderField is one header field, decoded.
type HeaderField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// InboundRecord is what is kept of inbound mail, and nothing else.
type InboundRecord struct {
	SenderIP          string          `json:"sender_ip"`
	MessageID         string          `json:"message_id"`
	EnvelopeSender    string          `json:"envelope_sender"`
	EnvelopeRecipient string          `json:"envelope_recipient"`
	Subject           string          `json:"subject"`
	DateReceived      time.Time       `json:"date_received"`
	ServerResponse    *ServerResponse `json:"server_response"`
	ProcessingMS      int64           `json:"processing_ms"`
}

// ServerResponse is what the endpoint said.
type ServerResponse struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

type messageOut struct{ Body MessageDetail }

func (a *API) messageRoutes() {
	register(a, op{id: "send-message", method: http.MethodPost, path: "/v1/messages", summary: "Send a message", tag: "messages", needs: access.MessagesSend, status: http.StatusAccepted, body: a.largestBody(), quiet: true}, a.sendMessage)
	register(a, op{id: "get-message", method: http.MethodGet, path: "/v1/messages/{id}", summary: "One message: its recipients and what happened", tag: "messages", needs: access.MessagesRead}, a.getMessage)
	register(a, op{id: "get-conversations", method: http.MethodGet, path: "/v1/messages/{id}/conversations", summary: "The SMTP conversation of each attempt", tag: "messages", needs: access.MessagesTranscript}, a.getConversations)
	register(a, op{id: "list-conversations", method: http.MethodGet, path: "/v1/conversations", summary: "SMTP conversations of a time, also of messages whose records are gone, newest first", tag: "messages", needs: access.MessagesTranscript}, a.listConversations)
	register(a, op{id: "get-content", method: http.MethodGet, path: "/v1/messages/{id}/content", summary: "The message's bytes, while they are here", tag: "messages", needs: access.MessagesContent}, a.getContent)
	register(a, op{id: "get-parsed", method: http.MethodGet, path: "/v1/messages/{id}/parsed", summary: "The message for reading, while it is here", tag: "messages", needs: access.MessagesContent}, a.getParsed)
}

func (a *API) getMessage(ctx context.Context, who Asker, in *ByID) (*messageOut, error) {
	id, err := idAt[ids.Message]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	events, err := a.parts.History.Of(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fault.New(fault.NotFound, "There is no such message, or its record is gone.")
	}
	if !a.shows(who, events[0].Tenant, events[0].At) {
		return nil, fault.New(fault.NotFound, "The policy in force does not show you the record of this message.")
	}
	waiting, err := a.parts.Queue.OfMessage(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	out := &messageOut{detail(events, waiting)}
	content, may := who.May(access.MessagesContent)
	switch {
	case a.mayPreview(who) != nil:
		out.Body.ContentIsFor = false
	case may && content.Allows(events[0].Tenant):
		err = a.withHeaders(ctx, &out.Body, id, events[0].Tenant)
	}
	return out, err
}

// detail joins history and queue. The first event tells of the acceptance.
func detail(events []history.Event, waiting []queue.Item) MessageDetail {
	first := events[0]
	d := MessageDetail{
		Message: Message{
			ID: first.Message.String(), Customer: first.Tenant.String(), Direction: first.Direction.String(), Sender: first.Detail.Sender,
			Recipients: len(first.Detail.Recipients), Subject: first.Detail.Subject, ReceivedAt: first.At.UTC(), Size: first.Detail.Size,
		},
		MessageID: first.Detail.MessageID, To: []MessageRecipient{}, Timeline: []TimelineEntry{}, Headers: []HeaderField{},
	}
	if len(first.Detail.Recipients) > 0 {
		d.Recipient = first.Detail.Recipients[0]
	}
	d.Tags, d.Metadata = splitTags(first.Detail.Tags)
	at := map[ids.Recipient]int{}
	row := func(id ids.Recipient) *MessageRecipient {
		if _, ok := at[id]; !ok {
			at[id] = len(d.To)
			d.To = append(d.To, MessageRecipient{ID: id.String(), State: "queued"})
		}
		return &d.To[at[id]]
	}
	for _, e := range events {
		d.Timeline = append(d.Timeline, timelineOf(e))
		if e.Recipient == 0 {
			continue
		}
		r := row(e.Recipient)
		if len(e.Detail.Recipients) == 1 {
			r.Address = e.Detail.Recipients[0]
		}
		r.State = stateAfter(e.Kind, r.State)
		r.Attempts = max(r.Attempts, e.Detail.Attempts)
		if e.Detail.Reply != "" {
			r.LastReply = e.Detail.Reply
		}
	}
	for _, i := range waiting {
		r := row(i.ID)
		r.Address, r.Attempts, r.NextAttemptAt = i.Recipient.Text(), i.Attempts, when(i.Due)
		r.State = map[string]string{"deferred": "deferred", "held": "held", "paused": "queued"}[stateOf(i)]
		if r.State == "" {
			r.State = "queued"
		}
		if i.LastReply != "" {
			r.LastReply = i.LastReply
		}
	}
	d.ContentIsFor = len(waiting) > 0
	d.State = together(d.To)
	if first.Direction == history.Inbound {
		d.Inbound = inboundRecord(events)
	}
	return d
}

func splitTags(all []string) ([]string, map[string]string) {
	tags, metadata := []string{}, map[string]string{}
	for _, t := range all {
		if key, value, is := history.IsAttribute(t); is {
			metadata[key] = value
			continue
		}
		tags = append(tags, t)
	}
	return tags, metadata
}

func stateAfter(k history.Kind, was string) string {
	switch k {
	case history.Delivered:
		return "delivered"
	case history.Deferred:
		return "deferred"
	case history.Failed, history.Expired, history.Suppressed, history.Cancelled:
		return "failed"
	case history.Held:
		return "held"
	case history.Released, history.Retried:
		return "queued"
	case history.Accepted, history.Notified, history.Superseded:
	}
	return was
}

// together is the state of a whole message.
func together(list []MessageRecipient) string {
	if len(list) == 0 {
		return "queued"
	}
	for _, r := range list[1:] {
		if r.State != list[0].State {
			return "mixed"
		}
	}
	return list[0].State
}

func timelineOf(e history.Event) TimelineEntry {
	t := TimelineEntry{At: e.At.UTC(), Kind: e.Kind.String(), Reply: e.Detail.Reply, By: e.Detail.By, Text: saying[e.Kind]}
	if e.Recipient != 0 && len(e.Detail.Recipients) == 1 {
		t.Recipient = e.Detail.Recipients[0]
	}
	if e.Kind != history.Notified {
		t.Actor, t.Reason = string(e.Detail.Actor), e.Detail.Note
	}
	if e.Kind == history.Failed && t.Actor != "" {
		t.Text = "Given up by hand."
	}
	if t.Reason != "" {
		t.Text += " " + t.Reason
	}
	return t
}

var saying = map[history.Kind]string{
	history.Accepted: "Accepted for delivery.", history.Delivered: "Delivered.", history.Deferred: "Not now; it will be tried again.",
	history.Failed: "Refused for good.", history.Expired: "Given up: its time was over.", history.Suppressed: "Not sent.",
	history.Cancelled: "Cancelled.", history.Held: "Held.", history.Released: "Let go.", history.Retried: "Tried again at once.",
	history.Notified: "The sender was told.", history.Superseded: "A late answer; it changed nothing.",
}

// inboundRecord is made of eight fields.
func inboundRecord(events []history.Event) *InboundRecord {
	d := events[0].Detail
	r := &InboundRecord{
		SenderIP: d.IP, MessageID: d.MessageID, EnvelopeSender: d.Sender, EnvelopeRecipient: strings.Join(d.Recipients, ", "),
		Subject: d.Subject, DateReceived: events[0].At.UTC(),
	}
	for _, e := range events {
		if e.Detail.Reply == "" || e.Recipient == 0 {
			continue
		}
		code, body, _ := strings.Cut(e.Detail.Reply, " ")
		status, err := strconv.Atoi(code)
		if err != nil {
			status, body = 0, e.Detail.Reply
		}
		r.ServerResponse, r.ProcessingMS = &ServerResponse{status, body}, e.Detail.Took.Milliseconds()
	}
	return r
}

// withHeaders shows the header while the content is here.
func (a *API) withHeaders(ctx context.Context, d *MessageDetail, id ids.Message, tenant ids.Tenant) error {
	content, err := a.parts.Queue.Content(ctx, scopeOf(tenant), id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		d.ContentIsFor = false
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Close()
	h, err := message.ParseHeader(content, content.Size(), message.Options{})
	if err != nil {
		return fault.Wrap(err, "read a header")
	}
	for _, f := range h.Fields {
		d.Headers = append(d.Headers, HeaderField{f.Name(), f.Text()})
	}
	d.Headers = slices.Clip(d.Headers)
	return nil
}
