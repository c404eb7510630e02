package inbound

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
)

const (
	maxMatches = 16_384
	matchLife  = 10 * time.Second
)

// match is a recipient's route in memory.
type match struct {
	route Route
	until time.Time
}

// matches is bounded; when it is full, any entry may go. Recipients without a
// route are not kept, so that guesses cannot push real ones out.
type matches struct {
	mu   sync.Mutex
	each map[[16]byte]match
}

func (m *matches) get(h [16]byte, now time.Time) (Route, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.each[h]
	if ok && !now.Before(found.until) {
		delete(m.each, h)
		return Route{}, false
	}
	return found.route, ok
}

func (m *matches) put(h [16]byte, r Route, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.each {
		if len(m.each) < maxMatches {
			break
		}
		delete(m.each, k)
	}
	m.each[h] = match{r, until}
}

func (m *matches) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.each)
}

// Match finds the route of a recipient: the address itself before its
// sub-addresses, those before the whole domain. NotFound means that nobody takes
// mail for it. It may be some seconds behind what another node changed.
func (s *Store) Match(ctx context.Context, recipient address.Address) (Route, error) {
	all := patterns(recipient)
	var hashes [3][16]byte
	for i, p := range all {
		var err error
		if hashes[i], err = s.hash(p); err != nil {
			return Route{}, err
		}
	}
	now := s.Clock.Now()
	if r, ok := s.found.get(hashes[0], now); ok {
		return r, nil
	}
	list, err := s.read(ctx, "match", hashes[0], hashes[1], hashes[2])
	if err != nil {
		return Route{}, fault.Wrap(err, "find a recipient's route")
	}
	slices.SortStableFunc(list, func(a, b Route) int {
		return slices.Index(hashes[:], a.hash) - slices.Index(hashes[:], b.hash)
	})
	for _, r := range list {
		may, err := s.stillMay(ctx, r.Tenant, recipient.Domain())
		if err != nil {
			return Route{}, err
		}
		if may {
			s.found.put(hashes[0], r, now.Add(matchLife))
			return r, nil
		}
	}
	return Route{}, fault.New(fault.NotFound, "Nobody takes mail for this address.")
}

func (s *Store) stillMay(ctx context.Context, tenant ids.Tenant, domain string) (bool, error) {
	if slices.Contains(s.Shared, domain) {
		return true, nil
	}
	return s.Domains.MayReceive(ctx, tenant, domain)
}

// Handles reports whether any customer receives for a domain, so that a door can
// tell "no such user" from "not our domain".
func (s *Store) Handles(ctx context.Context, domain string) (bool, error) {
	if slices.Contains(s.Shared, domain) {
		return true, nil
	}
	var tenants []ids.Tenant
	err := s.set.Each(ctx, "of_domain", []any{domain}, func(scan func(...any) error) error {
		var t ids.Tenant
		err := scan(&t)
		tenants = append(tenants, t)
		return err
	})
	if err != nil {
		return false, fault.Wrap(err, "find a domain's routes")
	}
	for _, t := range tenants {
		if may, err := s.Domains.MayReceive(ctx, t, domain); may || err != nil {
			return may, err
		}
	}
	return false, nil
}

// Deliver is the route as the queue keeps it.
func (r Route) Deliver() deliver.Route {
	return deliver.Route{Kind: deliver.Webhook, URL: r.URL, Secret: r.Secret}
}
