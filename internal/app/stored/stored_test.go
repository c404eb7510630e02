package stored_test

import (
	"slices"
	"strings"
	"testing"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/inventory"
)

// TestEveryColumnIsDeclared opens the real database and enumerates its tables.
func TestEveryColumnIsDeclared(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, stored.Schemas(), func(t *testing.T, d *db.DB) {
		real, err := d.Columns(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i, err := stored.Inventory()
		if err != nil {
			t.Fatal(err)
		}
		if len(real) < 50 {
			t.Errorf("only %d columns were found; the enumeration does not see the schema", len(real))
		}
		for _, c := range i.Undeclared(pledge.Column, real) {
			t.Errorf("the column %s is stored and no package declares it", c)
		}
		for _, c := range i.Absent(pledge.Column, real) {
			t.Errorf("the column %s is declared and there is none", c)
		}
	})
}

// TestMissingDeclarationsShow leaves each package's declaration out in turn: the
// columns that it declares must be found undeclared.
func TestMissingDeclarationsShow(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, stored.Schemas()...)
	real, err := d.Columns(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := stored.Declarations()
	for n, left := range all {
		want := 0
		for _, p := range left.Places {
			if p.Kind == pledge.Column {
				want++
			}
		}
		i, err := inventory.Join(slices.Delete(slices.Clone(all), n, n+1)...)
		if err != nil {
			continue // its categories are used by others, which shows it as well
		}
		if got := len(i.Undeclared(pledge.Column, real)); got != want {
			t.Errorf("without %s %d columns are undeclared, want %d", left.Package, got, want)
		}
	}
}

// TestEverySchemaHasADeclaration compares the two lists by package.
func TestEverySchemaHasADeclaration(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	for _, d := range stored.Declarations() {
		declared[d.Package] = true
	}
	for _, s := range stored.Schemas() {
		if !declared[s.Package] && !declared["protect/"+s.Package] {
			t.Errorf("%s opens tables and declares nothing", s.Package)
		}
	}
}

// TestRecordOfProcessing writes the record in its three forms.
func TestRecordOfProcessing(t *testing.T) {
	t.Parallel()
	i, err := stored.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []inventory.Format{inventory.Table, inventory.Markdown, inventory.JSON} {
		var b strings.Builder
		if err := i.Record(&b, f, inventory.Holder{Server: "mail.test", Region: "lab"}); err != nil {
			t.Fatal(err)
		}
		for _, e := range i.Entries() {
			if !strings.Contains(b.String(), e.Name) {
				t.Errorf("the record as %s does not name %q", f, e.Name)
			}
		}
	}
}
