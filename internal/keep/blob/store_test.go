package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/object"
	"mailvow/internal/lab"
)

// later is a time after which nothing was written yet.
var later = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func TestFolder(t *testing.T) {
	t.Parallel()
	s, err := Folder(disk.Machine{}, t.TempDir(), "here")
	if err != nil {
		t.Fatal(err)
	}
	suite(t, s, "here")
}

func TestBucket(t *testing.T) {
	t.Parallel()
	server := lab.S3(t)
	objects, err := object.NewS3(object.Config{
		Endpoint: server.Endpoint, Bucket: server.Bucket, Region: server.Region, Access: server.Access, Secret: server.Secret,
		PathStyle: true, Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	suite(t, Bucket(objects, "blobs"), server.Region)
	wrong, err := object.NewS3(object.Config{
		Endpoint: server.Endpoint, Bucket: server.Bucket, Region: server.Region, Access: server.Access, Secret: "wrong",
		PathStyle: true, Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Bucket(wrong, "").Open(t.Context(), NewName()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("wrong credentials: %v", err)
	}
}

// suite is the behaviour of every store.
func suite(t *testing.T, s Store, region string) {
	t.Run("what was put is read", func(t *testing.T) { suiteReads(t, s) })
	t.Run("nothing shows before the commit", func(t *testing.T) { suiteCommit(t, s) })
	t.Run("names", func(t *testing.T) { suiteNames(t, s, region) })
	t.Run("drafts", func(t *testing.T) { suiteDrafts(t, s) })
	t.Run("sweep", func(t *testing.T) { suiteSweep(t, s) })
}

func readAll(t *testing.T, s Store, name Name) []byte {
	t.Helper()
	b, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	content, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func suiteReads(t *testing.T, s Store) {
	for _, n := range []int{0, 1, 70_000, 5 << 20, 11<<20 + 3} {
		plain, name := text(n), NewName()
		if got, err := Put(t.Context(), s, name, bytes.NewReader(plain)); err != nil || got != int64(n) {
			t.Fatalf("%d bytes: %d %v", n, got, err)
		}
		if !bytes.Equal(readAll(t, s, name), plain) {
			t.Errorf("%d bytes: read something else", n)
		}
		b, err := s.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, n / 2, n - 1, n, n + 5} {
			if at < 0 {
				continue
			}
			got, want := make([]byte, 100), make([]byte, 100)
			n1, err1 := b.ReadAt(got, int64(at))
			n2, err2 := bytes.NewReader(plain).ReadAt(want, int64(at))
			if n1 != n2 || !bytes.Equal(got, want) || !errors.Is(err1, err2) {
				t.Errorf("%d bytes at %d: %d %v, want %d %v", n, at, n1, err1, n2, err2)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func suiteCommit(t *testing.T, s Store) {
	for _, n := range []int{10, 6 << 20} {
		name := NewName()
		w, err := s.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), name); !fault.Is(err, fault.NotFound) {
			t.Errorf("open before the commit: %v", err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if err := w.Commit(); err == nil {
			t.Error("a commit after the abort")
		}
		if _, err := s.Open(t.Context(), name); !fault.Is(err, fault.NotFound) {
			t.Errorf("open after the abort: %v", err)
		}
	}
	name := NewName()
	cause := errors.New("the session broke")
	if _, err := Put(t.Context(), s, name, io.MultiReader(bytes.NewReader(text(100)), broke{cause})); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if _, err := s.Open(t.Context(), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("open after a broken put: %v", err)
	}
}

type broke struct{ err error }

func (b broke) Read([]byte) (int, error) { return 0, b.err }

func suiteNames(t *testing.T, s Store, region string) {
	if s.Region() != region {
		t.Errorf("region %q", s.Region())
	}
	name := NewName()
	if _, err := s.Open(t.Context(), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if err := s.Delete(t.Context(), name); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
	for _, bad := range []Name{"", "short", "../../../../../../../../etc/passwd", Name(bytes.Repeat([]byte("A"), 32))} {
		_, err1 := s.Open(t.Context(), bad)
		_, err2 := s.Create(t.Context(), bad)
		if err1 == nil || err2 == nil || s.Delete(t.Context(), bad) == nil {
			t.Errorf("%q was taken for a name", bad)
		}
	}
	if _, err := Put(t.Context(), s, name, bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the delete: %v", err)
	}
}

func suiteDrafts(t *testing.T, s Store) {
	drafts := NewDrafts(s, 1000)
	var group sync.WaitGroup
	for _, n := range []int{0, 1, 999, 1000, 1001, 64 << 10, 300_000} {
		group.Go(func() { draftOf(t, s, drafts, n) })
	}
	group.Wait()
}

func draftOf(t *testing.T, s Store, drafts *Drafts, n int) {
	plain := text(n)
	d := drafts.Begin(t.Context())
	for rest := plain; len(rest) > 0; {
		k := min(len(rest), 777)
		if _, err := d.Write(rest[:k]); err != nil {
			t.Error(err)
			return
		}
		rest = rest[k:]
	}
	if d.ReaderAt() != nil || d.Stored() != nil || d.Inline() != nil {
		t.Errorf("%d bytes can be read before the end", n)
	}
	if err := d.Finish(); err != nil {
		t.Error(err)
		return
	}
	if d.Size() != int64(n) {
		t.Errorf("size %d", d.Size())
	}
	got, err := io.ReadAll(io.NewSectionReader(d.ReaderAt(), 0, d.Size()))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes: read %d, %v", n, len(got), err)
	}
	if _, err := d.Write([]byte("x")); err == nil {
		t.Error("a write after the end")
	}
	stored := d.Stored()
	if (stored != nil) != (n > 1000) || (d.Inline() != nil) != (n <= 1000) {
		t.Errorf("%d bytes: stored %v", n, stored != nil)
		return
	}
	if n <= 1000 {
		if !bytes.Equal(d.Inline(), plain) {
			t.Error("inline is something else")
		}
		if err := d.Discard(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	if err := d.Keep(); err != nil {
		t.Error(err)
	}
	if err := d.Discard(t.Context()); err != nil { // after Keep it does nothing
		t.Error(err)
	}
	sealed := readAll(t, s, stored.Name)
	if int64(len(sealed)) != stored.Sealed || bytes.Contains(sealed, plain[:32]) {
		t.Errorf("%d bytes lie in the store, %d said", len(sealed), stored.Sealed)
	}
	if again, err := openAll(sealed, stored.Key); err != nil || !bytes.Equal(again, plain) {
		t.Errorf("%v", err)
	}
	refused := drafts.Begin(t.Context())
	_, _ = refused.Write(plain)
	if err := refused.Finish(); err != nil {
		t.Error(err)
		return
	}
	name := refused.Stored().Name
	if err := refused.Discard(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(context.WithoutCancel(t.Context()), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("a discarded draft is still there: %v", err)
	}
	given := drafts.Begin(t.Context())
	_, _ = given.Write(plain)
	if err := given.Discard(t.Context()); err != nil { // the peer went away
		t.Error(err)
	}
	if _, err := given.Write(plain); err == nil {
		t.Error("a write after Discard")
	}
}

func suiteSweep(t *testing.T, s Store) {
	ctx := t.Context()
	if _, err := Sweep(ctx, s, later, func(context.Context, []Name) (map[Name]bool, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	kept := map[Name]bool{}
	for i := range 6 {
		name := NewName()
		if _, err := Put(ctx, s, name, bytes.NewReader([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			kept[name] = true
		}
	}
	begun, err := s.Create(ctx, NewName())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begun.Write(text(6 << 20)); err != nil { // on S3 an upload of parts
		t.Fatal(err)
	}
	ask := func(_ context.Context, names []Name) (map[Name]bool, error) { return kept, nil }
	if n, err := Sweep(ctx, s, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), ask); err != nil || n != 0 {
		t.Errorf("within the grace: %d %v", n, err)
	}
	cause := errors.New("the database is away")
	if _, err := Sweep(ctx, s, later, func(context.Context, []Name) (map[Name]bool, error) { return nil, cause }); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if n, err := Sweep(ctx, s, later, ask); err != nil || n != 3 { // the unfinished one went in the call before
		t.Errorf("removed %d, %v", n, err)
	}
	left := 0
	if err := s.List(ctx, func(e Entry) error {
		if !kept[e.Name] || e.Size != 1 {
			t.Errorf("left: %+v", e)
		}
		left++
		return nil
	}); err != nil || left != len(kept) {
		t.Errorf("%d left, %v", left, err)
	}
	if err := begun.Commit(); err == nil {
		t.Error("a swept upload was committed")
	}
}

// TestFolderWhenPowerFails fails power at each step of a put: what was
// acknowledged is whole, and without a sync it is not.
func TestFolderWhenPowerFails(t *testing.T) {
	t.Parallel()
	try := func(skip func(lab.Step) bool) (lost bool) {
		for n := 1; ; n++ {
			f := lab.NewForgetfulFS()
			s, err := Folder(f, "blobs", "")
			if err != nil {
				t.Fatal(err)
			}
			f.Skip(skip)
			f.FailAt(n)
			before, name := len(f.Steps()), NewName()
			_, err = Put(t.Context(), s, name, bytes.NewReader(text(100_000)))
			done := len(f.Steps()) < before+n-1
			f.PowerLoss()
			if b, opened := s.Open(t.Context(), name); opened == nil {
				got, _ := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
				if !bytes.Equal(got, text(100_000)) {
					return true
				}
			} else if err == nil {
				return true
			}
			if done {
				return false
			}
		}
	}
	if try(nil) {
		t.Error("an acknowledged blob was lost")
	}
	for _, act := range []string{"sync", "syncdir"} {
		if !try(func(s lab.Step) bool { return s.Act == act }) {
			t.Errorf("nothing is lost without %s", act)
		}
	}
}
