package admin

import (
	"context"
	"net/http"

	"mailvow/internal/product/trust/patch"
)

// Patches compares what the server is made of with published vulnerabilities.
type Patches interface {
	// State gives what was imported, and what is wrong with it or "".
	State(ctx context.Context) (patch.Data, string, error)
	// ImportFile reads a file on the server's machine.
	ImportFile(ctx context.Context, path string) (patch.Data, error)
}

// The operations on vulnerability data.
const (
	VulnerabilityState  Op[struct{}, Vulnerabilities]          = "vulnerability/state"
	VulnerabilityImport Op[VulnerabilityFile, Vulnerabilities] = "vulnerability/import"
)

// VulnerabilityFile is a file on the server's machine.
type VulnerabilityFile struct {
	Path string `json:"path"` // the whole path
}

// Vulnerabilities is what was imported and what of it names the server.
type Vulnerabilities struct {
	patch.Data
	Late string `json:"late,omitempty"` // what is wrong with the data
}

func (s *Server) patches(mux *http.ServeMux, p Parts) {
	x := p.Assurance.Patches
	handle(s, mux, VulnerabilityState, func(ctx context.Context, _ struct{}) (Vulnerabilities, error) {
		if x == nil {
			return Vulnerabilities{}, absent("vulnerability data")
		}
		d, late, err := x.State(ctx)
		return Vulnerabilities{d, late}, err
	})
	handle(s, mux, VulnerabilityImport, func(ctx context.Context, in VulnerabilityFile) (Vulnerabilities, error) {
		if x == nil {
			return Vulnerabilities{}, absent("vulnerability data")
		}
		if _, err := x.ImportFile(ctx, in.Path); err != nil {
			return Vulnerabilities{}, err
		}
		d, late, err := x.State(ctx)
		return Vulnerabilities{d, late}, err
	})
}
