// Package onward tells those who got a person's data what became of it: that it
// was erased or corrected, or that its use was restricted or objected to (GDPR
// Art. 17(2), 19). It promises that whom to tell is written down before the data
// goes that says so; that each is told by one signed event until it acknowledges
// or the time is over; that the event names the person only by the address that
// the recipient has already; and that nothing here names the person any more once
// it was acknowledged. Who got the data, and how a request is made, are given by
// app.
package onward

import (
	"context"
	_ "embed" // the table
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

const (
	pkg   = "protect/onward"
	table = "onward"
)

//go:embed onward.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

const category = "notices to recipients"

// kept is how long an ended notice shows that it was given: as long as the
// request that it belongs to.
const kept = 3 * 365 * 24 * time.Hour

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: category, About: pledge.Correspondent,
		What: "which endpoints got a person's data and must be told of an erasure, a correction, a restriction or an objection, with the address until " +
			"they acknowledge it; from then on only the endpoint's host and the dates",
		Purpose: "tell recipients, and show that they were told (GDPR Art. 17(2), 19)", For: pledge.ToServeRights,
		Basis:  pledge.LegalDuty,
		Period: pledge.Period{Ceiling: kept, From: "the acknowledgement, with which what names the person goes"},
		Found:  "keyed hash of the address", Erasing: pledge.KeepByLaw,
		Source: "the records of the person's messages", Recipients: "the endpoint that got the data",
	}},
	Places: slices.Concat(
		pledge.Columns(category, false, table, "id", "tenant", "kind", "cause", "request", "route", "hash", "state", "created", "due", "next", "attempts", "code", "reminded", "ended"),
		pledge.Columns(category, true, table, "sealed"),
	),
}

// Kind is what became of a person's data.
type Kind string

// The closed list of kinds.
const (
	Erased     Kind = "erased"
	Corrected  Kind = "corrected"
	Restricted Kind = "restricted"
	Objected   Kind = "objected"
)

// Event is the type of the event that tells it.
func (k Kind) Event() string { return "subject." + string(k) }

// State is where a notice stands.
type State string

// The closed list of states. Open → one of the others.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged" // by a 2xx
	Settled      State = "settled"      // a person says that the recipient was told by other means
	Unanswered   State = "unanswered"   // given up when its time was over
)

// The terms of a notice: it is acknowledged within a week, or the customer is
// reminded; after a month it is given up, so that the address does not stay.
const (
	Term   = 7 * 24 * time.Hour
	GiveUp = 30 * 24 * time.Hour
)

// Endpoint is where a customer's data went.
type Endpoint struct {
	Tenant ids.Tenant
	Route  ids.Route
	URL    string
	Secret []byte
}

// Host is the endpoint's, for people.
func (e *Endpoint) Host() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Order is what is to be told.
type Order struct {
	Kind    Kind
	Subject pledge.Subject
	Cause   int64 // one notice for each endpoint and cause
	Case    ids.Case
	Field   string // of a correction
	Value   string
}

// Notice is one endpoint that is told.
type Notice struct {
	ID       ids.Onward
	Tenant   ids.Tenant
	Kind     Kind
	Cause    int64
	Case     ids.Case
	Route    ids.Route
	State    State
	Host     string
	Created  time.Time
	Due      time.Time
	Next     time.Time
	Attempts int
	Code     int // the endpoint's last answer; 0: none
	Ended    time.Time

	inside inside
}

// Late reports that nobody acknowledged it in time.
func (n *Notice) Late(now time.Time) bool { return n.State == Open && !now.Before(n.Due) }

// inside is sealed with the customer's key. Host alone outlives the end.
type inside struct {
	Host    string `json:"host"`
	URL     string `json:"url,omitempty"`
	Secret  []byte `json:"secret,omitempty"`
	Address string `json:"address,omitempty"`
	Field   string `json:"field,omitempty"`
	Value   string `json:"value,omitempty"`
}

// Config is what notices stand on.
type Config struct {
	DB      *db.DB
	Vault   *vault.Vault
	Stage   *evidence.Stage
	Nudge   func() // something was staged
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	// Got gives each endpoint that got a person's data, as history knows.
	Got func(ctx context.Context, s pledge.Subject, yield func(Endpoint) error) error
	// Send posts a body that it signs with the endpoint's secret, under an id that
	// is the same on each attempt, and gives the status of the answer.
	Send func(ctx context.Context, to Endpoint, id string, body []byte) (status int, err error)
	// Remind tells a customer that notices were not acknowledged in time.
	Remind func(ctx context.Context, t ids.Tenant, late int) error
}

// Desk keeps notices.
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

func row(t ids.Tenant, id ids.Onward) sealed.Row {
	return sealed.Row{Tenant: t, Table: table, ID: int64(id)}
}

// Plan writes down whom to tell and says how many they are. It is called before
// the data goes by which they are found, and may be repeated.
func (d *Desk) Plan(ctx context.Context, o Order) (int, error) {
	if o.Subject.Address.IsNull() {
		return 0, nil
	}
	var to []Endpoint
	err := d.Got(ctx, o.Subject, func(e Endpoint) error { to = append(to, e); return nil })
	if err != nil {
		return 0, fault.Wrap(err, "find who got a person's data")
	}
	hash, err := d.hash(o.Subject)
	if err != nil || len(to) == 0 {
		return 0, err
	}
	count := 0
	err = d.DB.Change(ctx, "plan notices to recipients", func(tx *db.Tx) error {
		count = 0
		tenants := map[ids.Tenant]bool{}
		for _, e := range to {
			if err := d.add(ctx, tx, &o, e, hash); err != nil {
				return err
			}
			tenants[e.Tenant] = true
		}
		for t := range tenants {
			n := 0
			if err := tx.One(ctx, d.set, "of_cause", []any{t, o.Cause, o.Kind}, &n); err != nil {
				return err
			}
			count += n
		}
		return nil
	})
	return count, fault.Wrap(err, "plan notices to recipients")
}

func (d *Desk) add(ctx context.Context, tx *db.Tx, o *Order, e Endpoint, hash [16]byte) error {
	id := ids.New[ids.Onward](d.IDs)
	in := inside{Host: e.Host(), URL: e.URL, Secret: e.Secret, Address: o.Subject.Address.Text(), Field: o.Field, Value: o.Value}
	blob, err := sealed.Put(d.Vault, vault.Account, row(e.Tenant, id), in)
	if err != nil {
		return err
	}
	now := d.Clock.Now()
	n, err := tx.Do(ctx, d.set, "add", id, e.Tenant, o.Kind, o.Cause, o.Case, e.Route, hash, clock.Micros(now), clock.Micros(now.Add(Term)), blob)
	if err != nil || n == 0 {
		return err
	}
	return d.stage(ctx, tx, e.Tenant, "onward."+string(o.Kind), id)
}

func (d *Desk) stage(ctx context.Context, tx *db.Tx, t ids.Tenant, act string, id ids.Onward) error {
	return d.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: evidence.Actor{Role: evidence.BySystem}, Tenant: t,
		Body: &evidence.Act{Act: act, Target: id.String()},
	})
}

func (d *Desk) hash(s pledge.Subject) ([16]byte, error) {
	h, err := d.Vault.Hash(0, "onward address", s.Address.Canonical())
	return h, fault.Wrap(err, "hash an address")
}

// event is the body that an endpoint gets; docs/formats/webhook.md describes it.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		ID          string    `json:"id"`
		Address     string    `json:"address"`
		Field       string    `json:"field,omitempty"`
		Value       string    `json:"value,omitempty"`
		Acknowledge time.Time `json:"acknowledge_by"`
	} `json:"data"`
}

// body is the same on each attempt.
func (n *Notice) body() ([]byte, error) {
	e := event{Type: n.Kind.Event(), Timestamp: n.Created.UTC()}
	e.Data.ID, e.Data.Address, e.Data.Acknowledge = n.ID.String(), n.inside.Address, n.Due.UTC()
	e.Data.Field, e.Data.Value = n.inside.Field, n.inside.Value
	b, err := json.Marshal(e)
	return b, fault.Wrap(err, "write an event")
}

// dueAtOnce is how many notices one Tick sends.
const dueAtOnce = 64

// Tick sends what is due, and reminds of what is late. One process at a time
// calls it.
func (d *Desk) Tick(ctx context.Context) error {
	list, err := d.read(ctx, "due", clock.Micros(d.Clock.Now()), dueAtOnce)
	if err != nil {
		return fault.Wrap(err, "look for notices that are due")
	}
	dead := map[ids.Route]bool{}
	for i := range list {
		if n := &list[i]; !dead[n.Route] && ctx.Err() == nil {
			ok, err := d.send(ctx, n)
			if err != nil {
				return err
			}
			dead[n.Route] = !ok
		}
	}
	if len(list) > 0 {
		d.Nudge()
	}
	return d.remind(ctx)
}

// send makes one attempt.
func (d *Desk) send(ctx context.Context, n *Notice) (acknowledged bool, err error) {
	body, err := n.body()
	if err != nil {
		return false, err
	}
	status, failed := d.Send(ctx, Endpoint{Tenant: n.Tenant, Route: n.Route, URL: n.inside.URL, Secret: n.inside.Secret}, n.ID.String(), body)
	if failed != nil {
		status = 0
		d.Observe.For(pkg).Log.InfoContext(ctx, "an endpoint could not be told; it is tried again", "notice", n.ID.String(), "error", failed)
	}
	now := d.Clock.Now()
	switch {
	case status/100 == 2:
		return true, d.end(ctx, n, Acknowledged, status)
	case !now.Before(n.Created.Add(GiveUp)):
		return false, d.end(ctx, n, Unanswered, status)
	}
	err = d.DB.Change(ctx, "note an attempt", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, d.set, "tried", n.ID, clock.Micros(now.Add(pause(n.Attempts))), status)
		return err
	})
	return false, fault.Wrap(err, "note an attempt")
}

// pause before the next attempt: a minute, doubled, at most six hours.
func pause(attempts int) time.Duration {
	return min(time.Minute<<min(attempts, 10), 6*time.Hour)
}

// end takes the person out of a notice.
func (d *Desk) end(ctx context.Context, n *Notice, s State, status int) error {
	blob, err := sealed.Put(d.Vault, vault.Account, row(n.Tenant, n.ID), inside{Host: n.inside.Host})
	if err != nil {
		return fault.Wrap(err, "end a notice")
	}
	err = d.DB.Change(ctx, "end a notice", func(tx *db.Tx) error {
		attempts := n.Attempts
		if s != Settled {
			attempts++
		}
		count, err := tx.Do(ctx, d.set, "end", n.ID, s, clock.Micros(tx.Now()), status, attempts, blob)
		if err != nil || count == 0 {
			return err
		}
		return d.stage(ctx, tx, n.Tenant, "onward."+string(s), n.ID)
	})
	return fault.Wrap(err, "end a notice")
}

// remind tells each customer once of notices whose term is over.
func (d *Desk) remind(ctx context.Context) error {
	now := d.Clock.Now()
	var tenants []ids.Tenant
	err := d.set.Each(ctx, "forgotten", []any{clock.Micros(now)}, func(scan func(...any) error) error {
		var t ids.Tenant
		err := scan(&t)
		tenants = append(tenants, t)
		return err
	})
	for _, t := range tenants {
		if err != nil {
			break
		}
		late := 0
		if late, err = d.Late(ctx, scope.Tenant(t)); err == nil && d.Remind != nil {
			err = d.Remind(ctx, t, late)
		}
		if err == nil {
			err = d.DB.Change(ctx, "note a reminder", func(tx *db.Tx) error {
				_, err := tx.Do(ctx, d.set, "reminded", t, clock.Micros(now), clock.Micros(now))
				return err
			})
		}
	}
	return fault.Wrap(err, "remind of notices")
}
