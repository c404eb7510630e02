package probes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/protect/tenant"
)

// people is what organisational promises rest on in dev mode: nothing.
func (s *Server) people(what string) (pledge.Status, string, error) {
	return pledge.NotApplicable, "dev mode has no organisation behind it that could attest " + what, nil
}

// attested looks whether the newest attestation of a kind, for everything it is
// about, still counts, and whether everything that is named has one.
func (s *Server) attested(ctx context.Context, kind attest.Kind, what, add string, named ...string) (pledge.Status, string, error) {
	latest, err := s.Attests.Latest(ctx, scope.Tenant(tenant.Platform))
	if err != nil {
		return pledge.Failing, "", err
	}
	now, first := s.Clock.Now(), time.Time{}
	var have, over []string
	for _, a := range latest {
		switch {
		case a.Kind != kind:
		case a.Counts(now):
			have = append(have, strings.ToLower(a.Subject))
			if first.IsZero() || a.Until.Before(first) {
				first = a.Until
			}
		case a.At(now) == attest.Over:
			over = append(over, fmt.Sprintf("%s (until %s)", a.Subject, a.Until.UTC().Format(time.DateOnly)))
		}
	}
	var missing []string
	for _, name := range named {
		if !slices.Contains(have, strings.ToLower(name)) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(have) == 0 && len(over) == 0 && s.Throwaway:
		return s.people(what)
	case len(over) > 0:
		return failing("run out: " + strings.Join(over, ", ") + "; " + add)
	case len(missing) > 0:
		return failing("nothing valid says " + what + " of " + strings.Join(missing, ", ") + "; " + add)
	case len(have) == 0:
		return failing("nobody has attested " + what + "; " + add)
	}
	return pledge.Attested, fmt.Sprintf("attested until %s: %s of %d", first.UTC().Format(time.DateOnly), what, len(have)), nil
}

// audits asks for both: somebody looked, and somebody tried.
func (s *Server) audits(ctx context.Context) (pledge.Status, string, error) {
	add := func(kind attest.Kind) string {
		return "enter one with its report: mailvow attestation add " + string(kind)
	}
	status, said, err := s.attested(ctx, attest.Audit, "audits", add(attest.Audit))
	if err != nil || status != pledge.Attested {
		return status, said, err
	}
	status, tests, err := s.attested(ctx, attest.PenetrationTest, "penetration tests", add(attest.PenetrationTest))
	if status != pledge.Attested {
		if status == pledge.NotApplicable {
			status = pledge.Failing
		}
		return status, tests, err
	}
	return status, said + "; " + tests, nil
}

func (s *Server) providerReports(ctx context.Context) (pledge.Status, string, error) {
	list, err := s.Providers(ctx, true)
	if err != nil {
		return pledge.Failing, "", err
	}
	return s.attested(ctx, attest.ProviderReport, "SOC 2 Type II reports", "enter the provider's report with the end of its allowance: mailvow attestation add provider_report --of NAME", list...)
}

func (s *Server) hoster(ctx context.Context) (pledge.Status, string, error) {
	return s.attested(ctx, attest.ProviderCertificate, "the hosting provider's certificates", "enter the hosting provider's certificate with its end: mailvow attestation add provider_certificate --of NAME")
}

func (s *Server) dataCentres(ctx context.Context) (pledge.Status, string, error) {
	return s.attested(ctx, attest.DataCentre, "audited and guarded sites", "enter each site's report with its end: mailvow attestation add data_centre --of SITE")
}

func (s *Server) vendors(ctx context.Context) (pledge.Status, string, error) {
	list, err := s.Providers(ctx, false)
	if err != nil {
		return pledge.Failing, "", err
	}
	return s.attested(ctx, attest.VendorAssessment, "assessments of vendors", "assess each sub-processor and enter it with the date of the next: mailvow attestation add vendor_assessment --of NAME", list...)
}
