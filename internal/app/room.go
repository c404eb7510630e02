package app

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
	"mailvow/internal/protect/evidence"
)

// room gives the database's reserve to files of a folder on the same file system
// that must be written while the disk is full.
func (h *House) room(dir string) func() bool {
	return func() bool {
		mine, ok := device(dir)
		base, found := device(h.paths().database())
		return ok && found && mine == base && h.db.MakeRoom()
	}
}

// disk is the machine's, with that room.
func (h *House) disk(dir string) disk.Machine { return disk.Machine{Room: h.room(dir)} }

// device is the file system on which a folder lies, or will.
func device(dir string) (uint64, bool) {
	for {
		info, err := os.Stat(dir)
		if err == nil {
			s, ok := info.Sys().(*syscall.Stat_t)
			return s.Dev, ok
		}
		up := filepath.Dir(dir)
		if up == dir {
			return 0, false
		}
		dir = up
	}
}

// roomyTiles writes the evidence log where there is no space but the reserve.
type roomyTiles struct {
	evidence.Tiles
	room func() bool
}

func (t roomyTiles) again(err error) bool { return fault.Is(err, fault.Full) && t.room() }

// Write implements evidence.Tiles.
func (t roomyTiles) Write(ctx context.Context, path string, data []byte) error {
	err := t.Tiles.Write(ctx, path, data)
	if t.again(err) {
		err = t.Tiles.Write(ctx, path, data)
	}
	return err
}

// Swap implements evidence.Tiles.
func (t roomyTiles) Swap(ctx context.Context, path string, old, data []byte) error {
	err := t.Tiles.Swap(ctx, path, old, data)
	if t.again(err) {
		err = t.Tiles.Swap(ctx, path, old, data)
	}
	return err
}
