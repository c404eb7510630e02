package app

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/admin"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/tenant"
)

// openIncidents makes the desk of breaches.
func (h *House) openIncidents() {
	h.incidents = incident.New(incident.Config{
		DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Observe: h.observe, Stage: h.stage, Nudge: h.evidence.Nudge, Reads: h.reads, Hands: hands{h},
		Breach:   func(t ids.Tenant) policy.Breach { return h.policies.For(t, h.Clock.Now()).Document.Breach },
		Contacts: h.answerFor, Post: h.postNotice, Fate: h.fate, Persons: personsOf{h}.of, Kept: func() time.Time { return h.readsKept(scope.Everyone) },
	})
}

// incidentsEvery is how often notices under way are looked after.
const incidentsEvery = 15 * time.Second

// answerFor gives whom a customer's notice of a breach goes to: those who answer for
// the account.
func (h *House) answerFor(ctx context.Context, t ids.Tenant) ([]address.Address, error) {
	return h.answering(ctx, t, access.Operator, access.Owner, access.Admin)
}

// postNotice mails a customer as the platform, from security@ this server.
func (h *House) postNotice(ctx context.Context, l incident.Letter) (ids.Message, error) {
	return h.post(ctx, "security", "Security", l.To, l.Subject, l.Text)
}

// fate says what became of a mail to one recipient.
func (h *House) fate(ctx context.Context, m ids.Message) (delivered time.Time, failed bool, err error) {
	events, err := h.history.Of(ctx, scope.Everyone, m)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, false, nil
	}
	for _, e := range events {
		switch e.Kind {
		case history.Delivered:
			return e.At, false, err
		case history.Failed, history.Expired, history.Suppressed, history.Cancelled:
			failed = true
		case history.Accepted, history.Deferred, history.Held, history.Released, history.Retried, history.Notified, history.Superseded:
		}
	}
	return time.Time{}, failed, err
}

// hands do what containing a breach needs.
type hands struct{ h *House }

var _ incident.Hands = hands{}

// Revoke implements incident.Hands.
func (x hands) Revoke(ctx context.Context, s incident.Selector, seen incident.Seen) ([]incident.Act, error) {
	tokens, users := seen.Tokens, seen.Users
	switch {
	case s.Token != 0:
		tokens, users = []ids.Token{s.Token}, nil
	case s.User != 0:
		users = []ids.User{s.User}
	}
	now := x.h.Clock.Now().UTC()
	var acts []incident.Act
	for _, u := range users {
		theirs, err := x.h.access.Shut(ctx, scope.Everyone, u)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return acts, err
		}
		acts = append(acts, incident.Act{What: incident.UserShut, Target: u.String(), At: now})
		for _, t := range theirs {
			acts = append(acts, incident.Act{What: incident.TokenRevoked, Target: t.String(), At: now, Final: true})
		}
	}
	for _, t := range tokens {
		err := x.h.access.RemoveToken(ctx, scope.Everyone, t)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return acts, err
		}
		acts = append(acts, incident.Act{What: incident.TokenRevoked, Target: t.String(), At: now, Final: true})
	}
	return acts, nil
}

// Restore implements incident.Hands.
func (x hands) Restore(ctx context.Context, user ids.User) error {
	active := access.UserActive
	_, err := x.h.access.ChangeUser(ctx, access.House(), scope.Everyone, user, access.UserChange{State: &active})
	return err
}

// Hold implements incident.Hands. Mail that the customer or the operator holds
// already stays held when this is released; the platform's own goes on, since it carries the notices.
func (x hands) Hold(ctx context.Context, t ids.Tenant, why string) (ids.Job, error) {
	if t == tenant.Platform {
		return 0, nil
	}
	pauses, err := x.h.queue.Pauses(ctx, scope.Tenant(t))
	if err != nil {
		return 0, err
	}
	for _, p := range pauses {
		if p.Tenant == t && p.Domain == "" && p.By&queue.Operator != 0 {
			return 0, nil
		}
	}
	p, err := x.h.queue.Pause(ctx, queue.Pause{Tenant: t, Reason: why, By: queue.Operator})
	return p.ID, err
}

// Release implements incident.Hands.
func (x hands) Release(ctx context.Context, held ids.Job) error {
	err := x.h.queue.Resume(ctx, scope.Everyone, held, queue.Operator)
	if fault.Is(err, fault.Conflict) {
		return nil // the customer holds it, too, and goes on to
	}
	return err
}

// Rotate implements incident.Hands.
func (x hands) Rotate(ctx context.Context, t ids.Tenant) error { return x.h.vault.RotateTenant(ctx, t) }

// personsOf says whom records name.
type personsOf struct{ h *House }

// atOneTime is how many messages are read at once.
const atOneTime = 500

func (p personsOf) of(ctx context.Context, t ids.Tenant, category string, records []int64, yield func(int64, address.Address) error) (gone int, known bool, err error) {
	in := scope.Tenant(t)
	one := func(find func(id int64) (address.Address, error)) (int, bool, error) {
		for _, id := range records {
			who, err := find(id)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || err == nil && who.IsNull() {
				gone++
				continue
			}
			if err == nil {
				err = yield(id, who)
			}
			if err != nil {
				return gone, true, err
			}
		}
		return gone, true, nil
	}
	switch category {
	case "message records", "queued mail", "conversations":
		gone, err = p.messages(ctx, in, records, yield)
		return gone, true, err
	case "users":
		return one(func(id int64) (address.Address, error) {
			u, err := p.h.access.User(ctx, in, ids.User(id))
			return u.Email, err
		})
	case "suppressions":
		return one(func(id int64) (address.Address, error) {
			list, err := p.h.suppress.List(ctx, in, address.Address{}, ids.Suppression(id+1), 1)
			if err == nil && (len(list) == 0 || int64(list[0].ID) != id) {
				return address.Address{}, nil
			}
			if err != nil {
				return address.Address{}, err
			}
			return list[0].Address, nil
		})
	case "requests of persons":
		return one(func(id int64) (address.Address, error) {
			c, err := p.h.cases.Get(ctx, in, ids.Case(id))
			return c.Address, err
		})
	case "holds":
		return one(func(id int64) (address.Address, error) {
			x, err := p.h.holds.Get(ctx, in, ids.Hold(id))
			if err == nil && x.Kind != hold.Person && x.Released.IsZero() {
				return address.Address{}, fault.New(fault.Gone, "it names nobody")
			}
			return x.Address, err
		})
	}
	return 0, false, nil
}

// messages gives senders and recipients.
func (p personsOf) messages(ctx context.Context, in scope.Scope, records []int64, yield func(int64, address.Address) error) (gone int, err error) {
	for part := range slices.Chunk(records, atOneTime) {
		list := make([]ids.Message, len(part))
		for i, id := range part {
			list[i] = ids.Message(id)
		}
		found := map[ids.Message]bool{}
		err := p.h.history.OfMany(ctx, in, list, func(events []history.Event) error {
			for _, e := range events {
				found[e.Message] = true
				for _, text := range append([]string{e.Detail.Sender}, e.Detail.Recipients...) {
					who, err := address.Parse(text)
					if err != nil || who.IsNull() {
						continue // a redacted field, or the sender of a notice
					}
					if err := yield(int64(e.Message), who); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return gone, err
		}
		gone += len(part) - len(found)
	}
	return gone, nil
}

// sealedList writes those who may have to be told, as lines of JSON, encrypted to
// an age recipient: the list leaves the server no other way.
func (h *House) sealedList(ctx context.Context, s incident.Selector, recipient string, w io.Writer) error {
	to, err := age.ParseRecipients(strings.NewReader(recipient))
	if err != nil || len(to) != 1 {
		return fault.Field("recipient", "Give one age recipient: age1…, as age-keygen prints it.")
	}
	var out io.WriteCloser
	open := func() (err error) {
		if out == nil {
			out, err = age.Encrypt(w, to...)
		}
		return err
	}
	_, err = h.incidents.Scope(ctx, s, func(p incident.Person) error {
		if err := open(); err != nil {
			return err
		}
		reads.Saw(ctx, recordsCategory, p.Customer, ids.Message(0), time.Time{})
		return json.NewEncoder(out).Encode(p)
	})
	if err == nil {
		err = open()
	}
	if err == nil {
		err = out.Close()
	}
	return fault.Wrap(err, "write the list of persons")
}

// shownIncidents joins the API with incidents: who asks becomes who acted.
type shownIncidents struct{ *incident.Desk }

var _ httpapi.Incidents = shownIncidents{}

// Open implements httpapi.Incidents.
func (s shownIncidents) Open(ctx context.Context, n incident.Opening, by access.Principal) (incident.Incident, error) {
	return s.Desk.Open(ctx, n, actor(by))
}

// Draft implements httpapi.Incidents.
func (s shownIncidents) Draft(ctx context.Context, id ids.Incident, c incident.Draft, by access.Principal) (incident.Incident, error) {
	return s.Desk.Draft(ctx, id, c, actor(by))
}

// Notify implements httpapi.Incidents.
func (s shownIncidents) Notify(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
	return s.Desk.Notify(ctx, id, actor(by))
}

// Tell implements httpapi.Incidents.
func (s shownIncidents) Tell(ctx context.Context, id ids.Incident, duty incident.Duty, t incident.Told, by access.Principal) (incident.Incident, error) {
	return s.Desk.Tell(ctx, id, duty, t, actor(by))
}

// Contain implements httpapi.Incidents.
func (s shownIncidents) Contain(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
	return s.Desk.Contain(ctx, id, actor(by))
}

// Release implements httpapi.Incidents.
func (s shownIncidents) Release(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
	return s.Desk.Release(ctx, id, actor(by))
}

// Close implements httpapi.Incidents.
func (s shownIncidents) Close(ctx context.Context, id ids.Incident, by access.Principal) (incident.Incident, error) {
	return s.Desk.Close(ctx, id, actor(by))
}

// operatedIncidents implements admin.Incidents.
type operatedIncidents struct {
	*incident.Desk
	h *House
}

var _ admin.Incidents = operatedIncidents{}

// Persons implements admin.Incidents.
func (o operatedIncidents) Persons(ctx context.Context, s incident.Selector, recipient string, w io.Writer) error {
	return o.h.sealedList(ctx, s, recipient, w)
}

// drilled is what a drill's notices say.
var drilled = incident.Report{
	Nature: "A drill: a token is taken to have been used by somebody else.", Data: "Senders and recipients of mail: addresses, subjects and times in the record of messages.",
	Persons: 1, Records: 1, Consequences: "None. In earnest: unwanted mail, and attempts to deceive who wrote to whom.",
	Measures: "In earnest: tokens and sessions ended, exports frozen, outgoing mail held, keys rotated.",
}

// Drill implements admin.Incidents: the workflow with its clocks and notices, and
// nobody but those who are named is mailed.
func (o operatedIncidents) Drill(ctx context.Context, customers []ids.Tenant, by evidence.Actor) (incident.Incident, error) {
	if len(customers) == 0 {
		return incident.Incident{}, fault.Field("customer", "Say which customers take part: each owner and administrator of theirs gets a mail that says it is a drill.")
	}
	report := drilled
	report.Contact = "security@" + o.h.Config.Hostname
	x, err := o.Desk.Open(ctx, incident.Opening{Title: "Drill of " + o.h.Clock.Now().UTC().Format(time.DateOnly), Drill: true, Report: report, Only: customers}, by)
	if err != nil {
		return x, err
	}
	return o.Desk.Notify(ctx, x.ID, by)
}
