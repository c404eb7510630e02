package incident

import (
	"context"
	"encoding/json"
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
	"mailvow/internal/protect/evidence"
)

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: category, About: pledge.Customer,
		What:    "breaches and drills: what happened, in which scope, which customers were told and when, what was done; numbers of persons and records, and never who they are",
		Purpose: "tell those concerned in time, and show it (GDPR Art. 33(5))", For: pledge.ToTellBreach, Basis: pledge.LegalDuty,
		Period: pledge.Period{Ceiling: kept, Floor: kept, From: "the close; a drill a year"},
		Found:  "by the customer", Erasing: pledge.KeepByLaw,
	}},
	Places: append(append(append(
		pledge.Columns(category, false, "incident", "id", "state", "drill", "aware", "opened", "closed", "revision"),
		pledge.Columns(category, true, "incident", "sealed")...),
		pledge.Columns(category, false, "incident_notice", "id", "incident", "tenant", "due", "sent", "delivered", "failed", "messages", "nobody")...),
		pledge.Columns(category, false, "incident_freeze", "incident", "tenant", "at")...),
}

const (
	category = "incidents"
	// kept is how long the register holds a closed incident: three years are the
	// common limit of claims, counted from the end of the year, and one to spare.
	kept      = 5 * 365 * 24 * time.Hour
	keptDrill = 365 * 24 * time.Hour
)

// secret is what is sealed, with the platform's key: an incident is no customer's.
type secret struct {
	Title     string     `json:"title"`
	Report    Report     `json:"report"`
	HighRisk  bool       `json:"high_risk"`
	Selector  Selector   `json:"selector"`
	Affected  []Affected `json:"affected"`
	Unknown   []string   `json:"unknown"`
	Authority Told       `json:"authority"`
	Persons   Told       `json:"persons"`
	Acts      []Act      `json:"acts"`
	Drafted   time.Time  `json:"drafted,omitzero"`
}

func row(id ids.Incident) sealed.Row { return sealed.Row{Table: "incident", ID: int64(id)} }

func (d *Desk) seal(x *Incident) ([]byte, error) {
	return sealed.Put(d.Vault, vault.Account, row(x.ID), secret{x.Title, x.Report, x.HighRisk, x.Selector, x.Affected, x.Unknown, x.Authority, x.Persons, x.Acts, x.Drafted})
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return clock.FromMicros(us)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Micros(t)
}

func (d *Desk) read(ctx context.Context, query string, args ...any) ([]Incident, error) {
	var list []Incident
	err := d.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var x Incident
		var drill, aware, opened, closed int64
		var blob []byte
		if err := scan(&x.ID, &x.State, &drill, &aware, &opened, &closed, &x.revision, &blob); err != nil {
			return err
		}
		var s secret
		if err := sealed.Get(d.Vault, row(x.ID), blob, &s); err != nil {
			return err
		}
		x.Drill, x.Aware, x.Opened, x.Closed = drill == 1, moment(aware), moment(opened), moment(closed)
		x.Title, x.Report, x.HighRisk, x.Selector, x.Affected, x.Unknown = s.Title, s.Report, s.HighRisk, s.Selector, s.Affected, s.Unknown
		x.Authority, x.Persons, x.Acts, x.Drafted = s.Authority, s.Persons, s.Acts, s.Drafted
		list = append(list, x)
		return nil
	})
	return list, err
}

// Get gives one incident, or NotFound.
func (d *Desk) Get(ctx context.Context, id ids.Incident) (Incident, error) {
	list, err := d.read(ctx, "get", id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such incident.")
	}
	if err != nil {
		return Incident{}, fault.Wrap(err, "get an incident")
	}
	return list[0], nil
}

// List gives incidents, newest first, from before (zero: all).
func (d *Desk) List(ctx context.Context, before ids.Incident, limit int) ([]Incident, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := d.read(ctx, "list", before, limit)
	return list, fault.Wrap(err, "list incidents")
}

func (d *Desk) readNotices(ctx context.Context, query string, args ...any) ([]Notice, error) {
	var list []Notice
	err := d.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var n Notice
		var due, sent, delivered, failed, nobody int64
		var messages string
		if err := scan(&n.ID, &n.Incident, &n.Tenant, &due, &sent, &delivered, &failed, &messages, &nobody); err != nil {
			return err
		}
		n.Due, n.Sent, n.Delivered, n.Failed, n.NoContact = moment(due), moment(sent), moment(delivered), moment(failed), nobody == 1
		err := json.Unmarshal([]byte(messages), &n.Messages)
		list = append(list, n)
		return fault.Wrap(err, "read a notice")
	})
	return list, err
}

// Notices gives an incident's notices in a scope.
func (d *Desk) Notices(ctx context.Context, in scope.Scope, id ids.Incident) ([]Notice, error) {
	all, own := in.Args()
	list, err := d.readNotices(ctx, "notices", all, own, id)
	return list, fault.Wrap(err, "list an incident's notices")
}

// Sent gives the notices that a customer was sent, newest first, from before (zero: all).
func (d *Desk) Sent(ctx context.Context, t ids.Tenant, before ids.Notice, limit int) ([]Notice, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	list, err := d.readNotices(ctx, "notices_of", t, before, limit)
	return list, fault.Wrap(err, "list a customer's notices")
}

// Opening is what an incident is opened with.
type Opening struct {
	Title    string
	Aware    time.Time // zero: now
	Drill    bool
	HighRisk bool
	Report   Report
	Scope    *Scope       // as Scope found it
	Only     []ids.Tenant // customers in scope besides those of Scope
}

func (n *Opening) check(now time.Time) error {
	if n.Title = strings.TrimSpace(n.Title); n.Title == "" || utf8.RuneCountInString(n.Title) > 200 || !utf8.ValidString(n.Title) || strings.ContainsAny(n.Title, "\r\n") {
		return fault.Field("title", "Give the incident a title of one line.")
	}
	switch {
	case n.Aware.IsZero():
		n.Aware = now
	case n.Aware.After(now), n.Aware.Before(now.AddDate(-1, 0, 0)):
		return fault.Field("aware_at", "Somebody became aware within the last year, and not in the future.")
	}
	return n.Report.check()
}

// Open opens an incident; its clocks run from when somebody was aware.
func (d *Desk) Open(ctx context.Context, n Opening, by evidence.Actor) (Incident, error) {
	now := d.Clock.Now().UTC().Truncate(time.Microsecond)
	if err := n.check(now); err != nil {
		return Incident{}, err
	}
	x := Incident{
		ID: ids.New[ids.Incident](d.IDs), State: Open, Drill: n.Drill, Title: n.Title, Aware: n.Aware, Opened: now, Report: n.Report, HighRisk: n.HighRisk,
		Affected: []Affected{}, Unknown: []string{}, Acts: []Act{},
	}
	x.take(n.Scope, n.Only)
	blob, err := d.seal(&x)
	if err != nil {
		return x, err
	}
	err = d.DB.Change(ctx, "open an incident", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, d.set, "add", x.ID, string(x.State), flag(x.Drill), clock.Micros(x.Aware), clock.Micros(x.Opened), blob); err != nil {
			return err
		}
		if err := d.address(ctx, tx, &x, nil); err != nil {
			return err
		}
		return d.stage(ctx, tx, 0, "incident.open", x.ID.String(), by)
	})
	if err != nil {
		return x, fault.Wrap(err, "open an incident")
	}
	d.Nudge()
	return d.Get(ctx, x.ID)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// take puts what a scope found, and customers that are named, into an incident.
func (x *Incident) take(s *Scope, only []ids.Tenant) {
	if s != nil {
		x.Selector, x.Affected, x.Unknown = s.Selector, s.Customers, s.Unknown
		if x.Report.Persons == 0 {
			x.Report.Persons = s.Persons
		}
		if x.Report.Records == 0 {
			x.Report.Records = s.Records()
		}
	}
	for _, t := range only {
		if x.of(t) == nil {
			x.Affected = append(x.Affected, Affected{Tenant: t, Categories: []Category{}})
		}
	}
}

// of gives what is known of a customer in scope, or nil.
func (x *Incident) of(t ids.Tenant) *Affected {
	for i := range x.Affected {
		if x.Affected[i].Tenant == t {
			return &x.Affected[i]
		}
	}
	return nil
}

// address makes the notices' rows: one for each customer in scope, due by its own
// policy. Who is no longer in scope keeps a notice only if it went out.
func (d *Desk) address(ctx context.Context, tx *db.Tx, x *Incident, before []Affected) error {
	for _, a := range before {
		if x.of(a.Tenant) == nil {
			if _, err := tx.Do(ctx, d.set, "drop_notice", x.ID, a.Tenant); err != nil {
				return err
			}
		}
	}
	for _, a := range x.Affected {
		due := clock.Micros(after(d.Breach(a.Tenant).Customer, lawCustomer, x.Aware))
		n, err := tx.Do(ctx, d.set, "add_notice", ids.New[ids.Notice](d.IDs), x.ID, a.Tenant, due)
		if err == nil && n == 0 {
			_, err = tx.Do(ctx, d.set, "due_notice", x.ID, a.Tenant, due)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) stage(ctx context.Context, tx *db.Tx, t ids.Tenant, act, target string, by evidence.Actor) error {
	return d.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: t, Body: &evidence.Act{Act: act, Target: target},
	})
}

// change changes an incident that is not closed, puts the act on record, and runs
// also in the same transaction.
func (d *Desk) change(ctx context.Context, id ids.Incident, act string, by evidence.Actor, f func(*Incident) error, also ...func(*db.Tx, *Incident) error) (Incident, error) {
	x, err := d.Get(ctx, id)
	if err != nil {
		return x, err
	}
	if x.State == Closed {
		return x, fault.New(fault.Conflict, "This incident is closed; open a new one.")
	}
	from, before := x.State, x.Affected
	if err := f(&x); err != nil {
		return x, err
	}
	if x.State != from && !from.MayBecome(x.State) {
		return x, fault.New(fault.Conflict, "An incident that is "+string(from)+" cannot become "+string(x.State)+".")
	}
	blob, err := d.seal(&x)
	if err != nil {
		return x, err
	}
	err = d.DB.Change(ctx, act, func(tx *db.Tx) error {
		n, err := tx.Do(ctx, d.set, "put", x.ID, x.revision, string(x.State), clock.Micros(x.Aware), micros(x.Closed), blob)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Somebody else has just changed this incident; look again.")
		}
		if err == nil {
			err = d.address(ctx, tx, &x, before)
		}
		for _, g := range also {
			if err == nil {
				err = g(tx, &x)
			}
		}
		if err != nil {
			return err
		}
		return d.stage(ctx, tx, 0, act, x.ID.String(), by)
	})
	if err != nil {
		return x, fault.Wrap(err, "change an incident")
	}
	d.Nudge()
	return d.Get(ctx, id)
}

// Draft is what changes of an incident; nil leaves a part as it is.
type Draft struct {
	Title    *string
	Aware    *time.Time
	HighRisk *bool
	Report   *Report
	Scope    *Scope
	Only     []ids.Tenant // added to those in scope
}

// Draft writes parts of the template.
func (d *Desk) Draft(ctx context.Context, id ids.Incident, c Draft, by evidence.Actor) (Incident, error) {
	return d.change(ctx, id, "incident.draft", by, func(x *Incident) error {
		n := Opening{Title: x.Title, Aware: x.Aware, Report: x.Report}
		if c.Title != nil {
			n.Title = *c.Title
		}
		if c.Aware != nil {
			n.Aware = *c.Aware
		}
		if c.Report != nil {
			n.Report = *c.Report
		}
		if err := n.check(d.Clock.Now()); err != nil {
			return err
		}
		x.Title, x.Aware, x.Report = n.Title, n.Aware, n.Report
		if c.HighRisk != nil {
			x.HighRisk = *c.HighRisk
		}
		x.take(c.Scope, c.Only)
		x.Drafted = d.Clock.Now().UTC()
		return nil
	})
}

// Duty is one that people meet outside this server.
type Duty string

// The duties.
const (
	ToAuthority Duty = "authority"
	ToPersons   Duty = "persons"
)

// Tell puts on record that the authority, or the persons, were told, or why they
// need not be.
func (d *Desk) Tell(ctx context.Context, id ids.Incident, duty Duty, t Told, by evidence.Actor) (Incident, error) {
	if t.Reference, t.NotNeeded = strings.TrimSpace(t.Reference), strings.TrimSpace(t.NotNeeded); (t.Reference == "") == (t.NotNeeded == "") {
		return Incident{}, fault.Field("reference", "Say either how they were told (the authority's reference, the way persons were reached) or why it is not needed.")
	}
	if utf8.RuneCountInString(t.Reference+t.NotNeeded) > maxText {
		return Incident{}, fault.Field("reference", "Write at most 4000 characters.")
	}
	return d.change(ctx, id, "incident.told."+string(duty), by, func(x *Incident) error {
		now := d.Clock.Now().UTC()
		switch {
		case t.NotNeeded != "":
			t.At = time.Time{}
		case t.At.IsZero():
			t.At = now
		case t.At.After(now) || t.At.Before(x.Aware):
			return fault.Field("at", "They were told after somebody was aware, and not in the future.")
		}
		switch duty {
		case ToAuthority:
			x.Authority = t
		case ToPersons:
			x.Persons = t
		default:
			return fault.Field("duty", "Those told are the authority or the persons.")
		}
		return nil
	})
}

// Close ends an incident in which nothing is left to do.
func (d *Desk) Close(ctx context.Context, id ids.Incident, by evidence.Actor) (Incident, error) {
	notices, err := d.Notices(ctx, scope.Everyone, id)
	if err != nil {
		return Incident{}, err
	}
	return d.change(ctx, id, "incident.close", by, func(x *Incident) error {
		for i := range notices {
			if notices[i].Delivered.IsZero() {
				return fault.New(fault.Conflict, "A customer in scope has not got the notice yet: the incident cannot be closed.")
			}
		}
		if !x.Drill && !x.Authority.Done() {
			return fault.New(fault.Conflict, "Say first that the authority was told, or why that is not needed.")
		}
		if !x.Drill && x.HighRisk && !x.Persons.Done() {
			return fault.New(fault.Conflict, "Persons are at high risk: say first how they were told, or why that is not needed.")
		}
		if live := x.undoable(); len(live) > 0 {
			return fault.New(fault.Conflict, "What was contained still holds: release it first.")
		}
		x.State, x.Closed = Closed, d.Clock.Now().UTC()
		return nil
	})
}

// Purge removes incidents that were closed before a time, and drills a year after;
// retention calls it.
func (d *Desk) Purge(ctx context.Context, before time.Time) (int, error) {
	var n int64
	drills := clock.Micros(d.Clock.Now().Add(-keptDrill))
	err := d.DB.Change(ctx, "purge incidents", func(tx *db.Tx) error {
		n = 0
		for _, q := range []struct {
			name string
			at   int64
		}{{"purge_notices", clock.Micros(before)}, {"purge", clock.Micros(before)}, {"purge_drill_notices", drills}, {"purge_drills", drills}} {
			gone, err := tx.Do(ctx, d.set, q.name, q.at)
			if err != nil {
				return err
			}
			if !strings.HasSuffix(q.name, "notices") {
				n += gone
			}
		}
		return nil
	})
	return int(n), fault.Wrap(err, "purge incidents")
}

// Oldest is when the oldest incident was closed that is no drill, or zero.
func (d *Desk) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := d.set.One(ctx, "oldest", nil, &at)
	return moment(at), fault.Wrap(err, "look for the oldest incident")
}
