// Package e2e starts the real program, as people start it, and speaks to it from
// outside: by SMTP, by HTTP, and with mail clients and servers that nobody here
// wrote. It promises that what the issue lists as real input, bad input and
// delivery behaviour was seen on a running server.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write docs/real-input.md anew")

// bin is the program under test, and root the tree that it was built from.
var bin, root string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mailvow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = filepath.Join(dir, "mailvow")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./cmd/mailvow")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}
