package request_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
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
		if k == request.Child {
			continue // its answer is an act: TestChildren
		}
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

// TestAMailBecomesARequest: a mail to the officer is made a request by the link that
// was mailed to its sender, once, with the term that counts from the mail.
func TestAMailBecomesARequest(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, lab.NewClock(time.Now()))
		ctx := t.Context()
		w.held[w.acme] = ann
		received := w.clock.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
		mail, err := w.Mailed(ctx, request.Privacy, ann, "Hello\n\nDelete all that you have.", received)
		must(t, err)
		choose := w.linkTo(request.ChoicePath)
		if c, err := w.Choosing(ctx, choose); err != nil || c.ID != mail.ID {
			t.Errorf("the link is about %+v, %v", c, err)
		}
		if list, err := w.List(ctx, scope.Tenant(w.acme), 0, 10); err != nil || len(list) != 0 {
			t.Errorf("before the choice a customer sees %+v, %v", list, err)
		}
		forged := []byte(choose)
		forged[4] ^= 1
		for _, wrong := range []struct {
			link string
			kind request.Kind
			law  string
			want fault.Kind
		}{
			{string(forged), request.Erasure, "gdpr", fault.NotFound}, {w.linkTo(request.CasePath), request.Erasure, "gdpr", fault.NotFound},
			{choose, request.Privacy, "gdpr", fault.Invalid}, {choose, "", "gdpr", fault.Invalid}, {choose, request.Erasure, "lex", fault.Invalid},
		} {
			if _, err := w.Choose(ctx, wrong.link, wrong.kind, wrong.law); !fault.Is(err, wrong.want) {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		text, err := w.Choose(ctx, choose, request.Erasure, "gdpr")
		must(t, err)
		c, parts, err := w.Page(ctx, text)
		must(t, err)
		if len(parts) != 1 || parts[0].Name != "Acme" || c.Kind != request.Erasure || !c.Received.Equal(received) || c.Proved.IsZero() || c.Confirmed.IsZero() ||
			!parts[0].Due.Equal(c.Law.Answer.After(received)) || !strings.Contains(c.Note, "Delete all") {
			t.Errorf("the request: %+v %+v", c, parts)
		}
		if was, err := w.Get(ctx, scope.Everyone, mail.ID); err != nil || was.State != request.Answered || !strings.Contains(was.Shares[0].Reason, c.ID.String()) {
			t.Errorf("the mail's own case: %+v, %v", was, err)
		}
		if _, err := w.Choose(ctx, choose, request.Access, "gdpr"); !fault.Is(err, fault.Gone) {
			t.Errorf("chosen twice: %v", err)
		}
		late, err := w.Inquire(ctx, request.Privacy, "late@persons.example", "What do you have?")
		must(t, err)
		again := w.linkTo(request.ChoicePath)
		_, err = w.Decide(ctx, request.Decision{Case: late.ID, Tenant: tenant.Platform, By: "operator", Verdict: request.Accept, Reason: "Nothing."})
		must(t, err)
		w.clock.Wind(15 * 24 * time.Hour)
		if _, err := w.Choose(ctx, again, request.Access, "gdpr"); !fault.Is(err, fault.Gone) {
			t.Errorf("after two weeks: %v", err)
		}
	})
}
