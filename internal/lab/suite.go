package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// Suite gives the folder of a published test suite, which is kept outside the
// tree. It looks into $MAILVOW_SUITES, then for shared/suites beside the module
// and its parents, and skips the test with a message when there is none.
func Suite(t testing.TB, name string) string {
	t.Helper()
	if root := os.Getenv("MAILVOW_SUITES"); root != "" {
		dir := filepath.Join(root, name)
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("MAILVOW_SUITES is set, but there is no %s: %v", name, err)
		}
		return dir
	}
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if dir := filepath.Join(at, "shared", "suites", name); isDir(dir) {
			return dir
		}
		up := filepath.Dir(at)
		if up == at {
			t.Skipf("the suite %s is not on this machine: set MAILVOW_SUITES to the folder that holds it", name)
		}
		at = up
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
