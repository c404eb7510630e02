package history

import (
	"context"

	"mailvow/internal/keep/lookup"
)

// Holding is how many entries the index holds of a hash, whether or not rows
// stand behind them.
func (x *Index) Holding(ctx context.Context, hash [16]byte) (int, error) {
	found, err := x.look.Find(ctx, hash, lookup.Bounds{})
	return len(found), err
}
