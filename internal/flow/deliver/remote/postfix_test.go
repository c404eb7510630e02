package remote_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/lab"
)

// TestRealPostfix: a server that nobody here wrote takes our mail, with and
// without TLS, over a kept connection, and has the same octets.
func TestRealPostfix(t *testing.T) {
	t.Parallel()
	server := lab.Postfix(t, "a@b.example", "c@b.example", "grün@b.example")
	c := courier(t, nil)
	const each = 3
	for i := range each {
		p := parcel(t, server.Addr, 40<<10, "a@b.example", "nobody@b.example", "c@b.example", "elsewhere@d.example")
		p.Need.EnvelopeID = fmt.Sprintf("envelope %d", i)
		p.Recipients[0].Notify, p.Recipients[0].ORcpt = "FAILURE", "rfc822;first+last@b.example"
		if i == each-1 {
			p.Route.TLS = deliver.Plain
		}
		out := c.Deliver(context.Background(), p)
		if got := kinds(out); got != "delivered failed delivered failed" {
			t.Fatalf("outcomes %s: %+v", got, out)
		}
		if out[1].Class != outcome.Hard || out[1].Reply.Enhanced.String() != "5.1.1" || out[3].Class == outcome.Hard {
			t.Errorf("refusals: %+v, %+v", out[1], out[3])
		}
		if tls := out[0].TLS != ""; tls != (i < each-1) {
			t.Errorf("TLS %q with policy %d", out[0].TLS, p.Route.TLS)
		}
		want := make([]byte, p.Content.Size())
		_, _ = p.Content.ReadAt(want, 0)
		text := strings.ReplaceAll(string(want), "\r\n", "\n")
		for _, box := range []string{"a@b.example", "c@b.example"} {
			for _, got := range server.Mail(t, box, i+1) {
				if !strings.HasSuffix(got, text[strings.Index(text, "\n\n"):]) || !strings.Contains(got, "\nSubject: hello\n") {
					t.Error("the message changed on its way")
				}
			}
		}
	}
	p := parcel(t, server.Addr, 100, "grün@b.example")
	p.Need.SMTPUTF8, p.Need.EightBit = true, true
	p.Content = strings.NewReader("Subject: grüße\r\n\r\nüber allem\r\n")
	if out := c.Deliver(context.Background(), p); out[0].Kind != outcome.Delivered {
		t.Errorf("%+v", out[0])
	}
	server.Mail(t, "grün@b.example", 1)
}
