package lookup

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

const entryLen = 16 + 4 + 8

func (e Entry) append(b []byte) []byte {
	b = append(b, e.Hash[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Node))
	return binary.BigEndian.AppendUint64(b, uint64(e.Seq))
}

func readEntry(b []byte) Entry {
	return Entry{Hash: Hash(b[:16]), Node: int(binary.BigEndian.Uint32(b[16:])), Seq: int64(binary.BigEndian.Uint64(b[20:]))}
}

// blocks sorts entries and cuts them.
func blocks(entries []Entry) [][]byte {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Seq, b.Seq))
	})
	var all [][]byte
	for part := range slices.Chunk(entries, blockSize) {
		block := make([]byte, 0, len(part)*entryLen)
		for _, e := range part {
			block = e.append(block)
		}
		all = append(all, block)
	}
	return all
}

// search appends the positions of a hash in one sorted block.
func search(block []byte, hash Hash, to []Position) []Position {
	n := len(block) / entryLen
	at := sort.Search(n, func(i int) bool { return bytes.Compare(block[i*entryLen:i*entryLen+16], hash[:]) >= 0 })
	for ; at < n && bytes.Equal(block[at*entryLen:at*entryLen+16], hash[:]); at++ {
		e := readEntry(block[at*entryLen:])
		to = append(to, Position{e.Node, e.Seq})
	}
	return to
}

// without copies a block less the entries that drop says.
func without(block []byte, drop func(Entry) bool) []byte {
	var kept []byte
	for ; len(block) >= entryLen; block = block[entryLen:] {
		if !drop(readEntry(block)) {
			kept = append(kept, block[:entryLen]...)
		}
	}
	return kept
}

// tail is what no run holds yet: entries in order, chained by hash.
type tail struct {
	entries []Entry
	last    map[Hash]int32 // place of the newest entry, plus one
	before  []int32        // place of the next older one with the same hash, plus one
}

func (t *tail) len() int { return len(t.entries) }

func (t *tail) add(e Entry) {
	if t.last == nil {
		t.last = map[Hash]int32{}
	}
	t.before = append(t.before, t.last[e.Hash])
	t.entries = append(t.entries, e)
	t.last[e.Hash] = int32(len(t.entries))
}

func (t *tail) find(hash Hash) []Position {
	var found []Position
	for at := t.last[hash]; at > 0; at = t.before[at-1] {
		e := t.entries[at-1]
		found = append(found, Position{e.Node, e.Seq})
	}
	return found
}

// filter makes a tail of the entries that keep says.
func (t *tail) filter(keep func(Entry) bool) tail {
	var kept tail
	for _, e := range t.entries {
		if keep(e) {
			kept.add(e)
		}
	}
	return kept
}

// finding collects positions up to a limit, each once.
type finding struct {
	bounds Bounds
	found  []Position
	seen   map[Position]struct{}
}

func (f *finding) full() bool { return len(f.found) >= f.bounds.Limit }

// take adds the positions of one run, newest first.
func (f *finding) take(positions []Position) {
	slices.SortFunc(positions, func(a, b Position) int { return cmp.Or(cmp.Compare(b.Seq, a.Seq), cmp.Compare(a.Node, b.Node)) })
	for _, p := range positions {
		if f.full() {
			return
		}
		if below, bounded := f.bounds.Below[p.Node]; bounded && p.Seq >= below {
			continue
		}
		if _, twice := f.seen[p]; !twice {
			f.seen[p] = struct{}{}
			f.found = append(f.found, p)
		}
	}
}
