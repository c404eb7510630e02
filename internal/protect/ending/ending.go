// Package ending carries out the end of a customer's contract. It promises that
// from the contract's end nothing is sent or received for the customer, while its
// users can still fetch everything that is kept of it; that the end can be undone
// until the destroying begins; that then every category of the inventory is
// destroyed, the keys last, within the days of the policy in force, whatever
// crashes in between; that what a law keeps is kept apart, under a key of its own,
// until its own end; that a restored backup does not bring the customer back; and
// that a certificate in the evidence log says what went and what stays. A link that
// was mailed to an owner orders the end too: once, in its time, while its reader is
// an owner still. How
// records are handed over and destroyed is known by the packages that own them;
// who may order it is decided by the doors.
package ending

import (
	"context"
	_ "embed" // the tables
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

//go:embed ending.sql
var sql string

const (
	pkg   = "protect/ending"
	table = "ending"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// The categories of what this package stores.
const (
	contracts = "contract ends"
	Remains   = "kept by law after a contract's end"
)

// ceiling is how long the record of an end is kept: the usual three years in which
// somebody can claim that it did not take place (GDPR Art. 5(2)).
const ceiling = 3 * 365 * 24 * time.Hour

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: contracts, About: pledge.Customer,
			What:    "when a customer's contract ended, in which capacity it was ordered, how many records of each category went, and the certificate; until they have it, the customer's name and its owners' addresses",
			Purpose: "end the contract as the policy says, and show that it was", For: pledge.ToEnd, Basis: pledge.LegalDuty,
			Period: pledge.Period{Ceiling: ceiling, From: "the end, or its undoing"},
			Found:  "the customer's id", Erasing: pledge.KeepByLaw,
		},
		{
			Name: Remains, About: pledge.Correspondent,
			What:    "the records of an ended customer that a law wants kept longer, sealed under a key of their own",
			Purpose: "the duty of law that names the category, and nothing else", For: pledge.ToHold, Basis: pledge.LegalDuty,
			Period: pledge.Period{From: "the law's own period of each category; then they go at once"},
			Found:  "by the number of the ended contract", Erasing: pledge.KeepByLaw,
		},
	},
	Places: slices.Concat(
		pledge.Columns(contracts, false, table, "id", "tenant", "state", "role", "reason", "ordered", "closes", "due", "deadline", "fetched", "ended", "step", "policy", "counts", "certificate"),
		pledge.Columns(contracts, true, table, "key", "sealed"),
		pledge.Columns(Remains, false, "ending_kept", "ending", "n", "tenant", "category", "until", "records"),
		pledge.Columns(Remains, true, "ending_kept", "sealed"),
	),
}

// State is where an end stands.
type State string

// The closed list of states.
const (
	Ordered    State = "ordered"    // for a date: nothing is closed yet
	Exporting  State = "exporting"  // closed; everything is read once, so that it is known to be readable
	Waiting    State = "waiting"    // the customer may fetch the export, or undo
	Destroying State = "destroying" // no way back
	Ended      State = "ended"
	Undone     State = "undone"
)

// moves is the one table of moves.
var moves = map[State][]State{
	Ordered:    {Exporting, Destroying, Undone},
	Exporting:  {Waiting, Destroying, Undone},
	Waiting:    {Destroying, Undone},
	Destroying: {Ended},
}

// MayBecome reports whether a state may follow.
func (s State) MayBecome(next State) bool { return slices.Contains(moves[s], next) }

// Undoable reports that there is a way back.
func (s State) Undoable() bool { return s.MayBecome(Undone) }

// Counted is what became of one category.
type Counted struct {
	Category  string    `json:"category"`
	Read      int       `json:"read"`      // handed over when everything was read once
	Destroyed int       `json:"destroyed"` // a crash may leave it too low, never too high
	Kept      int       `json:"kept"`
	Until     time.Time `json:"until,omitzero"` // the last of what is kept goes then
	Why       string    `json:"why,omitempty"`
}

// Ending is the end of one contract.
type Ending struct {
	ID       ids.Certificate
	Tenant   ids.Tenant
	Name     string // the customer's; gone once it ended and the owners were told
	State    State
	By       evidence.Role
	Reason   string
	Ordered  time.Time
	Closes   time.Time // the contract's end
	Due      time.Time // the destroying begins
	Deadline time.Time // everything is gone
	Fetched  time.Time // when the export was last fetched; zero: never
	Ended    time.Time // or undone
	Policy   string
	Counts   []Counted
	// Certificate is the customer's copy, once it ended.
	Certificate json.RawMessage

	step   int
	key    []byte
	sealed []byte
	owners []string
}

// Late reports that something should be gone and is not.
func (e *Ending) Late(now time.Time) bool { return e.Ended.IsZero() && now.After(e.Deadline) }

// Part is one category as a contract's end treats it.
type Part struct {
	Category string
	// HandOver gives every record of the customer, each time anew. Nil: Withheld
	// says why the category is not handed over.
	HandOver func(context.Context, ids.Tenant, func(pledge.Record) error) error
	Withheld string
	// Destroy deletes every record of the customer in short transactions, without
	// any of its keys, and says how many there were; a repeat finishes what a crash
	// left. Nil: Stays says why there is nothing to do.
	Destroy func(context.Context, ids.Tenant) (int, error)
	Stays   string
}

// Letter is what an owner is told by mail.
type Letter struct {
	To      address.Address
	Subject string
	Text    string
	File    []byte // a certificate, or nil
}

// Policies say what is in force; policy.Store does.
type Policies interface {
	For(id ids.Tenant, t time.Time) policy.InForce
}

// Config is what ends of contracts stand on.
type Config struct {
	// Parts are all categories, in the order in which they are destroyed.
	Parts     []Part
	Inventory *inventory.Inventory
	Policies  Policies
	Tenants   *tenant.Store
	// Outlive makes what is held survive the customer's keys and says how many
	// records that are.
	Outlive func(context.Context, ids.Tenant) (int, error)
	// Quiet stops what waits for delivery and says how much is in an attempt.
	Quiet func(context.Context, ids.Tenant) (int, error)
	// After is called when everything is deleted: it drops what pointed there.
	After func(context.Context) error
	// Owners are the addresses of the customer's owners.
	Owners func(context.Context, ids.Tenant) ([]address.Address, error)
	// Links makes the links by which an owner closes the account without signing in;
	// Owner reports that a user is an active owner of the customer.
	Links *link.Store
	Owner func(context.Context, ids.Tenant, ids.User) (bool, error)
	// Post mails a letter as the platform.
	Post func(context.Context, Letter) error
	// Mirrored is by when a second copy of the key store follows; zero: there is none.
	Mirrored time.Duration
	Ledger   *erase.Ledger
	DB       *db.DB
	Vault    *vault.Vault
	Stage    *evidence.Stage
	Log      *evidence.Log
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	// Grace is how long a delivery that was under way may take; 15 minutes when zero.
	Grace time.Duration
}

// Store keeps the ends of contracts and carries them out.
type Store struct {
	Config
	set  *db.Set
	wake chan struct{}
	one  sync.Mutex // one look at a time: each goes through whole stores
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Grace == 0 {
		c.Grace = 15 * time.Minute
	}
	if c.After == nil {
		c.After = func(context.Context) error { return nil }
	}
	return &Store{Config: c, set: c.DB.Set(pkg), wake: make(chan struct{}, 1)}
}

// Missing names the categories of the inventory of which the parts do not say
// both how they are handed over and how they are destroyed, or why not.
func Missing(i *inventory.Inventory, parts []Part) []string {
	var list []string
	by := map[string]Part{}
	for _, p := range parts {
		if _, twice := by[p.Category]; twice {
			list = append(list, fmt.Sprintf("%s is there twice", p.Category))
		}
		by[p.Category] = p
		if _, known := i.Category(p.Category); !known {
			list = append(list, fmt.Sprintf("%s is no category of the inventory", p.Category))
		}
	}
	for _, e := range i.Entries() {
		p, there := by[e.Name]
		switch {
		case !there:
			list = append(list, e.Name+": nobody says what becomes of it")
		case (p.HandOver == nil) == (p.Withheld == ""):
			list = append(list, e.Name+": is it handed over, or why not?")
		case (p.Destroy == nil) == (p.Stays == ""):
			list = append(list, e.Name+": is it destroyed, or why not?")
		}
	}
	return list
}

// margin is what the destroying begins before its deadline, so that it ends in time.
const margin = time.Hour

// Plan says when the destroying of a contract that ends at a time begins and by
// when everything is gone, under the policy in force for the customer. Where the
// policy lets the customer export for longer than it lets data stay, deletion
// comes first.
func (s *Store) Plan(of ids.Tenant, closes time.Time) (due, deadline time.Time) {
	said := s.Policies.For(of, closes).Document.Termination
	deadline = closes.AddDate(0, 0, 30)
	switch {
	case said.Delete.Given():
		deadline = said.Delete.After(closes)
	case said.Return.Given():
		deadline = said.Return.After(closes)
	}
	if due = deadline; said.Return.Given() && said.Return.After(closes).Before(due) {
		due = said.Return.After(closes)
	}
	if last := deadline.Add(-margin); due.After(last) && last.After(closes) {
		due = last
	}
	return due, deadline
}
