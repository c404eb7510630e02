package internal_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHouseRules holds the rules that a program can read: sizes, package
// comments, no init(), nothing left open, no clock of one's own below app.
// Tests and lab are free of them, except that nothing may be left open.
func TestHouseRules(t *testing.T) {
	t.Parallel()
	var s sizes
	documented := map[string]bool{}
	for _, path := range goFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("TO"+"DO")) || bytes.Contains(text, []byte("FIX"+"ME")) {
			t.Errorf("%s: something is left open", path)
		}
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "lab/") {
			continue
		}
		documented[filepath.Dir(path)] = documented[filepath.Dir(path)] || file.Doc != nil
		for _, offence := range append(s.file(set, file, path), forbidden(set, file, path)...) {
			t.Error(offence)
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("internal/%s has no package comment", pkg)
		}
	}
	if s.functions == 0 || 10*s.longFunctions > s.functions {
		t.Errorf("%d of %d functions have 45 lines or more; nine in ten should have fewer", s.longFunctions, s.functions)
	}
	if 10*s.longFiles > s.files {
		t.Errorf("%d of %d files have 400 lines or more; nine in ten should have fewer", s.longFiles, s.files)
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.Contains(path, "testdata/") {
			all = append(all, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sizes counts functions and files.
type sizes struct{ functions, longFunctions, files, longFiles int }

func (s *sizes) file(set *token.FileSet, file *ast.File, path string) (offences []string) {
	lines := set.File(file.Pos()).LineCount()
	s.files++
	if lines >= 400 {
		s.longFiles++
	}
	if lines > 700 {
		offences = append(offences, fmt.Sprintf("%s has %d lines, over 700", path, lines))
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
		s.functions++
		if n >= 45 {
			s.longFunctions++
		}
		if n > 100 {
			offences = append(offences, fmt.Sprintf("%s: %s has %d lines, over 100", set.Position(f.Pos()), f.Name.Name, n))
		}
	}
	return offences
}

// forbidden finds init functions and, below app, the machine's own clock.
func forbidden(set *token.FileSet, file *ast.File, path string) (offences []string) {
	clockAllowed := strings.HasPrefix(path, "app/") || path == "base/clock/clock.go"
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				offences = append(offences, fmt.Sprintf("%s: an init function", set.Position(n.Pos())))
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && x.Name == "time" && !clockAllowed && (n.Sel.Name == "Now" || n.Sel.Name == "Sleep") {
				offences = append(offences, fmt.Sprintf("%s: time.%s: take a clock.Clock", set.Position(n.Pos()), n.Sel.Name))
			}
		}
		return true
	})
	return offences
}

// TestHouseRulesCanFail shows that each rule finds its offence.
func TestHouseRulesCanFail(t *testing.T) {
	t.Parallel()
	long := "package p\n\nfunc f() {\n" + strings.Repeat("\tg()\n", 700) + "}\n"
	for name, c := range map[string]struct {
		path, text string
		offences   int
	}{
		"good":               {"flow/p/p.go", "package p\n\nfunc f() {}\n", 0},
		"long":               {"flow/p/p.go", long, 2},
		"init":               {"flow/p/p.go", "package p\n\nfunc init() {}\n", 1},
		"clock below app":    {"flow/p/p.go", "package p\n\nimport \"time\"\n\nvar x = time.Now()\n", 1},
		"clock in app":       {"app/p.go", "package p\n\nimport \"time\"\n\nvar x = time.Now()\n", 0},
		"a method init":      {"flow/p/p.go", "package p\n\ntype t int\n\nfunc (t) init() {}\n", 0},
		"another time's Now": {"flow/p/p.go", "package p\n\nvar x = clock.Now()\n", 0},
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, c.path, c.text, 0)
		if err != nil {
			t.Fatal(err)
		}
		var s sizes
		if got := append(s.file(set, file, c.path), forbidden(set, file, c.path)...); len(got) != c.offences {
			t.Errorf("%s: %q, want %d offences", name, got, c.offences)
		}
	}
}
