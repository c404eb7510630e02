package supply

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

const (
	acme ids.Tenant = 77
	bell ids.Tenant = 78
)

// opened is a register with its customers and what they were mailed.
type opened struct {
	*Store
	config    Config
	clock     *lab.Clock
	customers []ids.Tenant
	mailed    []string
}

func open(t *testing.T, config db.Config, listed ...Entry) *opened {
	t.Helper()
	clock := lab.NewClock(lab.Epoch)
	config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
	d := lab.OpenDB(t, config, Schema, evidence.Schema(), policy.Schema)
	o := &opened{clock: clock}
	source, stage := ids.NewSource(clock, 1, 0), evidence.NewStage(d)
	policies, err := policy.New(t.Context(), policy.Config{DB: d, Stage: stage, IDs: source, Clock: clock, Observe: observe.Silent()})
	if err != nil {
		t.Fatal(err)
	}
	o.config = Config{
		DB: d, Vault: keys.Vault(t, clock, source), Stage: stage, IDs: source, Clock: clock, Observe: observe.Silent(), Policies: policies, Home: HomeOf("DE", "eu"),
		Customers: func(_ context.Context, yield func(ids.Tenant) error) error {
			for _, c := range o.customers {
				if err := yield(c); err != nil {
					return err
				}
			}
			return nil
		},
		Probing: func(id ids.Tenant) bool { return id == bell },
		Tell: func(_ context.Context, to ids.Tenant, l Letter) error {
			o.mailed = append(o.mailed, to.String()+" "+l.Subject)
			return nil
		},
		Listed: listed,
	}
	if o.Store, err = New(t.Context(), o.config); err != nil {
		t.Fatal(err)
	}
	return o
}

func entry() Entry {
	return Entry{
		Name: "Example Cloud", Kind: Infrastructure, Purposes: []string{"object store"}, Country: "DE", Data: []string{"bodies (sealed)"},
		Endpoints: []string{"s3.example.net:443", "*.cdn.example.net"}, Agreement: Agreement{"DPA 1", "2030-12-31"},
	}
}

func (o *opened) announce(t *testing.T, d Draft) Version {
	t.Helper()
	d.By = evidence.Actor{Role: evidence.ByOperator}
	v, _, err := o.Announce(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (o *opened) covers(t *testing.T, want string) {
	t.Helper()
	name, err := o.Covers("object store", "s3.example.net:443", "", 0)
	text, _ := fault.Public(err)
	if want == "" && (err != nil || name != "Example Cloud") || want != "" && (!fault.Is(err, fault.Denied) || !strings.Contains(text, want)) {
		t.Errorf("covered by %q, %v; want %q", name, err, want)
	}
}

func TestNothingTakesEffectBeforeItsNotice(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		o := open(t, config)
		o.covers(t, "no sub-processor in force covers it")
		first := o.announce(t, Draft{Entry: entry()})
		o.covers(t, "") // nobody is there to be told
		o.customers = []ids.Tenant{acme}

		more := entry()
		more.Data = append(more.Data, "addresses")
		if _, _, err := o.Announce(t.Context(), Draft{ID: first.ID, Entry: more, Effective: o.clock.Now().Add(29 * 24 * time.Hour)}); !fault.Is(err, fault.Invalid) {
			t.Errorf("within the notice period: %v", err)
		}
		second := o.announce(t, Draft{ID: first.ID, Entry: more})
		if got := second.Effective.Sub(o.clock.Now()); got != 30*24*time.Hour {
			t.Errorf("takes effect after %v", got)
		}
		if _, _, err := o.Announce(t.Context(), Draft{ID: first.ID, Entry: entry()}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second change under way: %v", err)
		}
		p, _, err := o.Get(scope.Tenant(acme), first.ID)
		if err != nil || p.Current.Number != 1 || p.Coming.Number != 2 {
			t.Errorf("%+v %v", p, err)
		}
		if err := o.Tick(t.Context()); err != nil || len(o.mailed) != 1 || !strings.Contains(o.mailed[0], "A change at our sub-processor Example Cloud") {
			t.Errorf("mailed %q, %v", o.mailed, err)
		}
		if err := o.Tick(t.Context()); err != nil || len(o.mailed) != 1 {
			t.Errorf("mailed twice: %q, %v", o.mailed, err)
		}
		o.clock.Wind(30 * 24 * time.Hour)
		if p, _, _ = o.Get(scope.Tenant(acme), first.ID); p.Current.Number != 2 || p.Coming != nil {
			t.Errorf("after the period: %+v", p)
		}
		if v := o.announce(t, Draft{ID: first.ID, Entry: entry()}); v.Effective.After(o.clock.Now()) {
			t.Errorf("less data waits until %v", v.Effective)
		}
		o.announce(t, Draft{ID: first.ID, Remove: true})
		o.covers(t, "no sub-processor in force covers it")
		if list := o.List(scope.Everyone); len(list) != 0 {
			t.Errorf("%+v", list)
		}
		if again, err := New(t.Context(), o.config); err != nil || len(again.versions(first.ID)) != 4 {
			t.Errorf("a new process: %v", err)
		}
	})
}

func TestObjectionsHoldAChange(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		o := open(t, config)
		o.customers = []ids.Tenant{acme, bell}
		v := o.announce(t, Draft{Entry: entry()})
		o.covers(t, "is announced and takes effect on")
		by := evidence.Actor{Role: evidence.ByOwner}
		ob, err := o.Object(t.Context(), acme, 9, v.ID, "we know them", by)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Object(t.Context(), acme, 9, v.ID, "still", by); !fault.Is(err, fault.Conflict) {
			t.Errorf("twice: %v", err)
		}
		if list, err := o.Objections(t.Context(), scope.Tenant(bell), v.ID, 10); err != nil || len(list) != 0 {
			t.Errorf("another customer's: %+v %v", list, err)
		}
		o.clock.Wind(31 * 24 * time.Hour)
		o.covers(t, "an objection of a customer waits for an answer")
		if _, err := o.Object(t.Context(), bell, 9, v.ID, "too late", by); !fault.Is(err, fault.Conflict) {
			t.Errorf("after the date: %v", err)
		}
		if _, err := o.Answer(t.Context(), ob.ID, "you may leave", evidence.Actor{Role: evidence.ByOperator}); err != nil {
			t.Fatal(err)
		}
		o.covers(t, "")
		list, err := o.Objections(t.Context(), scope.Tenant(acme), 0, 10)
		if err != nil || len(list) != 1 || list[0].Reason != "we know them" || list[0].Answer != "you may leave" || list[0].Answered.IsZero() {
			t.Errorf("%+v %v", list, err)
		}
		if _, err := o.Answer(t.Context(), ob.ID, "again", by); !fault.Is(err, fault.Conflict) {
			t.Errorf("answered twice: %v", err)
		}
	})
}

func TestWithdrawnChangesNeverHold(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()})
	o.customers = []ids.Tenant{acme}
	v := o.announce(t, Draft{Entry: entry()})
	if _, err := o.Withdraw(t.Context(), v.ID, evidence.Actor{Role: evidence.ByOperator}); err != nil {
		t.Fatal(err)
	}
	o.clock.Wind(40 * 24 * time.Hour)
	o.covers(t, "no sub-processor in force covers it")
	if _, err := o.Withdraw(t.Context(), v.ID, evidence.Actor{Role: evidence.ByOperator}); !fault.Is(err, fault.Conflict) {
		t.Errorf("again: %v", err)
	}
	if err := o.Tick(t.Context()); err != nil || len(o.mailed) != 0 {
		t.Errorf("mailed of what was withdrawn: %q %v", o.mailed, err)
	}
}

func TestPapersEnd(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()})
	e := entry()
	e.Agreement.Until = Date(o.clock.Now().AddDate(0, 2, 0).Format(time.DateOnly))
	v := o.announce(t, Draft{Entry: e})
	o.covers(t, "")
	o.clock.Wind(70 * 24 * time.Hour)
	o.covers(t, "the agreement with Example Cloud ended on")
	e.Agreement.Until = "2031-01-01"
	o.customers = []ids.Tenant{acme}
	o.announce(t, Draft{ID: v.ID, Entry: e}) // new papers wait for nobody
	o.covers(t, "")

	abroad := e
	abroad.Country = "US"
	if _, _, err := o.Announce(t.Context(), Draft{ID: v.ID, Entry: abroad}); !fault.Is(err, fault.Invalid) {
		t.Errorf("abroad without a safeguard: %v", err)
	}
	abroad.Safeguard = Safeguard{StandardClauses, "SCC", Date(o.clock.Now().AddDate(0, 3, 0).Format(time.DateOnly))}
	o.announce(t, Draft{ID: v.ID, Entry: abroad})
	o.clock.Wind(31 * 24 * time.Hour)
	o.covers(t, "")
	if p, _, _ := o.Get(scope.Everyone, v.ID); !p.Abroad || p.Ends.IsZero() {
		t.Errorf("%+v", p)
	}
	o.clock.Wind(70 * 24 * time.Hour)
	o.covers(t, "the safeguard for Example Cloud in US ended on")
}

func TestPurposesBind(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, entry())
	if _, err := o.Covers("traces", "s3.example.net:443", "", 0); !fault.Is(err, fault.Denied) {
		t.Errorf("for another purpose: %v", err)
	}
	if _, err := o.Covers("object store", "a.cdn.example.net:8443", "", 0); err != nil {
		t.Errorf("a host below: %v", err)
	}
	for _, other := range []string{"cdn.example.net:443", "s3.example.net:80", "xs3.example.net:443", "cdn.example.net.evil.example:1"} {
		if _, err := o.Covers("object store", other, "", 0); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", other, err)
		}
	}
}

func TestThePolicyNamesWhoMay(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, entry())
	o.covers(t, "")
	_, _, err := o.Policies.Publish(t.Context(), policy.Draft{Tenant: acme, Text: "sub_processors: []", Role: evidence.ByOwner})
	if err != nil {
		t.Fatal(err)
	}
	o.customers = []ids.Tenant{acme}
	other := entry()
	other.Name, other.Endpoints = "Other", nil
	v := o.announce(t, Draft{Entry: other})
	if list, err := o.Objections(t.Context(), scope.Everyone, v.ID, 10); err != nil || len(list) != 1 || list[0].Author != 0 {
		t.Errorf("the customer's policy did not object: %+v %v", list, err)
	}
	if _, _, err := o.Policies.Publish(t.Context(), policy.Draft{Tenant: tenant.Platform, Text: "sub_processors: [Somebody]", Role: evidence.ByOperator}); err != nil {
		t.Fatal(err)
	}
	if text := must(policy.Parse([]byte("sub_processors: [Somebody]"))); !fault.Is(o.Fits(acme, text), fault.Invalid) {
		t.Error("a policy that leaves out who gets data could be published")
	}
	if text := must(policy.Parse([]byte("sub_processors: [Example Cloud]"))); o.Fits(acme, text) != nil {
		t.Error("a policy that names who gets data was refused")
	}
	o.covers(t, "the privacy policy in force names the sub-processors")
}

// TestThePolicyNamesThePlaces: an entry whose region and country the policy leaves out
// is not used, a policy that leaves out where data is now is refused, and a customer's
// narrower one objects to what comes.
func TestThePolicyNamesThePlaces(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, entry())
	o.config.Home.Names = nil
	fits := func(text string) bool { return o.Fits(tenant.Platform, must(policy.Parse([]byte(text)))) == nil }
	for text, ok := range map[string]bool{"places: [eu, DE]": true, "places: [DE]": false, "places: [eu]": false, "places: []": false, "breach: {customer: 9h}": true} {
		if fits(text) != ok {
			t.Errorf("%s: fits %v", text, !ok)
		}
	}
	o.customers = []ids.Tenant{acme}
	if _, _, err := o.Policies.Publish(t.Context(), policy.Draft{Tenant: acme, Text: "places: [eu, DE]", Role: evidence.ByOwner}); err != nil {
		t.Fatal(err)
	}
	other := entry()
	other.Name, other.Endpoints, other.Country, other.Region = "Other", nil, "FR", "paris"
	v := o.announce(t, Draft{Entry: other})
	if list, err := o.Objections(t.Context(), scope.Everyone, v.ID, 10); err != nil || len(list) != 1 || !strings.Contains(list[0].Reason, "places") {
		t.Errorf("the customer's policy did not object: %+v %v", list, err)
	}
	if _, _, err := o.Policies.Publish(t.Context(), policy.Draft{Tenant: tenant.Platform, Text: "places: [eu, paris]", Role: evidence.ByOperator}); err != nil {
		t.Fatal(err)
	}
	o.clock.Wind(40 * 24 * time.Hour)
	o.covers(t, "names the places where data may be (eu, paris), and Example Cloud's (DE) is not among them")
}

// TestARegionIsNamed: an endpoint that the configuration puts into another region is
// covered by an entry that says this region, and by no other.
func TestARegionIsNamed(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, entry())
	refused := func(want string) {
		t.Helper()
		_, err := o.Covers("object store", "s3.example.net:443", "us-east", 0)
		if text, _ := fault.Public(err); !fault.Is(err, fault.Denied) || !strings.Contains(text, want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused("it stands in another region, us-east, and Example Cloud's entry says that its data is in DE")
	if _, err := o.Covers("object store", "elsewhere.example:443", "us-east", 0); err == nil || !strings.Contains(err.Error(), "list it under region_names") {
		t.Errorf("%v", err)
	}
	e := entry()
	e.Region = "us-east"
	o.announce(t, Draft{ID: o.List(scope.Everyone)[0].ID, Entry: e})
	if name, err := o.Covers("object store", "s3.example.net:443", "us-east", 0); err != nil || name != "Example Cloud" {
		t.Errorf("%q %v", name, err)
	}
	if _, err := (Listed{Entries: []Entry{entry()}, Home: HomeOf("DE", "eu"), Clock: o.clock}).Covers("object store", "s3.example.net:443", "us-east", 0); !fault.Is(err, fault.Denied) {
		t.Errorf("before the register is open: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOneCustomersOwnCoverNothingElse(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()})
	if _, _, err := o.Announce(t.Context(), Draft{Tenant: acme, Entry: entry(), Unannounced: true}); !fault.Is(err, fault.Denied) {
		t.Errorf("without notice: %v", err)
	}
	o.announce(t, Draft{Tenant: bell, Entry: entry(), Unannounced: true})
	o.covers(t, "no sub-processor in force covers it")
	if _, err := o.Covers("object store", "s3.example.net:443", "", bell); err != nil {
		t.Errorf("the customer's own: %v", err)
	}
	if n := len(o.List(scope.Tenant(acme))) + len(o.Public()); n != 0 {
		t.Errorf("others see %d", n)
	}
	if err := o.Drop(t.Context(), bell); err != nil {
		t.Fatal(err)
	}
	if list := o.List(scope.Everyone); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestTheConfigurationBegins: a file brings what the register does not know, and
// papers that end later; it never loosens anything without notice.
func TestTheConfigurationBegins(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()}, entry())
	o.covers(t, "")
	o.customers = []ids.Tenant{acme}
	reopen := func(list ...Entry) {
		t.Helper()
		o.config.Listed = list
		s, err := New(t.Context(), o.config)
		if err != nil {
			t.Fatal(err)
		}
		o.Store = s
	}
	changed := entry()
	changed.Agreement.Until, changed.Data, changed.Country = "2032-01-01", []string{"everything"}, "US"
	other := entry()
	other.Name = "Other"
	reopen(changed, other)
	list := o.List(scope.Everyone)
	if len(list) != 2 || list[0].Current == nil || list[0].Current.Number != 2 || list[0].Current.Entry.Country != "DE" || list[0].Current.Entry.Agreement.Until != "2032-01-01" {
		t.Errorf("%+v", list)
	}
	if list[1].Current != nil || list[1].Coming == nil {
		t.Errorf("a new one with customers: %+v", list[1])
	}
	reopen(changed, other)
	if n := len(o.Known()); n != 3 {
		t.Errorf("%d versions after a restart", n)
	}
}

func TestListedStandsInUntilTheRegisterIsOpen(t *testing.T) {
	t.Parallel()
	l := Listed{Entries: []Entry{entry()}, Home: HomeOf("", "eu"), Clock: lab.NewClock(lab.Epoch)}
	if name, err := l.Covers("object store", "S3.example.net:443", "", 0); err != nil || name != "Example Cloud" {
		t.Errorf("%q %v", name, err)
	}
	l.Entries[0].Country = "US"
	if _, err := l.Covers("object store", "s3.example.net:443", "", 0); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "mailvow.yaml") {
		t.Errorf("%v", err)
	}
}

func TestEntriesAreChecked(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*Entry){
		"name":            func(e *Entry) { e.Name = " " },
		"kind":            func(e *Entry) { e.Kind = "cloud" },
		"country":         func(e *Entry) { e.Country = "Germany" },
		"purposes":        func(e *Entry) { e.Purposes = nil },
		"data":            func(e *Entry) { e.Data = []string{"a", "a"} },
		"uses":            func(e *Entry) { e.Uses = []string{"ann@example.com"} },
		"endpoints":       func(e *Entry) { e.Endpoints = []string{"*"} },
		"agreement":       func(e *Entry) { e.Agreement = Agreement{} },
		"agreement.until": func(e *Entry) { e.Agreement.Until = "soon" },
		"safeguard":       func(e *Entry) { e.Safeguard.Kind = "trust" },
	} {
		e := entry()
		spoil(&e)
		if err := e.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", field, err)
		} else if _, got := fault.Public(err); got != field {
			t.Errorf("%s is blamed for %s", got, field)
		}
	}
	e := entry()
	e.Kind, e.Agreement = Own, Agreement{}
	if err := e.Check(); err != nil || e.Lacks(lab.Epoch, HomeOf("DE", "eu")) != "" {
		t.Errorf("a machine of one's own: %v", err)
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		home, place string
		abroad      bool
	}{{"", "FR", false}, {"DE", "NO", false}, {"DE", "CH", true}, {"US", "US", false}, {"US", "DE", true}, {"", "GB", true}} {
		e := Entry{Country: c.place}
		if e.Abroad(HomeOf(c.home, "")) != c.abroad {
			t.Errorf("from %q to %s", c.home, c.place)
		}
	}
}

// TestWhatLoosens: whatever is added to an entry loosens it, and what is taken
// away does not.
func TestWhatLoosens(t *testing.T) {
	t.Parallel()
	words := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID[string])
	rapid.Check(t, func(t *rapid.T) {
		before, after := entry(), entry()
		before.Data, after.Data = words.Draw(t, "before"), words.Draw(t, "after")
		more := false
		for _, w := range after.Data {
			more = more || !strings.Contains(strings.Join(before.Data, ""), w)
		}
		if got := Loosens(diff(&before, &after)); got != more {
			t.Fatalf("%v → %v loosens: %v", before.Data, after.Data, got)
		}
	})
	for what, change := range map[string]func(*Entry){
		"country": func(e *Entry) { e.Country = "FR" }, "name": func(e *Entry) { e.Name = "Other" }, "endpoint": func(e *Entry) { e.Endpoints = append(e.Endpoints, "x:1") },
		"purpose": func(e *Entry) { e.Purposes = append(e.Purposes, "traces") }, "machines": func(e *Entry) { e.Uses = []string{"Hoster"} }, "own": func(e *Entry) { e.Kind = Own },
	} {
		before, after := entry(), entry()
		change(&after)
		if !Loosens(diff(&before, &after)) {
			t.Errorf("another %s does not loosen", what)
		}
	}
	before, after := entry(), entry()
	after.Agreement = Agreement{"DPA 2", "2035-01-01"}
	if list := diff(&before, &after); len(list) != 1 || Loosens(list) {
		t.Errorf("new papers: %+v", list)
	}
}
