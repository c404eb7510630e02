package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

// Text is the notice to one customer of the incident, with its own numbers where
// they are known.
func (x *Incident) Text(t ids.Tenant) (subject, text string) {
	subject = "Notice of a personal data breach: " + x.Title
	var b strings.Builder
	if x.Drill {
		subject = "[Drill] " + subject
		b.WriteString("This is a drill. Nothing happened to your data.\n\n")
	}
	r := x.Report
	persons, records := r.Persons, r.Records
	of := x.of(t)
	if of != nil && len(of.Categories) > 0 {
		records = 0
		for _, c := range of.Categories {
			records += c.Records
		}
		if of.Persons > 0 {
			persons = of.Persons
		}
	}
	fmt.Fprintf(&b, "Incident: %s\nWe became aware: %s\n", x.ID, x.Aware.UTC().Format("2006-01-02 15:04 MST"))
	for _, p := range [][2]string{
		{"Nature of the breach", r.Nature},
		{"Categories of persons and data", r.Data},
		{"Approximate number of persons", fmt.Sprint(persons)},
		{"Approximate number of records", fmt.Sprint(records)},
		{"Contact", r.Contact},
		{"Likely consequences", r.Consequences},
		{"Measures taken or proposed", r.Measures},
	} {
		fmt.Fprintf(&b, "\n%s:\n%s\n", p[0], p[1])
	}
	if of != nil && len(of.Categories) > 0 {
		b.WriteString("\nRead of your data, as our records of reads say:\n")
		for _, c := range of.Categories {
			fmt.Fprintf(&b, "- %s: %d records, between %s and %s\n", c.Name, c.Records, c.First.UTC().Format("2006-01-02 15:04"), c.Last.UTC().Format("2006-01-02 15:04 MST"))
		}
	}
	if len(x.Unknown) > 0 {
		b.WriteString("\nWhat our records cannot tell:\n- " + strings.Join(x.Unknown, "\n- ") + "\n")
	}
	if x.HighRisk {
		b.WriteString("\nWe hold the risk for the persons concerned to be high: they may have to be told (GDPR Art. 34).\n")
	}
	return subject, b.String()
}

// Notify sends its notice to each customer in scope that has not been sent it, whom
// it did not reach, or who was sent it before it last changed: information may come
// in phases (GDPR Art. 33(4)). The first delivery is what counts in time. What is missing in the report is an Invalid fault, and
// nothing goes out. One that cannot be sent does not hold up the others.
func (d *Desk) Notify(ctx context.Context, id ids.Incident, by evidence.Actor) (Incident, error) {
	x, err := d.Get(ctx, id)
	if err != nil {
		return x, err
	}
	switch missing := x.Report.Missing(); {
	case x.State == Closed:
		return x, fault.New(fault.Conflict, "This incident is closed; open a new one.")
	case len(missing) > 0:
		return x, fault.Field("report", "The notice is not complete (GDPR Art. 33(3)): "+strings.Join(missing, ", ")+".")
	case len(x.Affected) == 0:
		return x, fault.Field("scope", "No customer is in scope: take a scope, or name customers.")
	}
	notices, err := d.Notices(ctx, scope.Everyone, id)
	if err != nil {
		return x, err
	}
	var wrong []error
	for i := range notices {
		n := &notices[i]
		if !n.Sent.IsZero() && n.Failed.IsZero() && !n.NoContact && !n.Sent.Before(x.Drafted) {
			continue
		}
		if err := d.send(ctx, &x, n, by); err != nil {
			wrong = append(wrong, err)
			d.log.WarnContext(ctx, "a notice of an incident could not be sent", "incident", id.String(), "customer", n.Tenant.String(), "error", err)
		}
	}
	d.Nudge()
	if len(wrong) > 0 {
		return x, fault.Because(fault.Unavailable, errors.Join(wrong...), fmt.Sprintf("%d of %d notices could not be sent; notify again.", len(wrong), len(notices)))
	}
	return d.Get(ctx, id)
}

// send mails a customer's contacts.
func (d *Desk) send(ctx context.Context, x *Incident, n *Notice, by evidence.Actor) error {
	contacts, err := d.Contacts(ctx, n.Tenant)
	if err != nil {
		return err
	}
	subject, text := x.Text(n.Tenant)
	n.NoContact = len(contacts) == 0
	if n.Delivered.IsZero() {
		n.Messages = nil
	}
	var wrong error
	before := len(n.Messages)
	for _, to := range contacts {
		m, err := d.Post(ctx, Letter{To: to, Subject: subject, Text: text})
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		n.Messages = append(n.Messages, m)
	}
	if wrong != nil && len(n.Messages) == before {
		return wrong
	}
	n.Sent = d.Clock.Now()
	messages, err := json.Marshal(slices.Concat([]ids.Message{}, n.Messages))
	if err != nil {
		return fault.Wrap(err, "write a notice")
	}
	err = d.DB.Change(ctx, "record a notice", func(tx *db.Tx) error {
		sent := clock.Micros(n.Sent)
		if n.NoContact {
			sent = 0
		}
		if _, err := tx.Do(ctx, d.set, "sent_notice", n.ID, sent, string(messages), flag(n.NoContact)); err != nil || n.NoContact {
			return err
		}
		return d.stage(ctx, tx, n.Tenant, "incident.notify", n.ID.String(), by)
	})
	if err == nil && n.NoContact {
		err = fault.New(fault.Conflict, "A customer in scope has no owner or administrator who could be told.")
	}
	return err
}

// Tick asks what became of notices under way. One process at a time calls it.
func (d *Desk) Tick(ctx context.Context) error {
	list, err := d.readNotices(ctx, "under_way")
	if err != nil {
		return fault.Wrap(err, "look for notices under way")
	}
	for i := range list {
		if err := d.follow(ctx, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// follow takes down a notice's delivery, which the first contact's proves, or that
// it failed for all.
func (d *Desk) follow(ctx context.Context, n *Notice) error {
	failed := len(n.Messages) > 0
	for _, m := range n.Messages {
		at, lost, err := d.Fate(ctx, m)
		if err != nil {
			return err
		}
		if !at.IsZero() && (n.Delivered.IsZero() || at.Before(n.Delivered)) {
			n.Delivered = at
		}
		failed = failed && lost
	}
	if n.Delivered.IsZero() && !failed {
		return nil
	}
	act := "incident.delivered"
	if n.Delivered.IsZero() {
		act, n.Failed = "incident.undelivered", d.Clock.Now()
	}
	err := d.DB.Change(ctx, "record a notice's delivery", func(tx *db.Tx) error {
		done, err := tx.Do(ctx, d.set, "fate", n.ID, micros(n.Delivered), micros(n.Failed))
		if err != nil || done == 0 {
			return err
		}
		return d.stage(ctx, tx, n.Tenant, act, n.ID.String(), evidence.Actor{Role: evidence.BySystem})
	})
	d.Nudge()
	return fault.Wrap(err, "record a notice's delivery")
}

// soon is how long before its time a clock raises an alert.
const soon = 12 * time.Hour

// Alert is something about an incident that must be seen to.
type Alert struct {
	Incident ids.Incident
	Text     string
}

// Alerts names what is overdue, due soon or incomplete in incidents that are not
// closed. A drill's are left out.
func (d *Desk) Alerts(ctx context.Context) ([]Alert, error) {
	open, err := d.read(ctx, "unclosed")
	if err != nil {
		return nil, fault.Wrap(err, "look for incidents")
	}
	now := d.Clock.Now()
	var list []Alert
	for i := range open {
		x := &open[i]
		if x.Drill {
			continue
		}
		notices, err := d.Notices(ctx, scope.Everyone, x.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range d.Clocks(x, notices) {
			switch {
			case c.Standing == Overdue:
				list = append(list, Alert{x.ID, "Incident " + x.ID.String() + ": the notice to the " + c.Name + " is overdue since " + c.Due.UTC().Format("2006-01-02 15:04 MST") + "."})
			case c.Standing == Running && c.Due.Sub(now) < soon:
				list = append(list, Alert{x.ID, "Incident " + x.ID.String() + ": the notice to the " + c.Name + " is due by " + c.Due.UTC().Format("2006-01-02 15:04 MST") + "."})
			}
		}
		if missing := x.Report.Missing(); len(missing) > 0 {
			list = append(list, Alert{x.ID, "Incident " + x.ID.String() + ": the notice lacks " + strings.Join(missing, ", ") + "."})
		}
		for j := range notices {
			if n := &notices[j]; n.NoContact || !n.Failed.IsZero() {
				list = append(list, Alert{x.ID, "Incident " + x.ID.String() + ": the notice does not reach customer " + n.Tenant.String() + "."})
			}
		}
	}
	return list, nil
}
