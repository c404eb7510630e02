package app_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/app/stored"
	"mailvow/internal/protect/inventory"
)

// written lists the files of a data folder in which a server has run.
func written(t *testing.T, dir string) []string {
	t.Helper()
	files, err := inventory.Files(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestEveryFileIsDeclared runs the server, lets it write and looks at its folder.
func TestEveryFileIsDeclared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, stop := dev(t, dir)
	body := "From: you@demo.example\r\nTo: someone@example.net\r\nSubject: Hello\r\n\r\n" + strings.Repeat("a line that fills the blob store\r\n", 20000)
	if err := send(d, "you@demo.example", "someone@example.net", body); err != nil {
		t.Fatal(err)
	}
	files := written(t, dir)
	stop()
	files = append(files, written(t, dir)...)
	slices.Sort(files)
	files = slices.Compact(files)
	if !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, "blobs/") }) || len(files) < 15 {
		t.Fatalf("the server wrote too little for this test: %v", files)
	}
	i, err := stored.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range i.UndeclaredFiles(stored.Mounts(), files) {
		t.Errorf("the server wrote %s and no package declares it", f)
	}
	// Without a package's declaration its files show.
	for _, pkg := range []string{"keep/db", "keep/vault", "keep/blob", "protect/evidence", "protect/erase", "app"} {
		all := stored.Declarations()
		for n := range all {
			if all[n].Package == pkg {
				all[n].Places = nil
			}
		}
		less, err := inventory.Join(all...)
		if err != nil {
			t.Fatal(err)
		}
		if len(less.UndeclaredFiles(stored.Mounts(), files)) == 0 {
			t.Errorf("without the places of %s nothing is undeclared", pkg)
		}
	}
}
