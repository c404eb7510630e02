package httpapi

import (
	"context"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/protect/reads"
)

// Conversation is what was said in one attempt.
type Conversation struct {
	Recipient string    `json:"recipient"`
	Attempt   int       `json:"attempt"`
	At        time.Time `json:"at"`
	Steps     []Step    `json:"steps" nullable:"false"`
}

// Step is one exchange.
type Step struct {
	At     time.Time `json:"at"`
	TookMS int64     `json:"took_ms"`
	Sent   string    `json:"sent"`
	Got    string    `json:"got"`
}

const maxConversations = 200

func (a *API) getConversations(ctx context.Context, who Asker, in *ByID) (*struct{ Body []Conversation }, error) {
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
	out := &struct{ Body []Conversation }{[]Conversation{}}
	for _, e := range events {
		if e.Attempt == 0 || len(out.Body) == maxConversations || !a.showsConversation(who, e.Tenant, e.Attempt) {
			continue
		}
		c, err := a.parts.History.Conversation(ctx, who.Scope, e.Attempt)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue // its period is shorter than the record's
		}
		if err != nil {
			return nil, err
		}
		v := Conversation{Recipient: strings.Join(e.Detail.Recipients, ", "), Attempt: e.Detail.Attempts, At: e.At.UTC(), Steps: stepsOf(c)}
		reads.Saw(ctx, ofConversations, e.Tenant, id, e.At)
		out.Body = append(out.Body, v)
	}
	return out, nil
}

func stepsOf(c *outcome.Conversation) []Step {
	steps := []Step{}
	for _, s := range c.Steps {
		steps = append(steps, Step{At: s.At.UTC(), TookMS: s.Took.Milliseconds(), Sent: s.Sent, Got: s.Got})
	}
	return steps
}

// showsConversation reports whether the policy in force shows the conversation of
// an attempt, which began at the time that its number bears.
func (a *API) showsConversation(who Asker, of ids.Tenant, id ids.Attempt) bool {
	return a.parts.Sight == nil || a.parts.Sight.ShowsConversation(who.Principal, of, id.Time())
}

// LoggedConversation is a conversation on its own, as it stands in the log of them.
type LoggedConversation struct {
	ID       string    `json:"id"`
	Message  string    `json:"message"`
	Customer string    `json:"customer"`
	At       time.Time `json:"at"`
	Steps    []Step    `json:"steps" nullable:"false"`
}

type conversationQuery struct {
	Paging
	Customer string    `query:"customer" maxLength:"64"`
	Message  string    `query:"message" maxLength:"64" doc:"Of this message."`
	From     time.Time `query:"from"`
	To       time.Time `query:"to"`
}

func (a *API) listConversations(ctx context.Context, who Asker, in *conversationQuery) (*pageOut[LoggedConversation], error) {
	of, err := within(who, "query.customer", in.Customer)
	if err != nil {
		return nil, err
	}
	q := history.ConversationQuery{From: in.From, To: in.To}
	if in.Message != "" {
		if q.Message, err = idAt[ids.Message]("query.message", in.Message); err != nil {
			return nil, err
		}
	}
	list := listing(strings.Join([]string{"conversations", in.Customer, in.Message, in.From.String(), in.To.String()}, "\x00"), who)
	return pageOf(a, list, in.Paging, func(before int64, limit int) ([]history.Logged, error) {
		q.Before, q.Limit = ids.Attempt(before), limit
		return a.parts.History.Conversations(ctx, of, q, func(of ids.Tenant, id ids.Attempt) bool { return a.showsConversation(who, of, id) })
	}, func(c history.Logged) int64 { return int64(c.ID) }, func(c history.Logged) LoggedConversation {
		reads.Saw(ctx, ofConversations, c.Tenant, c.Message, c.ID.Time())
		return LoggedConversation{ID: c.ID.String(), Message: c.Message.String(), Customer: c.Tenant.String(), At: c.ID.Time().UTC(), Steps: stepsOf(c.Said)}
	})
}
