package chunk_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/object"
	"mailvow/internal/lab"
)

// sealer seals under a word; the sum stands before the content.
type sealer string

func (s sealer) sum(name string, plain []byte) []byte {
	m := hmac.New(sha256.New, []byte(s))
	m.Write([]byte(name))
	m.Write(plain)
	return m.Sum(nil)
}

func (s sealer) Seal(_ context.Context, name string, plain []byte) ([]byte, error) {
	return append(s.sum(name, plain), plain...), nil
}

func (s sealer) Unseal(_ context.Context, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 32 || !hmac.Equal(s.sum(name, sealed[32:]), sealed[:32]) {
		return nil, fault.New(fault.Invalid, "not mine")
	}
	return sealed[32:], nil
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func store(t testing.TB, p chunk.Place) *chunk.Store {
	t.Helper()
	i := identity(t)
	return &chunk.Store{Place: p, Sealer: sealer("a"), Recipients: []age.Recipient{i.Recipient()}, Identities: []age.Identity{i}, Key: [32]byte{1}}
}

var day = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(b)
	return b
}

func archive(t testing.TB, s *chunk.Store, id string, taken time.Time, files map[string][]byte) *chunk.Manifest {
	t.Helper()
	w, err := s.Begin(t.Context(), id, taken)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := w.Add(t.Context(), name, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Commit(t.Context(), map[string]int{"rows": 3})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// holds reads an archive back and compares it.
func holds(t testing.TB, s *chunk.Store, e chunk.Entry, files map[string][]byte) {
	t.Helper()
	m, err := s.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		f, ok := m.Find(name)
		var got bytes.Buffer
		if err := s.Read(t.Context(), m, f, &got); !ok || err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%s: %v, %d bytes, %v", name, ok, got.Len(), err)
		}
	}
	if string(m.Facts) != `{"rows":3}` {
		t.Errorf("facts %s", m.Facts)
	}
}

// each runs a test in a folder and in a bucket.
func each(t *testing.T, f func(*testing.T, chunk.Place)) {
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		f(t, chunk.Folder(disk.Machine{}, filepath.Join(t.TempDir(), "a", "b")))
	})
	t.Run("bucket", func(t *testing.T) {
		t.Parallel()
		s3 := lab.S3(t)
		b, err := object.NewS3(object.Config{Endpoint: s3.Endpoint, Bucket: s3.Bucket, Region: s3.Region, Access: s3.Access, Secret: s3.Secret, PathStyle: true, Dial: (&net.Dialer{}).DialContext})
		if err != nil {
			t.Fatal(err)
		}
		f(t, chunk.Bucket(b, "backup/"))
	})
}

func count(t testing.TB, p chunk.Place, prefix string) (n int) {
	t.Helper()
	if err := p.List(t.Context(), prefix, func(string, int64) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOnlyWhatChangedIsWritten archives three days: chunks that stay are written
// once, and go with the last archive that uses them.
func TestOnlyWhatChangedIsWritten(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p chunk.Place) {
		s := store(t, p)
		content := noise(10*chunk.Size + 5)
		one := map[string][]byte{"rows": content, "empty": nil}
		first := archive(t, s, "one", day, one)
		changed := slices.Clone(content)
		changed[3*chunk.Size+9]++
		two := map[string][]byte{"rows": changed, "more": content[:chunk.Size]}
		second := archive(t, s, "two", day.Add(24*time.Hour), two)
		if n := count(t, p, "chunks/"); n != 12 || second.New > first.New/8 || first.Size() != chunk.Bytes(len(content)) {
			t.Errorf("%d chunks; the first archive wrote %v, the second %v", n, first.New, second.New)
		}
		list, err := s.List(t.Context())
		if err != nil || len(list) != 2 || list[0].ID != "one" || !list[1].Taken.Equal(day.Add(24*time.Hour)) {
			t.Fatalf("%+v %v", list, err)
		}
		holds(t, s, list[0], one)
		holds(t, s, list[1], two)
		m, err := s.Open(t.Context(), list[1])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Verify(t.Context(), m); n != 11 || err != nil {
			t.Errorf("verified %d, %v", n, err)
		}
		gone, dropped, err := s.Expire(t.Context(), func(e chunk.Entry) bool { return e.Taken.After(day) })
		if gone != 1 || dropped != 1 || err != nil || count(t, p, "chunks/") != 11 {
			t.Errorf("%d archives and %d chunks went, %d are left, %v", gone, dropped, count(t, p, "chunks/"), err)
		}
		holds(t, s, list[1], two)
		if gone, dropped, err = s.Expire(t.Context(), func(chunk.Entry) bool { return false }); gone != 1 || dropped != 11 || err != nil || count(t, p, "") != 0 {
			t.Errorf("the last one: %d, %d, %d files are left, %v", gone, dropped, count(t, p, ""), err)
		}
	})
}

// TestEveryChangeIsFound changes each file of an archive in turn: a bit, its
// length, its place; and takes it away.
func TestEveryChangeIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := store(t, chunk.Folder(disk.Machine{}, dir))
	archive(t, s, "one", day, map[string][]byte{"rows": noise(3 * chunk.Size)})
	read := func() error {
		list, err := s.List(t.Context())
		if err != nil || len(list) != 1 {
			return fault.Because(fault.Invalid, err, "no archive")
		}
		m, err := s.Open(t.Context(), list[0])
		if err == nil {
			_, err = s.Verify(t.Context(), m)
		}
		return err
	}
	var files []string
	if err := s.Place.List(t.Context(), "", func(name string, _ int64) error { files = append(files, filepath.Join(dir, name)); return nil }); err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for i, name := range files {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(files[(i+1)%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		bad := map[string][]byte{"exchanged": other, "cut": good[:len(good)-1], "longer": append(slices.Clone(good), 0), "empty": {}}
		for at := 0; at < len(good); at += 1 + len(good)/37 {
			flipped := slices.Clone(good)
			flipped[at] ^= 1
			bad["flipped"+string(rune('a'+at%26))] = flipped
		}
		for how, content := range bad {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := read(); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Denied) {
				t.Errorf("%s of %s: %v", how, name[len(dir):], err)
			}
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := read(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s is missing: %v", name[len(dir):], err)
		}
		if err := os.WriteFile(name, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(); err != nil {
		t.Error(err)
	}
}

func TestWrongKeysOpenNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := store(t, chunk.Folder(disk.Machine{}, dir))
	word := "this stands in the archive, and in no file of it"
	archive(t, s, "one", day, map[string][]byte{"rows": []byte(strings.Repeat(word, 3000))})
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := list[0]
	for name, bend := range map[string]func(*chunk.Store){
		"another identity":           func(s *chunk.Store) { s.Identities = []age.Identity{identity(t)} },
		"no identity":                func(s *chunk.Store) { s.Identities = nil },
		"another key-encryption key": func(s *chunk.Store) { s.Sealer = sealer("b") },
	} {
		bent := *s
		bend(&bent)
		if _, err := bent.Open(t.Context(), e); !fault.Is(err, fault.Denied) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	err = s.Place.List(t.Context(), "", func(name string, _ int64) error {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if bytes.Contains(b, []byte(word)) {
			t.Errorf("%s holds the word", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	mixed := *s
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	mixed.Recipients = append(slices.Clone(s.Recipients), pq.Recipient())
	w, err := mixed.Begin(t.Context(), "two", day)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(t.Context(), "rows", strings.NewReader("x")); !fault.Is(err, fault.Invalid) {
		t.Errorf("recipients of two sorts: %v", err)
	}
}

func TestANewerFormatIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := store(t, chunk.Folder(disk.Machine{}, dir))
	archive(t, s, "one", day, nil)
	names, err := filepath.Glob(filepath.Join(dir, "manifests", "*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names[0], bytes.Replace(b, []byte("backup 1\n"), []byte("backup 2\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(t.Context(), list[0])
	if text, _ := fault.Public(err); !strings.Contains(text, "newer version") {
		t.Errorf("%v", err)
	}
	if _, dropped, err := s.Expire(t.Context(), func(chunk.Entry) bool { return true }); err == nil || dropped != 0 {
		t.Errorf("chunks of an archive that cannot be read: %d, %v", dropped, err)
	}
}

// TestPowerLoss fails power at every step of writing and expiring: what is
// listed is whole.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	content := noise(2*chunk.Size + 1)
	for n := 1; ; n++ {
		f := lab.NewForgetfulFS()
		s := store(t, chunk.Folder(f, "b"))
		archive(t, s, "one", day, map[string][]byte{"rows": content[:chunk.Size+1]})
		f.FailAt(n)
		err := func() error {
			w, err := s.Begin(t.Context(), "two", day.Add(time.Hour))
			if err == nil {
				err = w.Add(t.Context(), "rows", bytes.NewReader(content))
			}
			if err == nil {
				_, err = w.Commit(t.Context(), nil)
			}
			if err == nil {
				_, _, err = s.Expire(t.Context(), func(e chunk.Entry) bool { return e.ID == "two" })
			}
			return err
		}()
		f.PowerLoss()
		s.Place = chunk.Folder(f, "b")
		list, listed := s.List(t.Context())
		if listed != nil || len(list) == 0 || err == nil && (len(list) != 1 || list[0].ID != "two") {
			t.Fatalf("step %d: %v, %v %v", n, err, list, listed)
		}
		for _, e := range list {
			m, err := s.Open(t.Context(), e)
			if err == nil {
				_, err = s.Verify(t.Context(), m)
			}
			if err != nil {
				t.Fatalf("step %d: %s is listed and broken: %v", n, e.ID, err)
			}
		}
		if err == nil {
			break
		}
	}
}

// FuzzManifest gives what lies in the manifests' place any content.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("mailvow backup 1\n\x00\x00"))
	f.Add([]byte("mailvow backup 2\n"))
	f.Add([]byte("mailvow backup 1\n\xff\xff."))
	s := store(f, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		mine := *s
		mine.Place = chunk.Folder(lab.NewForgetfulFS(), "b")
		if err := mine.Place.Put(t.Context(), "manifests/00001795320000000000-one", b); err != nil {
			t.Fatal(err)
		}
		list, err := mine.List(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if _, err := mine.Open(t.Context(), list[0]); err == nil {
			t.Error("made-up bytes are a manifest")
		}
	})
}
