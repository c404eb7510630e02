package evidence

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/service"
	"mailvow/internal/lab"
)

// TestPeaks compares our roots with those of x/mod at every size.
func TestPeaks(t *testing.T) {
	t.Parallel()
	var p peaks
	stored := []tlog.Hash{}
	read := tlog.HashReaderFunc(func(x []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(x))
		for i, n := range x {
			out[i] = stored[n]
		}
		return out, nil
	})
	for n := int64(0); n < 600; n++ {
		want, err := tlog.TreeHash(n, read)
		if err != nil || p.root() != want {
			t.Fatalf("size %d: %v, want %v (%v)", n, p.root(), want, err)
		}
		leaf := fmt.Appendf(nil, "leaf %d", n)
		h, err := tlog.StoredHashes(n, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, h...)
		p.add(tlog.RecordHash(leaf))
	}
}

// TestGrowth grows logs over the edges of tiles in batches of any size, and
// checks every proof against every checkpoint that was ever published.
func TestGrowth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t)
		var past []Checkpoint
		batches := rapid.SliceOfN(rapid.SampledFrom([]int{1, 2, 3, 100, 255, 256, 257}), 1, 3).Draw(r, "batches")
		for _, n := range batches {
			for range n {
				b.act()
			}
			if got := b.integrate(); got != n {
				r.Fatalf("added %d of %d", got, n)
			}
			cp, err := b.log.Reader().Checkpoint(t.Context())
			if err != nil {
				r.Fatal(err)
			}
			past = append(past, cp)
		}
		last := past[len(past)-1]
		for _, old := range past {
			proof, err := b.log.Reader().ProveConsistent(t.Context(), last, old)
			if err != nil {
				r.Fatal(err)
			}
			if err := CheckConsistent(proof, last, old); err != nil {
				r.Fatal(err)
			}
			wrong := old
			wrong.Root[0] ^= 1
			if CheckConsistent(proof, last, wrong) == nil {
				r.Fatal("a proof holds for another root")
			}
		}
		index := rapid.Int64Range(0, last.Size-1).Draw(r, "index")
		if _, err := b.log.Reader().Prove(t.Context(), last, index); err != nil {
			r.Fatal(err)
		}
		if err := b.open(); err != nil {
			r.Fatal(err)
		}
		if _, report := b.export(); report.Size != last.Size || report.Checkpoints != int64(len(past))+1 {
			r.Fatalf("export says %+v", report)
		}
	})
}

// TestManyCheckpoints crosses the width of a bundle of the history, twice unless
// the run is short.
func TestManyCheckpoints(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	leaves := int64(2*tileWidth + 3)
	if testing.Short() {
		leaves -= tileWidth
	}
	for range leaves {
		b.act()
		b.integrate()
	}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	_, report := b.export()
	if report.Checkpoints != leaves+1 || report.Size != leaves {
		t.Fatalf("%+v", report)
	}
	for p := range b.disk.now {
		if strings.Contains(p, "/000.p/") && !strings.Contains(p, "tile/1/") {
			t.Errorf("%s is left over beside its full tile", p)
		}
	}
	if report, err := b.log.Reader().Verify(t.Context(), LogCheck{}); err != nil || report.Size != leaves {
		t.Fatal(report, err)
	}
}

// TestRun shows the pace: a second leaf waits until a second has passed since
// the checkpoint over the first.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	b := newBench(t)
	g := service.New(ctx, b.log.Log)
	t.Cleanup(func() { _ = g.Stop(10 * time.Second) })
	g.Go("evidence", b.log.Run)

	first := b.act()
	if index, err := b.log.Await(ctx, first); err != nil || index != 0 {
		t.Fatal(index, err)
	}
	waitForTimer(t, b)
	second := b.act()
	b.log.Nudge()
	if cp, err := b.log.Reader().Checkpoint(ctx); err != nil || cp.Size != 1 {
		t.Fatal("a second checkpoint came within the second", cp.Size, err)
	}
	b.clock.Wind(Pace)
	if index, err := b.log.Await(ctx, second); err != nil || index != 1 {
		t.Fatal(index, err)
	}
	if err := g.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// TestRunWithMuch shows that what one checkpoint cannot add does not wait for the
// pace: the clock stands still.
func TestRunWithMuch(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	b := newBench(t)
	var last ids.Leaf
	for range maxBatch + 1 {
		last = b.act()
	}
	g := service.New(ctx, b.log.Log)
	t.Cleanup(func() { _ = g.Stop(10 * time.Second) })
	g.Go("evidence", b.log.Run)
	if index, err := b.log.Await(ctx, last); err != nil || index != maxBatch {
		t.Fatal(index, err)
	}
}

// waitForTimer returns once Run sleeps out its pace: the integration has ended.
func waitForTimer(t *testing.T, b *bench) {
	t.Helper()
	for b.clock.Waiting() == 0 {
		runtime.Gosched()
		if t.Context().Err() != nil {
			t.Fatal("the sequencer never slept")
		}
	}
}

// TestRestoredRows stages again what was integrated long ago, as a database
// restored from a snapshot does: nothing is added twice.
func TestRestoredRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var stale []Row
	for day := range 12 {
		for range 200 {
			b.act()
		}
		rows, err := b.stage.Staged(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if day == 1 {
			stale = rows
		}
		b.integrate()
		b.clock.Wind(24 * time.Hour)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			if err := b.open(); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range stale {
			b.stage.rows[r.ID] = r.Leaf
		}
		fresh := b.act()
		if n := b.integrate(); n != 1 {
			t.Fatalf("added %d leaves, want the fresh one alone", n)
		}
		if _, err := b.log.Await(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
	}
	if index, err := b.log.Reader().Find(t.Context(), stale[7].ID); err != nil || index != 207 {
		t.Fatal(index, err)
	}
	if _, err := b.log.Reader().Find(t.Context(), ids.New[ids.Leaf](b.ids)); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}

// TestBusyLogLooksBackOnce: behind more leaves than memory holds, the rows that a
// start found staged are looked for in the log, and those that come later are not,
// unless they are older than any that is under way.
func TestBusyLogLooksBackOnce(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) ids.Leaf { return ids.FirstAt[ids.Leaf](lab.Epoch.Add(d)) }
	r := recent{from: maxRecent, old: at(0)}
	for _, c := range []struct {
		sure bool
		row  time.Duration
		want bool
	}{
		{false, 59 * time.Minute, true}, {false, 61 * time.Minute, false},
		{true, time.Second, false}, {true, -59 * time.Second, false}, {true, -61 * time.Second, true},
	} {
		if r.sure = c.sure; r.suspect(at(c.row)) != c.want {
			t.Errorf("%+v", c)
		}
	}
	b := newBench(t)
	if b.act(); b.integrate() != 1 || !b.log.recent.sure {
		t.Error("after a short batch the sequencer still looks back")
	}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	for range maxBatch {
		b.act()
	}
	if b.integrate() != maxBatch || b.log.recent.sure {
		t.Error("behind a full batch there may be more that a start found")
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.act()
	b.integrate()
	first := b.ring.Keys()[0]
	body, err := b.ring.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.ring.Rotate()
	if err != nil || *again != *body {
		t.Fatal("rotating again made a third key", err)
	}
	b.act() // signed by both, before the leaf names the new key
	b.integrate()
	b.put(body)
	b.put(body) // staged twice by a caller that repeats after a crash
	b.integrate()
	if _, err := b.disk.read("/keys/0001.key"); err == nil {
		t.Fatal("the old private key is still there")
	}
	b.act()
	b.integrate()
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	text, report := b.export()
	if len(report.Keys) != 2 || report.Keys[0] != first.String() || !report.KeyTrusted {
		t.Fatalf("%+v", report)
	}
	if _, err := VerifyExport(strings.NewReader(text), LogCheck{Trusted: b.ring.Keys()[1:]}); err != nil {
		t.Fatal("the new key alone is not enough", err)
	}
	cp, err := b.log.Reader().Checkpoint(t.Context())
	if err != nil || len(cp.By) != 1 || cp.By[0].String() != body.New {
		t.Fatal(cp.By, err)
	}
	// Without the leaf that introduces it, the new key is nobody.
	var cut bytes.Buffer
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "key.rotation") {
			cut.WriteString(line)
		}
	}
	if _, err := VerifyExport(&cut, LogCheck{}); !fault.Is(err, fault.Denied) {
		t.Fatal(err)
	}
}

// TestDamagedRow shows that nonsense does not enter the log.
func TestDamagedRow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.act()
	b.stage.rows[id] = append(b.stage.rows[id], ' ')
	if _, err := b.log.Integrate(t.Context()); !fault.Is(err, fault.Internal) || fault.HintOf(err) == "" {
		t.Fatal(err)
	}
	delete(b.stage.rows, id)
	b.put(&KeyRotation{New: "x", Old: "y", Purpose: PurposeEvidence})
	if _, err := b.log.Integrate(t.Context()); !fault.Is(err, fault.Internal) {
		t.Fatal(err)
	}
}
