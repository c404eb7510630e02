package request

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
)

// Verdict is what a customer decides.
type Verdict string

// The closed list of verdicts.
const (
	Accept Verdict = "accept"
	Refuse Verdict = "refuse"
	Extend Verdict = "extend"
)

// Decision is one customer's.
type Decision struct {
	Case     ids.Case
	Tenant   ids.Tenant
	By       evidence.Role
	Verdict  Verdict
	Reason   string // of a refusal or an extension, to the person
	Field    string // of a rectification: as a copy names it
	Value    string // what is right
	KeepAway bool   // of an erasure: leave a keyed hash so that the person is not written to again
	Theirs   bool   // the identifiers that the person gave are that person's: search by them too
}

// Decide puts a decision on record, carries it out and tells the person. A share
// that is not the customer's is NotFound; one that was decided is Conflict. What
// cannot be carried out stays open, and the fault says why.
func (d *Desk) Decide(ctx context.Context, x Decision) (Case, error) {
	in := scope.Tenant(x.Tenant)
	c, err := d.Get(ctx, in, x.Case)
	if err != nil {
		return Case{}, err
	}
	s := c.Shares[0]
	from := s.State
	if err := d.rule(&c, &s, x); err != nil {
		return c, err
	}
	err = d.DB.Change(ctx, "decide on a request", func(tx *db.Tx) error {
		if err := d.shift(ctx, tx, from, &s, nil); err != nil {
			return err
		}
		return d.stage(ctx, tx, evidence.Actor{Role: x.By}, x.Tenant, "request."+string(x.Verdict), x.Case)
	})
	if err != nil {
		return c, fault.Wrap(err, "decide on a request")
	}
	d.Nudge()
	if x.Verdict == Accept {
		if err := d.carry(ctx, &c, &s); err != nil {
			return c, err
		}
	} else {
		d.tell(ctx, &c, &s)
	}
	return d.Get(ctx, in, x.Case)
}

// rule fills the share in with what a decision says of it.
func (d *Desk) rule(c *Case, s *Share, x Decision) error {
	now := d.Clock.Now()
	reason := strings.TrimSpace(x.Reason)
	if utf8.RuneCountInString(reason) > maxWords || !utf8.ValidString(reason) {
		return fault.Field("reason", "Write at most 2000 characters.")
	}
	if s.State != Open && s.State != Extended {
		return fault.New(fault.Conflict, "This request is "+string(s.State)+"; it was decided already.")
	}
	s.Decided, s.Role = now, string(x.By)
	switch x.Verdict {
	case Accept:
		s.State, s.Reason = Accepted, ""
		if c.Kind.Inquiry() {
			if s.Reason = reason; reason == "" {
				return fault.Field("reason", "Write the answer; it is mailed to who wrote.")
			}
		}
		if c.Kind == Child {
			a, err := one(x.Value)
			if err != nil {
				return fault.Field("value", "Give the child's address, as the report or your own look has it; everything about it is erased. Refuse what is no such report.")
			}
			s.Value, s.KeepAway = a.Text(), x.KeepAway
			return nil
		}
		if c.Kind == Rectification {
			if s.Field, s.Value = strings.TrimSpace(x.Field), strings.TrimSpace(x.Value); s.Field == "" || s.Value == "" {
				return fault.Field("field", "Say which field is wrong, as the person's copy names it, and what is right.")
			}
		}
		s.KeepAway, s.Theirs = x.KeepAway && c.Kind == Erasure, x.Theirs && len(c.Identifiers) > 0
		return nil
	case Refuse:
		if s.State, s.Reason = Refused, reason; reason == "" {
			return fault.Field("reason", "A refusal needs a reason, which the person is told (GDPR Art. 12(4)).")
		}
		return nil
	case Extend:
		return extend(c, s, reason, now)
	}
	return fault.Field("decision", "Decide to accept, to refuse or to extend.")
}

// extend takes the law's one extension, of which the person must learn within the
// first term (GDPR Art. 12(3)).
func extend(c *Case, s *Share, reason string, now time.Time) error {
	switch {
	case c.Kind.Inquiry():
		return fault.New(fault.Conflict, "A message to the operator is answered or refused; its deadline is not extended.")
	case reason == "":
		return fault.Field("reason", "An extension needs a reason, which the person is told (GDPR Art. 12(3)).")
	case !s.Extended.IsZero():
		return fault.New(fault.Conflict, "This request was extended already; the law allows it once.")
	case !now.Before(s.Due):
		return fault.New(fault.Conflict, "This request is overdue: the person must learn of an extension within the first term.")
	}
	s.State, s.Reason, s.Extended, s.Due = Extended, reason, now, c.Law.Extension.After(c.Received)
	return nil
}

// carry does what was accepted. What fails is open again.
func (d *Desk) carry(ctx context.Context, c *Case, s *Share) error {
	paper, err := d.do(ctx, c, s)
	if err != nil {
		s.State, s.Decided, s.Role = Open, time.Time{}, ""
		back := d.DB.Change(ctx, "open a request again", func(tx *db.Tx) error { return d.shift(ctx, tx, Accepted, s, nil) })
		if back != nil {
			d.Observe.For(pkg).Log.ErrorContext(ctx, "a request that failed stays accepted; it is tried again", "case", c.ID.String(), "error", back)
		}
		return fault.Wrap(err, "carry a request out")
	}
	var blob []byte
	if paper != nil {
		if blob, err = sealed.Put(d.Vault, vault.Account, resultRow(c.ID, s.Tenant), string(paper)); err != nil {
			return fault.Wrap(err, "keep a certificate")
		}
	}
	s.State = Answered
	if paper != nil || c.Kind == Access || c.Kind == Portability {
		s.Until = d.Clock.Now().Add(resultLife)
	}
	err = d.DB.Change(ctx, "answer a request", func(tx *db.Tx) error {
		if err := d.shift(ctx, tx, Accepted, s, blob); err != nil {
			return err
		}
		return d.stage(ctx, tx, evidence.Actor{Role: evidence.BySystem}, s.Tenant, "request.answer", c.ID)
	})
	if err != nil {
		return fault.Wrap(err, "answer a request")
	}
	d.Nudge()
	d.tell(ctx, c, s)
	return nil
}

// do acts and gives the certificate, where the act has one. Every act may be
// repeated.
func (d *Desk) do(ctx context.Context, c *Case, s *Share) ([]byte, error) {
	who := c.subject(s)
	by := evidence.Actor{Role: evidence.Role(s.Role)}
	switch c.Kind {
	case Access, Portability:
		return nil, nil // the copy is made when it is fetched
	case Question, Report, Abuse, Privacy:
		return nil, nil // the answer is mailed with the decision
	case Child:
		return d.eraseChild(ctx, c, s)
	case Rectification:
		n, err := d.Subjects.Correct(ctx, who, by, pledge.Correction{Field: s.Field, Value: s.Value})
		if err == nil && n == 0 {
			err = fault.Field("field", "No record of this person has such a field that can be corrected.")
		}
		return nil, err
	case Restriction:
		_, err := d.Subjects.Restrict(ctx, who, by, true)
		return nil, err
	case Objection, Withdrawal:
		_, err := d.Subjects.Object(ctx, who, by)
		return nil, err
	case Erasure:
		receipt, err := d.Eraser.Erase(ctx, erase.Order{Scope: who.Scope, Address: c.Address, Identifiers: who.Identifiers, By: by.Role, Reason: "art17", KeepAway: s.KeepAway, Case: c.ID})
		if err != nil {
			return nil, err
		}
		return receipt.Document.JSON()
	}
	return nil, fault.New(fault.Internal, "a request of no kind")
}

// tell mails what became of a share. The answer stands on the person's page in
// any case.
func (d *Desk) tell(ctx context.Context, c *Case, s *Share) {
	if err := d.post(ctx, c, decided, s); err != nil {
		d.Observe.For(pkg).Log.WarnContext(ctx, "the mail about a decision could not be sent; the person's page has it", "case", c.ID.String(), "error", err)
	}
}

// stuckAfter is how long carrying out may take before Tick takes it up again.
const stuckAfter = 15 * time.Minute

// lapsedFor is how long a request is kept that nobody proved.
const lapsedFor = 7 * 24 * time.Hour

// Tick takes up what a crash or an outage left, ends links nobody followed and
// removes results whose time is over. One process at a time calls it.
func (d *Desk) Tick(ctx context.Context) error {
	now := d.Clock.Now()
	err := d.DB.Change(ctx, "end requests nobody proved", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, d.set, "lapse", clock.Micros(now), clock.Micros(now.Add(-proof.Life))); err != nil {
			return err
		}
		_, err := tx.Do(ctx, d.set, "drop_results", clock.Micros(now))
		return err
	})
	if err != nil {
		return err
	}
	if _, err := d.Links.Purge(ctx); err != nil {
		return err
	}
	quiet, err := d.cases(ctx, "unconfirmed")
	if err != nil {
		return err
	}
	for i := range quiet {
		d.confirm(ctx, &quiet[i])
	}
	stuck, err := d.shares(ctx, "stuck", clock.Micros(now.Add(-stuckAfter)))
	for i := range stuck {
		c, wrong := d.Get(ctx, scope.Tenant(stuck[i].Tenant), stuck[i].Case)
		if wrong == nil {
			wrong = d.carry(ctx, &c, &stuck[i])
		}
		if wrong != nil {
			d.Observe.For(pkg).Log.WarnContext(ctx, "an accepted request could not be carried out", "case", stuck[i].Case.String(), "error", wrong)
		}
	}
	return err
}

// Purge removes cases that ended before a time, and sooner those that nobody
// proved; retention calls it.
func (d *Desk) Purge(ctx context.Context, before time.Time) (int, error) {
	var n int64
	unproved := clock.Micros(d.Clock.Now().Add(-lapsedFor))
	err := d.DB.Change(ctx, "purge requests", func(tx *db.Tx) (err error) {
		if _, err = tx.Do(ctx, d.set, "purge_shares", clock.Micros(before), unproved); err != nil {
			return err
		}
		n, err = tx.Do(ctx, d.set, "purge", clock.Micros(before), unproved)
		return err
	})
	return int(n), fault.Wrap(err, "purge requests")
}

// Oldest is when the oldest case ended, or zero.
func (d *Desk) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := d.set.One(ctx, "oldest", nil, &at)
	return moment(at), fault.Wrap(err, "look for the oldest request")
}
