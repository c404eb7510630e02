package evidence

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"mailvow/internal/base/fault"
)

// Files gives the log's files under the paths of C2SP tlog-tiles. It is all that
// a reader needs, who may stand on another machine.
type Files interface {
	// Read gives a file, or a NotFound fault.
	Read(ctx context.Context, path string) ([]byte, error)
}

// Tiles keeps the log's files. Folder is one; a blob store can be another.
type Tiles interface {
	Files
	// Write puts a file in place of what was there, as one step, and returns
	// once that is durable.
	Write(ctx context.Context, path string, data []byte) error
	// Swap writes like Write, but only where old is what stands there now (nil:
	// nothing); otherwise it is a Conflict fault.
	Swap(ctx context.Context, path string, old, data []byte) error
	// Drop removes the files of a folder. None there is no fault.
	Drop(ctx context.Context, dir string) error
}

// Folder keeps the files in a folder of its own.
type Folder struct {
	disk   disk
	root   string
	lock   *os.File
	mu     sync.Mutex
	made   map[string]bool // folders known to be durable; a few per million leaves
	frozen bool
}

var _ Tiles = (*Folder)(nil)

// OpenFolder opens dir for writing, makes it if it is missing, and locks it: a
// second process gets a Conflict fault. Close it.
func OpenFolder(dir string) (*Folder, error) {
	f := newFolder(osDisk{}, dir)
	if err := mkdirs(f.disk, dir); err != nil {
		return nil, storeFault(err, "make the evidence folder")
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, storeFault(err, "open the evidence folder's lock")
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fault.New(fault.Conflict, "Another process writes this evidence log.").WithHint("stop the other mailvow process that uses " + dir)
	}
	f.lock = lock
	return f, nil
}

// ReadFolder opens dir for reading beside a process that writes.
func ReadFolder(dir string) *Folder {
	f := newFolder(osDisk{}, dir)
	f.frozen = true
	return f
}

func newFolder(d disk, dir string) *Folder {
	return &Folder{disk: d, root: dir, made: map[string]bool{}}
}

// Close lets go of the lock.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	// By itself, because a process that is just being started holds the file too.
	unlocked := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_UN)
	return storeFault(errors.Join(unlocked, f.lock.Close()), "close the evidence folder")
}

// Read implements Tiles.
func (f *Folder) Read(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := f.disk.read(f.path(path))
	return data, storeFault(err, "read "+path)
}

// Write implements Tiles.
func (f *Folder) Write(ctx context.Context, path string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.write(ctx, path, data)
}

func (f *Folder) write(ctx context.Context, path string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.frozen {
		return fault.New(fault.Conflict, "This evidence folder was opened for reading.")
	}
	full := f.path(path)
	if dir := filepath.Dir(full); !f.made[dir] {
		if err := mkdirs(f.disk, dir); err != nil {
			return storeFault(err, "make a folder for "+path)
		}
		f.made[dir] = true
	}
	return storeFault(replace(f.disk, full, data, 0o600), "write "+path)
}

// Swap implements Tiles. The lock keeps other processes out, the mutex this one's.
func (f *Folder) Swap(ctx context.Context, path string, old, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.disk.read(f.path(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeFault(err, "read "+path)
	}
	if !bytes.Equal(now, old) {
		return fault.New(fault.Conflict, "Somebody else wrote "+path+".")
	}
	return f.write(ctx, path, data)
}

// Drop implements Tiles.
func (f *Folder) Drop(ctx context.Context, dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	full := f.path(dir)
	names, err := f.disk.list(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return storeFault(err, "list "+dir)
	}
	delete(f.made, full)
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.disk.remove(filepath.Join(full, n)); err != nil {
			return storeFault(err, "drop "+dir)
		}
	}
	return storeFault(f.disk.remove(full), "drop "+dir)
}

func (f *Folder) path(p string) string { return filepath.Join(f.root, filepath.FromSlash(p)) }

// storeFault classifies what the operating system says, by its code.
func storeFault(err error, act string) error {
	kind, hint := fault.Unavailable, ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		kind = fault.NotFound
	case errors.Is(err, fs.ErrExist):
		kind, hint = fault.Conflict, "let one process alone write the evidence log"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind, hint = fault.Full, "free space on the disk of the evidence log"
	case errors.Is(err, syscall.EROFS):
		kind, hint = fault.ReadOnly, "the disk of the evidence log is mounted read-only"
	case errors.Is(err, fs.ErrPermission):
		hint = "give the mailvow user the evidence folder and what is in it"
	}
	return &fault.Error{Kind: kind, Op: act, Hint: hint, Err: err}
}
