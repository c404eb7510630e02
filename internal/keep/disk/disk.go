// Package disk is the file system as the house needs it: a small interface, so
// that a test can run over a layer that forgets what was not synced, and the
// few sequences of calls that survive a loss of power. It promises that Write,
// Replace and MakeDir have reached the disk, entry and content, when they
// return, and that Shred has overwritten what it removes. An overwrite reaches
// the old blocks only on a file system and a device that write in place; where
// they do not, what is shredded must be worthless without another key. What the
// files mean is left to others.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"

	"mailvow/internal/base/fault"
)

// FS is the part of a file system that the house uses. Names are slash paths.
// Errors satisfy errors.Is with fs.ErrNotExist and fs.ErrExist.
type FS interface {
	// Create makes a new file, mode 0600, for writing; the name must be free.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Modify opens an existing file for reading and writing in place.
	Modify(name string) (File, error)
	// Rename replaces the new name's file, if any, in one step.
	Rename(old, name string) error
	Remove(name string) error
	// Mkdir makes one folder, mode 0700; the name must be free.
	Mkdir(name string) error
	// SyncDir makes a folder's entries durable.
	SyncDir(name string) error
	ReadDir(name string) ([]Entry, error)
}

// File is an open file.
type File interface {
	io.Writer
	io.ReaderAt
	io.WriterAt
	Size() (int64, error)
	Sync() error
	Close() error
}

// Entry is one name in a folder.
type Entry struct {
	Name    string
	Folder  bool
	Size    int64
	Changed time.Time
}

// TempSuffix ends the name of a file that is not finished. A reader of folders
// passes over such names; the owner of a folder clears them when it starts.
const TempSuffix = ".unfinished"

// MakeDir makes a folder and what is missing above it, each durable.
func MakeDir(f FS, name string) error {
	err := f.Mkdir(name)
	switch {
	case err == nil:
		if err := f.SyncDir(path.Dir(name)); err != nil {
			// The next caller would take a folder that is there for durable.
			return errors.Join(err, f.Remove(name))
		}
		return nil
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist) || path.Dir(name) == name:
		return err
	}
	if err := MakeDir(f, path.Dir(name)); err != nil {
		return err
	}
	return MakeDir(f, name)
}

// Write makes a file that must not exist yet. Nobody ever sees a part of it:
// its name appears once its content is durable. fs.ErrExist says that the name
// is taken; the caller sees to it that one goroutine at a time writes a name.
func Write(f FS, name string, content []byte) error {
	switch there, err := f.Open(name); {
	case err == nil:
		return errors.Join(fs.ErrExist, there.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp, err := writeTemp(f, name, content)
	if err != nil {
		return err
	}
	return moveIn(f, temp, name)
}

// moveIn gives a finished file its name, durably.
func moveIn(f FS, temp, name string) error {
	if err := f.Rename(temp, name); err != nil {
		return errors.Join(err, f.Remove(temp))
	}
	return f.SyncDir(path.Dir(name))
}

// Replace writes a file over the one that has the name, in one step, and then
// overwrites the old content, so that it does not stay on the disk.
func Replace(f FS, name string, content []byte) error {
	old, err := f.Modify(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Write(f, name, content)
	}
	if err != nil {
		return err
	}
	defer old.Close()
	temp, err := writeTemp(f, name, content)
	if err != nil {
		return err
	}
	// The old content must not go before the new name is durable: a loss of
	// power between the two would bring the old entry back.
	if err := moveIn(f, temp, name); err != nil {
		return err
	}
	return overwrite(old)
}

func writeTemp(f FS, name string, content []byte) (temp string, err error) {
	temp = name + TempSuffix
	file, err := f.Create(temp)
	if errors.Is(err, fs.ErrExist) { // a write that failed before
		if err := f.Remove(temp); err != nil {
			return "", err
		}
		file, err = f.Create(temp)
	}
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, f.Remove(temp))
	}
	return temp, nil
}

// Read gives a file's content, which must not be larger than max.
func Read(f FS, name string, max int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	if size > max {
		return nil, fault.New(fault.Internal, "the file is larger than it can be")
	}
	content := make([]byte, size)
	if _, err := file.ReadAt(content, 0); err != nil && !(errors.Is(err, io.EOF) && size == 0) {
		return nil, err
	}
	return content, nil
}

// Shred overwrites, syncs and removes files of one folder, then syncs the
// folder. A file that is not there counts as shredded.
func Shred(f FS, folder string, names ...string) error {
	gone := false
	for _, name := range names {
		file, err := f.Modify(path.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(overwrite(file), file.Close()); err != nil {
			return err
		}
		if err := f.Remove(path.Join(folder, name)); err != nil {
			return err
		}
		gone = true
	}
	if !gone {
		return nil
	}
	return f.SyncDir(folder)
}

// Remove removes a file that holds no secret, durably, in one step. A file that
// is not there counts as removed.
func Remove(f FS, name string) error {
	err := f.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.SyncDir(path.Dir(name))
}

func overwrite(file File) error {
	size, err := file.Size()
	if err != nil {
		return err
	}
	zero := make([]byte, min(size, 64<<10))
	for at := int64(0); at < size; at += int64(len(zero)) {
		if _, err := file.WriteAt(zero[:min(int64(len(zero)), size-at)], at); err != nil {
			return err
		}
	}
	return file.Sync()
}
