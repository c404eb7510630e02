package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// TestStaffIsBound: the four promises about the operator's people and authorities
// are kept on a running server, one after the other.
func TestStaffIsBound(t *testing.T) {
	long(t)
	t.Parallel()
	h := running(t, "")
	for _, id := range []string{"ca-training", "mb-need-to-know", "cm-lawful", "cl-authorities", "cm-lawful"} {
		if f := h.check(t, id); f.Status != pledge.Kept {
			t.Errorf("%s: %s: %s", f.ID, f.Status, f.Evidence)
		}
	}
	if all, _, _, err := h.untrained(t.Context()); err != nil || all != 0 {
		t.Errorf("probes left %d colleagues behind: %v", all, err)
	}
	if list, err := h.attests.List(t.Context(), scope.Everyone, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("probes left attestations behind: %+v %v", list, err)
	}
}

// TestAttestedPromises: what people do is attested while its attestation counts,
// and fails without one and after its end.
func TestAttestedPromises(t *testing.T) {
	t.Parallel()
	c := &ahead{}
	h := runningBy(t, c, "", nil)
	ids := map[string][]attest.Kind{
		"ca-audits": {attest.Audit, attest.PenetrationTest}, "ca-soc2": {attest.ProviderReport}, "ca-datacentre": {attest.DataCentre},
		"cm-hoster": {attest.ProviderCertificate}, "mb-vendor-assessment": {attest.VendorAssessment},
	}
	is := func(id string, want pledge.Status, says string) {
		t.Helper()
		if f := h.check(t, id); f.Status != want || !strings.Contains(f.Evidence, says) {
			t.Errorf("%s is %s: %s; want %s, %q", id, f.Status, f.Evidence, want, says)
		}
	}
	for id := range ids {
		is(id, pledge.NotApplicable, "dev mode")
	}
	h.probed.Throwaway = false
	for id, kinds := range ids {
		is(id, pledge.Failing, "mailvow attestation add")
		for _, k := range kinds {
			_, err := h.attests.Add(t.Context(), attest.Attestation{
				Tenant: tenant.Platform, Kind: k, Subject: "Example GmbH", Note: "seen", Issued: clock.Wall{}.Now(), Until: clock.Wall{}.Now().Add(24 * time.Hour),
			}, nil, evidence.Actor{Role: evidence.ByOperator})
			must(t, err)
		}
		is(id, pledge.Attested, "attested until")
	}
	is("mb-organisation", pledge.NotYet, "ca-audits attested")
	c.by.Add(int64(25 * time.Hour))
	for id := range ids {
		is(id, pledge.Failing, "run out: Example GmbH")
	}
}

// TestScans: without data, with data that is too old, and with a finding past its
// deadline the promise fails; with fresh data and a test it is kept.
func TestScans(t *testing.T) {
	t.Parallel()
	c := &ahead{}
	h := runningBy(t, c, "", nil)
	is := func(want pledge.Status, says string) {
		t.Helper()
		if f := h.check(t, "cm-scans"); f.Status != want || !strings.Contains(f.Evidence, says) {
			t.Errorf("%s: %s; want %s, %q", f.Status, f.Evidence, want, says)
		}
	}
	is(pledge.NotApplicable, "dev mode")
	h.probed.Throwaway = false
	is(pledge.Failing, "no vulnerability data was imported")
	if f := h.check(t, "mb-patches"); f.Status != pledge.Failing || !strings.Contains(f.Evidence, "no vulnerability data") {
		t.Errorf("%+v", f)
	}
	file := filepath.Join(t.TempDir(), "osv.json")
	must(t, os.WriteFile(file, []byte(`{"id":"GO-1","modified":"`+c.Now().UTC().Format(time.RFC3339)+`","affected":[{"package":{"ecosystem":"Go","name":"stdlib"}}]}`), 0o600))
	d, err := h.ImportVulnerabilities(t.Context(), file)
	if err != nil || len(d.Named) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	is(pledge.Failing, "nobody has attested penetration tests")
	_, err = h.attests.Add(t.Context(), attest.Attestation{
		Tenant: tenant.Platform, Kind: attest.PenetrationTest, Subject: "Example", Note: "seen", Issued: c.Now().Add(-time.Minute), Until: c.Now().AddDate(1, 0, 0),
	}, nil, evidence.Actor{Role: evidence.ByOperator})
	must(t, err)
	is(pledge.Kept, "names 1 of")
	if f := h.check(t, "mb-patches"); f.Status != pledge.Kept {
		t.Errorf("%+v", f)
	}
	c.by.Add(int64(29 * 24 * time.Hour))
	is(pledge.Kept, "names 1 of")
	c.by.Add(int64(25 * time.Hour)) // a high one has 30 days
	is(pledge.Failing, "1 findings are past their deadline")
	list, err := h.findings.Pending(t.Context(), scope.Everyone)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	_, err = h.findings.Move(t.Context(), scope.Everyone, list[0].ID, finding.Move{To: finding.Dismissed, Reason: "not called"}, evidence.Actor{Role: evidence.ByOperator})
	must(t, err)
	is(pledge.Failing, "too old")
}
