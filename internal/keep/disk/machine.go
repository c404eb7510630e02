package disk

import (
	"errors"
	"io/fs"
	"os"
)

// Machine is the file system of the machine.
type Machine struct{}

var _ FS = Machine{}

// Create implements FS.
func (Machine) Create(name string) (File, error) {
	return open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (Machine) Open(name string) (File, error) { return open(name, os.O_RDONLY) }

// Modify implements FS.
func (Machine) Modify(name string) (File, error) { return open(name, os.O_RDWR) }

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return machineFile{f}, nil
}

// Rename implements FS.
func (Machine) Rename(old, name string) error { return os.Rename(old, name) }

// Remove implements FS.
func (Machine) Remove(name string) error { return os.Remove(name) }

// Mkdir implements FS.
func (Machine) Mkdir(name string) error { return os.Mkdir(name, 0o700) }

// SyncDir implements FS.
func (Machine) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadDir implements FS. An entry that goes while it is read is left out.
func (Machine) ReadDir(name string) ([]Entry, error) {
	list, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(list))
	for _, d := range list {
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: d.Name(), Folder: d.IsDir(), Size: info.Size(), Changed: info.ModTime().UTC()})
	}
	return entries, nil
}

type machineFile struct{ *os.File }

func (f machineFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
