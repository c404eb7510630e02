package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
)

// folder is a Store in a folder of 256 folders.
type folder struct {
	disk   disk.FS
	dir    string
	region string
}

// Folder opens a store in a folder and makes what is missing of it.
func Folder(f disk.FS, dir, region string) (Store, error) {
	s := &folder{disk: f, dir: dir, region: region}
	for i := range 256 {
		if err := disk.MakeDir(f, path.Join(dir, fmt.Sprintf("%02x", i))); err != nil {
			return nil, diskFault(err)
		}
	}
	// A killed process may have made a folder without making it durable.
	return s, diskFault(f.SyncDir(dir))
}

// Region implements Store.
func (s *folder) Region() string { return s.region }

func (s *folder) place(name Name) string { return path.Join(s.dir, string(name[:2]), string(name)) }

// Create implements Store.
func (s *folder) Create(_ context.Context, name Name) (Writer, error) {
	if _, err := ParseName(string(name)); err != nil {
		return nil, err
	}
	file, err := s.disk.Create(s.place(name) + disk.TempSuffix)
	if err != nil {
		return nil, diskFault(err)
	}
	return &folderWriter{store: s, name: name, file: file}, nil
}

type folderWriter struct {
	store *folder
	name  Name
	file  disk.File // nil after the end
}

// Write implements Writer.
func (w *folderWriter) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, fault.New(fault.Internal, "write after the end of a blob")
	}
	n, err := w.file.Write(p)
	return n, diskFault(err)
}

// Commit implements Writer.
func (w *folderWriter) Commit() error {
	if w.file == nil {
		return fault.New(fault.Internal, "commit after the end of a blob")
	}
	place := w.store.place(w.name)
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	if err == nil {
		err = w.store.disk.Rename(place+disk.TempSuffix, place)
	}
	if err != nil {
		return diskFault(errors.Join(err, w.store.disk.Remove(place+disk.TempSuffix)))
	}
	return diskFault(w.store.disk.SyncDir(path.Dir(place)))
}

// Abort implements Writer.
func (w *folderWriter) Abort() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Close(), w.store.disk.Remove(w.store.place(w.name)+disk.TempSuffix))
	w.file = nil
	return diskFault(err)
}

// Open implements Store.
func (s *folder) Open(_ context.Context, name Name) (Blob, error) {
	if _, err := ParseName(string(name)); err != nil {
		return nil, err
	}
	file, err := s.disk.Open(s.place(name))
	if err != nil {
		return nil, diskFault(err)
	}
	size, err := file.Size()
	if err != nil {
		return nil, diskFault(errors.Join(err, file.Close()))
	}
	return &folderBlob{file, size}, nil
}

type folderBlob struct {
	disk.File
	size int64
}

// Size implements Blob.
func (b *folderBlob) Size() int64 { return b.size }

// Delete implements Store.
func (s *folder) Delete(_ context.Context, name Name) error {
	if _, err := ParseName(string(name)); err != nil {
		return err
	}
	err := s.disk.Remove(s.place(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskFault(err)
	}
	return diskFault(s.disk.SyncDir(path.Dir(s.place(name))))
}

// List implements Store.
func (s *folder) List(ctx context.Context, yield func(Entry) error) error {
	return s.walk(ctx, func(e disk.Entry) error {
		name, err := ParseName(e.Name)
		if err != nil {
			return nil //nolint:nilerr // unfinished, or not ours
		}
		return yield(Entry{Name: name, Size: e.Size, Changed: e.Changed})
	})
}

// Tidy implements Store.
func (s *folder) Tidy(ctx context.Context, before time.Time) (n int, err error) {
	err = s.walk(ctx, func(e disk.Entry) error {
		if !strings.HasSuffix(e.Name, disk.TempSuffix) || !e.Changed.Before(before) {
			return nil
		}
		err := s.disk.Remove(path.Join(s.dir, e.Name[:2], e.Name))
		if err == nil {
			n++
		} else if errors.Is(err, fs.ErrNotExist) { // committed meanwhile
			err = nil
		}
		return diskFault(err)
	})
	return n, err
}

func (s *folder) walk(ctx context.Context, visit func(disk.Entry) error) error {
	for i := range 256 {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := s.disk.ReadDir(path.Join(s.dir, fmt.Sprintf("%02x", i)))
		if err != nil {
			return diskFault(err)
		}
		for _, e := range entries {
			if e.Folder || len(e.Name) < 32 {
				continue
			}
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// diskFault gives an error of the file system its kind.
func diskFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Because(fault.NotFound, err, "There is no such blob.")
	case errors.Is(err, fs.ErrExist):
		return fault.Because(fault.Conflict, err, "A blob of this name exists.")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Because(fault.Full, err, "The blob store has no space left.").WithHint("Free space on the disk of the blob store.")
	case errors.Is(err, syscall.EROFS):
		return fault.Because(fault.ReadOnly, err, "The blob store cannot be written.").WithHint("The disk of the blob store is mounted read-only.")
	}
	return fault.Because(fault.Unavailable, err, "The blob store cannot be reached.")
}
