package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/admin"
	"mailvow/internal/product/trust/incident"
)

type incidentCommands struct {
	Scope   incidentScope   `cmd:"" help:"Say whose data was read by a token, a user, a network address or at a node; exit 1 if any was."`
	Open    incidentOpen    `cmd:"" help:"Open an incident: its clocks run from when somebody was aware."`
	List    incidentList    `cmd:"" help:"List incidents; exit 1 if a notice is overdue."`
	Show    incidentShow    `cmd:"" help:"Show one: clocks, missing parts, notices, what was contained."`
	Draft   incidentDraft   `cmd:"" help:"Write parts of the report, or take a scope."`
	Notify  incidentNotify  `cmd:"" help:"Send its notice to each customer in scope."`
	Told    incidentTold    `cmd:"" help:"Put on record that the authority or the persons were told, or why not."`
	Contain incidentContain `cmd:"" help:"End tokens and sessions of the scope, freeze exports, hold outgoing mail, rotate keys."`
	Release incidentRelease `cmd:"" help:"Undo what containing did, where that can be undone."`
	Close   incidentClose   `cmd:"" help:"Close an incident in which nothing is left to do."`
	Drill   incidentDrill   `cmd:"" help:"Open a drill and send its notices, which say that it is one."`
}

// selection says whose reads are meant.
type selection struct {
	Token ids.Token `help:"Reads with this token." placeholder:"ID"`
	User  ids.User  `help:"Reads by this user." placeholder:"ID"`
	IP    string    `name:"ip" help:"Reads from this address or network." placeholder:"ADDRESS"`
	Node  int       `help:"Reads at this node." default:"-1" placeholder:"N"`
	From  string    `help:"From when: a date, a time (RFC 3339), or how long ago, such as 48h." placeholder:"TIME"`
	To    string    `help:"Until when; without it, now." placeholder:"TIME"`
}

func (s *selection) given() bool { return s.Token != 0 || s.User != 0 || s.IP != "" || s.Node >= 0 }

func (s *selection) selector() (incident.Selector, error) {
	out := incident.Selector{Token: s.Token, User: s.User}
	if s.Node >= 0 {
		out.Node = &s.Node
	}
	var err error
	if s.IP != "" {
		if out.From, err = incident.ParseNetwork(s.IP); err != nil {
			return out, usage(err)
		}
	}
	if out.Since, err = instant("from", s.From); err != nil {
		return out, err
	}
	out.Until, err = instant("to", s.To)
	return out, err
}

// instant reads a time as people write it.
func instant(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usage(fault.Field(field, "Write a time such as 2026-11-22, 2026-11-22T08:00:00Z or 48h (ago)."))
}

type incidentScope struct {
	reader
	where
	selection
	Out       string `help:"Write the list of persons to this file, encrypted." placeholder:"FILE"`
	Recipient string `help:"To whom it is encrypted: an age recipient." placeholder:"age1…"`
}

// Run answers.
func (c *incidentScope) Run(ctx context.Context, t *Terminal) error {
	s, err := c.selector()
	if err != nil {
		return err
	}
	if (c.Out == "") != (c.Recipient == "") {
		return usage(fault.Field("out", "The list of persons is written encrypted: give --out and --recipient together."))
	}
	found, err := call(ctx, t, &c.where, admin.IncidentScope, s)
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := c.list(ctx, t, s); err != nil {
			return err
		}
	}
	if err := c.print(t, &found); err != nil {
		return err
	}
	if found.Reads > 0 {
		return errNo
	}
	return nil
}

func (c *incidentScope) list(ctx context.Context, t *Terminal, s incident.Selector) (err error) {
	return save(ctx, t, &c.where, admin.IncidentPersons, admin.PersonsOf{Selector: s, Recipient: c.Recipient}, c.Out)
}

func (c *incidentScope) print(t *Terminal, found *admin.ScopeOfReads) error {
	if c.JSON {
		return t.answer(*found)
	}
	err := t.say("%d reads of %d records, which name %d persons, of %d customers.", found.Reads, found.Records, found.Persons, len(found.Customers))
	if err == nil {
		err = t.scope(found.Customers)
	}
	return errors.Join(err, t.unknown(found.Unknown))
}

func (t *Terminal) scope(list []incident.Affected) error {
	var rows [][]string
	for _, a := range list {
		for _, k := range a.Categories {
			rows = append(rows, []string{a.Tenant.String(), strconv.Itoa(a.Persons), k.Name, strconv.Itoa(k.Reads), strconv.Itoa(k.Records), moment(k.First), moment(k.Last)})
		}
		if len(a.Categories) == 0 {
			rows = append(rows, []string{a.Tenant.String(), "", "named by hand", "", "", "", ""})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return t.table("CUSTOMER|PERSONS|CATEGORY|READS|RECORDS|FIRST|LAST", rows)
}

func (t *Terminal) unknown(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return t.say("What the records cannot tell:\n- %s", strings.Join(list, "\n- "))
}

// report are the parts that a notice needs.
type report struct {
	Nature       string `help:"What happened." placeholder:"TEXT"`
	Data         string `help:"Categories of persons and of records." placeholder:"TEXT"`
	Persons      int    `help:"How many persons, approximately." placeholder:"N"`
	Records      int    `help:"How many records, approximately." placeholder:"N"`
	Contact      string `help:"Where more can be learnt." placeholder:"TEXT"`
	Consequences string `help:"Likely consequences." placeholder:"TEXT"`
	Measures     string `help:"Measures taken or proposed." placeholder:"TEXT"`
}

type incidentOpen struct {
	reader
	where
	selection
	report
	Title    string       `help:"A title of one line." required:"" placeholder:"TEXT"`
	Aware    string       `help:"When somebody was aware; without it, now." placeholder:"TIME"`
	HighRisk bool         `help:"Persons are at high risk: they must be told."`
	Customer []ids.Tenant `help:"A customer in scope besides; may be given several times." placeholder:"ID"`
}

// Run opens.
func (c *incidentOpen) Run(ctx context.Context, t *Terminal) error {
	in := admin.NewIncident{Title: c.Title, HighRisk: c.HighRisk, Report: incident.Report(c.report), Customers: c.Customer}
	var err error
	if in.Aware, err = instant("aware", c.Aware); err != nil {
		return err
	}
	if c.given() {
		s, err := c.selector()
		if err != nil {
			return err
		}
		in.Scope = &s
	}
	x, err := call(ctx, t, &c.where, admin.IncidentOpen, in)
	return t.incident(c.JSON, x, err)
}

type oneIncident struct {
	reader
	where
	ID ids.Incident `arg:"" help:"The incident."`
}

func (c *oneIncident) act(ctx context.Context, t *Terminal, op admin.Op[admin.IncidentRef, admin.Incident]) error {
	x, err := call(ctx, t, &c.where, op, admin.IncidentRef{ID: c.ID})
	return t.incident(c.JSON, x, err)
}

type (
	incidentShow    struct{ oneIncident }
	incidentNotify  struct{ oneIncident }
	incidentContain struct{ oneIncident }
	incidentRelease struct{ oneIncident }
	incidentClose   struct{ oneIncident }
)

// Run shows.
func (c *incidentShow) Run(ctx context.Context, t *Terminal) error {
	return c.act(ctx, t, admin.IncidentShow)
}

// Run sends the notices.
func (c *incidentNotify) Run(ctx context.Context, t *Terminal) error {
	return c.act(ctx, t, admin.IncidentNotify)
}

// Run contains.
func (c *incidentContain) Run(ctx context.Context, t *Terminal) error {
	return c.act(ctx, t, admin.IncidentContain)
}

// Run releases.
func (c *incidentRelease) Run(ctx context.Context, t *Terminal) error {
	return c.act(ctx, t, admin.IncidentRelease)
}

// Run closes.
func (c *incidentClose) Run(ctx context.Context, t *Terminal) error {
	return c.act(ctx, t, admin.IncidentClose)
}

type incidentDraft struct {
	oneIncident
	selection
	report
	Title    string       `help:"Another title." placeholder:"TEXT"`
	HighRisk *bool        `help:"Whether persons are at high risk." negatable:""`
	Customer []ids.Tenant `help:"A customer who is in scope too; may be given several times." placeholder:"ID"`
}

// Run drafts.
func (c *incidentDraft) Run(ctx context.Context, t *Terminal) error {
	given := incident.Report(c.report)
	in := admin.IncidentDrafted{IncidentRef: admin.IncidentRef{ID: c.ID}, HighRisk: c.HighRisk, Report: &given, Customers: c.Customer}
	if c.Title != "" {
		in.Title = &c.Title
	}
	if c.given() {
		s, err := c.selector()
		if err != nil {
			return err
		}
		in.Scope = &s
	}
	x, err := call(ctx, t, &c.where, admin.IncidentDraft, in)
	return t.incident(c.JSON, x, err)
}

type incidentTold struct {
	oneIncident
	Who       string `arg:"" help:"Who was told: ${enum}." enum:"authority,persons"`
	At        string `help:"When; without it, now." placeholder:"TIME"`
	Reference string `help:"The authority's reference, or how persons were told." xor:"how" placeholder:"TEXT"`
	NotNeeded string `help:"Why it need not be done." xor:"how" placeholder:"TEXT"`
}

// Run puts it on record.
func (c *incidentTold) Run(ctx context.Context, t *Terminal) error {
	at, err := instant("at", c.At)
	if err != nil {
		return err
	}
	x, err := call(ctx, t, &c.where, admin.IncidentTell, admin.IncidentTold{
		IncidentRef: admin.IncidentRef{ID: c.ID}, Duty: incident.Duty(c.Who), Told: incident.Told{At: at, Reference: c.Reference, NotNeeded: c.NotNeeded},
	})
	return t.incident(c.JSON, x, err)
}

type incidentDrill struct {
	reader
	where
	Customer []ids.Tenant `help:"A customer who takes part; may be given several times." required:"" placeholder:"ID"`
}

// Run drills.
func (c *incidentDrill) Run(ctx context.Context, t *Terminal) error {
	x, err := call(ctx, t, &c.where, admin.IncidentDrill, admin.NewIncident{Customers: c.Customer})
	return t.incident(c.JSON, x, err)
}

type incidentList struct {
	reader
	where
}

// Run lists.
func (c *incidentList) Run(ctx context.Context, t *Terminal) error {
	list, err := call(ctx, t, &c.where, admin.IncidentList, struct{}{})
	if err != nil {
		return err
	}
	late := false
	var rows [][]string
	for i := range list {
		x := &list[i]
		row := []string{x.ID.String(), string(x.State), moment(x.Aware)}
		for _, k := range x.Clocks {
			row = append(row, string(k.Standing))
			late = late || !x.Drill && x.State != incident.Closed && k.Standing == incident.Overdue
		}
		rows = append(rows, append(row, strings.Join(x.Missing, " "), titled(x)))
	}
	switch {
	case c.JSON:
		err = t.answer(list)
	case len(list) > 0:
		err = t.table("INCIDENT|STATE|AWARE|CUSTOMERS|AUTHORITY|PERSONS|MISSING|TITLE", rows)
	default:
		err = t.say("There was no incident.")
	}
	if err == nil && late {
		return errNo
	}
	return err
}

func titled(x *admin.Incident) string {
	if x.Drill {
		return "[Drill] " + x.Title
	}
	return x.Title
}

// incident prints one.
func (t *Terminal) incident(json bool, x admin.Incident, err error) error {
	if err != nil {
		return err
	}
	if json {
		return t.answer(x)
	}
	errs := []error{t.say("%s is %s: %s", x.ID, x.State, titled(&x))}
	var rows [][]string
	for _, k := range x.Clocks {
		rows = append(rows, []string{k.Name, string(k.Standing), moment(k.Due), moment(k.Met)})
	}
	errs = append(errs, t.table("CLOCK|STANDING|DUE|MET", rows))
	if len(x.Missing) > 0 {
		errs = append(errs, t.say("The notice lacks: %s.", strings.Join(x.Missing, ", ")))
	}
	errs = append(errs, t.scope(x.Customers))
	if rows = nil; len(x.Notices) > 0 {
		for _, n := range x.Notices {
			rows = append(rows, []string{n.Customer.String(), string(n.Standing), moment(n.Due), moment(n.Sent), moment(n.Delivered), proof(&n)})
		}
		errs = append(errs, t.table("NOTICE TO|STANDING|DUE|SENT|DELIVERED|PROOF", rows))
	}
	if rows = nil; len(x.Acts) > 0 {
		for _, a := range x.Acts {
			state := "holds"
			switch {
			case a.Final:
				state = "final"
			case !a.Undone.IsZero():
				state = "undone " + moment(a.Undone)
			}
			rows = append(rows, []string{a.What, a.Target, moment(a.At), state})
		}
		errs = append(errs, t.table("CONTAINED|OF|AT|STATE", rows))
	}
	return errors.Join(append(errs, t.unknown(x.Unknown))...)
}

func proof(n *admin.IncidentNotice) string {
	switch {
	case n.NoContact:
		return "nobody to send it to"
	case !n.Failed.IsZero():
		return "it reached nobody"
	}
	return strings.Trim(fmt.Sprint(n.Messages), "[]")
}
