package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	keep "mailvow/internal/keep/disk"
	"mailvow/internal/keep/object"
)

// SharedTiles keep the log's files in a bucket, where every node reads them and
// the sequencer writes. Nothing locks a bucket: that there is one sequencer is
// the caller's to see to (keep/leader), and a second one is found before it
// signs, see SharedRing.
func SharedTiles(files *object.Files) *Folder { return newFolder(filesDisk{files}, "") }

// SharedRing is a Ring in a bucket. The heads are objects that are only ever
// added, each under the next number: of two sequencers that build on one head,
// one is first and the other signs nothing that anybody sees.
func SharedRing(files *object.Files, origin string, random io.Reader) (*Ring, error) {
	d := filesDisk{files}
	r, err := openRing(d, "", origin, random)
	if errors.Is(err, fs.ErrExist) || fault.Is(err, fault.Conflict) { // another node made the first key
		r, err = openRing(d, "", origin, random)
	}
	return r, err
}

// filesDisk is a bucket as this package's disk.
type filesDisk struct{ files *object.Files }

func (d filesDisk) read(name string) ([]byte, error) {
	if path.Base(name) == headFile {
		_, text, err := d.lastHead(path.Dir(name))
		return text, err
	}
	return keep.Read(d.files, name, 8<<20)
}

func (d filesDisk) list(dir string) ([]string, error) {
	entries, err := d.files.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names, err
}

func (filesDisk) mode(string) (fs.FileMode, error) { return 0o600, nil }
func (filesDisk) mkdir(string) error               { return nil }
func (filesDisk) sync(string) error                { return nil }
func (d filesDisk) remove(name string) error       { return d.files.Remove(name) }

func (d filesDisk) create(name string, data []byte, _ fs.FileMode) error {
	f, err := d.files.Create(name)
	if errors.Is(err, fs.ErrExist) { // of a write that failed
		if err := d.files.Remove(name); err != nil {
			return err
		}
		f, err = d.files.Create(name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// rename stores. A key's name is taken once; a head is added to the others.
func (d filesDisk) rename(from, to string) error {
	switch {
	case path.Base(to) == headFile:
		return d.addHead(from, path.Dir(to))
	case strings.HasSuffix(to, ".key"):
		return d.files.RenameNew(from, to)
	}
	return d.files.Rename(from, to)
}

const (
	headFile  = "head"
	headsDir  = "heads"
	keepHeads = 256
)

func (d filesDisk) heads(dir string) ([]string, error) {
	names, err := d.list(path.Join(dir, headsDir))
	slices.Sort(names)
	return names, err
}

func (d filesDisk) lastHead(dir string) (n int64, text []byte, err error) {
	names, err := d.heads(dir)
	if err != nil {
		return 0, nil, err
	}
	if len(names) == 0 {
		return 0, nil, fs.ErrNotExist
	}
	last := names[len(names)-1]
	if _, err := fmt.Sscanf(last, "%016d", &n); err != nil {
		return 0, nil, fault.Because(fault.Internal, err, "a stray file lies among the signed checkpoints")
	}
	text, err = keep.Read(d.files, path.Join(dir, headsDir, last), 1<<20)
	return n, text, err
}

// addHead adds a head after the last. If another came first, or more than one
// did while this process slept, it is taken away again: it was never shown.
func (d filesDisk) addHead(from, dir string) error {
	n, _, err := d.lastHead(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	mine := path.Join(dir, headsDir, fmt.Sprintf("%016d", n+1))
	if err := d.files.RenameNew(from, mine); err != nil {
		return err
	}
	names, err := d.heads(dir)
	if err != nil {
		return err
	}
	if names[len(names)-1] != path.Base(mine) {
		return errors.Join(fs.ErrExist, d.files.Remove(mine))
	}
	for _, old := range names[:max(0, len(names)-keepHeads)] {
		if err := d.files.Remove(path.Join(dir, headsDir, old)); err != nil {
			return err
		}
	}
	return nil
}

// New makes a log of which this process may become the sequencer: Follow reads
// what another publishes, Run takes over. Nothing is read or written yet.
func New(c Config) *Log {
	return &Log{Config: c, changed: make(chan struct{}), nudge: make(chan struct{}, 1)}
}

// Follow keeps up with what another node's sequencer publishes, so that Await
// and Certify answer here, too, until ctx ends.
func (l *Log) Follow(ctx context.Context) error {
	for {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "look at the evidence log", "error", err)
		}
		if clock.Sleep(ctx, l.Clock, Pace) != nil {
			return nil
		}
	}
}

// look reads the published checkpoint, unless this process writes it.
func (l *Log) look(ctx context.Context) error {
	l.mu.Lock()
	leads := l.ready
	l.mu.Unlock()
	if leads {
		return nil
	}
	text, err := l.Tiles.Read(ctx, checkpointPath)
	if fault.Is(err, fault.NotFound) {
		return nil // nobody has begun
	}
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(text, l.Ring.Keys()...)
	if err != nil { // a key that another node made
		if e := l.Ring.reload(); e != nil {
			return e
		}
		if c, err = ParseCheckpoint(text, l.Ring.Keys()...); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready || c.Text == l.head.Text || c.Size < l.head.Size {
		return nil
	}
	l.head = c
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// yield makes the next Run begin from what is stored.
func (l *Log) yield() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = false
}

// reload reads the keys again.
func (r *Ring) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, last := r.keys, r.last
	r.keys, r.last = nil, 0
	if err := r.load(); err != nil {
		r.keys, r.last = keys, last
		return err
	}
	return nil
}
