package request_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/tenant"
)

var childLink = regexp.MustCompile(regexp.QuoteMeta(request.ChildPath) + `([A-Za-z0-9_-]+)`)

// TestChildren: a report of a child stands ahead of what came later, within a business
// day; the link of its confirmation changes nothing when it is read, erases once when
// it is used, and not at all when it was changed or its time is over.
func TestChildren(t *testing.T) {
	t.Parallel()
	w := small(t)
	ctx := t.Context()
	report := func(from string) (request.Case, string) {
		t.Helper()
		c, err := w.Inquire(ctx, request.Child, from, "A child\n\nI am 12.")
		must(t, err)
		found := childLink.FindStringSubmatch(w.letters[len(w.letters)-1].Text)
		if found == nil {
			t.Fatalf("no link in %q", w.letters[len(w.letters)-1].Text)
		}
		return c, found[1]
	}
	c, text := report("child@persons.example")
	if c.Due().After(c.Received.Add(4 * 24 * time.Hour)) {
		t.Errorf("due on %v", c.Due())
	}
	later, err := w.Inquire(ctx, request.Abuse, "other@persons.example", "Spam")
	must(t, err)
	list := func() []request.Case {
		t.Helper()
		list, err := w.List(ctx, scope.Tenant(tenant.Platform), 0, 10)
		must(t, err)
		return list
	}
	if got := list(); len(got) != 2 || got[0].ID != c.ID || got[1].ID != later.ID {
		t.Fatalf("%+v", got)
	}
	if rest, err := w.List(ctx, scope.Tenant(tenant.Platform), later.ID, 10); err != nil || len(rest) != 0 {
		t.Errorf("the next page repeats it: %+v %v", rest, err)
	}
	for range 2 {
		if got, err := w.ChildReport(ctx, text); err != nil || got.ID != c.ID || len(w.acts) != 0 {
			t.Fatalf("%+v %v %q", got, err, w.acts)
		}
	}
	forged := []byte(text)
	forged[len(forged)-8] ^= 1
	if _, err := w.EraseChild(ctx, string(forged)); !fault.Is(err, fault.NotFound) {
		t.Errorf("a link with one letter changed: %v", err)
	}
	done, err := w.EraseChild(ctx, text)
	if err != nil || done.State != request.Answered || len(w.acts) != 1 || w.acts[0] != "erase" {
		t.Fatalf("%+v %v %q", done, err, w.acts)
	}
	if _, err := w.EraseChild(ctx, text); !fault.Is(err, fault.Gone) || len(w.acts) != 1 {
		t.Errorf("a second time: %v %q", err, w.acts)
	}
	if last := w.letters[len(w.letters)-1]; !strings.Contains(last.Text, request.ResultPath) {
		t.Errorf("the certificate is not mailed: %q", last.Text)
	}
	if got := list(); got[0].ID != later.ID {
		t.Errorf("what is answered still stands ahead: %+v", got)
	}
	_, old := report("late@persons.example")
	w.clock.Wind(31 * 24 * time.Hour)
	if _, err := w.ChildReport(ctx, old); !fault.Is(err, fault.Gone) {
		t.Errorf("after a month: %v", err)
	}
}

// TestTheOperatorErasesAChild: on somebody else's report the operator names the
// address, and whoever reported gets no certificate about it.
func TestTheOperatorErasesAChild(t *testing.T) {
	t.Parallel()
	w := small(t)
	ctx := t.Context()
	c, err := w.Inquire(ctx, request.Child, "teacher@school.example", "A pupil writes here.")
	must(t, err)
	decide := func(value string) (request.Case, error) {
		return w.Decide(ctx, request.Decision{Case: c.ID, Tenant: tenant.Platform, By: "operator", Verdict: request.Accept, Reason: "It is done.", Value: value})
	}
	for _, bad := range []string{"", "pupil", "*@persons.example"} {
		if _, err := decide(bad); !fault.Is(err, fault.Invalid) || len(w.acts) != 0 {
			t.Errorf("%q: %v %q", bad, err, w.acts)
		}
	}
	got, err := decide("pupil@persons.example")
	if err != nil || got.State != request.Answered || len(w.acts) != 1 || !got.Shares[0].Until.IsZero() {
		t.Errorf("%+v %v %q", got, err, w.acts)
	}
	if last := w.letters[len(w.letters)-1]; !strings.Contains(last.Text, "It is done.") || strings.Contains(last.Text, request.ResultPath) {
		t.Errorf("%q", last.Text)
	}
}
