package request

import (
	"context"
	"io"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// Part is one customer's share as the person sees it.
type Part struct {
	Share
	Name   string          // the customer's
	Held   []pledge.Trace  // what it holds now
	Result string          // the path of the result's page; "" where there is none
	Told   []onward.Notice // who got the data and was told
}

// Page is a person's page. Whoever has its link proved the address.
func (d *Desk) Page(ctx context.Context, text string) (Case, []Part, error) {
	l, err := d.Links.Read(ctx, page, text)
	if err != nil {
		return Case{}, nil, err
	}
	c, err := d.linked(ctx, l)
	if err != nil {
		return Case{}, nil, err
	}
	var parts []Part
	for _, s := range c.Shares {
		p, err := d.part(ctx, &c, s)
		if err != nil {
			return c, nil, fault.Wrap(err, "show a person's page")
		}
		parts = append(parts, p)
	}
	return c, parts, nil
}

func (d *Desk) part(ctx context.Context, c *Case, s Share) (Part, error) {
	p := Part{Share: s}
	t, err := d.Tenants.Get(ctx, scope.Everyone, s.Tenant)
	if err != nil {
		return p, err
	}
	p.Name = t.Name
	if !c.Kind.Inquiry() {
		if p.Held, err = d.Subjects.Find(ctx, c.subject(&s)); err != nil {
			return p, err
		}
		if d.Told != nil {
			if p.Told, err = d.Told.OfCase(ctx, scope.Tenant(s.Tenant), s.Case); err != nil {
				return p, err
			}
		}
	}
	if left := s.Until.Sub(d.Clock.Now()); !s.Until.IsZero() && left > 0 {
		ends := result
		ends.Life = left
		to, err := d.Links.Make(ends, tenant.Platform, int64(c.ID), int64(s.Tenant))
		if err != nil {
			return p, err
		}
		p.Result = ResultPath + to
	}
	return p, nil
}

// Result says what a link to a result is about; it changes nothing. A result
// whose time is over is Gone.
func (d *Desk) Result(ctx context.Context, text string) (Case, Share, error) {
	l, err := d.Links.Read(ctx, result, text)
	if err != nil {
		return Case{}, Share{}, err
	}
	c, err := d.linked(ctx, l)
	if err != nil {
		return c, Share{}, err
	}
	return c, d.shareOf(&c, l), d.fetchable(&c, l)
}

func (d *Desk) shareOf(c *Case, l link.Link) Share {
	for _, s := range c.Shares {
		if len(l.Subject) == 2 && s.Tenant == ids.Tenant(l.Subject[1]) {
			return s
		}
	}
	return Share{}
}

func (d *Desk) fetchable(c *Case, l link.Link) error {
	if s := d.shareOf(c, l); s.Until.IsZero() || !d.Clock.Now().Before(s.Until) {
		return fault.New(fault.Gone, "This result is no longer here; ask again if you need it.")
	}
	return nil
}

// Fetch writes a result: the copy, as it is now, or the certificate. The look is
// in the evidence log first.
func (d *Desk) Fetch(ctx context.Context, text string, f subject.Format, w io.Writer) error {
	c, s, err := d.Result(ctx, text)
	if err != nil {
		return err
	}
	if c.Kind == Access || c.Kind == Portability {
		_, err := d.Subjects.Export(ctx, c.subject(&s), evidence.Actor{Role: evidence.BySubject}, f, w)
		return fault.Wrap(err, "hand a person's copy over")
	}
	var blob []byte
	err = d.set.Each(ctx, "result", []any{c.ID, s.Tenant, d.Clock.Now()}, func(scan func(...any) error) error { return scan(&blob) })
	if err != nil {
		return fault.Wrap(err, "read a certificate")
	}
	var paper string
	if err := sealed.Get(d.Vault, resultRow(c.ID, s.Tenant), blob, &paper); err != nil {
		return err
	}
	_, err = io.WriteString(w, paper)
	return fault.Wrap(err, "hand a certificate over")
}

// HolderName implements pledge.Holder.
func (d *Desk) HolderName() string { return "requests" }

func (d *Desk) held(ctx context.Context, s pledge.Subject) ([]Case, error) {
	if s.Address.IsNull() {
		return nil, nil
	}
	hash, err := d.hash(s.Address)
	if err != nil {
		return nil, err
	}
	all, own := s.Scope.Args()
	list, err := d.cases(ctx, "of_address", all, own, hash)
	kept := list[:0]
	for _, c := range list {
		if s.Before.IsZero() || c.Received.Before(s.Before) {
			kept = append(kept, c)
		}
	}
	return kept, fault.Wrap(err, "find a person's requests")
}

// Find implements pledge.Holder.
func (d *Desk) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	list, err := d.held(ctx, s)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Trace{{Category: category, Holder: d.HolderName(), Count: len(list), First: list[0].Received, Last: list[len(list)-1].Received}}, nil
}

// HandOver implements pledge.Holder.
func (d *Desk) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	list, err := d.held(ctx, s)
	if err != nil {
		return err
	}
	all, own := s.Scope.Args()
	for _, c := range list {
		fields := map[string]string{
			"address": c.Address.Text(), "kind": string(c.Kind), "law": c.Law.Name, "source": string(c.Source), "state": string(c.State), "note": c.Note,
		}
		for _, i := range c.Identifiers {
			fields[string(i.Is)] = i.Value
		}
		shares, err := d.shares(ctx, "shares", all, own, c.ID)
		if err != nil {
			return err
		}
		for _, p := range shares {
			fields["decision."+p.Tenant.String()] = string(p.State)
			if p.Reason != "" {
				fields["reason."+p.Tenant.String()] = p.Reason
			}
		}
		if err := yield(pledge.Record{Category: category, ID: c.ID.String(), At: c.Received, Fields: fields}); err != nil {
			return err
		}
	}
	return nil
}

// Correct implements pledge.Holder: what was asked stays as it was asked.
func (d *Desk) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: a case is used to answer it and for nothing
// else.
func (d *Desk) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: cases stay as the proof that they were answered.
func (d *Desk) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	list, err := d.held(ctx, s)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Erased{{Category: category, Kept: len(list), Why: "the law wants proof that requests were answered (GDPR Art. 5(2)); they are used for nothing else and go three years after the answer"}}, nil
}

var _ pledge.Holder = (*Desk)(nil)
