package chunk

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// Entry is an archive as its name tells it, without opening it.
type Entry struct {
	ID    string // letters and digits, as it was given to Begin
	Taken time.Time
}

func (e Entry) place() string {
	return fmt.Sprintf("%s/%020d-%s", manifests, clock.Micros(e.Taken), e.ID)
}

func entryIn(place string) (e Entry, ok bool) {
	var at int64
	rest, ok := strings.CutPrefix(place, manifests+"/")
	if !ok {
		return e, false
	}
	if n, err := fmt.Sscanf(rest, "%020d-%s", &at, &e.ID); n != 2 || err != nil {
		return e, false
	}
	e.Taken = clock.FromMicros(at)
	return e, e.place() == place
}

// Manifest is an archive.
type Manifest struct {
	ID    string          `json:"id"`
	Taken time.Time       `json:"taken"`
	Key   []byte          `json:"key"` // names the chunks
	Files []File          `json:"files"`
	New   Bytes           `json:"new"` // written for this archive, encrypted
	Facts json.RawMessage `json:"facts"`
}

// File is one file of an archive.
type File struct {
	Name   string `json:"name"`
	Size   Bytes  `json:"size"`
	Chunks []byte `json:"chunks"` // names, one behind the other
}

// Size is what all files hold.
func (m *Manifest) Size() (all Bytes) {
	for _, f := range m.Files {
		all += f.Size
	}
	return all
}

func (m *Manifest) entry() Entry { return Entry{m.ID, m.Taken} }

func (m *Manifest) namer() (k namer) { copy(k[:], m.Key); return k }

// Find gives a file by name.
func (m *Manifest) Find(name string) (File, bool) {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return File{}, false
	}
	return m.Files[i], true
}

func (f *File) each(yield func(Name) error) error {
	if len(f.Chunks)%len(Name{}) != 0 {
		return changed(errors.New("a list of chunks has a wrong length"))
	}
	for list := range slices.Chunk(f.Chunks, len(Name{})) {
		if err := yield(Name(list)); err != nil {
			return err
		}
	}
	return nil
}

// format begins a manifest's file; a later format has another number.
const format = "mailvow backup 1\n"

// encode is the format's line, the length of the seal, the seal over the hash of
// what follows, and the age file.
func (s *Store) encode(ctx context.Context, m *Manifest) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fault.Wrap(err, "write a manifest")
	}
	encrypted, err := s.encrypt(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(encrypted)
	seal, err := s.Sealer.Seal(ctx, m.entry().place(), sum[:])
	if err != nil {
		return nil, fault.Wrap(err, "seal a manifest")
	}
	out := binary.BigEndian.AppendUint16([]byte(format), uint16(len(seal)))
	return slices.Concat(out, seal, encrypted), nil
}

// parse checks the seal before anything is opened.
func (s *Store) parse(ctx context.Context, e Entry, b []byte) (*Manifest, error) {
	rest, ok := bytes.CutPrefix(b, []byte(format))
	if !ok && bytes.HasPrefix(b, []byte(format[:len(format)-2])) {
		return nil, fault.New(fault.Invalid, "The backup was written by a newer version of Mailvow.").WithHint("install the version that wrote it, or choose an older backup")
	}
	if !ok || len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
		return nil, changed(errors.New("the manifest has another form"))
	}
	n := 2 + int(binary.BigEndian.Uint16(rest))
	want, err := s.Sealer.Unseal(ctx, e.place(), rest[2:n])
	if err != nil {
		return nil, fault.Because(fault.Denied, err, "The backup's manifest is not sealed by this server's key-encryption key.").
			WithHint("give the key of that time in data.kek or data.kek_former; if that is the key, the manifest was changed: choose another backup")
	}
	if sum := sha256.Sum256(rest[n:]); !hmac.Equal(sum[:], want) {
		return nil, changed(errors.New("the manifest does not fit its seal"))
	}
	text, err := s.decrypt(rest[n:], largestManifest)
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil || m.entry().place() != e.place() || len(m.Key) != 32 {
		return nil, changed(err)
	}
	return m, nil
}

// List gives the archives, oldest first.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	var list []Entry
	err := s.Place.List(ctx, manifests+"/", func(name string, _ int64) error {
		if e, ok := entryIn(name); ok {
			list = append(list, e)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.place(), b.place()) })
	return list, fault.Wrap(err, "list the backups")
}

// Open reads an archive's manifest.
func (s *Store) Open(ctx context.Context, e Entry) (*Manifest, error) {
	b, err := s.Place.Get(ctx, e.place(), largestManifest)
	if err != nil {
		return nil, fault.Wrap(err, "open a backup")
	}
	m, err := s.parse(ctx, e, b)
	return m, fault.Wrap(err, "open a backup")
}

// Read writes a file's content to w, each chunk verified before it is written.
func (s *Store) Read(ctx context.Context, m *Manifest, f File, w io.Writer) error {
	_, err := io.Copy(w, s.Reader(ctx, m, f))
	return err
}

// Reader gives a file's content, each chunk verified before any of it is given.
// It reads as long as ctx lives; whoever stops before io.EOF has not read a
// whole file.
func (s *Store) Reader(ctx context.Context, m *Manifest, f File) io.Reader {
	k, left, size := m.namer(), f.Chunks, Bytes(0)
	return &reader{next: func() ([]byte, error) {
		switch {
		case len(left) == 0 && size == f.Size:
			return nil, io.EOF
		case len(left) < len(Name{}):
			return nil, fault.Wrap(changed(errors.New("a file is not as long as it was")), "read a backup")
		}
		content, err := s.read(ctx, k, Name(left[:len(Name{})]))
		left, size = left[len(Name{}):], size+Bytes(len(content))
		return content, fault.Wrap(err, "read a backup")
	}}
}

type reader struct {
	next func() ([]byte, error)
	have []byte
	err  error
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.have) == 0 && r.err == nil {
		r.have, r.err = r.next()
	}
	if len(r.have) == 0 {
		return 0, r.err
	}
	n := copy(b, r.have)
	r.have = r.have[n:]
	return n, nil
}

// Verify reads every chunk of an archive once and gives their number.
func (s *Store) Verify(ctx context.Context, m *Manifest) (int, error) {
	seen, k := map[Name]struct{}{}, m.namer()
	for i := range m.Files {
		err := m.Files[i].each(func(n Name) error {
			if _, twice := seen[n]; twice {
				return nil
			}
			seen[n] = struct{}{}
			_, err := s.read(ctx, k, n)
			return err
		})
		if err != nil {
			return len(seen), fault.Wrap(err, "verify a backup")
		}
	}
	return len(seen), nil
}

// Sample looks for every chunk of an archive by name and reads some of them,
// chosen at random. It gives how many there are and how many it read.
func (s *Store) Sample(ctx context.Context, m *Manifest, most int) (all, read int, err error) {
	there := map[Name]struct{}{}
	err = s.Place.List(ctx, chunks+"/", func(place string, size int64) error {
		if n, ok := nameIn(place); ok && size > 0 {
			there[n] = struct{}{}
		}
		return nil
	})
	used := map[Name]struct{}{}
	for i := range m.Files {
		if err == nil {
			err = m.Files[i].each(func(n Name) error {
				if _, ok := there[n]; !ok {
					return missing(nil)
				}
				used[n] = struct{}{}
				return nil
			})
		}
	}
	for n := range used { // in no order
		if err != nil || read == most {
			break
		}
		_, err = s.read(ctx, m.namer(), n)
		read++
	}
	return len(used), read, fault.Wrap(err, "look at a backup")
}

// Expire removes the archives that keep refuses and then every chunk that none
// uses. If an archive that stays cannot be read, no chunk goes.
func (s *Store) Expire(ctx context.Context, keep func(Entry) bool) (gone, dropped int, err error) {
	gone, dropped, err = s.expire(ctx, keep)
	return gone, dropped, fault.Wrap(err, "expire backups")
}

func (s *Store) expire(ctx context.Context, keep func(Entry) bool) (gone, dropped int, err error) {
	list, err := s.List(ctx)
	if err != nil {
		return 0, 0, err
	}
	used := map[Name]struct{}{}
	for _, e := range list {
		if !keep(e) {
			if err := s.Place.Delete(ctx, e.place()); err != nil {
				return gone, 0, err
			}
			gone++
			continue
		}
		m, err := s.Open(ctx, e)
		if err != nil {
			return gone, 0, err
		}
		for i := range m.Files {
			if err := m.Files[i].each(func(n Name) error { used[n] = struct{}{}; return nil }); err != nil {
				return gone, 0, err
			}
		}
	}
	if err := s.Place.Sync(ctx); err != nil { // before the chunks, or a manifest could come back without them
		return gone, 0, err
	}
	dropped, err = s.collect(ctx, used)
	return gone, dropped, err
}

func (s *Store) collect(ctx context.Context, used map[Name]struct{}) (dropped int, err error) {
	var drop []Name
	err = s.Place.List(ctx, chunks+"/", func(place string, _ int64) error {
		n, ok := nameIn(place)
		if _, needed := used[n]; ok && !needed {
			drop = append(drop, n)
		}
		return nil
	})
	for _, n := range drop {
		if err == nil {
			err = s.Place.Delete(ctx, n.place())
			dropped++
		}
	}
	if err != nil {
		return dropped, err
	}
	return dropped, s.Place.Sync(ctx)
}
