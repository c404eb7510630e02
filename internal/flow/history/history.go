// Package history is what happened to mail: for people, and erasable; it is
// also the one log of events that webhooks, statistics and warming read, each
// with an offset of its own. It promises that a row is written in the same
// commit as the act it tells of, that a reader which keeps its offset in the
// transaction of its effect sees every committed row once, and that what a
// policy redacts is never written. Erased and purged rows leave gaps that
// readers accept. What to do about an event is left to its readers.
package history

import (
	"context"
	_ "embed"
	"encoding/json"
	"math"
	"slices"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/policy"
)

//go:embed history.sql
var sql string

// Schema is what this package stores.
func Schema() db.Schema { return db.Schema{Package: "flow/history", SQL: sql} }

// Redaction says what a customer's policy lets a record hold of each field.
type Redaction interface {
	Redacted(ids.Tenant, Direction) Redactions
}

// Redactions are by field; what is not there is kept as it is.
type Redactions map[Field]policy.Redaction

// NoRedaction withholds nothing.
type NoRedaction struct{}

// Redacted implements Redaction.
func (NoRedaction) Redacted(ids.Tenant, Direction) Redactions { return nil }

// History writes and reads events.
type History struct {
	db        *db.DB
	set       *db.Set
	vault     *vault.Vault
	ids       *ids.Source
	clock     clock.Clock
	redaction Redaction
	add       *db.Bulk
	converse  *db.Bulk
	begin     *db.Bulk
	offset    *db.Bulk
	index     *Index // nil until OpenIndex
	purged    reached
	words     Words // nil until FindBy
	// MaySearch says whether a customer's messages may be searched for people or
	// words; set before use, nil: everybody's.
	MaySearch func(ctx context.Context, of ids.Tenant, q *Query) error
	// Floor says before which time a customer's conversations may go, and which law
	// keeps the younger ones; nil: none does.
	Floor func(ids.Tenant) (before time.Time, law string)
}

// byLaw reports whether a law keeps the conversation of an attempt, and which.
func (h *History) byLaw(of ids.Tenant, id ids.Attempt) (string, bool) {
	if h.Floor == nil {
		return "", false
	}
	before, law := h.Floor(of)
	return law, law != "" && !id.Time().Before(before)
}

// New opens history on a database that has its Schema.
func New(d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock, r Redaction) *History {
	set := d.Set("flow/history")
	return &History{
		db: d, set: set, vault: v, ids: source, clock: c, redaction: r,
		add: set.Bulk("add"), converse: set.Bulk("add_conversation"), begin: set.Bulk("begin_offset"), offset: set.Bulk("move_offset"),
	}
}

const (
	historyTable      = "history"
	conversationTable = "conversation"
)

// Write adds an event to a unit of work. The position is given at the commit.
// known are values of the message (addresses, subject) that a redacted record
// must not repeat in its reply either; pass the whole envelope.
func (h *History) Write(u *db.Unit, e Event, known Known) error {
	if rules := h.redaction.Redacted(e.Tenant, e.Direction); len(rules) > 0 {
		v := veil{h, e.Tenant, rules}
		v.detail(&e.Detail, v.swaps(known))
	}
	id := int64(ids.New[ids.Reference](h.ids))
	var scratch [512]byte
	sealed, err := h.vault.Seal(nil, e.Tenant, vault.Trace, vault.AD{Table: historyTable, Row: id}, e.Detail.append(scratch[:0]))
	if err != nil {
		return fault.Wrap(err, "seal history row")
	}
	event := e
	u.Adds = append(u.Adds, db.Add{By: h.add, Memo: &event, Row: []any{
		nil, nil, id, int64(e.Message), int64(e.Recipient), int64(e.Tenant),
		int64(e.Direction), int64(e.Kind), clock.Micros(e.At), int64(e.Attempt), sealed,
	}})
	return nil
}

// Known are a message's values that redaction looks for in other texts.
type Known struct {
	Sender, Recipient, Subject, MessageID, IP string
}

// Withhold removes from a text that goes into a notice what the customer's
// policy withholds: subject, Message-ID and address of origin. Sender and
// recipient stay, because a notice without them would tell nobody anything.
func (h *History) Withhold(tenant ids.Tenant, d Direction, text string, known Known) string {
	known.Sender, known.Recipient = "", ""
	return swapped(text, veil{h, tenant, h.redaction.Redacted(tenant, d)}.swaps(known))
}

// WriteConversation adds the SMTP conversation of an attempt to a unit.
func (h *History) WriteConversation(u *db.Unit, id ids.Attempt, message ids.Message, tenant ids.Tenant, d Direction, c *outcome.Conversation, known Known) error {
	rules := h.redaction.Redacted(tenant, d)
	if rules.nothing() {
		return nil // keeping records is not instructed
	}
	withheld := veil{h, tenant, rules}.swaps(known)
	sealed, err := h.sealConversation(tenant, id, c, func(t string) string { return swapped(t, withheld) })
	if err != nil {
		return err
	}
	u.Adds = append(u.Adds, db.Add{By: h.converse, Row: []any{int64(id), int64(message), int64(tenant), clock.Micros(h.clock.Now()), sealed}})
	return nil
}

// Conversation reads the conversation of an attempt, or a NotFound fault.
func (h *History) Conversation(ctx context.Context, s scope.Scope, id ids.Attempt) (*outcome.Conversation, error) {
	all, tenant := s.Args()
	var at, owner, message int64
	var sealed []byte
	if err := h.set.One(ctx, "conversation", []any{int64(id), all, tenant}, &at, &owner, &message, &sealed); err != nil {
		return nil, fault.Wrap(err, "read conversation")
	}
	return h.openConversation(ids.Tenant(owner), id, sealed)
}

func (h *History) openConversation(tenant ids.Tenant, id ids.Attempt, sealed []byte) (*outcome.Conversation, error) {
	plain, err := h.vault.Open(nil, tenant, vault.AD{Table: conversationTable, Row: int64(id)}, sealed)
	if err != nil {
		return nil, fault.Wrap(err, "open conversation")
	}
	r, _ := pack.From(plain)
	c := &outcome.Conversation{Steps: make([]outcome.Step, min(r.Uint(), 1000))}
	for i := range c.Steps {
		c.Steps[i] = outcome.Step{At: clock.FromMicros(r.Int()), Took: time.Duration(r.Int()), Sent: r.String(), Got: r.String()}
	}
	return c, r.Err()
}

// Of is the timeline of a message, oldest first.
func (h *History) Of(ctx context.Context, s scope.Scope, m ids.Message) ([]Event, error) {
	all, tenant := s.Args()
	var events []Event
	for at, pos := int64(-1), int64(0); ; {
		page, rows, last, err := h.rows(ctx, "of_message", []any{int64(m), all, tenant, at, pos, mostRows})
		if err != nil {
			return nil, fault.Wrap(err, "read timeline")
		}
		if events = append(events, page...); rows < mostRows {
			break
		}
		at, pos = clock.Micros(last.At), last.Position.pos()
	}
	if len(events) == 0 {
		return nil, fault.Wrap(fault.New(fault.NotFound, "There is no such message, or its record was deleted."), "read timeline")
	}
	return events, nil
}

// mostRows is how many rows are read at once, so that a busy machine stays within
// db.ReadLimit. A message to a thousand recipients that nobody takes has more.
const mostRows = 500

// OfMany gives the timelines of several messages, newest message first, some at a
// time and each whole. It stops at yield's first error, which it returns as it is.
func (h *History) OfMany(ctx context.Context, s scope.Scope, messages []ids.Message, yield func([]Event) error) error {
	all, tenant := s.Args()
	for left := slices.Clone(messages); len(left) > 0; {
		events, rows, last, err := h.rows(ctx, "of_messages", []any{jsonList(left), all, tenant, mostRows})
		if err != nil {
			return fault.Wrap(err, "read timelines")
		}
		left = slices.DeleteFunc(left, func(m ids.Message) bool { return rows < mostRows || m >= last.Message })
		if rows == mostRows { // the last one may be cut
			events = slices.DeleteFunc(events, func(e Event) bool { return e.Message == last.Message })
			whole, err := h.Of(ctx, s, last.Message)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			events = append(events, whole...)
		}
		if err := yield(events); err != nil {
			return err
		}
	}
	return nil
}

// jsonList is a list parameter: numbers as one JSON array.
func jsonList[T ~int64](list []T) string {
	raw := make([]int64, len(list))
	for i, v := range list {
		raw[i] = int64(v)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		panic(err) // numbers always marshal
	}
	return string(b)
}

// read runs a query that gives whole rows and opens them. A row whose key was
// destroyed is a gap, as if it had been erased.
func (h *History) read(ctx context.Context, query string, args []any) ([]Event, error) {
	events, _, _, err := h.rows(ctx, query, args)
	return events, err
}

// rows is read with the number of all rows and the last of them, which may be a
// gap.
func (h *History) rows(ctx context.Context, query string, args []any) (events []Event, n int, last Event, err error) {
	err = h.set.Each(ctx, query, args, func(scan func(...any) error) (err error) {
		n++
		if last, err = h.scan(scan); fault.Is(err, fault.Gone) {
			return nil
		}
		if err == nil {
			events = append(events, last)
		}
		return err
	})
	return events, n, last, err
}

func (h *History) scan(scan func(...any) error) (Event, error) {
	var pos, id, message, recipient, tenant, direction, kind, at, attempt int64
	var sealed []byte
	if err := scan(&pos, &id, &message, &recipient, &tenant, &direction, &kind, &at, &attempt, &sealed); err != nil {
		return Event{}, err
	}
	e := Event{
		Position: positionOf(pos), Message: ids.Message(message), Recipient: ids.Recipient(recipient), Tenant: ids.Tenant(tenant),
		Direction: Direction(direction), Kind: Kind(kind), At: clock.FromMicros(at), Attempt: ids.Attempt(attempt),
	}
	plain, err := h.vault.Open(nil, e.Tenant, vault.AD{Table: historyTable, Row: id}, sealed)
	if err != nil {
		return e, fault.Wrap(err, "open history row")
	}
	e.Detail, err = readDetail(plain)
	return e, err
}

const seqBits = 48

func positionOf(pos int64) Position {
	return Position{Node: int(pos >> seqBits), Seq: pos & (1<<seqBits - 1)}
}

func (p Position) pos() int64 { return int64(p.Node)<<seqBits | p.Seq }

// Recent are a scope's newest accepted messages before a message (zero: now)
// and not older than since.
func (h *History) Recent(ctx context.Context, s scope.Scope, before ids.Message, since time.Time, limit int) ([]ids.Message, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	query, args := "accepted_of_all", []any{int64(before), int64(ids.FirstAt[ids.Message](since)), limit}
	if tenant, one := s.ID(); one {
		query, args = "accepted_of_tenant", append([]any{int64(tenant)}, args...)
	} else if !s.All() {
		return nil, nil
	}
	var list []ids.Message
	err := h.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var m int64
		err := scan(&m)
		list = append(list, ids.Message(m))
		return err
	})
	return list, fault.Wrap(err, "list accepted messages")
}
