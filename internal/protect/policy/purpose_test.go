package policy

import (
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

func (o *opened) instruct(t *testing.T, of ids.Tenant, p pledge.Purpose, on bool) error {
	t.Helper()
	_, _, err := o.Instruct(t.Context(), Draft{Tenant: of, Role: evidence.ByOwner}, p, on)
	return err
}

func (o *opened) runs(of ids.Tenant) string {
	var list []string
	for _, p := range o.Purposes(of, o.clock.Now()) {
		if p.Runs && p.Ground == pledge.Instructed {
			list = append(list, string(p.Name))
		}
		if runs := o.Instructed(of, p.Name) == nil; runs != p.Runs && of != tenant.Platform {
			return string(p.Name) + " is listed one way and answered another"
		}
	}
	return strings.Join(list, " ")
}

// TestWhatIsNotInstructedDoesNotRun switches purposes of a customer and of the platform.
func TestWhatIsNotInstructedDoesNotRun(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, func(c *Config) {
		c.Known.Purposes = nil
		for _, p := range pledge.Purposes() {
			if p.Ground == pledge.Instructed {
				c.Known.Purposes = append(c.Known.Purposes, string(p.Name))
			}
		}
	})
	const all = "deliver endpoints record search suppress count"
	if got := o.runs(acme); got != all {
		t.Error("at first:", got)
	}
	for _, p := range []pledge.Purpose{pledge.ToSearch, pledge.ToCount} {
		if err := o.instruct(t, acme, p, false); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.runs(acme); got != "deliver endpoints record suppress" {
		t.Error("without two:", got)
	}
	err := o.Instructed(acme, pledge.ToSearch)
	if text, _ := fault.Public(err); !fault.Is(err, fault.Denied) || !strings.Contains(text, `"search"`) || !strings.Contains(text, "version 1-2") || !strings.Contains(text, "PUT /v1/purposes/search") {
		t.Error("the refusal says:", text)
	}
	if got := o.runs(acme + 1); got != all {
		t.Error("another customer:", got)
	}
	// Once everything is instructed again the customer says nothing of its own.
	for _, p := range []pledge.Purpose{pledge.ToSearch, pledge.ToCount} {
		if err := o.instruct(t, acme, p, true); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := o.newest(t.Context(), acme); err != nil || strings.Contains(v.Text, "purposes") || o.runs(acme) != all {
		t.Errorf("instructed again: %q %v, %s", v.Text, err, o.runs(acme))
	}
	// What the platform leaves out no customer can instruct, and nobody but it.
	if err := o.instruct(t, tenant.Platform, pledge.ToSearch, false); err != nil {
		t.Fatal(err)
	}
	if err := o.instruct(t, acme, pledge.ToSearch, true); !fault.Is(err, fault.Invalid) {
		t.Error("a customer instructed what the platform does not have:", err)
	}
	if text, _ := fault.Public(o.Instructed(acme, pledge.ToSearch)); !strings.Contains(text, "mailvow purpose on search") || strings.Contains(o.runs(acme), "search") {
		t.Error("the platform left it out:", text)
	}
	if o.Instructed(tenant.Platform, pledge.ToSearch) != nil {
		t.Error("the platform's own mail needs an instruction")
	}
	for p, want := range map[pledge.Purpose]fault.Kind{pledge.ToServeRights: fault.Conflict, pledge.ToRun: fault.Conflict, "marketing": fault.NotFound} {
		if err := o.instruct(t, acme, p, false); !fault.Is(err, want) {
			t.Errorf("switching %s: %v", p, err)
		}
		if p != "marketing" && o.Instructed(acme, p) != nil {
			t.Errorf("%s does not run", p)
		}
	}
	if o.Instructed(acme, "marketing") == nil {
		t.Error("a purpose that there is not runs")
	}
	// Nothing at all can be instructed.
	for _, p := range strings.Fields("deliver endpoints record suppress count") {
		if err := o.instruct(t, acme, pledge.Purpose(p), false); err != nil {
			t.Fatal(p, err)
		}
	}
	if got := o.runs(acme); got != "" {
		t.Error("nothing is instructed, and there runs:", got)
	}
}
