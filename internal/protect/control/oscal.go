package control

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name-based UUID is made of it (RFC 9562 5.5); nothing is kept secret
	"encoding/hex"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

// OSCAL is a document in the assessment results model of NIST's OSCAL 1.1.
type OSCAL struct {
	Results oscalResults `json:"assessment-results"`
}

type oscalResults struct {
	UUID     string        `json:"uuid"`
	Metadata oscalMetadata `json:"metadata"`
	Plan     oscalLink     `json:"import-ap"`
	Results  []oscalResult `json:"results"`
	Back     oscalBack     `json:"back-matter"`
}

type oscalMetadata struct {
	Title    string `json:"title"`
	Modified string `json:"last-modified"`
	Version  string `json:"version"`
	OSCAL    string `json:"oscal-version"`
}

type oscalLink struct {
	Href string `json:"href"`
}

type oscalResult struct {
	UUID         string             `json:"uuid"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Start        string             `json:"start"`
	End          string             `json:"end,omitempty"`
	Reviewed     oscalReviewed      `json:"reviewed-controls"`
	Observations []oscalObservation `json:"observations,omitempty"`
	Findings     []oscalFinding     `json:"findings,omitempty"`
}

type oscalReviewed struct {
	Selections []oscalSelection `json:"control-selections"`
}

type oscalSelection struct {
	Include []oscalControl `json:"include-controls"`
}

type oscalControl struct {
	ID string `json:"control-id"`
}

type oscalObservation struct {
	UUID        string          `json:"uuid"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Methods     []string        `json:"methods"`
	Types       []string        `json:"types"`
	Evidence    []oscalEvidence `json:"relevant-evidence"`
	Collected   string          `json:"collected"`
}

type oscalEvidence struct {
	Description string `json:"description"`
}

type oscalFinding struct {
	UUID         string        `json:"uuid"`
	Title        string        `json:"title"`
	Description  string        `json:"description"`
	Target       oscalTarget   `json:"target"`
	Observations []oscalRelate `json:"related-observations,omitempty"`
}

type oscalTarget struct {
	Type   string      `json:"type"`
	ID     string      `json:"target-id"`
	Status oscalStatus `json:"status"`
}

type oscalStatus struct {
	State   string `json:"state"`
	Reason  string `json:"reason"`
	Remarks string `json:"remarks"`
}

type oscalRelate struct {
	UUID string `json:"observation-uuid"`
}

type oscalBack struct {
	Resources []oscalResource `json:"resources"`
}

type oscalResource struct {
	UUID        string `json:"uuid"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// Assessment is what the scope sees of the findings, as assessment results: an
// observation for each finding, and for each promise a finding that is satisfied
// where the promise is kept or attested. A promise that is not applicable has an
// observation only. The identifiers follow from the content.
func (x *Control) Assessment(ctx context.Context, s scope.Scope, server, version string) (OSCAL, error) {
	lines, err := x.List(ctx, s)
	if err != nil {
		return OSCAL{}, err
	}
	now := x.Clock.Now().UTC()
	plan := uuidOf(server, "plan")
	r := oscalResult{
		UUID: uuidOf(server, "result", now.String()), Title: "What the probes of " + server + " observed",
		Description: "The newest finding of each promise in the server's catalogue. The control identifiers are the catalogue's.",
		Reviewed:    oscalReviewed{[]oscalSelection{{}}},
	}
	start, end := now, time.Time{}
	for _, l := range lines {
		r.Reviewed.Selections[0].Include = append(r.Reviewed.Selections[0].Include, oscalControl{l.ID})
		o := oscalObserved(server, l)
		if o != nil {
			r.Observations = append(r.Observations, *o)
			if l.CheckedAt.Before(start) {
				start = l.CheckedAt
			}
			if l.CheckedAt.After(end) {
				end = l.CheckedAt
			}
		}
		if l.Status != pledge.NotApplicable {
			r.Findings = append(r.Findings, oscalFound(server, l, o))
		}
	}
	r.Start = start.Format(time.RFC3339)
	if !end.IsZero() {
		r.End = end.Format(time.RFC3339)
	}
	return OSCAL{oscalResults{
		UUID:     uuidOf(server, "assessment", now.String()),
		Metadata: oscalMetadata{Title: "Assessment results of " + server, Modified: now.Format(time.RFC3339), Version: version, OSCAL: "1.1.2"},
		Plan:     oscalLink{"#" + plan},
		Results:  []oscalResult{r},
		Back: oscalBack{[]oscalResource{{
			UUID: plan, Title: "The probes of this server",
			Description: "Each promise with a probe is looked at once an hour and when somebody asks. A probe acts as an outsider does; each of its findings stands in the evidence log.",
		}}},
	}}, nil
}

func oscalObserved(server string, l Line) *oscalObservation {
	if l.CheckedAt.IsZero() {
		return nil
	}
	return &oscalObservation{
		UUID: uuidOf(server, "observation", l.ID, l.CheckedAt.String()), Title: l.ID, Description: l.Says,
		Methods: []string{"TEST"}, Types: []string{"control-objective"},
		Evidence: []oscalEvidence{{string(l.Status) + ": " + l.Evidence}}, Collected: l.CheckedAt.UTC().Format(time.RFC3339),
	}
}

func oscalFound(server string, l Line, o *oscalObservation) oscalFinding {
	status := oscalStatus{State: "not-satisfied", Reason: "fail", Remarks: string(l.Status) + ": " + l.Evidence}
	switch l.Status {
	case pledge.Kept:
		status.State, status.Reason = "satisfied", "pass"
	case pledge.Attested:
		status.State, status.Reason = "satisfied", "other"
	case pledge.NotYet:
		status.Reason = "other"
	case pledge.Failing, pledge.NotApplicable:
	}
	if !l.Since.IsZero() {
		status.Remarks += "; failing since " + l.Since.UTC().Format(time.RFC3339)
	}
	f := oscalFinding{
		UUID: uuidOf(server, "finding", l.ID, l.CheckedAt.String()), Title: l.ID, Description: l.Says,
		Target: oscalTarget{Type: "objective-id", ID: l.ID, Status: status},
	}
	if o != nil {
		f.Observations = []oscalRelate{{o.UUID}}
	}
	return f
}

// uuidOf is a name-based UUID (RFC 9562 5.5).
func uuidOf(parts ...string) string {
	h := sha1.New() //nolint:gosec // see the import
	for _, p := range parts {
		h.Write([]byte(p + "\x00"))
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	t := hex.EncodeToString(b)
	return t[:8] + "-" + t[8:12] + "-" + t[12:16] + "-" + t[16:20] + "-" + t[20:]
}
