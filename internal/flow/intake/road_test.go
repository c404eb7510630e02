package intake_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// road is the whole road with a scripted courier at its end.
type road struct {
	t       *testing.T
	db      *db.DB
	queue   *queue.Queue
	history *history.History
	intake  *intake.Intake
	drafts  *blob.Drafts
	vault   *vault.Vault
	courier *scripted
	gate    *gate
	clock   clock.Clock
}

// scripted answers each recipient by its local part and keeps what it carried.
type scripted struct {
	mu      sync.Mutex
	carried []carried
	came    chan struct{}
	says    string // instead of "no such user"
}

type carried struct {
	recipient string
	sender    string
	attempt   int
	content   string
}

func (s *scripted) Deliver(_ context.Context, p *deliver.Parcel) []outcome.Outcome {
	b := make([]byte, p.Content.Size())
	if _, err := p.Content.ReadAt(b, 0); err != nil && err.Error() != "EOF" {
		panic(err)
	}
	list := make([]outcome.Outcome, len(p.Recipients))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range p.Recipients {
		s.carried = append(s.carried, carried{r.Address.Text(), p.Sender.Text(), p.Attempt, string(b)})
		switch {
		case strings.HasPrefix(r.Address.Local(), "nobody"):
			list[i] = outcome.FromReply("mx.test", reply.New(550, "5.1.1", or(s.says, "no such user")))
			list[i].Conversation = &outcome.Conversation{Steps: []outcome.Step{{Sent: "RCPT TO:<" + r.Address.Text() + ">", Got: list[i].Reply.String()}}}
		case strings.HasPrefix(r.Address.Local(), "later") && p.Attempt == 1:
			list[i] = outcome.FromReply("mx.test", reply.New(450, "4.2.0", "try later"))
		default:
			list[i] = outcome.FromReply("mx.test", reply.New(250, "2.0.0", "taken"))
		}
	}
	s.came <- struct{}{}
	return list
}

func (s *scripted) wait(t *testing.T, parcels int) []carried {
	t.Helper()
	for range parcels {
		select {
		case <-s.came:
		case <-time.After(20 * time.Second):
			t.Fatal("the courier was not called")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]carried(nil), s.carried...)
}

// gate refuses whom it is told to, and notes bounces.
type gate struct {
	mu      sync.Mutex
	refused map[string]string
	bounced []string
}

func (g *gate) Refused(_ context.Context, _ ids.Tenant, list []address.Address) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	why := make([]string, len(list))
	for i, a := range list {
		why[i] = g.refused[a.Canonical()]
	}
	return why, nil
}

func (g *gate) Bounced(_ *db.Unit, _ ids.Tenant, a address.Address, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bounced = append(g.bounced, a.Canonical())
	return nil
}

type everywhere struct{}

func (everywhere) Route(context.Context, ids.Tenant, address.Address) (deliver.Route, error) {
	return deliver.Route{Kind: deliver.Host, Hosts: []string{"mx.test:25"}}, nil
}

const tenant = ids.Tenant(77)

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func newRoad(t *testing.T, d *db.DB, c clock.Clock) *road {
	t.Helper()
	return newRoadWith(t, d, c, history.NoRedaction{})
}

func newRoadWith(t *testing.T, d *db.DB, c clock.Clock, policy history.Redaction) *road {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	blobs, err := blob.Folder(disk.Machine{}, t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{t: t, db: d, clock: c, vault: v, courier: &scripted{came: make(chan struct{}, 1000)}, gate: &gate{refused: map[string]string{}}}
	r.history = history.New(d, v, source, c, policy)
	r.queue = queue.New(queue.Parts{
		DB: d, Vault: v, Blobs: blobs, IDs: source, Clock: c, Observe: observe.Silent(), History: r.history,
		Gate: r.gate, Routes: everywhere{}, Couriers: map[deliver.RouteKind]deliver.Courier{deliver.Host: r.courier},
	}, queue.Config{Hostname: "mail.test", Couriers: 4})
	r.drafts = blob.NewDrafts(blobs, 64<<10)
	r.intake = &intake.Intake{Hostname: "mail.test", DB: d, IDs: source, Clock: c, Log: observe.Silent().Log, Queue: r.queue, History: r.history}
	return r
}

func (r *road) start() {
	r.t.Helper()
	if err := r.queue.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := r.queue.Stop(10 * time.Second); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *road) send(sender, body string, recipients ...string) intake.Receipt {
	r.t.Helper()
	draft := r.drafts.Begin(r.t.Context())
	if _, err := draft.Write([]byte(body)); err != nil {
		r.t.Fatal(err)
	}
	if err := draft.Finish(); err != nil {
		r.t.Fatal(err)
	}
	s := &intake.Submission{Tenant: tenant, Direction: history.Outbound, Sender: parse(r.t, sender), Draft: draft, Peer: deliver.Peer{IP: "192.0.2.1", Protocol: "ESMTPSA"}}
	for _, to := range recipients {
		s.Recipients = append(s.Recipients, queue.Recipient{Address: parse(r.t, to), Route: deliver.Route{Kind: deliver.Host, Hosts: []string{"mx.test:25"}}})
	}
	receipt, err := r.intake.Accept(r.t.Context(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	return receipt
}

func parse(t *testing.T, s string) address.Address {
	t.Helper()
	if s == "" {
		return address.Address{}
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// settled waits until the queue of the scope is empty.
func (r *road) settled() {
	r.t.Helper()
	for range 400 {
		counts, err := r.queue.Counts(r.t.Context(), scope.Everyone)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(counts) == 0 {
			return
		}
		if err := clock.Sleep(r.t.Context(), clock.Wall{}, 10*time.Millisecond); err != nil {
			r.t.Fatal(err)
		}
	}
	r.t.Fatal("the queue did not empty")
}

const mail = "From: Ann <ann@src.test>\r\nTo: bob@dst.test\r\nSubject: Hello =?utf-8?q?B=C3=B6b?=\r\n\r\nbody line\r\n"

func TestEachRecipientHasItsOwnOutcome(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r := newRoad(t, d, clock.Wall{})
		r.gate.refused["blocked@dst.test"] = "The recipient asked for no more mail."
		r.start()
		receipt := r.send("ann@src.test", mail, "bob@dst.test", "nobody@dst.test", "later@dst.test", "blocked@dst.test")
		r.courier.wait(t, 2) // the parcel, then the notice to ann
		items, err := r.queue.OfMessage(t.Context(), scope.Tenant(tenant), receipt.Message)
		for range 100 {
			if items, err = r.queue.OfMessage(t.Context(), scope.Tenant(tenant), receipt.Message); err != nil || len(items) == 1 {
				break
			}
			_ = clock.Sleep(t.Context(), clock.Wall{}, 10*time.Millisecond)
		}
		if err != nil || len(items) != 1 || items[0].Recipient.Local() != "later" || items[0].LastReply != "450 4.2.0 try later" || items[0].State != queue.Ready {
			t.Fatalf("queue %+v, %v", items, err)
		}
		if n, err := r.queue.Retry(t.Context(), scope.Tenant(tenant), queue.Selection{Message: receipt.Message}, queue.Hand{}); n != 1 || err != nil {
			t.Fatalf("retried %d, %v", n, err)
		}
		got := r.courier.wait(t, 1)
		r.settled()
		last := got[len(got)-1]
		if last.recipient != "later@dst.test" || last.attempt != 2 {
			t.Errorf("second attempt %+v", last)
		}
		for _, c := range got {
			if c.recipient == "blocked@dst.test" {
				t.Error("a refused recipient was sent to")
			}
		}
		notice := got[4-1]
		if notice.recipient != "ann@src.test" || notice.sender != "" || !strings.Contains(notice.content, "Final-Recipient: rfc822; nobody@dst.test") || strings.Contains(notice.content, "body line") {
			t.Errorf("notice %+v", notice)
		}
		if len(r.gate.bounced) != 1 || r.gate.bounced[0] != "nobody@dst.test" {
			t.Errorf("suppressed %v", r.gate.bounced)
		}
	})
}

func TestLargeContentGoesThroughTheBlobStore(t *testing.T) {
	t.Parallel()
	r := newRoad(t, lab.DB(t, schemas()...), clock.Wall{})
	large := mail + strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 20000)
	r.send("ann@src.test", large, "bob@dst.test")
	r.start() // what was accepted before is found in the store
	got := r.courier.wait(t, 1)
	if !strings.HasSuffix(got[0].content, large) {
		t.Errorf("carried %d bytes, sent %d", len(got[0].content), len(large))
	}
	r.settled()
}

func TestWhatWasLeasedSurvivesARestart(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		r := newRoad(t, d, clock.Wall{})
		r.send("ann@src.test", mail, "bob@dst.test") // leased by a queue that never starts
		r.start()
		if got := r.courier.wait(t, 1); got[0].recipient != "bob@dst.test" {
			t.Errorf("carried %+v", got)
		}
		r.settled()
	})
}

func schemas() []db.Schema {
	return []db.Schema{lookup.Schema, history.Schema(), queue.Schema()}
}
