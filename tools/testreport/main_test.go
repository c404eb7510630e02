package main

import (
	"strings"
	"testing"
)

const run = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:12: needs PostgreSQL (Debian: apt install postgresql)\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"p","Elapsed":7.5}
{"Action":"skip","Package":"without/tests","Elapsed":0}
`

func TestReport(t *testing.T) {
	t.Parallel()
	failed := `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: one is not two\n"}
{"Action":"fail","Package":"p","Test":"TestC","Elapsed":0}
`
	build := `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
`
	for _, c := range []struct {
		name, in string
		allowed  []string
		strict   bool
		good     bool
		says     string
	}{
		{"a skip is named", run, nil, false, true, "SKIPPED p TestB: needs PostgreSQL (Debian: apt install postgresql)"},
		{"strict refuses it", run, nil, true, false, "1 tests were skipped that must run here"},
		{"strict with leave", run, []string{"needs PostgreSQL"}, true, true, "skipped p TestB"},
		{"strict with leave for another", run, []string{"needs S3"}, true, false, "SKIPPED p TestB"},
		{"a failure", run + failed, nil, false, false, "one is not two"},
		{"a build that fails", run + build, nil, false, false, "undefined: x"},
		{"nothing ran", "", nil, false, false, "no test ran"},
		{"a stray line", run + "ld: cannot find -lc\n", nil, false, true, "ld: cannot find -lc"},
		{"the slow are named", run, nil, false, true, "7.5 s  p"},
	} {
		r, err := Read(strings.NewReader(c.in))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if good := r.Print(&out, c.allowed, c.strict); good != c.good {
			t.Errorf("%s: good is %v", c.name, good)
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: does not say %q:\n%s", c.name, c.says, out.String())
		}
	}
}
