package control_test

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/evidence"
)

// told is a probe whose answers a test sets: its own, and those for customers.
type told struct {
	id       string
	status   pledge.Status
	looks    int
	customer map[ids.Tenant]pledge.Status
}

func (p *told) Promise() string { return p.id }

func (p *told) Check(context.Context) (pledge.Status, string, error) {
	p.looks++
	return p.status, "it is " + string(p.status), nil
}

func (p *told) Judge(_ context.Context, t ids.Tenant) (pledge.Status, string, error) {
	return p.customer[t], "for it " + string(p.customer[t]), nil
}

type bench struct {
	t        *testing.T
	clock    *lab.Clock
	control  *control.Control
	probes   []*told
	stage    *evidence.Stage
	customer []ids.Tenant
}

func newBench(t *testing.T, d *db.DB, c *lab.Clock, mapping []control.Mapped, probes ...*told) *bench {
	t.Helper()
	b := &bench{t: t, clock: c, probes: probes, stage: evidence.NewStage(d)}
	cfg := control.Config{
		Clock: c, DB: d, Stage: b.stage, IDs: ids.NewSource(c, 1, 0), Mapping: mapping,
		Customers: func(_ context.Context, yield func(ids.Tenant) error) error {
			for _, t := range b.customer {
				if err := yield(t); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for _, p := range probes {
		cfg.Probes = append(cfg.Probes, p)
	}
	var err error
	if b.control, err = control.New(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) check(named ...string) []pledge.Finding {
	b.t.Helper()
	var all []pledge.Finding
	if err := b.control.Check(b.t.Context(), func(f pledge.Finding) error { all = append(all, f); return nil }, named...); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bench) line(s scope.Scope, id string) control.Line {
	b.t.Helper()
	lines, err := b.control.List(b.t.Context(), s)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(lines, func(l control.Line) bool { return l.ID == id })
	return lines[i]
}

// TestFindingsOutliveARestart: another process reads what one found, and since
// when a promise is not kept is known through every further failure.
func TestFindingsOutliveARestart(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{evidence.Schema(), control.Schema}, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		p := &told{id: "mb-tls", status: pledge.Kept}
		b := newBench(t, d, c, nil, p)
		if l := b.line(scope.Everyone, "mb-tls"); l.Status != pledge.NotYet || !l.CheckedAt.IsZero() {
			t.Errorf("before any look: %+v", l)
		}
		b.check("mb-tls")
		c.Wind(time.Hour)
		p.status = pledge.Failing
		b.check("mb-tls")
		c.Wind(time.Hour)
		b.check("mb-tls")
		again := newBench(t, d, c, nil, &told{id: "mb-tls"})
		l := again.line(scope.Everyone, "mb-tls")
		if l.Status != pledge.Failing || !l.Since.Equal(lab.Epoch.Add(time.Hour)) || !l.CheckedAt.Equal(lab.Epoch.Add(2*time.Hour)) || l.Evidence != "it is failing" {
			t.Errorf("after a restart: %+v", l)
		}
		p.status = pledge.Kept
		b.check("mb-tls")
		if l := again.line(scope.Everyone, "mb-tls"); l.Status != pledge.Kept || !l.Since.IsZero() {
			t.Errorf("mended: %+v", l)
		}
		without := newBench(t, d, c, nil)
		if l := without.line(scope.Everyone, "mb-tls"); l.Status != pledge.NotYet {
			t.Errorf("a probe that there is no more still counts: %+v", l)
		}
	})
}

// TestEachCustomerIsJudged: the worst stands for the promise, each customer sees
// its own, and one who left is forgotten.
func TestEachCustomerIsJudged(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, evidence.Schema(), control.Schema)
	c := lab.NewClock(lab.Epoch)
	one, two := ids.Tenant(11), ids.Tenant(12)
	p := &told{id: "cm-redact", status: pledge.Kept, customer: map[ids.Tenant]pledge.Status{one: pledge.Kept, two: pledge.Failing}}
	b := newBench(t, d, c, nil, p)
	b.customer = []ids.Tenant{one, two}
	got := b.check("cm-redact")
	if len(got) != 3 || got[0].Customer != one || got[1].Customer != two || got[1].Status != pledge.Failing || got[2].Customer != 0 || got[2].Status != pledge.Failing {
		t.Fatalf("%+v", got)
	}
	if want := "under the policies of 1 of 2 customers: for it failing"; got[2].Evidence != want {
		t.Errorf("%q", got[2].Evidence)
	}
	if l := b.line(scope.Tenant(one), "cm-redact"); l.Status != pledge.Kept || len(l.Customers) != 1 || l.Customers[0].Customer != one {
		t.Errorf("one sees %+v", l)
	}
	if l := b.line(scope.Tenant(two), "cm-redact"); l.Status != pledge.Failing || len(l.Customers) != 1 || l.Customers[0].Customer != two {
		t.Errorf("two sees %+v", l)
	}
	c.Wind(time.Minute)
	b.customer = b.customer[:1]
	if got := b.check("cm-redact"); len(got) != 2 || got[1].Status != pledge.Kept {
		t.Errorf("the one who left still counts: %+v", got)
	}
	rows, err := b.stage.Staged(t.Context(), 100)
	if err != nil || len(rows) != 3+2 {
		t.Errorf("%d results are in the evidence, %v", len(rows), err)
	}
}

// TestSchedule gives each probe one look an hour, and looks at once at what
// follows from one that began to fail.
func TestSchedule(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, evidence.Schema(), control.Schema)
	c := lab.NewClock(lab.Epoch)
	mapping := []control.Mapped{
		{Standard: control.GDPR, Ref: "1", By: []string{"mb-tls"}},
		{Standard: control.ISO, Ref: "1", By: []string{"ca-rest"}},
		{Standard: control.SOC2, Ref: "1", Gap: "nobody's"},
	}
	tls, rest := &told{id: "mb-tls", status: pledge.Kept}, &told{id: "ca-rest", status: pledge.Kept}
	b := newBench(t, d, c, mapping, tls, rest)
	next := func(times int) {
		t.Helper()
		for range times {
			c.Wind(time.Minute)
			if err := b.control.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	next(3)
	if tls.looks != 1 || rest.looks != 1 {
		t.Fatalf("%d and %d looks", tls.looks, rest.looks)
	}
	if l := b.line(scope.Everyone, "ca-gdpr"); l.Status != pledge.Kept {
		t.Errorf("%+v", l)
	}
	tls.status = pledge.Failing
	for range 5 {
		if next(1); tls.looks == 2 {
			break
		}
	}
	if l := b.line(scope.Everyone, "ca-gdpr"); tls.looks != 2 || l.Status != pledge.Failing || !strings.Contains(l.Evidence, "gdpr 1 rests on mb-tls") {
		t.Errorf("%d looks, %+v", tls.looks, l)
	}
	if l := b.line(scope.Everyone, "ca-iso"); l.Status != pledge.Kept {
		t.Errorf("%+v", l)
	}
}

// TestEveryMappedControlIsAnswered reads the mapping that comes with the server.
func TestEveryMappedControlIsAnswered(t *testing.T) {
	t.Parallel()
	mapping, err := control.Mapping()
	if err != nil {
		t.Fatal(err)
	}
	promises, err := control.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	known, seen, count := map[string]bool{}, map[string]bool{}, map[control.Standard]int{}
	for _, p := range promises {
		known[p.ID] = true
	}
	for _, m := range mapping {
		name := string(m.Standard) + " " + m.Ref
		count[m.Standard]++
		if m.Ref == "" || m.About == "" || seen[name] || len(m.By) == 0 && m.Gap == "" {
			t.Errorf("%s is doubled, or says nothing, or names neither promise nor gap", name)
		}
		seen[name] = true
		for _, id := range m.By {
			if !known[id] || slices.Contains([]string{"cm-standards", "ca-gdpr", "ca-iso"}, id) {
				t.Errorf("%s names %s, which is no promise or follows from this mapping", name, id)
			}
		}
	}
	// Annex A has 93 controls; the common criteria are 33, with 3, 2, 5 and 18 more.
	if count[control.ISO] != 93 || count[control.SOC2] != 33+3+2+5+18 || count[control.GDPR] < 50 || count[control.HIPAA] < 20 {
		t.Errorf("%v", count)
	}
}

// TestStandardsAreJudged breaks each thing that a standard's promise rests on.
func TestStandardsAreJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mapping []control.Mapped
		probe   pledge.Status
		status  pledge.Status
		says    string
	}{
		"kept":         {[]control.Mapped{{Ref: "1", By: []string{"mb-tls"}}, {Ref: "2", Gap: "nobody's"}}, pledge.Kept, pledge.Kept, "of 2 controls 1 rest on promises that are all shown"},
		"failing":      {[]control.Mapped{{Ref: "1", By: []string{"mb-tls", "mb-mfa"}}}, pledge.Failing, pledge.Failing, "gdpr 1 rests on mb-tls"},
		"unanswered":   {[]control.Mapped{{Ref: "1", By: []string{"mb-tls"}}, {Ref: "2"}}, pledge.Kept, pledge.Failing, "gdpr 2 names neither a promise nor a gap"},
		"no promise":   {[]control.Mapped{{Ref: "1", By: []string{"mb-everything"}}}, pledge.Kept, pledge.Failing, "rests on mb-everything"},
		"not shown":    {[]control.Mapped{{Ref: "1", By: []string{"mb-tls"}}, {Ref: "2", By: []string{"mb-mfa"}}}, pledge.Kept, pledge.NotYet, "not shown yet: gdpr 2"},
		"in part":      {[]control.Mapped{{Ref: "1", By: []string{"mb-tls", "mb-mfa"}}}, pledge.Kept, pledge.Kept, "1 on promises that are shown in part"},
		"nothing said": {[]control.Mapped{{Ref: "1"}}, pledge.Kept, pledge.Failing, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range c.mapping {
				c.mapping[i].Standard = control.GDPR
			}
			d := lab.DB(t, evidence.Schema(), control.Schema)
			b := newBench(t, d, lab.NewClock(lab.Epoch), c.mapping, &told{id: "mb-tls", status: c.probe})
			all := b.check("mb-tls", "ca-gdpr", "ca-iso")
			got := all[1]
			if got.ID != "ca-gdpr" || got.Status != c.status || !strings.Contains(got.Evidence, c.says) {
				t.Errorf("%+v", got)
			}
			if iso := all[2]; iso.Status != pledge.Failing || !strings.Contains(iso.Evidence, "nothing is mapped to iso27001") {
				t.Errorf("an empty mapping: %+v", iso)
			}
		})
	}
}

func TestMapShowsFailures(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, evidence.Schema(), control.Schema)
	b := newBench(t, d, lab.NewClock(lab.Epoch), nil, &told{id: "mb-tls", status: pledge.Failing})
	b.check("mb-tls")
	for _, s := range control.Standards() {
		lines, err := b.control.Map(t.Context(), scope.Everyone, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if named := slices.Contains(l.By, "mb-tls"); named != (l.Status == pledge.Failing) || l.Standard != s {
				t.Errorf("%s %s: %s", l.Standard, l.Ref, l.Status)
			}
		}
	}
	if _, err := b.control.Map(t.Context(), scope.Everyone, "pci"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestAssessmentIsOSCAL holds the document against what OSCAL 1.1 asks of it.
func TestAssessmentIsOSCAL(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, evidence.Schema(), control.Schema)
	b := newBench(t, d, lab.NewClock(lab.Epoch), nil, &told{id: "mb-tls", status: pledge.Kept}, &told{id: "ca-rest", status: pledge.Failing}, &told{id: "cl-dsn", status: pledge.NotApplicable})
	b.check()
	doc, err := b.control.Assessment(t.Context(), scope.Everyone, "mail.test", "1.0")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	top := all["assessment-results"]
	for _, want := range []string{"uuid", "metadata", "import-ap", "results"} {
		if top[want] == nil {
			t.Errorf("%s is missing", want)
		}
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]int{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, x := range v {
				if s, is := x.(string); is && strings.HasSuffix(key, "uuid") {
					if !uuid.MatchString(s) {
						t.Errorf("%s is %q", key, s)
					}
					if key == "uuid" {
						seen[s]++
					}
				} else if is && strings.TrimSpace(s) == "" {
					t.Errorf("%s is empty", key)
				}
				walk(x)
			}
		case []any:
			if len(v) == 0 {
				t.Error("an array is empty")
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(map[string]any(top))
	for id, n := range seen {
		if n != 1 {
			t.Errorf("the uuid %s stands %d times", id, n)
		}
	}
	r := doc.Results.Results[0]
	if len(r.Observations) != 3+4 || len(r.Findings) != 151-1 || len(r.Reviewed.Selections[0].Include) != 151 {
		t.Errorf("%d observations, %d findings", len(r.Observations), len(r.Findings))
	}
	states := map[string]string{}
	for _, f := range r.Findings {
		states[f.Target.ID] = f.Target.Status.State + " " + f.Target.Status.Reason
		for _, o := range f.Observations {
			if seen[o.UUID] != 1 {
				t.Errorf("%s relates to no observation", f.Title)
			}
		}
	}
	if states["mb-tls"] != "satisfied pass" || states["ca-rest"] != "not-satisfied fail" || states["mb-mfa"] != "not-satisfied other" || states["cl-dsn"] != "" {
		t.Errorf("%v", states)
	}
}
