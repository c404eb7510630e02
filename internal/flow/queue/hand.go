package queue

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Selection names what a person acts on: recipients by id, or every recipient
// of a domain, a message or (with Everything) the scope.
type Selection struct {
	IDs        []ids.Recipient
	Message    ids.Message
	Domain     string
	Everything bool
}

// Hand is who acts, in which capacity and why. History keeps both; it keeps no name.
type Hand struct {
	Actor  history.Actor
	Reason string // in the person's own words, or ""
}

// Hold makes recipients wait for a person; the reason is shown where they wait.
// Like all acts here it returns how many it reached: recipients whose attempt is
// under way are not among them. Each act stands in history, in the same commit.
func (q *Queue) Hold(ctx context.Context, s scope.Scope, sel Selection, by Hand) (int, error) {
	return q.each(ctx, s, sel, q.mover(by, history.Held, func(w *waits) bool {
		if w.state == Held && w.Why == restricted {
			return false // it waits for its person's own word
		}
		if w.state != Held || by.Reason != "" {
			w.Why = by.Reason
		}
		w.state = Held
		return true
	}))
}

// Release lets what was held go now, and nothing else. What its person restricted
// is let go only by lifting the restriction.
func (q *Queue) Release(ctx context.Context, s scope.Scope, sel Selection, by Hand) (int, error) {
	return q.each(ctx, s, sel, q.mover(by, history.Released, func(w *waits) bool {
		if w.state != Held || w.Why == restricted {
			return false
		}
		w.state, w.Why = Ready, ""
		return true
	}))
}

// Retry makes recipients due now, except those that are held.
func (q *Queue) Retry(ctx context.Context, s scope.Scope, sel Selection, by Hand) (int, error) {
	return q.each(ctx, s, sel, q.mover(by, history.Retried, func(w *waits) bool {
		if w.state != Ready && w.state != Paused {
			return false
		}
		w.state = Ready
		return true
	}))
}

// Fail settles recipients as failed; their senders are told.
func (q *Queue) Fail(ctx context.Context, s scope.Scope, sel Selection, by Hand) (int, error) {
	o := outcome.ByUs(outcome.Failed, 554, "5.3.0", "An administrator took the message out of the queue.")
	return q.each(ctx, s, sel, func(ctx context.Context, s scope.Scope, w *waits) (bool, error) {
		return q.takeOut(ctx, s, w.id, o, by)
	})
}

// Cancel settles recipients as cancelled; nobody is told.
func (q *Queue) Cancel(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	o := outcome.ByUs(outcome.Cancelled, 554, "5.3.0", "The message was cancelled.")
	return q.each(ctx, s, sel, func(ctx context.Context, s scope.Scope, w *waits) (bool, error) {
		return q.takeOut(ctx, s, w.id, o, Hand{})
	})
}

// Settling is how long Withdraw waits for attempts that are under way.
const Settling = 10 * time.Second

// Withdraw cancels a message and waits until none of its recipients is in an
// attempt, so that what is then deleted about it stays deleted: an attempt that
// ended later would write its outcome after that. One that takes longer than
// Settling is a Conflict, with what could be cancelled cancelled.
func (q *Queue) Withdraw(ctx context.Context, s scope.Scope, m ids.Message) (int, error) {
	until := q.Clock.Now().Add(Settling)
	cancelled := 0
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		n, err := q.Cancel(ctx, s, Selection{Message: m})
		if cancelled += n; err != nil {
			return cancelled, err
		}
		left, err := q.OfMessage(ctx, s, m)
		if err != nil || len(left) == 0 {
			return cancelled, err
		}
		if !q.Clock.Now().Before(until) {
			return cancelled, fault.New(fault.Conflict, "The message is being delivered at this moment.").
				WithHint("ask again when the attempt has ended, at most a quarter of an hour from now")
		}
		if err := clock.Sleep(ctx, q.Clock, wait); err != nil {
			return cancelled, err
		}
	}
}

// each acts on a selection page by page and counts what changed.
func (q *Queue) each(ctx context.Context, s scope.Scope, sel Selection, act func(context.Context, scope.Scope, *waits) (bool, error)) (int, error) {
	if len(sel.IDs) == 0 && sel.Message == 0 && sel.Domain == "" && !sel.Everything {
		return 0, fault.New(fault.Invalid, "Say what to act on: ids, a message, a domain, or everything.")
	}
	defer q.feed()
	count := 0
	all, tenant := s.Args()
	run := func(query string, args ...any) (last ids.Recipient, n int, err error) {
		list, err := q.rows(ctx, query, args...)
		for i := range list {
			did, err := act(ctx, s, &list[i])
			if err != nil {
				return 0, 0, err
			}
			if last = list[i].id; did {
				count++
			}
		}
		return last, len(list), err
	}
	for _, id := range sel.IDs {
		if _, _, err := run("row", int64(id), all, tenant); err != nil {
			return count, err
		}
	}
	if sel.Message != 0 {
		_, _, err := run("of_message", int64(sel.Message), all, tenant)
		return count, err
	}
	if sel.Domain == "" && !sel.Everything {
		return count, nil
	}
	site, err := q.siteBy(sel.Domain)
	if err != nil {
		return count, err
	}
	for after := ids.Recipient(0); ; {
		last, n, err := run("page", int64(after), all, tenant, int64(0), site, maxPage)
		if err != nil || n == 0 {
			return count, err
		}
		after = last
	}
}

// mover makes the act that changes a row by change, if change says so, and
// writes it down. Envelopes are read once for the rows of a message that follow
// one another.
func (q *Queue) mover(by Hand, kind history.Kind, change func(*waits) bool) func(context.Context, scope.Scope, *waits) (bool, error) {
	var now time.Time
	var env *Envelope
	return func(ctx context.Context, s scope.Scope, w *waits) (bool, error) {
		was := w.state
		if !change(w) {
			return false, nil
		}
		var err error
		if now.IsZero() {
			if now, err = q.DB.Now(ctx); err != nil {
				return false, fault.Wrap(err, "ask the database's clock")
			}
		}
		if env == nil || env.ID != w.message {
			env, err = q.envelope(ctx, s, w.message)
			if fault.Is(err, fault.NotFound) {
				return false, nil // settled meanwhile
			}
			if err != nil {
				return false, err
			}
		}
		w.env, w.due = env, now
		return q.move(ctx, w, was, kind, by)
	}
}

// move commits a row's new state with its line of history. A row that somebody
// else has meanwhile is left to them.
func (q *Queue) move(ctx context.Context, w *waits, was State, kind history.Kind, by Hand) (bool, error) {
	class := vault.Content
	if w.state == Ready {
		class = q.classUntil(w.due, w.id)
	}
	sealed, err := q.sealRow(class, w.tenant, w.id, &w.row)
	if err != nil {
		return false, err
	}
	u := &db.Unit{Changes: []db.Change{{By: q.bulk.byHand, Row: []any{int64(w.id), w.token, int64(was), int64(w.state), clock.Micros(w.due), sealed}}}}
	err = q.History.Write(u, history.Event{
		Message: w.message, Recipient: w.id, Tenant: w.tenant, Direction: w.env.Direction, Kind: kind, At: q.Clock.Now(),
		Detail: history.Detail{Recipients: []string{w.Address.Text()}, Actor: by.Actor, Note: by.Reason},
	}, w.env.known(w.Address))
	if err == nil {
		err = q.DB.Commit(ctx, u)
	}
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	return err == nil, fault.Wrap(err, "move a recipient")
}

// takeOut settles a row that nobody has as a person decided, in one commit: until
// then it is what it was. One that somebody has meanwhile is left to them.
func (q *Queue) takeOut(ctx context.Context, s scope.Scope, id ids.Recipient, o outcome.Outcome, by Hand) (bool, error) {
	all, tenant := s.Args()
	rows, err := q.rows(ctx, "row", int64(id), all, tenant)
	if err != nil || len(rows) == 0 || rows[0].state == Leased {
		return false, err
	}
	r := rows[0]
	env, content, err := q.stored(ctx, s, r.message)
	if err != nil {
		return false, err
	}
	w := newWork(q.DB.Life(), env, content, r.lane, r.site, r.Route)
	w.by, w.unleased = by, true
	w.add(id, r.Recipient, entry{token: r.token, attempt: r.attempt, expires: r.expires})
	err = q.settle(ctx, w, []outcome.Outcome{o})
	if fault.Is(err, fault.Conflict) {
		return false, nil
	}
	return err == nil, err
}
