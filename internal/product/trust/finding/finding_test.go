package finding_test

import (
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/product/trust/finding"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

var (
	by  = evidence.Actor{Role: evidence.ByOperator}
	own = scope.Tenant(tenant.Platform)
)

func open(t *testing.T, d *db.DB, c *lab.Clock, due func(finding.Severity, time.Time) (time.Time, bool)) *finding.Store {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	must(t, tenant.New(d, v, source, c).EnsurePlatform(t.Context(), "Platform", "test"))
	return finding.New(finding.Config{DB: d, Vault: v, Stage: evidence.NewStage(d), IDs: source, Clock: c, Due: due})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var schemas = []db.Schema{tenant.Schema, evidence.Schema(), finding.Schema}

// TestDeadlines: each severity has its time, which follows the policy also when
// it changes; what is mended is not overdue.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		high := 48 * time.Hour
		s := open(t, d, c, func(of finding.Severity, found time.Time) (time.Time, bool) {
			return found.Add(high), of == finding.High
		})
		made := map[finding.Severity]ids.Weakness{}
		for _, severity := range []finding.Severity{finding.Critical, finding.High, finding.Low} {
			w, err := s.Add(t.Context(), finding.Weakness{Tenant: tenant.Platform, Source: finding.Test, Severity: severity, Title: "x"}, by)
			must(t, err)
			made[severity] = w.ID
		}
		late := func(want ...ids.Weakness) {
			t.Helper()
			list, err := s.Overdue(t.Context(), own)
			must(t, err)
			if len(list) != len(want) {
				t.Errorf("%d overdue, want %d: %+v", len(list), len(want), list)
			}
		}
		c.Wind(48 * time.Hour)
		late()
		c.Wind(time.Microsecond)
		late(made[finding.High])
		high = 72 * time.Hour
		late()
		c.Wind(6 * 24 * time.Hour)
		late(made[finding.High], made[finding.Critical])
		_, err := s.Move(t.Context(), own, made[finding.High], finding.Move{To: finding.Mending, Owner: 7}, by)
		must(t, err)
		late(made[finding.High], made[finding.Critical])
		_, err = s.Move(t.Context(), own, made[finding.High], finding.Move{To: finding.Mended, Reason: "version 2"}, by)
		must(t, err)
		late(made[finding.Critical])
	})
}

// TestMoves tries every move from every state.
func TestMoves(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c, nil)
	states := []finding.State{finding.Open, finding.Mending, finding.Mended, finding.Dismissed}
	may := map[finding.State]string{finding.Open: "mending mended dismissed", finding.Mending: "open mended dismissed", finding.Mended: "open", finding.Dismissed: "open"}
	for _, from := range states {
		for _, to := range states {
			w, err := s.Add(t.Context(), finding.Weakness{Tenant: tenant.Platform, Source: finding.Audit, Severity: finding.Low, Title: "x"}, by)
			must(t, err)
			if from != finding.Open {
				_, err = s.Move(t.Context(), own, w.ID, finding.Move{To: from, Owner: 7, Reason: "so"}, by)
				must(t, err)
			}
			moved, err := s.Move(t.Context(), own, w.ID, finding.Move{To: to, Owner: 7, Reason: "so"}, by)
			if want := strings.Contains(may[from], string(to)); want != (err == nil) || want && moved.State != to || !want && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
	w, err := s.Add(t.Context(), finding.Weakness{Tenant: tenant.Platform, Source: finding.Audit, Severity: finding.Low, Title: "x"}, by)
	must(t, err)
	if _, err := s.Move(t.Context(), own, w.ID, finding.Move{To: finding.Dismissed}, by); !fault.Is(err, fault.Invalid) {
		t.Error("dismissed without a reason:", err)
	}
	if _, err := s.Move(t.Context(), own, w.ID, finding.Move{To: finding.Mending}, by); !fault.Is(err, fault.Invalid) {
		t.Error("mended by nobody:", err)
	}
	if _, err := s.Move(t.Context(), scope.Tenant(99), w.ID, finding.Move{To: finding.Mended, Reason: "so"}, by); !fault.Is(err, fault.NotFound) {
		t.Error("by a stranger:", err)
	}
}

// TestRaise: what a scan finds again is there once; mended, it opens again;
// dismissed, it stays so.
func TestRaise(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, schemas...)
	c := lab.NewClock(lab.Epoch)
	s := open(t, d, c, nil)
	raise := func() (finding.Weakness, bool) {
		t.Helper()
		w, changed, err := s.Raise(t.Context(), finding.Weakness{Tenant: tenant.Platform, Source: finding.Vulnerability, Severity: finding.High, Title: "x", Marker: "GO-1 m@1"})
		must(t, err)
		return w, changed
	}
	first, changed := raise()
	if again, twice := raise(); !changed || twice || again.ID != first.ID {
		t.Errorf("entered twice: %+v", again)
	}
	_, err := s.Move(t.Context(), own, first.ID, finding.Move{To: finding.Mended, Reason: "updated"}, by)
	must(t, err)
	if again, changed := raise(); !changed || again.ID != first.ID || again.State != finding.Open {
		t.Errorf("found again: %+v", again)
	}
	_, err = s.Move(t.Context(), own, first.ID, finding.Move{To: finding.Dismissed, Reason: "not called"}, by)
	must(t, err)
	if again, changed := raise(); changed || again.State != finding.Dismissed {
		t.Errorf("dismissed and found again: %+v", again)
	}
}
