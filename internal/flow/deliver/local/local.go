// Package local carries mail to the platform itself: a customer's message to an
// address that another customer, or the same one, takes in comes back through
// intake as inbound mail, with that customer's record and policy. It promises
// that a message goes round at most as often as any mail host would let it. Who
// takes an address is left to the Desk.
package local

import (
	"context"
	"errors"
	"io"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
)

// Desk knows who takes mail to an address, and how it is delivered there.
type Desk interface {
	Recipient(ctx context.Context, a address.Address) (tenant ids.Tenant, r deliver.Route, found bool, err error)
}

// Courier implements deliver.Courier for the route Local.
type Courier struct {
	Hostname string
	Desk     Desk
	Drafts   *blob.Drafts
	Intake   *intake.Intake
}

// Deliver implements deliver.Courier.
func (c *Courier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	list := make([]outcome.Outcome, len(p.Recipients))
	for i, r := range p.Recipients {
		list[i] = c.one(ctx, p, r)
	}
	return list
}

func (c *Courier) one(ctx context.Context, p *deliver.Parcel, r deliver.Recipient) outcome.Outcome {
	tenant, route, found, err := c.Desk.Recipient(ctx, r.Address)
	if fault.Is(err, fault.Denied) {
		text, _ := fault.Public(err)
		return outcome.ByUs(outcome.Failed, 550, "5.2.1", text)
	}
	if err != nil {
		return outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The address could not be looked up; it will be tried again.")
	}
	if !found {
		o := outcome.ByUs(outcome.Failed, 550, "5.1.1", "No such recipient here.")
		o.Class = outcome.Hard
		return o
	}
	receipt, err := c.accept(ctx, p, r, tenant, route)
	switch {
	case err == nil:
		o := outcome.FromReply(c.Hostname, reply.New(250, "2.0.0", "accepted as "+receipt.Message.String()))
		return o
	case fault.Is(err, fault.Invalid):
		text, _ := fault.Public(err)
		return outcome.ByUs(outcome.Failed, 554, "5.6.0", text)
	}
	return outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The message could not be taken in; it will be tried again.")
}

func (c *Courier) accept(ctx context.Context, p *deliver.Parcel, r deliver.Recipient, tenant ids.Tenant, route deliver.Route) (intake.Receipt, error) {
	draft := c.Drafts.Begin(ctx)
	_, err := io.Copy(draft, io.NewSectionReader(p.Content, 0, p.Content.Size()))
	if err == nil {
		err = draft.Finish()
	}
	if err != nil {
		return intake.Receipt{}, fault.Wrap(errors.Join(err, draft.Discard(ctx)), "copy message")
	}
	return c.Intake.Accept(ctx, &intake.Submission{
		Tenant: tenant, Direction: history.Inbound, Sender: p.Sender, Draft: draft, Need: p.Need,
		Recipients: []queue.Recipient{{Address: r.Address, Notify: r.Notify, ORcpt: r.ORcpt, Route: route}},
		Peer:       deliver.Peer{IP: "127.0.0.1", Name: c.Hostname, Protocol: "local"},
	})
}
