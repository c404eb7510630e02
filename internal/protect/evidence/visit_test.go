package evidence

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"mailvow/internal/base/fault"
)

// copyOf is the log as it lies now, for those who show an old or another one.
func (b *bench) copyOf() *Folder {
	d := newTestDisk()
	d.now = maps.Clone(b.disk.now)
	for p, f := range d.now {
		d.now[p] = &testFile{data: slices.Clone(f.data), perm: f.perm}
	}
	return newFolder(d, "/evidence")
}

// given reads what is given out.
type given struct{ *Published }

func (g given) Read(ctx context.Context, path string) ([]byte, error) {
	f, err := g.File(ctx, path)
	return f.Data, err
}

func (b *bench) grow(sizes ...int) {
	b.t.Helper()
	for _, n := range sizes {
		for range n {
			b.act()
		}
		b.integrate()
	}
}

func (b *bench) visit(files Files, seen Seen) *Visit {
	b.t.Helper()
	v, err := Audit(b.t.Context(), given{NewPublished(files)}, seen, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func breachOf(err error) Breach {
	var c *Contradiction
	if errors.As(err, &c) && fault.Is(err, fault.Denied) {
		return c.Breach
	}
	return ""
}

// TestAudit visits a log as it grows, rotates its key and does nothing.
func TestAudit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := Seen{Keys: b.ring.Keys()}
	for i, step := range []func(){
		func() {}, func() { b.grow(3) }, func() {}, func() { b.grow(300, 1) }, func() { b.rotate(); b.grow(2) }, func() { b.grow(400) }, func() { b.rotate() }, func() {},
	} {
		before := seen.Size
		step()
		var told int64
		v, err := Audit(t.Context(), given{NewPublished(b.tiles)}, seen, func(index int64, _ Leaf) error {
			if index != before+told {
				t.Errorf("step %d: leaf %d comes as number %d", i, index, before+told)
			}
			told++
			return nil
		})
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if seen = v.Seen; seen.Size != b.log.head.Size || told != seen.Size-before || len(seen.Keys) != len(b.ring.Keys()) || seen.History != b.log.history {
			t.Errorf("step %d: %d entries (%d told), %d keys, %d checkpoints", i, seen.Size, told, len(seen.Keys), seen.History)
		}
	}
}

func (b *bench) rotate() {
	b.t.Helper()
	body, err := b.ring.Rotate()
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(body)
	b.integrate()
}

// TestAuditFindsBreaches shows a log that contradicts what was seen, in every
// way there is, some of them by who holds the signing key.
func TestAuditFindsBreaches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.grow(5, 290)
	older := b.copyOf()
	b.grow(10)
	seen := b.visit(b.tiles, Seen{Keys: b.ring.Keys()}).Seen
	forged := newBench(t) // the same first key, another past
	for range seen.Size {
		forged.put(&Act{Act: "user.add"})
	}
	forged.integrate()
	sameSize := forged.copyOf()
	forged.grow(7)
	stranger := newBench(t)
	stranger.random = &stream{seed: "another"}
	stranger.disk = newTestDisk()
	if err := stranger.open(); err != nil {
		t.Fatal(err)
	}
	stranger.grow(5, 290, 10, 3)
	b.grow(20)
	flipped := func(path string) Files {
		f := b.copyOf()
		data := f.disk.(*testDisk).now["/evidence/"+path].data
		data[len(data)-40] ^= 1
		return f
	}
	gone := b.copyOf()
	delete(gone.disk.(*testDisk).now, "/evidence/tile/entries/001.p/69")
	for name, c := range map[string]struct {
		files Files
		want  Breach
	}{
		"an older log":             {older, Truncated},
		"another of the same size": {sameSize, Rewritten},
		"another that is longer":   {forged.tiles, Rewritten},
		"a stranger's":             {stranger.tiles, ""},
		"a tile":                   {flipped("tile/0/001.p/69"), Damaged},
		"an entry":                 {flipped("tile/entries/001.p/69"), Damaged},
		"missing entries":          {gone, Damaged},
		"a checkpoint":             {flipped("checkpoint"), ""},
	} {
		_, err := Audit(t.Context(), given{NewPublished(c.files)}, seen, nil)
		if got := breachOf(err); got == "" || (c.want != "" && got != c.want) {
			t.Errorf("%s: %q, want %q (%v)", name, got, c.want, err)
		}
	}
	if got := breachOf(b.visit(b.tiles, seen).Holds(t.Context(), sameSize.mustCheckpoint(t))); got != Split {
		t.Errorf("a split log: %q", got)
	}
	v, err := Audit(t.Context(), given{NewPublished(older)}, Seen{Keys: b.ring.Keys()}, nil) // by somebody who comes for the first time
	if err != nil {
		t.Fatal(err)
	}
	if got := breachOf(v.Holds(t.Context(), seen.Checkpoint)); got != Split {
		t.Errorf("an old log beside a newer checkpoint: %q", got)
	}
	if err := b.visit(b.tiles, seen).Holds(t.Context(), seen.Checkpoint); err != nil {
		t.Error(err)
	}
}

func (f *Folder) mustCheckpoint(t *testing.T) string {
	t.Helper()
	text, err := f.Read(t.Context(), checkpointPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAuditBelievesNoKeyByItself: a new key without the old one's signature on
// the checkpoint over its rotation is nobody's.
func TestAuditBelievesNoKeyByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.grow(4)
	seen := b.visit(b.tiles, Seen{Keys: b.ring.Keys()}).Seen
	first := seen.Keys[0]
	b.rotate()
	other := newBench(t)
	other.disk, other.random = newTestDisk(), &stream{seed: "another"}
	if err := other.open(); err != nil {
		t.Fatal(err)
	}
	for i, rotation := range []Body{&Act{Act: "x"}, &KeyRotation{New: other.ring.Keys()[0].String(), Old: first.String(), Purpose: "tenant"}} {
		other.put(rotation)
		other.integrate()
		if _, err := Audit(t.Context(), given{NewPublished(other.tiles)}, Seen{Keys: []Key{first}}, nil); breachOf(err) != Forged {
			t.Errorf("%d: %v", i, err)
		}
	}
	if v := b.visit(b.tiles, seen); len(v.Seen.Keys) != 2 {
		t.Error("the true rotation was not followed")
	}
}
