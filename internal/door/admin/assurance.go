package admin

import (
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/clearance"
	"mailvow/internal/protect/tenant"
)

// Assurance are the registers that people keep. Nil parts refuse.
type Assurance struct {
	Attests  *attest.Store
	Findings *finding.Store
	Lawful   *lawful.Store
	Grants   *clearance.Store
	// User finds one of the operator's people by address.
	User    func(ctx context.Context, address string) (ids.User, error)
	Patches Patches
	Alerts  Alerts
}

// The operations on the registers.
const (
	AttestationAdd      Op[NewAttestation, Attestation]   = "attestation/add"
	AttestationList     Op[struct{}, []Attestation]       = "attestation/list"
	AttestationWithdraw Op[AttestationRef, Attestation]   = "attestation/withdraw"
	AttestationFile     Op[AttestationRef, FileOf]        = "attestation/file"
	FindingAdd          Op[NewFinding, Finding]           = "finding/add"
	FindingList         Op[struct{}, []Finding]           = "finding/list"
	FindingMove         Op[FindingMoved, Finding]         = "finding/move"
	LawfulAdd           Op[LawfulRequest, LawfulRequest]  = "lawful/add"
	LawfulList          Op[struct{}, []LawfulRequest]     = "lawful/list"
	LawfulDecide        Op[LawfulDecision, LawfulRequest] = "lawful/decide"
	LawfulExport        Op[AuthorityExport, []byte]       = "lawful/export" // a stream
	LawfulReport        Op[struct{}, lawful.Report]       = "lawful/report"
	GrantList           Op[struct{}, []AccessGrant]       = "grant/list"
)

// NewAttestation is what is attested.
type NewAttestation struct {
	Kind    attest.Kind `json:"kind"`
	User    string      `json:"user,omitempty"` // the address of one of the operator's people
	Subject string      `json:"subject,omitempty"`
	Note    string      `json:"note,omitempty"`
	Issued  time.Time   `json:"issued,omitzero"`
	Until   time.Time   `json:"until"`
	Name    string      `json:"name,omitempty"` // the file's
	File    []byte      `json:"file,omitempty"`
}

// AttestationRef names one.
type AttestationRef struct {
	ID ids.Attestation `json:"id"`
}

// FileOf is the file on which an attestation rests.
type FileOf struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// Attestation is one as it is printed.
type Attestation struct {
	ID      ids.Attestation `json:"id"`
	Kind    attest.Kind     `json:"kind"`
	User    ids.User        `json:"user,omitzero"`
	Subject string          `json:"subject,omitempty"`
	Note    string          `json:"note,omitempty"`
	File    attest.File     `json:"file,omitzero"`
	State   attest.State    `json:"state"`
	Issued  time.Time       `json:"issued"`
	Until   time.Time       `json:"until"`
}

// NewFinding is a weakness that was found.
type NewFinding struct {
	Source   finding.Source   `json:"source"`
	Severity finding.Severity `json:"severity"`
	Title    string           `json:"title"`
	Detail   string           `json:"detail,omitempty"`
	Found    time.Time        `json:"found,omitzero"`
}

// FindingMoved is what becomes of one.
type FindingMoved struct {
	ID     ids.Weakness  `json:"id"`
	State  finding.State `json:"state"`
	Owner  string        `json:"owner,omitempty"` // an address
	Reason string        `json:"reason,omitempty"`
}

// Finding is one as it is printed.
type Finding struct {
	ID       ids.Weakness     `json:"id"`
	Source   finding.Source   `json:"source"`
	Severity finding.Severity `json:"severity"`
	State    finding.State    `json:"state"`
	Title    string           `json:"title"`
	Detail   string           `json:"detail,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Owner    ids.User         `json:"owner,omitzero"`
	Found    time.Time        `json:"found"`
	Due      time.Time        `json:"due"`
	Overdue  bool             `json:"overdue"`
}

// LawfulRequest is a request of an authority.
type LawfulRequest struct {
	ID        ids.Lawful   `json:"id,omitzero"`
	Customer  ids.Tenant   `json:"customer,omitzero"`
	Kind      lawful.Kind  `json:"kind"`
	State     lawful.State `json:"state,omitempty"`
	Country   string       `json:"country"`
	Authority string       `json:"authority"`
	Case      string       `json:"case"`
	Law       string       `json:"law"`
	Note      string       `json:"note,omitempty"`
	Received  time.Time    `json:"received,omitzero"`
	Decided   time.Time    `json:"decided,omitzero"`
	Persons   int64        `json:"persons"`
	Exports   int64        `json:"exports"`
}

// LawfulDecision closes one.
type LawfulDecision struct {
	ID      ids.Lawful   `json:"id"`
	State   lawful.State `json:"state"`
	Persons int64        `json:"persons,omitzero"`
}

// AuthorityExport takes data out under a case number.
type AuthorityExport struct {
	Case     string     `json:"case"`
	Customer ids.Tenant `json:"customer"`
	Address  string     `json:"address"`
}

// AccessGrant is a grant as it is printed.
type AccessGrant struct {
	ID       ids.Grant  `json:"id"`
	User     ids.User   `json:"user"`
	Customer ids.Tenant `json:"customer,omitzero"`
	Reason   string     `json:"reason"`
	Taken    time.Time  `json:"taken"`
	Until    time.Time  `json:"until"`
	Ended    time.Time  `json:"ended,omitzero"`
	Live     bool       `json:"live"`
}

// mostEntries is how many entries of a register are listed at most.
const mostEntries = 1000

var own = scope.Tenant(tenant.Platform)

func attestationOf(a attest.Attestation, now time.Time) Attestation {
	return Attestation{ID: a.ID, Kind: a.Kind, User: a.User, Subject: a.Subject, Note: a.Note, File: a.File, State: a.At(now), Issued: a.Issued.UTC(), Until: a.Until.UTC()}
}

func (s *Server) attestations(mux *http.ServeMux, p Parts) {
	x := p.Assurance
	handle(s, mux, AttestationAdd, func(ctx context.Context, in NewAttestation) (Attestation, error) {
		if x.Attests == nil {
			return Attestation{}, absent("attestations")
		}
		a := attest.Attestation{Tenant: tenant.Platform, Kind: in.Kind, Subject: in.Subject, Note: in.Note, Issued: in.Issued, Until: in.Until, File: attest.File{Name: in.Name}}
		if a.Issued.IsZero() {
			a.Issued = p.Clock.Now()
		}
		if in.User != "" {
			var err error
			if a.User, err = x.User(ctx, in.User); err != nil {
				return Attestation{}, err
			}
		}
		a, err := x.Attests.Add(ctx, a, in.File, operator())
		return attestationOf(a, p.Clock.Now()), err
	})
	handle(s, mux, AttestationList, func(ctx context.Context, _ struct{}) ([]Attestation, error) {
		if x.Attests == nil {
			return nil, absent("attestations")
		}
		list, err := x.Attests.List(ctx, own, 0, mostEntries)
		out := make([]Attestation, len(list))
		for i, a := range list {
			out[i] = attestationOf(a, p.Clock.Now())
		}
		return out, err
	})
	handle(s, mux, AttestationWithdraw, func(ctx context.Context, in AttestationRef) (Attestation, error) {
		if x.Attests == nil {
			return Attestation{}, absent("attestations")
		}
		a, err := x.Attests.Withdraw(ctx, own, in.ID, operator())
		return attestationOf(a, p.Clock.Now()), err
	})
	handle(s, mux, AttestationFile, func(ctx context.Context, in AttestationRef) (FileOf, error) {
		if x.Attests == nil {
			return FileOf{}, absent("attestations")
		}
		a, content, err := x.Attests.Evidence(ctx, own, in.ID)
		return FileOf{a.File.Name, content}, err
	})
}

func findingOf(w finding.Weakness, now time.Time) Finding {
	return Finding{
		ID: w.ID, Source: w.Source, Severity: w.Severity, State: w.State, Title: w.Title, Detail: w.Detail, Reason: w.Reason, Owner: w.Owner,
		Found: w.Found.UTC(), Due: w.Due.UTC(), Overdue: w.Overdue(now),
	}
}

func (s *Server) findings(mux *http.ServeMux, p Parts) {
	x := p.Assurance
	handle(s, mux, FindingAdd, func(ctx context.Context, in NewFinding) (Finding, error) {
		if x.Findings == nil {
			return Finding{}, absent("findings")
		}
		w, err := x.Findings.Add(ctx, finding.Weakness{Tenant: tenant.Platform, Source: in.Source, Severity: in.Severity, Title: in.Title, Detail: in.Detail, Found: in.Found}, operator())
		return findingOf(w, p.Clock.Now()), err
	})
	handle(s, mux, FindingList, func(ctx context.Context, _ struct{}) ([]Finding, error) {
		if x.Findings == nil {
			return nil, absent("findings")
		}
		list, err := x.Findings.List(ctx, own, 0, mostEntries)
		out := make([]Finding, len(list))
		for i, w := range list {
			out[i] = findingOf(w, p.Clock.Now())
		}
		return out, err
	})
	handle(s, mux, FindingMove, func(ctx context.Context, in FindingMoved) (Finding, error) {
		if x.Findings == nil {
			return Finding{}, absent("findings")
		}
		m := finding.Move{To: in.State, Reason: in.Reason}
		if in.Owner != "" {
			var err error
			if m.Owner, err = x.User(ctx, in.Owner); err != nil {
				return Finding{}, err
			}
		}
		w, err := x.Findings.Move(ctx, own, in.ID, m, operator())
		return findingOf(w, p.Clock.Now()), err
	})
}

func lawfulOf(r lawful.Request) LawfulRequest {
	return LawfulRequest{
		ID: r.ID, Customer: r.Customer, Kind: r.Kind, State: r.State, Country: r.Country, Authority: r.Authority, Case: r.Case, Law: r.Law, Note: r.Note,
		Received: r.Received.UTC(), Decided: r.Decided, Persons: r.Persons, Exports: r.Exports,
	}
}

func (s *Server) lawful(mux *http.ServeMux, p Parts) {
	x := p.Assurance
	handle(s, mux, LawfulAdd, func(ctx context.Context, in LawfulRequest) (LawfulRequest, error) {
		if x.Lawful == nil {
			return LawfulRequest{}, absent("requests of authorities")
		}
		r, err := x.Lawful.Add(ctx, lawful.Request{
			Customer: in.Customer, Kind: in.Kind, Country: in.Country, Authority: in.Authority, Case: in.Case, Law: in.Law, Note: in.Note, Received: in.Received,
		}, operator())
		return lawfulOf(r), err
	})
	handle(s, mux, LawfulList, func(ctx context.Context, _ struct{}) ([]LawfulRequest, error) {
		if x.Lawful == nil {
			return nil, absent("requests of authorities")
		}
		list, err := x.Lawful.List(ctx, scope.Everyone, 0, mostEntries)
		out := make([]LawfulRequest, len(list))
		for i, r := range list {
			out[i] = lawfulOf(r)
		}
		return out, err
	})
	handle(s, mux, LawfulDecide, func(ctx context.Context, in LawfulDecision) (LawfulRequest, error) {
		if x.Lawful == nil {
			return LawfulRequest{}, absent("requests of authorities")
		}
		r, err := x.Lawful.Decide(ctx, scope.Everyone, in.ID, in.State, in.Persons, operator())
		return lawfulOf(r), err
	})
	stream(s, mux, LawfulExport, func(ctx context.Context, in AuthorityExport, w io.Writer) error {
		if x.Lawful == nil {
			return absent("requests of authorities")
		}
		who, err := address.Parse(in.Address)
		if err != nil {
			return fault.Because(fault.Invalid, err, "That is no address.")
		}
		_, err = x.Lawful.Export(ctx, scope.Everyone, in.Case, in.Customer, who, operator(), w)
		return err
	})
	handle(s, mux, LawfulReport, func(ctx context.Context, _ struct{}) (lawful.Report, error) {
		if x.Lawful == nil {
			return lawful.Report{}, absent("requests of authorities")
		}
		return x.Lawful.Report(ctx, scope.Everyone)
	})
	handle(s, mux, GrantList, func(ctx context.Context, _ struct{}) ([]AccessGrant, error) {
		if x.Grants == nil {
			return nil, absent("grants")
		}
		list, err := x.Grants.List(ctx, scope.Everyone, 0, mostEntries)
		out := make([]AccessGrant, len(list))
		for i, g := range list {
			out[i] = AccessGrant{g.ID, g.User, g.Customer, g.Reason, g.Taken.UTC(), g.Until.UTC(), g.Ended, g.Live(p.Clock.Now())}
		}
		return out, err
	})
}
