package patch_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/product/trust/patch"
	"mailvow/internal/standard/osv"
	console "mailvow/web/console"
)

// register remembers what is raised and what stands.
type register struct{ raised, standing []string }

func (r *register) Raise(_ context.Context, n patch.Named) (bool, error) {
	if slices.Contains(r.raised, n.Marker()) {
		return false, nil
	}
	r.raised = append(r.raised, n.Marker()+" "+n.Severity)
	return true, nil
}

func (r *register) Settle(_ context.Context, standing []string) error {
	r.standing = standing
	return nil
}

var parts = []osv.Package{{Ecosystem: osv.Go, Name: "example.org/a", Version: "1.2.0"}, {Ecosystem: osv.NPM, Name: "@x/b", Version: "3.0.0"}}

func record(id, ecosystem, name, fixed, severity string, modified time.Time) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"summary":"s","affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}],"database_specific":{"severity":%q}}`,
		id, modified.Format(time.RFC3339), ecosystem, name, fixed, severity)
}

// TestImport: what names a part in its version is raised, with its severity; the
// data's age is its newest change's; a build with other parts needs an import of
// its own, and one with newer parts is named no more.
func TestImport(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{patch.Schema}, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		r := &register{}
		s := patch.New(patch.Config{DB: d, Clock: c, Parts: parts, Register: r})
		if x, err := s.State(t.Context()); err != nil || x.There() || !strings.Contains(x.Late(lab.Epoch), "was imported") {
			t.Errorf("%+v %v", x, err)
		}
		day := 24 * time.Hour
		file := strings.Join([]string{
			record("V-1", "Go", "example.org/a", "1.2.1", "MODERATE", lab.Epoch.Add(-3*day)),
			record("V-2", "Go", "example.org/a", "1.2.0", "HIGH", lab.Epoch.Add(-9*day)),
			record("V-3", "npm", "@x/b", "4.0.0", "", lab.Epoch.Add(-9*day)),
			record("V-4", "npm", "other", "4.0.0", "LOW", lab.Epoch.Add(-2*day)),
			record("V-5", "npm", "other", "4.0.0", "LOW", lab.Epoch.Add(2*day)), // a clock that is wrong
		}, "\n")
		x, err := s.Import(t.Context(), strings.NewReader(file), int64(len(file)))
		if err != nil || x.Records != 5 || len(x.Named) != 2 || !x.Published.Equal(lab.Epoch.Add(-2*day)) || !x.Fits || len(x.Digest) != 64 {
			t.Fatalf("%+v %v", x, err)
		}
		want := []string{"osv V-1 pkg:golang/example.org/a@v1.2.0 medium", "osv V-3 pkg:npm/%40x/b@3.0.0 high"}
		if slices.Sort(r.raised); !slices.Equal(r.raised, want) || len(r.standing) != 2 {
			t.Errorf("%q %q", r.raised, r.standing)
		}
		if late := x.Late(lab.Epoch.Add(-2 * day)); late != "" {
			t.Error(late)
		}
		if late := x.Late(lab.Epoch.Add(-2*day + time.Second)); !strings.Contains(late, "too old") {
			t.Error(late)
		}
		newer := slices.Clone(parts)
		newer[0].Version, newer[1].Version = "1.2.1", "4.0.0"
		s = patch.New(patch.Config{DB: d, Clock: c, Parts: newer, Register: r})
		if x, err := s.Compare(t.Context()); err != nil || len(x.Named) != 0 || !x.Fits || len(r.standing) != 0 {
			t.Errorf("%+v %v", x, err)
		}
		s = patch.New(patch.Config{DB: d, Clock: c, Parts: append(newer, osv.Package{Ecosystem: osv.Go, Name: "example.org/c", Version: "1.0.0"}), Register: r})
		if x, err := s.State(t.Context()); err != nil || x.Fits || !strings.Contains(x.Late(lab.Epoch.Add(-30*day)), "other parts") {
			t.Errorf("%+v %v", x, err)
		}
		for name, bad := range map[string]string{"no record": "[]", "no dates": `{"id":"X"}`, "no list": "hello"} {
			if _, err := s.Import(t.Context(), strings.NewReader(bad), int64(len(bad))); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if x, err := s.State(t.Context()); err != nil || x.Records != 5 {
			t.Errorf("a bad file took the place of a good one: %+v %v", x, err)
		}
	})
}

// TestParts: the binary knows Go's own library and the console's packages, each
// once; what only builds the console is no part of it.
func TestParts(t *testing.T) {
	t.Parallel()
	list, err := patch.Parts(console.Lock)
	if err != nil {
		t.Fatal(err)
	}
	has := func(e osv.Ecosystem, name string) int {
		n := 0
		for _, p := range list {
			if p.Ecosystem == e && p.Name == name && p.Version != "" {
				n++
			}
		}
		return n
	}
	if has(osv.Go, "stdlib") != 1 || has(osv.NPM, "react") != 1 || has(osv.NPM, "@mantine/core") != 1 || has(osv.NPM, "vite") != 0 {
		t.Errorf("%+v", list)
	}
	bill := patch.Bill("1.0.0", list)
	if len(bill.Components) != len(list) || bill.Format != "CycloneDX" || bill.Metadata.Component.Version != "1.0.0" {
		t.Errorf("%+v", bill)
	}
	seen := map[string]bool{}
	for _, c := range bill.Components {
		if seen[c.Ref] || !strings.HasPrefix(c.PURL, "pkg:") || strings.Count(c.PURL, "@") != 1 {
			t.Errorf("%+v", c)
		}
		seen[c.Ref] = true
	}
	if _, err := patch.Parts([]byte("{")); err == nil {
		t.Error("a lock file that cannot be read is no error")
	}
}
