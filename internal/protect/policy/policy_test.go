package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

var known = Known{
	Categories: []string{"conversations", "counts", "message records"},
	Fields:     []string{"sender_ip", "message_id", "sender", "recipient", "subject", "server_response"},
	Roles:      []string{"operator", "custodian", "owner", "admin", "developer", "viewer"},
	Purposes:   []string{"deliver", "endpoints", "record", "search", "suppress", "count"},
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	list, err := Profiles()
	if err != nil || len(list) != 6 || list[0].Name != Recommended {
		t.Fatal(list, err)
	}
	every := paths()
	for _, p := range list {
		d, err := FindProfile(p.Name)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if err := d.CheckAgainst(known); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.About == "" || !strings.HasSuffix(p.About, ".") {
			t.Errorf("%s does not say what it is for: %q", p.Name, p.About)
		}
		said := map[string]bool{}
		for _, n := range d.settings() {
			said[n.path] = true
		}
		for _, path := range every {
			if !said[path] && path != "places" && path != "sub_processors" && path != "visible.back" { // the operator's own to name; without a limit what is kept is shown
				t.Errorf("%s says nothing of %s", p.Name, path)
			}
		}
		again, err := d.Text()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("%s does not survive being written: %v\n%s", p.Name, err, again)
		}
		if diff := d.Diff(back); diff != nil {
			t.Errorf("%s changes by being written: %v", p.Name, diff)
		}
	}
	if _, err := FindProfile("none"); err == nil || !strings.Contains(err.Error(), "recommended") {
		t.Error(err)
	}
}

// paths are those of the settings that stand in the document's own structs.
func paths() []string {
	var list []string
	walk("", reflect.ValueOf(&Document{}).Elem(), func(n named) { list = append(list, n.path) })
	return list
}

func TestBadDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, says string }{
		{"retention: {conversations: {at_least: 12mo, at_most: 30d}}", "retention.conversations must be kept 1 year at least and 30 days at most: the law's floor is above the ceiling"},
		{"retention: {conversations: {law: none}}", "retention.conversations says nothing; leave it out"},
		{"visible: {secrets: [owner]}", "unknown field"},
		{"retention: {conversations: soon}", "is no time; write a number with h, d, w, mo or y"},
		{"retention: {conversations: {at_most: 14d, for: ever}}", "unknown field"},
		{"tls: {mx: \"1.1\"}", `tls.mx is "1.1"; it can be offered, 1.2, 1.3`},
		{"tracking: {opens: maybe}", `tracking.opens is "maybe"; it can be allowed, consent, off`},
		{"record: {inbound: {subject: hide}}", `record.inbound.subject is "hide"; it can be keep, truncate, hash or drop`},
		{"purposes: [deliver, deliver]", `purposes has "deliver", which is empty, too long or twice`},
		{"findings: {urgent: 1d}", "findings.urgent: a severity is critical, high, medium or low"},
		{"answers: 5", "is no size"},
		{"secrecy: high", "unknown field"},
		{"- a list", "cannot be read"},
		{"retention: {conversations: 9999999999d}", "is no time"},
		{strings.Repeat("#", 70<<10), "64 KiB"},
	} {
		d, err := Parse([]byte(c.text))
		if c.says == "" {
			if err != nil || len(d.settings()) != 0 {
				t.Errorf("%s: %v", c.text, err)
			}
			continue
		}
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s\n got  %v\n want %s", c.text, err, c.says)
		}
	}
	d, err := Parse([]byte("retention: {diaries: 1d}\nrecord: {inbound: {shoe_size: drop}}\npurposes: [marketing]\nvisible: {content: [root]}"))
	if err != nil {
		t.Fatal(err)
	}
	err = d.CheckAgainst(known)
	for _, says := range []string{`no category "diaries"`, `no field "shoe_size"`, `no purpose "marketing"`, `no role "root"`} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %s", err, says)
		}
	}
}

func TestNarrowing(t *testing.T) {
	t.Parallel()
	platform := parse(t, `
retention: {message records: 90d, conversations: {at_least: 6mo, at_most: 12mo, law: a law}}
record: {inbound: {subject: hash}}
tls: {mx: "1.2"}
places: [eu, us]
notice: {policy: 30d}
breach: {customer: 48h}
answers: 4KiB
`)
	for _, c := range []struct{ text, says string }{
		{"retention: {message records: 30d}", ""},
		{"retention: {conversations: {at_least: 10mo}}", ""},
		{"retention: {conversations: 7mo}", ""},
		{"retention: {diaries: 10y}", ""}, // the platform says nothing of it
		{"record: {inbound: {subject: drop, sender: hash}}", ""},
		{"places: [eu]", ""},
		{"places: []", ""},
		{"notice: {policy: 60d}", ""},
		{"answers: 0B", ""},
		{"retention: {message records: 91d}", "retention.message records (gone after 91 days) would be looser than the platform's (gone after 90 days)"},
		{"retention: {message records: 3mo}", "would be looser"}, // 92 days, in some months
		{"retention: {message records: 2mo}", ""},
		{"retention: {conversations: {at_least: 1mo}}", "would be looser"},
		{"retention: {conversations: 30d}", "floor is above the ceiling"},
		{"record: {inbound: {subject: truncate}}", "cut short"},
		{"record: {inbound: {subject: keep}}", "would be looser"},
		{"tls: {mx: offered}", "tls.mx (TLS offered) would be looser than the platform's (TLS 1.2 or later only)"},
		{"places: [eu, ap]", "would be looser"},
		{"notice: {policy: 7d}", "would be looser"},
		{"breach: {customer: 72h}", "would be looser"},
		{"answers: 5KiB", "would be looser"},
	} {
		err := parse(t, c.text).Narrows(platform)
		if c.says == "" && err != nil || c.says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.text, err, c.says)
		}
	}
}

func parse(t testing.TB, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCustomersNeverLoosen draws any two documents: what is in force for the
// customer is nowhere looser than what the platform says, and a document that is
// accepted as narrower says the same of itself.
func TestCustomersNeverLoosen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		platform, customer := draw(r, "platform"), draw(r, "customer")
		force := customer.Within(platform)
		if len(force.settings()) < len(platform.settings()) {
			r.Fatal("something that the platform says is said no more")
		}
		for _, p := range platform.settings() {
			i := slices.IndexFunc(force.settings(), func(n named) bool { return n.path == p.path })
			if i < 0 || !force.settings()[i].setting.within(p.setting) {
				r.Fatalf("%s: %s in force, the platform says %s", p.path, force.settings()[i].setting.words(), p.setting.words())
			}
		}
		if diff := force.Diff(force.Within(platform)); diff != nil {
			r.Fatal("narrowing twice is not narrowing once:", diff)
		}
		if customer.Narrows(platform) == nil {
			for _, c := range customer.settings() {
				i := slices.IndexFunc(force.settings(), func(n named) bool { return n.path == c.path })
				if !force.settings()[i].setting.within(c.setting) {
					r.Fatalf("%s: accepted as %s, in force %s", c.path, c.setting.words(), force.settings()[i].setting.words())
				}
			}
		}
		if Loosens(platform.Diff(force)) {
			r.Fatal("the difference is said to loosen:", platform.Diff(force))
		}
		// Neither of them was changed by it.
		if diff := cmp.Diff(platform.Diff(platform.clone()), []Change(nil)); diff != "" {
			r.Fatal(diff)
		}
	})
}

// draw makes a document by putting a value of its type, or nothing, at every
// setting that there is. A type of setting that it does not know fails.
func draw(r *rapid.T, name string) *Document {
	d := &Document{Retention: map[string]Keeping{}, Findings: map[string]Deadline{}}
	d.Record.Inbound, d.Record.Outbound = map[string]Redaction{}, map[string]Redaction{}
	for _, key := range []string{"one", "two"} {
		if rapid.Bool().Draw(r, name+key) {
			d.Retention[key], d.Findings[key] = Keeping{}, Deadline{}
			d.Record.Inbound[key], d.Record.Outbound[key] = "", ""
		}
	}
	walk("", reflect.ValueOf(d).Elem(), func(n named) {
		inMap := strings.HasSuffix(n.path, ".one") || strings.HasSuffix(n.path, ".two")
		if inMap || rapid.Bool().Draw(r, name+n.path) {
			n.put(value(r, n.setting, name+n.path))
		}
	})
	return d
}

func value(r *rapid.T, like Setting, name string) Setting {
	word := func(list ...string) string { return rapid.SampledFrom(list).Draw(r, name) }
	switch s := like.(type) {
	case Keeping:
		k := Keeping{AtMost: span(r, name+"most"), AtLeast: span(r, name+"least")}
		if !k.Given() {
			k.AtMost = Immediately
		}
		return k
	case Deadline:
		return Deadline{given(span(r, name))}
	case Notice:
		return Notice{given(span(r, name))}
	case Redaction:
		return Redaction(word("keep", "truncate", "hash", "drop"))
	case Listener:
		return Listener(word(s.rungs()...))
	case Outgoing:
		return Outgoing(word(s.rungs()...))
	case Tracking:
		return Tracking(word(s.rungs()...))
	case Training:
		return Training(word(s.rungs()...))
	case Staff:
		return Staff(word(s.rungs()...))
	case Switch:
		return Switch(word(s.rungs()...))
	case Among:
		list := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), func(s string) string { return s }).Draw(r, name)
		return append(Among{}, list...)
	case Size:
		return Size{Bytes: limit.Bytes(rapid.Int64Range(0, 9).Draw(r, name)), set: true}
	}
	r.Fatalf("nothing draws a %T", like)
	return nil
}

func given(s Span) Span {
	if !s.set {
		return Immediately
	}
	return s
}

func span(r *rapid.T, name string) Span {
	text := rapid.SampledFrom([]string{"", "at once", "1h", "72h", "13d", "14d", "28d", "30d", "31d", "90d", "365d", "366d", "1mo", "2mo", "3mo", "6mo", "12mo", "24mo", "7y", "10y"}).Draw(r, name)
	if text == "" {
		return Span{}
	}
	s, err := ParseSpan(text)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// TestSpansGoByTheCalendar: what is called shorter is shorter on every day of
// eight years, and months end where months end.
func TestSpansGoByTheCalendar(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a, b := given(span(r, "a")), given(span(r, "b"))
		from := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 8*366).Draw(r, "day"))
		if a.notLonger(b) && (a.Before(from).Before(b.Before(from)) || a.After(from).After(b.After(from))) {
			r.Fatalf("on %v %s is longer than %s", from, a, b)
		}
	})
	for _, c := range []struct{ from, span, want string }{
		{"2026-03-31", "1mo", "2026-02-28"}, {"2028-03-31", "1mo", "2028-02-29"}, {"2028-02-29", "1y", "2027-02-28"},
		{"2026-11-22", "10y", "2016-11-22"}, {"2026-11-22", "12mo", "2025-11-22"}, {"2026-11-22", "2w", "2026-11-08"}, {"2026-11-22", "at once", "2026-11-22"},
	} {
		from, err := time.Parse(time.DateOnly, c.from)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSpan(c.span)
		if got := s.Before(from).Format(time.DateOnly); err != nil || got != c.want {
			t.Errorf("%s before %s is %s, want %s", c.span, c.from, got, c.want)
		}
	}
}

func TestDiffInWords(t *testing.T) {
	t.Parallel()
	before := parse(t, "retention: {message records: 90d, counts: 24mo}\ntls: {mx: offered}\npreview: allowed")
	after := parse(t, "retention: {message records: 14d, conversations: {at_least: 12mo, law: a law}}\ntls: {mx: offered}\npreview: allowed\nbreach: {customer: 24h}\nplaces: []")
	var got []string
	list := before.Diff(after)
	for _, c := range list {
		got = append(got, c.Words())
	}
	want := []string{
		"breach.customer: within 24 hours, of which nothing was said before (stricter)",
		"places: none, of which nothing was said before (stricter)",
		"retention.conversations: kept 1 year at least (a law), of which nothing was said before (stricter)",
		"retention.counts: nothing is said any more; before: gone after 2 years (looser)",
		"retention.message records: gone after 14 days; before: gone after 90 days (stricter)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !Loosens(list) || Loosens(list[:3]) {
		t.Error("what loosens is not seen")
	}
}

func FuzzParse(f *testing.F) {
	list, err := Profiles()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range list {
		f.Add(p.Text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		again, err := d.Text()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if diff := d.Diff(back); diff != nil {
			t.Fatal(diff)
		}
	})
}

func TestSettingsByPath(t *testing.T) {
	t.Parallel()
	d, err := FindProfile("gateway")
	if err != nil {
		t.Fatal(err)
	}
	said, err := d.Says()
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range said {
		settings[s.Path] = s.Value
	}
	for path, want := range map[string]string{"retention.message records": "14d", "tls.mx": "offered", "visible.content": "[owner, admin]", "answers": "4KiB"} {
		if settings[path] != want {
			t.Errorf("%s is %q, want %q", path, settings[path], want)
		}
	}
	if !Obeyed("retention.message records") || !Obeyed("notice.policy") || Obeyed("notice.other") || Obeyed("recorded") {
		t.Error("what is obeyed is not told by its path")
	}
	own, err := From(map[string]string{"sub_processors": "[Example Cloud]", "places": "[eu]"}) // no profile can know an operator's
	if err != nil {
		t.Fatal(err)
	}
	more, err := own.Says()
	if err != nil {
		t.Fatal(err)
	}
	said = append(said, more...)
	for _, path := range obeyed {
		if !slices.ContainsFunc(said, func(s Said) bool { return s.Path == path || strings.HasPrefix(s.Path, path+".") }) {
			t.Errorf("%s is said to be obeyed, and no policy says it", path)
		}
	}
	back, err := From(settings)
	if err != nil {
		t.Fatal(err)
	}
	if diff := d.Diff(back); diff != nil {
		t.Error(diff)
	}
	for _, bad := range []map[string]string{
		{"tls": "1.2", "tls.mx": "1.2"}, {"tls.mx.deep": "1"}, {"no such": "1"}, {"tls.mx": "[1"}, {"tls.mx": "9.9"}, {"retention.message records": "a\nb: c"},
	} {
		if d, err := From(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v %v", bad, d, err)
		}
	}
	if d, err := From(map[string]string{"tls.mx": " "}); err != nil || len(d.settings()) != 0 {
		t.Error(d, err)
	}
}
