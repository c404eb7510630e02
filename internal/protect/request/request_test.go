package request_test

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/request"
	"mailvow/internal/protect/subject"
	"mailvow/internal/protect/tenant"
)

// world is a desk whose customers hold something about whom the test says.
type world struct {
	*request.Desk
	t       *testing.T
	clock   *lab.Clock
	held    map[ids.Tenant]string // who holds something about which address
	letters []request.Letter
	mute    error                     // posting fails
	broken  error                     // carrying out fails
	before  func(pledge.Subject) bool // what is held came before the subject's bound
	acts    []string
	acme    ids.Tenant
	other   ids.Tenant
}

func (w *world) Find(_ context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	t, _ := s.Scope.ID()
	if w.held[t] != s.Address.Canonical() || w.before != nil && !w.before(s) {
		return nil, nil
	}
	return []pledge.Trace{{Category: "letters", Holder: "shelf", Count: 1}}, nil
}

func (w *world) Export(_ context.Context, s pledge.Subject, _ evidence.Actor, _ subject.Format, out io.Writer) (int, error) {
	return io.WriteString(out, "all of "+s.Address.Text())
}

func (w *world) Correct(_ context.Context, _ pledge.Subject, _ evidence.Actor, c pledge.Correction) (int, error) {
	if c.Field != "name" {
		return 0, nil
	}
	return w.act("correct")
}

func (w *world) Restrict(context.Context, pledge.Subject, evidence.Actor, bool) (int, error) {
	return w.act("restrict")
}

func (w *world) Object(context.Context, pledge.Subject, evidence.Actor) (int, error) {
	return w.act("object")
}

func (w *world) Erase(_ context.Context, o erase.Order) (erase.Receipt, error) {
	if _, err := w.act("erase"); err != nil {
		return erase.Receipt{}, err
	}
	t, _ := o.Scope.ID()
	delete(w.held, t)
	return erase.Receipt{}, nil
}

func (w *world) act(what string) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	w.acts = append(w.acts, what)
	return 1, nil
}

func newWorld(t *testing.T, d *db.DB, c *lab.Clock) *world {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	tenants := tenant.New(d, v, source, c)
	w := &world{t: t, clock: c, held: map[ids.Tenant]string{}}
	must(t, tenants.EnsurePlatform(t.Context(), "Platform", "test"))
	for _, x := range []struct {
		name string
		id   *ids.Tenant
	}{{"Acme", &w.acme}, {"Other", &w.other}} {
		made, err := tenants.Add(t.Context(), x.name, "test")
		must(t, err)
		*x.id = made.ID
	}
	w.Desk = request.New(request.Config{
		DB: d, Vault: v, Links: link.New(d, v, source, c), Tenants: tenants, Subjects: w, Eraser: w, Stage: evidence.NewStage(d), IDs: source, Clock: c,
		Observe: observe.Silent(), Base: func() string { return "https://mail.test" },
		Post: func(_ context.Context, l request.Letter) error {
			if w.mute != nil {
				return w.mute
			}
			w.letters = append(w.letters, l)
			return nil
		},
	})
	return w
}

func schemas() []db.Schema {
	return []db.Schema{tenant.Schema, link.Schema, evidence.Schema(), request.Schema}
}

// small is a world on SQLite.
func small(t *testing.T) *world {
	t.Helper()
	c := lab.NewClock(lab.Epoch)
	return newWorld(t, lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c, Wind: func(time.Time) time.Time { return c.Now() }}, schemas()...), c)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const ann = "ann@persons.example"

// linkTo is the text of the newest letter's link to a path.
func (w *world) linkTo(at string) string {
	w.t.Helper()
	for i := len(w.letters) - 1; i >= 0; i-- {
		if m := regexp.MustCompile(regexp.QuoteMeta(at) + `(\S+)`).FindStringSubmatch(w.letters[i].Text); m != nil {
			return m[1]
		}
	}
	w.t.Fatalf("no letter has a link to %s", at)
	return ""
}

// opened asks and proves, and gives the one case of acme.
func (w *world) opened(k request.Kind, law string) request.Case {
	w.t.Helper()
	w.held[w.acme] = ann
	must(w.t, w.Ask(w.t.Context(), request.Asked{Address: ann, Kind: k, Law: law}))
	_, err := w.Prove(w.t.Context(), w.linkTo(request.ProofPath))
	must(w.t, err)
	list, err := w.List(w.t.Context(), scope.Tenant(w.acme), 0, 1)
	must(w.t, err)
	if len(list) != 1 || list[0].State != request.Open || len(list[0].Shares) != 1 {
		w.t.Fatalf("opened %+v", list)
	}
	return list[0]
}

func (w *world) decide(c request.Case, v request.Verdict, reason string) (request.Case, error) {
	return w.Decide(w.t.Context(), request.Decision{Case: c.ID, Tenant: w.acme, By: evidence.ByOwner, Verdict: v, Reason: reason})
}

func TestTheLawsClocks(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time { at, err := time.Parse(time.DateOnly, s); must(t, err); return at }
	gdpr, err := request.LawOf("")
	must(t, err)
	ccpa, err := request.LawOf("ccpa")
	must(t, err)
	for _, x := range []struct {
		term       request.Term
		from, want string
	}{
		{gdpr.Answer, "2026-01-15", "2026-02-15"},
		{gdpr.Answer, "2026-01-31", "2026-02-28"},
		{gdpr.Answer, "2028-01-31", "2028-02-29"},
		{gdpr.Answer, "2026-12-31", "2027-01-31"},
		{gdpr.Extension, "2026-11-30", "2027-02-28"},
		{ccpa.Answer, "2026-01-01", "2026-02-15"},
		{ccpa.Extension, "2026-01-01", "2026-04-01"},
		{ccpa.Confirm, "2026-11-20", "2026-12-04"}, // a Friday
		{ccpa.Confirm, "2026-11-21", "2026-12-04"}, // a Saturday
	} {
		if got := x.term.After(day(x.from)); !got.Equal(day(x.want)) {
			t.Errorf("%+v after %s is %s, want %s", x.term, x.from, got.Format(time.DateOnly), x.want)
		}
	}
	if !gdpr.Confirm.After(lab.Epoch).IsZero() {
		t.Error("the GDPR wants no confirmation")
	}
	if _, err := request.LawOf("lex"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown law: %v", err)
	}
}

func TestARequestIsProvedDecidedAndAnswered(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, lab.NewClock(time.Now()))
		w.held[w.other] = ann
		c := w.opened(request.Access, "gdpr")
		pageLink := w.linkTo(request.CasePath)
		all, err := w.Get(t.Context(), scope.Everyone, c.ID)
		must(t, err)
		if len(all.Shares) != 2 || all.Confirmed.IsZero() || all.Proved.IsZero() {
			t.Errorf("opened %+v", all)
		}
		if _, err := w.Get(t.Context(), scope.Tenant(tenant.Platform), c.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("who holds nothing sees the case: %v", err)
		}
		if _, err := w.Decide(t.Context(), request.Decision{Case: c.ID, Tenant: tenant.Platform, Verdict: request.Accept}); !fault.Is(err, fault.NotFound) {
			t.Errorf("who holds nothing decides: %v", err)
		}
		if _, err := w.decide(c, request.Refuse, " "); !fault.Is(err, fault.Invalid) {
			t.Errorf("a refusal without a reason: %v", err)
		}
		if _, err := w.decide(c, "perhaps", "x"); !fault.Is(err, fault.Invalid) {
			t.Errorf("an unknown decision: %v", err)
		}
		if c, err = w.decide(c, request.Refuse, "We cannot tell you apart."); err != nil || c.Shares[0].State != request.Refused || c.State != request.Open {
			t.Errorf("refused: %+v, %v", c, err)
		}
		last := w.letters[len(w.letters)-1].Text
		if !strings.Contains(last, "We cannot tell you apart.") || !strings.Contains(last, "Art. 77") || !strings.Contains(last, "Acme") {
			t.Errorf("the refusal says %s", last)
		}
		if _, err := w.decide(c, request.Accept, ""); !fault.Is(err, fault.Conflict) {
			t.Errorf("decided twice: %v", err)
		}
		c, err = w.Decide(t.Context(), request.Decision{Case: c.ID, Tenant: w.other, By: evidence.ByOwner, Verdict: request.Accept})
		if err != nil || c.State != request.Answered {
			t.Errorf("accepted: %+v, %v", c, err)
		}
		var b strings.Builder
		if err := w.Fetch(t.Context(), w.linkTo(request.ResultPath), subject.Text, &b); err != nil || b.String() != "all of "+ann {
			t.Errorf("fetched %q, %v", b.String(), err)
		}
		_, parts, err := w.Page(t.Context(), pageLink)
		if err != nil || len(parts) != 2 || parts[0].Name != "Acme" || parts[0].Reason == "" || parts[1].Result == "" || len(parts[1].Held) != 1 {
			t.Errorf("the person sees %+v, %v", parts, err)
		}
	})
}

func TestStrangersLearnNothingAndFloodNobody(t *testing.T) {
	t.Parallel()
	w := small(t)
	for range 10 {
		must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Access, Note: "buy this"}))
		must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Erasure}))
	}
	if len(w.letters) != 3 {
		t.Errorf("%d mails went to one address", len(w.letters))
	}
	for _, l := range w.letters {
		if strings.Contains(l.Text, "buy this") {
			t.Error("a stranger's words were mailed")
		}
	}
	w.clock.Wind(25 * time.Hour)
	must(t, w.Ask(t.Context(), request.Asked{Address: "Ann@Persons.Example", Kind: request.Access}))
	if len(w.letters) != 4 {
		t.Errorf("a day later %d mails", len(w.letters))
	}
	for _, bad := range []string{"", "ann", "*@persons.example", "%@persons.example", "ann@persons.example, bob@persons.example", "<>", "ann@*"} {
		if err := w.Ask(t.Context(), request.Asked{Address: bad, Kind: request.Access}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := w.Ask(t.Context(), request.Asked{Address: ann, Kind: "all"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if list, err := w.List(t.Context(), scope.Everyone, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("what nobody proved is listed: %+v, %v", list, err)
	}
}

func TestLinksEndAndCannotBeForged(t *testing.T) {
	t.Parallel()
	w := small(t)
	must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Access}))
	first := w.linkTo(request.ProofPath)
	forged := []byte(first)
	forged[4] ^= 1
	if _, err := w.Prove(t.Context(), string(forged)); !fault.Is(err, fault.NotFound) {
		t.Errorf("a forged link: %v", err)
	}
	if _, _, err := w.Page(t.Context(), first); !fault.Is(err, fault.NotFound) {
		t.Errorf("a link of proof opens the page: %v", err)
	}
	w.clock.Wind(25 * time.Hour)
	if _, err := w.Prove(t.Context(), first); !fault.Is(err, fault.Gone) {
		t.Errorf("an expired link: %v", err)
	}
	must(t, w.Tick(t.Context()))
	w.clock.Wind(8 * 24 * time.Hour)
	if n, err := w.Purge(t.Context(), w.clock.Now().AddDate(-3, 0, 0)); n != 1 || err != nil {
		t.Errorf("of those nobody proved %d were purged, %v", n, err)
	}
	// Nobody here holds anything: the proof is the answer.
	must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Access}))
	text, err := w.Prove(t.Context(), w.linkTo(request.ProofPath))
	must(t, err)
	if c, parts, err := w.Page(t.Context(), text); err != nil || len(parts) != 0 || c.State != request.Answered {
		t.Errorf("the page of who is not known: %+v %+v, %v", c, parts, err)
	}
	if _, err := w.Prove(t.Context(), w.linkTo(request.ProofPath)); !fault.Is(err, fault.Gone) {
		t.Errorf("a link used twice: %v", err)
	}
}

// TestTheRequestsOwnMailIsNotHeld: a letter of the request's own, written in the same
// millisecond, is nothing that was held before.
func TestTheRequestsOwnMailIsNotHeld(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.clock.Wind(500 * time.Microsecond)
	asked := w.clock.Now()
	w.before = func(s pledge.Subject) bool { return asked.Truncate(time.Millisecond).Before(s.Before) }
	must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Erasure}))
	w.held[tenant.Platform] = ann
	text, err := w.Prove(t.Context(), w.linkTo(request.ProofPath))
	must(t, err)
	if c, parts, err := w.Page(t.Context(), text); err != nil || len(parts) != 0 || c.State != request.Answered {
		t.Errorf("the letter about the request made a holder: %+v %+v, %v", c, parts, err)
	}
}

func TestADoubleRequestIsOne(t *testing.T) {
	t.Parallel()
	w := small(t)
	c := w.opened(request.Erasure, "gdpr")
	must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Erasure}))
	list, err := w.List(t.Context(), scope.Everyone, 0, 10)
	if err != nil || len(list) != 1 {
		t.Errorf("%d cases, %v", len(list), err)
	}
	if text := w.letters[len(w.letters)-1].Text; !strings.Contains(text, request.CasePath) || strings.Contains(text, request.ProofPath) {
		t.Errorf("who asks again is told %s", text)
	}
	if _, err := w.decide(c, request.Accept, ""); err != nil {
		t.Fatal(err)
	}
	// Once answered, a new request is a new case, and nothing is held any more.
	w.clock.Wind(25 * time.Hour)
	must(t, w.Ask(t.Context(), request.Asked{Address: ann, Kind: request.Erasure}))
	text, err := w.Prove(t.Context(), w.linkTo(request.ProofPath))
	must(t, err)
	if again, parts, err := w.Page(t.Context(), text); err != nil || again.ID == c.ID || len(parts) != 0 {
		t.Errorf("asked again: %+v %+v, %v", again, parts, err)
	}
}

func TestTheClockRunsFromReceipt(t *testing.T) {
	t.Parallel()
	w := small(t)
	c := w.opened(request.Erasure, "gdpr")
	due := request.Term{Months: 1}.After(c.Received)
	standing := func(overdue, soon int) {
		t.Helper()
		o, s, err := w.Late(t.Context(), scope.Tenant(w.acme))
		if err != nil || o != overdue || s != soon {
			t.Errorf("at %s %d overdue and %d soon, %v; want %d and %d", w.clock.Now(), o, s, err, overdue, soon)
		}
	}
	standing(0, 0)
	w.clock.Wind(due.Sub(w.clock.Now()) - 7*24*time.Hour)
	standing(0, 1)
	if _, err := w.decide(c, request.Extend, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("an extension without a reason: %v", err)
	}
	c, err := w.decide(c, request.Extend, "There are ten thousand messages.")
	must(t, err)
	if want := (request.Term{Months: 3}).After(c.Received); c.State != request.Extended || !c.Shares[0].Due.Equal(want) {
		t.Errorf("extended: %+v, want until %s", c.Shares[0], want)
	}
	if text := w.letters[len(w.letters)-1].Text; !strings.Contains(text, "ten thousand") {
		t.Errorf("the person is told %s", text)
	}
	standing(0, 0)
	if _, err := w.decide(c, request.Extend, "Once more."); !fault.Is(err, fault.Conflict) {
		t.Errorf("extended twice: %v", err)
	}
	w.clock.Wind(c.Shares[0].Due.Sub(w.clock.Now()))
	standing(1, 0)
	if o, _, err := w.Late(t.Context(), scope.Tenant(w.other)); o != 0 || err != nil {
		t.Errorf("another customer's: %d, %v", o, err)
	}
	if c, err = w.decide(c, request.Accept, ""); err != nil || c.State != request.Answered {
		t.Errorf("answered late: %+v, %v", c, err)
	}
	standing(0, 0)
	late := w.opened(request.Access, "ccpa")
	w.clock.Wind(46 * 24 * time.Hour)
	if _, err := w.decide(late, request.Extend, "Too late."); !fault.Is(err, fault.Conflict) {
		t.Errorf("extended after the term: %v", err)
	}
}

func TestWhatCannotBeCarriedOutStaysOpen(t *testing.T) {
	t.Parallel()
	w := small(t)
	c := w.opened(request.Erasure, "gdpr")
	w.broken = fault.New(fault.Conflict, "A legal hold keeps it.")
	if _, err := w.decide(c, request.Accept, ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("a hold: %v", err)
	}
	c, err := w.Get(t.Context(), scope.Tenant(w.acme), c.ID)
	if err != nil || c.State != request.Open || c.Shares[0].State != request.Open {
		t.Errorf("after a failure: %+v, %v", c, err)
	}
	w.broken = nil
	if c, err = w.decide(c, request.Accept, ""); err != nil || c.State != request.Answered || len(w.acts) != 1 {
		t.Errorf("then: %+v, %v, %v", c, w.acts, err)
	}
	wrong := w.opened(request.Rectification, "gdpr")
	if _, err := w.decide(wrong, request.Accept, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("a rectification of nothing: %v", err)
	}
	x := request.Decision{Case: wrong.ID, Tenant: w.acme, By: evidence.ByOwner, Verdict: request.Accept, Field: "shoe", Value: "42"}
	if _, err := w.Decide(t.Context(), x); !fault.Is(err, fault.Invalid) {
		t.Errorf("a field that there is not: %v", err)
	}
	x.Field, x.Value = "name", "Ann"
	if c, err := w.Decide(t.Context(), x); err != nil || c.State != request.Answered {
		t.Errorf("corrected: %+v, %v", c, err)
	}
}

// TestTheReceiptIsConfirmedInTime: mail that cannot go at first is sent later,
// before the law's ten business days.
func TestTheReceiptIsConfirmedInTime(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.mute = fault.New(fault.Unavailable, "")
	c, err := w.Enter(t.Context(), w.acme, evidence.Actor{Role: evidence.ByOwner}, request.Asked{Address: ann, Kind: request.Objection, Law: "ccpa", Received: w.clock.Now().Add(-48 * time.Hour)})
	if err != nil || !c.Confirmed.IsZero() || !c.Shares[0].Due.Equal(c.Received.AddDate(0, 0, 45)) {
		t.Fatalf("entered %+v, %v", c, err)
	}
	w.mute = nil
	w.clock.Wind(time.Hour)
	must(t, w.Tick(t.Context()))
	c, err = w.Get(t.Context(), scope.Tenant(w.acme), c.ID)
	if err != nil || c.Confirmed.IsZero() || c.Confirmed.After(c.ConfirmBy()) || len(w.letters) != 1 {
		t.Errorf("confirmed at %s of %s, %d letters, %v", c.Confirmed, c.ConfirmBy(), len(w.letters), err)
	}
	if _, err := w.Enter(t.Context(), w.acme, evidence.Actor{}, request.Asked{Address: ann, Kind: request.Access, Received: w.clock.Now().Add(time.Hour)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("received in the future: %v", err)
	}
	if c, err := w.decide(c, request.Accept, ""); err != nil || c.State != request.Answered || w.acts[0] != "object" {
		t.Errorf("objected: %+v, %v, %v", c, w.acts, err)
	}
}

func TestResultsAndCasesEnd(t *testing.T) {
	t.Parallel()
	w := small(t)
	c := w.opened(request.Portability, "gdpr")
	_, err := w.decide(c, request.Accept, "")
	must(t, err)
	text := w.linkTo(request.ResultPath)
	must(t, w.Fetch(t.Context(), text, subject.Lines, io.Discard))
	w.clock.Wind(15 * 24 * time.Hour)
	must(t, w.Tick(t.Context()))
	if err := w.Fetch(t.Context(), text, subject.Lines, io.Discard); !fault.Is(err, fault.Gone) {
		t.Errorf("a result whose time is over: %v", err)
	}
	if _, parts, err := w.Page(t.Context(), w.linkTo(request.CasePath)); err != nil || parts[0].Result != "" {
		t.Errorf("the page offers it: %+v, %v", parts, err)
	}
	who := pledge.Subject{Scope: scope.Tenant(w.acme), Address: mustParse(t, ann)}
	for _, x := range []struct {
		s    scope.Scope
		want int
	}{{scope.Tenant(w.acme), 1}, {scope.Tenant(w.other), 0}, {scope.Everyone, 1}} {
		who.Scope = x.s
		erased, err := w.Desk.Erase(t.Context(), who)
		found, wrong := w.Desk.Find(t.Context(), who)
		if err != nil || wrong != nil || len(erased) != x.want || len(found) != x.want || x.want == 1 && erased[0].Kept != 1 {
			t.Errorf("in %+v: %+v %v, %+v %v", x.s, erased, err, found, wrong)
		}
	}
	before := func(days int) time.Time { return w.clock.Now().AddDate(0, 0, -days) }
	if n, err := w.Purge(t.Context(), before(16)); n != 0 || err != nil {
		t.Errorf("purged too early: %d, %v", n, err)
	}
	if n, err := w.Purge(t.Context(), before(14)); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if _, err := w.Get(t.Context(), scope.Everyone, c.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the purge: %v", err)
	}
	if _, _, err := w.Page(t.Context(), w.linkTo(request.CasePath)); !fault.Is(err, fault.Gone) {
		t.Errorf("its page: %v", err)
	}
}

func mustParse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	must(t, err)
	return a
}

// TestEveryMove holds each pair of states against the table of moves.
func TestEveryMove(t *testing.T) {
	t.Parallel()
	all := []request.State{request.Unproved, request.Open, request.Extended, request.Accepted, request.Answered, request.Refused, request.Lapsed}
	may := "unproved>open unproved>answered unproved>lapsed open>extended open>accepted open>answered open>refused extended>accepted extended>answered extended>refused accepted>answered accepted>open"
	var got []string
	for _, from := range all {
		for _, to := range all {
			if from.MayBecome(to) {
				got = append(got, string(from)+">"+string(to))
			}
		}
	}
	for _, m := range got {
		if !strings.Contains(" "+may+" ", " "+m+" ") {
			t.Errorf("%s is possible", m)
		}
	}
	if len(got) != len(strings.Fields(may)) {
		t.Errorf("the moves are %v", got)
	}
}
