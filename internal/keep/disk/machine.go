package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Machine is the file system of the machine.
type Machine struct {
	// Room is asked when a write finds no space; true says that another try may do
	// better. nil: there is no other try.
	Room func() bool
}

var _ FS = Machine{}

// again does one step, twice if there was no space for it and now there is.
func (m Machine) again(step func() error) error {
	err := step()
	if m.Room != nil && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && m.Room() {
		return step()
	}
	return err
}

// Create implements FS.
func (m Machine) Create(name string) (f File, err error) {
	err = m.again(func() error { f, err = m.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL); return err })
	return f, err
}

// Open implements FS.
func (m Machine) Open(name string) (File, error) { return m.open(name, os.O_RDONLY) }

// Modify implements FS.
func (m Machine) Modify(name string) (File, error) { return m.open(name, os.O_RDWR) }

func (m Machine) open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return machineFile{f, m}, nil
}

// Rename implements FS.
func (m Machine) Rename(old, name string) error {
	return m.again(func() error { return os.Rename(old, name) })
}

// Remove implements FS.
func (Machine) Remove(name string) error { return os.Remove(name) }

// Mkdir implements FS.
func (m Machine) Mkdir(name string) error {
	return m.again(func() error { return os.Mkdir(name, 0o700) })
}

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

type machineFile struct {
	*os.File
	machine Machine
}

// Write implements FS.
func (f machineFile) Write(b []byte) (n int, err error) {
	err = f.machine.again(func() error {
		more, err := f.File.Write(b[n:])
		n += more
		return err
	})
	return n, err
}

// WriteAt implements FS.
func (f machineFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.machine.again(func() error { n, err = f.File.WriteAt(b, at); return err })
	return n, err
}

func (f machineFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
