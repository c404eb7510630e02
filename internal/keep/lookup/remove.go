package lookup

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/db"
)

// Purge drops the runs in which every number lies before its node's bound, and
// the like from the tail. A node without a bound keeps all its runs. It returns
// how many runs went.
func (i *Index) Purge(ctx context.Context, before map[int]int64) (int, error) {
	i.adding.Lock()
	defer i.adding.Unlock()
	over, err := i.over(ctx, before)
	if err != nil {
		return 0, err
	}
	for _, run := range over {
		// One transaction a run: none is long.
		err := i.db.Change(ctx, "purge a run of the look-up "+i.name, func(tx *db.Tx) error {
			for _, query := range []string{"drop_blocks", "drop_lasts", "drop_run"} {
				if _, err := tx.Do(ctx, i.set, query, i.id, run); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.state.tail = i.state.tail.filter(func(e Entry) bool {
		bound, bounded := before[e.Node]
		return !bounded || e.Seq >= bound
	})
	return len(over), nil
}

// over lists the runs that nobody needs any more.
func (i *Index) over(ctx context.Context, before map[int]int64) ([]int64, error) {
	needed := map[int64]bool{}
	var runs []int64
	err := i.set.Each(ctx, "run_lasts", []any{i.id}, func(scan func(...any) error) error {
		var run, seq int64
		var node int
		if err := scan(&run, &node, &seq); err != nil {
			return err
		}
		if len(runs) == 0 || runs[len(runs)-1] != run {
			runs = append(runs, run)
		}
		if bound, bounded := before[node]; !bounded || seq >= bound {
			needed[run] = true
		}
		return nil
	})
	over := runs[:0]
	for _, run := range runs {
		if !needed[run] {
			over = append(over, run)
		}
	}
	return over, fault.Wrap(err, "purge the look-up "+i.name)
}

// Remove takes a hash out of every run and tail and returns how many entries
// went. Erase the rows themselves first: other nodes read their tails again.
func (i *Index) Remove(ctx context.Context, hash Hash) (int, error) {
	return i.remove(ctx, hash, func(e Entry) bool { return e.Hash == hash })
}

// RemoveAt takes a hash out where it points to one row, and leaves its others.
func (i *Index) RemoveAt(ctx context.Context, hash Hash, at Position) (int, error) {
	return i.remove(ctx, hash, func(e Entry) bool { return e == Entry{Hash: hash, Node: at.Node, Seq: at.Seq} })
}

func (i *Index) remove(ctx context.Context, hash Hash, drop func(Entry) bool) (int, error) {
	i.adding.Lock()
	defer i.adding.Unlock()
	removed := 0
	err := i.db.Change(ctx, "remove a hash from the look-up "+i.name, func(tx *db.Tx) error {
		removed = 0
		hit, err := i.holding(ctx, tx, hash)
		if err != nil {
			return err
		}
		for _, b := range hit {
			n, err := i.rewrite(ctx, tx, b, drop)
			if err != nil {
				return err
			}
			removed += n
		}
		_, err = tx.Do(ctx, i.set, "next_generation", i.id)
		return err
	})
	if err != nil {
		return 0, err
	}
	// Another node may have moved generation and version as well; then the next
	// write or Refresh notices, because ours count only this one.
	i.mu.Lock()
	defer i.mu.Unlock()
	had := i.state.tail.len()
	i.state.tail = i.state.tail.filter(func(e Entry) bool { return !drop(e) })
	i.state.version, i.state.generation = i.state.version+1, i.state.generation+1
	return removed + had - i.state.tail.len(), nil
}

type block struct {
	run, id int64
	entries []byte
}

// holding reads the blocks that hold the hash.
func (i *Index) holding(ctx context.Context, tx *db.Tx, hash Hash) ([]block, error) {
	var hit []block
	err := tx.Each(ctx, i.set, "probe", []any{i.id, hash[:]}, func(scan func(...any) error) error {
		var b block
		if err := scan(&b.run, &b.id, &b.entries); err != nil {
			return err
		}
		if len(search(b.entries, hash, nil)) > 0 {
			hit = append(hit, b)
		}
		return nil
	})
	return hit, err
}

func (i *Index) rewrite(ctx context.Context, tx *db.Tx, b block, drop func(Entry) bool) (int, error) {
	kept := without(b.entries, drop)
	gone := (len(b.entries) - len(kept)) / entryLen
	var err error
	switch {
	case gone == 0:
		return 0, nil
	case len(kept) == 0:
		_, err = tx.Do(ctx, i.set, "drop_block", b.id)
	default:
		_, err = tx.Do(ctx, i.set, "rewrite_block", b.id, kept[:len(Hash{})], kept)
	}
	if err == nil {
		_, err = tx.Do(ctx, i.set, "shrink_run", i.id, b.run, gone)
	}
	return gone, err
}
