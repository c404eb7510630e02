package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
)

// Controls gives what was seen of every promise; app fills it. A customer sees the
// platform's findings and its own.
type Controls interface {
	Findings(ctx context.Context, s scope.Scope) ([]Control, error)
	// Run runs every probe, one after another, until all have a finding.
	Run(ctx context.Context) error
	// Map gives the controls of a standard, or with "" of all.
	Map(ctx context.Context, s scope.Scope, standard string) ([]MappedControl, error)
	// Assessment is OSCAL assessment results as JSON.
	Assessment(ctx context.Context, s scope.Scope) (json.RawMessage, error)
}

// Control is one promise and what was seen of it.
type Control struct {
	ID           string          `json:"id"`
	Says         string          `json:"says"`
	Kind         string          `json:"kind"`
	Status       string          `json:"status" enum:"kept,failing,not_applicable,attested,not_yet" doc:"The worst of the platform's and the customers'."`
	Evidence     string          `json:"evidence"`
	Probed       bool            `json:"probed" doc:"This server has a probe that can show it."`
	CheckedAt    *time.Time      `json:"checked_at"`
	FailingSince *time.Time      `json:"failing_since" doc:"Failing without a break since then."`
	Customers    []JudgedControl `json:"customers" nullable:"false" doc:"The findings of customers under whose own policies the promise is judged: those that you may see."`
}

// JudgedControl is a promise as it stands for one customer.
type JudgedControl struct {
	Customer     string     `json:"customer"`
	Status       string     `json:"status" enum:"kept,failing,not_applicable,attested,not_yet"`
	Evidence     string     `json:"evidence"`
	CheckedAt    time.Time  `json:"checked_at"`
	FailingSince *time.Time `json:"failing_since"`
}

// MappedControl is one control of a standard, and the promises that answer it.
type MappedControl struct {
	Standard string          `json:"standard" enum:"gdpr,iso27001,soc2,hipaa"`
	Ref      string          `json:"ref" doc:"As the standard numbers it."`
	About    string          `json:"about"`
	Status   string          `json:"status" enum:"kept,failing,not_applicable,attested,not_yet,gap" doc:"The worst of its promises'; gap where no promise can answer it."`
	Promises []MappedPromise `json:"promises" nullable:"false"`
	Gap      string          `json:"gap,omitempty" doc:"What the promises leave, and to whom."`
}

// MappedPromise is a promise with its newest status.
type MappedPromise struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"kept,failing,not_applicable,attested,not_yet"`
}

type mapIn struct {
	Standard string `query:"standard" enum:"gdpr,iso27001,soc2,hipaa" doc:"One standard; without it all."`
}

func (a *API) controlRoutes() {
	tag := "controls"
	register(a, op{id: "list-controls", method: http.MethodGet, path: "/v1/controls", summary: "Every promise, and what was seen of it", tag: tag, needs: access.EvidenceRead}, a.listControls)
	register(a, op{id: "check-controls", method: http.MethodPost, path: "/v1/controls/check", summary: "Run every probe now; the answer comes when all have ended", tag: tag, needs: access.PlatformManage, status: http.StatusOK}, a.checkControls)
	register(a, op{id: "map-controls", method: http.MethodGet, path: "/v1/controls/map", summary: "What standards ask, and which promises answer it", tag: tag, needs: access.EvidenceRead}, a.mapControls)
	register(a, op{id: "export-controls", method: http.MethodGet, path: "/v1/controls/oscal", summary: "The newest findings as OSCAL assessment results", tag: tag, needs: access.EvidenceRead}, a.exportControls)
}

func (a *API) listControls(ctx context.Context, who Asker, _ *nothing) (*struct{ Body []Control }, error) {
	if a.parts.Controls == nil {
		return nil, absent()
	}
	list, err := a.parts.Controls.Findings(ctx, who.Scope)
	if list == nil {
		list = []Control{}
	}
	return &struct{ Body []Control }{list}, err
}

// checkControls answers with what listControls says then: until it does, that
// list shows each finding as it comes.
func (a *API) checkControls(ctx context.Context, who Asker, in *nothing) (*struct{ Body []Control }, error) {
	if a.parts.Controls == nil {
		return nil, absent()
	}
	if err := a.parts.Controls.Run(ctx); err != nil {
		return nil, err
	}
	return a.listControls(ctx, who, in)
}

func (a *API) mapControls(ctx context.Context, who Asker, in *mapIn) (*struct{ Body []MappedControl }, error) {
	if a.parts.Controls == nil {
		return nil, absent()
	}
	list, err := a.parts.Controls.Map(ctx, who.Scope, in.Standard)
	if list == nil {
		list = []MappedControl{}
	}
	return &struct{ Body []MappedControl }{list}, err
}

func (a *API) exportControls(ctx context.Context, who Asker, _ *nothing) (*struct{ Body json.RawMessage }, error) {
	if a.parts.Controls == nil {
		return nil, absent()
	}
	doc, err := a.parts.Controls.Assessment(ctx, who.Scope)
	return &struct{ Body json.RawMessage }{doc}, err
}
