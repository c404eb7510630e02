package intake_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/lab"
)

// persons is the road with the holders of its stores.
type persons struct {
	*road
	look   *lookup.Index
	reader *history.Reader
	record *history.Holder
	waits  *queue.Holder
	tags   []string // of what hold accepts
}

func newPersons(t *testing.T, d *db.DB) *persons {
	t.Helper()
	p := &persons{road: newRoad(t, d, clock.Wall{})}
	var err error
	if p.look, err = lookup.Open(t.Context(), d, "test"); err != nil {
		t.Fatal(err)
	}
	if p.reader, err = p.history.Reader(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	p.record = p.history.Holder(p.look, p.catchUp)
	p.waits = p.queue.Holder(p.record)
	return p
}

// catchUp is the plainest indexer of accepted messages.
func (p *persons) catchUp(ctx context.Context) error {
	for {
		b, err := p.reader.Next(ctx, 100)
		if err != nil || len(b.Events) == 0 {
			return err
		}
		var entries []lookup.Entry
		for _, e := range b.Events {
			if e.Kind != history.Accepted {
				continue
			}
			for _, text := range append([]string{e.Detail.Sender}, e.Detail.Recipients...) {
				if text == "" {
					continue
				}
				hash, err := p.vault.Hash(e.Tenant, "address", parse(p.t, text).Canonical())
				if err != nil {
					return err
				}
				entries = append(entries, lookup.Entry{Hash: hash, Node: e.Position.Node, Seq: e.Position.Seq})
			}
		}
		last := b.Events[len(b.Events)-1].Position
		if err := p.look.Add(ctx, entries, map[int]int64{last.Node: last.Seq}); err != nil {
			return err
		}
		if err := p.reader.Commit(ctx, b); err != nil {
			return err
		}
	}
}

// hold accepts a message that waits for a person.
func (p *persons) hold(in ids.Tenant, sender, body string, recipients ...string) intake.Receipt {
	p.t.Helper()
	draft := p.drafts.Begin(p.t.Context())
	if _, err := draft.Write([]byte(body)); err != nil {
		p.t.Fatal(err)
	}
	if err := draft.Finish(); err != nil {
		p.t.Fatal(err)
	}
	s := &intake.Submission{
		Tenant: in, Direction: history.Outbound, Sender: parse(p.t, sender), Draft: draft, Hold: "looked at by hand", Tags: p.tags,
		Peer: deliver.Peer{IP: "192.0.2.1", Protocol: "ESMTPSA"},
	}
	for _, to := range recipients {
		s.Recipients = append(s.Recipients, queue.Recipient{Address: parse(p.t, to), Route: deliver.Route{Kind: deliver.Host, Hosts: []string{"mx.test:25"}}})
	}
	receipt, err := p.intake.Accept(p.t.Context(), s)
	if err != nil {
		p.t.Fatal(err)
	}
	return receipt
}

// everything is all that history and the queue say, opened.
func (p *persons) everything(in scope.Scope, messages ...ids.Message) string {
	p.t.Helper()
	var b strings.Builder
	for _, m := range messages {
		events, err := p.history.Of(p.t.Context(), in, m)
		if err != nil {
			continue
		}
		for _, e := range events {
			fmt.Fprintf(&b, "%v %+v\n", e.Kind, e.Detail)
			if c, err := p.history.Conversation(p.t.Context(), scope.Everyone, e.Attempt); err == nil {
				fmt.Fprintf(&b, "%+v\n", c.Steps)
			}
		}
	}
	items, err := p.queue.List(p.t.Context(), in, queue.Filter{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, i := range items {
		fmt.Fprintf(&b, "queue %s %s\n", i.Recipient.Text(), i.Why)
	}
	return b.String()
}

func subject(p *persons, s scope.Scope, who string) pledge.Subject {
	return pledge.Subject{Scope: s, Address: parse(p.t, who)}
}

func TestAPersonIsErasedFromQueueAndHistory(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		p := newPersons(t, d)
		shared := p.hold(tenant, "ann@src.test", mail, "Bob@dst.test", "carol@dst.test")
		from := p.hold(tenant, "bob@dst.test", strings.Replace(mail, "Subject:", "Message-ID: <bobs@dst.test>\r\nSubject:", 1), "carol@dst.test")
		alone := p.hold(tenant, "bob@dst.test", mail, "bob@dst.test")
		other := p.hold(tenant+1, "ann@src.test", mail, "bob@dst.test")
		all := []ids.Message{shared.Message, from.Message, alone.Message, other.Message}
		bob := subject(p, scope.Tenant(tenant), "bob@dst.test")

		traces, err := p.record.Find(t.Context(), bob)
		if err != nil || len(traces) != 1 || traces[0].Count != 3 {
			t.Fatalf("found %+v, %v", traces, err)
		}
		if traces, err = p.waits.Find(t.Context(), bob); err != nil || len(traces) != 1 || traces[0].Count != 3 {
			t.Fatalf("found in the queue %+v, %v", traces, err)
		}
		for range 2 { // a repeat finishes what the first call began and changes nothing more
			if gone, err := p.waits.Erase(t.Context(), bob); err != nil || gone[0].Later != 0 {
				t.Fatalf("erased %+v, %v", gone, err)
			}
			if _, err := p.record.Erase(t.Context(), bob); err != nil {
				t.Fatal(err)
			}
		}
		said := strings.ToLower(p.everything(scope.Tenant(tenant), all...))
		for _, trace := range []string{"bob@dst.test", "bobs@dst.test"} {
			if strings.Contains(said, trace) {
				t.Errorf("%q is still said:\n%s", trace, said)
			}
		}
		if !strings.Contains(said, "hello böb") || !strings.Contains(said, "carol@dst.test") || strings.Count(said, "hello böb") != 1 {
			t.Errorf("what belongs to others must stay, the erased sender's subject must not:\n%s", said)
		}
		if _, err := p.history.Of(t.Context(), scope.Everyone, alone.Message); err == nil {
			t.Error("a record of which nothing of anybody is left stays")
		}
		if _, err := p.queue.Content(t.Context(), scope.Everyone, shared.Message); err != nil {
			t.Errorf("the bytes that carol waits for are gone: %v", err)
		}
		if _, err := p.queue.Content(t.Context(), scope.Everyone, from.Message); err == nil {
			t.Error("the bytes of the erased sender's message stay")
		}
		if !strings.Contains(p.everything(scope.Everyone, other.Message), "bob@dst.test") {
			t.Error("another customer's record was touched")
		}
		if err := p.record.Forget(t.Context(), bob); err != nil {
			t.Fatal(err)
		}
		hash, _ := p.vault.Hash(tenant, "address", "bob@dst.test")
		if left, err := p.look.Find(t.Context(), hash, lookup.Bounds{}); err != nil || len(left) != 0 {
			t.Errorf("the look-up still knows %v, %v", left, err)
		}
		// For everyone: the other customer's too.
		everyone := subject(p, scope.Everyone, "bob@dst.test")
		if _, err := p.waits.Erase(t.Context(), everyone); err != nil {
			t.Fatal(err)
		}
		if _, err := p.record.Erase(t.Context(), everyone); err != nil {
			t.Fatal(err)
		}
		if said := p.everything(scope.Everyone, all...); strings.Contains(strings.ToLower(said), "bob@dst.test") {
			t.Errorf("after the erasure for everyone:\n%s", said)
		}
	})
}

// TestWhatIsCommittedLaterIsReached erases while a courier has the mail: the
// outcome is written afterwards, and the repeat reaches it.
func TestWhatIsCommittedLaterIsReached(t *testing.T) {
	t.Parallel()
	p := newPersons(t, lab.DB(t, schemas()...))
	receipt := p.send("ann@src.test", mail, "bob@dst.test") // born leased
	bob := subject(p, scope.Everyone, "bob@dst.test")
	gone, err := p.waits.Erase(t.Context(), bob)
	if err != nil || gone[0].Count != 0 || gone[0].Later != 1 {
		t.Fatalf("erased %+v, %v", gone, err)
	}
	if _, err := p.record.Erase(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.courier.wait(t, 1)
	p.settled()
	if said := p.everything(scope.Everyone, receipt.Message); !strings.Contains(said, "bob@dst.test") {
		t.Fatalf("the test does not write the person's address after the first pass:\n%s", said)
	}
	if traces, err := p.record.Find(t.Context(), bob); err != nil || len(traces) == 0 {
		t.Errorf("what came later is not found: %v, %v", traces, err)
	}
	if _, err := p.record.Erase(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	if said := p.everything(scope.Everyone, receipt.Message); strings.Contains(said, "bob@dst.test") {
		t.Errorf("what came later stays:\n%s", said)
	}
}

func TestRestrictedMailWaits(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		p := newPersons(t, d)
		m := p.hold(tenant, "ann@src.test", mail, "bob@dst.test", "carol@dst.test")
		if _, err := p.queue.Release(t.Context(), scope.Tenant(tenant), queue.Selection{Message: m.Message}, queue.Hand{}); err != nil {
			t.Fatal(err)
		}
		bob := subject(p, scope.Tenant(tenant), "bob@dst.test")
		for range 2 {
			if _, err := p.waits.Restrict(t.Context(), bob, true); err != nil {
				t.Fatal(err)
			}
		}
		states := func() string {
			items, err := p.queue.OfMessage(t.Context(), scope.Tenant(tenant), m.Message)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, i := range items {
				fmt.Fprintf(&b, "%s:%s ", i.Recipient.Local(), i.State)
			}
			return b.String()
		}
		if got := states(); got != "bob:held carol:ready " {
			t.Errorf("restricted: %s", got)
		}
		if n, err := p.waits.Restrict(t.Context(), bob, false); n != 1 || err != nil {
			t.Errorf("lifted %d, %v", n, err)
		}
		if got := states(); got != "bob:ready carol:ready " {
			t.Errorf("lifted: %s", got)
		}
	})
}

func TestAPersonGetsTheirMail(t *testing.T) {
	t.Parallel()
	p := newPersons(t, lab.DB(t, schemas()...))
	p.hold(tenant, "ann@src.test", mail, "bob@dst.test", "carol@dst.test")
	bob := subject(p, scope.Tenant(tenant), "bob@dst.test")
	var said strings.Builder
	for _, holder := range []pledge.Holder{p.waits, p.record} {
		err := holder.HandOver(t.Context(), bob, func(r pledge.Record) error {
			fmt.Fprintf(&said, "%s %v\n", r.Category, r.Fields)
			if r.Content == nil {
				return nil
			}
			return r.Content(t.Context(), func(b []byte) error { said.Write(b); return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"body line", "sender:ann@src.test", "recipient:bob@dst.test", "queued mail", "message records"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not handed over:\n%s", want, said.String())
		}
	}
	if strings.Contains(said.String(), "recipient:carol") {
		t.Errorf("another recipient was handed over:\n%s", said.String())
	}
}

// TestPurgeTakesWhatIsOlder goes by the second, on both databases.
func TestPurgeTakesWhatIsOlder(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		p := newPersons(t, d)
		m := p.hold(tenant, "ann@src.test", mail, "bob@dst.test")
		events, err := p.history.Of(t.Context(), scope.Everyone, m.Message)
		if err != nil {
			t.Fatal(err)
		}
		at := events[len(events)-1].At
		if n, err := p.history.Purge(t.Context(), scope.Everyone, at.Add(-time.Second)); n != 0 || err != nil {
			t.Errorf("one second too young: %d went, %v", n, err)
		}
		if oldest, err := p.history.Oldest(t.Context()); err != nil || oldest.After(at) {
			t.Errorf("oldest %v, %v", oldest, err)
		}
		if n, err := p.history.Purge(t.Context(), scope.Everyone, at.Add(time.Second)); n != len(events) || err != nil {
			t.Errorf("one second too old: %d of %d went, %v", n, len(events), err)
		}
	})
}

// TestAWebhookThatWaitsIsErased: mail of the person's that an endpoint has not taken
// yet never goes to it.
func TestAWebhookThatWaitsIsErased(t *testing.T) {
	t.Parallel()
	p := newPersons(t, lab.DB(t, schemas()...))
	for _, from := range []string{"ann@persons.test", "bob@persons.test"} {
		draft := p.drafts.Begin(t.Context())
		if _, err := draft.Write([]byte(mail)); err != nil {
			t.Fatal(err)
		}
		if err := draft.Finish(); err != nil {
			t.Fatal(err)
		}
		_, err := p.intake.Accept(t.Context(), &intake.Submission{
			Tenant: tenant, Direction: history.Inbound, Sender: parse(t, from), Draft: draft, Hold: "the endpoint is away", Peer: deliver.Peer{IP: "192.0.2.1", Protocol: "ESMTP"},
			Recipients: []queue.Recipient{{Address: parse(t, "in@shop.test"), Route: deliver.Route{Kind: deliver.Webhook}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ann := subject(p, scope.Tenant(tenant), "ann@persons.test")
	gone, err := p.waits.Erase(t.Context(), ann)
	if err != nil || len(gone) != 1 || gone[0].Count != 1 {
		t.Errorf("erased %+v, %v", gone, err)
	}
	left, err := p.queue.List(t.Context(), ann.Scope, queue.Filter{})
	if err != nil || len(left) != 1 {
		t.Fatalf("%d wait, %v", len(left), err)
	}
	if found, err := p.waits.Find(t.Context(), ann); err != nil || len(found) != 0 {
		t.Errorf("after the erasure %+v, %v", found, err)
	}
}

// TestAPersonIsFoundByAttributes: what a customer wrote into its messages'
// attributes finds the person where the customer declared it, hands over the
// person's own alone, and goes with the person.
func TestAPersonIsFoundByAttributes(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		const other = tenant + 1
		p := newPersons(t, d)
		index, err := p.history.OpenIndex(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.record = index.Holder()
		p.record.Declared = func(_ context.Context, in ids.Tenant) (map[string]pledge.Sort, error) {
			return map[ids.Tenant]map[string]pledge.Sort{tenant: {"customer": pledge.CustomerNumber, "tel": pledge.Phone}}[in], nil
		}
		p.tags = []string{"invoice", history.Attribute("customer", "K-004211"), history.Attribute("tel", "+49 170 1234567"), history.Attribute("shop", "north")}
		home := p.hold(tenant, "shop@src.test", strings.Replace(mail, "Subject:", "Subject: for K-004211", 1), "partner@dst.test")
		theirs := p.hold(other, "shop@src.test", mail, "partner@dst.test")
		p.tags = []string{history.Attribute("customer", "K-9")}
		direct := p.hold(tenant, "shop@src.test", mail, "ann@dst.test")
		who := subject(p, scope.Tenant(tenant), "ann@dst.test")
		found := func(s pledge.Subject) (n int) {
			t.Helper()
			traces, err := p.record.Find(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range traces {
				n += x.Count
			}
			return n
		}
		if n := found(who); n != 1 {
			t.Errorf("by the address %d records", n)
		}
		number, phone := pledge.Identifier{Is: pledge.CustomerNumber, Value: " k-004211"}, pledge.Identifier{Is: pledge.Phone, Value: "0049 (170) 1234567"}
		for _, x := range []struct {
			in   scope.Scope
			by   []pledge.Identifier
			want int
		}{
			{who.Scope, []pledge.Identifier{number}, 2}, {who.Scope, []pledge.Identifier{phone}, 2}, {who.Scope, []pledge.Identifier{number, phone}, 2},
			{who.Scope, []pledge.Identifier{{Is: pledge.CustomerNumber, Value: "K-00421"}}, 1}, {who.Scope, []pledge.Identifier{{Is: pledge.FullName, Value: "north"}}, 1},
			{scope.Tenant(other), []pledge.Identifier{number}, 0}, // did not declare it
		} {
			s := who
			s.Scope, s.Identifiers = x.in, x.by
			if n := found(s); n != x.want {
				t.Errorf("in %v by %+v %d records, want %d", x.in, x.by, n, x.want)
			}
		}
		who.Identifiers = []pledge.Identifier{number}
		err = p.record.HandOver(t.Context(), who, func(r pledge.Record) error {
			if r.ID == home.Message.String() && (r.Fields["attribute_customer"] != "K-004211" || r.Fields["attribute_shop"] != "" || r.Fields["attribute_tel"] != "") {
				t.Errorf("of somebody else's message the person gets %v", r.Fields)
			}
			if r.ID == direct.Message.String() && r.Fields["attribute_customer"] != "K-9" {
				t.Errorf("of their own message the person gets %v", r.Fields)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.record.Erase(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		if n := found(who); n != 0 {
			t.Errorf("after the erasure %d records", n)
		}
		left := p.everything(who.Scope, home.Message)
		if strings.Contains(left, "004211") || !strings.Contains(left, "partner@dst.test") || !strings.Contains(left, "1234567") {
			t.Errorf("of the other's message is left %s", left)
		}
		if !strings.Contains(p.everything(scope.Tenant(other), theirs.Message), "004211") {
			t.Error("another customer's record was changed")
		}
		if err := p.record.Forget(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	})
}
