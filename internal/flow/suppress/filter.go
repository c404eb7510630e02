package suppress

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
)

// filter is a Bloom filter over the hashes of the table. What it has not seen is
// not in the table; what it has seen may be. It is used where this process alone
// writes the database, and spares nearly every parcel its query.
type filter struct{ words []atomic.Uint64 }

const (
	bitsEach  = 16 // per row expected: one in 400 is asked for nothing
	leastRows = 1 << 16
	mostRows  = 1 << 25 // 64 MiB; past it more parcels ask the database
	pageRows  = 10_000
)

// newFilter reads the table once. On a database that others write too there is
// none.
func newFilter(ctx context.Context, d *db.DB, set *db.Set) (*filter, error) {
	if d.Dialect() != db.SQLite {
		return nil, nil
	}
	var rows int64
	if err := set.One(ctx, "count", nil, &rows); err != nil {
		return nil, fault.Wrap(err, "count suppressions")
	}
	f := &filter{words: make([]atomic.Uint64, min(max(2*rows, leastRows), mostRows)*bitsEach/64)}
	last := ids.Suppression(-1 << 62)
	for n := pageRows; n == pageRows; {
		n = 0
		err := set.Each(ctx, "hashes", []any{last, pageRows}, func(scan func(...any) error) error {
			var hash []byte
			n++
			if err := scan(&last, &hash); err != nil {
				return err
			}
			f.add([16]byte(hash))
			return nil
		})
		if err != nil {
			return nil, fault.Wrap(err, "read suppressions")
		}
	}
	return f, nil
}

// each visits the four bits of a hash, which is random already.
func (f *filter) each(h [16]byte, visit func(word *atomic.Uint64, bit uint64) bool) bool {
	for i := 0; i < 16; i += 4 {
		at := uint64(binary.LittleEndian.Uint32(h[i:])) * uint64(len(f.words)*64) >> 32
		if !visit(&f.words[at/64], 1<<(at%64)) {
			return false
		}
	}
	return true
}

// add is called before the row is committed, so that no parcel slips through.
func (f *filter) add(h [16]byte) {
	if f != nil {
		f.each(h, func(w *atomic.Uint64, bit uint64) bool { w.Or(bit); return true })
	}
}

// maybe reports false only for a hash that is not in the table.
func (f *filter) maybe(h [16]byte) bool {
	return f == nil || f.each(h, func(w *atomic.Uint64, bit uint64) bool { return w.Load()&bit != 0 })
}
