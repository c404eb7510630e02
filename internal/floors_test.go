package internal_test

import (
	"bufio"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "mailvow"

// TestFloors holds the rule of the house: a package imports only packages that
// come earlier in floors.txt, lab is imported by tests only, every package is
// listed once and every listed package exists.
func TestFloors(t *testing.T) {
	t.Parallel()
	floor := readFloors(t)
	imports := readImports(t)
	for pkg := range imports {
		if _, ok := floor[pkg]; !ok {
			t.Errorf("internal/%s is not in floors.txt: add a line on its floor", pkg)
		}
	}
	for pkg, at := range floor {
		files, ok := imports[pkg]
		if !ok {
			t.Errorf("floors.txt names %s, which has no Go file", pkg)
		}
		for file, imported := range files {
			for _, other := range imported {
				if err := mayImport(floor, at, file, other); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
}

func mayImport(floor map[string]int, at int, file, other string) error {
	test := strings.HasSuffix(file, "_test.go")
	if other == "lab" || strings.HasPrefix(other, "lab/") {
		if test || strings.Contains(file, "/lab/") || strings.HasPrefix(file, "lab/") {
			return nil
		}
		return fmt.Errorf("imports internal/%s, which is for tests only", other)
	}
	if test {
		return nil // a test may stand on any floor; Go itself refuses cycles
	}
	if strings.HasPrefix(file, "lab/") {
		return nil
	}
	if o, ok := floor[other]; !ok || o >= at {
		return fmt.Errorf("imports internal/%s, which is not below it in floors.txt", other)
	}
	return nil
}

func readFloors(t *testing.T) map[string]int {
	t.Helper()
	f, err := os.Open("floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	floor := map[string]int{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, twice := floor[line]; twice {
			t.Errorf("floors.txt names %s twice", line)
		}
		floor[line] = len(floor) + 1
	}
	return floor
}

// readImports gives package -> file -> imported packages of the house.
func readImports(t *testing.T) map[string]map[string][]string {
	t.Helper()
	all := map[string]map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || filepath.Dir(path) == "." || strings.Contains(path, "testdata/") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if all[pkg] == nil {
			all[pkg] = map[string][]string{}
		}
		all[pkg][filepath.ToSlash(path)] = nil
		for _, im := range file.Imports {
			name, _ := strconv.Unquote(im.Path.Value)
			if rest, ok := strings.CutPrefix(name, module+"/internal/"); ok {
				all[pkg][filepath.ToSlash(path)] = append(all[pkg][filepath.ToSlash(path)], rest)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFloorsCanFail shows that the rule finds each kind of offence.
func TestFloorsCanFail(t *testing.T) {
	t.Parallel()
	floor := map[string]int{"base/fault": 1, "keep/db": 2, "lab": 3}
	for _, c := range []struct {
		file, imports string
		at            int
		ok            bool
	}{
		{"keep/db/db.go", "base/fault", 2, true},
		{"base/fault/fault.go", "keep/db", 1, false},
		{"keep/db/db.go", "keep/db", 2, false},
		{"keep/db/db.go", "lab", 2, false},
		{"keep/db/db_test.go", "lab", 2, true},
		{"keep/db/db.go", "unlisted", 2, false},
	} {
		if err := mayImport(floor, c.at, c.file, c.imports); (err == nil) != c.ok {
			t.Errorf("%s importing %s: %v", c.file, c.imports, err)
		}
	}
}
