package document

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"

	"context"
)

// bench is a store over facts that a test bends.
type bench struct {
	*Store
	facts Facts
	clock *lab.Clock
	keys  []evidence.Key
	db    *db.DB
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{clock: lab.NewClock(lab.Epoch), db: lab.DB(t, Schema, link.Schema, evidence.Schema())}
	source := ids.NewSource(b.clock, 1, 0)
	ring, err := evidence.OpenRing(t.TempDir()+"/keys", "mail.example.com/evidence", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.keys = ring.Keys()
	d, err := policy.FindProfile(policy.Recommended)
	if err != nil {
		t.Fatal(err)
	}
	all, err := inventory.Join(Declaration, control.Declaration, policy.Declaration)
	if err != nil {
		t.Fatal(err)
	}
	b.facts = Facts{
		Server: "mail.example.com", URL: "https://mail.example.com", Region: "eu", Policy: policy.InForce{Document: d, Label: "1"}, Inventory: all.Entries(),
		Operator: Operator{Name: "Example <Mail> GmbH", Address: "Example Street 1", Officer: "Ada Example"},
		Contacts: Contacts{Privacy: "privacy@mail.example.com", Security: "security@mail.example.com", Form: "https://mail.example.com/trust/contact"},
		Seen:     map[string]Seen{}, Now: lab.Epoch, Cookies: []Cookie{{Name: "session", Kind: "cookie", Where: "the console", Purpose: "signing in", Life: "a week", Essential: true}},
	}
	promises, err := control.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		b.facts.Seen[p.ID] = Seen{Says: p.Says, Status: pledge.Kept, Evidence: "seen", CheckedAt: lab.Epoch}
	}
	b.Store = New(Config{
		DB: b.db, Stage: evidence.NewStage(b.db), IDs: source, Clock: b.clock, Links: link.New(b.db, keys.Vault(t, b.clock, source), source, b.clock),
		Sign: ring.SignStatement, Draw: func(p *Paper, _ []byte) ([]byte, error) { return []byte("%PDF of " + p.Title), nil },
		Facts: func(context.Context, ids.Tenant) (Facts, error) { f := b.facts; f.Now = b.clock.Now(); return f, nil },
	})
	return b
}

func (b *bench) status(id string, s pledge.Status) {
	seen := b.facts.Seen[id]
	seen.Status = s
	b.facts.Seen[id] = seen
}

// TestEverySentenceRestsOnAPromise: each id that a document names is in the
// catalogue, and nothing but them is marked when nothing holds.
func TestEverySentenceRestsOnAPromise(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.facts.Policy.Document.Preview, b.facts.Policy.Document.TLS.Outbound = policy.Off, policy.Verified
	for id := range b.facts.Seen {
		b.status(id, pledge.Failing)
	}
	for _, sort := range Sorts() {
		d, err := b.Render(t.Context(), sort.Kind, tenant.Platform)
		if err != nil {
			t.Fatalf("%s: %v", sort.Kind, err)
		}
		if len(d.Paper.Blocks) < 3 {
			t.Errorf("%s says nothing", sort.Kind)
		}
		for _, m := range d.Marks {
			if _, known := b.facts.Seen[m.Rests]; !known {
				t.Errorf("%s rests on %s, which is no promise", sort.Kind, m.Rests)
			}
		}
		if sort.Kind != SecurityPaper && len(d.Marks) == 0 {
			t.Errorf("%s rests on nothing", sort.Kind)
		}
	}
}

// TestPublish: what does not hold is refused, then left out, or published with a
// remark that stays; versions are numbered, verify offline and never change.
func TestPublish(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	b.status("ca-rest", pledge.Failing)
	const sealed = "sealed with AES-256"
	_, marks, err := b.Publish(ctx, Order{Kind: PrivacyPolicy, Role: evidence.ByOperator})
	if !fault.Is(err, fault.Conflict) || len(marks) != 1 || marks[0].Rests != "ca-rest" || !strings.Contains(marks[0].Text, sealed) {
		t.Fatalf("a failing control: %v %+v", err, marks)
	}
	v, _, err := b.Publish(ctx, Order{Kind: PrivacyPolicy, LeaveOut: true, Role: evidence.ByOperator})
	if err != nil || v.Number != 1 || len(v.Despite) != 0 {
		t.Fatalf("%+v %v", v, err)
	}
	first, err := b.Get(ctx, PrivacyPolicy, 1)
	if err != nil || bytes.Contains(first.Markdown, []byte(sealed)) || bytes.Contains(first.JSON, []byte("ca-rest")) {
		t.Errorf("what was left out stands in it: %v", err)
	}
	b.clock.Wind(time.Hour)
	v, _, err = b.Publish(ctx, Order{Kind: PrivacyPolicy, Note: "clearer words", Anyway: "the disk is being replaced", Role: evidence.ByOperator})
	if err != nil || v.Number != 2 || !slices.Equal(v.Despite, []string{"ca-rest"}) || v.Reason == "" {
		t.Fatalf("%+v %v", v, err)
	}
	second, err := b.Get(ctx, PrivacyPolicy, 0)
	if err != nil || second.Paper.Number != 2 || !strings.Contains(string(second.Markdown), sealed) || !strings.Contains(string(second.Markdown), "Not seen to hold when this was made: ca-rest.") {
		t.Errorf("published anyway: %v\n%s", err, second.Markdown)
	}
	if !strings.Contains(second.Paper.HTML(), "Not seen to hold") || !strings.Contains(string(second.Paper.Page()), "clearer words") {
		t.Error("the page does not say it")
	}
	again, err := b.Get(ctx, PrivacyPolicy, 1)
	if err != nil || !bytes.Equal(again.Markdown, first.Markdown) || !bytes.Equal(again.Note, first.Note) {
		t.Errorf("the first version changed: %v", err)
	}
	list, err := b.Versions(ctx, "")
	if err != nil || len(list) != 2 || list[0].Number != 2 || list[0].Note != "clearer words" || !slices.Equal(list[0].Despite, []string{"ca-rest"}) {
		t.Errorf("%+v %v", list, err)
	}
	var staged []string
	for _, leaf := range b.staged(t) {
		switch body := leaf.Body.(type) {
		case *evidence.PolicyChange:
			staged = append(staged, body.Version+"<"+body.Previous)
			if body.Version == "privacy-policy.2" && body.Digest != evidence.DigestOf(second.Note) {
				t.Error("the log has another digest")
			}
		case *evidence.Act:
			staged = append(staged, body.Act)
		}
	}
	if want := []string{"privacy-policy.1<", "privacy-policy.2<privacy-policy.1", "document.despite.ca-rest"}; !slices.Equal(staged, want) {
		t.Errorf("in the log: %q", staged)
	}
}

// staged are the leaves that wait for the log.
func (b *bench) staged(t *testing.T) []evidence.Leaf {
	t.Helper()
	var list []evidence.Leaf
	err := b.DB.Set(evidence.Schema().Package).Each(t.Context(), "staged", []any{1000}, func(scan func(...any) error) error {
		var id int64
		var data []byte
		if err := scan(&id, &data); err != nil {
			return err
		}
		l, err := evidence.ParseLeaf(data)
		list = append(list, l)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestVerify flips every byte of note and file: nothing that was changed verifies.
func TestVerify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	i, err := b.Copy(t.Context(), Agreement, tenant.Platform)
	if err != nil {
		t.Fatal(err)
	}
	for form, file := range map[string][]byte{"markdown": i.Markdown, "json": i.JSON, "pdf": i.PDF} {
		s, err := Verify(i.Note, file, nil)
		if err != nil || s.Form != form || s.Document != Agreement || s.Number != 0 || s.KeyTrusted || s.PublicKey != b.keys[0].String() {
			t.Errorf("%s: %+v %v", form, s, err)
		}
		if s, err := Verify(i.Note, file, b.keys); err != nil || !s.KeyTrusted {
			t.Errorf("%s with the key: %+v %v", form, s, err)
		}
	}
	for n := range i.Note {
		bad := bytes.Clone(i.Note)
		bad[n] ^= 1
		if _, err := Verify(bad, i.PDF, b.keys); err == nil {
			t.Errorf("the note with byte %d changed verifies", n)
		}
	}
	for n := range i.PDF {
		bad := bytes.Clone(i.PDF)
		bad[n] ^= 1
		if _, err := Verify(i.Note, bad, nil); !fault.Is(err, fault.Denied) {
			t.Errorf("the file with byte %d changed: %v", n, err)
		}
	}
	other := newBench(t)
	if _, err := Verify(i.Note, i.PDF, other.keys); !fault.Is(err, fault.Denied) {
		t.Errorf("under a foreign key: %v", err)
	}
}

// TestStandings: a change of policy or of what was seen shows.
func TestStandings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	of := func(k Kind) Standing {
		t.Helper()
		list, err := b.Standings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(s Standing) bool { return s.Kind == k })
		return list[i]
	}
	if s := of(Measures); s.Newest != nil || s.Marks != 0 {
		t.Errorf("%+v", s)
	}
	if _, _, err := b.Publish(ctx, Order{Kind: Measures, Role: evidence.ByOperator}); err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(24 * time.Hour)
	if s := of(Measures); s.Newest == nil || s.Newest.Number != 1 || s.Changed {
		t.Errorf("a day later: %+v", s)
	}
	b.status("mb-backups", pledge.Failing)
	if s := of(Measures); !s.Changed || s.Marks == 0 {
		t.Errorf("with a failing control: %+v", s)
	}
	b.status("mb-backups", pledge.NotApplicable)
	d, err := b.Render(ctx, Measures, tenant.Platform)
	if err != nil || strings.Contains(string(d.Paper.Markdown()), "Backups are encrypted") || len(d.Marks) != 0 {
		t.Errorf("what does not apply is said: %v %+v", err, d.Marks)
	}
	if s := of(Associate); s.Refused == "" {
		t.Errorf("a BAA under the recommended policy: %+v", s)
	}
	b.facts.Operator = Operator{}
	_, marks, err := b.Publish(ctx, Order{Kind: Agreement, LeaveOut: true, Role: evidence.ByOperator})
	if !fault.Is(err, fault.Conflict) || len(marks) != 2 || marks[0].Rests != "operator.name" {
		t.Errorf("without a company: %v %+v", err, marks)
	}
}

// TestCustomersCopy: a copy is made under the customer's own policy.
func TestCustomersCopy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d, err := b.facts.Policy.Document.With(map[string]string{"breach.customer": "7h"})
	if err != nil {
		t.Fatal(err)
	}
	b.facts.Policy = policy.InForce{Document: d, Label: "1-4"}
	customer := ids.New[ids.Tenant](b.IDs)
	i, err := b.Copy(t.Context(), Agreement, customer)
	if err != nil {
		t.Fatal(err)
	}
	var p Paper
	if err := json.Unmarshal(i.JSON, &p); err != nil || p.For != customer.String() || p.Policy != "1-4" || p.Number != 0 {
		t.Errorf("%+v %v", p, err)
	}
	if !strings.Contains(string(i.Markdown), "within 7 hours") || !strings.Contains(string(i.Markdown), customer.String()) {
		t.Errorf("%s", i.Markdown)
	}
	if html := p.HTML(); strings.Contains(html, "<Mail>") || !strings.Contains(string(p.Page()), "Example &lt;Mail&gt; GmbH") {
		t.Error("what people wrote is drawn as marks of HTML")
	}
}

// TestAdmit: a link opens one document for a time, and its file and note are of
// one making.
func TestAdmit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	if _, err := b.Admit(SecurityPaper, 2*MaxAdmitted); !fault.Is(err, fault.Invalid) {
		t.Errorf("for two years: %v", err)
	}
	path, err := b.Admit(SecurityPaper, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimPrefix(path, AdmitPath)
	one, err := b.Admitted(ctx, text)
	if err != nil || one.Paper.Kind != SecurityPaper {
		t.Fatalf("%+v %v", one.Paper, err)
	}
	b.clock.Wind(time.Minute)
	two, err := b.Admitted(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(two.Note, one.PDF, b.keys); err != nil {
		t.Errorf("file and note are of two makings: %v", err)
	}
	if _, err := b.Admitted(ctx, text+"A"); err == nil {
		t.Error("a forged link opens it")
	}
	b.clock.Wind(25 * time.Hour)
	if _, err := b.Admitted(ctx, text); !fault.Is(err, fault.Gone) {
		t.Errorf("after its end: %v", err)
	}
}

// FuzzVerify: a note is strangers' text.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("mailvow document v1\nserver a\ndocument dpa 1\nat 2026-11-21T12:00:00Z\npolicy 1\nkey k\njson sha256 a\nmarkdown sha256 b\npdf sha256 c\n\n— a AAAA\n"), []byte("x"))
	f.Fuzz(func(t *testing.T, note, file []byte) {
		if s, err := Verify(note, file, nil); err == nil {
			t.Errorf("it verifies: %+v", s)
		}
	})
}
