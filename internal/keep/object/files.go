package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
)

// Sealer keeps what an object says from the store; name is bound to it.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Unseal(ctx context.Context, name string, sealed []byte) ([]byte, error)
}

// Files is a bucket as a disk.FS, for small files that are written whole. A
// file appears, complete, when it is renamed to its name; until then it lies in
// memory, so that two processes never see one another's unfinished files.
// Folders need not be made. It is no place for files that grow or that are
// written in many places.
type Files struct {
	life   context.Context // calls of a disk.FS take none
	bucket Bucket
	prefix string
	sealer Sealer

	mu         sync.Mutex
	unfinished map[string]*file
}

var _ disk.FS = (*Files)(nil)

// NewFiles gives the files under a prefix until life ends; sealer may be nil.
func NewFiles(life context.Context, b Bucket, prefix string, sealer Sealer) *Files {
	return &Files{life: life, bucket: b, prefix: prefix, sealer: sealer, unfinished: map[string]*file{}}
}

const (
	filesPatience = 30 * time.Second
	// LargestFile is how many sealed bytes a file may have.
	LargestFile = 16 << 20
)

func (f *Files) place(name string) string {
	return strings.TrimPrefix(path.Join(f.prefix, name), "/")
}

func (f *Files) reach() (context.Context, context.CancelFunc) {
	return context.WithTimeout(f.life, filesPatience)
}

// pathError gives a fault the form that callers of a disk.FS compare.
func pathError(op, name string, err error) error {
	switch {
	case fault.Is(err, fault.NotFound):
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case fault.Is(err, fault.Conflict):
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	return err
}

// Create implements disk.FS.
func (f *Files) Create(name string) (disk.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unfinished[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	made := &file{}
	f.unfinished[name] = made
	return made, nil
}

// Open implements disk.FS.
func (f *Files) Open(name string) (disk.File, error) { return f.read("open", name) }

// Modify implements disk.FS. What is written goes nowhere: an object is replaced
// as a whole, and the store keeps nothing of the former one.
func (f *Files) Modify(name string) (disk.File, error) { return f.read("modify", name) }

func (f *Files) read(op, name string) (disk.File, error) {
	f.mu.Lock()
	made := f.unfinished[name]
	f.mu.Unlock()
	if made != nil {
		return made, nil
	}
	ctx, cancel := f.reach()
	defer cancel()
	content, err := f.bucket.Get(ctx, f.place(name), 0, LargestFile)
	if err == nil && f.sealer != nil {
		content, err = f.sealer.Unseal(ctx, f.place(name), content)
	}
	if err != nil {
		return nil, pathError(op, name, err)
	}
	return &file{content: content}, nil
}

// Rename implements disk.FS: it stores a finished file under its name.
func (f *Files) Rename(old, name string) error { return f.store(old, name, f.bucket.Put) }

// RenameNew is Rename for a name that must be free, also against other
// processes; fs.ErrExist says that one was first.
func (f *Files) RenameNew(old, name string) error { return f.store(old, name, f.bucket.PutNew) }

func (f *Files) store(old, name string, put func(context.Context, string, []byte) error) error {
	f.mu.Lock()
	made := f.unfinished[old]
	f.mu.Unlock()
	if made == nil {
		return &fs.PathError{Op: "rename", Path: old, Err: fs.ErrNotExist}
	}
	ctx, cancel := f.reach()
	defer cancel()
	content, err := made.bytes(), error(nil)
	if f.sealer != nil {
		content, err = f.sealer.Seal(ctx, f.place(name), content)
	}
	if err == nil {
		err = put(ctx, f.place(name), content)
	}
	if err != nil {
		return pathError("rename", name, err)
	}
	f.mu.Lock()
	delete(f.unfinished, old)
	f.mu.Unlock()
	return nil
}

// Remove implements disk.FS.
func (f *Files) Remove(name string) error {
	f.mu.Lock()
	made := f.unfinished[name]
	delete(f.unfinished, name)
	f.mu.Unlock()
	if made != nil {
		return nil
	}
	ctx, cancel := f.reach()
	defer cancel()
	return pathError("remove", name, f.bucket.Delete(ctx, f.place(name)))
}

// Mkdir implements disk.FS: every folder is there.
func (f *Files) Mkdir(string) error { return nil }

// SyncDir implements disk.FS: what has its name is durable.
func (f *Files) SyncDir(string) error { return nil }

// ReadDir implements disk.FS. A folder without files is empty.
func (f *Files) ReadDir(name string) ([]disk.Entry, error) {
	ctx, cancel := f.reach()
	defer cancel()
	under, seen := f.place(name)+"/", map[string]bool{}
	var list []disk.Entry
	err := f.bucket.List(ctx, under, func(e Entry) error {
		one, _, folder := strings.Cut(strings.TrimPrefix(e.Name, under), "/")
		if one == "" || seen[one] {
			return nil
		}
		seen[one] = true
		list = append(list, disk.Entry{Name: one, Folder: folder, Size: e.Size, Changed: e.Changed})
		return nil
	})
	return list, pathError("list", name, err)
}

// file is a file in memory.
type file struct {
	mu      sync.Mutex
	content []byte
}

func (f *file) bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.content)
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.content)+len(p) > LargestFile {
		return 0, fault.Because(fault.Internal, errors.New("a file in a bucket grows beyond what is read again"), "")
	}
	f.content = append(f.content, p...)
	return len(p), nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.NewReader(f.content).ReadAt(p, at)
}

// WriteAt implements io.WriterAt, within the file.
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at < 0 || at > int64(len(f.content)) {
		return 0, io.ErrShortWrite
	}
	n := copy(f.content[at:], p)
	f.content = append(f.content, p[n:]...)
	return len(p), nil
}

// Size implements disk.File.
func (f *file) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.content)), nil
}

// Sync implements disk.File.
func (f *file) Sync() error { return nil }

// Close implements disk.File.
func (f *file) Close() error { return nil }
