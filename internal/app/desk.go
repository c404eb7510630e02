package app

import (
	"context"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/product/inbound"
	"mailvow/internal/protect/tenant"
)

// frontDesk says who takes mail to an address. Every recipient of every outgoing
// message is asked for too, so it remembers for a moment which domains nobody
// here receives for.
type frontDesk struct {
	inbound *inbound.Store
	// closed says whether a customer's contract is over; nil: nobody's is.
	closed func(context.Context, ids.Tenant) (bool, error)
	// sample says whose an address is that takes mail without a route: the demo
	// customer's one, whose mail is caught. Only dev mode has one.
	sample func(address.Address) (ids.Tenant, bool)
	// operator says whether mail to an address opens a case of the operator's.
	operator func(address.Address) bool
	// purposes says for whom mail is handed over; nil: for everybody.
	purposes pledge.Instructions
	clock    clock.Clock
	mu       sync.Mutex
	foreign  map[string]time.Time // until when
}

const (
	foreignFor  = 5 * time.Second
	foreignSize = 10000
)

func newFrontDesk(s *inbound.Store, c clock.Clock) *frontDesk {
	return &frontDesk{inbound: s, clock: c, foreign: map[string]time.Time{}}
}

// Recipient implements local.Desk and what the MX door asks.
func (d *frontDesk) Recipient(ctx context.Context, a address.Address) (ids.Tenant, deliver.Route, bool, error) {
	r, err := d.inbound.Match(ctx, a)
	switch {
	case fault.Is(err, fault.NotFound):
		if d.operator != nil && d.operator(a) {
			return tenant.Platform, deliver.Route{Kind: deliver.Cases}, true, nil
		}
		if d.sample != nil {
			if whose, is := d.sample(a); is {
				return whose, deliver.Route{Kind: deliver.Caught}, true, nil
			}
		}
		return 0, deliver.Route{}, false, nil
	case err != nil:
		return 0, deliver.Route{}, false, err
	}
	if d.closed != nil {
		over, err := d.closed(ctx, r.Tenant)
		if err == nil && over {
			err = errClosed
		}
		if err != nil {
			return 0, deliver.Route{}, false, err
		}
	}
	if !pledge.Runs(d.purposes, r.Tenant, pledge.ToHandOver) {
		return 0, deliver.Route{}, false, errNotInstructed
	}
	return r.Tenant, r.Deliver(), true, nil
}

// errNotInstructed is what a sender hears of a customer who does not have mail
// handed over; what they instruct is nobody else's business.
var errNotInstructed = fault.New(fault.Denied, "No mail is taken at this address for now, as its owner instructed.")

// errClosed is what a sender hears of a customer whose contract is over.
var errClosed = fault.New(fault.Denied, "The account that received mail at this address is closed.")

// Takes implements route.Ours.
func (d *frontDesk) Takes(ctx context.Context, a address.Address) (bool, error) {
	if d.operator != nil && d.operator(a) {
		return true, nil
	}
	now := d.clock.Now()
	d.mu.Lock()
	until, known := d.foreign[a.Domain()]
	d.mu.Unlock()
	if known && now.Before(until) {
		return false, nil
	}
	ours, err := d.inbound.Handles(ctx, a.Domain())
	if err != nil {
		return false, err
	}
	if !ours {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.foreign) >= foreignSize {
			clear(d.foreign)
		}
		d.foreign[a.Domain()] = now.Add(foreignFor)
		return false, nil
	}
	_, _, found, err := d.Recipient(ctx, a)
	if fault.Is(err, fault.Denied) { // ours, to be refused here and not looked for elsewhere
		return true, nil
	}
	return found, err
}
