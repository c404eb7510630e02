package history

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// rewriteMessage changes what the rows and conversations of one message say. It
// goes through them twice: first to learn the message's values, then to rewrite
// every row that the change touches, all in one transaction.
func (h *History) rewriteMessage(ctx context.Context, tenant ids.Tenant, m ids.Message, change func(*Detail, []Known), text func(string, []Known) string) (int, error) {
	s := scope.Tenant(tenant)
	events, err := h.Of(ctx, s, m)
	if err != nil {
		return 0, err
	}
	known := knownOf(events)
	gone, err := h.copies(ctx, events, func(d *Detail) { change(d, known) })
	if err != nil {
		return 0, err
	}
	all, owner := s.Args()
	count := 0
	err = h.db.Change(ctx, "rewrite history of a message", func(tx *db.Tx) error {
		count = 0
		if err := gone.drop(ctx, tx); err != nil {
			return err
		}
		rows, err := h.rowIDs(ctx, tx, m, all, owner)
		if err != nil {
			return err
		}
		for _, e := range events {
			before := string(e.Detail.append(nil))
			change(&e.Detail, known)
			after := e.Detail.append(nil)
			id, there := rows[e.Position]
			if !there || string(after) == before {
				continue
			}
			sealed, err := h.vault.Seal(nil, tenant, vault.Trace, vault.AD{Table: historyTable, Row: id}, after)
			if err != nil {
				return fault.Wrap(err, "seal history row")
			}
			n, err := tx.Do(ctx, h.set, "rewrite", e.Position.pos(), sealed, all, owner)
			if err != nil {
				return err
			}
			count += int(n)
		}
		n, err := h.rewriteConversations(ctx, tx, s, events, func(t string) string { return text(t, known) })
		count += n
		return err
	})
	return count, fault.Wrap(err, "rewrite history")
}

// rowIDs are the ids under which a message's rows are sealed.
func (h *History) rowIDs(ctx context.Context, tx *db.Tx, m ids.Message, all, owner int64) (map[Position]int64, error) {
	rows := map[Position]int64{}
	err := tx.Each(ctx, h.set, "ids_of_message", []any{int64(m), all, owner}, func(scan func(...any) error) error {
		var pos, id int64
		err := scan(&pos, &id)
		rows[positionOf(pos)] = id
		return err
	})
	return rows, err
}

func (h *History) rewriteConversations(ctx context.Context, tx *db.Tx, s scope.Scope, events []Event, text func(string) string) (int, error) {
	all, owner := s.Args()
	count := 0
	done := map[ids.Attempt]bool{0: true}
	for _, e := range events {
		if done[e.Attempt] {
			continue
		}
		done[e.Attempt] = true
		if _, kept := h.byLaw(e.Tenant, e.Attempt); kept {
			continue
		}
		c, err := h.conversationIn(ctx, tx, e)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return count, err
		}
		sealed, err := h.sealConversation(e.Tenant, e.Attempt, c, text)
		if err != nil {
			return count, err
		}
		n, err := tx.Do(ctx, h.set, "rewrite_conversation", int64(e.Attempt), sealed, all, owner)
		if err != nil {
			return count, err
		}
		count += int(n)
	}
	return count, nil
}

func (h *History) conversationIn(ctx context.Context, tx *db.Tx, e Event) (*outcome.Conversation, error) {
	var at, owner, message int64
	var sealed []byte
	if err := tx.One(ctx, h.set, "conversation", []any{int64(e.Attempt), int64(1), int64(0)}, &at, &owner, &message, &sealed); err != nil {
		return nil, err
	}
	return h.openConversation(e.Tenant, e.Attempt, sealed)
}

func (h *History) sealConversation(tenant ids.Tenant, id ids.Attempt, c *outcome.Conversation, text func(string) string) ([]byte, error) {
	var scratch [1024]byte
	w := pack.To(scratch[:0], 1)
	w.Uint(uint64(len(c.Steps)))
	for _, s := range c.Steps {
		w.Int(s.At.UnixMicro())
		w.Int(int64(s.Took))
		w.String(text(s.Sent))
		w.String(text(s.Got))
	}
	sealed, err := h.vault.Seal(nil, tenant, vault.Transcript, vault.AD{Table: conversationTable, Row: int64(id)}, w.Bytes())
	return sealed, fault.Wrap(err, "seal conversation")
}

// knownOf gathers a message's values from its events, one Known per recipient.
func knownOf(events []Event) []Known {
	var base Known
	recipients := map[string]bool{}
	for _, e := range events {
		if e.Kind == Accepted {
			base = Known{Sender: e.Detail.Sender, Subject: e.Detail.Subject, MessageID: e.Detail.MessageID, IP: e.Detail.IP}
		}
		for _, r := range e.Detail.Recipients {
			recipients[r] = true
		}
	}
	list := []Known{base}
	for r := range recipients {
		k := base
		k.Recipient = r
		list = append(list, k)
	}
	return list
}
