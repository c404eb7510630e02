package evidence

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// Published is the log as it is given to anybody: the checkpoint, tiles, entries
// and verifier keys, and the history of checkpoints. It promises that a file it
// calls final never changes: of tiles and entries it gives what lies under the
// checkpoint and nothing else, because a writer that died before it signed may
// have left files that are written over.
type Published struct {
	files Files
	mu    sync.Mutex
	size  int64 // of the newest checkpoint that was read
}

// PublishedFile is one file.
type PublishedFile struct {
	Data  []byte
	Text  bool // it is UTF-8
	Final bool // it will never be another one
}

// NewPublished publishes the log that lies in files.
func NewPublished(files Files) *Published { return &Published{files: files} }

// File gives the file at a path of C2SP tlog-tiles (checkpoint, tile/L/N[.p/W],
// tile/entries/N[.p/W]), or of this log (keys, checkpoints/N[.p/W]); a NotFound
// fault if the log has none there.
func (p *Published) File(ctx context.Context, path string) (PublishedFile, error) {
	switch path {
	case checkpointPath, keysPath:
		data, err := p.files.Read(ctx, path)
		return PublishedFile{Data: data, Text: true}, fault.Wrap(err, "give out the evidence log")
	}
	var data []byte
	kind, tile, ok := parsePublished(path)
	if !ok {
		return PublishedFile{}, notPublished()
	}
	var err error
	switch kind {
	case historyPrefix:
		data, err = p.history(ctx, tile)
	case entriesPrefix:
		data, err = p.entries(ctx, tile)
	default:
		data, err = p.tile(ctx, tile)
	}
	if err != nil {
		return PublishedFile{}, fault.Wrap(err, "give out the evidence log")
	}
	return PublishedFile{Data: data, Final: true}, nil
}

func notPublished() error {
	return fault.New(fault.NotFound, "The evidence log has no such file. Read the checkpoint first: it says how many entries there are.")
}

// parsePublished reads a path in its one spelling.
func parsePublished(path string) (kind string, t tlog.Tile, ok bool) {
	full := ""
	if rest, is := strings.CutPrefix(path, entriesPrefix+"/"); is {
		kind, full = entriesPrefix, "tile/8/0/"+rest
	} else if rest, is := strings.CutPrefix(path, historyPrefix+"/"); is {
		kind, full = historyPrefix, "tile/8/0/"+rest
	} else if rest, is := strings.CutPrefix(path, "tile/"); is {
		kind, full = "tile", "tile/8/"+rest
	}
	if len(path) > 128 {
		return "", t, false
	}
	t, err := tlog.ParseTilePath(full)
	return kind, t, err == nil && t.L >= 0
}

func (p *Published) history(ctx context.Context, t tlog.Tile) ([]byte, error) {
	data, full, err := readPartial(ctx, p.files, bundlePath(historyPrefix, t.N, t.W), bundlePath(historyPrefix, t.N, tileWidth))
	if err != nil || !full {
		return data, err
	}
	return firstOf(data, t.W)
}

func (p *Published) entries(ctx context.Context, t tlog.Tile) ([]byte, error) {
	size, err := p.covers(ctx, t)
	if err != nil {
		return nil, err
	}
	have := widthOf(t.N, size)
	data, full, err := readPartial(ctx, p.files, bundlePath(entriesPrefix, t.N, have), bundlePath(entriesPrefix, t.N, tileWidth))
	if err != nil || (have == t.W && !full) {
		return data, missing(err)
	}
	return firstOf(data, t.W)
}

func (p *Published) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	size, err := p.covers(ctx, t)
	if err != nil {
		return nil, err
	}
	now := t
	now.W = widthOf(t.N, size>>(tileHeight*t.L))
	data, err := readTile(ctx, p.files, now)
	if err != nil {
		return nil, missing(err)
	}
	return data[:t.W*tlog.HashSize], nil
}

// firstOf cuts a bundle to its first w entries.
func firstOf(bundle []byte, w int) ([]byte, error) {
	entries, err := splitBundle(bundle, w, true)
	if err != nil {
		return nil, mismatch(err)
	}
	return packBundle(entries), nil
}

// covers gives the size of a published tree that covers the whole of a tile.
func (p *Published) covers(ctx context.Context, t tlog.Tile) (int64, error) {
	p.mu.Lock()
	size := p.size
	p.mu.Unlock()
	if within(t, size) {
		return size, nil
	}
	text, err := p.files.Read(ctx, checkpointPath)
	if err != nil {
		return 0, err
	}
	c, err := headOf(string(text))
	if err != nil {
		return 0, mismatch(err)
	}
	p.mu.Lock()
	p.size = max(p.size, c.Size)
	size = p.size
	p.mu.Unlock()
	if !within(t, size) {
		return 0, notPublished()
	}
	return size, nil
}

func within(t tlog.Tile, size int64) bool {
	count := size >> (tileHeight * t.L)
	return t.N <= count/tileWidth && t.N*tileWidth+int64(t.W) <= count
}
