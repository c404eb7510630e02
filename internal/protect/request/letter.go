package request

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/tenant"
)

// letter is an occasion to write to the person. No letter holds the person's own
// words: a stranger may have written them.
type letter int

const (
	prove   letter = iota // somebody asked: is it you?
	again                 // somebody asked again for what is open
	opened                // the address is proved
	decided               // a customer decided
)

// asks says in words what each kind asks for.
var asks = map[Kind]string{
	Access:        "a copy of the data that is held about you",
	Rectification: "the correction of data about you",
	Erasure:       "the erasure of the data about you",
	Restriction:   "that data about you is stored and not used",
	Portability:   "your data in a form that programs read",
	Objection:     "that data about you is no longer used, since you object to it",
	Withdrawal:    "an end of what you consented to",
	Question:      "an answer to your question",
	Report:        "an answer to your security report",
	Abuse:         "an answer to your report of abuse",
	Privacy:       "an answer to your question on data protection",
	Child:         "an answer to your report about a child",
}

// Words says in words what a case asks for.
func (k Kind) Words() string { return asks[k] }

func (d *Desk) post(ctx context.Context, c *Case, what letter, s *Share) error {
	text, subject, err := d.write(ctx, c, what, s)
	if err != nil {
		return err
	}
	return fault.Wrap(d.Post(ctx, Letter{To: c.Address, Subject: subject, Text: text}), "mail a person who asked about their data")
}

func (d *Desk) url(p link.Purpose, path string, subject ...int64) (string, error) {
	text, err := d.Links.Make(p, tenant.Platform, subject...)
	return d.Base() + path + text, err
}

func (d *Desk) write(ctx context.Context, c *Case, what letter, s *Share) (text, subject string, err error) {
	switch what {
	case prove:
		to, err := d.url(proof, ProofPath, int64(c.ID))
		return fmt.Sprintf(`Somebody, we think you, asked on our page for %s.

To show that this address is yours, open this link within 24 hours and confirm:

%s

If it was not you, do nothing: the request ends by itself, and nobody learned
anything about you.
`, c.Kind.Words(), to), "Please confirm your request about your data", err
	case opened:
		if c.Kind.Inquiry() {
			return d.thanks(c)
		}
		fallthrough
	case again:
		to, err := d.url(page, CasePath, int64(c.ID))
		return fmt.Sprintf(`Your request for %s is with us.

This page, which is for you alone, shows who holds data about you, and how the
request stands:

%s
`, c.Kind.Words(), to), "Your request about your data", err
	case decided:
		return d.decision(ctx, c, s)
	}
	return "", "", fault.New(fault.Internal, "a letter without an occasion")
}

// thanks confirms a message to the operator.
func (d *Desk) thanks(c *Case) (text, subject string, err error) {
	to, err := d.url(page, CasePath, int64(c.ID))
	if err != nil {
		return "", "", err
	}
	text = fmt.Sprintf(`Your message is with us. You get %s by %s.

This page, which is for you alone, shows how it stands:

%s
`, c.Kind.Words(), c.Due().UTC().Format("2 January 2006"), to)
	switch c.Kind {
	case Child:
		now, err := d.url(child, ChildPath, int64(c.ID))
		return text + fmt.Sprintf(`
The report goes ahead of all others. If it is about this very address, you need
not wait: this page erases everything about the address here, for everybody, as
soon as you confirm it there. It acts once, within 30 days.

%s
`, now), "Your message is with us", err
	case Privacy:
	default:
		return text, "Your message is with us", nil
	}
	choose, err := d.url(choice, ChoicePath, int64(c.ID))
	return text + fmt.Sprintf(`
If you ask for a right over data about you (to see it, to have it corrected or
erased, to object to its use), open this link within two weeks and choose which.
That shows that this address is yours, and the request goes to everybody here
who holds something about you:

%s
`, choose), "Your message is with us", err
}

func (d *Desk) decision(ctx context.Context, c *Case, s *Share) (text, subject string, err error) {
	who, err := d.Tenants.Get(ctx, scope.Everyone, s.Tenant)
	if err != nil {
		return "", "", err
	}
	to, err := d.url(page, CasePath, int64(c.ID))
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "You asked for %s.\n\n", c.Kind.Words())
	subject = "Your request about your data was answered"
	switch s.State {
	case Refused:
		subject = "Your request about your data was refused"
		fmt.Fprintf(&b, "%s refused this, for this reason:\n\n%s\n\n%s\n", who.Name, s.Reason, c.Law.Complaint)
	case Extended:
		subject = "Your request about your data takes longer"
		fmt.Fprintf(&b, "%s needs longer, until %s at the latest, for this reason:\n\n%s\n", who.Name, s.Due.UTC().Format(time.DateOnly), s.Reason)
	default:
		if c.Kind.Inquiry() {
			subject = "The answer to your message"
			fmt.Fprintf(&b, "The answer:\n\n%s\n", s.Reason)
			if s.Until.IsZero() {
				break
			}
		} else {
			fmt.Fprintf(&b, "%s did this.\n", who.Name)
		}
		if !s.Until.IsZero() {
			got, err := d.url(result, ResultPath, int64(c.ID), int64(s.Tenant))
			if err != nil {
				return "", "", err
			}
			fmt.Fprintf(&b, "\nThe result can be fetched here until %s:\n\n%s\n", s.Until.UTC().Format(time.DateOnly), got)
		}
	}
	fmt.Fprintf(&b, "\nHow the request stands:\n\n%s\n", to)
	return b.String(), subject, nil
}
