package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// TestCrash stops the machine at every single step on the disk, by kill and by
// loss of power, goes on from what is left, and wants: every leaf once, in one
// chain of checkpoints, and every checkpoint that anybody saw still true. The
// short run takes a sample of the steps.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sizes  [6]int
		stride int
	}{
		{"small", [6]int{1, 2, 3, 0, 1, 1}, 1},
		{"over the edge of a tile", [6]int{1, 254, 2, 0, 1, 1}, 9},
	} {
		if testing.Short() {
			c.stride *= 11
		}
		for _, power := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, power lost %v", c.name, power), func(t *testing.T) {
				t.Parallel()
				steps := 0
				for at := 1; ; at += c.stride {
					ended, err := crashAt(t, at, power, c.sizes, nil)
					if err != nil {
						t.Fatalf("step %d: %v", at, err)
					}
					if ended {
						break
					}
					steps++
				}
				t.Logf("%d crash points", steps)
				if steps*c.stride < 150 {
					t.Fatalf("only %d crash points: the test does not reach the disk", steps)
				}
			})
		}
	}
}

// TestCrashCanFail leaves out one sort of fsync at a time: each must be missed.
// The short run takes the two that are missed soonest.
func TestCrashCanFail(t *testing.T) {
	t.Parallel()
	paths := []string{"/keys/head.tmp", "/evidence/checkpoint.tmp", "tile/entries/000.p/", "tile/0/000.p", "checkpoints/000.p"}
	if testing.Short() {
		paths = paths[:2]
	}
	for _, path := range paths {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				ended, err := crashAt(t, at, true, [6]int{1, 2, 3, 0, 1, 1}, func(p string) bool { return strings.Contains(p, path) })
				if err != nil {
					return
				}
				if ended {
					t.Fatal("nobody noticed the missing sync")
				}
			}
		})
	}
}

// crashAt runs a story of several checkpoints and a rotation, crashing at one
// step. ended says that the story had fewer steps.
func crashAt(t *testing.T, at int, power bool, sizes [6]int, nosync func(string) bool) (ended bool, err error) {
	b := &bench{t: t, disk: newTestDisk(), random: &stream{seed: "keys"}, stage: NewMemory(), clock: newBench(t).clock}
	b.ids = ids.NewSource(b.clock, 1, 0)
	b.disk.nosync = nosync
	b.disk.failAt = at
	s := story{bench: b, sizes: sizes, staged: map[ids.Leaf]bool{}}
	err = s.tell()
	if err == nil {
		ended = true
	} else if !errors.Is(err, errPower) {
		return false, err
	}
	b.disk.crash(power)
	if err := s.tell(); err != nil {
		return ended, fmt.Errorf("going on after the crash: %w", err)
	}
	return ended, s.judge()
}

// story is what happens, in acts that can be taken up again.
type story struct {
	*bench
	sizes  [6]int // leaves staged in each act
	staged map[ids.Leaf]bool
	acts   int
	seen   []string // checkpoints that somebody saw
}

func (s *story) tell() error {
	if err := s.open(); err != nil {
		return err
	}
	for ; s.acts < 6; s.acts++ {
		switch s.acts {
		case 3:
			body, err := s.ring.Rotate()
			if err != nil {
				return err
			}
			s.staged[s.put(body)] = true
		default:
			for range s.sizes[s.acts] {
				s.staged[s.act()] = true
			}
		}
		if err := s.look(); err != nil {
			return err
		}
	}
	return s.look()
}

// look integrates and keeps the checkpoint that the world now sees.
func (s *story) look() error {
	_, err := s.log.Integrate(s.t.Context())
	if text, rerr := s.tiles.Read(s.t.Context(), checkpointPath); rerr == nil && err == nil {
		s.seen = append(s.seen, string(text))
	}
	return err
}

func (s *story) judge() error {
	report, err := s.log.Reader().Verify(s.t.Context(), LogCheck{Held: s.seen})
	if err != nil {
		return err
	}
	found := map[ids.Leaf]bool{}
	err = s.log.Reader().Leaves(s.t.Context(), 0, func(_ int64, leaf Leaf) error {
		if found[leaf.ID] {
			return errors.New("a leaf is in the log twice")
		}
		found[leaf.ID] = true
		return nil
	})
	if err != nil {
		return err
	}
	for id := range s.staged {
		if !found[id] {
			return errors.New("a staged leaf is lost")
		}
	}
	if left, err := s.stage.Staged(s.t.Context(), 1); err != nil || len(left) > 0 || len(found) != len(s.staged) {
		return fmt.Errorf("%d leaves in the log of %d staged, %d rows left, %w", len(found), len(s.staged), len(left), err)
	}
	if len(s.ring.signers()) != 1 || len(report.Keys) < 2 {
		return errors.New("the rotation did not end")
	}
	return nil
}

// TestRefuses damages the store in each way that could make a fork, and wants a
// refusal with a hint and nothing written.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, b *bench){
		"a bit in a tile":            func(t *testing.T, b *bench) { b.flip("/evidence/tile/0/000") },
		"a bit in a partial tile":    func(t *testing.T, b *bench) { b.flip("/evidence/tile/0/001.p/44") },
		"a bit in an upper tile":     func(t *testing.T, b *bench) { b.flip("/evidence/tile/1/000.p/1") },
		"a bit in an entry":          func(t *testing.T, b *bench) { b.flip("/evidence/tile/entries/001.p/44") },
		"a bit in the checkpoint":    func(t *testing.T, b *bench) { b.flip("/evidence/checkpoint") },
		"a bit in the history":       func(t *testing.T, b *bench) { b.flip("/evidence/checkpoints/000.p/4") },
		"a missing tile":             func(t *testing.T, b *bench) { delete(b.disk.now, "/evidence/tile/0/001.p/44") },
		"missing entries":            func(t *testing.T, b *bench) { delete(b.disk.now, "/evidence/tile/entries/001.p/44") },
		"an older folder":            func(t *testing.T, b *bench) { b.rollBack("/evidence/") },
		"an older folder and head":   func(t *testing.T, b *bench) { b.rollBack("/evidence/checkpoint", "/keys/head") },
		"no folder":                  func(t *testing.T, b *bench) { b.drop("/evidence/") },
		"no checkpoint and no head":  func(t *testing.T, b *bench) { b.drop("/evidence/checkpoint", "/keys/head") },
		"nothing but tiles":          func(t *testing.T, b *bench) { b.drop("/evidence/checkpoint", "/evidence/checkpoints/", "/keys/head") },
		"no history":                 func(t *testing.T, b *bench) { b.drop("/evidence/checkpoints/") },
		"another log's keys":         func(t *testing.T, b *bench) { b.drop("/keys/") },
		"no private key":             func(t *testing.T, b *bench) { b.drop("/keys/0001.key") },
		"a key that others can read": func(t *testing.T, b *bench) { b.disk.now["/keys/0001.key"].perm = 0o640 },
		"a damaged key":              func(t *testing.T, b *bench) { b.flip("/keys/0001.key") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for i := range 300 {
				b.act()
				if i == 100 || i == 200 {
					b.integrate()
					b.mark(i)
				}
			}
			b.integrate()
			damage(t, b)
			before := b.disk.steps
			names := b.names()
			err := b.open()
			if k := fault.KindOf(err); err == nil || (k != fault.Conflict && k != fault.Denied) || fault.HintOf(err) == "" {
				t.Fatalf("opened: %v (hint %q)", err, fault.HintOf(err))
			}
			if b.disk.steps == before {
				t.Fatal("the test does not reach the disk")
			}
			for _, n := range b.names() {
				if !slices.Contains(names, n) && strings.HasPrefix(n, "/evidence/t") {
					t.Errorf("%s was written", n)
				}
			}
		})
	}
}

// under reports whether p is the file named, or lies in the folder named.
func under(p, name string) bool {
	return p == name || (strings.HasSuffix(name, "/") && strings.HasPrefix(p, name))
}

func (b *bench) names() []string {
	var out []string
	for p := range b.disk.now {
		out = append(out, p)
	}
	return out
}

func (b *bench) flip(path string) {
	b.t.Helper()
	f, ok := b.disk.now[path]
	if !ok {
		b.t.Fatalf("%s is not there: %v", path, b.names())
	}
	f.data[len(f.data)/2] ^= 1
}

func (b *bench) drop(prefixes ...string) {
	for p := range b.disk.now {
		for _, prefix := range prefixes {
			if under(p, prefix) {
				delete(b.disk.now, p)
			}
		}
	}
}

// mark keeps a copy of the disk, as a backup would, once.
func (b *bench) mark(i int) {
	if i != 100 {
		return
	}
	for p, f := range b.disk.now {
		if !strings.HasPrefix(p, "/backup/") {
			b.disk.now["/backup"+p] = &testFile{data: slices.Clone(f.data), perm: f.perm}
		}
	}
}

// rollBack puts the copy back in place of what is there now.
func (b *bench) rollBack(prefixes ...string) {
	b.drop(prefixes...)
	for p, f := range b.disk.now {
		for _, prefix := range prefixes {
			if rest, ok := strings.CutPrefix(p, "/backup"); ok && under(rest, prefix) {
				b.disk.now[rest] = f
			}
		}
	}
}

// TestTwoSequencers opens the same store twice: the second to write is refused,
// and the log goes on after it opens again.
func TestTwoSequencers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.log
	b.act()
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	b.integrate()
	b.act()
	if _, err := first.Integrate(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Fatal("two sequencers wrote one log", err)
	}
	if b.integrate() != 1 {
		t.Fatal("the refused sequencer left something behind")
	}
	// The refused one looks again, and may take over.
	b.act()
	if n, err := first.Integrate(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.export()
}

func TestFolderLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = OpenFolder(dir); err != nil {
		t.Fatal(err)
	}
	if err := ReadFolder(dir).Write(t.Context(), "x", nil); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	_ = f.Close()
}
