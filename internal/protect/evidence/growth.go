package evidence

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/ids"
)

// growth is a tree with leaves that are not signed yet. It reads the signed
// part through authenticated tiles, so that damage is never built upon.
type growth struct {
	tiles   Tiles
	old     tlog.Tree
	reader  tlog.HashReader
	fresh   map[int64]tlog.Hash
	entries [][]byte
}

func newGrowth(ctx context.Context, t Tiles, old tlog.Tree) *growth {
	g := &growth{tiles: t, old: old, fresh: map[int64]tlog.Hash{}}
	seen := map[tlog.Tile][]byte{}
	signed := tlog.TileHashReader(old, tileSource(func(tile tlog.Tile) ([]byte, error) {
		if data, ok := seen[tile]; ok {
			return data, nil
		}
		data, err := readTile(ctx, t, tile)
		if err == nil {
			seen[tile] = data
		}
		return data, err
	}))
	g.reader = tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		var ask []int64
		for i, x := range indexes {
			h, ok := g.fresh[x]
			if out[i] = h; !ok {
				ask = append(ask, x)
			}
		}
		if len(ask) == 0 {
			return out, nil
		}
		got, err := signed.ReadHashes(ask)
		if err != nil {
			return nil, err
		}
		for i, x := range indexes {
			if _, ok := g.fresh[x]; !ok {
				out[i], got = got[0], got[1:]
			}
		}
		return out, nil
	})
	return g
}

func (g *growth) size() int64 { return g.old.N + int64(len(g.entries)) }

func (g *growth) add(leaf []byte) error {
	n := g.size()
	hashes, err := tlog.StoredHashes(n, leaf, g.reader)
	if err != nil {
		return err
	}
	at := tlog.StoredHashIndex(0, n)
	for i, h := range hashes {
		g.fresh[at+int64(i)] = h
	}
	g.entries = append(g.entries, leaf)
	return nil
}

// write puts bundles and tiles into the store and gives the new tree.
func (g *growth) write(ctx context.Context) (tlog.Tree, error) {
	if err := g.writeEntries(ctx); err != nil {
		return tlog.Tree{}, err
	}
	for _, t := range tlog.NewTiles(tileHeight, g.old.N, g.size()) {
		data, err := tlog.ReadTileData(t, g.reader)
		if err != nil {
			return tlog.Tree{}, err
		}
		if err := g.tiles.Write(ctx, tilePath(t), data); err != nil {
			return tlog.Tree{}, err
		}
	}
	root, err := tlog.TreeHash(g.size(), g.reader)
	return tlog.Tree{N: g.size(), Hash: root}, err
}

func (g *growth) writeEntries(ctx context.Context) error {
	rest := g.entries
	for n := g.old.N / tileWidth; n*tileWidth < g.size(); n++ {
		var bundle [][]byte
		if n*tileWidth < g.old.N {
			var err error
			if bundle, err = g.signedEntries(ctx, n); err != nil {
				return err
			}
		}
		take := widthOf(n, g.size()) - len(bundle)
		bundle, rest = append(bundle, rest[:take]...), rest[take:]
		if err := g.tiles.Write(ctx, bundlePath(entriesPrefix, n, len(bundle)), packBundle(bundle)); err != nil {
			return err
		}
	}
	return nil
}

// signedEntries reads the partial bundle that grows, and hashes it again before
// its bytes go into a new file.
func (g *growth) signedEntries(ctx context.Context, n int64) ([][]byte, error) {
	bundle, err := readBundle(ctx, g.tiles, entriesPrefix, n, g.old.N)
	if err != nil {
		return nil, missing(err)
	}
	indexes := make([]int64, len(bundle))
	for i := range bundle {
		indexes[i] = tlog.StoredHashIndex(0, n*tileWidth+int64(i))
	}
	hashes, err := g.reader.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, e := range bundle {
		if tlog.RecordHash(e) != hashes[i] {
			return nil, mismatch(fmt.Errorf("entry %d is not the one that was hashed", n*tileWidth+int64(i)))
		}
	}
	return bundle, nil
}

// leavesOf parses the leaves of bundle n.
func leavesOf(ctx context.Context, t Files, n, size int64) ([]Leaf, error) {
	entries, err := readBundle(ctx, t, entriesPrefix, n, size)
	if err != nil {
		return nil, missing(err)
	}
	leaves := make([]Leaf, len(entries))
	for i, e := range entries {
		if leaves[i], err = ParseLeaf(e); err != nil {
			return nil, mismatch(errors.Join(err, fmt.Errorf("entry %d is no leaf", n*tileWidth+int64(i))))
		}
	}
	return leaves, nil
}

func newestID(leaves []Leaf) ids.Leaf {
	var id ids.Leaf
	for _, l := range leaves {
		id = max(id, l.ID)
	}
	return id
}
