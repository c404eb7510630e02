package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/limit"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/protect/access"
)

// Patches compares what the server is made of with published vulnerabilities.
type Patches interface {
	// State gives what was imported, and what is wrong with it or "".
	State(ctx context.Context) (patch.Data, string, error)
	Import(ctx context.Context, r io.ReaderAt, size int64) (patch.Data, error)
	Bill() patch.BOM
}

// Vulnerabilities is what was imported, and what of it names a part.
type Vulnerabilities struct {
	ImportedAt  *time.Time  `json:"imported_at" doc:"Null: nothing was imported."`
	PublishedAt *time.Time  `json:"published_at" doc:"The newest change in the file."`
	Records     int         `json:"records" doc:"In the file."`
	SHA256      string      `json:"sha256,omitempty" doc:"Of the file."`
	Parts       int         `json:"parts" doc:"How many parts this server is made of."`
	Late        string      `json:"late,omitempty" doc:"What is wrong with the data; empty where nothing is."`
	Named       []NamedPart `json:"named" nullable:"false" doc:"Parts that a record names in their version; each is a finding."`
}

// NamedPart is a part that a record names.
type NamedPart struct {
	ID       string `json:"id"`
	Package  string `json:"package"`
	Version  string `json:"version"`
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
}

type vulnerabilityFile struct {
	Body struct {
		File []byte `json:"file" doc:"Records in the OSV format: JSON, JSON lines or a zip, as osv.dev hands them out; 16 MiB at most, in Base64. The command line takes larger ones."`
	}
}

type (
	vulnerabilitiesOut struct{ Body Vulnerabilities }
	billOut            struct{ Body patch.BOM }
)

func (a *API) patchRoutes() {
	tag := "assurance"
	register(a, op{id: "get-vulnerabilities", method: http.MethodGet, path: "/v1/vulnerabilities", summary: "The vulnerability data that was imported, and what of it names this server", tag: tag, needs: access.AssuranceRead}, a.vulnerabilities)
	register(a, op{id: "import-vulnerabilities", method: http.MethodPost, path: "/v1/vulnerabilities", summary: "Import vulnerability data; what it names becomes a finding", tag: tag, needs: access.AssuranceManage, status: http.StatusOK, body: 24 * limit.MiB, quiet: true}, a.importVulnerabilities)
	register(a, op{id: "get-sbom", method: http.MethodGet, path: "/v1/sbom", summary: "What this server is made of (CycloneDX)", tag: tag, needs: access.AssuranceRead}, a.bill)
}

func (a *API) vulnerabilities(ctx context.Context, _ Asker, _ *nothing) (*vulnerabilitiesOut, error) {
	if a.parts.Patches == nil {
		return nil, absent()
	}
	d, late, err := a.parts.Patches.State(ctx)
	if err != nil {
		return nil, err
	}
	out := &vulnerabilitiesOut{Vulnerabilities{
		ImportedAt: when(d.Imported), PublishedAt: when(d.Published), Records: d.Records, SHA256: d.Digest, Parts: d.Parts, Late: late, Named: []NamedPart{},
	}}
	for _, n := range d.Named {
		out.Body.Named = append(out.Body.Named, NamedPart{n.ID, n.Part.Name, n.Part.Version, n.Severity, n.Summary})
	}
	return out, nil
}

func (a *API) importVulnerabilities(ctx context.Context, who Asker, in *vulnerabilityFile) (*vulnerabilitiesOut, error) {
	if a.parts.Patches == nil {
		return nil, absent()
	}
	if _, err := a.parts.Patches.Import(ctx, bytes.NewReader(in.Body.File), int64(len(in.Body.File))); err != nil {
		return nil, err
	}
	return a.vulnerabilities(ctx, who, nil)
}

func (a *API) bill(context.Context, Asker, *nothing) (*billOut, error) {
	if a.parts.Patches == nil {
		return nil, absent()
	}
	return &billOut{a.parts.Patches.Bill()}, nil
}
