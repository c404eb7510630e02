package evidence

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Row is one leaf that waits for the sequencer, encoded.
type Row struct {
	ID   ids.Leaf
	Leaf []byte
}

// Staged is the sequencer's side of the staged leaves.
type Staged interface {
	// Staged gives up to limit rows, smallest id first.
	Staged(ctx context.Context, limit int) ([]Row, error)
	// Remove forgets rows that the log holds. Absent rows are no fault.
	Remove(ctx context.Context, leaves []ids.Leaf) error
}

// Memory stages leaves in memory, for tests of this package and of others.
// It holds at most 100,000.
type Memory struct {
	mu   sync.Mutex
	rows map[ids.Leaf][]byte
}

var _ Staged = (*Memory)(nil)

// NewMemory makes an empty stage.
func NewMemory() *Memory { return &Memory{rows: map[ids.Leaf][]byte{}} }

// Stage encodes and keeps a leaf. The same id twice is a Conflict fault.
func (m *Memory) Stage(_ context.Context, l Leaf) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, twice := m.rows[l.ID]; twice {
		return fault.New(fault.Conflict, "That leaf is staged already.")
	}
	if len(m.rows) >= 100_000 {
		return fault.New(fault.Exhausted, "The stage in memory is full.")
	}
	m.rows[l.ID] = data
	return nil
}

// Staged implements Staged.
func (m *Memory) Staged(_ context.Context, limit int) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]Row, 0, len(m.rows))
	for id, data := range m.rows {
		rows = append(rows, Row{ID: id, Leaf: data})
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	return rows[:min(limit, len(rows))], nil
}

// Remove implements Staged.
func (m *Memory) Remove(_ context.Context, leaves []ids.Leaf) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range leaves {
		delete(m.rows, id)
	}
	return nil
}
