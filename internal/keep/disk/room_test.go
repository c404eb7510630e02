package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
)

// TestRoom: a write that finds no space asks for room once and goes on where it
// stopped.
func TestRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lab.SmallDisk(t, dir, "1m")
	junk := filepath.Join(dir, "junk")
	lab.FillDisk(t, junk, 8192)
	asked := 0
	m := disk.Machine{Room: func() bool { asked++; return os.Remove(junk) == nil }}
	content := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := disk.Write(m, filepath.Join(dir, "kept"), content); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "kept"))
	if err != nil || !bytes.Equal(got, content) || asked != 1 {
		t.Errorf("%d bytes of %d, room was asked for %d times, %v", len(got), len(content), asked, err)
	}
	lab.FillDisk(t, junk, 8192)
	if err := disk.Write(disk.Machine{}, filepath.Join(dir, "other"), content); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("without room: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other"+disk.TempSuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
}
