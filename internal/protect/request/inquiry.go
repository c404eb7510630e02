package request

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// What people write to the operator, by the form of the trust centre or by mail.
// Such a case is the platform's alone: nobody else learns of it, and no address
// has to be proved, since nothing is given to it but the operator's own words.
const (
	Question Kind = "question" // on data handling, regions, sub-processors
	Report   Kind = "security" // a vulnerability
	Abuse    Kind = "abuse"
	Privacy  Kind = "privacy" // to the officer
	Child    Kind = "child"   // a person under AgeTerm uses this server: their data goes at once
)

// AgeTerm is the age in years from which the service is for a person: the highest that
// GDPR Art. 8(1) leaves the states to choose.
const AgeTerm = 16

// Inquiries gives the closed list of what people write to the operator.
func Inquiries() []Kind { return []Kind{Question, Privacy, Child, Report, Abuse} }

// Inquiry reports whether a case is a message to the operator.
func (k Kind) Inquiry() bool { return slices.Contains(Inquiries(), k) }

// noLaw is in the place of a law's name where none sets the clock.
const noLaw = "none"

// promised is until when a message to the operator is answered.
func (k Kind) promised() Law {
	l := Law{Name: noLaw, Title: "the operator's own deadline", Complaint: "You may write again, or complain to the data protection authority of your country."}
	switch k {
	case Report:
		l.Answer = Term{BusinessDays: 3}
	case Child:
		l.Answer = Term{BusinessDays: 1}
	case Abuse:
		l.Answer = Term{BusinessDays: 2}
	case Privacy: // as for a request: GDPR Art. 12(3)
		l.Answer = Term{Months: 1}
	default:
		l.Answer = Term{BusinessDays: 10}
	}
	return l
}

// clockOf is the law of a case, or the operator's promise.
func clockOf(k Kind, law string) (Law, error) {
	if k.Inquiry() {
		return k.promised(), nil
	}
	return LawOf(law)
}

// maxInquiry is how much of a message is kept, in characters; maxInquiries how
// many cases one address opens in a day.
const (
	maxInquiry   = 8000
	maxInquiries = 20
)

// Inquire opens a case of what somebody wrote to the operator and confirms it by
// mail, as often as mail may go to one address. Too many from one address are
// Exhausted.
func (d *Desk) Inquire(ctx context.Context, k Kind, from, text string) (Case, error) {
	return d.Mailed(ctx, k, from, text, d.Clock.Now())
}

// Mailed is Inquire for a mail that was received earlier: a term counts from then.
func (d *Desk) Mailed(ctx context.Context, k Kind, from, text string, received time.Time) (Case, error) {
	if !k.Inquiry() {
		return Case{}, fault.Field("kind", "Choose what your message is about.")
	}
	a, err := one(from)
	if err != nil {
		return Case{}, err
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text, "�"))
	if text == "" {
		return Case{}, fault.Field("note", "Write what it is about.")
	}
	if utf8.RuneCountInString(text) > maxInquiry {
		text = string([]rune(text)[:maxInquiry]) + "\n[The rest was not kept.]"
	}
	now := d.Clock.Now()
	c := Case{Kind: k, Law: k.promised(), Source: ByPerson, State: Open, Address: a, Note: text, Received: received}
	hash, err := d.hash(a)
	if err != nil {
		return c, err
	}
	mail := false
	err = d.DB.Change(ctx, "take a message to the operator", func(tx *db.Tx) error {
		var cases, mails int
		since := clock.Micros(now.Add(-24 * time.Hour))
		if err := tx.One(ctx, d.set, "lately", []any{hash, since}, &cases); err != nil {
			return err
		}
		if cases >= maxInquiries {
			return fault.New(fault.Exhausted, "Many messages came from this address today; write again tomorrow.")
		}
		if err := tx.One(ctx, d.set, "mails", []any{hash, since}, &mails); err != nil {
			return err
		}
		mail = mails < maxMails
		sent := 0
		if mail {
			sent = 1
		}
		if err := d.add(ctx, tx, &c, hash, sent); err != nil {
			return err
		}
		if !mail {
			if _, err := tx.Do(ctx, d.set, "confirmed", c.ID, clock.Micros(now)); err != nil {
				return err
			}
		}
		if _, err := tx.Do(ctx, d.set, "share", c.ID, tenant.Platform, clock.Micros(c.Law.Answer.After(received))); err != nil {
			return err
		}
		return d.stage(ctx, tx, evidence.Actor{Role: evidence.BySubject}, tenant.Platform, "inquiry.open", c.ID)
	})
	if err != nil {
		return c, fault.Wrap(err, "take a message to the operator")
	}
	d.Nudge()
	if mail {
		d.confirm(ctx, &c)
	}
	return c, nil
}

// Due is when a message to the operator is answered at the latest.
func (c *Case) Due() time.Time { return c.Law.Answer.After(c.Received) }

// Forget removes every case of one address, whatever its state. It is for the
// probes, whose canary is nobody: a person's cases stay as proof.
func (d *Desk) Forget(ctx context.Context, a address.Address) error {
	hash, err := d.hash(a)
	if err != nil {
		return err
	}
	err = d.DB.Change(ctx, "forget the canary's cases", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, d.set, "forget_shares", hash); err != nil {
			return err
		}
		_, err := tx.Do(ctx, d.set, "forget", hash)
		return err
	})
	return fault.Wrap(err, "forget the canary's cases")
}
