// Command testreport reads the output of go test -json and says in few lines
// what happened: every failure with its output, the packages that took longest,
// and every test that was skipped with its reason.
//
// With -strict it also fails if a test was skipped for a reason that the file
// of -allow does not list. A run without a test is a failure in any case.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	strict := flag.Bool("strict", false, "fail on a skip that is not allowed")
	allow := flag.String("allow", "", "file of reasons that are allowed, one part of the message per line")
	flag.Parse()
	allowed, err := readAllowed(*allow)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r, err := Read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !r.Print(os.Stdout, allowed, *strict) {
		os.Exit(1)
	}
}

func readAllowed(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all, nil
}

// event is one line of go test -json (see go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// Report is what a run came to.
type Report struct {
	passed   int
	failures []string // package and test
	skips    []skip
	packages []timed
	output   map[string][]string
	other    []string // lines that are no event: of the linker, for example
}

type skip struct{ where, reason string }

type timed struct {
	name    string
	seconds float64
}

// Read reads a whole run.
func Read(in io.Reader) (*Report, error) {
	r := &Report{output: map[string][]string{}}
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e event
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			r.other = append(r.other, s.Text())
			continue
		}
		r.add(e)
	}
	return r, s.Err()
}

func (r *Report) add(e event) {
	where := e.Package
	if where == "" {
		where = e.ImportPath
	}
	if e.Test != "" {
		where += " " + e.Test
	}
	switch e.Action {
	case "output", "build-output":
		r.output[where] = append(r.output[where], e.Output)
		return
	case "pass":
		if e.Test != "" {
			r.passed++
		}
	case "fail", "build-fail":
		r.failures = append(r.failures, where)
	case "skip":
		if e.Test != "" { // otherwise: a package without tests
			r.skips = append(r.skips, skip{where, reason(r.output[where])})
		}
	}
	if e.Test == "" && e.Elapsed > 0 {
		r.packages = append(r.packages, timed{e.Package, e.Elapsed})
	}
	if e.Action != "fail" && e.Action != "build-fail" {
		delete(r.output, where)
	}
}

// reason is what the test gave to Skip: the output without go test's own lines.
func reason(output []string) string {
	var parts []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, rest, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(rest, ": "); ok {
				line = text
			}
		}
		parts = append(parts, line)
	}
	return strings.Join(parts, " ")
}

// Print writes the report and says whether the run is good.
func (r *Report) Print(out io.Writer, allowed []string, strict bool) bool {
	for _, line := range r.other {
		fmt.Fprintln(out, line)
	}
	for _, where := range r.failures {
		fmt.Fprintf(out, "\nFAIL %s\n%s", where, strings.Join(r.output[where], ""))
	}
	r.printSlowest(out)
	refused := r.printSkips(out, allowed)
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", r.passed, len(r.failures), len(r.skips))
	if strict && refused > 0 {
		fmt.Fprintf(out, "%d tests were skipped that must run here\n", refused)
		return false
	}
	if r.passed == 0 {
		fmt.Fprintln(out, "no test ran")
	}
	return len(r.failures) == 0 && r.passed > 0
}

func (r *Report) printSlowest(out io.Writer) {
	slices.SortFunc(r.packages, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for i, p := range r.packages {
		if i == 8 || p.seconds < 5 {
			break
		}
		fmt.Fprintf(out, "%7.1f s  %s\n", p.seconds, p.name)
	}
}

func (r *Report) printSkips(out io.Writer, allowed []string) (refused int) {
	for _, s := range r.skips {
		mark := "skipped"
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(s.reason, a) }) {
			mark, refused = "SKIPPED", refused+1
		}
		fmt.Fprintf(out, "%s %s: %s\n", mark, s.where, s.reason)
	}
	return refused
}
