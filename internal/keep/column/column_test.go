package column

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

const alice, bob ids.Tenant = 11, 12

// shelf is a Store in memory.
type shelf struct {
	mu      sync.Mutex
	records map[Place]Record
}

func newShelf() *shelf { return &shelf{records: map[Place]Record{}} }

func (s *shelf) Put(_ context.Context, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[r.Place] = r
	return nil
}

func (s *shelf) Get(_ context.Context, p Place) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[p]
	if !ok {
		return r, fault.New(fault.NotFound, "no such chunk")
	}
	return r, nil
}

func (s *shelf) List(_ context.Context, tenant ids.Tenant, field string, from, to Hour) (found []Place, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.records {
		if p.Tenant == tenant && p.Field == field && p.Hour >= from && p.Hour < to {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Place) int {
		return cmp.Or(cmp.Compare(b.Hour, a.Hour), cmp.Compare(b.Part, a.Part))
	})
	return found, nil
}

func (s *shelf) Delete(_ context.Context, p Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, p)
	return nil
}

func (s *shelf) holds(what []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if bytes.Contains(r.Sealed, what) || bytes.Contains(r.Key, what) {
			return true
		}
	}
	return false
}

type bench struct {
	*Columns
	shelf *shelf
	vault *vault.Vault
	clock *lab.Clock
}

func newBench(t testing.TB) *bench {
	t.Helper()
	kek, err := vault.NewKEK([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	clock := lab.NewClock(lab.Epoch)
	v, err := vault.Open(context.Background(), vault.Config{
		KEK: kek, Store: vault.Folder(lab.NewForgetfulFS(), "keys"), Clock: clock, IDs: ids.NewSource(clock, 1, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	s := newShelf()
	return &bench{Columns: New(s, v), shelf: s, vault: v, clock: clock}
}

func (b *bench) write(t testing.TB, p Place, entries ...Entry) {
	t.Helper()
	if err := b.Write(context.Background(), p, entries); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) search(t testing.TB, q Query) (found []Entry) {
	t.Helper()
	err := b.Search(context.Background(), q, func(h Hit) bool {
		found = append(found, Entry{h.ID, string(h.Text)})
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func subjects(tenant ids.Tenant, hour Hour, part int64) Place {
	return Place{Tenant: tenant, Field: "subject", Hour: hour, Part: part}
}

func all(needle string) Query {
	return Query{Tenant: alice, Field: "subject", From: 0, To: 1 << 40, Needle: []byte(needle)}
}

func TestSearchNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write(t, subjects(alice, 5, 1), Entry{2, "your invoice"}, Entry{1, "invoice 7"}, Entry{3, "hello"})
	b.write(t, subjects(alice, 5, 2), Entry{4, "invoice again"})
	b.write(t, subjects(alice, 6, 1), Entry{5, "an invoice"})
	b.write(t, subjects(bob, 6, 1), Entry{6, "their invoice"})
	b.write(t, Place{alice, "attribute", 6, 1}, Entry{7, "invoice"})
	want := []Entry{{5, "an invoice"}, {4, "invoice again"}, {2, "your invoice"}, {1, "invoice 7"}}
	if got := b.search(t, all("invoice")); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	q := all("invoice")
	q.From, q.To = 5, 6
	q.Match = func(text []byte) bool { return !bytes.HasPrefix(text, []byte("your")) }
	if got := b.search(t, q); !slices.Equal(got, []Entry{want[1], want[3]}) {
		t.Errorf("%v", got)
	}
	n := 0
	if err := b.Search(context.Background(), all(""), func(Hit) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("asked to stop at 2, got %d, %v", n, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Search(ended, all(""), func(Hit) bool { return true }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func TestBorderOfTwoTextsIsNoFind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write(t, subjects(alice, 1, 1), Entry{1, "in"}, Entry{2, "voice"}, Entry{3, ""}, Entry{4, "ininvoicevoice"}, Entry{5, ""})
	if got := b.search(t, all("invoice")); len(got) != 1 || got[0].ID != 4 {
		t.Errorf("%v", got)
	}
	if got := b.search(t, all("")); len(got) != 5 {
		t.Errorf("%v", got)
	}
}

func TestSearchIsLikeLookingAtEach(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		b.shelf.records = map[Place]Record{}
		texts := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,6}`), 1, 40).Draw(rt, "texts")
		needle := rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "needle")
		var want []Entry
		byHour := map[Hour][]Entry{}
		for i, text := range texts {
			e := Entry{int64(i*i + 1), text}
			byHour[Hour(i/10)] = append(byHour[Hour(i/10)], e)
			if strings.Contains(text, needle) {
				want = append(want, e)
			}
		}
		slices.Reverse(want)
		for hour, entries := range byHour {
			b.write(t, subjects(alice, hour, 1), entries...)
		}
		if got := b.search(t, all(needle)); !slices.Equal(got, want) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestEraseLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	b.write(t, subjects(alice, 1, 1), Entry{1, "to Ann"}, Entry{2, "to Ben"}, Entry{2, "to Ben too"})
	b.write(t, subjects(alice, 2, 1), Entry{3, "to Ben again"})
	b.write(t, subjects(alice, 3, 1), Entry{9, "to Cid"})
	before := b.shelf.records[subjects(alice, 1, 1)]
	n, err := b.Erase(ctx, alice, "subject", 0, 10, map[int64]bool{2: true, 3: true, 400: true, 9: false})
	if err != nil || n != 3 {
		t.Fatalf("%d %v", n, err)
	}
	if got := b.search(t, all("")); !slices.Equal(got, []Entry{{9, "to Cid"}, {1, "to Ann"}}) {
		t.Errorf("%v", got)
	}
	if len(b.shelf.records) != 2 {
		t.Errorf("%d chunks are left, one of them empty", len(b.shelf.records))
	}
	if b.shelf.holds(before.Key) || b.shelf.holds(before.Sealed) {
		t.Error("the old chunk is still there")
	}
	if after := b.shelf.records[subjects(alice, 1, 1)]; after.Count != 1 || after.Last != 1 {
		t.Errorf("%+v", after)
	}
	if n, err = b.Erase(ctx, alice, "subject", 0, 10, map[int64]bool{2: true}); err != nil || n != 0 {
		t.Errorf("again: %d %v", n, err)
	}
}

func TestDropAndDestroyedEpoch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	b.write(t, subjects(alice, 1, 1), Entry{1, "old"})
	copied := b.shelf.records[subjects(alice, 1, 1)]
	b.clock.Wind(24 * time.Hour)
	b.write(t, subjects(alice, 25, 1), Entry{2, "young"})
	if _, err := b.vault.Destroy(ctx, alice, vault.Trace, b.clock.Now().Truncate(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(copied); !fault.Is(err, fault.Gone) {
		t.Errorf("%v", err)
	}
	if got := b.search(t, all("")); !slices.Equal(got, []Entry{{2, "young"}}) {
		t.Errorf("%v", got)
	}
	if n, err := b.Erase(ctx, alice, "subject", 0, 30, map[int64]bool{1: true}); err != nil || n != 0 || len(b.shelf.records) != 1 {
		t.Errorf("%d %v, %d chunks", n, err, len(b.shelf.records))
	}
	if n, err := b.Drop(ctx, alice, "subject", 26); err != nil || n != 1 || len(b.shelf.records) != 0 {
		t.Errorf("%d %v", n, err)
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	for part := range int64(4) {
		b.write(t, subjects(alice, 1, part), Entry{part, fmt.Sprint("text ", part)}, Entry{100 + part, "more"})
	}
	want := slices.SortedFunc(slices.Values(b.search(t, all(""))), func(a, b Entry) int { return cmp.Compare(b.ID, a.ID) })
	if err := b.Compact(ctx, alice, "subject", 1); err != nil {
		t.Fatal(err)
	}
	if len(b.shelf.records) != 1 {
		t.Errorf("%d parts", len(b.shelf.records))
	}
	if got := b.search(t, all("")); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	b.write(t, subjects(alice, 1, 1), Entry{1, "text 1"}) // as a crash leaves it
	if got := b.search(t, all("")); len(got) != len(want) {
		t.Errorf("an entry is given twice: %v", got)
	}
}

func TestChunkOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := subjects(alice, 1, 1)
	b.write(t, p, Entry{1, "text"})
	good := b.shelf.records[p]
	for name, change := range map[string]func(*Record){
		"tenant":       func(r *Record) { r.Tenant = bob },
		"hour":         func(r *Record) { r.Hour = 2 },
		"field":        func(r *Record) { r.Field = "attribute" },
		"part":         func(r *Record) { r.Part = 2 },
		"bit":          func(r *Record) { r.Sealed = bytes.Clone(r.Sealed); r.Sealed[5] ^= 1 },
		"format":       func(r *Record) { r.Sealed = bytes.Clone(r.Sealed); r.Sealed[0] = 2 },
		"cut":          func(r *Record) { r.Sealed = r.Sealed[:len(r.Sealed)-1] },
		"empty":        func(r *Record) { r.Sealed = nil },
		"bit of a key": func(r *Record) { r.Key = bytes.Clone(r.Key); r.Key[30] ^= 1 },
	} {
		r := good
		change(&r)
		if _, err := b.Open(r); !errors.Is(err, vault.ErrTampered) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestChunkBounds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Build(subjects(alice, 1, 1), make([]Entry, MaxEntries+1)); err == nil {
		t.Error("too many entries")
	}
	if _, err := b.Build(subjects(alice, 1, 1), []Entry{{1, strings.Repeat("x", MaxText+1)}}); err == nil {
		t.Error("too much text")
	}
	if _, err := b.Build(subjects(alice, 1, 1), nil); err == nil {
		t.Error("no entries")
	}
	if _, err := b.Build(Place{Tenant: alice}, []Entry{{1, "x"}}); err == nil {
		t.Error("no field")
	}
	if r, err := b.Build(subjects(alice, 1, 1), []Entry{{-5, "x"}, {1 << 62, "y"}, {-1 << 63, "z"}}); err != nil {
		t.Error(err)
	} else if got, err := b.Open(r); err != nil || len(got) != 3 || got[0].ID != -1<<63 {
		t.Errorf("%v %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := encode([]Entry{{1, "one"}, {5, ""}, {9, "nine"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err == nil {
			err = c.unfold()
		}
		if err != nil {
			if !errors.Is(err, vault.ErrTampered) {
				t.Fatal(err)
			}
			return
		}
		for i := range c.ids {
			c.at(i)
		}
		if _, err := c.search(Query{Needle: []byte("n")}, func(int64, []byte) bool { return true }); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkSearch searches 1,000,000 subjects in chunks of 50,000.
func BenchmarkSearch(b *testing.B) {
	c := newBench(b)
	entries := make([]Entry, 50_000)
	for hour := range Hour(20) {
		for i := range entries {
			n := int64(hour)*50_000 + int64(i)
			entries[i] = Entry{n, fmt.Sprintf("Your order %d has been shipped to you", n)}
		}
		c.write(b, subjects(alice, hour, 1), entries...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := c.search(b, all("order 777777 ")); len(got) != 1 {
			b.Fatal(got)
		}
	}
}
