package intake_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/policy"
)

// withhold is a policy that a test can switch.
type withhold struct {
	rules atomic.Pointer[history.Redactions]
}

func (w *withhold) Redacted(ids.Tenant, history.Direction) history.Redactions {
	if f := w.rules.Load(); f != nil {
		return *f
	}
	return nil
}

// trace is everything that history says of a message, as one text.
func (r *road) trace(m ids.Message) string {
	r.t.Helper()
	events, err := r.history.Of(r.t.Context(), scope.Tenant(tenant), m)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range events {
		b.WriteString(strings.Join(append(e.Detail.Recipients, e.Detail.Sender, e.Detail.Subject, e.Detail.Reply, e.Detail.IP, e.Detail.MessageID), "|"))
		if e.Attempt == 0 {
			continue
		}
		c, err := r.history.Conversation(r.t.Context(), scope.Tenant(tenant), e.Attempt)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, s := range c.Steps {
			b.WriteString(s.Sent + s.Got)
		}
	}
	return b.String()
}

func TestRedactedFieldsAreNowhere(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		says := &withhold{}
		r := newRoadWith(t, d, clock.Wall{}, says)
		r.courier.says = "no such user <nobody@dst.test> about Geheim"
		index, err := r.history.OpenIndex(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.start()
		const secret = "From: ann@src.test\r\nSubject: Geheim\r\n\r\nx\r\n"
		before := r.send("ann@src.test", secret, "nobody@dst.test")
		r.courier.wait(t, 2) // a failure and its notice
		r.settled()
		withheld := history.Redactions{history.FieldRecipient: policy.Drop, history.FieldSubject: policy.Drop}
		says.rules.Store(&withheld)
		after := r.send("ann@src.test", secret, "nobody@dst.test")
		carried := r.courier.wait(t, 2)
		r.settled()
		if err := index.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := r.trace(before.Message); !strings.Contains(text, "Geheim") || !strings.Contains(text, "nobody@dst.test") {
			t.Fatalf("the test does not see what it looks for: %s", text)
		}
		if text := r.trace(after.Message); strings.Contains(text, "Geheim") || strings.Contains(text, "nobody") {
			t.Errorf("a redacted field is kept: %s", text)
		}
		found, _, err := r.history.Search(t.Context(), scope.Tenant(tenant), history.Query{Recipient: parse(t, "nobody@dst.test")})
		if err != nil || len(found) != 1 || found[0].Message != before.Message {
			t.Errorf("found by the redacted address: %+v, %v", found, err)
		}
		for m, want := range map[ids.Message]bool{before.Message: true, after.Message: false} {
			notices := 0
			for _, c := range carried {
				if c.sender == "" && strings.Contains(c.content, m.String()) {
					notices++
					if got := strings.Contains(c.content, "Geheim"); got != want {
						t.Errorf("the notice about %s repeats the subject: %v, want %v", m, got, want)
					}
				}
			}
			if notices != 1 {
				t.Errorf("%d notices about %s", notices, m)
			}
		}
		n, err := r.history.Redact(t.Context(), tenant, before.Message, func(history.Direction) history.Redactions { return withheld })
		if err != nil || n == 0 {
			t.Fatalf("rewrote %d, %v", n, err)
		}
		if text := r.trace(before.Message); strings.Contains(text, "Geheim") || strings.Contains(text, "nobody") {
			t.Errorf("an older record keeps the redacted field: %s", text)
		}
	})
}
