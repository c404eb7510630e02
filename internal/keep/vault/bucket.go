package vault

import (
	"context"
	"path"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/object"
)

// Bucket is a key store in an object store, with the copies under prefix/a and
// prefix/b. Any number of nodes may use it. A bucket that keeps versions is
// refused at start: there a destroyed key would live on.
func Bucket(b object.Bucket, prefix string) *Store {
	return &Store{a: &bucket{objects: b, prefix: path.Join(prefix, "a")}, b: &bucket{objects: b, prefix: path.Join(prefix, "b")}}
}

// Buckets is a key store whose copies lie in two buckets.
func Buckets(a, b object.Bucket, prefix string) *Store {
	return &Store{a: &bucket{objects: a, prefix: path.Join(prefix, "a")}, b: &bucket{objects: b, prefix: path.Join(prefix, "b")}}
}

type bucket struct {
	objects object.Bucket
	prefix  string
}

func (s *bucket) start(ctx context.Context) error {
	versioned, err := s.objects.Versioned(ctx)
	if err != nil {
		return err
	}
	if versioned {
		return fault.New(fault.Invalid, "The bucket of the key store keeps versions: a destroyed key would live on in them.").
			WithHint("Use a bucket whose versioning was never switched on.")
	}
	return nil
}

func (s *bucket) put(ctx context.Context, folder, file string, content []byte, fresh bool) error {
	if fresh {
		return s.objects.PutNew(ctx, path.Join(s.prefix, folder, file), content)
	}
	return s.objects.Put(ctx, path.Join(s.prefix, folder, file), content)
}

func (s *bucket) get(ctx context.Context, folder, file string) ([]byte, error) {
	return s.objects.Get(ctx, path.Join(s.prefix, folder, file), 0, 64<<20)
}

func (s *bucket) erase(ctx context.Context, folder string, files ...string) error {
	for _, file := range files {
		name := path.Join(s.prefix, folder, file)
		size, err := s.objects.Size(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.objects.Put(ctx, name, make([]byte, min(size, 64<<20))); err != nil {
			return err
		}
		if err := s.objects.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *bucket) remove(ctx context.Context, folder, file string) error {
	return s.objects.Delete(ctx, path.Join(s.prefix, folder, file))
}

func (s *bucket) list(ctx context.Context, folder string) ([]string, error) {
	var names []string
	prefix := path.Join(s.prefix, folder) + "/"
	err := s.objects.List(ctx, prefix, func(e object.Entry) error {
		names = append(names, strings.TrimPrefix(e.Name, prefix))
		return nil
	})
	return names, err
}

func (s *bucket) tenants(ctx context.Context) ([]string, error) {
	var names []string
	prefix := path.Join(s.prefix, "keys") + "/"
	err := s.objects.List(ctx, prefix, func(e object.Entry) error {
		name, _, _ := strings.Cut(strings.TrimPrefix(e.Name, prefix), "/")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}
