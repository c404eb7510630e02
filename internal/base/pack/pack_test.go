package pack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mailvow/internal/base/pack"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		u, i, b := rapid.Uint64().Draw(t, "u"), rapid.Int64().Draw(t, "i"), rapid.Bool().Draw(t, "b")
		list := rapid.SliceOf(rapid.String()).Draw(t, "list")
		w := pack.To(nil, 7)
		w.String(s)
		w.Uint(u)
		w.Strings(list)
		w.Int(i)
		w.Bool(b)
		r, version := pack.From(w.Bytes())
		gotS, gotU, gotList, gotI, gotB := r.String(), r.Uint(), r.Strings(), r.Int(), r.Bool()
		if version != 7 || gotS != s || gotU != u || gotI != i || gotB != b || r.Err() != nil {
			t.Fatalf("lost: %q %d %d %v", gotS, gotU, gotI, r.Err())
		}
		if len(list)+len(gotList) > 0 && !cmp.Equal(list, gotList) {
			t.Fatal(cmp.Diff(list, gotList))
		}
	})
}

func FuzzDamaged(f *testing.F) {
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _ := pack.From(b)
		_, _, _, _, _ = r.String(), r.Strings(), r.Int(), r.Bool(), r.Uint()
		if r.Uint(); len(b) < 6 && r.Err() == nil {
			t.Fatal("six fields from fewer bytes")
		}
	})
}
