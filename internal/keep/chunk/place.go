package chunk

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/object"
)

// Place is where an archive lies.
type Place interface {
	// Put writes a whole file or replaces it; it is durable after the next Sync.
	Put(ctx context.Context, name string, content []byte) error
	// Get reads a whole file of at most most octets, or gives a NotFound fault.
	Get(ctx context.Context, name string, most int64) ([]byte, error)
	// Delete removes a file; one that is not there counts as removed.
	Delete(ctx context.Context, name string) error
	// List gives the files whose name begins with prefix, a folder's.
	List(ctx context.Context, prefix string, yield func(name string, size int64) error) error
	// Sync makes what was put durable.
	Sync(ctx context.Context) error
	// Versions reports that the place keeps what was deleted or replaced.
	Versions(ctx context.Context) (bool, error)
}

// Bucket is a place in a bucket, under a prefix that ends in a slash or is empty.
func Bucket(b object.Bucket, prefix string) Place { return bucket{b, prefix} }

type bucket struct {
	object.Bucket
	prefix string
}

func (b bucket) Put(ctx context.Context, name string, content []byte) error {
	return b.Bucket.Put(ctx, b.prefix+name, content)
}

func (b bucket) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	content, err := b.Bucket.Get(ctx, b.prefix+name, 0, most+1)
	if err == nil && int64(len(content)) > most {
		return nil, fault.New(fault.Invalid, "An object of the backup is larger than it can be.")
	}
	return content, err
}

func (b bucket) Delete(ctx context.Context, name string) error {
	return b.Bucket.Delete(ctx, b.prefix+name)
}

func (b bucket) List(ctx context.Context, prefix string, yield func(string, int64) error) error {
	return b.Bucket.List(ctx, b.prefix+prefix, func(e object.Entry) error {
		return yield(strings.TrimPrefix(e.Name, b.prefix), e.Size)
	})
}

func (b bucket) Sync(context.Context) error { return nil }

func (b bucket) Versions(ctx context.Context) (bool, error) { return b.Versioned(ctx) }

// Folder is a place in a folder, which is made if it is missing.
func Folder(f disk.FS, dir string) Place {
	return &folder{disk: f, dir: dir, made: map[string]bool{}, dirty: map[string]bool{}}
}

type folder struct {
	disk disk.FS
	dir  string

	mu    sync.Mutex
	made  map[string]bool // at most one a first octet of a name
	dirty map[string]bool
}

func (f *folder) Put(_ context.Context, name string, content []byte) error {
	at := path.Join(f.dir, name)
	under := path.Dir(at)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.made[under] {
		if err := disk.MakeDir(f.disk, under); err != nil {
			return unreached(err)
		}
		f.made[under] = true
	}
	f.dirty[under] = true
	return unreached(f.write(at, content))
}

// write puts content in place of what was there; the folder is synced by Sync.
func (f *folder) write(at string, content []byte) error {
	temp := at + disk.TempSuffix
	file, err := f.disk.Create(temp)
	if errors.Is(err, fs.ErrExist) {
		if err := f.disk.Remove(temp); err != nil {
			return err
		}
		file, err = f.disk.Create(temp)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.disk.Rename(temp, at)
	}
	if err != nil {
		return errors.Join(err, f.disk.Remove(temp))
	}
	return nil
}

func (f *folder) Get(_ context.Context, name string, most int64) ([]byte, error) {
	content, err := disk.Read(f.disk, path.Join(f.dir, name), most)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Because(fault.NotFound, err, "A file of the backup is missing.")
	}
	return content, unreached(err)
}

func (f *folder) Delete(_ context.Context, name string) error {
	err := f.disk.Remove(path.Join(f.dir, name))
	if err == nil {
		f.mu.Lock()
		f.dirty[path.Dir(path.Join(f.dir, name))] = true
		f.mu.Unlock()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return unreached(err)
}

func (f *folder) List(ctx context.Context, prefix string, yield func(string, int64) error) error {
	entries, err := f.disk.ReadDir(path.Join(f.dir, prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unreached(err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return fault.Because(fault.Unavailable, err, "")
		}
		name := path.Join(prefix, e.Name)
		switch {
		case e.Folder:
			err = f.List(ctx, name, yield)
		case !strings.HasSuffix(name, disk.TempSuffix):
			err = yield(name, e.Size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) Sync(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := range f.dirty {
		if err := f.disk.SyncDir(dir); err != nil {
			return unreached(err)
		}
		delete(f.dirty, dir)
	}
	return nil
}

func (f *folder) Versions(context.Context) (bool, error) { return false, nil }

func unreached(err error) error {
	if err == nil {
		return nil
	}
	if fault.KindOf(err) != fault.Internal {
		return err
	}
	return fault.Because(fault.Unavailable, err, "The place of the backups cannot be reached.").WithHint("look whether it is there and can be written")
}
