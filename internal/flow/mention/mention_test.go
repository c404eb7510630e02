package mention

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
)

// mail is a customer's mail as this package reaches it.
type mail struct {
	*Store
	t      *testing.T
	runner *job.Runner
	clock  *lab.Clock
	ids    *ids.Source
	waits  []letter
}

type letter struct {
	tenant            ids.Tenant
	id                ids.Message
	from, to, subject string
	body              string // "": it waits no longer, its record is there
}

func (m *mail) List(_ context.Context, s scope.Scope, f queue.Filter) ([]queue.Item, error) {
	var list []queue.Item
	for _, l := range m.waits {
		if s.Allows(l.tenant) && l.body != "" && ids.Recipient(l.id) > f.After && len(list) < f.Limit {
			list = append(list, queue.Item{ID: ids.Recipient(l.id), Message: l.id, Tenant: l.tenant})
		}
	}
	return list, nil
}

func (m *mail) letter(s scope.Scope, id ids.Message) *letter {
	for i, l := range m.waits {
		if l.id == id && s.Allows(l.tenant) {
			return &m.waits[i]
		}
	}
	return nil
}

func (m *mail) Content(_ context.Context, s scope.Scope, id ids.Message) (*queue.Content, error) {
	l := m.letter(s, id)
	if l == nil {
		return nil, fault.New(fault.NotFound, "gone")
	}
	return &queue.Content{Content: bytes.NewReader([]byte(l.body))}, nil
}

func (m *mail) Of(_ context.Context, s scope.Scope, id ids.Message) ([]history.Event, error) {
	l := m.letter(s, id)
	if l == nil {
		return nil, fault.New(fault.NotFound, "gone")
	}
	return []history.Event{{Message: id, Tenant: l.tenant, Kind: history.Accepted, Detail: history.Detail{Sender: l.from, Recipients: []string{l.to}, Subject: l.subject}}}, nil
}

func (m *mail) Tenants(context.Context) ([]ids.Tenant, error) { return []ids.Tenant{acme, other}, nil }

func (m *mail) Messages(_ context.Context, s pledge.Subject, yield func(history.Found) error) error {
	for _, l := range m.waits {
		if s.Scope.Allows(l.tenant) && (l.from == s.Address.Text() || l.to == s.Address.Text()) {
			if err := yield(history.Found{Tenant: l.tenant, Message: l.id}); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjects finds as flow/words does.
type subjects struct{ *mail }

func (x subjects) Find(_ context.Context, s scope.Scope, q history.WordQuery) ([]ids.Message, ids.Message, error) {
	var list []ids.Message
	for _, l := range x.waits {
		if s.Allows(l.tenant) && strings.Contains(history.Fold(l.subject), q.Text) {
			list = append(list, l.id)
		}
	}
	return list, 0, nil
}

const acme, other = ids.Tenant(7), ids.Tenant(8)

func newMail(t *testing.T, d *db.DB, c *lab.Clock) *mail {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	jobs := job.NewStore(d, source)
	m := &mail{t: t, clock: c, ids: source, runner: job.NewRunner(jobs, c, observe.Silent(), 1, 1)}
	m.Store = New(Config{
		DB: d, Vault: keys.Vault(t, c, source), Jobs: jobs, Queue: m, Subjects: subjects{m}, Records: m, Persons: m,
		Stage: evidence.NewStage(d), Nudge: func() {}, IDs: source, Clock: c,
	})
	m.runner.Handle(Job, m.Work)
	return m
}

func (m *mail) add(in ids.Tenant, from, to, subject, body string) ids.Message {
	l := letter{tenant: in, id: ids.New[ids.Message](m.ids), from: from, to: to, subject: subject}
	if body != "" {
		l.body = "From: " + from + "\r\nSubject: " + subject + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body
	}
	m.waits = append(m.waits, l)
	return l.id
}

func (m *mail) run() {
	m.t.Helper()
	m.clock.Wind(time.Minute) // the database's clock may be ahead
	if ran, err := m.runner.RunOnce(m.t.Context()); err != nil || !ran {
		m.t.Fatalf("the job ran: %v, %v", ran, err)
	}
}

func who(t *testing.T, text string, more ...pledge.Identifier) pledge.Subject {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return pledge.Subject{Scope: scope.Tenant(acme), Address: a, Identifiers: more}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMentionsAreFoundReviewedAndHandedOver: on order, within one customer's mail,
// between others alone; and only what somebody let leave does.
func TestMentionsAreFoundReviewedAndHandedOver(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{job.Schema, evidence.Schema(), Schema}, func(t *testing.T, d *db.DB) {
		m := newMail(t, d, lab.NewClock(time.Now()))
		ctx := t.Context()
		ann := who(t, "ann@persons.example", pledge.Identifier{Is: pledge.FullName, Value: "Ann L\u00e9ger"})
		first := m.add(acme, "bob@a.example", "carol@b.example", "Lunch", "Carol, ANN LE\u0301GER owes us money. Tell dave@c.example.\r\n")
		m.add(acme, "bob@a.example", "carol@b.example", "Hannah", "Hann L\u00e9gers mann@persons.example.com is somebody else, as is joann l\u00e9ger.\r\n")
		m.add(acme, "ann@persons.example", "carol@b.example", "From Ann L\u00e9ger", "ann@persons.example wrote this herself.\r\n")
		second := m.add(acme, "bob@a.example", "carol@b.example", "About Ann L\u00e9ger and ann@persons.example", "")
		m.add(other, "bob@a.example", "carol@b.example", "Ann L\u00e9ger", "Ann L\u00e9ger again.\r\n")
		x, err := m.Order(ctx, acme, evidence.Actor{Role: evidence.ByOwner}, ann)
		must(t, err)
		if !x.Ended.IsZero() || x.Address.Canonical() != ann.Address.Canonical() {
			t.Errorf("ordered %+v", x)
		}
		if said, err := m.Said(ctx, ann); err != nil || said != "" {
			t.Errorf("before the end an archive says %q, %v", said, err)
		}
		m.run()
		x, err = m.Get(ctx, scope.Tenant(acme), x.ID)
		must(t, err)
		list, err := m.Places(ctx, scope.Tenant(acme), x.ID, 0, 100)
		must(t, err)
		if x.Ended.IsZero() || !x.Whole || x.Found != 2 || x.Open != 2 || len(list) != 2 || list[0].Message != first || list[0].Where != "text" || list[1].Message != second || list[1].Where != "subject" {
			t.Fatalf("found %+v %+v", x, list)
		}
		if _, err := m.Places(ctx, scope.Tenant(other), x.ID, 0, 100); !fault.Is(err, fault.NotFound) {
			t.Errorf("another customer reads it: %v", err)
		}
		if got := m.handed(ann); len(got) != 0 {
			t.Errorf("before the review %q left", got)
		}
		by := evidence.Actor{Role: evidence.ByOwner}
		must(t, m.Decide(ctx, scope.Tenant(acme), by, x.ID, 1, Mask, ""))
		must(t, m.Decide(ctx, scope.Tenant(acme), by, x.ID, 2, LeaveOut, ""))
		if got := m.handed(ann); len(got) != 1 || !strings.Contains(got[0], "ann l\u00e9ger") || strings.Contains(got[0], "money") {
			t.Errorf("masked: %q", got)
		}
		must(t, m.Decide(ctx, scope.Tenant(acme), by, x.ID, 1, Mask, "Ann owes [...]"))
		must(t, m.Decide(ctx, scope.Tenant(acme), by, x.ID, 2, Keep, ""))
		if got := m.handed(ann); len(got) != 2 || got[0] != "Ann owes [...]" || !strings.Contains(got[1], "About Ann") {
			t.Errorf("kept: %q", got)
		}
		for _, err := range []error{
			m.Decide(ctx, scope.Tenant(acme), by, x.ID, 1, "perhaps", ""), m.Decide(ctx, scope.Tenant(acme), by, x.ID, 1, Mask, strings.Repeat("a", 1000)),
		} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("decided: %v", err)
			}
		}
		for _, err := range []error{m.Decide(ctx, scope.Tenant(other), by, x.ID, 1, Keep, ""), m.Decide(ctx, scope.Tenant(acme), by, x.ID, 3, Keep, "")} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("decided: %v", err)
			}
		}
		if said, err := m.Said(ctx, ann); err != nil || !strings.Contains(said, "2 places were found, 2 are in this archive") {
			t.Errorf("an archive says %q, %v", said, err)
		}
		m.erased(ann, x.ID)
	})
}

// erased: the other's mail takes its place along, the person the whole search.
func (m *mail) erased(ann pledge.Subject, id ids.Job) {
	m.t.Helper()
	erase := func(s pledge.Subject, want int) {
		m.t.Helper()
		gone, err := m.Erase(m.t.Context(), s)
		if err != nil || len(gone) != 1 || gone[0].Count != want {
			m.t.Errorf("erased %+v, %v; want %d", gone, err, want)
		}
	}
	found := func() int {
		m.t.Helper()
		list, err := m.Find(m.t.Context(), ann)
		must(m.t, err)
		return len(list)
	}
	erase(who(m.t, "carol@b.example"), 2)
	if list, err := m.Places(m.t.Context(), ann.Scope, id, 0, 100); err != nil || len(list) != 0 || found() != 1 {
		m.t.Errorf("after the other's erasure %+v, %v", list, err)
	}
	erase(ann, 1)
	erase(ann, 0)
	if found() != 0 {
		m.t.Error("after the erasure the search is found")
	}
}

func (m *mail) handed(s pledge.Subject) []string {
	m.t.Helper()
	var words []string
	must(m.t, m.HandOver(m.t.Context(), s, func(r pledge.Record) error {
		if w := r.Fields["words"]; w != "" {
			words = append(words, w)
		}
		return nil
	}))
	return words
}

// TestASearchHasBounds: it stops, and says so; a purge takes it at its period.
func TestASearchHasBounds(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	d := lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c, Wind: func(time.Time) time.Time { return c.Now() }}, job.Schema, evidence.Schema(), Schema)
	m := newMail(t, d, c)
	for n := range 260 {
		var text strings.Builder
		for k := range 8 {
			fmt.Fprintf(&text, "%d in %d: ann@persons.example %s. ", k, n, strings.Repeat("far ", 80))
		}
		m.add(acme, "bob@a.example", "carol@b.example", "x", text.String())
	}
	ann := who(t, "ann@persons.example")
	x, err := m.Order(t.Context(), acme, evidence.Actor{Role: evidence.ByOwner}, ann)
	must(t, err)
	for range 2 {
		_, err := m.Order(t.Context(), acme, evidence.Actor{Role: evidence.ByOwner}, who(t, "bob@persons.example"))
		must(t, err)
	}
	if _, err := m.Order(t.Context(), acme, evidence.Actor{Role: evidence.ByOwner}, ann); !fault.Is(err, fault.Exhausted) {
		t.Errorf("a fourth search at once: %v", err)
	}
	for range 3 {
		m.run()
	}
	x, err = m.Get(t.Context(), scope.Tenant(acme), x.ID)
	must(t, err)
	if x.Found != MaxFound || x.Whole || x.Ended.IsZero() {
		t.Errorf("bounded: %+v", x)
	}
	if said, err := m.Said(t.Context(), ann); err != nil || !strings.Contains(said, "stopped at its bound") || !strings.Contains(said, "not reviewed yet") {
		t.Errorf("an archive says %q, %v", said, err)
	}
	c.Wind(24 * time.Hour)
	if n, err := m.Purge(t.Context(), scope.Everyone, c.Now().Add(-26*time.Hour)); n != 0 || err != nil {
		t.Errorf("purged too early: %d, %v", n, err)
	}
	if n, err := m.Purge(t.Context(), scope.Everyone, c.Now().Add(-23*time.Hour)); n != 3 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

func TestPlacesStandByThemselves(t *testing.T) {
	t.Parallel()
	wanted := []string{"ann", "ann leger", "+49 170"}
	for text, want := range map[string]int{
		"ann": 1, "Ann.": 1, "(ann)": 1, "hannah": 0, "annex": 0, "ann7": 0, "Ann\r\n Leger, ann": 1, "call +49 170 today": 1, "": 0,
		"ann " + strings.Repeat("x", 200) + " ann": 2,
	} {
		if got := places(text, wanted, 5); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := untagged("<p>An<b>n</b> &amp; Bob</p>"); !strings.Contains(got, "Bob") || strings.Contains(got, "<") {
		t.Error(got)
	}
}
