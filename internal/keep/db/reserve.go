package db

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mailvow/internal/base/limit"
)

// reserve is a file that holds bytes for the hour in which the disk is full.
type reserve struct {
	path string
	file *os.File
}

func (r *reserve) held() bool { return r.file != nil }

// adopt names the file and takes over the one that an earlier start left. A copy
// of a folder may have brought it as a hole, and the settings may be others: it is
// held only if its bytes are allocated.
func (r *reserve) adopt(path string, size int64) {
	r.path = path
	if info, err := os.Stat(path); err == nil && info.Size() >= size {
		_ = r.take(size) // without it the state of space is asked first
	}
}

// take sets the bytes aside; they are allocated, not only promised.
func (r *reserve) take(size int64) error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), unix.Fallocate(int(f.Fd()), 0, 0, size)); err != nil {
		f.Close()
		os.Remove(r.path)
		return err
	}
	r.file = f
	return nil
}

func (r *reserve) release() {
	if r.file == nil {
		return
	}
	r.file.Close()
	os.Remove(r.path)
	r.file = nil
}

// close keeps the file: it is as useful to the next start.
func (r *reserve) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// freeBytes asks the file system under a folder.
func freeBytes(dir string) (limit.Bytes, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return limit.Bytes(s.Bavail) * limit.Bytes(s.Bsize), nil
}

// unwritable reports whether the database's files cannot be opened for writing:
// a read-only file system, or files that somebody locked.
func unwritable(dir string) bool {
	for _, name := range []string{fileName, fileName + "-wal"} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil && (errors.Is(err, unix.EROFS) || errors.Is(err, os.ErrPermission)) {
			return true
		}
		if err == nil {
			f.Close()
		}
	}
	return false
}
