package intake_test

import (
	"strings"
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/lab"
	"mailvow/internal/protect/policy"
)

// redactionCase is a policy and what may be seen under it.
type redactionCase struct {
	rules history.Redactions
	seen  []string
	gone  []string
}

func redactionCases() map[string]redactionCase {
	const subject = "A most secret title"
	return map[string]redactionCase{
		"truncated": {
			history.Redactions{history.FieldSubject: policy.Truncate, history.FieldRecipient: policy.Truncate, history.FieldSender: policy.Truncate, history.FieldIP: policy.Truncate},
			[]string{"@dst.test", "@src.test", "A most secret ti…", "192.0.2.0/24"}, []string{"nobody", "ann", subject, "192.0.2.1|"},
		},
		"hashed": {
			history.Redactions{history.FieldSubject: policy.Hash, history.FieldRecipient: policy.Hash, history.FieldSender: policy.Hash, history.FieldIP: policy.Hash},
			[]string{"hash:"}, []string{"nobody", "ann@", subject, "192.0.2.1|", "dst.test>", "src.test>"},
		},
		"dropped": {
			history.Redactions{history.FieldSubject: policy.Drop, history.FieldRecipient: policy.Drop, history.FieldSender: policy.Drop, history.FieldIP: policy.Drop},
			[]string{"[redacted]"}, []string{"nobody", "ann@", subject, "192.0.2.1|"},
		},
	}
}

// TestStricterRulesReachOlderRecords: what is written after a switch shows no
// more than the policy lets, and a job brings what was written before to the same.
func TestStricterRulesReachOlderRecords(t *testing.T) {
	t.Parallel()
	for name, c := range redactionCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab.EachDB(t, append(schemas(), job.Schema), func(t *testing.T, d *db.DB) { rewritten(t, d, c) })
		})
	}
}

func rewritten(t *testing.T, d *db.DB, c redactionCase) {
	says := &withhold{}
	r := newRoadWith(t, d, clock.Wall{}, says)
	r.courier.says = "no such user <nobody@dst.test> about A most secret title"
	index, err := r.history.OpenIndex(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	const mail = "From: ann@src.test\r\nSubject: A most secret title\r\n\r\nx\r\n"
	before := r.send("ann@src.test", mail, "nobody@dst.test")
	r.courier.wait(t, 2)
	r.settled()
	says.rules.Store(&c.rules)
	after := r.send("ann@src.test", mail, "nobody@dst.test")
	r.courier.wait(t, 2)
	r.settled()
	if err := index.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	look := func(when string, m ids.Message) {
		t.Helper()
		text := r.trace(m)
		for _, s := range c.seen {
			if !strings.Contains(text, s) {
				t.Errorf("%s does not show %q: %s", when, s, text)
			}
		}
		for _, s := range c.gone {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q: %s", when, s, text)
			}
		}
	}
	look("a record after the switch", after.Message)
	if text := r.trace(before.Message); !strings.Contains(text, "nobody@dst.test") {
		t.Fatalf("the test does not see what it looks for: %s", text)
	}
	source := ids.NewSource(clock.Wall{}, 2, 0)
	jobs := job.NewStore(d, source)
	rewriter := r.history.Rewriter(jobs, source, 0)
	runner := job.NewRunner(jobs, clock.Wall{}, observe.Silent(), 1, 1)
	runner.Handle(history.RedactJob, rewriter.Work)
	for range 2 { // once it is seen, once it has settled
		if err := rewriter.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if did, err := runner.RunOnce(t.Context()); err != nil || !did {
		t.Fatalf("a job ran: %v, %v", did, err)
	}
	look("a record before the switch", before.Message)
	look("a record after it, rewritten again", after.Message)
	hash, err := r.vault.Hash(tenant, "address", "nobody@dst.test")
	if err != nil {
		t.Fatal(err)
	}
	if list, err := index.Events(t.Context(), tenant, hash); err != nil || len(list) != 0 {
		t.Errorf("the index still leads from the person to %d rows, %v", len(list), err)
	}
	if found, _, err := r.history.Search(t.Context(), scope.Tenant(tenant), history.Query{Recipient: parse(t, "nobody@dst.test")}); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	// Looser again: nothing comes back, and nothing is rewritten.
	says.rules.Store(&history.Redactions{})
	for range 3 {
		if err := rewriter.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if did, err := runner.RunOnce(t.Context()); err != nil || did {
		t.Errorf("a looser policy rewrote: %v, %v", did, err)
	}
}
