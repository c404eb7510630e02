// Package request keeps requests of persons about their data as cases. It
// promises that a case by a stranger opens only when the address was proved by a
// link that was mailed to it; that whoever asks learns nothing before, and cannot
// make this server write to an address more than a few times a day; that each
// customer who holds something decides for its own, once, with a reason where it
// says no; that the law's clock runs from receipt; and that what was accepted is
// carried out, again after a crash, before it is called answered. Finding,
// copying, restricting and erasing are protect/subject's and protect/erase's;
// mail and pages are the doors'.
package request

import (
	_ "embed" // the tables
	"slices"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

const pkg = "protect/request"

//go:embed request.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

const category = "requests of persons"

// The period of an ended case. The floor is 24 months (California Code of
// Regulations, title 11, 7101); the ceiling is the usual three years in which
// somebody can still claim that they got no answer (GDPR Art. 5(2), 12(3)).
const (
	floor   = 731 * 24 * time.Hour
	ceiling = 3 * 365 * 24 * time.Hour
)

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: category, About: pledge.Correspondent,
		What:    "the address, the words and the identifiers of a person who asked about their data, what was decided and why, and for two weeks the certificate",
		Purpose: "answer the request in time, and show that it was answered", For: pledge.ToServeRights,
		Basis:      pledge.LegalDuty,
		Period:     pledge.Period{Floor: floor, Ceiling: ceiling, From: "the answer; seven days where the address was never proved"},
		Found:      "keyed hash of the address",
		Erasing:    pledge.KeepByLaw,
		Source:     "the person, or the customer whom the person asked",
		Recipients: "each customer who holds something about the person, and who runs this server",
	}},
	Places: slices.Concat(
		pledge.Columns(category, false, "request_case", "id", "kind", "law", "source", "state", "hash", "received", "proved", "confirmed", "ended", "asked", "mails"),
		pledge.Columns(category, true, "request_case", "sealed"),
		pledge.Columns(category, false, "request_share", "request", "tenant", "state", "due", "extended", "decided", "role", "until"),
		pledge.Columns(category, true, "request_share", "sealed", "result"),
	),
}

// Kind is what a person asks for.
type Kind string

// The closed list of kinds.
const (
	Access        Kind = "access"        // GDPR Art. 15
	Rectification Kind = "rectification" // Art. 16
	Erasure       Kind = "erasure"       // Art. 17
	Restriction   Kind = "restriction"   // Art. 18
	Portability   Kind = "portability"   // Art. 20
	Objection     Kind = "objection"     // Art. 21
	Withdrawal    Kind = "withdrawal"    // Art. 7(3)
)

// Kinds gives the closed list.
func Kinds() []Kind {
	return []Kind{Access, Rectification, Erasure, Restriction, Portability, Objection, Withdrawal}
}

// Source says how a case came in.
type Source string

// The closed list of sources.
const (
	ByPerson   Source = "person"   // on the public page
	ByCustomer Source = "customer" // a customer's user, for a person whom it knows
)

// State is where a case, or one customer's share of it, stands.
type State string

// The closed list of states. Accepted is a share's alone; Unproved and Lapsed are
// a case's alone.
const (
	Unproved State = "unproved" // the address is not proved yet
	Open     State = "open"
	Extended State = "extended" // open, with the law's one extension
	Accepted State = "accepted" // being carried out
	Answered State = "answered"
	Refused  State = "refused"
	Lapsed   State = "lapsed" // nobody proved the address
)

// moves is the one table of moves. Accepted goes back to Open when it could not
// be carried out; a share's extension is known by its date all the same.
var moves = map[State][]State{
	Unproved: {Open, Answered, Lapsed},
	Open:     {Extended, Accepted, Answered, Refused},
	Extended: {Accepted, Answered, Refused},
	Accepted: {Answered, Open},
}

// MayBecome reports whether a state may follow.
func (s State) MayBecome(next State) bool { return slices.Contains(moves[s], next) }

// Ended reports that nothing follows.
func (s State) Ended() bool { return len(moves[s]) == 0 }

// Case is one request.
type Case struct {
	ID      ids.Case
	Kind    Kind
	Law     Law
	Source  Source
	State   State
	Address address.Address
	Note    string // the person's words
	// Identifiers are words by which the person says to be known besides.
	Identifiers []pledge.Identifier
	Received    time.Time
	Proved      time.Time // zero: not yet, or a customer's
	Confirmed   time.Time // when the person was told that the request is being seen to
	Ended       time.Time
	Shares      []Share
}

// ConfirmBy is when the law wants the receipt to be confirmed; zero: it does not.
func (c *Case) ConfirmBy() time.Time { return c.Law.Confirm.After(c.Received) }

// Share is one customer's part of a case.
type Share struct {
	Case     ids.Case
	Tenant   ids.Tenant
	State    State
	Due      time.Time
	Extended time.Time // when the one extension was taken; zero: not
	Decided  time.Time
	Role     string    // in which capacity
	Reason   string    // of a refusal or an extension
	Field    string    // of a rectification
	Value    string    // of a rectification
	KeepAway bool      // of an erasure
	Theirs   bool      // the identifiers were found to be the person's
	Until    time.Time // the result can be fetched until then; zero: there is none
}

// subject is whom a share is about. Identifiers count where the customer entered
// the request, or found them to be those of who has the proved address.
func (c *Case) subject(s *Share) pledge.Subject {
	who := pledge.Subject{Scope: scope.Tenant(s.Tenant), Address: c.Address, Case: c.ID}
	if s.Theirs || c.Source == ByCustomer {
		who.Identifiers = c.Identifiers
	}
	return who
}

// Standing says how a share stands with its clock.
type Standing string

// The closed list of standings.
const (
	InTime  Standing = "in_time"
	Soon    Standing = "soon" // due within a week
	Overdue Standing = "overdue"
	Done    Standing = "done"
)

const soon = 7 * 24 * time.Hour

// Standing tells it at a time.
func (s *Share) Standing(now time.Time) Standing {
	switch {
	case s.State.Ended():
		return Done
	case !now.Before(s.Due):
		return Overdue
	case !now.Before(s.Due.Add(-soon)):
		return Soon
	}
	return InTime
}

func parseKind(s Kind) error {
	if !slices.Contains(Kinds(), s) {
		return fault.Field("kind", "Ask for one of: access, rectification, erasure, restriction, portability, objection, withdrawal.")
	}
	return nil
}
