package chunk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"mailvow/internal/base/fault"
)

// Writer makes one archive.
type Writer struct {
	store *Store
	have  map[Name]struct{} // chunks that lie there already
	made  Manifest
}

// Begin begins an archive. What is written before Commit stays as unused chunks
// until the next Expire.
func (s *Store) Begin(ctx context.Context, id string, taken time.Time) (*Writer, error) {
	w := &Writer{store: s, have: map[Name]struct{}{}, made: Manifest{ID: id, Taken: taken.UTC().Truncate(time.Microsecond), Key: s.Key[:]}}
	err := s.Place.List(ctx, chunks+"/", func(place string, size int64) error {
		if n, ok := nameIn(place); ok && size > 0 {
			w.have[n] = struct{}{}
		}
		return nil
	})
	return w, fault.Wrap(err, "begin a backup")
}

// Add archives a file, cut every 64 KiB.
func (w *Writer) Add(ctx context.Context, name string, from io.Reader) error {
	f := w.File(name)
	buffer := make([]byte, Size)
	for {
		n, err := io.ReadFull(from, buffer)
		if n > 0 {
			if err := f.Chunk(ctx, buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			f.End()
			return nil
		case err != nil:
			return fault.Wrap(err, "read "+name)
		}
	}
}

// Again archives a file as another archive has it, if its chunks are there.
func (w *Writer) Again(f File) bool {
	missing := errors.New("missing")
	err := f.each(func(n Name) error {
		if _, there := w.have[n]; !there {
			return missing
		}
		return nil
	})
	if err == nil {
		w.made.Files = append(w.made.Files, f)
	}
	return err == nil
}

// Filing is a file whose cuts the caller chooses.
type Filing struct {
	writer *Writer
	file   File
}

// File begins a file; End puts it into the archive.
func (w *Writer) File(name string) *Filing { return &Filing{w, File{Name: name}} }

// Chunk adds up to 64 KiB.
func (f *Filing) Chunk(ctx context.Context, content []byte) error {
	w := f.writer
	if len(content) > Size {
		return fault.New(fault.Internal, "the chunk is too long")
	}
	n := namer(w.store.Key).name(content)
	f.file.Chunks, f.file.Size = append(f.file.Chunks, n[:]...), f.file.Size+Bytes(len(content))
	if _, there := w.have[n]; there {
		return nil
	}
	sealed, err := w.store.encrypt(content)
	if err == nil {
		err = w.store.Place.Put(ctx, n.place(), sealed)
	}
	if err != nil {
		return fault.Wrap(err, "write a backup")
	}
	w.have[n] = struct{}{}
	w.made.New += Bytes(len(sealed))
	return nil
}

// End puts the file into the archive.
func (f *Filing) End() File {
	f.writer.made.Files = append(f.writer.made.Files, f.file)
	return f.file
}

// Commit writes the manifest: only now is there an archive.
func (w *Writer) Commit(ctx context.Context, facts any) (*Manifest, error) {
	var err error
	if w.made.Facts, err = json.Marshal(facts); err != nil {
		return nil, fault.Wrap(err, "write a manifest")
	}
	if err := w.store.Place.Sync(ctx); err != nil {
		return nil, fault.Wrap(err, "write a backup")
	}
	b, err := w.store.encode(ctx, &w.made)
	if err == nil {
		err = w.store.Place.Put(ctx, w.made.entry().place(), b)
	}
	if err == nil {
		err = w.store.Place.Sync(ctx)
	}
	return &w.made, fault.Wrap(err, "write a manifest")
}
