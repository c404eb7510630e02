package request_test

import (
	"fmt"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/tenant"
)

// TestInquiries: what people write opens a case of the platform's with its own
// deadline, is confirmed, and is answered by mail; no customer sees it.
func TestInquiries(t *testing.T) {
	t.Parallel()
	w := small(t)
	ctx := t.Context()
	for _, k := range request.Inquiries() {
		c, err := w.Inquire(ctx, k, string(k)+"@persons.example", "A question\n\nWhere is my data?")
		must(t, err)
		if c.State != request.Open || !c.Due().After(w.clock.Now()) || k.Words() == "" {
			t.Errorf("%+v", c)
		}
		if last := w.letters[len(w.letters)-1]; last.To != c.Address || !strings.Contains(last.Text, k.Words()) || strings.Contains(last.Text, "Where is my data?") {
			t.Errorf("%s was confirmed by %+v", k, last)
		}
		if _, err := w.Get(ctx, scope.Tenant(w.acme), c.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("a customer sees it: %v", err)
		}
		got, err := w.Get(ctx, scope.Tenant(tenant.Platform), c.ID)
		must(t, err)
		if len(got.Shares) != 1 || !got.Shares[0].Due.Equal(c.Due()) || got.Law.Name != "none" || got.Note == "" {
			t.Errorf("%+v", got)
		}
		if _, err := w.Decide(ctx, request.Decision{Case: c.ID, Tenant: tenant.Platform, By: "operator", Verdict: request.Extend, Reason: "later"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("extended: %v", err)
		}
		if _, err := w.Decide(ctx, request.Decision{Case: c.ID, Tenant: tenant.Platform, By: "operator", Verdict: request.Accept}); !fault.Is(err, fault.Invalid) {
			t.Errorf("answered with nothing: %v", err)
		}
		_, err = w.Decide(ctx, request.Decision{Case: c.ID, Tenant: tenant.Platform, By: "operator", Verdict: request.Accept, Reason: "It is in Frankfurt."})
		must(t, err)
		last := w.letters[len(w.letters)-1]
		if got, err = w.Get(ctx, scope.Everyone, c.ID); err != nil || got.State != request.Answered || !strings.Contains(last.Text, "It is in Frankfurt.") {
			t.Errorf("%+v %v %+v", got, err, last)
		}
	}
	if len(w.acts) != 0 {
		t.Errorf("an answer did %q", w.acts)
	}
	for _, q := range []struct {
		kind       request.Kind
		from, text string
	}{{"poem", "a@b.example", "x"}, {request.Access, "a@b.example", "x"}, {request.Question, "nobody", "x"}, {request.Question, "a@b.example", " "}, {request.Question, "*@b.example", "x"}} {
		if _, err := w.Inquire(ctx, q.kind, q.from, q.text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestInquiriesFloodNobody: cases go on when no more mail goes to an address, and
// end before they fill the store.
func TestInquiriesFloodNobody(t *testing.T) {
	t.Parallel()
	w := small(t)
	opened := 0
	var last error
	for n := range 30 {
		if _, last = w.Inquire(t.Context(), request.Abuse, "victim@persons.example", fmt.Sprint("spam ", n)); last != nil {
			break
		}
		opened++
	}
	if opened != 20 || !fault.Is(last, fault.Exhausted) || len(w.letters) != 3 {
		t.Errorf("%d cases, %d mails, then %v", opened, len(w.letters), last)
	}
	must(t, w.Tick(t.Context()))
	if len(w.letters) != 3 {
		t.Errorf("what was not confirmed is confirmed later: %d mails", len(w.letters))
	}
	long, err := w.Inquire(t.Context(), request.Question, "long@persons.example", strings.Repeat("ä", 20000))
	must(t, err)
	if n := len([]rune(long.Note)); n > 8100 {
		t.Errorf("%d characters were kept", n)
	}
}
