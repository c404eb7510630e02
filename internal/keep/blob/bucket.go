package blob

import (
	"context"
	"io"
	"path"
	"sync"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/object"
)

// bucket is a Store in an object store.
type bucket struct {
	objects object.Bucket
	prefix  string
}

// Bucket is a store under a prefix of a bucket.
func Bucket(b object.Bucket, prefix string) Store { return &bucket{objects: b, prefix: prefix} }

// Region implements Store.
func (s *bucket) Region() string { return s.objects.Region() }

func (s *bucket) place(name Name) string {
	return path.Join(s.prefix, string(name[:2]), string(name))
}

func (s *bucket) under() string {
	if s.prefix == "" {
		return ""
	}
	return path.Clean(s.prefix) + "/"
}

// Create implements Store.
func (s *bucket) Create(ctx context.Context, name Name) (Writer, error) {
	if _, err := ParseName(string(name)); err != nil {
		return nil, err
	}
	return s.objects.Upload(ctx, s.place(name))
}

// Open implements Store.
func (s *bucket) Open(ctx context.Context, name Name) (Blob, error) {
	if _, err := ParseName(string(name)); err != nil {
		return nil, err
	}
	size, err := s.objects.Size(ctx, s.place(name))
	if err != nil {
		return nil, err
	}
	return &bucketBlob{size: size, get: func(at, n int64) ([]byte, error) {
		return s.objects.Get(ctx, s.place(name), at, n)
	}}, nil
}

// window is how much one request fetches: sixteen chunks, so that reading a
// message through does not cost a request for each.
const window = 1 << 20

// bucketBlob reads an object by ranges and holds the last one.
type bucketBlob struct {
	size int64
	get  func(at, n int64) ([]byte, error)

	mu   sync.Mutex
	at   int64
	held []byte
}

// Size implements Blob.
func (b *bucketBlob) Size() int64 { return b.size }

// Close implements io.Closer.
func (b *bucketBlob) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (b *bucketBlob) ReadAt(p []byte, at int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(p) && at < b.size {
		if at < b.at || at >= b.at+int64(len(b.held)) {
			held, err := b.get(at, min(window, b.size-at))
			if err != nil {
				return n, err
			}
			if len(held) == 0 {
				return n, fault.New(fault.Unavailable, "The object store gave fewer bytes than it has.")
			}
			b.at, b.held = at, held
		}
		took := copy(p[n:], b.held[at-b.at:])
		n, at = n+took, at+int64(took)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Delete implements Store.
func (s *bucket) Delete(ctx context.Context, name Name) error {
	if _, err := ParseName(string(name)); err != nil {
		return err
	}
	return s.objects.Delete(ctx, s.place(name))
}

// List implements Store.
func (s *bucket) List(ctx context.Context, yield func(Entry) error) error {
	return s.objects.List(ctx, s.under(), func(e object.Entry) error {
		name, err := ParseName(path.Base(e.Name))
		if err != nil || s.place(name) != e.Name {
			return nil //nolint:nilerr // not ours
		}
		return yield(Entry{Name: name, Size: e.Size, Changed: e.Changed})
	})
}

// Tidy implements Store.
func (s *bucket) Tidy(ctx context.Context, before time.Time) (int, error) {
	return s.objects.Forget(ctx, s.under(), before)
}
