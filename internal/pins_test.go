package internal_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestPins holds that the modules stand at the versions that were built and
// run together. SQLite and its libc move together or not at all: other modules
// ask for a libc of their own, and a newer one breaks SQLite in silence.
func TestPins(t *testing.T) {
	t.Parallel()
	ours := versions(t, filepath.Join("..", "go.mod"))
	for module, wanted := range map[string]string{"modernc.org/sqlite": "v1.60.1", "modernc.org/libc": "v1.77.1"} {
		if ours[module] != wanted {
			t.Errorf("%s is at %s, not at %s", module, ours[module], wanted)
		}
	}
	if asked := versions(t, goModOf(t, "modernc.org/sqlite"))["modernc.org/libc"]; asked != ours["modernc.org/libc"] {
		t.Errorf("modernc.org/sqlite asks for libc %s, and go.mod has %s", asked, ours["modernc.org/libc"])
	}
}

// TestPinsAsRecommended compares every version with the list that the project
// keeps outside of the tree.
func TestPinsAsRecommended(t *testing.T) {
	t.Parallel()
	list := beside(t, filepath.Join("shared", "go.mod.recommended"))
	ours := versions(t, filepath.Join("..", "go.mod"))
	for module, wanted := range versions(t, list) {
		if have, ok := ours[module]; ok && have != wanted {
			t.Errorf("%s is at %s, recommended is %s", module, have, wanted)
		}
	}
}

// beside finds what stands beside the module or one of its parents.
func beside(t *testing.T, path string) string {
	t.Helper()
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; at != filepath.Dir(at); at = filepath.Dir(at) {
		if found := filepath.Join(at, path); exists(found) {
			return found
		}
	}
	t.Skipf("%s is not on this machine", path)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func versions(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.ParseLax(path, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range f.Require {
		all[r.Mod.Path] = r.Mod.Version
	}
	if len(all) == 0 || len(f.Replace) > 0 {
		t.Errorf("%s: %d requirements, %d replacements", path, len(all), len(f.Replace))
	}
	return all
}

func goModOf(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-json", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ GoMod string }
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m.GoMod
}
