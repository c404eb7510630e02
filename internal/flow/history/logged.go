package history

import (
	"context"
	"math"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/outcome"
)

// Logged is one conversation on its own: it may outlive the record of its message.
type Logged struct {
	ID      ids.Attempt
	Message ids.Message
	Tenant  ids.Tenant
	Said    *outcome.Conversation
}

// ConversationQuery is which conversations are looked for. Zero values do not narrow.
type ConversationQuery struct {
	Message ids.Message
	From    time.Time // when the attempt began
	To      time.Time
	Before  ids.Attempt // the last one of the page before
	Limit   int
}

// longestTried is how long after its acceptance a message is tried at the most.
const longestTried = 60 * 24 * time.Hour

// Conversations gives a page of a scope's conversations, newest first, of those
// that shown says yes to. One whose key was destroyed is not there.
func (h *History) Conversations(ctx context.Context, s scope.Scope, q ConversationQuery, shown func(ids.Tenant, ids.Attempt) bool) ([]Logged, error) {
	if q.Before == 0 {
		q.Before = math.MaxInt64
	}
	if q.Message != 0 { // they are kept by their time, and found by it
		if began := q.Message.Time(); q.From.Before(began) {
			q.From = began
		}
		if last := q.Message.Time().Add(longestTried); q.To.IsZero() || q.To.After(last) {
			q.To = last
		}
	}
	if !q.To.IsZero() {
		q.Before = min(q.Before, ids.FirstAt[ids.Attempt](q.To))
	}
	all, tenant := s.Args()
	var list []Logged
	for len(list) < q.Limit {
		looked := 0
		args := []any{int64(q.Before), int64(ids.FirstAt[ids.Attempt](q.From)), all, tenant, int64(q.Message), purgeRows}
		err := h.set.Each(ctx, "conversations", args, func(scan func(...any) error) error {
			var id, message, owner int64
			var sealed []byte
			if err := scan(&id, &message, &owner, &sealed); err != nil {
				return err
			}
			looked++
			q.Before = ids.Attempt(id)
			c := Logged{ID: q.Before, Message: ids.Message(message), Tenant: ids.Tenant(owner)}
			if len(list) == q.Limit || !shown(c.Tenant, c.ID) {
				return nil
			}
			var err error
			if c.Said, err = h.openConversation(c.Tenant, c.ID, sealed); fault.Is(err, fault.Gone) {
				return nil
			}
			if err == nil {
				list = append(list, c)
			}
			return err
		})
		if err != nil {
			return nil, fault.Wrap(err, "list conversations")
		}
		if looked < purgeRows {
			break
		}
	}
	return list, nil
}
