package disk_test

import (
	"testing"

	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
)

// TestReplaceIsOldOrNew fails power at each step of Replace: the file then has
// its old content or its new one, and the new one once Replace has returned.
func TestReplaceIsOldOrNew(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*lab.ForgetfulFS){
		"power loss": (*lab.ForgetfulFS).PowerLoss, "kill": (*lab.ForgetfulFS).Kill, "folders first": (*lab.ForgetfulFS).PowerLossKeepingNames,
	} {
		for n := 1; ; n++ {
			f := lab.NewForgetfulFS()
			if err := disk.MakeDir(f, "dir"); err != nil {
				t.Fatal(err)
			}
			if err := disk.Write(f, "dir/file", []byte("old")); err != nil {
				t.Fatal(err)
			}
			before := len(f.Steps())
			f.FailAt(n)
			err := disk.Replace(f, "dir/file", []byte("new"))
			done := len(f.Steps()) < before+n-1
			after(f)
			got, readErr := disk.Read(f, "dir/file", 10)
			if readErr != nil || string(got) != "old" && string(got) != "new" || err == nil && string(got) != "new" {
				t.Fatalf("%s at step %d: %q %v", name, n, got, readErr)
			}
			if done {
				if f.Remains([]byte("old")) {
					t.Error("the old content is still on the disk")
				}
				break
			}
		}
	}
}
