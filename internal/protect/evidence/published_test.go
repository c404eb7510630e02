package evidence

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
)

// published makes what is given out readable like a folder.
type published struct {
	*Published
	t    testing.TB
	seen map[string][]byte // what was called final
}

func (p published) Read(ctx context.Context, path string) ([]byte, error) {
	f, err := p.File(ctx, path)
	if err == nil && f.Final {
		if before, twice := p.seen[path]; twice && !bytes.Equal(before, f.Data) {
			p.t.Errorf("%s was called final, and is another one now", path)
		}
		p.seen[path] = f.Data
	}
	return f.Data, err
}

// TestPublished verifies the whole log from what is given out, as it grows past
// a full tile, with what a dead writer left behind lying beside it.
func TestPublished(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := published{NewPublished(b.tiles), t, map[string][]byte{}}
	for _, n := range []int{1, 2, 40, 213, 1, 60} {
		for range n {
			b.act()
		}
		b.integrate()
		size := b.log.head.Size
		for _, left := range []string{"tile/0/001.p/255", "tile/0/002", "tile/entries/002.p/3", fmt.Sprintf("tile/0/000.p/%d", min(255, size+1))} {
			if err := b.tiles.Write(t.Context(), left, bytes.Repeat([]byte{7}, 32*256)); err != nil {
				t.Fatal(err)
			}
		}
		report, err := NewReader(p, b.ring.Keys()...).Verify(t.Context(), LogCheck{Trusted: b.ring.Keys()})
		if err != nil || report.Size != size {
			t.Fatalf("of %d entries %d verify: %v", size, report.Size, err)
		}
		for w := range min(255, size) {
			for _, path := range []string{"tile/0/000.p/%d", "tile/entries/000.p/%d"} {
				if _, err := p.Read(t.Context(), fmt.Sprintf(path, w+1)); err != nil {
					t.Fatalf("of %d entries: %v", size, err)
				}
			}
		}
	}
}

func TestPublishedGivesNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 300 {
		b.act()
	}
	b.integrate()
	p := NewPublished(b.tiles)
	for _, path := range []string{
		"", "lock", "keys/", "checkpoint/", "checkpoints", "tile", "tile/", "tile/0", "tile/0/0", "tile/0/0001", "tile/00/000", "tile/-1/000",
		"tile/0/../../keys", "tile/entries/../../../keys/0001.key", "tile/0/001", "tile/0/001.p/45", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/044",
		"tile/1/000", "tile/1/000.p/2", "tile/2/000.p/1", "tile/7/000", "tile/63/000", "tile/64/000", "tile/data/000", "tile/entries/data/000",
		"tile/entries/001", "tile/entries/x001/000", "checkpoints/001", "checkpoints/000.p/9", "tile/0/000\x00", "tile/0/x999/x999/x999/x999/x999/x999/999",
		"tile/0/" + strings.Repeat("x999/", 400) + "999",
	} {
		if f, err := p.File(t.Context(), path); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q gives %d bytes, %v", path, len(f.Data), err)
		}
	}
	for _, path := range []string{"checkpoint", "keys", "tile/0/000", "tile/0/001.p/44", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/7", "checkpoints/000.p/2"} {
		f, err := p.File(t.Context(), path)
		if err != nil || len(f.Data) == 0 {
			t.Errorf("%q: %v", path, err)
		}
		if final := strings.Contains(path, "/"); f.Final != final || f.Text == final {
			t.Errorf("%q: %+v", path, f)
		}
	}
}

func FuzzPublishedPath(f *testing.F) {
	b := newBench(f)
	b.act()
	b.integrate()
	p := NewPublished(b.tiles)
	f.Add("tile/0/000.p/1")
	f.Add("tile/entries/000.p/1")
	f.Add("checkpoints/000.p/2")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := p.File(t.Context(), path)
		if err == nil && got.Final && (strings.Contains(path, "..") || !strings.Contains(path, "000.p/")) {
			t.Errorf("%q is given out", path)
		}
	})
}
