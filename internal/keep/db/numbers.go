package db

import (
	"context"

	"mailvow/internal/base/fault"
)

// numberName names a numbered bulk's sequence for ever.
func (b *Bulk) numberName() string { return b.set.pkg + " " + b.name }

// readNumbers gives the highest number of each numbered bulk on this node. It is
// kept apart from the rows, because the newest rows may be erased and their
// numbers must not come a second time: readers are past them.
func (d *DB) readNumbers(ctx context.Context, w writer) (map[*Bulk]int64, error) {
	stmt, err := w.query(ctx, d.own.queries["numbers"])
	if err != nil {
		return nil, err
	}
	names := map[string]int64{}
	err = d.own.each(ctx, "numbers", stmt, []any{d.node.number.Load()}, func(scan func(...any) error) error {
		var name string
		var seq int64
		if err := scan(&name, &seq); err != nil {
			return err
		}
		names[name] = seq
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(err, "read the numbers")
	}
	next := map[*Bulk]int64{}
	for _, b := range d.bulks {
		if b.numbered {
			next[b] = names[b.numberName()]
		}
	}
	return next, nil
}
