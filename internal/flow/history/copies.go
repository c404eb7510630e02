package history

import (
	"context"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// Words holds the subjects of messages a second time, for finding messages by
// words of them. What it holds goes in the transaction in which the record does.
type Words interface {
	// Find gives messages whose subject has the words, newest first, and the
	// message to go on before, or zero when there are no more. It may give fewer
	// than the limit, or none, and say where to go on: its work is bounded.
	Find(ctx context.Context, s scope.Scope, q WordQuery) (found []ids.Message, next ids.Message, err error)
	// Ready loads the keys that Drop will need, outside of its transaction.
	Ready(ctx context.Context, tenant ids.Tenant, m ids.Message) error
	// Drop takes a message's subject out of what is held.
	Drop(ctx context.Context, tx *db.Tx, tenant ids.Tenant, m ids.Message) error
}

// WordQuery says which subjects are looked for.
type WordQuery struct {
	Text   string // folded; a subject has them if it contains them as they stand
	Before ids.Message
	From   time.Time
	Limit  int
}

// FindBy lets Search find by subject. Call it before the first Search, Delete or
// Redact.
func (h *History) FindBy(w Words) { h.words = w }

// Fold is the form in which subjects are compared: no upper case, no
// compatibility forms (Unicode UAX 15, NFKC), every run of white space one space.
func Fold(text string) string {
	ascii := true
	for i := range len(text) {
		ascii = ascii && text[i] < 0x80
	}
	if !ascii {
		text = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
	}
	return strings.Join(strings.Fields(strings.ToLower(text)), " ")
}

// copies are what is held of messages' subjects and must go with a change.
type copies struct {
	held Words
	of   []Event
}

// copies are those of the messages whose subject a change alters.
func (h *History) copies(ctx context.Context, events []Event, change func(*Detail)) (copies, error) {
	c := copies{held: h.words}
	if h.words == nil {
		return c, nil
	}
	for _, e := range events {
		after := e.Detail
		if change(&after); e.Kind != Accepted || after.Subject == e.Detail.Subject {
			continue
		}
		if err := h.words.Ready(ctx, e.Tenant, e.Message); err != nil {
			return c, fault.Wrap(err, "find the copy of a subject")
		}
		c.of = append(c.of, e)
	}
	return c, nil
}

func (c copies) drop(ctx context.Context, tx *db.Tx) error {
	for _, e := range c.of {
		if err := c.held.Drop(ctx, tx, e.Tenant, e.Message); err != nil {
			return fault.Wrap(err, "drop the copy of a subject")
		}
	}
	return nil
}
