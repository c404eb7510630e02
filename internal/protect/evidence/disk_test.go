package evidence

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

var errPower = errors.New("the power is gone")

// testDisk is a disk in memory that forgets on crash what was not synced, and
// fails at a chosen step. A name is durable once its folder was synced, bytes
// once their file was.
type testDisk struct {
	mu      sync.Mutex
	now     map[string]*testFile // by path; folders end in /
	durable map[string]*testFile
	steps   int
	failAt  int // 0: never
	dead    bool
	nosync  func(path string) bool // a sync that does nothing
}

type testFile struct {
	data, synced []byte
	perm         fs.FileMode
}

func newTestDisk() *testDisk {
	return &testDisk{now: map[string]*testFile{"/": {}}, durable: map[string]*testFile{"/": {}}}
}

// crash ends the life of the process. With power lost, only what was synced is
// left; without, all that was written.
func (d *testDisk) crash(power bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.failAt, d.steps = false, 0, 0
	if !power {
		return
	}
	d.now = map[string]*testFile{}
	for p, f := range d.durable {
		if d.reachable(p) {
			d.now[p] = &testFile{data: slices.Clone(f.synced), synced: f.synced, perm: f.perm}
		}
	}
	d.durable = maps.Clone(d.now)
}

func (d *testDisk) reachable(p string) bool {
	for dir := parent(p); dir != "/"; dir = parent(dir) {
		if _, ok := d.durable[dir]; !ok {
			return false
		}
	}
	return true
}

// parent gives the folder of a path, with its slash.
func parent(p string) string {
	dir := filepath.Dir(strings.TrimSuffix(p, "/"))
	if dir == "/" || p == "/" {
		return "/"
	}
	return dir + "/"
}

func (d *testDisk) step() error {
	if d.steps++; d.steps == d.failAt {
		d.dead = true
	}
	if d.dead {
		return errPower
	}
	return nil
}

func (d *testDisk) write(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	return f()
}

func (d *testDisk) read(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.now[path]; ok && !d.dead {
		return append([]byte{}, f.data...), nil
	}
	if d.dead {
		return nil, errPower
	}
	return nil, fs.ErrNotExist
}

func (d *testDisk) mode(path string) (fs.FileMode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.now[path]; ok {
		return f.perm, nil
	}
	return 0, fs.ErrNotExist
}

func (d *testDisk) list(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.now[dir+"/"]; !ok {
		return nil, fs.ErrNotExist
	}
	var out []string
	for p := range d.now {
		if p != "/" && parent(p) == dir+"/" {
			out = append(out, filepath.Base(p))
		}
	}
	return out, nil
}

func (d *testDisk) create(path string, data []byte, perm fs.FileMode) error {
	return d.write(func() error {
		if _, ok := d.now[parent(path)]; !ok {
			return fs.ErrNotExist
		}
		d.now[path] = &testFile{data: slices.Clone(data), perm: perm}
		return nil
	})
}

func (d *testDisk) mkdir(path string) error {
	return d.write(func() error {
		if _, ok := d.now[path+"/"]; ok || path == "/" {
			return fs.ErrExist
		}
		if _, ok := d.now[parent(path)]; !ok {
			return fs.ErrNotExist
		}
		d.now[path+"/"] = &testFile{perm: fs.ModeDir | 0o700}
		return nil
	})
}

func (d *testDisk) rename(from, to string) error {
	return d.write(func() error {
		f, ok := d.now[from]
		if !ok {
			return fs.ErrNotExist
		}
		d.now[to] = f
		delete(d.now, from)
		return nil
	})
}

func (d *testDisk) remove(path string) error {
	return d.write(func() error {
		for _, p := range []string{path, path + "/"} {
			if _, ok := d.now[p]; ok {
				delete(d.now, p)
				return nil
			}
		}
		return fs.ErrNotExist
	})
}

func (d *testDisk) sync(path string) error {
	return d.write(func() error {
		if d.nosync != nil && d.nosync(path) {
			return nil
		}
		if f, ok := d.now[path]; ok && path != "/" {
			f.synced = slices.Clone(f.data)
			return nil
		}
		dir := path + "/"
		if path == "/" {
			dir = path
		} else if _, ok := d.now[dir]; !ok {
			return fs.ErrNotExist
		}
		for p := range d.durable {
			if _, ok := d.now[p]; !ok && p != "/" && parent(p) == dir {
				delete(d.durable, p)
			}
		}
		for p, f := range d.now {
			if p != "/" && parent(p) == dir {
				d.durable[p] = f
			}
		}
		return nil
	})
}

var _ disk = (*testDisk)(nil)
