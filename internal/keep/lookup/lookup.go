// Package lookup finds rows by keyed hash without a secondary index on it. It
// promises that hashes cost a numbered store nothing when it writes, that a
// look-up reads one block of each sorted run and a tail in memory, that a run
// and the offsets it covers are one commit, and that a removed hash is in no
// run, tail or page afterwards. Several nodes may keep one index; whoever fills
// a run first writes it, the others follow.
//
// Reading the numbered store from Offset, computing the hash and its key are
// left to the owner; so is the tail after a start: it is read again from Offset.
package lookup

import (
	"context"
	_ "embed" // the package's tables
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
)

const (
	runSize   = 65536 // entries in the tail before they become a run
	blockSize = 256   // entries in a block
	// MaxAdd is the most entries in one call of Add.
	MaxAdd = runSize
	// MaxFound is the most positions that one Find returns.
	MaxFound = 10_000
)

//go:embed lookup.sql
var schema string

// Schema is what the database must be opened with.
var Schema = db.Schema{Package: "keep/lookup", SQL: schema}

// Hash is the first half of a keyed hash.
type Hash = [16]byte

// Entry says that the row at (Node, Seq) has this hash.
type Entry struct {
	Hash Hash
	Node int
	Seq  int64
}

// Position is where a row stands in its numbered store.
type Position struct {
	Node int
	Seq  int64
}

// Index is one look-up by one sort of hash. Find may be called from any
// goroutine; Add, Purge and Remove wait for one another.
type Index struct {
	db   *db.DB
	set  *db.Set
	name string
	id   int64

	takeVersion, addRun, addLast, addBlock, setOffset *db.Bulk

	adding sync.Mutex   // one writer of this process at a time
	mu     sync.RWMutex // guards what follows
	state  state
}

// state is what memory knows beyond the runs.
type state struct {
	version    int64
	generation int64 // moves when a hash is removed: tails of all nodes are then stale
	tail       tail
	offsets    map[int]int64
}

// Open finds or makes the index of this name.
func Open(ctx context.Context, d *db.DB, name string) (*Index, error) {
	s := d.Set("keep/lookup")
	i := &Index{db: d, set: s, name: name, takeVersion: s.Bulk("take_version"), addRun: s.Bulk("add_run"), addLast: s.Bulk("add_last"),
		addBlock: s.Bulk("add_block"), setOffset: s.Bulk("set_offset")}
	err := d.Change(ctx, "open the look-up "+name, func(tx *db.Tx) error {
		var version, generation int64
		err := tx.One(ctx, s, "find_index", []any{name}, &i.id, &version, &generation)
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := tx.One(ctx, s, "last_index", nil, &i.id); err != nil {
			return err
		}
		i.id++
		_, err = tx.Do(ctx, s, "add_index", i.id, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return i, i.reload(ctx)
}

// reload drops the tail and goes back to what the runs cover.
func (i *Index) reload(ctx context.Context) error {
	var fresh state
	var id int64
	fresh.offsets = map[int]int64{}
	// The version first: offsets that are newer than it only fail a later write.
	if err := i.set.One(ctx, "find_index", []any{i.name}, &id, &fresh.version, &fresh.generation); err != nil {
		return fault.Wrap(err, "look-up "+i.name)
	}
	if err := i.readOffsets(ctx, fresh.offsets); err != nil {
		return err
	}
	i.mu.Lock()
	i.state = fresh
	i.mu.Unlock()
	return nil
}

func (i *Index) readOffsets(ctx context.Context, into map[int]int64) error {
	err := i.set.Each(ctx, "offsets", []any{i.id}, func(scan func(...any) error) error {
		var node int
		var seq int64
		err := scan(&node, &seq)
		into[node] = seq
		return err
	})
	return fault.Wrap(err, "look-up "+i.name)
}

// Offset is the number up to which a node's rows are in the index. The owner
// always asks here where to read on: the answer goes back when another node
// removed a hash.
func (i *Index) Offset(node int) int64 {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.state.offsets[node]
}

// Add takes entries, in the order of their numbers, and how far each node has
// been read with them (rows without an entry count, too). On an error nothing
// was taken. When the tail is full it becomes a run first.
func (i *Index) Add(ctx context.Context, entries []Entry, offsets map[int]int64) error {
	if len(entries) > MaxAdd {
		return fault.Because(fault.Internal, fmt.Errorf("%d entries in one call; at most %d", len(entries), MaxAdd), "")
	}
	i.adding.Lock()
	defer i.adding.Unlock()
	i.mu.RLock()
	full := i.state.tail.len() >= runSize
	i.mu.RUnlock()
	if full {
		moved, err := i.flush(ctx)
		if err != nil || moved {
			return err // moved: the owner reads again from Offset
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, e := range entries {
		if e.Seq > i.state.offsets[e.Node] {
			i.state.tail.add(e)
		}
	}
	for node, seq := range offsets {
		i.state.offsets[node] = max(seq, i.state.offsets[node])
	}
	return nil
}

// Flush writes the tail as a run even if it is not full: before a planned stop.
func (i *Index) Flush(ctx context.Context) error {
	i.adding.Lock()
	defer i.adding.Unlock()
	_, err := i.flush(ctx)
	return err
}

// flush writes the tail and its offsets in one commit. It reports whether
// another node was first, so that offsets moved.
func (i *Index) flush(ctx context.Context) (bool, error) {
	i.mu.RLock()
	entries, offsets, version := slices.Clone(i.state.tail.entries), maps.Clone(i.state.offsets), i.state.version
	i.mu.RUnlock()
	if len(entries) == 0 {
		return false, nil
	}
	var last int64
	if err := i.set.One(ctx, "last_run", []any{i.id}, &last); err != nil {
		return false, fault.Wrap(err, "look-up "+i.name)
	}
	err := i.db.Commit(ctx, i.unit(entries, offsets, version, last+1))
	if fault.Is(err, fault.Conflict) {
		return true, i.follow(ctx)
	}
	if err != nil {
		return false, fault.Wrap(err, "write a run of the look-up "+i.name)
	}
	i.mu.Lock()
	i.state.version++
	i.state.tail = tail{}
	i.mu.Unlock()
	return false, nil
}

// unit is a run with everything that belongs to it.
func (i *Index) unit(entries []Entry, offsets map[int]int64, version, run int64) *db.Unit {
	u := &db.Unit{Changes: []db.Change{{By: i.takeVersion, Row: []any{i.id, version}}}}
	u.Adds = append(u.Adds, db.Add{By: i.addRun, Row: []any{i.id, run, len(entries)}})
	lasts := map[int]int64{}
	for _, e := range entries {
		lasts[e.Node] = max(e.Seq, lasts[e.Node])
	}
	for node, seq := range lasts {
		u.Adds = append(u.Adds, db.Add{By: i.addLast, Row: []any{i.id, run, node, seq}})
	}
	for node, seq := range offsets {
		u.Adds = append(u.Adds, db.Add{By: i.setOffset, Row: []any{i.id, node, seq}})
	}
	for part, block := range blocks(entries) {
		u.Adds = append(u.Adds, db.Add{By: i.addBlock, Row: []any{i.id<<44 | run<<12 | int64(part), i.id, run, block[:len(Hash{})], block}})
	}
	return u
}

// follow takes over what another node wrote: entries that its runs cover leave
// the tail; after a removal the whole tail does.
func (i *Index) follow(ctx context.Context) error {
	var id, version, generation int64
	if err := i.set.One(ctx, "find_index", []any{i.name}, &id, &version, &generation); err != nil {
		return fault.Wrap(err, "look-up "+i.name)
	}
	i.mu.RLock()
	stale, same := generation != i.state.generation, version == i.state.version
	i.mu.RUnlock()
	if stale {
		return i.reload(ctx)
	}
	if same {
		return nil
	}
	covered := map[int]int64{}
	if err := i.readOffsets(ctx, covered); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var kept tail
	for _, e := range i.state.tail.entries {
		if e.Seq > covered[e.Node] {
			kept.add(e)
		}
	}
	for node, seq := range covered {
		i.state.offsets[node] = max(seq, i.state.offsets[node])
	}
	i.state.tail, i.state.version = kept, version
	return nil
}

// Refresh notices what other nodes wrote or removed. With several nodes it is
// called every few seconds.
func (i *Index) Refresh(ctx context.Context) error {
	i.adding.Lock()
	defer i.adding.Unlock()
	return i.follow(ctx)
}

// Bounds limit a look-up.
type Bounds struct {
	Limit int           // at most this many, and at most MaxFound; 0 means MaxFound
	Below map[int]int64 // a node's numbers from here on are left out: to go on from a page
}

var errEnough = errors.New("enough")

// Find gives positions with this hash, each once, newest run first and inside
// one by falling number. Rows there may have been erased meanwhile.
func (i *Index) Find(ctx context.Context, hash Hash, b Bounds) ([]Position, error) {
	if b.Limit <= 0 || b.Limit > MaxFound {
		b.Limit = MaxFound
	}
	f := finding{bounds: b, seen: map[Position]struct{}{}}
	i.mu.RLock()
	f.take(i.state.tail.find(hash))
	i.mu.RUnlock()
	if f.full() {
		return f.found, nil
	}
	run, ofRun := int64(-1), []Position(nil)
	err := i.set.Each(ctx, "probe", []any{i.id, hash[:]}, func(scan func(...any) error) error {
		var at, id int64
		var block []byte
		if err := scan(&at, &id, &block); err != nil {
			return err
		}
		if at != run {
			f.take(ofRun)
			run, ofRun = at, nil
			if f.full() {
				return errEnough
			}
		}
		ofRun = search(block, hash, ofRun)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fault.Wrap(err, "look up in "+i.name)
	}
	f.take(ofRun)
	return f.found, nil
}

// Declaration is what the package stores: hashes under a key that name nobody
// to who has only them, and are removed with the person.
var Declaration = pledge.Declaration{
	Package: "keep/lookup",
	Categories: []pledge.Category{{
		Name: "look-up", About: pledge.Correspondent, What: "keyed hashes of addresses and domains with the numbers of the rows they stand in",
		Purpose: "find a person's rows without reading all", For: pledge.ToServeRights, Basis: pledge.LegitimateInterest,
		Period: pledge.Period{From: "the rows that the hashes point to; a run goes when the last of its rows goes"},
		Found:  "keyed hash", Erasing: pledge.Delete,
	}, {
		Name: "look-up operation", About: pledge.Nobody, What: "names, versions and offsets of look-ups", Purpose: "go on after a start", For: pledge.ToRun,
		Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: slices.Concat(
		pledge.Columns("look-up", false, "lookup_block", "first", "entries"),
		pledge.Columns("look-up operation", false, "lookup_block", "id", "lookup", "run"),
		pledge.Columns("look-up operation", false, "lookup_index", "id", "name", "version", "generation"),
		pledge.Columns("look-up operation", false, "lookup_offset", "lookup", "node", "seq"),
		pledge.Columns("look-up operation", false, "lookup_run", "lookup", "run", "entries"),
		pledge.Columns("look-up operation", false, "lookup_last", "lookup", "run", "node", "seq"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "the tail of a look-up", Category: "look-up"}},
	),
}
