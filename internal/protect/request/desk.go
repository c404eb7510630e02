package request

import (
	"context"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// Letter is a mail to the person.
type Letter struct {
	To      address.Address
	Subject string
	Text    string
}

// Subjects finds, copies, corrects and restricts; it is protect/subject.
type Subjects interface {
	Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error)
	Export(ctx context.Context, s pledge.Subject, by evidence.Actor, f subject.Format, w io.Writer) (int, error)
	Correct(ctx context.Context, s pledge.Subject, by evidence.Actor, c pledge.Correction) (int, error)
	Restrict(ctx context.Context, s pledge.Subject, by evidence.Actor, on bool) (int, error)
	Object(ctx context.Context, s pledge.Subject, by evidence.Actor) (int, error)
}

// Told says who was told of what became of a person's data; it is protect/onward.
type Told interface {
	OfCase(ctx context.Context, in scope.Scope, id ids.Case) ([]onward.Notice, error)
}

// Eraser is protect/erase.
type Eraser interface {
	Erase(ctx context.Context, o erase.Order) (erase.Receipt, error)
}

// Tenants are those who may hold something.
type Tenants interface {
	List(ctx context.Context, in scope.Scope, before ids.Tenant, limit int) ([]tenant.Tenant, error)
	Get(ctx context.Context, in scope.Scope, id ids.Tenant) (tenant.Tenant, error)
}

// Config is what requests stand on.
type Config struct {
	DB       *db.DB
	Vault    *vault.Vault
	Links    *link.Store
	Tenants  Tenants
	Subjects Subjects
	Eraser   Eraser
	Told     Told // may be nil
	Stage    *evidence.Stage
	Nudge    func() // something was staged
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	// Post sends a mail as the platform.
	Post func(ctx context.Context, l Letter) error
	// Base is where people reach this server: "https://mail.example.com".
	Base func() string
}

// Desk keeps cases and carries out what was decided.
type Desk struct {
	Config
	set *db.Set
}

// New makes a desk over a database that was opened with Schema.
func New(c Config) *Desk {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Desk{Config: c, set: c.DB.Set(pkg)}
}

// The links in a person's mail.
var (
	proof = link.Purpose{Name: "request.proof", Once: true, Life: 24 * time.Hour}
	// choice makes a request of a mail; the term that counts from it is a month.
	choice = link.Purpose{Name: "request.choice", Once: true, Life: 14 * 24 * time.Hour}
	// A case is over after three months at the latest, and its result a fortnight
	// later.
	page   = link.Purpose{Name: "request.case", Life: 120 * 24 * time.Hour}
	result = link.Purpose{Name: "request.result", Life: resultLife}
	// Who reported a child and got this link has the address that it was mailed to.
	child = link.Purpose{Name: "request.child", Once: true, Life: 30 * 24 * time.Hour}
)

// resultLife is how long an answer can be fetched.
const resultLife = 14 * 24 * time.Hour

// The paths of the pages that links lead to.
const (
	ProofPath  = "/privacy/confirm/"
	CasePath   = "/privacy/case/"
	ResultPath = "/privacy/result/"
	ChoicePath = "/privacy/choose/"
	ChildPath  = "/privacy/child/"
)

// maxMails is how many mails a day requests may cause at one address.
const maxMails = 3

const maxWords = 2000

// Asked is a request by a person.
type Asked struct {
	Address  string
	Kind     Kind
	Law      string
	Note     string
	Received time.Time // zero: now
	// Identifiers are further words by which the person says to be known. They
	// prove nothing: a customer that holds something under the proved address says
	// whether they are that person's.
	Identifiers []pledge.Identifier
}

// check reads what was asked; a wrong field is an Invalid fault.
func (q *Asked) check(now time.Time) (*Case, error) {
	a, err := one(q.Address)
	if err != nil {
		return nil, err
	}
	if err := parseKind(q.Kind); err != nil {
		return nil, err
	}
	law, err := LawOf(q.Law)
	if err != nil {
		return nil, err
	}
	note := strings.TrimSpace(q.Note)
	if utf8.RuneCountInString(note) > maxWords || !utf8.ValidString(note) {
		return nil, fault.Field("note", "Write at most 2000 characters.")
	}
	known, err := pledge.CheckIdentifiers(q.Identifiers)
	if err != nil {
		return nil, err
	}
	// Identifiers of messages know milliseconds. With a finer time a mail about the
	// request, written in the same one, would stand before it: see holding.
	now = now.Truncate(time.Millisecond)
	c := &Case{Kind: q.Kind, Law: law, Address: a, Note: note, Received: q.Received, Identifiers: known}
	switch {
	case c.Received.IsZero():
		c.Received = now
	case c.Received.After(now), c.Received.Before(now.AddDate(-1, 0, 0)):
		return nil, fault.Field("received", "A request was received within the last year, and not in the future.")
	}
	return c, nil
}

// one reads the address of one person. A pattern names many.
func one(text string) (address.Address, error) {
	a, err := address.Parse(strings.TrimSpace(text))
	if err != nil {
		said, _ := fault.Public(err)
		return a, fault.Field("address", said)
	}
	if a.IsNull() || strings.ContainsAny(a.Local(), "*%") {
		return a, fault.Field("address", "Give one whole address: a request is about one person, and patterns are not taken.")
	}
	return a, nil
}

// Ask takes a stranger's request and mails a link to the address. It answers the
// same whether or not anybody knows the address, whether a request is there
// already, and whether so many were made that no more mail goes there today. Only
// what is no request at all is Invalid.
func (d *Desk) Ask(ctx context.Context, q Asked) error {
	q.Received = time.Time{}
	c, err := q.check(d.Clock.Now())
	if err != nil {
		return err
	}
	c.Source, c.State = ByPerson, Unproved
	send, err := d.note(ctx, c)
	if err != nil || !send {
		return fault.Wrap(err, "take a request")
	}
	if c.State != Unproved { // it is open already: the page says how it stands
		return d.post(ctx, c, again, nil)
	}
	return d.post(ctx, c, prove, nil)
}

// note writes a stranger's request down, or finds the one that it repeats, and
// reports whether a mail may go.
func (d *Desk) note(ctx context.Context, c *Case) (send bool, err error) {
	hash, err := d.hash(c.Address)
	if err != nil {
		return false, err
	}
	now := d.Clock.Now()
	err = d.DB.Change(ctx, "take a request", func(tx *db.Tx) error {
		c.State = Unproved // a transaction may be run again
		var mails int
		if err := tx.One(ctx, d.set, "mails", []any{hash, clock.Micros(now.Add(-24 * time.Hour))}, &mails); err != nil {
			return err
		}
		if send = mails < maxMails; !send {
			return nil
		}
		found := false
		err := tx.Each(ctx, d.set, "same", []any{hash, c.Kind}, func(scan func(...any) error) error {
			found = true
			return scan(&c.ID, &c.State)
		})
		if err != nil {
			return err
		}
		if found {
			_, err := tx.Do(ctx, d.set, "again", c.ID, clock.Micros(now))
			return err
		}
		return d.add(ctx, tx, c, hash, 1)
	})
	return send, err
}

func (d *Desk) add(ctx context.Context, tx *db.Tx, c *Case, hash [16]byte, mails int) error {
	c.ID = ids.New[ids.Case](d.IDs)
	blob, err := sealed.Put(d.Vault, vault.Platform, caseRow(c.ID), words{c.Address.Text(), c.Note, c.Identifiers})
	if err != nil {
		return err
	}
	_, err = tx.Do(ctx, d.set, "add", c.ID, c.Kind, c.Law.Name, c.Source, c.State, hash, blob, clock.Micros(c.Received), clock.Micros(d.Clock.Now()), mails)
	return err
}

// Enter opens a case at one customer, by its user, for a person whom it knows.
func (d *Desk) Enter(ctx context.Context, t ids.Tenant, by evidence.Actor, q Asked) (Case, error) {
	c, err := q.check(d.Clock.Now())
	if err != nil {
		return Case{}, err
	}
	c.Source, c.State = ByCustomer, Open
	hash, err := d.hash(c.Address)
	if err != nil {
		return Case{}, err
	}
	err = d.DB.Change(ctx, "enter a request", func(tx *db.Tx) error {
		if err := d.add(ctx, tx, c, hash, 0); err != nil {
			return err
		}
		if _, err := tx.Do(ctx, d.set, "share", c.ID, t, clock.Micros(c.Law.Answer.After(c.Received))); err != nil {
			return err
		}
		return d.stage(ctx, tx, by, t, "request.open", c.ID)
	})
	if err != nil {
		return Case{}, fault.Wrap(err, "enter a request")
	}
	d.Nudge()
	d.confirm(ctx, c)
	return d.Get(ctx, scope.Tenant(t), c.ID)
}

// stage puts an act on record.
func (d *Desk) stage(ctx context.Context, tx *db.Tx, by evidence.Actor, t ids.Tenant, act string, id ids.Case) error {
	return d.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: t, Body: &evidence.Act{Act: act, Target: id.String()},
	})
}

// confirm tells the person that the case is seen to; Tick tries again.
func (d *Desk) confirm(ctx context.Context, c *Case) {
	err := d.post(ctx, c, opened, nil)
	if err == nil {
		err = d.DB.Change(ctx, "confirm a request", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, d.set, "confirmed", c.ID, clock.Micros(tx.Now()))
			return err
		})
	}
	if err != nil {
		d.Observe.For(pkg).Log.WarnContext(ctx, "a request could not be confirmed; it is tried again", "case", c.ID.String(), "error", err)
	}
}

// Proving says what a link of proof is about. It changes nothing.
func (d *Desk) Proving(ctx context.Context, text string) (Case, error) {
	l, err := d.Links.Read(ctx, proof, text)
	if err != nil {
		return Case{}, err
	}
	return d.linked(ctx, l)
}

// linked gives the case that a link is about.
func (d *Desk) linked(ctx context.Context, l link.Link) (Case, error) {
	if len(l.Subject) == 0 {
		return Case{}, fault.New(fault.NotFound, "There is no such request.")
	}
	c, err := d.Get(ctx, scope.Everyone, ids.Case(l.Subject[0]))
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Gone, "This request is no longer on record.")
	}
	return c, err
}

// Prove opens the case of a link at everybody who holds something about the
// person, and gives the text of the link to the person's page.
func (d *Desk) Prove(ctx context.Context, text string) (string, error) {
	c, err := d.Proving(ctx, text)
	if err != nil {
		return "", err
	}
	holders, err := d.holding(ctx, &c)
	if err != nil {
		return "", err
	}
	err = d.Links.Use(ctx, proof, text, func(tx *db.Tx, _ link.Link) error { return d.spread(ctx, tx, &c, holders) })
	if err != nil {
		return "", fault.Wrap(err, "open a request")
	}
	return d.opened(ctx, &c)
}

// spread opens a case, whose address was proved, at those who hold something.
func (d *Desk) spread(ctx context.Context, tx *db.Tx, c *Case, holders []ids.Tenant) error {
	next := Open
	if len(holders) == 0 {
		next = Answered
	}
	if err := d.move(ctx, tx, c.ID, Unproved, next); err != nil {
		return err
	}
	if _, err := tx.Do(ctx, d.set, "proved", c.ID, clock.Micros(tx.Now())); err != nil {
		return err
	}
	for _, t := range holders {
		if _, err := tx.Do(ctx, d.set, "share", c.ID, t, clock.Micros(c.Law.Answer.After(c.Received))); err != nil {
			return err
		}
		if err := d.stage(ctx, tx, evidence.Actor{Role: evidence.BySubject}, t, "request.open", c.ID); err != nil {
			return err
		}
	}
	return nil
}

// opened tells the person and gives the text of the link to the person's page.
func (d *Desk) opened(ctx context.Context, c *Case) (string, error) {
	d.Nudge()
	d.confirm(ctx, c)
	return d.Links.Make(page, tenant.Platform, int64(c.ID))
}

// holding are those who held something before the request came: the mail about
// the request itself does not count.
func (d *Desk) holding(ctx context.Context, c *Case) ([]ids.Tenant, error) {
	var list []ids.Tenant
	for before := ids.Tenant(1<<63 - 1); ; {
		some, err := d.Tenants.List(ctx, scope.Everyone, before, 200)
		if err != nil || len(some) == 0 {
			return list, err
		}
		for _, t := range some {
			traces, err := d.Subjects.Find(ctx, pledge.Subject{Scope: scope.Tenant(t.ID), Address: c.Address, Before: c.Received})
			if err != nil {
				return nil, err
			}
			if holds(traces) {
				list = append(list, t.ID)
			}
			before = t.ID
		}
	}
}

// holds reports that something is held but earlier requests.
func holds(traces []pledge.Trace) bool {
	for _, t := range traces {
		if t.Count > 0 && t.Category != category {
			return true
		}
	}
	return false
}
