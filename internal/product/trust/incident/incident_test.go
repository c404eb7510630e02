package incident

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/tenant"
)

// world is a desk whose outside the test holds in hand.
type world struct {
	*Desk
	t           *testing.T
	clock       *lab.Clock
	acme, other ids.Tenant
	list        []reads.Read
	gaps        []reads.Gap
	letters     []Letter
	delivered   map[ids.Message]time.Time
	failed      map[ids.Message]bool
	contacts    map[ids.Tenant][]string
	mute        map[string]bool // posting to them fails
	names       map[int64][]string
	breach      map[ids.Tenant]string // yaml
	did         []string
	broken      error
}

func (w *world) Each(_ context.Context, _ scope.Scope, from, to time.Time, yield func(reads.Read) error) (int, error) {
	for _, r := range w.list {
		if r.At.Before(from) || r.At.After(to) {
			continue
		}
		if err := yield(r); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (w *world) Gaps(context.Context, time.Time, time.Time) (time.Time, []reads.Gap, error) {
	return lab.Epoch.Add(-24 * time.Hour), w.gaps, nil
}

func (w *world) Hash(of ids.Tenant, who address.Address) ([16]byte, error) {
	h := sha256.Sum256([]byte(of.String() + who.Canonical()))
	return [16]byte(h[:16]), nil
}

func (w *world) Revoke(_ context.Context, s Selector, _ Seen) ([]Act, error) {
	w.did = append(w.did, "revoke")
	return []Act{{What: TokenRevoked, Target: s.Token.String(), At: w.clock.Now(), Final: true}, {What: UserShut, Target: ids.User(7).String(), At: w.clock.Now()}}, nil
}

func (w *world) Restore(_ context.Context, u ids.User) error {
	w.did = append(w.did, "restore "+u.String())
	return w.broken
}

func (w *world) Hold(_ context.Context, t ids.Tenant, _ string) (ids.Job, error) {
	w.did = append(w.did, "hold")
	return 9, w.broken
}

func (w *world) Release(context.Context, ids.Job) error {
	w.did = append(w.did, "release")
	return nil
}

func (w *world) Rotate(context.Context, ids.Tenant) error {
	w.did = append(w.did, "rotate")
	return nil
}

func newWorld(t *testing.T, d *db.DB, c *lab.Clock) *world {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	tenants := tenant.New(d, v, source, c)
	must(t, tenants.EnsurePlatform(t.Context(), "Platform", "test"))
	w := &world{
		t: t, clock: c, delivered: map[ids.Message]time.Time{}, failed: map[ids.Message]bool{}, contacts: map[ids.Tenant][]string{}, mute: map[string]bool{},
		names: map[int64][]string{}, breach: map[ids.Tenant]string{},
	}
	for _, x := range []*ids.Tenant{&w.acme, &w.other} {
		made, err := tenants.Add(t.Context(), "x", "test")
		must(t, err)
		*x = made.ID
		w.contacts[made.ID] = []string{"owner@" + strings.ReplaceAll(made.ID.String(), "_", "") + ".example"}
	}
	w.Desk = New(Config{
		DB: d, Vault: v, IDs: source, Clock: c, Observe: observe.Silent(), Stage: evidence.NewStage(d), Reads: w, Hands: w, Kept: func() time.Time { return time.Time{} },
		Breach: func(of ids.Tenant) policy.Breach {
			doc, err := policy.Parse([]byte(w.breach[of]))
			must(t, err)
			return doc.Breach
		},
		Contacts: func(_ context.Context, of ids.Tenant) (list []address.Address, err error) {
			for _, x := range w.contacts[of] {
				a, err := address.Parse(x)
				must(t, err)
				list = append(list, a)
			}
			return list, nil
		},
		Post: func(_ context.Context, l Letter) (ids.Message, error) {
			if w.mute[l.To.Text()] {
				return 0, errors.New("no way there")
			}
			w.letters = append(w.letters, l)
			return messageNumber(len(w.letters)), nil
		},
		Fate: func(_ context.Context, m ids.Message) (time.Time, bool, error) {
			return w.delivered[m], w.failed[m], nil
		},
		Persons: func(_ context.Context, _ ids.Tenant, category string, records []int64, yield func(int64, address.Address) error) (gone int, known bool, err error) {
			for _, id := range records {
				if w.names[id] == nil {
					gone++
				}
				for _, x := range w.names[id] {
					a, err := address.Parse(x)
					must(t, err)
					if err := yield(id, a); err != nil {
						return gone, true, err
					}
				}
			}
			return gone, category != "caught mail", nil
		},
	})
	return w
}

func small(t *testing.T) *world {
	t.Helper()
	c := lab.NewClock(lab.Epoch)
	return newWorld(t, lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c, Wind: func(time.Time) time.Time { return c.Now() }}, tenant.Schema, evidence.Schema(), Schema), c)
}

// messageNumber is the nth message that was posted.
func messageNumber(n int) ids.Message { return ids.FirstAt[ids.Message](lab.Epoch) + ids.Message(n) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) by() evidence.Actor { return evidence.Actor{Role: evidence.ByOperator} }

// acts are those that were staged for the evidence log, without their targets.
func (w *world) acts() []string {
	w.t.Helper()
	rows, err := w.Stage.Staged(w.t.Context(), 100)
	must(w.t, err)
	var list []string
	for _, r := range rows {
		for _, name := range []string{"incident.open", "incident.draft", "incident.notify", "incident.delivered", "incident.undelivered", "incident.told.authority", "incident.told.persons", "incident.contained", "incident.contain", "incident.release", "incident.close"} {
			if strings.Contains(string(r.Leaf), `"`+name+`"`) {
				list = append(list, name)
			}
		}
	}
	return list
}

var whole = Report{Nature: "A token leaked.", Data: "Recipients: addresses.", Persons: 3, Records: 4, Contact: "security@example.com", Consequences: "Spam.", Measures: "Revoked."}

func (w *world) open(n Opening) Incident {
	w.t.Helper()
	if n.Title == "" {
		n.Title = "A leaked token"
	}
	x, err := w.Open(w.t.Context(), n, w.by())
	must(w.t, err)
	return x
}

func (w *world) notices(id ids.Incident) map[ids.Tenant]Notice {
	w.t.Helper()
	list, err := w.Notices(w.t.Context(), scope.Everyone, id)
	must(w.t, err)
	out := map[ids.Tenant]Notice{}
	for _, n := range list {
		out[n.Tenant] = n
	}
	return out
}

func (w *world) clocks(x Incident) string {
	w.t.Helper()
	list, err := w.Notices(w.t.Context(), scope.Everyone, x.ID)
	must(w.t, err)
	var out []string
	for _, c := range w.Clocks(&x, list) {
		out = append(out, c.Name+" "+string(c.Standing))
	}
	return strings.Join(out, ", ")
}

// TestAnIncidentFromAwarenessToItsEnd: the clocks run by each customer's policy, no
// notice goes out without a part, each customer gets its own, delivery is proved by
// the message, and every act is on record.
func TestAnIncidentFromAwarenessToItsEnd(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = c, func(time.Time) time.Time { return c.Now() }
		w := newWorld(t, lab.OpenDB(t, config, tenant.Schema, evidence.Schema(), Schema), c)
		w.breach[w.other] = "breach: {customer: 24h}"
		less := whole
		less.Consequences = ""
		x := w.open(Opening{Aware: c.Now().Add(-time.Hour), HighRisk: true, Report: less, Only: []ids.Tenant{w.acme, w.other}})
		if n := w.notices(x.ID); len(n) != 2 || !n[w.acme].Due.Equal(x.Aware.Add(72*time.Hour)) || !n[w.other].Due.Equal(x.Aware.Add(24*time.Hour)) {
			t.Errorf("%+v", n)
		}
		if _, err := w.Notify(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Invalid) || len(w.letters) > 0 {
			t.Errorf("a notice without a part: %v, %d letters", err, len(w.letters))
		}
		x, err := w.Draft(t.Context(), x.ID, Draft{Report: &whole}, w.by())
		must(t, err)
		if _, err := w.Notify(t.Context(), x.ID, w.by()); err != nil || len(w.letters) != 2 {
			t.Fatalf("%v, %d letters", err, len(w.letters))
		}
		for _, part := range []string{whole.Nature, whole.Data, "3", "4", whole.Contact, whole.Consequences, whole.Measures, x.ID.String()} {
			if !strings.Contains(w.letters[0].Text, part) {
				t.Errorf("the notice lacks %q:\n%s", part, w.letters[0].Text)
			}
		}
		w.delivered[messageNumber(1)], w.delivered[messageNumber(2)] = c.Now().Add(time.Minute), c.Now().Add(25*time.Hour)
		must(t, w.Tick(t.Context()))
		c.Wind(26 * time.Hour)
		if got := w.clocks(x); got != "customers late, authority running, persons running" {
			t.Error(got)
		}
		if _, err := w.Close(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Conflict) {
			t.Errorf("closed before the authority was told: %v", err)
		}
		_, err = w.Tell(t.Context(), x.ID, ToAuthority, Told{Reference: "AZ 1/26"}, w.by())
		must(t, err)
		_, err = w.Tell(t.Context(), x.ID, ToPersons, Told{NotNeeded: "The data was encrypted."}, w.by())
		must(t, err)
		x, err = w.Close(t.Context(), x.ID, w.by())
		must(t, err)
		if got := w.clocks(x); got != "customers late, authority met, persons not_needed" || x.State != Closed {
			t.Error(got, x.State)
		}
		if _, err := w.Draft(t.Context(), x.ID, Draft{}, w.by()); !fault.Is(err, fault.Conflict) {
			t.Errorf("a closed one changes: %v", err)
		}
		want := []string{"incident.open", "incident.draft", "incident.notify", "incident.notify", "incident.delivered", "incident.delivered", "incident.told.authority", "incident.told.persons", "incident.close"}
		if got := w.acts(); !slices.Equal(got, want) {
			t.Errorf("on record: %v", got)
		}
	})
}

// TestWhatIsOverdueIsSaid: a clock that ran out, a part that is missing and a
// customer who is not reached raise alerts; a drill raises none.
func TestWhatIsOverdueIsSaid(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.open(Opening{Drill: true, Only: []ids.Tenant{w.acme}})
	w.contacts[w.other] = nil
	x := w.open(Opening{Only: []ids.Tenant{w.acme, w.other}})
	said := func() string {
		list, err := w.Alerts(t.Context())
		must(t, err)
		var all []string
		for _, a := range list {
			if a.Incident != x.ID {
				t.Errorf("of %s", a.Incident)
			}
			all = append(all, a.Text)
		}
		return strings.Join(all, "\n")
	}
	if got := said(); !strings.Contains(got, "lacks nature, data, persons, records, contact, consequences, measures") || strings.Contains(got, "overdue") {
		t.Error(got)
	}
	_, err := w.Draft(t.Context(), x.ID, Draft{Report: &whole}, w.by())
	must(t, err)
	if _, err := w.Notify(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Unavailable) || len(w.letters) != 1 {
		t.Errorf("with a customer whom nobody can tell: %v, %d letters", err, len(w.letters))
	}
	w.clock.Wind(73 * time.Hour)
	got := said()
	for _, want := range []string{"notice to the customers is overdue", "notice to the authority is overdue", "does not reach customer " + w.other.String()} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	w.failed[messageNumber(1)] = true
	must(t, w.Tick(t.Context()))
	if got := said(); !strings.Contains(got, "does not reach customer "+w.acme.String()) {
		t.Errorf("after a bounce:\n%s", got)
	}
	w.contacts[w.other] = []string{"new@other.example"}
	if _, err := w.Notify(t.Context(), x.ID, w.by()); err != nil || len(w.letters) != 3 {
		t.Errorf("again: %v, %d letters", err, len(w.letters))
	}
	if _, err := w.Notify(t.Context(), x.ID, w.by()); err != nil || len(w.letters) != 3 {
		t.Errorf("who was told is told twice: %v, %d letters", err, len(w.letters))
	}
	w.clock.Wind(time.Second)
	_, err = w.Draft(t.Context(), x.ID, Draft{Report: &whole}, w.by())
	must(t, err)
	if _, err := w.Notify(t.Context(), x.ID, w.by()); err != nil || len(w.letters) != 5 {
		t.Errorf("after a change everybody is told: %v, %d letters", err, len(w.letters))
	}
}

// TestScope: the answer names customers, categories, records counted once, and
// persons, and says what it cannot tell.
func TestScope(t *testing.T) {
	t.Parallel()
	w := small(t)
	at := lab.Epoch
	ann, err := address.Parse("ann@example.net")
	must(t, err)
	asked, err := w.Hash(w.other, ann)
	must(t, err)
	by := reads.Reader{Token: 5, User: 3, From: netip.MustParseAddr("192.0.2.9")}
	w.list = []reads.Read{
		{Reader: by, At: at, Of: w.acme, Category: "message records", Count: 2, IDs: []int64{1, 2}, Node: 4},
		{Reader: by, At: at.Add(time.Minute), Of: w.acme, Category: "message records", Count: 2, IDs: []int64{2, 3}},
		{Reader: by, At: at, Of: w.other, Category: "message records", Count: 1, IDs: []int64{4}, Person: asked},
		{Reader: by, At: at, Of: w.other, Category: "caught mail", Count: 300, Low: 1, High: 900},
		{Reader: by, At: at, Of: w.other, Category: "caught mail", Count: 1, IDs: []int64{4}},
		{Reader: by, At: at, Of: w.other, Category: "users", Count: 0},
		{Reader: reads.Reader{Token: 6}, At: at, Of: w.other, Category: "message records", Count: 1, IDs: []int64{5}},
		{Reader: by, At: at.Add(100 * time.Hour), Of: w.other, Category: "message records", Count: 1, IDs: []int64{5}},
	}
	w.names = map[int64][]string{1: {"a@example.net", "b@example.net"}, 2: {"b@example.net"}, 4: {"ann@example.net", "bystander@example.net"}, 5: {"x@example.net"}}
	w.gaps = []reads.Gap{{Node: 4, From: at}}
	w.clock.Wind(time.Hour)
	var persons []string
	ask := Selector{Token: 5, Since: at.Add(-48 * time.Hour), Until: at.Add(time.Hour)}
	got, err := w.Scope(t.Context(), ask, func(p Person) error { persons = append(persons, p.Address); return nil })
	must(t, err)
	if got.Reads != 6 || len(got.Customers) != 2 || got.Persons != 4 || got.Records() != 3+1+301 {
		t.Errorf("%+v", got)
	}
	if a := got.Customers[0]; a.Tenant != w.acme || a.Persons != 2 || a.Categories[0].Records != 3 || a.Categories[0].Reads != 2 || !a.Categories[0].Last.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v", a)
	}
	if want := []string{"a@example.net", "b@example.net", "ann@example.net", "bystander@example.net"}; !slices.Equal(persons, want) {
		t.Errorf("persons %v", persons)
	}
	unknown := strings.Join(got.Unknown, "\n")
	for _, want := range []string{"no records of reads from before", "Node 4 died", "1 reads showed more records", "1 records that were read are gone", `"caught mail"`, "past the doors"} {
		if !strings.Contains(unknown, want) {
			t.Errorf("it does not say %q:\n%s", want, unknown)
		}
	}
	node := 4
	for _, c := range []struct {
		s     Selector
		reads int
	}{
		{Selector{User: 3}, 6}, {Selector{From: netip.MustParsePrefix("192.0.2.0/24")}, 6}, {Selector{From: netip.MustParsePrefix("198.51.100.0/24")}, 0},
		{Selector{Node: &node}, 1}, {Selector{Token: 6}, 1}, {Selector{Token: 7}, 0},
	} {
		c.s.Since, c.s.Until = ask.Since, ask.Until
		if got, err := w.Scope(t.Context(), c.s, nil); err != nil || got.Reads != c.reads {
			t.Errorf("%+v: %d %v", c.s, got.Reads, err)
		}
	}
	for _, s := range []Selector{{}, {Token: 5, User: 3, Since: at}, {Token: 5}, {Token: 5, Since: at, Until: at}} {
		if _, err := w.Scope(t.Context(), s, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestContain: one act, on record; exports answer a refusal until it is released;
// what failed is said and made up for.
func TestContain(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.list = []reads.Read{{Reader: reads.Reader{Token: 5}, At: lab.Epoch, Of: w.acme, Category: "message records", Count: 1, IDs: []int64{1}}}
	w.clock.Wind(time.Hour)
	found, err := w.Scope(t.Context(), Selector{Token: 5, Since: lab.Epoch.Add(-time.Hour)}, nil)
	must(t, err)
	x := w.open(Opening{Scope: &found})
	w.broken = errors.New("the queue does not answer")
	if _, err := w.Contain(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("with a queue that does not answer: %v", err)
	}
	for in, frozen := range map[scope.Scope]bool{scope.Tenant(w.acme): true, scope.Tenant(w.other): false, scope.Everyone: true} {
		if err := w.Frozen(t.Context(), in); fault.Is(err, fault.Conflict) != frozen {
			t.Errorf("exports of %+v: %v", in, err)
		}
	}
	w.broken = nil
	x, err = w.Contain(t.Context(), x.ID, w.by())
	must(t, err)
	if got := strings.Join(w.did, " "); x.State != Contained || got != "revoke hold rotate revoke hold" {
		t.Errorf("%s: %s", x.State, got)
	}
	if _, err := w.Close(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Conflict) {
		t.Errorf("closed while contained: %v", err)
	}
	w.did = nil
	x, err = w.Desk.Release(t.Context(), x.ID, w.by())
	must(t, err)
	if got := strings.Join(w.did, " "); x.State != Open || got != "restore "+ids.User(7).String()+" release" {
		t.Errorf("%s: %s", x.State, got)
	}
	if err := w.Frozen(t.Context(), scope.Everyone); err != nil {
		t.Errorf("exports after the release: %v", err)
	}
	for _, a := range x.Acts {
		if !a.Final && a.Undone.IsZero() {
			t.Errorf("still holds: %+v", a)
		}
	}
	if _, err := w.Desk.Release(t.Context(), x.ID, w.by()); !fault.Is(err, fault.Conflict) {
		t.Errorf("released twice: %v", err)
	}
}

// TestEveryMove holds each pair of states against the table of moves.
func TestEveryMove(t *testing.T) {
	t.Parallel()
	all := []State{Open, Contained, Closed}
	var got []string
	for _, from := range all {
		for _, to := range all {
			if from.MayBecome(to) {
				got = append(got, string(from)+">"+string(to))
			}
		}
	}
	if want := "open>contained open>closed contained>open contained>closed"; strings.Join(got, " ") != want {
		t.Errorf("%v", got)
	}
}

// TestPurge: a closed incident goes with its period, a drill sooner, an open one never.
func TestPurge(t *testing.T) {
	t.Parallel()
	w := small(t)
	closed := func(drill bool) {
		x := w.open(Opening{Drill: drill})
		if !drill {
			_, err := w.Tell(t.Context(), x.ID, ToAuthority, Told{NotNeeded: "no risk"}, w.by())
			must(t, err)
		}
		_, err := w.Close(t.Context(), x.ID, w.by())
		must(t, err)
	}
	closed(true)
	closed(false)
	w.open(Opening{})
	w.clock.Wind(keptDrill + time.Hour)
	if n, err := w.Purge(t.Context(), w.clock.Now().Add(-kept)); n != 1 || err != nil {
		t.Errorf("the drill: %d %v", n, err)
	}
	w.clock.Wind(kept)
	if n, err := w.Purge(t.Context(), w.clock.Now().Add(-kept)); n != 1 || err != nil {
		t.Errorf("the closed one: %d %v", n, err)
	}
	if list, err := w.List(t.Context(), 0, 10); len(list) != 1 || err != nil {
		t.Errorf("%d are left, %v", len(list), err)
	}
}
