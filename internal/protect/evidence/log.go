package evidence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// maxBatch is how many leaves one checkpoint adds at most.
const maxBatch = 1024

// Pace is the shortest time between two checkpoints.
const Pace = time.Second

// Config is what a log stands on.
type Config struct {
	Tiles  Tiles
	Ring   *Ring
	Staged Staged
	Clock  clock.Clock
	Log    *slog.Logger
}

// Log is the sequencer: the one who appends staged leaves and signs. There is
// one at a time; Swap on the checkpoint file stops a second one.
type Log struct {
	Config

	mu      sync.Mutex
	ready   bool // what follows agrees with the store
	head    Checkpoint
	history int64 // how many checkpoints the history holds
	recent  recent
	changed chan struct{} // closed and replaced at each checkpoint
	nudge   chan struct{}
}

// Open verifies the stored tiles against the last signed checkpoint and rolls a
// checkpoint forward that a crash left half published. It starts a new log only
// where there never was one. When the store contradicts what was signed, it is
// a Conflict fault with a hint, and nothing is written.
func Open(ctx context.Context, c Config) (*Log, error) {
	l := New(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.recover(ctx); err != nil {
		return nil, fault.Wrap(err, "open the evidence log")
	}
	return l, nil
}

// Nudge says that something was staged. It never blocks.
func (l *Log) Nudge() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

// Run integrates staged leaves until ctx ends, with at most one checkpoint per
// Pace unless more are waiting than one checkpoint adds. Troubles of the store are logged and tried again; a log that
// contradicts itself ends Run with a Conflict fault.
func (l *Log) Run(ctx context.Context) error {
	defer l.yield()
	for {
		n, err := l.Integrate(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case fault.Is(err, fault.Conflict):
			return err
		case err != nil:
			l.Log.ErrorContext(ctx, "evidence could not be integrated; it stays staged", "error", err, "hint", fault.HintOf(err))
		}
		switch {
		case n == maxBatch:
			continue
		case n > 0 || err != nil:
			err = clock.Sleep(ctx, l.Clock, Pace)
		default:
			err = l.idle(ctx)
		}
		if err != nil {
			return nil // the context has ended
		}
	}
}

// idle waits for a nudge. Leaves staged by other nodes come without one.
func (l *Log) idle(ctx context.Context) error {
	t := l.Clock.NewTimer(Pace)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.nudge:
	case <-t.C():
	}
	return nil
}

// Integrate appends what is staged, up to 1,024 leaves, signs a checkpoint and
// says how many leaves it added. It is idempotent: after a failure or a crash at
// any step the next call finishes the work and adds no leaf twice.
func (l *Log) Integrate(ctx context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.integrate(ctx)
	if err != nil {
		l.ready = false
	}
	return n, fault.Wrap(err, "integrate evidence")
}

func (l *Log) integrate(ctx context.Context) (int, error) {
	if !l.ready {
		if err := l.Ring.reload(); err != nil { // another node may have rotated
			return 0, err
		}
		if err := l.recover(ctx); err != nil {
			return 0, err
		}
	}
	rows, err := l.Staged.Staged(ctx, maxBatch)
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		l.recent.sure = true
		return 0, nil
	}
	leaves, err := l.parseRows(rows)
	if err != nil {
		return 0, err
	}
	added, err := l.recent.without(ctx, l.Tiles, l.head.Size, rows)
	if err != nil {
		return 0, err
	}
	rotations := rotationsIn(leaves)
	if len(rotations) > 0 {
		if err := l.writeKeys(ctx); err != nil {
			return 0, err
		}
	}
	if len(added) > 0 {
		if err := l.append(ctx, added); err != nil {
			return 0, err
		}
	}
	// The old private key goes before the row that would remind us of it.
	for _, k := range rotations {
		if err := l.Ring.retire(k); err != nil {
			return 0, err
		}
	}
	if err := l.Staged.Remove(ctx, rowIDs(rows)); err != nil {
		return 0, err
	}
	l.recent.sure = l.recent.sure || len(rows) < maxBatch
	if len(added) > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	return len(added), nil
}

// parseRows refuses rows that would put nonsense into the log for ever.
func (l *Log) parseRows(rows []Row) ([]Leaf, error) {
	leaves := make([]Leaf, len(rows))
	for i, row := range rows {
		leaf, err := ParseLeaf(row.Leaf)
		if err != nil || leaf.ID != row.ID {
			return nil, fault.Because(fault.Internal, errors.Join(err, errors.New("staged leaf "+row.ID.String()+" is damaged")), "").
				WithHint("the row in evidence_staged was not written by this program; nothing is integrated until it is gone")
		}
		leaves[i] = leaf
	}
	for _, k := range rotationsIn(leaves) {
		if !l.Ring.made(k) {
			return nil, fault.Because(fault.Internal, errors.New("a staged rotation names a key that is not in the ring"), "").
				WithHint("bring back the newest copy of the evidence key folder")
		}
	}
	return leaves, nil
}

// rotationsIn gives the rotations of the log's own key.
func rotationsIn(leaves []Leaf) []*KeyRotation {
	var out []*KeyRotation
	for _, leaf := range leaves {
		if k, ok := leaf.Body.(*KeyRotation); ok && k.Purpose == PurposeEvidence {
			out = append(out, k)
		}
	}
	return out
}

func rowIDs(rows []Row) []ids.Leaf {
	out := make([]ids.Leaf, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out
}

// append is the order that makes a crash harmless: entries and tiles first
// (nobody trusts them beyond the signed size), then the signature, durable in
// the key folder, then what the world sees.
func (l *Log) append(ctx context.Context, rows []Row) error {
	if err := l.alone(ctx); err != nil {
		return err
	}
	old := l.head.tree()
	grown := newGrowth(ctx, l.Tiles, old)
	for _, row := range rows {
		if err := grown.add(row.Leaf); err != nil {
			return classify(err)
		}
	}
	tree, err := grown.write(ctx)
	if err != nil {
		return classify(err)
	}
	stored := []byte(l.head.Text)
	signed, err := l.Ring.sign(checkpointText(l.Ring.Origin(), tree), stored)
	if err != nil {
		return err
	}
	if l.head, err = ParseCheckpoint(signed, l.Ring.Keys()...); err != nil {
		return err
	}
	if err := l.publish(ctx, stored); err != nil {
		return err
	}
	l.recent.add(old.N, rows)
	return l.tidy(ctx, old.N)
}

// alone finds another sequencer before a tile of its is written over.
func (l *Log) alone(ctx context.Context) error {
	signed, err := l.Ring.head()
	if err != nil {
		return err
	}
	stored, err := l.Tiles.Read(ctx, checkpointPath)
	if err != nil {
		return missing(err)
	}
	if string(signed) != l.head.Text || string(stored) != l.head.Text {
		return fault.New(fault.Conflict, "Somebody else wrote this evidence log.").WithHint("let one process alone write the evidence log")
	}
	return nil
}

// publish puts the head where the world reads it, and into the history.
func (l *Log) publish(ctx context.Context, stored []byte) error {
	if string(stored) != l.head.Text {
		if err := l.Tiles.Swap(ctx, checkpointPath, stored, []byte(l.head.Text)); err != nil {
			return err
		}
	}
	if l.history > 0 {
		last, err := historyAt(ctx, l.Tiles, l.history-1, l.history)
		if err != nil {
			return missing(err)
		}
		if last == l.head.Text {
			return nil
		}
	}
	n := l.history / tileWidth
	var bundle [][]byte
	if l.history%tileWidth > 0 {
		var err error
		if bundle, err = readBundle(ctx, l.Tiles, historyPrefix, n, l.history); err != nil {
			return missing(err)
		}
	}
	bundle = append(bundle, []byte(l.head.Text))
	if err := l.Tiles.Write(ctx, bundlePath(historyPrefix, n, len(bundle)), packBundle(bundle)); err != nil {
		return err
	}
	l.history++
	if len(bundle) == tileWidth {
		return l.Tiles.Drop(ctx, bundlePath(historyPrefix, n, tileWidth)+".p")
	}
	return nil
}

// tidy drops the partial tiles whose full tile is there (C2SP tlog-tiles,
// Partial Tiles, allows it).
func (l *Log) tidy(ctx context.Context, from int64) error {
	for _, t := range tlog.NewTiles(tileHeight, from, l.head.Size) {
		if t.W < tileWidth {
			continue
		}
		if err := l.Tiles.Drop(ctx, tilePath(t)+".p"); err != nil {
			return err
		}
		if t.L == 0 {
			if err := l.Tiles.Drop(ctx, bundlePath(entriesPrefix, t.N, tileWidth)+".p"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Await waits until the leaf is under a published checkpoint and gives its
// index. End ctx to stop waiting.
func (l *Log) Await(ctx context.Context, id ids.Leaf) (int64, error) {
	for first := true; ; first = false {
		l.mu.Lock()
		index, ok := l.recent.at[id]
		size, changed := l.head.Size, l.changed
		leads := l.ready
		ok = ok && leads
		l.mu.Unlock()
		if ok {
			return index, nil
		}
		if first || !leads {
			index, err := find(ctx, l.Tiles, size, id)
			if !fault.Is(err, fault.NotFound) {
				return index, err
			}
			l.Nudge()
		}
		select {
		case <-ctx.Done():
			return 0, fault.Wrap(ctx.Err(), fmt.Sprintf("wait for the checkpoint over %s", id))
		case <-changed:
		}
	}
}

// Certify waits for the checkpoint over an erasure's leaf and makes the
// certificate. With a salt it is the person's copy, without one the controller's.
func (l *Log) Certify(ctx context.Context, id ids.Leaf, salt *Salt) (Certificate, error) {
	index, err := l.Await(ctx, id)
	if err != nil {
		return Certificate{}, err
	}
	return l.Reader().Certificate(ctx, index, salt)
}

// Reader reads the published log.
func (l *Log) Reader() *Reader { return NewReader(l.Tiles, l.Ring.Keys()...) }
