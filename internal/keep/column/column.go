// Package column keeps values that are searched or counted in bulk a second
// time, in sealed chunks: per tenant, field and hour, each chunk under its own
// key. It promises that a chunk opens only in its place, that a search meets
// every entry of its period, newest first, and that a chunk rewritten without
// some ids holds nothing of them. Where the records lie (rows of the database)
// is the Store's; committing a record together with the reader's offset is left
// to the caller, for whom Build makes the record without storing it.
package column

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
)

// Hour counts hours since 1970-01-01 UTC.
type Hour int64

// HourOf is the hour of a moment.
func HourOf(t time.Time) Hour { return Hour(math.Floor(float64(t.Unix()) / 3600)) }

// Place names one chunk. An hour has one or more parts: a reader writes what it
// has when it commits, and Compact joins the parts when the hour is over.
type Place struct {
	Tenant ids.Tenant
	Field  string // "subject"
	Hour   Hour
	Part   int64 // grows within the hour; ids.Tenant-like identifiers serve well
}

// Record is a chunk as it is stored.
type Record struct {
	Place
	Count  int    // entries
	First  int64  // smallest id
	Last   int64  // largest id
	Key    []byte // wrapped by the vault, class trace
	Sealed []byte
}

// Store keeps records. A store over the database scopes each query by tenant.
type Store interface {
	// Put writes a record, replacing one at the same place.
	Put(ctx context.Context, r Record) error
	// Get reads a record, or gives a NotFound fault.
	Get(ctx context.Context, p Place) (Record, error)
	// List gives the places of a field with from ≤ hour < to, newest hour first
	// and within it the largest part first.
	List(ctx context.Context, tenant ids.Tenant, field string, from, to Hour) ([]Place, error)
	// Delete removes a record and its wrapped key; one that is not there counts
	// as removed.
	Delete(ctx context.Context, p Place) error
}

// Keys is the part of the vault that columns need.
type Keys interface {
	NewKey(tenant ids.Tenant, class vault.Class, ad vault.AD) (vault.Key, []byte, error)
	Unwrap(tenant ids.Tenant, ad vault.AD, wrapped []byte) (vault.Key, error)
}

// Entry is one value.
type Entry struct {
	ID   int64
	Text string
}

// Bounds of a chunk, so that one search holds one chunk of at most 8 MiB.
const (
	MaxEntries = 1 << 16
	MaxText    = 8 << 20
)

// Columns seals, searches and rewrites chunks.
type Columns struct {
	store Store
	keys  Keys
}

// New makes columns over a store.
func New(s Store, k Keys) *Columns { return &Columns{store: s, keys: k} }

const (
	format   byte = 1
	adPrefix      = "mailvow column v1\x00"
)

func (p Place) ad() vault.AD { return vault.AD{Table: "column/" + p.Field, Row: int64(p.Hour)} }

// bound is what the sealed entries are bound to.
func (p Place) bound() []byte {
	b := append([]byte(adPrefix), format)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Tenant))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Hour))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Part))
	return append(b, p.Field...)
}

// Build seals entries for a place without storing them. The order of the
// entries does not matter; an id may stand more than once.
func (c *Columns) Build(p Place, entries []Entry) (Record, error) {
	if len(entries) == 0 || p.Field == "" || strings.ContainsRune(p.Field, 0) {
		return Record{}, fault.New(fault.Internal, "a chunk needs a field and entries")
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	plain, err := encode(entries)
	if err != nil {
		return Record{}, err
	}
	return c.seal(p, entries, plain)
}

func (c *Columns) seal(p Place, entries []Entry, plain []byte) (Record, error) {
	key, wrapped, err := c.keys.NewKey(p.Tenant, vault.Trace, p.ad())
	if err != nil {
		return Record{}, fault.Wrap(err, "make the key of a chunk")
	}
	// The key seals this one chunk and is never used again: the nonce may be 0.
	sealed := key.Seal([]byte{format}, [12]byte{}, plain, p.bound())
	return Record{Place: p, Count: len(entries), First: entries[0].ID, Last: entries[len(entries)-1].ID, Key: wrapped, Sealed: sealed}, nil
}

// Write builds a chunk and stores it.
func (c *Columns) Write(ctx context.Context, p Place, entries []Entry) error {
	r, err := c.Build(p, entries)
	if err != nil {
		return err
	}
	return fault.Wrap(c.store.Put(ctx, r), "store a chunk")
}

// Open gives a record's entries, by id. Errors are those of the vault: Gone when
// its key was destroyed, vault.ErrTampered when it does not open in its place.
func (c *Columns) Open(r Record) ([]Entry, error) {
	ch, err := c.open(r, nil)
	if err == nil {
		err = ch.unfold()
	}
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(ch.ids))
	for i, id := range ch.ids {
		entries[i] = Entry{ID: id, Text: string(ch.at(i))}
	}
	return entries, nil
}

// open unseals a record, into scratch where that is large enough.
func (c *Columns) open(r Record, scratch []byte) (*chunk, error) {
	key, err := c.keys.Unwrap(r.Tenant, r.ad(), r.Key)
	if err != nil {
		return nil, fault.Wrap(err, "open the key of a chunk")
	}
	if len(r.Sealed) == 0 || r.Sealed[0] != format {
		return nil, fault.Wrap(vault.ErrTampered, "this is no chunk")
	}
	plain, err := key.Open(scratch[:0], [12]byte{}, r.Sealed[1:], r.bound())
	if err != nil {
		return nil, fault.Wrap(err, "open a chunk")
	}
	return decode(plain)
}

// Erase rewrites the chunks of a field in a period without the given ids, each
// under a fresh key, and says how many entries went. What is left of an empty
// chunk is deleted. Copies of the old chunk stay readable until the epoch of its
// wrapped key ends.
func (c *Columns) Erase(ctx context.Context, tenant ids.Tenant, field string, from, to Hour, gone map[int64]bool) (int, error) {
	places, err := c.store.List(ctx, tenant, field, from, to)
	if err != nil {
		return 0, fault.Wrap(err, "list chunks")
	}
	n := 0
	for _, p := range places {
		m, err := c.eraseOne(ctx, p, gone)
		if n += m; err != nil {
			return n, fault.Wrap(err, "erase from a chunk")
		}
	}
	return n, nil
}

func (c *Columns) eraseOne(ctx context.Context, p Place, gone map[int64]bool) (int, error) {
	r, err := c.store.Get(ctx, p)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !anyBetween(gone, r.First, r.Last) {
		return 0, nil
	}
	entries, err := c.Open(r)
	if fault.Is(err, fault.Gone) {
		return 0, c.store.Delete(ctx, p)
	}
	if err != nil {
		return 0, err
	}
	left := slices.DeleteFunc(entries, func(e Entry) bool { return gone[e.ID] })
	n := r.Count - len(left)
	switch {
	case n == 0:
		return 0, nil
	case len(left) == 0:
		return n, c.store.Delete(ctx, p)
	}
	return n, c.Write(ctx, p, left)
}

func anyBetween(set map[int64]bool, first, last int64) bool {
	for id, in := range set {
		if in && id >= first && id <= last {
			return true
		}
	}
	return false
}

// Drop deletes every chunk of a field before an hour, with its wrapped key, and
// says how many.
func (c *Columns) Drop(ctx context.Context, tenant ids.Tenant, field string, before Hour) (int, error) {
	places, err := c.store.List(ctx, tenant, field, 0, before)
	if err != nil {
		return 0, fault.Wrap(err, "list chunks")
	}
	for i, p := range places {
		if err := c.store.Delete(ctx, p); err != nil {
			return i, fault.Wrap(err, "delete a chunk")
		}
	}
	return len(places), nil
}

// Compact joins the parts of an hour that is over, if they fit into one. It
// writes before it deletes: a crash in between leaves entries twice, which a
// search gives once.
func (c *Columns) Compact(ctx context.Context, tenant ids.Tenant, field string, hour Hour) error {
	places, err := c.store.List(ctx, tenant, field, hour, hour+1)
	if err != nil {
		return fault.Wrap(err, "list chunks")
	}
	_, err = c.Join(ctx, places)
	return err
}

// Join puts what stands in several parts of one hour into the first of them and
// deletes the others, and says whether it did: parts that do not fit into one,
// and parts of which one went meanwhile, stay as they are.
func (c *Columns) Join(ctx context.Context, places []Place) (bool, error) {
	if len(places) < 2 {
		return false, nil
	}
	var all []Entry
	size := 0
	for _, p := range places {
		r, err := c.store.Get(ctx, p)
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		if err != nil {
			return false, fault.Wrap(err, "read a chunk")
		}
		entries, err := c.Open(r)
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			size += len(e.Text)
		}
		if all = append(all, entries...); len(all) > MaxEntries || size > MaxText {
			return false, nil
		}
	}
	if err := c.Write(ctx, places[0], distinct(all)); err != nil {
		return false, err
	}
	var failed error
	for _, p := range places[1:] {
		failed = errors.Join(failed, c.store.Delete(ctx, p))
	}
	return true, fault.Wrap(failed, "delete the parts of an hour")
}

func distinct(entries []Entry) []Entry {
	seen := make(map[Entry]bool, len(entries))
	return slices.DeleteFunc(entries, func(e Entry) bool {
		twice := seen[e]
		seen[e] = true
		return twice
	})
}
