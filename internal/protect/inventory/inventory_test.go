package inventory_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/inventory"
)

func letters() pledge.Declaration {
	return pledge.Declaration{
		Package: "test/letters",
		Categories: []pledge.Category{{
			Name: "letters", About: pledge.Correspondent, What: "letters", Purpose: "carry them", For: pledge.ToDeliver, Basis: pledge.Contract,
			Period: pledge.Period{Ceiling: 48 * time.Hour, From: "the stamp"}, Found: "by name", Erasing: pledge.Delete,
		}},
		Places: append(pledge.Columns("letters", true, "letter", "id", "sealed"),
			pledge.Place{Kind: pledge.DiskFile, Name: "letters", Category: "letters"},
			pledge.Place{Kind: pledge.KeyFile, Name: "rings/NNNN.key", Category: "letters"}),
	}
}

func TestJoinNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*pledge.Declaration)
		want   string
	}{
		{func(d *pledge.Declaration) { d.Places[0].Category = "parcels" }, `letter.id has the category "parcels", which nobody declares`},
		{func(d *pledge.Declaration) { d.Places = append(d.Places, d.Places[0]) }, "letter.id is declared by test/letters as well"},
		{func(d *pledge.Declaration) { d.Categories = append(d.Categories, d.Categories[0]) }, `"letters" is declared by test/letters as well`},
		{func(d *pledge.Declaration) { d.Categories[0].Basis = pledge.NotPersonal }, "its legal basis does not fit"},
		{func(d *pledge.Declaration) { d.Categories[0].Found = "" }, "how a person is found"},
		{func(d *pledge.Declaration) { d.Categories[0].Period.Floor = 100 * time.Hour }, "floor is above the ceiling"},
		{func(d *pledge.Declaration) { d.Categories[0].Purpose = "" }, "what for"},
		{func(d *pledge.Declaration) { d.Categories[0].For = "" }, `it serves "", which is no purpose`},
		{func(d *pledge.Declaration) { d.Categories[0].For = "others' marketing" }, "which is no purpose"},
		{func(d *pledge.Declaration) { d.Categories[0].For = pledge.ToKeepAccounts }, "neither the customer instructs nor a law asks for"},
		{func(d *pledge.Declaration) { d.Categories[0].For = pledge.ToRun }, "which neither the customer instructs"},
		{func(d *pledge.Declaration) { d.Categories[0].Basis = pledge.LegalDuty }, "for which no law is named"},
		{func(d *pledge.Declaration) { d.Categories[0].Basis = "habit" }, "its legal basis is none"},
	} {
		d := letters()
		c.change(&d)
		if _, err := inventory.Join(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	if _, err := inventory.Join(letters()); err != nil {
		t.Error(err)
	}
}

func TestUndeclared(t *testing.T) {
	t.Parallel()
	i, err := inventory.Join(letters())
	if err != nil {
		t.Fatal(err)
	}
	real := []string{"letter.id", "letter.sealed", "letter.stamp"}
	if diff := cmp.Diff([]string{"letter.stamp"}, i.Undeclared(pledge.Column, real)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"letter.sealed"}, i.Absent(pledge.Column, []string{"letter.id"})); diff != "" {
		t.Error(diff)
	}
	files, err := inventory.Files(fstest.MapFS{"box/a": {}, "ring/0012.key": {}, "ring/x.key": {}, "stray": {}, "box2/a": {}})
	if err != nil {
		t.Fatal(err)
	}
	got := i.UndeclaredFiles([]inventory.Mount{{Folder: "box", As: "letters"}, {Folder: "ring", As: "rings"}}, files)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"box2/a", "ring/x.key", "stray"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithPeriods(t *testing.T) {
	t.Parallel()
	i, err := inventory.Join(letters())
	if err != nil {
		t.Fatal(err)
	}
	own, err := i.With(map[string]time.Duration{"letters": time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := own.Category("letters"); c.Period.Ceiling != time.Hour {
		t.Errorf("the ceiling is %v", c.Period.Ceiling)
	}
	if c, _ := i.Category("letters"); c.Period.Ceiling != 48*time.Hour {
		t.Error("the inventory itself was changed")
	}
	if _, err := i.With(map[string]time.Duration{"parcels": time.Hour}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown category: %v", err)
	}
}
