// Package attest keeps what people attest, because no probe can see it: that
// staff are trained and screened, that audits and tests were made, that providers
// were assessed and hold their reports. It promises that each attestation says
// about whom or what it is, from when until when, and on what it rests, a file or
// a statement; that the file stays as it was entered, sealed, under its hash; that
// none counts before its date, after its end or once withdrawn; and that those
// about to end are named. What depends on an attestation asks for it.
package attest

import (
	"context"
	"crypto/sha256"
	_ "embed" // the tables
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

//go:embed attest.sql
var sql string

const pkg = "product/trust/attest"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Kind says what is attested.
type Kind string

// The kinds. The first three are about one of the operator's people.
const (
	Training            Kind = "training"             // was trained in data protection and security
	Screening           Kind = "screening"            // was screened before being let in
	Secrecy             Kind = "secrecy"              // signed an agreement on secrecy
	Audit               Kind = "audit"                // security was audited
	PenetrationTest     Kind = "penetration_test"     // somebody tried to break in
	ProviderReport      Kind = "provider_report"      // a provider's SOC 2 Type II report
	ProviderCertificate Kind = "provider_certificate" // a provider's certificate, such as ISO 27001
	DataCentre          Kind = "data_centre"          // a site is audited and guarded
	VendorAssessment    Kind = "vendor_assessment"    // a vendor's security was assessed
)

// Kinds gives the closed list.
func Kinds() []Kind {
	return []Kind{Training, Screening, Secrecy, Audit, PenetrationTest, ProviderReport, ProviderCertificate, DataCentre, VendorAssessment}
}

// OfPerson reports whether the kind is about one of the operator's people.
func (k Kind) OfPerson() bool { return k == Training || k == Screening || k == Secrecy }

// Attestation is one of them.
type Attestation struct {
	ID        ids.Attestation
	Tenant    ids.Tenant
	Kind      Kind
	User      ids.User // of the kinds about a person
	Subject   string   // of the others: the provider, the site, who tested
	Note      string   // on what it rests, in words
	File      File     // on what it rests; zero without one
	Issued    time.Time
	Until     time.Time
	Created   time.Time
	Withdrawn time.Time // zero unless it was
}

// File is what was handed in, without its bytes.
type File struct {
	Name   string `json:"name,omitempty"`
	Type   string `json:"type,omitempty"`
	Size   int64  `json:"size,omitempty"`   // in octets
	SHA256 string `json:"sha256,omitempty"` // in hex
}

// State is where an attestation stands at a moment.
type State string

// The states.
const (
	Future    State = "future"
	Valid     State = "valid"
	Ending    State = "ending" // valid, and over within Notice
	Over      State = "over"
	Withdrawn State = "withdrawn"
)

// Notice is how long before its end an attestation is named.
const Notice = 30 * 24 * time.Hour

// At gives its state.
func (a Attestation) At(t time.Time) State {
	switch {
	case !a.Withdrawn.IsZero():
		return Withdrawn
	case t.Before(a.Issued):
		return Future
	case !t.Before(a.Until):
		return Over
	case a.Until.Sub(t) <= Notice:
		return Ending
	}
	return Valid
}

// Counts reports whether anything can rest on it at a moment.
func (a Attestation) Counts(t time.Time) bool { s := a.At(t); return s == Valid || s == Ending }

// secret is what an attestation says of persons and companies.
type secret struct {
	Subject string `json:"subject,omitempty"`
	Note    string `json:"note,omitempty"`
	File    File   `json:"file,omitzero"`
}

// Config is what attestations stand on.
type Config struct {
	DB    *db.DB
	Vault *vault.Vault
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
	Clock clock.Clock
	// User finds whose attestations a person's are; zero where nobody has the
	// address. It is for the requests of persons.
	User UserOf
}

// Store keeps attestations.
type Store struct {
	Config
	set *db.Set
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store {
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	return &Store{Config: c, set: c.DB.Set(pkg)}
}

// MaxFile is the largest evidence file.
const MaxFile = 4 * limit.MiB

const (
	maxSubject, maxNote = 200, 2000
	longest             = 5 * 366 * 24 * time.Hour
)

func printable(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

func (a *Attestation) check(content []byte) error {
	a.Subject, a.Note, a.File.Name = strings.TrimSpace(a.Subject), strings.TrimSpace(a.Note), strings.TrimSpace(a.File.Name)
	switch {
	case !slices.Contains(Kinds(), a.Kind):
		return fault.Field("kind", "There is no such kind of attestation.")
	case a.Kind.OfPerson() && (a.User == 0 || a.Subject != ""):
		return fault.Field("user", "This kind is about one of the operator's people: say which user, and no other subject.")
	case !a.Kind.OfPerson() && (a.User != 0 || a.Subject == ""):
		return fault.Field("subject", "Say about whom or what it is: the provider, the site, who audited.")
	case !printable(a.Subject, maxSubject):
		return fault.Field("subject", "The subject has at most 200 characters, without control characters.")
	case !printable(a.Note, maxNote):
		return fault.Field("note", "The note has at most 2,000 characters.")
	case a.Issued.IsZero() || !a.Until.After(a.Issued) || a.Until.Sub(a.Issued) > longest:
		return fault.Field("until", "An attestation has an end: after its date, and within five years.")
	case len(content) == 0 && a.Note == "":
		return fault.Field("note", "Say on what it rests: hand in a file, or write a statement.")
	case len(content) > int(MaxFile):
		return fault.Field("file", "The file is larger than 4 MiB.")
	case len(content) > 0 && (a.File.Name == "" || !printable(a.File.Name, maxSubject) || !printable(a.File.Type, 100)):
		return fault.Field("file", "The file needs a name.")
	}
	return nil
}

// Add enters an attestation with the file on which it rests, which may be empty.
func (s *Store) Add(ctx context.Context, a Attestation, content []byte, by evidence.Actor) (Attestation, error) {
	if err := a.check(content); err != nil {
		return Attestation{}, err
	}
	a.ID, a.Created, a.Withdrawn = ids.New[ids.Attestation](s.IDs), s.Clock.Now().UTC().Truncate(time.Microsecond), time.Time{}
	if len(content) == 0 {
		a.File = File{}
	} else {
		sum := sha256.Sum256(content)
		a.File.Size, a.File.SHA256 = int64(len(content)), hex.EncodeToString(sum[:])
	}
	blob, err := sealed.Put(s.Vault, vault.Account, row(a, "attestation"), secret{a.Subject, a.Note, a.File})
	if err != nil {
		return Attestation{}, err
	}
	var file []byte
	if len(content) > 0 {
		if file, err = sealed.Put(s.Vault, vault.Account, row(a, "attestation_file"), content); err != nil {
			return Attestation{}, err
		}
	}
	err = s.DB.Change(ctx, "enter an attestation", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "add", a.ID, a.Tenant, string(a.Kind), a.User, clock.Micros(a.Issued), clock.Micros(a.Until), clock.Micros(a.Created), blob)
		if err == nil && file != nil {
			_, err = tx.Do(ctx, s.set, "add_file", a.ID, a.Tenant, file)
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, a.ID, "attestation.add", by)
	})
	s.Nudge()
	return a, fault.Wrap(err, "enter an attestation")
}

func row(a Attestation, table string) sealed.Row {
	return sealed.Row{Tenant: a.Tenant, Table: table, ID: int64(a.ID)}
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, id ids.Attestation, act string, by evidence.Actor) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by,
		Body: &evidence.Act{Act: act, Target: id.String()},
	})
}

// Withdraw says that an attestation counts no more, from now on.
func (s *Store) Withdraw(ctx context.Context, in scope.Scope, id ids.Attestation, by evidence.Actor) (Attestation, error) {
	if _, err := s.Get(ctx, in, id); err != nil {
		return Attestation{}, err
	}
	all, own := in.Args()
	err := s.DB.Change(ctx, "withdraw an attestation", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "withdraw", all, own, id, clock.Micros(s.Clock.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "It is withdrawn already.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, id, "attestation.withdraw", by)
	})
	if err != nil {
		return Attestation{}, fault.Wrap(err, "withdraw an attestation")
	}
	s.Nudge()
	return s.Get(ctx, in, id)
}

// Get gives an attestation of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Attestation) (Attestation, error) {
	all, own := in.Args()
	list, err := s.read(ctx, "get", all, own, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such attestation.")
	}
	if err != nil {
		return Attestation{}, fault.Wrap(err, "get an attestation")
	}
	return list[0], nil
}

// List gives the scope's attestations, newest first, from before (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Attestation, limit int) ([]Attestation, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list attestations")
}

// most is how many attestations are looked at where all are.
const most = 10000

// Standing gives those that count now, of the kinds that are named or of all.
func (s *Store) Standing(ctx context.Context, in scope.Scope, kinds ...Kind) ([]Attestation, error) {
	now := s.Clock.Now()
	list, err := s.List(ctx, in, 0, most)
	return slices.DeleteFunc(list, func(a Attestation) bool {
		return !a.Counts(now) || len(kinds) > 0 && !slices.Contains(kinds, a.Kind)
	}), err
}

// Latest gives, for every kind and whom or what it is about, the attestation that
// ends last, valid or not; a withdrawn one does not count.
func (s *Store) Latest(ctx context.Context, in scope.Scope) ([]Attestation, error) {
	list, err := s.List(ctx, in, 0, most)
	if err != nil {
		return nil, err
	}
	type of struct {
		kind    Kind
		user    ids.User
		subject string
	}
	newest := map[of]Attestation{}
	var order []of
	for _, a := range list {
		if !a.Withdrawn.IsZero() {
			continue
		}
		k := of{a.Kind, a.User, strings.ToLower(a.Subject)}
		if old, seen := newest[k]; !seen || a.Until.After(old.Until) {
			if !seen {
				order = append(order, k)
			}
			newest[k] = a
		}
	}
	out := make([]Attestation, len(order))
	for i, k := range order {
		out[i] = newest[k]
	}
	return out, nil
}

// Trained reports whether a person has valid attestations of training and of
// screening now.
func (s *Store) Trained(ctx context.Context, user ids.User) (bool, error) {
	var kinds int
	err := s.set.One(ctx, "valid_kinds", []any{user, clock.Micros(s.Clock.Now())}, &kinds)
	return kinds == 2, fault.Wrap(err, "look for attestations")
}

// Evidence gives the file on which an attestation rests, or NotFound.
func (s *Store) Evidence(ctx context.Context, in scope.Scope, id ids.Attestation) (Attestation, []byte, error) {
	a, err := s.Get(ctx, in, id)
	if err != nil {
		return a, nil, err
	}
	if a.File.Size == 0 {
		return a, nil, fault.New(fault.NotFound, "This attestation rests on a statement; there is no file.")
	}
	all, own := in.Args()
	var blob, content []byte
	if err := s.set.One(ctx, "file", []any{all, own, id}, &blob); err != nil {
		return a, nil, fault.Wrap(err, "read an evidence file")
	}
	if err := sealed.Get(s.Vault, row(a, "attestation_file"), blob, &content); err != nil {
		return a, nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != a.File.SHA256 {
		return a, nil, fault.New(fault.Internal, "the evidence file is not the one that was entered")
	}
	return a, content, nil
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Attestation, error) {
	var list []Attestation
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var a Attestation
		var issued, until, created, withdrawn int64
		var blob []byte
		if err := scan(&a.ID, &a.Tenant, &a.Kind, &a.User, &issued, &until, &created, &withdrawn, &blob); err != nil {
			return err
		}
		a.Issued, a.Until, a.Created = clock.FromMicros(issued), clock.FromMicros(until), clock.FromMicros(created)
		if withdrawn != 0 {
			a.Withdrawn = clock.FromMicros(withdrawn)
		}
		var x secret
		if err := sealed.Get(s.Vault, row(a, "attestation"), blob, &x); err != nil {
			return err
		}
		a.Subject, a.Note, a.File = x.Subject, x.Note, x.File
		list = append(list, a)
		return nil
	})
	return list, err
}
