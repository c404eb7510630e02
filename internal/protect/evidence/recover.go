package evidence

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// keysPath holds the public keys, oldest first, one to a line, so that a copy
// of the folder can be verified without the key folder.
const keysPath = "keys"

// recover brings memory and store to the last signed checkpoint. Its commit
// point is the head in the key folder: what stands there was signed.
func (l *Log) recover(ctx context.Context) error {
	signed, err := l.Ring.head()
	if err != nil {
		return err
	}
	stored, err := l.Tiles.Read(ctx, checkpointPath)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if l.history, err = countHistory(ctx, l.Tiles); err != nil {
		return err
	}
	if signed == nil && stored == nil {
		if signed, err = l.begin(ctx); err != nil {
			return err
		}
	}
	if l.head, err = l.newest(ctx, signed, stored); err != nil {
		return err
	}
	if err := checkTiles(ctx, l.Tiles, l.head.tree(), deepBundles); err != nil {
		return err
	}
	if err := l.agree(ctx); err != nil {
		return err
	}
	if string(signed) != l.head.Text {
		if err := l.Ring.remember([]byte(l.head.Text)); err != nil {
			return err
		}
	}
	if err := l.publish(ctx, stored); err != nil {
		return err
	}
	if err := l.tidy(ctx, max(0, l.head.Size-maxBatch)); err != nil {
		return err
	}
	if l.recent, err = loadRecent(ctx, l.Tiles, l.head.Size); err != nil {
		return err
	}
	l.ready = true
	return nil
}

// begin signs the empty tree, unless there are traces of an older log. The keys
// are written after the first signature, so they are such a trace.
func (l *Log) begin(ctx context.Context) ([]byte, error) {
	_, err := l.Tiles.Read(ctx, keysPath)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if l.history > 0 || err == nil {
		return nil, mismatch(errors.New("there are traces of a log and no checkpoint"))
	}
	var empty peaks
	return l.Ring.sign(checkpointText(l.Ring.Origin(), tlog.Tree{Hash: empty.root()}), nil)
}

// newest picks the larger of what was signed and what was published, and shows
// that the smaller one is its prefix.
func (l *Log) newest(ctx context.Context, signed, stored []byte) (Checkpoint, error) {
	var found []Checkpoint
	for _, text := range [][]byte{signed, stored} {
		if text == nil {
			continue
		}
		c, err := ParseCheckpoint(text, l.Ring.Keys()...)
		if err != nil || c.Origin != l.Ring.Origin() {
			return Checkpoint{}, mismatch(errors.Join(err, errors.New("the last checkpoint is not signed by this log's keys")))
		}
		found = append(found, c)
	}
	head := found[0]
	if len(found) == 2 && found[1].Size > head.Size {
		head, found[1] = found[1], head
	}
	if len(found) == 2 {
		if err := consistent(ctx, l.Tiles, head.tree(), found[1]); err != nil {
			return Checkpoint{}, err
		}
	}
	return head, nil
}

// agree compares the newest checkpoint of the history, and writes the keys.
func (l *Log) agree(ctx context.Context) error {
	if l.history == 0 && l.head.Size > 0 {
		return mismatch(errors.New("the history of checkpoints is missing"))
	}
	if l.history > 0 {
		text, err := historyAt(ctx, l.Tiles, l.history-1, l.history)
		if err != nil {
			return missing(err)
		}
		last, err := ParseCheckpoint([]byte(text), l.Ring.Keys()...)
		if err != nil {
			return mismatch(err)
		}
		if err := consistent(ctx, l.Tiles, l.head.tree(), last); err != nil {
			return err
		}
	}
	return l.writeKeys(ctx)
}

func (l *Log) writeKeys(ctx context.Context) error {
	var b strings.Builder
	for _, k := range l.Ring.Keys() {
		b.WriteString(k.String() + "\n")
	}
	have, err := l.Tiles.Read(ctx, keysPath)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if string(have) == b.String() {
		return nil
	}
	return l.Tiles.Write(ctx, keysPath, []byte(b.String()))
}

// historyAt gives checkpoint i of a history of count.
func historyAt(ctx context.Context, t Files, i, count int64) (string, error) {
	bundle, err := readBundle(ctx, t, historyPrefix, i/tileWidth, count)
	if err != nil {
		return "", err
	}
	return string(bundle[i%tileWidth]), nil
}

// countHistory finds how many checkpoints the history holds. Bundles are full
// up to the last, and of the last one every smaller width exists, so both are
// found by halving.
func countHistory(ctx context.Context, t Files) (int64, error) {
	exists := func(n int64, w int) (bool, error) {
		_, err := t.Read(ctx, bundlePath(historyPrefix, n, w))
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return err == nil, err
	}
	full, err := firstMissing(1<<40, func(i int64) (bool, error) { return exists(i, tileWidth) })
	if err != nil {
		return 0, err
	}
	part, err := firstMissing(tileWidth-1, func(i int64) (bool, error) { return exists(full, int(i)+1) })
	return full*tileWidth + part, err
}

// firstMissing gives the smallest i below limit that does not exist, where
// everything before it does; limit if all exist.
func firstMissing(limit int64, exists func(int64) (bool, error)) (int64, error) {
	lo, hi := int64(0), int64(1) // everything below lo exists
	for hi <= limit {
		ok, err := exists(hi - 1)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		lo, hi = hi, hi*2
	}
	hi = min(hi, limit+1) // hi-1 does not exist, or is limit
	for lo < hi-1 {
		mid := lo + (hi-1-lo)/2
		ok, err := exists(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid + 1
		} else {
			hi = mid + 1
		}
	}
	return lo, nil
}
