package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/object"
)

// Stream is one of the stores of which only the newest state may ever be used:
// key store, erasure ledger, evidence log.
type Stream struct {
	Name string
	List func(ctx context.Context) ([]Item, error)
	Read func(ctx context.Context, name string) ([]byte, error)
}

// Item is a file of a stream.
type Item struct {
	Name    string
	Size    int64
	Changed time.Time
}

// largestItem bounds a file of a stream; the largest is a tile of the log.
const largestItem = 16 << 20

// FolderStream is a stream in a folder, without locks and unfinished files.
func FolderStream(name, dir string) Stream {
	return Stream{Name: name,
		List: func(ctx context.Context) (list []Item, err error) {
			err = fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return gone(err)
				}
				info, err := d.Info()
				if err == nil && p != "lock" && !strings.HasSuffix(p, disk.TempSuffix) {
					list = append(list, Item{p, info.Size(), info.ModTime()})
				}
				return gone(errors.Join(err, ctx.Err()))
			})
			return list, fault.Wrap(err, "list "+name)
		},
		Read: func(_ context.Context, p string) ([]byte, error) {
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fault.Because(fault.NotFound, err, "")
			}
			return b, fault.Wrap(err, "read "+name)
		},
	}
}

// gone: a file that goes while a folder is read was not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// BucketStream is a stream under a prefix of a bucket.
func BucketStream(name string, b object.Bucket, prefix string) Stream {
	return Stream{Name: name,
		List: func(ctx context.Context) (list []Item, err error) {
			err = b.List(ctx, prefix, func(e object.Entry) error {
				list = append(list, Item{strings.TrimPrefix(e.Name, prefix), e.Size, e.Changed})
				return nil
			})
			return list, err
		},
		Read: func(ctx context.Context, p string) ([]byte, error) { return b.Get(ctx, prefix+p, 0, largestItem) },
	}
}

// mirrored remembers what lies in the other place.
type mirrored struct {
	sum   [32]byte // over all names, sizes and times
	files map[string]mirroredFile
}

type mirroredFile struct {
	item Item
	file chunk.File
}

const (
	mirrorTries = 5
	// settled is how old a file must be to be known by its time: within the
	// grain of a store's clock it may change twice.
	settled = 3 * time.Second
)

// Mirror brings the streams' newest state to its other place, if it changed.
// Nothing older stays there: a key that was destroyed is gone with the next call.
func (k *Keeper) Mirror(ctx context.Context) error {
	if k.Newest == nil {
		return nil
	}
	var err error
	for range mirrorTries {
		if err = k.mirror(ctx); !fault.Is(err, fault.Conflict) {
			break
		}
	}
	return fault.Wrap(err, "copy the newest state of keys, ledger and evidence")
}

func (k *Keeper) mirror(ctx context.Context) error {
	now := k.Clock.Now()
	items, sum, err := k.items(ctx)
	if err != nil || sum == k.mirrored.sum {
		return err
	}
	id := ids.New[ids.Backup](k.IDs)
	w, err := k.Newest.Begin(ctx, id.String(), now)
	if err != nil {
		return err
	}
	next := mirrored{sum: sum, files: map[string]mirroredFile{}}
	// In the order of the streams: the keys' note of what the log has signed is
	// read before the log, so that the log is never older.
	for i, s := range k.Streams {
		for _, item := range items[i] {
			if err := k.mirrorItem(ctx, w, s, item, now, &next); err != nil {
				return err
			}
		}
	}
	_, again, err := k.items(ctx)
	if err == nil && again != sum {
		err = fault.New(fault.Conflict, "the streams grew while they were read")
	}
	if err != nil {
		return err
	}
	m, err := w.Commit(ctx, struct{}{})
	if err != nil {
		return err
	}
	k.mirrored = next
	_, _, err = k.Newest.Expire(ctx, func(e chunk.Entry) bool { return e.ID == m.ID })
	return err
}

func (k *Keeper) mirrorItem(ctx context.Context, w *chunk.Writer, s Stream, item Item, now time.Time, next *mirrored) error {
	name := s.Name + "/" + item.Name
	if had, ok := k.mirrored.files[name]; ok && had.item == item && w.Again(had.file) {
		next.files[name] = had
		return nil
	}
	b, err := s.Read(ctx, item.Name)
	if fault.Is(err, fault.NotFound) {
		return fault.Because(fault.Conflict, err, "a file went while it was read")
	}
	if err != nil {
		return err
	}
	f := w.File(name)
	for part := range slices.Chunk(b, chunk.Size) {
		if err := f.Chunk(ctx, part); err != nil {
			return err
		}
	}
	if file := f.End(); now.Sub(item.Changed) > settled {
		next.files[name] = mirroredFile{item, file}
	}
	return nil
}

func (k *Keeper) items(ctx context.Context) (all [][]Item, sum [32]byte, err error) {
	h := sha256.New()
	for _, s := range k.Streams {
		list, err := s.List(ctx)
		if err != nil {
			return nil, sum, err
		}
		slices.SortFunc(list, func(a, b Item) int { return strings.Compare(a.Name, b.Name) })
		for _, i := range list {
			fmt.Fprintf(h, "%q %q %d %d\n", s.Name, i.Name, i.Size, i.Changed.UnixMicro())
		}
		all = append(all, list)
	}
	h.Sum(sum[:0])
	return all, sum, nil
}

// NewestState opens the streams' newest state; NotFound if none was ever copied.
func NewestState(ctx context.Context, s *chunk.Store) (*chunk.Manifest, error) {
	e, err := Find(ctx, s, 0)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "backup.newest holds no state of keys, ledger and evidence.")
	}
	if err != nil {
		return nil, err
	}
	return s.Open(ctx, e)
}

// FetchStream brings a stream's files to a folder that does not exist yet. It
// appears whole or not at all; one that is there stays as it is, and false says so.
func FetchStream(ctx context.Context, s *chunk.Store, m *chunk.Manifest, name, dir string) (bool, error) {
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return false, nil
	}
	temp := strings.TrimSuffix(dir, "/") + ".unfinished"
	err := os.RemoveAll(temp)
	for _, f := range m.Files {
		rest, is := strings.CutPrefix(f.Name, name+"/")
		if err != nil || !is {
			continue
		}
		if !fs.ValidPath(rest) {
			return false, fault.New(fault.Invalid, "The backup names a file outside its folder.")
		}
		var b bytes.Buffer
		if err = s.Read(ctx, m, f, &b); err == nil {
			at := filepath.Join(temp, filepath.FromSlash(rest))
			if err = disk.MakeDir(disk.Machine{}, path.Dir(at)); err == nil {
				err = disk.Write(disk.Machine{}, at, b.Bytes())
			}
		}
	}
	if err == nil {
		err = disk.MakeDir(disk.Machine{}, temp) // where the stream is empty
	}
	if err == nil {
		err = gone(os.Remove(dir)) // an empty folder
	}
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		return false, errors.Join(fault.Wrap(err, "bring "+name+" back"), os.RemoveAll(temp))
	}
	return true, disk.Machine{}.SyncDir(filepath.Dir(dir))
}
