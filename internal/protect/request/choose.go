package request

import (
	"context"
	"unicode/utf8"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/tenant"
)

// Choosing says of which mail to the officer a request can be made by a link. It
// changes nothing.
func (d *Desk) Choosing(ctx context.Context, text string) (Case, error) {
	l, err := d.Links.Read(ctx, choice, text)
	if err != nil {
		return Case{}, err
	}
	return d.linked(ctx, l)
}

// Choose makes a request of a mail to the officer: who has the link that was mailed
// to the address proved it. The request is as if it had been made on the page, at
// the moment at which the mail was received, and the mail is answered with it. It
// gives the text of the link to the person's page.
func (d *Desk) Choose(ctx context.Context, text string, k Kind, law string) (string, error) {
	mail, err := d.Choosing(ctx, text)
	if err != nil {
		return "", err
	}
	if err := parseKind(k); err != nil {
		return "", err
	}
	under, err := LawOf(law)
	if err != nil {
		return "", err
	}
	c := Case{Kind: k, Law: under, Source: ByPerson, State: Unproved, Address: mail.Address, Note: shortened(mail.Note), Received: mail.Received}
	hash, err := d.hash(c.Address)
	if err != nil {
		return "", err
	}
	holders, err := d.holding(ctx, &c)
	if err != nil {
		return "", err
	}
	err = d.Links.Use(ctx, choice, text, func(tx *db.Tx, _ link.Link) error {
		if err := d.add(ctx, tx, &c, hash, 0); err != nil {
			return err
		}
		if err := d.spread(ctx, tx, &c, holders); err != nil {
			return err
		}
		return d.replaced(ctx, tx, &mail, &c)
	})
	if err != nil {
		return "", fault.Wrap(err, "make a request of a mail")
	}
	return d.opened(ctx, &c)
}

// replaced answers a mail with the request that the person made of it. What was
// answered by hand meanwhile stays so.
func (d *Desk) replaced(ctx context.Context, tx *db.Tx, mail, c *Case) error {
	for i := range mail.Shares {
		s := mail.Shares[i]
		if s.State != Open {
			continue
		}
		s.State, s.Decided, s.Role = Answered, tx.Now(), string(evidence.BySubject)
		s.Reason = "You made this a request for " + c.Kind.Words() + "; it has the number " + c.ID.String() + "."
		if err := d.shift(ctx, tx, Open, &s, nil); err != nil {
			return err
		}
	}
	return d.stage(ctx, tx, evidence.Actor{Role: evidence.BySubject}, tenant.Platform, "inquiry.request", mail.ID)
}

// shortened is what a request keeps of a mail's words; the mail's own case has more.
func shortened(text string) string {
	if utf8.RuneCountInString(text) <= maxWords {
		return text
	}
	return string([]rune(text)[:maxWords-1]) + "…"
}
