package httpapi

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
)

// Bundles make what an auditor takes home; app fills it.
type Bundles interface {
	Bundle(ctx context.Context, s scope.Scope, by access.Principal) (func(io.Writer) error, error)
}

func (a *API) bundleRoutes() {
	register(a, op{id: "get-evidence-bundle", method: http.MethodGet, path: "/v1/evidence/bundle", summary: "What an auditor takes home, signed (ZIP): log, findings, mapping, policies, documents; mailvow evidence verify verifies it offline", tag: "controls", needs: access.AuditRead}, a.getBundle)
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
