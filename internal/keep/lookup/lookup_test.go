package lookup_test

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the frozen schema
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/lab"
)

func hashOf(n int) lookup.Hash {
	s := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return lookup.Hash(s[:16])
}

// fill adds n entries of one node, numbers from+1 on; the hash of number k is
// that of k modulo people.
func fill(t testing.TB, i *lookup.Index, node int, from, n, people int) {
	t.Helper()
	for at := from; at < from+n; {
		size := min(5000, from+n-at)
		entries := make([]lookup.Entry, size)
		for k := range entries {
			seq := at + k + 1
			entries[k] = lookup.Entry{Hash: hashOf(seq % people), Node: node, Seq: int64(seq)}
		}
		must(t, i.Add(t.Context(), entries, map[int]int64{node: int64(at + size)}))
		if i.Offset(node) == int64(at+size) {
			at += size // else another node was first: read again from Offset
		} else {
			at = int(i.Offset(node))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func find(t testing.TB, i *lookup.Index, n int, b lookup.Bounds) []lookup.Position {
	t.Helper()
	found, err := i.Find(t.Context(), hashOf(n), b)
	must(t, err)
	return found
}

func openIndex(t testing.TB, d *db.DB) *lookup.Index {
	t.Helper()
	i, err := lookup.Open(t.Context(), d, "recipient")
	must(t, err)
	return i
}

func TestFindsTailAndRuns(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema}, func(t *testing.T, d *db.DB) {
		i := openIndex(t, d)
		const n, people = 150_000, 1000
		fill(t, i, 1, 0, n, people)
		found := find(t, i, 7, lookup.Bounds{})
		if len(found) != n/people {
			t.Fatalf("%d positions, want %d", len(found), n/people)
		}
		for k, p := range found {
			if want := int64(n - people + 7 - k*people); p.Seq != want || p.Node != 1 {
				t.Fatalf("place %d is %v, want %d", k, p, want)
			}
		}
		page := find(t, i, 7, lookup.Bounds{Limit: 3, Below: map[int]int64{1: found[10].Seq}})
		if !slices.Equal(page, found[11:14]) {
			t.Fatalf("a page is %v", page)
		}
		if len(find(t, i, people+1, lookup.Bounds{})) != 0 {
			t.Fatal("a hash that nobody added is found")
		}
		// A second opening knows the runs and asks for the tail again.
		again := openIndex(t, d)
		if off := again.Offset(1); off <= 0 || off >= n {
			t.Fatalf("the offset after a start is %d", off)
		}
		fill(t, again, 1, int(again.Offset(1)), n-int(again.Offset(1)), people)
		if !slices.Equal(find(t, again, 7, lookup.Bounds{}), found) {
			t.Fatal("after a start it finds other positions")
		}
	})
}

func TestOneHashOverManyBlocks(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema}, func(t *testing.T, d *db.DB) {
		i := openIndex(t, d)
		fill(t, i, 1, 0, 3000, 2)
		must(t, i.Flush(t.Context()))
		for n := range 2 {
			if got := len(find(t, i, n, lookup.Bounds{})); got != 1500 {
				t.Errorf("%d of 1500", got)
			}
		}
		n, err := i.Remove(t.Context(), hashOf(0))
		must(t, err)
		if n != 1500 || len(find(t, i, 0, lookup.Bounds{})) != 0 || len(find(t, i, 1, lookup.Bounds{})) != 1500 {
			t.Error("removal touched the wrong entries:", n)
		}
	})
}

// TestHashBehindOneThatFillsBlocks: a domain that everybody writes to fills many
// blocks of a run; what comes behind it in the last of them is found, also after
// one of the others was written again.
func TestHashBehindOneThatFillsBlocks(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema}, func(t *testing.T, d *db.DB) {
		i := openIndex(t, d)
		many, one := lookup.Hash{1}, lookup.Hash{2}
		const n = 60_000
		entries := make([]lookup.Entry, n)
		for k := range entries {
			entries[k] = lookup.Entry{Hash: many, Node: 1, Seq: int64(k + 1)}
		}
		entries[n/2].Hash = one
		must(t, i.Add(t.Context(), entries, map[int]int64{1: n}))
		must(t, i.Flush(t.Context()))
		for _, removed := range []int64{0, 1, 2, 3} {
			if removed > 0 {
				gone, err := i.RemoveAt(t.Context(), many, lookup.Position{Node: 1, Seq: removed})
				must(t, err)
				if gone != 1 {
					t.Fatalf("%d entries went", gone)
				}
			}
			found, err := i.Find(t.Context(), one, lookup.Bounds{})
			must(t, err)
			if len(found) != 1 || found[0].Seq != n/2+1 {
				t.Fatalf("after %d removals: %v", removed, found)
			}
		}
	})
}

func TestRemoveLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := lab.OpenDB(t, db.Config{Dir: dir}, lookup.Schema)
	i := openIndex(t, d)
	fill(t, i, 1, 0, 80_000, 40_000)
	hash := hashOf(99)
	files := func() int {
		must(t, d.Scrub(t.Context()))
		return countInFiles(t, dir, hash)
	}
	if files() == 0 {
		t.Fatal("the hash is in no file before its removal: the search is blind")
	}
	n, err := i.Remove(t.Context(), hash)
	must(t, err)
	if n != 2 || len(find(t, i, 99, lookup.Bounds{})) != 0 {
		t.Error("not removed:", n)
	}
	if left := files(); left != 0 {
		t.Errorf("the removed hash still stands %d times in the files", left)
	}
}

func TestPurgeDropsWholeRuns(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema}, func(t *testing.T, d *db.DB) {
		i := openIndex(t, d)
		fill(t, i, 1, 0, 140_000, 1000)
		fill(t, i, 2, 0, 1000, 1000)
		must(t, i.Flush(t.Context()))
		runs, err := i.Purge(t.Context(), map[int]int64{1: 100_000})
		must(t, err)
		if runs != 1 {
			t.Fatalf("%d runs went", runs)
		}
		oldest := slices.MinFunc(find(t, i, 7, lookup.Bounds{}), func(a, b lookup.Position) int { return int(a.Seq - b.Seq) })
		if oldest.Node != 2 && oldest.Seq < 65_536 {
			t.Errorf("the oldest is still %v", oldest)
		}
		runs, err = i.Purge(t.Context(), map[int]int64{1: 1 << 40})
		must(t, err)
		if runs == 0 || len(find(t, i, 7, lookup.Bounds{})) == 0 {
			t.Error("a run with another node's numbers must stay:", runs)
		}
	})
}

// Two nodes keep one index: each reads everything, whoever is full first writes.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema}, func(t *testing.T, d *db.DB) {
		a, b := openIndex(t, d), openIndex(t, d)
		const n, people = 200_000, 500
		for from := 0; from < n; from += 20_000 {
			fill(t, a, 1, from, 20_000, people)
			fill(t, b, 1, from, 20_000, people)
		}
		for _, i := range []*lookup.Index{a, b} {
			if got := len(find(t, i, 3, lookup.Bounds{})); got != n/people {
				t.Errorf("%d of %d", got, n/people)
			}
		}
		if _, err := a.Remove(t.Context(), hashOf(3)); err != nil {
			t.Fatal(err)
		}
		must(t, b.Refresh(t.Context()))
		if b.Offset(1) >= n {
			t.Error("after a removal elsewhere the tail must be read again")
		}
		if len(find(t, b, 3, lookup.Bounds{})) != 0 {
			t.Error("the other node still finds what was removed")
		}
	})
}

func TestAgreesWithAList(t *testing.T) {
	t.Parallel()
	d := lab.DB(t, lookup.Schema)
	count := 0
	rapid.Check(t, func(r *rapid.T) {
		count++
		i, err := lookup.Open(t.Context(), d, fmt.Sprint("rapid", count))
		if err != nil {
			r.Fatal(err)
		}
		var model []lookup.Entry
		seq := int64(0)
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0, 1:
				var batch []lookup.Entry
				for range rapid.IntRange(1, 600).Draw(r, "size") {
					seq++
					batch = append(batch, lookup.Entry{Hash: hashOf(rapid.IntRange(0, 5).Draw(r, "who")), Node: 1, Seq: seq})
				}
				model = append(model, batch...)
				err = i.Add(t.Context(), batch, map[int]int64{1: seq})
			case 2:
				err = i.Flush(t.Context())
			case 3:
				gone := hashOf(rapid.IntRange(0, 5).Draw(r, "who"))
				model = slices.DeleteFunc(model, func(e lookup.Entry) bool { return e.Hash == gone })
				_, err = i.Remove(t.Context(), gone)
			}
			if err != nil {
				r.Fatal(err)
			}
		}
		for who := range 6 {
			var want []lookup.Position
			for _, e := range slices.Backward(model) {
				if e.Hash == hashOf(who) {
					want = append(want, lookup.Position{Node: e.Node, Seq: e.Seq})
				}
			}
			got, err := i.Find(t.Context(), hashOf(who), lookup.Bounds{})
			if err != nil || !slices.Equal(got, want) {
				r.Fatalf("%v: %v, want %v", err, got, want)
			}
		}
	})
}

func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	i := openIndex(t, lab.DB(t, lookup.Schema))
	if err := i.Add(t.Context(), make([]lookup.Entry, lookup.MaxAdd+1), nil); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
}

// BenchmarkFind45 looks a person up in 45 runs: about 3 million rows.
func BenchmarkFind45(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchFind(b, db.Config{Dir: b.TempDir()}) })
	b.Run("postgres", func(b *testing.B) { benchFind(b, db.Config{Postgres: lab.Postgres(b)}) })
}

func benchFind(b *testing.B, config db.Config) {
	d, err := db.Open(b.Context(), config, lookup.Schema)
	must(b, err)
	defer d.Close()
	i := openIndex(b, d)
	fill(b, i, 1, 0, 46*65_536+10_000, 1_000_000)
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		if len(find(b, i, n%1_000_000, lookup.Bounds{})) == 0 {
			b.Fatal("not found")
		}
	}
}

func countInFiles(t *testing.T, dir string, hash lookup.Hash) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "mailvow.db*"))
	must(t, err)
	n := 0
	for _, f := range files {
		content, err := os.ReadFile(f)
		must(t, err)
		n += bytes.Count(content, hash[:])
	}
	return n
}

//go:embed testdata/v1.sql
var version1 string // frozen: never edit it

func TestUpgradesVersion1(t *testing.T) {
	t.Parallel()
	entry := append(slices.Clone(hashOfSlice(1)), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9)
	lab.EachUpgrade(t, db.Schema{Package: "keep/lookup", SQL: version1 + `
-- query: index
insert into lookup_index (id, name, version, generation) values (1, 'recipient', 1, 0)
-- query: run
insert into lookup_run (lookup, run, entries) values (1, 1, 1)
-- query: block
insert into lookup_block (id, lookup, run, first, entries) values (1, 1, 1, $1, $2)
-- query: offset
insert into lookup_offset (lookup, node, seq) values (1, 2, 9)`}, lookup.Schema,
		func(t *testing.T, d *db.DB) {
			set := d.Set("keep/lookup")
			must(t, d.Change(t.Context(), "fill", func(tx *db.Tx) error {
				for _, q := range []string{"index", "run", "offset"} {
					if _, err := tx.Do(t.Context(), set, q); err != nil {
						return err
					}
				}
				_, err := tx.Do(t.Context(), set, "block", entry[:16], entry)
				return err
			}))
		},
		func(t *testing.T, d *db.DB) {
			i := openIndex(t, d)
			if found := find(t, i, 1, lookup.Bounds{}); len(found) != 1 || found[0] != (lookup.Position{Node: 2, Seq: 9}) || i.Offset(2) != 9 {
				t.Error(found, i.Offset(2))
			}
		})
}

func hashOfSlice(n int) []byte { h := hashOf(n); return h[:] }
