package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOnTheMachine(t *testing.T) {
	t.Parallel()
	var f Machine
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := MakeDir(f, dir); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "file")
	if err := Write(f, name, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := Write(f, name, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Write replaced a file: %v", err)
	}
	old, err := os.Open(name) // what the disk still holds of it
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Replace(f, name, []byte("three")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := old.ReadAt(b, 0); err != nil || string(b) != "\x00\x00\x00" {
		t.Errorf("the replaced content is %q, %v", b, err)
	}
	if got, err := Read(f, name, 5); err != nil || string(got) != "three" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := Read(f, name, 4); err == nil {
		t.Error("read more than allowed")
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := Write(f, filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	entries, err := f.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name != "file" || entries[0].Size != 5 || entries[0].Folder {
		t.Errorf("%+v %v", entries, err)
	}
}

func TestShredAndRemove(t *testing.T) {
	t.Parallel()
	var f Machine
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := Write(f, name, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for range 2 {
		if err := Shred(f, dir, "file", "none"); err != nil {
			t.Fatal(err)
		}
		if err := Remove(f, name); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 6)
	if _, err := old.ReadAt(b, 0); err != nil || string(b) != "\x00\x00\x00\x00\x00\x00" {
		t.Errorf("shredded content is %q, %v", b, err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
