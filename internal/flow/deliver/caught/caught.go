// Package caught is the courier of mailvow dev: it hands mail to the built-in
// inbox, and nothing leaves the machine. Keeping and showing what was caught is
// left to the inbox.
package caught

import (
	"context"

	"mailvow/internal/base/clock"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
)

// Inbox keeps what was caught. It reads the parcel's content before it returns.
type Inbox interface {
	Catch(ctx context.Context, p *deliver.Parcel) error
}

// Courier implements deliver.Courier for the route Caught.
type Courier struct {
	inbox Inbox
	clock clock.Clock
}

var _ deliver.Courier = (*Courier)(nil)

// New makes the courier.
func New(inbox Inbox, c clock.Clock) *Courier { return &Courier{inbox: inbox, clock: c} }

// Deliver implements deliver.Courier: all recipients share one outcome.
func (c *Courier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	start := c.clock.Now()
	o := outcome.ByUs(outcome.Delivered, 250, "2.0.0", "Caught in the built-in inbox; nothing left this machine.")
	if err := c.inbox.Catch(ctx, p); err != nil {
		o = outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The built-in inbox could not keep the message.")
		o.Class = outcome.Soft
	}
	o.Took = c.clock.Now().Sub(start)
	all := make([]outcome.Outcome, len(p.Recipients))
	for i := range all {
		all[i] = o
	}
	return all
}
