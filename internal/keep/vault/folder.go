package vault

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
)

// Folder is a key store in one folder, with the copies in its folders a and b.
// One process at a time may use it.
func Folder(f disk.FS, dir string) *Store {
	return Folders(f, path.Join(dir, "a"), path.Join(dir, "b"))
}

// Folders is a key store whose copies lie in two folders, better on two disks.
func Folders(f disk.FS, a, b string) *Store {
	return &Store{a: &folder{disk: f, dir: a}, b: &folder{disk: f, dir: b}}
}

type folder struct {
	disk disk.FS
	dir  string
}

// start makes the folders and shreds what a crash left unfinished: it may hold a
// wrapped key that is destroyed later.
func (s *folder) start(ctx context.Context) error {
	for _, sub := range []string{"keys", ending, retired} {
		dir := path.Join(s.dir, sub)
		if err := disk.MakeDir(s.disk, dir); err != nil {
			return diskFault(err)
		}
		// A killed process may have made a folder without making it durable.
		if err := s.disk.SyncDir(dir); err != nil {
			return diskFault(err)
		}
	}
	tenants, err := s.tenants(ctx)
	if err != nil {
		return err
	}
	for i := range tenants {
		tenants[i] = path.Join("keys", tenants[i])
	}
	for _, sub := range append(tenants, ending, retired) {
		if err := s.clear(sub); err != nil {
			return diskFault(err)
		}
	}
	return nil
}

func (s *folder) clear(sub string) error {
	entries, err := s.disk.ReadDir(path.Join(s.dir, sub))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name, disk.TempSuffix) {
			if err := disk.Shred(s.disk, path.Join(s.dir, sub), e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *folder) put(_ context.Context, folder, file string, content []byte, fresh bool) error {
	write := disk.Replace
	if fresh {
		write = disk.Write
	}
	name := path.Join(s.dir, folder, file)
	err := write(s.disk, name, content)
	if errors.Is(err, fs.ErrNotExist) {
		if err := disk.MakeDir(s.disk, path.Dir(name)); err != nil {
			return diskFault(err)
		}
		err = write(s.disk, name, content)
	}
	return diskFault(err)
}

func (s *folder) get(_ context.Context, folder, file string) ([]byte, error) {
	// A list of keys to destroy is the largest file, some 64 bytes for each.
	content, err := disk.Read(s.disk, path.Join(s.dir, folder, file), 64<<20)
	return content, diskFault(err)
}

func (s *folder) erase(_ context.Context, folder string, files ...string) error {
	return diskFault(disk.Shred(s.disk, path.Join(s.dir, folder), files...))
}

func (s *folder) remove(_ context.Context, folder, file string) error {
	return diskFault(disk.Remove(s.disk, path.Join(s.dir, folder, file)))
}

func (s *folder) list(_ context.Context, folder string) ([]string, error) {
	return s.entries(folder, false)
}

func (s *folder) tenants(context.Context) ([]string, error) { return s.entries("keys", true) }

func (s *folder) entries(folder string, folders bool) ([]string, error) {
	entries, err := s.disk.ReadDir(path.Join(s.dir, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, diskFault(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.Folder == folders && !strings.HasSuffix(e.Name, disk.TempSuffix) {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// diskFault gives an error of the file system its kind.
func diskFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Because(fault.NotFound, err, "There is no such record in the key store.")
	case errors.Is(err, fs.ErrExist):
		return fault.Because(fault.Conflict, err, "The key store has such a record.")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Because(fault.Full, err, "The key store has no space left.").WithHint("Free space on the disk of the key store.")
	case errors.Is(err, syscall.EROFS):
		return fault.Because(fault.ReadOnly, err, "The key store cannot be written.").WithHint("The disk of the key store is mounted read-only.")
	}
	return fault.Because(fault.Unavailable, err, "The key store cannot be reached.")
}
