package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/access"
)

// Bundles make what an auditor takes home; app fills it.
type Bundles interface {
	Bundle(ctx context.Context, s scope.Scope, by access.Principal) (func(io.Writer) error, error)
	// Sample gives a list of a period; more says that there were too many.
	Sample(ctx context.Context, s scope.Scope, list sample.List, from, to time.Time) (rows []sample.Row, more bool, err error)
}

// SampleRow is one line of a list for auditors.
type SampleRow struct {
	Entry    int64     `json:"entry" doc:"Of the evidence log, from 0."`
	At       time.Time `json:"at"`
	Customer string    `json:"customer,omitempty" doc:"Whose; without one the platform as a whole."`
	What     string    `json:"what" doc:"The act, or the promise whose probe failed."`
	Target   string    `json:"target,omitempty"`
	By       string    `json:"by" doc:"The capacity in which somebody acted; the log names nobody."`
}

// SampleList is a list of a period.
type SampleList struct {
	Items []SampleRow `json:"items" nullable:"false"`
	More  bool        `json:"more" doc:"There are more than fit; ask for a shorter period."`
}

type sampleIn struct {
	List string    `path:"list" enum:"changes,grants,joiners,leavers,incidents,failed_probes"`
	From time.Time `query:"from" doc:"Without it a year before the end."`
	To   time.Time `query:"to" doc:"Not itself in the period; without it now."`
}

type sampleOut struct{ Body SampleList }

func (a *API) bundleRoutes() {
	register(a, op{id: "get-evidence-bundle", method: http.MethodGet, path: "/v1/evidence/bundle", summary: "What an auditor takes home, signed (ZIP): log, findings, mapping, policies, documents; mailvow evidence verify verifies it offline", tag: "controls", needs: access.AuditRead}, a.getBundle)
	register(a, op{id: "list-sample", method: http.MethodGet, path: "/v1/audit/lists/{list}", summary: "A list of a period to sample from, out of the evidence log", tag: "controls", needs: access.AuditRead}, a.listSample)
	register(a, op{id: "export-sample", method: http.MethodGet, path: "/v1/audit/lists/{list}/csv", summary: "A list of a period to sample from, as CSV", tag: "controls", needs: access.AuditRead}, a.exportSample)
}

// getBundle streams. What fails before the first byte is a problem; a bundle that
// breaks off has no directory and opens nowhere.
func (a *API) getBundle(ctx context.Context, who Asker, _ *nothing) (*stream, error) {
	if a.parts.Bundles == nil {
		return nil, absent()
	}
	write, err := a.parts.Bundles.Bundle(ctx, who.Scope, who.Principal)
	if err != nil {
		return nil, err
	}
	out := download("application/zip", "evidence.zip", -1, nil, nil)
	out.Body = func(to huma.Context) {
		if err := write(to.BodyWriter()); err != nil {
			report(ctx, a.log, "get-evidence-bundle", err)
			panic(http.ErrAbortHandler)
		}
	}
	return out, nil
}

func (a *API) sample(ctx context.Context, who Asker, in *sampleIn) ([]sample.Row, bool, error) {
	if a.parts.Bundles == nil {
		return nil, false, absent()
	}
	from, to := in.From, in.To
	if to.IsZero() {
		to = a.parts.Clock.Now()
	}
	if from.IsZero() {
		from = to.AddDate(-1, 0, 0)
	}
	return a.parts.Bundles.Sample(ctx, who.Scope, sample.List(in.List), from, to)
}

func (a *API) listSample(ctx context.Context, who Asker, in *sampleIn) (*sampleOut, error) {
	rows, more, err := a.sample(ctx, who, in)
	out := &sampleOut{SampleList{Items: make([]SampleRow, len(rows)), More: more}}
	for i, r := range rows {
		out.Body.Items[i] = SampleRow{Entry: r.Entry, At: r.At, What: r.What, Target: r.Target, By: string(r.By)}
		if r.Customer != 0 {
			out.Body.Items[i].Customer = r.Customer.String()
		}
	}
	return out, err
}

func (a *API) exportSample(ctx context.Context, who Asker, in *sampleIn) (*stream, error) {
	rows, _, err := a.sample(ctx, who, in)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := sample.CSV(&b, rows); err != nil {
		return nil, err
	}
	return download("text/csv; charset=utf-8", in.List+".csv", int64(b.Len()), &b, io.NopCloser(nil)), nil
}
