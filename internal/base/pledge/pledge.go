// Package pledge holds the types in which the house makes its promises: what a
// package stores and for how long (Declaration), how one person's data is
// reached (Holder), and how a promise is shown to hold (Probe). It holds types
// only; enforcing them is left to protect/*.
package pledge

import (
	"context"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
)

// Whose says whom a category of data is about.
type Whose string

// The closed list of those whom data can be about.
const (
	Nobody        Whose = "nobody"        // ids, counters, keys: not personal data
	Correspondent Whose = "correspondent" // who sends or receives mail through the platform
	Staff         Whose = "staff"         // a user of the console or the API
	Customer      Whose = "customer"      // the company that pays
)

// Basis is the legal basis of a processing: GDPR Art. 6(1).
type Basis string

// The bases that the platform uses. NotPersonal goes with Nobody.
const (
	NotPersonal        Basis = "not personal data"
	Contract           Basis = "contract, GDPR Art. 6(1)(b)"
	LegalDuty          Basis = "legal duty, GDPR Art. 6(1)(c)"
	LegitimateInterest Basis = "legitimate interest, GDPR Art. 6(1)(f)"
	Consent            Basis = "consent, GDPR Art. 6(1)(a)"
)

// Bases is the closed list of what processing rests on.
func Bases() []Basis { return []Basis{Contract, LegalDuty, LegitimateInterest, Consent} }

// Erasing says what erasing a person means for a category.
type Erasing string

// The ways of erasing.
const (
	Delete    Erasing = "delete"      // rows and keys go
	Anonymise Erasing = "anonymise"   // the row stays and names nobody
	KeepByLaw Erasing = "keep by law" // a law demands it; locked to that purpose
	Nothing   Erasing = "nothing to erase"
)

// Period is how long a category is kept. Ceiling is the privacy limit: gone
// after it. Floor is the legal limit: not gone before it. Zero means none.
type Period struct {
	Ceiling time.Duration
	Floor   time.Duration
	// From says in words what the period counts from: "the last recipient is settled".
	From string
}

// Category is a sort of data that is treated alike everywhere.
type Category struct {
	Name    string // "queue content"
	About   Whose
	What    string // in words for a person: "the bytes of a message until its last recipient is settled"
	Purpose string // in words: "deliver the message"
	// For is the purpose of the closed list that this serves, which a policy names.
	For     Purpose
	Basis   Basis
	Period  Period
	Found   string // how a subject is found in it: "keyed hash of the recipient"
	Erasing Erasing
	// Source says in words where the data comes from, and Recipients who gets it
	// (GDPR Art. 15(1)(c) and (g)).
	Source, Recipients string
}

// PlaceKind is a sort of store.
type PlaceKind string

// The sorts of store that a test can enumerate.
const (
	Column   PlaceKind = "column"    // table.column
	BlobKind PlaceKind = "blob"      // a blob class
	KeyFile  PlaceKind = "key"       // a class of key in the key store
	LogFile  PlaceKind = "log"       // a log stream
	DiskFile PlaceKind = "file"      // a file or folder under the data folder
	Memory   PlaceKind = "in memory" // a cache that outlives a request
)

// Place is one store of one category.
type Place struct {
	Kind     PlaceKind
	Name     string // "queue.sealed"
	Category string // a Category's name
	Sealed   bool   // encrypted above the store
}

// Declaration is what one package stores. Every package that stores anything
// exports one; protect/inventory joins them.
type Declaration struct {
	Package    string // "flow/queue"
	Categories []Category
	Places     []Place
}

// Columns declares several columns of one table alike.
func Columns(category string, sealed bool, table string, columns ...string) []Place {
	places := make([]Place, len(columns))
	for i, c := range columns {
		places[i] = Place{Kind: Column, Name: table + "." + c, Category: category, Sealed: sealed}
	}
	return places
}

// Subject is the person whose data is asked for, within a scope.
type Subject struct {
	Scope   scope.Scope
	Address address.Address
	// Before leaves out what came at this time or later; zero leaves out nothing.
	// The repeat of an erasure uses it, so that it takes nothing that the person
	// sent or was sent after asking.
	Before time.Time
	// Case is the person's request that is being answered, or zero.
	Case ids.Case
	// Identifiers are further words by which the customer knows the person. They
	// find what its messages say in the attributes that it declared as such.
	Identifiers []Identifier
}

// Trace is one thing held about a subject, without its content.
type Trace struct {
	Category string
	Holder   string
	Count    int
	First    time.Time
	Last     time.Time
}

// Record is one thing handed over to its subject (GDPR Art. 15, 20).
type Record struct {
	Category string
	ID       string
	At       time.Time
	Fields   map[string]string
	Content  func(context.Context, func([]byte) error) error // message bytes, or nil
}

// Correction replaces a wrong value (GDPR Art. 16).
type Correction struct {
	Field string // as named in Record.Fields
	Value string
}

// Erased is what one holder erased.
type Erased struct {
	Category string
	Count    int           // records deleted or anonymised
	Kept     int           // records that a law or a hold keeps
	Later    int           // records that are in use this moment; a repeat reaches them
	Why      string        // why those are kept, or not reached yet
	Held     bool          // a legal hold keeps them: the person is restricted meanwhile
	Epoch    time.Duration // until copies cannot be opened either; 0 means at once
}

// Holder is a store of personal data that one person can reach. Every method is
// idempotent: a repeat after a crash finishes what the first call began.
type Holder interface {
	// HolderName names the store: "queue".
	HolderName() string
	// Find says what is held, without content (GDPR Art. 15).
	Find(context.Context, Subject) ([]Trace, error)
	// HandOver gives every record to yield, and stops at its first error.
	HandOver(ctx context.Context, s Subject, yield func(Record) error) error
	// Correct replaces a value in every record that may be corrected and returns their number.
	Correct(context.Context, Subject, Correction) (int, error)
	// Restrict stops, or with false resumes, every processing but storage (GDPR Art. 18).
	Restrict(ctx context.Context, s Subject, on bool) (int, error)
	// Erase removes the subject now and says what went and what stays (GDPR Art. 17).
	Erase(context.Context, Subject) ([]Erased, error)
}

// Status is what a probe found.
type Status string

// The statuses that mailvow controls check prints.
const (
	Kept          Status = "kept"
	Failing       Status = "failing"
	NotApplicable Status = "not_applicable"
	Attested      Status = "attested"
	NotYet        Status = "not_yet"
)

// Finding is the result of one probe: what was observed, and when.
type Finding struct {
	ID string `json:"id"` // the promise: "cm-encryption"
	// Customer is set where the promise was judged under that customer's policy.
	Customer  ids.Tenant `json:"customer,omitzero"`
	Status    Status     `json:"status"`
	Evidence  string     `json:"evidence"`
	CheckedAt time.Time  `json:"checked_at"`
}

// Probe shows that a promise holds on the running server, acting as an outsider
// does. Reading a setting is no probe.
type Probe interface {
	// Promise is the id of the promise that the probe shows.
	Promise() string
	// Check acts and reports what it saw. An error means that it could not look,
	// which is reported as failing.
	Check(context.Context) (Status, string, error)
}

// Judge is a Probe whose promise says more or less under a customer's own policy.
type Judge interface {
	Probe
	// Judge looks at what is kept for one customer, under the policy in force for them.
	Judge(ctx context.Context, customer ids.Tenant) (Status, string, error)
}
