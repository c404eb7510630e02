// Package incident is what is done about a breach of personal data: from the moment
// somebody is aware of it three clocks run, to each customer concerned, to the
// authority, and to persons at high risk (GDPR Art. 33, 34). It promises that the
// scope is answered from the records of reads, and says what these cannot tell;
// that no notice goes out without a part that the law requires; that each customer
// in scope has a notice of its own, whose delivery is proved by the message's own
// record; that what is late or missing is said; that containing is one act, on
// record, and undone where that can be; and that every act stands in the evidence
// log. Sending, revoking and holding mail are done by those who are handed in;
// telling the authority and the persons is done by people, who put it on record.
package incident

import (
	"context"
	_ "embed" // the tables
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
)

//go:embed incident.sql
var sql string

const pkg = "product/trust/incident"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// State is where an incident stands.
type State string

// The states. Containing can be undone, so that contained may become open again.
const (
	Open      State = "open"
	Contained State = "contained"
	Closed    State = "closed"
)

// MayBecome is the table of moves.
func (s State) MayBecome(to State) bool {
	switch s {
	case Open:
		return to == Contained || to == Closed
	case Contained:
		return to == Open || to == Closed
	case Closed:
	}
	return false
}

// Report is what a notice must say (GDPR Art. 33(3)).
type Report struct {
	Nature       string `json:"nature"`       // what happened
	Data         string `json:"data"`         // categories of persons and of records
	Persons      int    `json:"persons"`      // approximately
	Records      int    `json:"records"`      // approximately
	Contact      string `json:"contact"`      // where more can be learnt
	Consequences string `json:"consequences"` // likely ones
	Measures     string `json:"measures"`     // taken or proposed
}

// Missing names the required parts that are not there.
func (r Report) Missing() []string {
	var list []string
	for _, p := range []struct {
		name string
		has  bool
	}{
		{"nature", r.Nature != ""}, {"data", r.Data != ""}, {"persons", r.Persons > 0}, {"records", r.Records > 0},
		{"contact", r.Contact != ""}, {"consequences", r.Consequences != ""}, {"measures", r.Measures != ""},
	} {
		if !p.has {
			list = append(list, p.name)
		}
	}
	return list
}

// With is the report with the parts that another gives.
func (r Report) With(o Report) Report {
	for _, p := range []struct{ to, from *string }{
		{&r.Nature, &o.Nature}, {&r.Data, &o.Data}, {&r.Contact, &o.Contact}, {&r.Consequences, &o.Consequences}, {&r.Measures, &o.Measures},
	} {
		if *p.from != "" {
			*p.to = *p.from
		}
	}
	if o.Persons != 0 {
		r.Persons = o.Persons
	}
	if o.Records != 0 {
		r.Records = o.Records
	}
	return r
}

// maxText bounds each text of a report in letters.
const maxText = 4000

func (r *Report) check() error {
	for name, text := range map[string]*string{
		"nature": &r.Nature, "data": &r.Data, "contact": &r.Contact, "consequences": &r.Consequences, "measures": &r.Measures,
	} {
		*text = strings.TrimSpace(*text)
		if utf8.RuneCountInString(*text) > maxText || !utf8.ValidString(*text) {
			return fault.Field(name, "Write at most 4000 characters.")
		}
	}
	if r.Persons < 0 || r.Records < 0 {
		return fault.Field("persons", "A number of persons or of records is not negative.")
	}
	return nil
}

// Told is a duty that people do outside this server, put on record.
type Told struct {
	At        time.Time `json:"at,omitzero"`
	Reference string    `json:"reference,omitempty"`  // the authority's, or how persons were told
	NotNeeded string    `json:"not_needed,omitempty"` // why it need not be done
}

// Done reports whether the duty is met.
func (t Told) Done() bool { return !t.At.IsZero() || t.NotNeeded != "" }

// Act is one thing that containing did.
type Act struct {
	What   string    `json:"what"`   // "token revoked", "exports frozen"
	Target string    `json:"target"` // the text form of an identifier
	At     time.Time `json:"at"`
	Undone time.Time `json:"undone,omitzero"`
	Final  bool      `json:"final,omitempty"` // cannot be undone
	Undo   string    `json:"undo,omitempty"`  // the identifier that undoing needs, where it is another
}

// Incident is one breach, or a drill of one.
type Incident struct {
	ID     ids.Incident
	State  State
	Drill  bool
	Title  string
	Aware  time.Time // when it was known: the clocks run from here
	Opened time.Time
	Closed time.Time // zero: not
	Report Report
	// HighRisk says that persons must be told (GDPR Art. 34).
	HighRisk  bool
	Selector  Selector
	Affected  []Affected // the customers in scope
	Unknown   []string   // what the records cannot tell
	Authority Told
	Persons   Told
	Acts      []Act
	Drafted   time.Time // when what a notice says last changed
	revision  int
}

// Notice is the notice to one customer.
type Notice struct {
	ID        ids.Notice
	Incident  ids.Incident
	Tenant    ids.Tenant
	Due       time.Time
	Sent      time.Time // zero: not
	Delivered time.Time // zero: not, as far as is known
	Failed    time.Time // zero: it is not known to have failed for everybody
	Messages  []ids.Message
	NoContact bool // there is nobody to send it to
}

// Standing is how a duty stands.
type Standing string

// The standings.
const (
	Running   Standing = "running"
	Overdue   Standing = "overdue"
	Met       Standing = "met"
	Late      Standing = "late" // met, after its time
	NotNeeded Standing = "not_needed"
)

// Standing of a notice at a moment.
func (n *Notice) Standing(now time.Time) Standing { return standing(n.Due, n.Delivered, now) }

func standing(due, met, now time.Time) Standing {
	switch {
	case !met.IsZero() && met.After(due):
		return Late
	case !met.IsZero():
		return Met
	case now.After(due):
		return Overdue
	}
	return Running
}

// Clock is one of the three.
type Clock struct {
	Name     string // customers, authority, persons
	Due      time.Time
	Met      time.Time // zero: not
	Standing Standing
}

// Letter is a mail to a customer's contact.
type Letter struct {
	To      address.Address
	Subject string
	Text    string
}

// Reads are the records of reads; protect/reads keeps them.
type Reads interface {
	Each(ctx context.Context, in scope.Scope, from, to time.Time, yield func(reads.Read) error) (lost int, err error)
	Gaps(ctx context.Context, from, to time.Time) (began time.Time, gaps []reads.Gap, err error)
	Hash(of ids.Tenant, who address.Address) ([16]byte, error)
}

// Hands do what containing needs.
type Hands interface {
	// Revoke ends the tokens and sessions of a selector: those that it names, and
	// for an address or a node those that the records name.
	Revoke(ctx context.Context, s Selector, seen Seen) ([]Act, error)
	// Restore lets a user sign in again.
	Restore(ctx context.Context, user ids.User) error
	// Hold stops a customer's outgoing mail and gives what Release needs.
	Hold(ctx context.Context, t ids.Tenant, why string) (ids.Job, error)
	Release(ctx context.Context, hold ids.Job) error
	Rotate(ctx context.Context, t ids.Tenant) error
}

// Config is what incidents stand on.
type Config struct {
	DB      *db.DB
	Vault   *vault.Vault
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	Stage   *evidence.Stage
	Nudge   func() // something was staged
	Reads   Reads
	Hands   Hands
	// Breach gives the clocks of the policy in force for a customer, or with the
	// zero tenant for the platform.
	Breach func(ids.Tenant) policy.Breach
	// Contacts are whom a customer's notice goes to.
	Contacts func(context.Context, ids.Tenant) ([]address.Address, error)
	// Post sends a mail as the platform; Fate says what became of it.
	Post func(context.Context, Letter) (ids.Message, error)
	Fate func(context.Context, ids.Message) (delivered time.Time, failed bool, err error)
	// Persons gives whom records of a category name, and how many of them are gone.
	// known is false where the category's records name nobody that can be found so.
	Persons func(ctx context.Context, t ids.Tenant, category string, records []int64, yield func(record int64, who address.Address) error) (gone int, known bool, err error)
	// Kept is from when on records of reads are kept.
	Kept func() time.Time
}

// Desk keeps incidents.
type Desk struct {
	Config
	set *db.Set
	log *slog.Logger
}

// New makes a desk over a database that was opened with Schema.
func New(c Config) *Desk {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Desk{Config: c, set: c.DB.Set(pkg), log: c.Observe.For(pkg).Log}
}

// The law's clocks, where a policy names none: GDPR Art. 33(1); a processor tells
// without undue delay (Art. 33(2)), a controller persons likewise (Art. 34(1)).
const (
	lawCustomer  = 72 * time.Hour
	lawAuthority = 72 * time.Hour
	lawPersons   = 7 * 24 * time.Hour
	atOnce       = time.Hour // what "at once" gives a person to press a button
)

func after(d policy.Deadline, otherwise time.Duration, aware time.Time) time.Time {
	switch {
	case !d.Given():
		return aware.Add(otherwise)
	case d.Span == policy.Immediately:
		return aware.Add(atOnce)
	}
	return d.After(aware)
}

// Clocks are the incident's three. notices are all of its notices.
func (d *Desk) Clocks(x *Incident, notices []Notice) []Clock {
	now := d.Clock.Now()
	said := d.Breach(0)
	authority := Clock{Name: "authority", Due: after(said.Authority, lawAuthority, x.Aware), Met: x.Authority.At}
	persons := Clock{Name: "persons", Due: after(said.Persons, lawPersons, x.Aware), Met: x.Persons.At}
	authority.Standing, persons.Standing = standing(authority.Due, authority.Met, now), standing(persons.Due, persons.Met, now)
	if x.Authority.NotNeeded != "" {
		authority.Standing = NotNeeded
	}
	if !x.HighRisk || x.Persons.NotNeeded != "" {
		persons.Standing = NotNeeded
	}
	return []Clock{ofCustomers(notices, after(said.Customer, lawCustomer, x.Aware), now), authority, persons}
}

// ofCustomers joins the notices' clocks: the first that is due, the worst standing.
func ofCustomers(notices []Notice, due, now time.Time) Clock {
	c := Clock{Name: "customers", Due: due, Standing: Met}
	if len(notices) == 0 { // nobody is in scope yet
		c.Standing = standing(due, time.Time{}, now)
		return c
	}
	worst := []Standing{Met, Late, Running, Overdue}
	all := true
	for i := range notices {
		n := &notices[i]
		if n.Due.Before(c.Due) {
			c.Due = n.Due
		}
		if s := n.Standing(now); slices.Index(worst, s) > slices.Index(worst, c.Standing) {
			c.Standing = s
		}
		if all = all && !n.Delivered.IsZero(); n.Delivered.After(c.Met) {
			c.Met = n.Delivered
		}
	}
	if !all {
		c.Met = time.Time{}
	}
	return c
}
