package lab

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// SmallDisk mounts a file system of its own on a folder, which it makes. size is
// tmpfs's: "96m". It skips where mounting is not allowed.
func SmallDisk(t testing.TB, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		t.Skip("needs mount (run as root with the right to mount): ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// FillDisk writes a file until leave bytes are free on its file system, to the
// last byte if that is 0.
func FillDisk(t testing.TB, path string, leave int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := int64(1 << 20); size > 0; {
		var s syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &s); err != nil {
			t.Fatal(err)
		}
		if leave > 0 {
			size = min(size, int64(s.Bavail)*s.Bsize-leave)
		}
		if size <= 0 {
			return
		}
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
