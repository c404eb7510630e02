package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/sight"
)

// How a purge that a test bends behaves.
const (
	straight int32 = iota
	deafened       // it says that it purged, and did not
	hasty          // it takes everything
	stuck          // it fails
)

// bend puts a switch before the purges of some categories.
func bend(h *House, mode *atomic.Int32, categories ...string) {
	for i, r := range h.retention.Rules {
		if !slices.Contains(categories, r.Category) {
			continue
		}
		real := r.Purge
		h.retention.Rules[i].Purge = func(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
			switch mode.Load() {
			case deafened:
				return 0, nil
			case hasty:
				before = h.Clock.Now().Add(time.Minute)
			case stuck:
				return 0, fault.New(fault.Unavailable, "the store is stuck")
			}
			return real(ctx, in, before)
		}
	}
}

// TestPeriodProbesSeeWhatIsBroken bends, one after the other, what keeps periods:
// what stays too long fails its probe, and so does what goes too early. A purge
// that cannot run raises an alert, which clears when it runs again.
func TestPeriodProbesSeeWhatIsBroken(t *testing.T) {
	long(t)
	t.Parallel()
	var counts, records atomic.Int32
	h := running(t, "", func(h *House) {
		h.probed.Patience = 3 * time.Second
		bend(h, &counts, "counts")
		bend(h, &records, recordsCategory)
	})
	sees := func(id string, status pledge.Status, says string) {
		t.Helper()
		if f := h.check(t, id); f.Status != status || !strings.Contains(f.Evidence, says) {
			t.Errorf("%s is %s: %s; want %s, %q", id, f.Status, f.Evidence, status, says)
		}
	}
	for _, id := range []string{"mb-ret-campaign", "mb-ret-finance", "mb-ret-tickets", "cl-billing-10y"} {
		sees(id, pledge.NotApplicable, "no table and no category holds")
	}
	sees("ca-availability", pledge.NotApplicable, "dev mode")

	counts.Store(deafened)
	sees("mb-ret-analytics", pledge.Failing, "is still there after the purge")
	counts.Store(hasty)
	sees("mb-ret-analytics", pledge.Failing, "counts: a record that had 1 hour of its period of")
	counts.Store(stuck)
	sees("mb-ret-analytics", pledge.Failing, "is still there after the purge")
	h.alarmed(t, "counts", true)
	counts.Store(straight)
	sees("mb-ret-analytics", pledge.Kept, "one that was 1 hour over its period went, one that had 1 hour left stayed")
	h.alarmed(t, "counts", false)

	records.Store(deafened)
	sees("mb-ret-logs", pledge.Failing, "message records: a record whose period of 90 days ended 1 hour ago is still there")
	records.Store(hasty)
	sees("mb-ret-logs", pledge.Failing, "message records: a record that had 1 hour of its period of 90 days left is gone")
	records.Store(straight)
	diary := filepath.Join(h.paths().root, "debug.log")
	must(t, os.WriteFile(diary, []byte("x"), 0o600))
	sees("mb-ret-logs", pledge.Failing, "stored and in no inventory: debug.log")
	must(t, os.Remove(diary))

	records.Store(deafened)
	sees("cl-log14", pledge.Failing, "a record whose period of 14 days ended 1 hour ago is still there")
	records.Store(hasty)
	sees("cl-log14", pledge.Failing, "a record that had 1 hour of its period of 14 days left is gone")
	records.Store(straight)
	said := h.sight.Policies
	h.sight.Policies = silentOn(func(d *policy.Document) { d.Visible.Records = nil }, said)
	sees("cl-log14", pledge.Failing, "the role developer is shown records")
	h.sight.Policies = silentOn(func(d *policy.Document) { d.Visible.Records = policy.Among{"owner"} }, said)
	if list, _, err := h.clerk().Search(t.Context(), scope.Everyone, history.Query{}); err != nil || len(list) > 0 {
		t.Errorf("the command line is shown %d records that the policy does not show to the operator: %v", len(list), err)
	}
	if _, _, err := h.clerk().Search(t.Context(), scope.Tenant(h.canary.is()), history.Query{}); !fault.Is(err, fault.Denied) {
		t.Errorf("of one customer the command line is not refused: %v", err)
	}
	h.sight.Policies = said
	kept := h.sight.Kept
	h.sight.Policies, h.sight.Kept = silentOn(func(d *policy.Document) { d.Visible.Back = policy.Deadline{} }, said), func(ids.Tenant, string) (time.Time, bool) { return time.Time{}, false }
	sees("cl-log14", pledge.Failing, "to the role owner a record older than two weeks is shown")
	h.sight.Policies, h.sight.Kept = said, kept

	outlive := h.endings.Outlive
	h.endings.Outlive = func(context.Context, ids.Tenant) (int, error) { return 0, errClosed }
	sees("mb-ret-account", pledge.Failing, "whose contract ended 30 days ago is still there")
	h.endings.Outlive = outlive

	for id, table := range map[string]string{"mb-ret-campaign": "campaign", "mb-ret-finance": "invoice", "mb-ret-tickets": "ticket", "cl-billing-10y": "payment"} {
		statement("create table "+table+" (id int, name text)")(t, h)
		sees(id, pledge.Failing, table+".id is stored")
		statement("drop table "+table)(t, h)
	}
}

// forgets is policies of which a part goes unsaid.
type forgets struct {
	sight.Policies
	what func(*policy.Document)
}

func silentOn(what func(*policy.Document), of sight.Policies) sight.Policies {
	return forgets{of, what}
}

// For implements sight.Policies.
func (f forgets) For(id ids.Tenant, at time.Time) policy.InForce {
	p := f.Policies.For(id, at)
	less := *p.Document
	f.what(&less)
	p.Document = &less
	return p
}

// TestRawLogsAreForTheFew: under the gateway's policy conversations are kept for 12
// months, through an erasure, for the custodian alone; whichever of it is broken,
// the probe fails.
func TestRawLogsAreForTheFew(t *testing.T) {
	long(t)
	t.Parallel()
	const any = "127.0.0.1:0"
	c := devConfig(DevOptions{Dir: t.TempDir(), MX: any, Submission: any, Submissions: any, HTTP: any})
	c.Policy.Profile = "gateway"
	h, err := Build(t.Context(), Settings{Config: c, Dev: true, Clock: clock.Wall{}, Log: slog.DiscardHandler})
	must(t, err)
	t.Cleanup(func() { must(t, h.Stop(20*time.Second)) })
	var talks atomic.Int32
	bend(h, &talks, "conversations")
	must(t, h.Start(t.Context()))
	sees := func(id string, status pledge.Status, says string) {
		t.Helper()
		if f := h.check(t, id); f.Status != status || !strings.Contains(f.Evidence, says) {
			t.Errorf("%s is %s: %s; want %s, %q", id, f.Status, f.Evidence, status, says)
		}
	}
	sees("cl-log12m", pledge.Kept, "kept by law for 1 year (retention of telecommunication logs)")
	sees("cl-log14", pledge.Kept, "an hour past them was shown to nobody")
	talks.Store(deafened)
	sees("cl-log12m", pledge.Failing, "an hour past its period is still there")
	talks.Store(hasty)
	sees("cl-log12m", pledge.Failing, "an hour short of its period is gone")
	talks.Store(straight)
	floor := h.history.Floor
	h.history.Floor = nil
	sees("cl-log12m", pledge.Failing, "does not say that a law keeps the conversation")
	h.history.Floor = floor
	said := h.sight.Policies
	h.sight.Policies = silentOn(func(d *policy.Document) { d.Visible.Conversations = nil }, said)
	sees("cl-log12m", pledge.Failing, "is shown SMTP conversations")
	h.sight.Policies = said
	statement("create trigger lose before insert on read_batch begin select raise(ignore); end")(t, h)
	sees("cl-log12m", pledge.Failing, "what the custodian read is not on record")
}

// alarmed looks whether an alert stands for a purge that failed.
func (h *House) alarmed(t *testing.T, category string, want bool) {
	t.Helper()
	states, err := h.retention.States(t.Context())
	must(t, err)
	i := slices.IndexFunc(states, func(s retain.State) bool { return s.Category == category })
	if i < 0 || (states[i].Status == retain.Failing) != want {
		t.Errorf("%s stands as %+v", category, states[i])
	}
	must(t, h.alerts.Look(t.Context()))
	list, err := h.alerts.Standing(t.Context())
	must(t, err)
	there := slices.ContainsFunc(list, func(a alert.Alert) bool { return a.Kind == alert.Retention && strings.Contains(a.Text, category) })
	if there != want {
		t.Errorf("an alert about %s stands: %v", category, there)
	}
}

// clerk looks at the log as the command line does.
func (h *House) clerk() seenHistory { return seenHistory{heldHistory{h.history, h.holds}, h.sight} }
