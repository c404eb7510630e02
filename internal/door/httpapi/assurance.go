package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/access"
)

// Assurance are the registers that people keep; app fills it.
type Assurance interface {
	Attestations(ctx context.Context, in scope.Scope, before ids.Attestation, limit int) ([]attest.Attestation, error)
	Attest(ctx context.Context, a attest.Attestation, content []byte, by access.Principal) (attest.Attestation, error)
	Withdraw(ctx context.Context, in scope.Scope, id ids.Attestation, by access.Principal) (attest.Attestation, error)
	Evidence(ctx context.Context, in scope.Scope, id ids.Attestation) (attest.Attestation, []byte, error)

	Weaknesses(ctx context.Context, in scope.Scope, before ids.Weakness, limit int) ([]finding.Weakness, error)
	Found(ctx context.Context, w finding.Weakness, by access.Principal) (finding.Weakness, error)
	Move(ctx context.Context, in scope.Scope, id ids.Weakness, m finding.Move, by access.Principal) (finding.Weakness, error)

	Lawful(ctx context.Context, in scope.Scope, before ids.Lawful, limit int) ([]lawful.Request, error)
	Ask(ctx context.Context, r lawful.Request, by access.Principal) (lawful.Request, error)
	Decide(ctx context.Context, in scope.Scope, id ids.Lawful, to lawful.State, persons int64, by access.Principal) (lawful.Request, error)
	// TakeOut writes what is held of a person, under the number of an open case.
	TakeOut(ctx context.Context, in scope.Scope, number string, customer ids.Tenant, who address.Address, by access.Principal, w io.Writer) (int, error)
	Report(ctx context.Context, in scope.Scope) (lawful.Report, error)
}

// Attestation is something that people attest.
type Attestation struct {
	ID          string        `json:"id"`
	Kind        string        `json:"kind" enum:"training,screening,secrecy,audit,penetration_test,provider_report,provider_certificate,data_centre,vendor_assessment"`
	User        string        `json:"user,omitempty" doc:"Of training, screening and secrecy: which of the operator's people."`
	Subject     string        `json:"subject,omitempty" doc:"Of the other kinds: the provider, the site, who audited."`
	Note        string        `json:"note,omitempty" doc:"On what it rests, in words."`
	File        *EvidenceFile `json:"file" doc:"On what it rests; null without a file."`
	State       string        `json:"state" enum:"future,valid,ending,over,withdrawn"`
	IssuedAt    time.Time     `json:"issued_at"`
	Until       time.Time     `json:"until"`
	CreatedAt   time.Time     `json:"created_at"`
	WithdrawnAt *time.Time    `json:"withdrawn_at"`
}

// EvidenceFile is a file on which an attestation rests.
type EvidenceFile struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size" doc:"In octets."`
	SHA256 string `json:"sha256"`
}

// Weakness is something that was found and must be mended.
type Weakness struct {
	ID       string    `json:"id"`
	Source   string    `json:"source" enum:"test,audit,report,scan,vulnerability"`
	Severity string    `json:"severity" enum:"critical,high,medium,low"`
	State    string    `json:"state" enum:"open,mending,mended,dismissed"`
	Title    string    `json:"title"`
	Detail   string    `json:"detail,omitempty"`
	Reason   string    `json:"reason,omitempty" doc:"How it was mended, or why it is none."`
	Owner    string    `json:"owner,omitempty" doc:"Who mends it."`
	FoundAt  time.Time `json:"found_at"`
	DueAt    time.Time `json:"due_at" doc:"By when the policy in force wants it mended."`
	Overdue  bool      `json:"overdue"`
	MovedAt  time.Time `json:"moved_at"`
}

type newAttestation struct {
	Body struct {
		Kind     string    `json:"kind" enum:"training,screening,secrecy,audit,penetration_test,provider_report,provider_certificate,data_centre,vendor_assessment"`
		User     string    `json:"user,omitempty" maxLength:"64" doc:"Of a kind about a person; without it who asks."`
		Subject  string    `json:"subject,omitempty" maxLength:"200"`
		Note     string    `json:"note,omitempty" maxLength:"2000"`
		IssuedAt time.Time `json:"issued_at,omitzero" doc:"From when on it counts; without it now."`
		Until    time.Time `json:"until" doc:"Its end; within five years."`
		FileName string    `json:"file_name,omitempty" maxLength:"200"`
		FileType string    `json:"file_type,omitempty" maxLength:"100"`
		File     []byte    `json:"file,omitempty" doc:"The evidence, at most 4 MiB, in Base64."`
	}
}

type newFinding struct {
	Body struct {
		Source   string    `json:"source" enum:"test,audit,report,scan,vulnerability"`
		Severity string    `json:"severity" enum:"critical,high,medium,low"`
		Title    string    `json:"title" maxLength:"200"`
		Detail   string    `json:"detail,omitempty" maxLength:"4000"`
		Owner    string    `json:"owner,omitempty" maxLength:"64"`
		FoundAt  time.Time `json:"found_at,omitzero" doc:"When it was found, from which its deadline counts; without it now."`
	}
}

type moveFinding struct {
	ByID
	Body struct {
		State  string `json:"state" enum:"open,mending,mended,dismissed"`
		Owner  string `json:"owner,omitempty" maxLength:"64" doc:"Who mends it; without one who asks."`
		Reason string `json:"reason,omitempty" maxLength:"4000"`
	}
}

type (
	attestationOut struct{ Body Attestation }
	findingOut     struct{ Body Weakness }
)

func (a *API) assuranceRoutes() {
	tag, see, do := "assurance", access.AssuranceRead, access.AssuranceManage
	register(a, op{id: "list-attestations", method: http.MethodGet, path: "/v1/attestations", summary: "What people attest, newest first", tag: tag, needs: see}, a.listAttestations)
	register(a, op{id: "create-attestation", method: http.MethodPost, path: "/v1/attestations", summary: "Attest something, with its end and on what it rests", tag: tag, needs: do, status: http.StatusCreated, body: 8 * limit.MiB, quiet: true}, a.createAttestation)
	register(a, op{id: "get-attestation-file", method: http.MethodGet, path: "/v1/attestations/{id}/file", summary: "The file on which an attestation rests", tag: tag, needs: see}, a.attestationFile)
	register(a, op{id: "withdraw-attestation", method: http.MethodPost, path: "/v1/attestations/{id}/withdraw", summary: "Say that an attestation counts no more", tag: tag, needs: do, status: http.StatusOK, quiet: true}, a.withdrawAttestation)
	register(a, op{id: "list-findings", method: http.MethodGet, path: "/v1/findings", summary: "Weaknesses that were found, newest first", tag: tag, needs: see}, a.listFindings)
	register(a, op{id: "create-finding", method: http.MethodPost, path: "/v1/findings", summary: "Enter a weakness; its deadline is the policy's for its severity", tag: tag, needs: do, status: http.StatusCreated, quiet: true}, a.createFinding)
	register(a, op{id: "move-finding", method: http.MethodPost, path: "/v1/findings/{id}/move", summary: "Say what becomes of a weakness", tag: tag, needs: do, status: http.StatusOK, quiet: true}, a.moveFinding)
}

func (a *API) viewAttestation(x attest.Attestation) Attestation {
	v := Attestation{
		ID: x.ID.String(), Kind: string(x.Kind), Subject: x.Subject, Note: x.Note, State: string(x.At(a.parts.Clock.Now())),
		IssuedAt: x.Issued.UTC(), Until: x.Until.UTC(), CreatedAt: x.Created.UTC(), WithdrawnAt: when(x.Withdrawn),
	}
	if x.User != 0 {
		v.User = x.User.String()
	}
	if x.File.Size > 0 {
		v.File = &EvidenceFile{Name: x.File.Name, Type: x.File.Type, Size: x.File.Size, SHA256: x.File.SHA256}
	}
	return v
}

func (a *API) listAttestations(ctx context.Context, who Asker, in *Paging) (*pageOut[Attestation], error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	return pageOf(a, listing("attestations", who), *in, func(before int64, limit int) ([]attest.Attestation, error) {
		return a.parts.Assurance.Attestations(ctx, who.Scope, ids.Attestation(before), limit)
	}, func(x attest.Attestation) int64 { return int64(x.ID) }, a.viewAttestation)
}

func (a *API) createAttestation(ctx context.Context, who Asker, in *newAttestation) (*attestationOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	b := &in.Body
	x := attest.Attestation{
		Kind: attest.Kind(b.Kind), Subject: b.Subject, Note: b.Note, Issued: b.IssuedAt, Until: b.Until, File: attest.File{Name: b.FileName, Type: b.FileType},
	}
	if x.Issued.IsZero() {
		x.Issued = a.parts.Clock.Now()
	}
	if x.Kind.OfPerson() {
		x.User = who.User
	}
	if b.User != "" {
		var err error
		if x.User, err = idAt[ids.User]("user", b.User); err != nil {
			return nil, err
		}
	}
	x, err := a.parts.Assurance.Attest(ctx, x, b.File, who.Principal)
	if err != nil {
		return nil, err
	}
	return &attestationOut{a.viewAttestation(x)}, nil
}

func (a *API) attestationOf(id string) (ids.Attestation, error) {
	if a.parts.Assurance == nil {
		return 0, absent()
	}
	return idAt[ids.Attestation]("path.id", id)
}

func (a *API) attestationFile(ctx context.Context, who Asker, in *ByID) (*stream, error) {
	id, err := a.attestationOf(in.ID)
	if err != nil {
		return nil, err
	}
	x, content, err := a.parts.Assurance.Evidence(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	return download("application/octet-stream", x.File.Name, int64(len(content)), bytes.NewReader(content), io.NopCloser(nil)), nil
}

func (a *API) withdrawAttestation(ctx context.Context, who Asker, in *ByID) (*attestationOut, error) {
	id, err := a.attestationOf(in.ID)
	if err != nil {
		return nil, err
	}
	x, err := a.parts.Assurance.Withdraw(ctx, who.Scope, id, who.Principal)
	if err != nil {
		return nil, err
	}
	return &attestationOut{a.viewAttestation(x)}, nil
}

func (a *API) viewFinding(w finding.Weakness) Weakness {
	v := Weakness{
		ID: w.ID.String(), Source: string(w.Source), Severity: string(w.Severity), State: string(w.State), Title: w.Title, Detail: w.Detail, Reason: w.Reason,
		FoundAt: w.Found.UTC(), DueAt: w.Due.UTC(), Overdue: w.Overdue(a.parts.Clock.Now()), MovedAt: w.Moved.UTC(),
	}
	if w.Owner != 0 {
		v.Owner = w.Owner.String()
	}
	return v
}

func (a *API) listFindings(ctx context.Context, who Asker, in *Paging) (*pageOut[Weakness], error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	return pageOf(a, listing("findings", who), *in, func(before int64, limit int) ([]finding.Weakness, error) {
		return a.parts.Assurance.Weaknesses(ctx, who.Scope, ids.Weakness(before), limit)
	}, func(w finding.Weakness) int64 { return int64(w.ID) }, a.viewFinding)
}

func (a *API) createFinding(ctx context.Context, who Asker, in *newFinding) (*findingOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	b := &in.Body
	w := finding.Weakness{Source: finding.Source(b.Source), Severity: finding.Severity(b.Severity), Title: b.Title, Detail: b.Detail, Found: b.FoundAt}
	var err error
	if b.Owner != "" {
		if w.Owner, err = idAt[ids.User]("owner", b.Owner); err != nil {
			return nil, err
		}
	}
	if w, err = a.parts.Assurance.Found(ctx, w, who.Principal); err != nil {
		return nil, err
	}
	return &findingOut{a.viewFinding(w)}, nil
}

func (a *API) moveFinding(ctx context.Context, who Asker, in *moveFinding) (*findingOut, error) {
	if a.parts.Assurance == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Weakness]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	m := finding.Move{To: finding.State(in.Body.State), Reason: in.Body.Reason}
	if m.To == finding.Mending {
		m.Owner = who.User
	}
	if in.Body.Owner != "" {
		if m.Owner, err = idAt[ids.User]("owner", in.Body.Owner); err != nil {
			return nil, err
		}
	}
	w, err := a.parts.Assurance.Move(ctx, who.Scope, id, m, who.Principal)
	if err != nil {
		return nil, err
	}
	return &findingOut{a.viewFinding(w)}, nil
}
