// Package route says where a recipient's mail goes: to the platform itself, to a
// host that the operator or a customer named, or to the domain's mail hosts. It
// promises one answer per recipient from what it was given; it asks no network.
// Looking up mail hosts is left to the courier.
package route

import (
	"context"
	"strings"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
)

// Ours says whether mail to an address comes to this platform: an inbound route
// has it, or it is one of the platform's own addresses.
type Ours interface {
	Takes(ctx context.Context, recipient address.Address) (bool, error)
}

// Static sends a domain to a named host.
type Static struct {
	Domain string // "example.com", or "*.example.com" for all below it
	Route  deliver.Route
}

// Table is the operator's routing. Later entries serve where earlier ones do
// not match: First, own addresses, static routes, Otherwise.
type Table struct {
	// First is asked before everything else, if it is set: the probes' own
	// destinations, which exist only while a probe runs.
	First     func(tenant ids.Tenant, recipient address.Address) (deliver.Route, bool)
	Ours      Ours // nil: nothing is ours
	Static    []Static
	Otherwise deliver.Route // by default the domain's mail hosts
}

// Route implements queue.Routes.
func (t *Table) Route(ctx context.Context, tenant ids.Tenant, recipient address.Address) (deliver.Route, error) {
	if t.First != nil {
		if r, ok := t.First(tenant, recipient); ok {
			return r, nil
		}
	}
	if t.Ours != nil {
		ours, err := t.Ours.Takes(ctx, recipient)
		if err != nil {
			return deliver.Route{}, fault.Wrap(err, "look for a route of our own")
		}
		if ours {
			return deliver.Route{Kind: deliver.Local}, nil
		}
	}
	for _, s := range t.Static {
		if s.covers(recipient.Domain()) {
			return s.Route, nil
		}
	}
	if t.Otherwise.Kind == 0 {
		return deliver.Route{Kind: deliver.MX}, nil
	}
	return t.Otherwise, nil
}

func (s Static) covers(domain string) bool {
	if below, ok := strings.CutPrefix(s.Domain, "*."); ok {
		return strings.HasSuffix(domain, "."+below)
	}
	return s.Domain == domain
}
