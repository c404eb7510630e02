package queue

import (
	"context"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
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
	site, err := q.siteBy(f.Domain)
	if err != nil {
		return nil, err
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
	rows, err := q.rows(ctx, query, args...)
	var list []Item
	for _, w := range rows {
		list = append(list, Item{
			ID: w.id, Message: w.message, Tenant: w.tenant, Recipient: w.Address, Site: Site(w.Address), State: w.state,
			Attempts: w.attempt, Due: w.due, Expires: w.expires, LastReply: w.LastReply, Why: w.Why,
		})
	}
	return list, err
}

// rows opens the rows of a query.
func (q *Queue) rows(ctx context.Context, query string, args ...any) ([]waits, error) {
	var list []waits
	err := q.set.Each(ctx, query, args, func(scan func(...any) error) error {
		l, err := scanLeased(scan)
		if err != nil {
			return err
		}
		r, err := q.openRow(l.tenant, l.id, l.sealed)
		list = append(list, waits{leased: l, row: r})
		return err
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
