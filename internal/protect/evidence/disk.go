package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is the part of the operating system that the log stands on, so that a
// test can lose power at each step. Nothing is durable before sync: a file's
// bytes by syncing the file, its name by syncing its folder.
type disk interface {
	read(path string) ([]byte, error)
	list(dir string) ([]string, error)
	mode(path string) (fs.FileMode, error)
	create(path string, data []byte, perm fs.FileMode) error // truncates
	mkdir(path string) error                                 // fs.ErrExist if it is there
	rename(from, to string) error
	remove(path string) error
	sync(path string) error
}

// osDisk is the machine's own.
type osDisk struct{}

func (osDisk) read(path string) ([]byte, error) { return os.ReadFile(path) }
func (osDisk) mkdir(path string) error          { return os.Mkdir(path, 0o700) }
func (osDisk) rename(from, to string) error     { return os.Rename(from, to) }
func (osDisk) remove(path string) error         { return os.Remove(path) }

func (osDisk) mode(path string) (fs.FileMode, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Mode(), nil
}

func (osDisk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (osDisk) create(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (osDisk) sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// replace puts data at path so that after a crash there is either the old file
// or the new one, and returns once the new one is durable.
func replace(d disk, path string, data []byte, perm fs.FileMode) error {
	tmp := path + ".tmp"
	if err := d.create(tmp, data, perm); err != nil {
		return err
	}
	if err := d.sync(tmp); err != nil {
		return err
	}
	if err := d.rename(tmp, path); err != nil {
		return err
	}
	return d.sync(filepath.Dir(path))
}

// mkdirs makes dir and what is missing above it, durably.
func mkdirs(d disk, dir string) error {
	err := d.mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirs(d, filepath.Dir(dir)); err != nil {
			return err
		}
		err = d.mkdir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// A folder that is there may come from a run that died before its sync.
	return d.sync(filepath.Dir(dir))
}
