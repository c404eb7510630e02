package lab

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"mailvow/internal/keep/disk"
)

// ForgetfulFS is a file system in memory that forgets what was not synced: a
// file's content since its last Sync, a folder's entries since its last
// SyncDir. It can lose power at any step and can leave a sync out.
type ForgetfulFS struct {
	mu    sync.Mutex
	root  *forgetfulDir
	files []*forgetfulInode // every file ever, unlinked ones too: what a disk still holds
	steps int
	stop  int // the step at which power fails, 0 for never
	once  int // the step that fails alone, 0 for none
	skip  func(Step) bool
	names []Step
}

// Step is one call that changes something.
type Step struct {
	Act  string // create, write, sync, rename, remove, mkdir, syncdir
	Name string
}

// ErrPower is what every call gives after power failed.
var ErrPower = &fs.PathError{Op: "any", Err: fs.ErrClosed}

var _ disk.FS = (*ForgetfulFS)(nil)

type forgetfulInode struct {
	live, synced []byte
}

type forgetfulDir struct {
	live, synced map[string]any // *forgetfulInode or *forgetfulDir
}

func newDir() *forgetfulDir {
	return &forgetfulDir{live: map[string]any{}, synced: map[string]any{}}
}

// NewForgetfulFS makes an empty one.
func NewForgetfulFS() *ForgetfulFS { return &ForgetfulFS{root: newDir()} }

// FailAt lets power fail instead of the nth changing call from now, 1 being the
// next one.
func (f *ForgetfulFS) FailAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = f.steps + n
}

// ErrorAt lets the nth changing call from now fail, and only that one.
func (f *ForgetfulFS) ErrorAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.once = f.steps + n
}

// Skip leaves out the syncs for which which says true: they report success and
// do nothing.
func (f *ForgetfulFS) Skip(which func(Step) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skip = which
}

// Steps lists the changing calls so far.
func (f *ForgetfulFS) Steps() []Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.names)
}

// PowerLoss throws away what was not synced and switches power on again.
func (f *ForgetfulFS) PowerLoss() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.root.forget()
	for _, file := range f.files {
		file.live = bytes.Clone(file.synced)
	}
	f.stop, f.once, f.skip = 0, 0, nil
}

// PowerLossKeepingNames is a power loss on a file system that wrote its folders
// ahead of its files: every name is there, what was not synced of the content is
// not.
func (f *ForgetfulFS) PowerLossKeepingNames() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		file.live = bytes.Clone(file.synced)
	}
	f.stop, f.once, f.skip = 0, 0, nil
}

// Kill switches power on again and loses nothing, as after kill -9.
func (f *ForgetfulFS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop, f.once, f.skip = 0, 0, nil
}

func (d *forgetfulDir) forget() {
	d.live = map[string]any{}
	for name, item := range d.synced {
		d.live[name] = item
		if sub, ok := item.(*forgetfulDir); ok {
			sub.forget()
		}
	}
}

// Remains reports whether the disk still holds these bytes somewhere, in
// unlinked files too.
func (f *ForgetfulFS) Remains(what []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.files, func(file *forgetfulInode) bool {
		return bytes.Contains(file.synced, what) || bytes.Contains(file.live, what)
	})
}

// Damage changes one byte of a file, as a bad disk does.
func (f *ForgetfulFS) Damage(name string, at int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.file("damage", name)
	if err != nil {
		return err
	}
	file.live[at] ^= 1
	file.synced = bytes.Clone(file.live)
	return nil
}

// step counts a changing call. It reports whether the call is to be left out.
func (f *ForgetfulFS) step(act, name string) (skip bool, err error) {
	if f.stop > 0 && f.steps+1 >= f.stop {
		return false, ErrPower
	}
	f.steps++
	f.names = append(f.names, Step{act, name})
	if f.steps == f.once {
		return false, &fs.PathError{Op: act, Path: name, Err: syscall.EIO}
	}
	return f.skip != nil && f.skip(Step{act, name}), nil
}

func (f *ForgetfulFS) off() error {
	if f.stop > 0 && f.steps+1 >= f.stop {
		return ErrPower
	}
	return nil
}

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }
func taken(op, name string) error   { return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist} }

func (f *ForgetfulFS) dir(op, name string) (*forgetfulDir, error) {
	d := f.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/."), "/") {
		if part == "" {
			continue
		}
		sub, ok := d.live[part].(*forgetfulDir)
		if !ok {
			return nil, missing(op, name)
		}
		d = sub
	}
	return d, nil
}

func (f *ForgetfulFS) file(op, name string) (*forgetfulInode, error) {
	d, err := f.dir(op, path.Dir(name))
	if err != nil {
		return nil, err
	}
	file, ok := d.live[path.Base(name)].(*forgetfulInode)
	if !ok {
		return nil, missing(op, name)
	}
	return file, nil
}

// Create implements disk.FS.
func (f *ForgetfulFS) Create(name string) (disk.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.dir("create", path.Dir(name))
	if err != nil {
		return nil, err
	}
	if _, there := d.live[path.Base(name)]; there {
		return nil, taken("create", name)
	}
	if _, err := f.step("create", name); err != nil {
		return nil, err
	}
	file := &forgetfulInode{}
	d.live[path.Base(name)] = file
	f.files = append(f.files, file)
	return &forgetfulFile{f, file, name}, nil
}

// Open implements disk.FS.
func (f *ForgetfulFS) Open(name string) (disk.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.file("open", name)
	if off := f.off(); off != nil {
		return nil, off
	}
	if err != nil {
		return nil, err
	}
	return &forgetfulFile{f, file, name}, nil
}

// Modify implements disk.FS.
func (f *ForgetfulFS) Modify(name string) (disk.File, error) { return f.Open(name) }

// Rename implements disk.FS.
func (f *ForgetfulFS) Rename(old, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.file("rename", old)
	if err != nil {
		return err
	}
	from, _ := f.dir("rename", path.Dir(old))
	to, err := f.dir("rename", path.Dir(name))
	if err != nil {
		return err
	}
	if _, err := f.step("rename", name); err != nil {
		return err
	}
	delete(from.live, path.Base(old))
	to.live[path.Base(name)] = file
	return nil
}

// Remove implements disk.FS.
func (f *ForgetfulFS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.dir("remove", path.Dir(name))
	if err != nil {
		return err
	}
	if _, there := d.live[path.Base(name)]; !there {
		return missing("remove", name)
	}
	if _, err := f.step("remove", name); err != nil {
		return err
	}
	delete(d.live, path.Base(name))
	return nil
}

// Mkdir implements disk.FS.
func (f *ForgetfulFS) Mkdir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if path.Clean(name) == "." || path.Clean(name) == "/" {
		return taken("mkdir", name)
	}
	d, err := f.dir("mkdir", path.Dir(name))
	if err != nil {
		return err
	}
	if _, there := d.live[path.Base(name)]; there {
		return taken("mkdir", name)
	}
	if _, err := f.step("mkdir", name); err != nil {
		return err
	}
	d.live[path.Base(name)] = newDir()
	return nil
}

// SyncDir implements disk.FS.
func (f *ForgetfulFS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.dir("syncdir", name)
	if err != nil {
		return err
	}
	skip, err := f.step("syncdir", name)
	if err != nil || skip {
		return err
	}
	d.synced = map[string]any{}
	for k, v := range d.live {
		d.synced[k] = v
	}
	return nil
}

// ReadDir implements disk.FS.
func (f *ForgetfulFS) ReadDir(name string) ([]disk.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off := f.off(); off != nil {
		return nil, off
	}
	d, err := f.dir("readdir", name)
	if err != nil {
		return nil, err
	}
	entries := make([]disk.Entry, 0, len(d.live))
	for name, item := range d.live {
		e := disk.Entry{Name: name, Changed: Epoch}
		switch item := item.(type) {
		case *forgetfulDir:
			e.Folder = true
		case *forgetfulInode:
			e.Size = int64(len(item.live))
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b disk.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

type forgetfulFile struct {
	fs   *ForgetfulFS
	file *forgetfulInode
	name string
}

func (h *forgetfulFile) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if _, err := h.fs.step("write", h.name); err != nil {
		return 0, err
	}
	h.file.live = append(h.file.live, p...)
	return len(p), nil
}

func (h *forgetfulFile) WriteAt(p []byte, at int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if _, err := h.fs.step("write", h.name); err != nil {
		return 0, err
	}
	if need := int(at) + len(p); need > len(h.file.live) {
		h.file.live = append(h.file.live, make([]byte, need-len(h.file.live))...)
	}
	return copy(h.file.live[at:], p), nil
}

func (h *forgetfulFile) ReadAt(p []byte, at int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if off := h.fs.off(); off != nil {
		return 0, off
	}
	if at >= int64(len(h.file.live)) {
		return 0, io.EOF
	}
	n := copy(p, h.file.live[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *forgetfulFile) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return int64(len(h.file.live)), h.fs.off()
}

func (h *forgetfulFile) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	skip, err := h.fs.step("sync", h.name)
	if err != nil || skip {
		return err
	}
	h.file.synced = bytes.Clone(h.file.live)
	return nil
}

func (h *forgetfulFile) Close() error { return nil }
