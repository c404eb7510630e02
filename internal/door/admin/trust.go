package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/subject"
)

// Subjects is protect/subject.
type Subjects interface {
	Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error)
	Export(ctx context.Context, s pledge.Subject, by evidence.Actor, f subject.Format, w io.Writer) (int, error)
	Correct(ctx context.Context, s pledge.Subject, by evidence.Actor, c pledge.Correction) (int, error)
	Restrict(ctx context.Context, s pledge.Subject, by evidence.Actor, on bool) (int, error)
	Declared(ctx context.Context, tenant ids.Tenant) (map[string]pledge.Sort, error)
	Declare(ctx context.Context, tenant ids.Tenant, by evidence.Actor, declared map[string]pledge.Sort) error
}

// Eraser is protect/erase.
type Eraser interface {
	Erase(ctx context.Context, o erase.Order) (erase.Receipt, error)
}

// Controls is protect/control.
type Controls interface {
	List(ctx context.Context, s scope.Scope) ([]control.Line, error)
	Check(ctx context.Context, yield func(pledge.Finding) error, named ...string) error
	Map(ctx context.Context, s scope.Scope, of control.Standard) ([]control.MapLine, error)
	// Assessment is OSCAL assessment results as JSON.
	Assessment(ctx context.Context, s scope.Scope) (json.RawMessage, error)
}

// Bundles make what an auditor takes home; app does.
type Bundles interface {
	Bundle(ctx context.Context, in scope.Scope, by evidence.Actor) (func(io.Writer) error, error)
	Sample(ctx context.Context, in scope.Scope, list sample.List, from, to time.Time) (rows []sample.Row, more bool, err error)
}

// Retention is protect/retain.
type Retention interface {
	States(ctx context.Context) ([]retain.State, error)
}

// The operations of trust.
const (
	SubjectFind     Op[SubjectRef, []Trace]                 = "subject/find"
	SubjectExport   Op[SubjectExportOf, []byte]             = "subject/export" // a stream
	SubjectCorrect  Op[Correction, Count]                   = "subject/correct"
	SubjectRestrict Op[Restriction, Count]                  = "subject/restrict"
	SubjectErase    Op[Erasure, Erased]                     = "subject/erase"
	SubjectKnown    Op[Identifying, map[string]pledge.Sort] = "subject/attributes"
	ControlsList    Op[struct{}, []Promise]                 = "controls/list"
	ControlsCheck   Op[Named, pledge.Finding]               = "controls/check" // a stream, one line of JSON each
	ControlsMap     Op[StandardOf, []control.MapLine]       = "controls/map"
	ControlsExport  Op[struct{}, []byte]                    = "controls/export" // a stream
	EvidenceList    Op[SampleOf, Sample]                    = "evidence/list"
	EvidenceBundle  Op[BundleOf, []byte]                    = "evidence/bundle" // a stream
	RetentionList   Op[struct{}, []Kept]                    = "retention/list"
)

// SampleOf asks for a list of a period, of one customer or of all.
type SampleOf struct {
	Customer ids.Tenant  `json:"customer,omitzero"`
	List     sample.List `json:"list"`
	From     time.Time   `json:"from"`
	To       time.Time   `json:"to"`
}

// Sample is that list.
type Sample struct {
	Rows []sample.Row `json:"rows"`
	More bool         `json:"more"`
}

// BundleOf names a customer whose view it is; zero: the operator's.
type BundleOf struct {
	Customer ids.Tenant `json:"customer,omitzero"`
}

// SubjectRef names a person, within one customer's data or everywhere.
type SubjectRef struct {
	Customer ids.Tenant `json:"customer,omitzero"`
	Address  string     `json:"address"`
	// Identifiers are further words by which the customer knows the person.
	Identifiers []pledge.Identifier `json:"identifiers,omitempty"`
}

func (r SubjectRef) subject() (pledge.Subject, error) {
	a, err := address.Parse(r.Address)
	if err != nil {
		return pledge.Subject{}, err
	}
	list, err := pledge.CheckIdentifiers(r.Identifiers)
	return pledge.Subject{Scope: scopeOf(r.Customer), Address: a, Identifiers: list}, err
}

// Identifying asks which attributes of a customer's messages identify a person, or
// declares them.
type Identifying struct {
	Customer ids.Tenant             `json:"customer"`
	Set      bool                   `json:"set,omitzero"`
	As       map[string]pledge.Sort `json:"as,omitempty"`
}

// SubjectExportOf asks for a copy.
type SubjectExportOf struct {
	SubjectRef
	Format subject.Format `json:"format"`
}

// Correction replaces a wrong value.
type Correction struct {
	SubjectRef
	Field string `json:"field"`
	Value string `json:"value"`
}

// Restriction stops or resumes processing.
type Restriction struct {
	SubjectRef
	Off bool `json:"off,omitzero"`
}

// Erasure asks for an erasure.
type Erasure struct {
	SubjectRef
	Reason   string `json:"reason"`
	KeepAway bool   `json:"keep_away,omitzero"`
}

// Erased is what an erasure did, with its certificate.
type Erased struct {
	Certificate string `json:"certificate"` // the document, byte by byte
}

// Trace is one thing held about a person.
type Trace struct {
	Category string `json:"category"`
	Holder   string `json:"holder"`
	Count    int    `json:"count"`
	First    string `json:"first,omitempty"`
	Last     string `json:"last,omitempty"`
}

// Named are the promises to probe; none means all.
type Named struct {
	IDs []string `json:"ids,omitempty"`
	// ByCustomer adds the lines of customers under whose own policies a promise is judged.
	ByCustomer bool `json:"by_customer,omitzero"`
}

// StandardOf names a standard; none means all.
type StandardOf struct {
	Standard control.Standard `json:"standard,omitempty"`
}

// Promise is a promise with what was last seen of it.
type Promise struct {
	control.Promise
	Status pledge.Status `json:"status"`
	Since  time.Time     `json:"failing_since,omitzero"`
}

// Kept is how the period of one category, or of one class of keys, is kept.
type Kept struct {
	Category string        `json:"category"`
	Status   retain.Status `json:"status"`
	Period   string        `json:"period"`
	Oldest   time.Time     `json:"oldest,omitzero"` // zero: none, or the store cannot tell
	Due      time.Time     `json:"due,omitzero"`    // when the oldest one's period is over
	Ran      time.Time     `json:"ran,omitzero"`    // when a purge last went well
	Purged   int           `json:"purged"`          // by the last purge that found something
	Gone     time.Time     `json:"gone,omitzero"`   // when that was
	Total    int           `json:"total"`
	Problem  string        `json:"problem,omitempty"`
}

// operator is who acts on the socket.
func operator() evidence.Actor { return evidence.Actor{Role: evidence.ByOperator} }

func (s *Server) subjects(mux *http.ServeMux, p Parts) {
	handle(s, mux, SubjectFind, func(ctx context.Context, in SubjectRef) ([]Trace, error) {
		who, err := in.subject()
		if p.Subjects == nil || err != nil {
			return nil, firstOf(err, absent("personal data"))
		}
		found, err := p.Subjects.Find(ctx, who)
		list := make([]Trace, len(found))
		for i, x := range found {
			list[i] = Trace{Category: x.Category, Holder: x.Holder, Count: x.Count}
			if !x.First.IsZero() {
				list[i].First, list[i].Last = evidence.On(x.First).String(), evidence.On(x.Last).String()
			}
		}
		return list, err
	})
	stream(s, mux, SubjectExport, func(ctx context.Context, in SubjectExportOf, w io.Writer) error {
		who, err := in.subject()
		if p.Subjects == nil || err != nil {
			return firstOf(err, absent("personal data"))
		}
		if err := p.frozen(ctx, who.Scope); err != nil {
			return err
		}
		_, err = p.Subjects.Export(ctx, who, operator(), in.Format, w)
		return err
	})
	handle(s, mux, SubjectCorrect, func(ctx context.Context, in Correction) (Count, error) {
		who, err := in.subject()
		if p.Subjects == nil || err != nil {
			return Count{}, firstOf(err, absent("personal data"))
		}
		n, err := p.Subjects.Correct(ctx, who, operator(), pledge.Correction{Field: in.Field, Value: in.Value})
		return Count{n}, err
	})
	handle(s, mux, SubjectRestrict, func(ctx context.Context, in Restriction) (Count, error) {
		who, err := in.subject()
		if p.Subjects == nil || err != nil {
			return Count{}, firstOf(err, absent("personal data"))
		}
		n, err := p.Subjects.Restrict(ctx, who, operator(), !in.Off)
		return Count{n}, err
	})
	handle(s, mux, SubjectKnown, func(ctx context.Context, in Identifying) (map[string]pledge.Sort, error) {
		switch {
		case p.Subjects == nil:
			return nil, absent("personal data")
		case in.Customer == 0:
			return nil, fault.Field("customer", "Say whose messages: --customer.")
		case in.Set:
			if err := p.Subjects.Declare(ctx, in.Customer, operator(), in.As); err != nil {
				return nil, err
			}
		}
		return p.Subjects.Declared(ctx, in.Customer)
	})
	handle(s, mux, SubjectErase, func(ctx context.Context, in Erasure) (Erased, error) {
		who, err := in.subject()
		if p.Eraser == nil || err != nil {
			return Erased{}, firstOf(err, absent("personal data"))
		}
		receipt, err := p.Eraser.Erase(ctx, erase.Order{Scope: who.Scope, Address: who.Address, Identifiers: who.Identifiers, By: evidence.ByOperator, Reason: in.Reason, KeepAway: in.KeepAway})
		if err != nil {
			return Erased{}, err
		}
		b, err := receipt.Document.JSON()
		return Erased{string(b)}, fault.Wrap(err, "write the certificate")
	})
}

func (s *Server) controls(mux *http.ServeMux, p Parts) {
	handle(s, mux, ControlsList, func(ctx context.Context, _ struct{}) ([]Promise, error) {
		if p.Controls == nil {
			return nil, absent("promises")
		}
		lines, err := p.Controls.List(ctx, scope.Everyone)
		list := make([]Promise, len(lines))
		for i, l := range lines {
			list[i] = Promise{l.Promise, l.Status, l.Since}
		}
		return list, err
	})
	handle(s, mux, ControlsMap, func(ctx context.Context, in StandardOf) ([]control.MapLine, error) {
		if p.Controls == nil {
			return nil, absent("promises")
		}
		return p.Controls.Map(ctx, scope.Everyone, in.Standard)
	})
	stream(s, mux, ControlsExport, func(ctx context.Context, _ struct{}, w io.Writer) error {
		if p.Controls == nil {
			return absent("promises")
		}
		doc, err := p.Controls.Assessment(ctx, scope.Everyone)
		if err != nil {
			return err
		}
		_, err = w.Write(append(doc, '\n'))
		return fault.Wrap(err, "write assessment results")
	})
	handle(s, mux, EvidenceList, func(ctx context.Context, in SampleOf) (Sample, error) {
		if p.Bundles == nil {
			return Sample{}, absent("lists")
		}
		rows, more, err := p.Bundles.Sample(ctx, scopeOf(in.Customer), in.List, in.From, in.To)
		return Sample{rows, more}, err
	})
	stream(s, mux, EvidenceBundle, func(ctx context.Context, in BundleOf, w io.Writer) error {
		if p.Bundles == nil {
			return absent("evidence bundles")
		}
		write, err := p.Bundles.Bundle(ctx, scopeOf(in.Customer), operator())
		if err != nil {
			return err
		}
		return write(w)
	})
	stream(s, mux, ControlsCheck, func(ctx context.Context, in Named, w io.Writer) error {
		if p.Controls == nil {
			return absent("promises")
		}
		e := json.NewEncoder(w)
		return p.Controls.Check(ctx, func(f pledge.Finding) error {
			if f.Customer != 0 && !in.ByCustomer {
				return nil
			}
			return e.Encode(f)
		}, in.IDs...)
	})
}

func (s *Server) retention(mux *http.ServeMux, p Parts) {
	handle(s, mux, RetentionList, func(ctx context.Context, _ struct{}) ([]Kept, error) {
		if p.Retention == nil {
			return nil, absent("periods")
		}
		states, err := p.Retention.States(ctx)
		list := make([]Kept, len(states))
		for i, x := range states {
			list[i] = Kept{
				Category: x.Category, Status: x.Status, Period: inventory.Span(x.Period), Oldest: x.Oldest, Due: x.Due, Ran: x.Ran,
				Purged: x.Purged, Gone: x.Gone, Total: x.Total, Problem: x.Problem,
			}
		}
		return list, err
	})
}
