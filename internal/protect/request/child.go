package request

import (
	"context"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/tenant"
)

// A report of a child is answered in one of two ways, whichever comes first: who got
// the confirmation says by its link that the address is the child's, which proves it;
// or the operator names the address and accepts. Either erases everything about it, at
// every customer, at once: no customer is asked, since the service is not for children.

// ChildReport says what a link about a child is about. It changes nothing.
func (d *Desk) ChildReport(ctx context.Context, text string) (Case, error) {
	l, err := d.Links.Read(ctx, child, text)
	if err != nil {
		return Case{}, err
	}
	c, err := d.linked(ctx, l)
	if err == nil && (c.Kind != Child || c.State.Ended()) {
		err = fault.New(fault.Gone, "This report was answered.")
	}
	return c, err
}

// EraseChild erases everything about the address that a report's confirmation was
// mailed to, and answers the report. The link acts once.
func (d *Desk) EraseChild(ctx context.Context, text string) (Case, error) {
	c, err := d.ChildReport(ctx, text)
	if err != nil {
		return c, err
	}
	s := Share{Case: c.ID, Tenant: tenant.Platform}
	for _, x := range c.Shares {
		s = x
	}
	from := s.State
	s.State, s.Decided, s.Role = Accepted, d.Clock.Now(), string(evidence.BySubject)
	s.Reason, s.Value = "Everything about this address is erased.", c.Address.Text()
	err = d.Links.Use(ctx, child, text, func(tx *db.Tx, _ link.Link) error {
		if err := d.shift(ctx, tx, from, &s, nil); err != nil {
			return err
		}
		return d.stage(ctx, tx, evidence.Actor{Role: evidence.BySubject}, tenant.Platform, "request.child", c.ID)
	})
	if err != nil {
		return c, fault.Wrap(err, "erase a child's data")
	}
	d.Nudge()
	if err := d.carry(ctx, &c, &s); err != nil {
		return c, err
	}
	return d.Get(ctx, scope.Everyone, c.ID)
}

// eraseChild erases an address at every customer.
func (d *Desk) eraseChild(ctx context.Context, c *Case, s *Share) ([]byte, error) {
	a, err := address.Parse(s.Value)
	if err != nil {
		return nil, fault.Wrap(err, "read a child's address")
	}
	receipt, err := d.Eraser.Erase(ctx, erase.Order{Scope: scope.Everyone, Address: a, By: evidence.Role(s.Role), Reason: "child", KeepAway: s.KeepAway, Case: c.ID})
	if err != nil {
		return nil, err
	}
	if a.Canonical() != c.Address.Canonical() {
		return nil, nil // the certificate is about the child and goes to nobody else
	}
	return receipt.Document.JSON()
}
