package evidence

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// deepBundles is how many bundles of entries, newest first, are hashed again
// when the log is opened: 4,096 leaves. All tiles of hashes are; all entries
// are by Verify.
const deepBundles = 16

// checkTiles recomputes the tree's root from the hashes of its leaves, compares
// each tile of each level, and hashes the entries of the newest deep bundles.
func checkTiles(ctx context.Context, t Files, tree tlog.Tree, deep int64) error {
	var whole peaks
	var below []tlog.Hash // roots of the full tiles one level down
	for level := 0; tree.N>>(tileHeight*level) > 0; level++ {
		count := tree.N >> (tileHeight * level)
		var roots []tlog.Hash
		for n := int64(0); n*tileWidth < count; n++ {
			tile := tlog.Tile{H: tileHeight, L: level, N: n, W: widthOf(n, count)}
			data, err := readTile(ctx, t, tile)
			if err != nil {
				return missing(err)
			}
			hashes := splitHashes(data)
			if level == 0 {
				for _, h := range hashes {
					whole.add(h)
				}
				if n >= (count+tileWidth-1)/tileWidth-deep {
					if err := checkEntries(ctx, t, n, tree.N, hashes); err != nil {
						return err
					}
				}
			}
			for i, h := range hashes {
				if level > 0 && h != below[n*tileWidth+int64(i)] {
					return mismatch(fmt.Errorf("%s does not follow from the tiles below it", tilePath(tile)))
				}
			}
			if tile.W == tileWidth {
				var p peaks
				for _, h := range hashes {
					p.add(h)
				}
				roots = append(roots, p.root())
			}
		}
		below = roots
	}
	if whole.root() != tree.Hash {
		return mismatch(errors.New("the tiles give another root than the checkpoint"))
	}
	return nil
}

func splitHashes(data []byte) []tlog.Hash {
	out := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range out {
		copy(out[i][:], data[i*tlog.HashSize:])
	}
	return out
}

func checkEntries(ctx context.Context, t Files, n, size int64, hashes []tlog.Hash) error {
	entries, err := readBundle(ctx, t, entriesPrefix, n, size)
	if err != nil {
		return missing(err)
	}
	for i, e := range entries {
		if tlog.RecordHash(e) != hashes[i] {
			return mismatch(fmt.Errorf("entry %d is not the one that was hashed", n*tileWidth+int64(i)))
		}
	}
	return nil
}

// missing turns an absent file of a signed tree into a mismatch: it must be there.
func missing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return mismatch(err)
	}
	return err
}

// consistent shows that the tree of an older checkpoint is a prefix of tree,
// by recomputing the older root from the newer tree's authenticated hashes.
func consistent(ctx context.Context, t Files, tree tlog.Tree, old Checkpoint) error {
	if old.Size > tree.N {
		return mismatch(fmt.Errorf("a checkpoint of size %d was signed, the log has %d", old.Size, tree.N))
	}
	root := tree.Hash
	if old.Size < tree.N {
		var err error
		if root, err = tlog.TreeHash(old.Size, hashReader(ctx, t, tree)); err != nil {
			return missing(classify(err))
		}
	}
	if root != tlog.Hash(old.Root) {
		return mismatch(fmt.Errorf("the checkpoint of size %d has another root", old.Size))
	}
	return nil
}

// classify keeps the faults of the store; what x/mod itself says about tiles is
// a mismatch.
func classify(err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return mismatch(err)
}
