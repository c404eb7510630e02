package queue

import (
	"context"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
)

// Item is one recipient in the queue, as people see it.
type Item struct {
	ID        ids.Recipient
	Message   ids.Message
	Tenant    ids.Tenant
	Recipient address.Address
	Site      string
	State     State
	Attempts  int
	Due       time.Time
	Expires   time.Time
	LastReply string
	Why       string // why it is held
}

// Filter narrows a list. Zero values do not narrow.
type Filter struct {
	State  State
	Domain string
	After  ids.Recipient // the last one of the page before
	Limit  int           // 100 when zero, 1000 at most
}

const maxPage = 1000

// List gives one page of the queue, oldest first.
func (q *Queue) List(ctx context.Context, s scope.Scope, f Filter) ([]Item, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	site := int64(0)
	if f.Domain != "" {
		site = q.siteOf(f.Domain)
	}
	all, tenant := s.Args()
	return q.items(ctx, "page", int64(f.After), all, tenant, int64(f.State), site, min(f.Limit, maxPage))
}

// OfMessage lists the recipients of a message that are not settled yet.
func (q *Queue) OfMessage(ctx context.Context, s scope.Scope, m ids.Message) ([]Item, error) {
	all, tenant := s.Args()
	return q.items(ctx, "of_message", int64(m), all, tenant)
}

func (q *Queue) items(ctx context.Context, query string, args ...any) ([]Item, error) {
	var list []Item
	err := q.set.Each(ctx, query, args, func(scan func(...any) error) error {
		l, err := scanLeased(scan)
		if err != nil {
			return err
		}
		r, err := q.openRow(l.tenant, l.id, l.sealed)
		if err != nil {
			return err
		}
		list = append(list, Item{
			ID: l.id, Message: l.message, Tenant: l.tenant, Recipient: r.Address, Site: Site(r.Address), State: l.state,
			Attempts: l.attempt, Due: l.due, Expires: l.expires, LastReply: r.LastReply, Why: r.Why,
		})
		return nil
	})
	return list, fault.Wrap(err, "list queue")
}

// Group is the queue of one domain and customer.
type Group struct {
	Site      string
	Tenant    ids.Tenant
	Count     map[State]int64
	Oldest    time.Time // earliest due time
	LastReply string    // of one of its recipients
}

// Summary groups the queue by destination and customer, largest first.
func (q *Queue) Summary(ctx context.Context, s scope.Scope, limit int) ([]Group, error) {
	type key struct{ site, tenant int64 }
	all, tenant := s.Args()
	groups := map[key]*Group{}
	var order []key
	samples := map[key]int64{}
	err := q.set.Each(ctx, "summary", []any{all, tenant, min(max(limit, 1), maxPage)}, func(scan func(...any) error) error {
		var k key
		var state State
		var n, due, attempts, sample int64
		if err := scan(&k.site, &k.tenant, &state, &n, &due, &attempts, &sample); err != nil {
			return err
		}
		g := groups[k]
		if g == nil {
			g = &Group{Tenant: ids.Tenant(k.tenant), Count: map[State]int64{}, Oldest: clock.FromMicros(due)}
			groups[k], samples[k] = g, sample
			order = append(order, k)
		}
		g.Count[state] = n
		if at := clock.FromMicros(due); at.Before(g.Oldest) {
			g.Oldest = at
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(err, "summarise queue")
	}
	list := make([]Group, 0, len(order))
	for _, k := range order {
		items, err := q.items(ctx, "row", samples[k], all, tenant)
		if err != nil {
			return nil, err
		}
		if len(items) == 1 { // settled meanwhile otherwise
			groups[k].Site, groups[k].LastReply = items[0].Site, items[0].LastReply
			list = append(list, *groups[k])
		}
	}
	return list, nil
}

// Counts is how many recipients are in each state.
func (q *Queue) Counts(ctx context.Context, s scope.Scope) (map[State]int64, error) {
	all, tenant := s.Args()
	counts := map[State]int64{}
	err := q.set.Each(ctx, "count", []any{all, tenant}, func(scan func(...any) error) error {
		var state State
		var n int64
		err := scan(&state, &n)
		counts[state] = n
		return err
	})
	return counts, fault.Wrap(err, "count queue")
}

// Selection names what a person acts on: recipients by id, or every recipient
// of a domain, a message or (with Everything) the scope.
type Selection struct {
	IDs        []ids.Recipient
	Message    ids.Message
	Domain     string
	Everything bool
}

// Retry makes recipients due now, except those that are held; Hold makes them wait for a person, Release
// lets them go, Fail settles them as failed with a notice to the sender, Cancel
// settles them without one. Each returns how many it reached; recipients whose
// attempt is under way are not among them.
func (q *Queue) Retry(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	return q.each(ctx, s, sel, func(i Item) (bool, error) { return q.move(ctx, s, i.ID, "retry") })
}

// Release lets what was held go now, and nothing else.
func (q *Queue) Release(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	return q.each(ctx, s, sel, func(i Item) (bool, error) { return q.move(ctx, s, i.ID, "release") })
}

// Hold makes recipients wait for a person.
func (q *Queue) Hold(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	return q.each(ctx, s, sel, func(i Item) (bool, error) { return q.move(ctx, s, i.ID, "hold") })
}

// Fail settles recipients as failed; their senders are told.
func (q *Queue) Fail(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	o := outcome.ByUs(outcome.Failed, 554, "5.3.0", "An administrator took the message out of the queue.")
	return q.each(ctx, s, sel, func(i Item) (bool, error) { return q.takeOut(ctx, s, i.ID, o) })
}

// Cancel settles recipients as cancelled; nobody is told.
func (q *Queue) Cancel(ctx context.Context, s scope.Scope, sel Selection) (int, error) {
	o := outcome.ByUs(outcome.Cancelled, 554, "5.3.0", "The message was cancelled.")
	return q.each(ctx, s, sel, func(i Item) (bool, error) { return q.takeOut(ctx, s, i.ID, o) })
}

// each acts on a selection page by page and counts what changed.
func (q *Queue) each(ctx context.Context, s scope.Scope, sel Selection, act func(Item) (bool, error)) (int, error) {
	if len(sel.IDs) == 0 && sel.Message == 0 && sel.Domain == "" && !sel.Everything {
		return 0, fault.New(fault.Invalid, "Say what to act on: ids, a message, a domain, or everything.")
	}
	count := 0
	run := func(list []Item) error {
		for _, i := range list {
			did, err := act(i)
			if err != nil {
				return err
			}
			if did {
				count++
			}
		}
		return nil
	}
	for _, id := range sel.IDs {
		if err := run([]Item{{ID: id}}); err != nil {
			return count, err
		}
	}
	if sel.Message != 0 {
		list, err := q.OfMessage(ctx, s, sel.Message)
		if err == nil {
			err = run(list)
		}
		return count, err
	}
	if sel.Domain == "" && !sel.Everything {
		return count, nil
	}
	for f := (Filter{Domain: sel.Domain, Limit: maxPage}); ; {
		list, err := q.List(ctx, s, f)
		if err != nil || len(list) == 0 {
			return count, err
		}
		if err := run(list); err != nil {
			return count, err
		}
		f.After = list[len(list)-1].ID
	}
}

// move runs hold, retry or release for one recipient.
func (q *Queue) move(ctx context.Context, s scope.Scope, id ids.Recipient, query string) (bool, error) {
	all, tenant := s.Args()
	var n int64
	err := q.DB.Change(ctx, "move recipient", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, q.set, query, int64(id), clock.Micros(tx.Now()), all, tenant)
		return err
	})
	q.feed()
	return n == 1, err
}

// takeOut leases a row that nobody has and settles it as a person decided.
func (q *Queue) takeOut(ctx context.Context, s scope.Scope, id ids.Recipient, o outcome.Outcome) (bool, error) {
	all, tenant := s.Args()
	var rows []leased
	life := q.DB.Life()
	err := q.DB.Change(ctx, "take recipient out", func(tx *db.Tx) error {
		rows = rows[:0]
		return tx.Each(ctx, q.set, "take", []any{int64(id), int64(life), all, tenant}, func(scan func(...any) error) error {
			l, err := scanLeased(scan)
			rows = append(rows, l)
			return err
		})
	})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	r, err := q.openRow(rows[0].tenant, id, rows[0].sealed)
	if err != nil {
		return false, err
	}
	env, content, err := q.stored(ctx, s, rows[0].message)
	if err != nil {
		return false, err
	}
	w := newWork(life, env, content, rows[0].lane, rows[0].site, r.Route)
	w.add(id, r.Recipient, entry{token: rows[0].token, attempt: rows[0].attempt, expires: rows[0].expires})
	return true, q.settle(ctx, w, []outcome.Outcome{o})
}
