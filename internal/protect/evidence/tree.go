package evidence

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// tileHeight is fixed by C2SP tlog-tiles: 256 hashes to a tile.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// The log's files beside its tiles. Checkpoints are kept in bundles like
// entries: C2SP knows the newest only, and history is what shows a fork.
const (
	checkpointPath = "checkpoint"
	historyPrefix  = "checkpoints"
	entriesPrefix  = "tile/entries"
)

// tilePath is the C2SP path of a tile of hashes: x/mod's less the height.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
}

// bundlePath is where bundle n of width w (1 to 256) stands under a prefix.
func bundlePath(prefix string, n int64, w int) string {
	p := tlog.Tile{H: tileHeight, L: 0, N: n, W: w}.Path()
	return prefix + "/" + strings.TrimPrefix(p, "tile/8/0/")
}

// widthOf is how many entries bundle n has in a list of size entries.
func widthOf(n, size int64) int { return int(min(tileWidth, size-n*tileWidth)) }

// packBundle writes entries as C2SP tlog-tiles says: a big-endian uint16 with
// the length before each.
func packBundle(entries [][]byte) []byte {
	var b []byte
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e...)
	}
	return b
}

// splitBundle reads exactly w entries. More may follow only in a full bundle
// that stands in for a partial one.
func splitBundle(data []byte, w int, more bool) ([][]byte, error) {
	entries := make([][]byte, 0, w)
	for len(entries) < w {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, errors.New("a bundle of the evidence log is cut short")
		}
		n := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:n:n]), data[n:]
	}
	if len(data) > 0 && !more {
		return nil, errors.New("a bundle of the evidence log is too long")
	}
	return entries, nil
}

// readBundle gives the entries of bundle n in a list of size entries. A partial
// bundle may be gone once the full one exists (C2SP tlog-tiles, Partial Tiles).
func readBundle(ctx context.Context, t Files, prefix string, n, size int64) ([][]byte, error) {
	w := widthOf(n, size)
	data, full, err := readPartial(ctx, t, bundlePath(prefix, n, w), bundlePath(prefix, n, tileWidth))
	if err != nil {
		return nil, err
	}
	entries, err := splitBundle(data, w, full)
	if err != nil {
		return nil, mismatch(err)
	}
	return entries, nil
}

// readPartial reads a path, or the full one in its place.
func readPartial(ctx context.Context, t Files, path, full string) (data []byte, isFull bool, err error) {
	data, err = t.Read(ctx, path)
	if fault.Is(err, fault.NotFound) && path != full {
		data, err = t.Read(ctx, full)
		isFull = true
	}
	return data, isFull, err
}

func readTile(ctx context.Context, t Files, tile tlog.Tile) ([]byte, error) {
	whole := tile
	whole.W = tileWidth
	data, full, err := readPartial(ctx, t, tilePath(tile), tilePath(whole))
	if err != nil {
		return nil, err
	}
	if want := tile.W * tlog.HashSize; len(data) < want || (!full && len(data) > want) {
		return nil, mismatch(errors.New("a tile of the evidence log has the wrong length"))
	}
	return data[:tile.W*tlog.HashSize], nil
}

// hashReader gives hashes of tree, each authenticated against its root. It
// lives for one call, which is why it may hold ctx's reach in a closure.
func hashReader(ctx context.Context, t Files, tree tlog.Tree) tlog.HashReader {
	return tlog.TileHashReader(tree, tileSource(func(tile tlog.Tile) ([]byte, error) { return readTile(ctx, t, tile) }))
}

type tileSource func(tlog.Tile) ([]byte, error)

func (tileSource) Height() int                     { return tileHeight }
func (tileSource) SaveTiles([]tlog.Tile, [][]byte) {}
func (f tileSource) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := f(t)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

// peaks is the compact form of a tree: one hash for each one-bit of its size
// (RFC 6962 2.1). It recomputes a root from leaves alone.
type peaks struct {
	size   int64
	hashes []tlog.Hash
}

func (p *peaks) add(h tlog.Hash) {
	p.hashes = append(p.hashes, h)
	for n := p.size; n&1 == 1; n >>= 1 {
		last := len(p.hashes) - 1
		p.hashes[last-1] = tlog.NodeHash(p.hashes[last-1], p.hashes[last])
		p.hashes = p.hashes[:last]
	}
	p.size++
}

func (p *peaks) root() tlog.Hash {
	if p.size == 0 {
		return tlog.Hash(DigestOf(nil))
	}
	h := p.hashes[len(p.hashes)-1]
	for i := len(p.hashes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(p.hashes[i], h)
	}
	return h
}

// mismatch is the one fault for a log that contradicts itself.
func mismatch(err error) error {
	return fault.Because(fault.Conflict, err, "The evidence log does not agree with its last checkpoint.").
		WithHint("do not delete anything: bring back the newest copy of the evidence folder and of its key folder, both from the same moment, then run mailvow evidence verify")
}
