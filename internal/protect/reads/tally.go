package reads

import (
	"context"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
)

// Any declares that an operation may read whatever is held of a person.
const Any = "*"

// Unsaid is the category where an operation that may read anything did not say what
// it showed: whoever looks into the records takes it for everything.
const Unsaid = "personal data"

// Tally counts what one operation reads. It is safe for use by many goroutines.
type Tally struct {
	mu    sync.Mutex
	sums  map[place]*sum
	order []place
	about address.Address
}

type place struct {
	tenant   ids.Tenant
	category string
}

type sum struct {
	count       int
	first, last time.Time
	ids         []int64
	low, high   int64
	many        bool // more than are listed
}

type tallyKey struct{}

// Count gives a context in which Saw is counted.
func Count(ctx context.Context) (context.Context, *Tally) {
	t := &Tally{sums: map[place]*sum{}}
	return context.WithValue(ctx, tallyKey{}, t), t
}

func of(ctx context.Context) *Tally {
	t, _ := ctx.Value(tallyKey{}).(*Tally)
	return t
}

// Saw counts one record of a customer's that is about to be shown: its category,
// its identifier (zero where it has none) and its time (zero likewise). Outside an
// operation that is on record it does nothing.
func Saw[ID ~int64](ctx context.Context, category string, whose ids.Tenant, id ID, at time.Time) {
	t := of(ctx)
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := place{whose, category}
	s := t.sums[p]
	if s == nil {
		s = &sum{}
		t.sums[p], t.order = s, append(t.order, p)
	}
	s.add(int64(id), at)
}

func (s *sum) add(id int64, at time.Time) {
	s.count++
	if !at.IsZero() {
		if s.first.IsZero() || at.Before(s.first) {
			s.first = at
		}
		if at.After(s.last) {
			s.last = at
		}
	}
	if id == 0 {
		return
	}
	if s.low == 0 || id < s.low {
		s.low = id
	}
	s.high = max(s.high, id)
	if s.many = s.many || len(s.ids) == MaxIDs; s.many {
		s.ids = nil
		return
	}
	s.ids = append(s.ids, id)
}

// About says whom the operation asks for, where that is one person.
func About(ctx context.Context, who address.Address) {
	t := of(ctx)
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.about = who
}

// Take gives what was counted so far and counts on from nothing.
func (t *Tally) Take() *Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	part := &Tally{sums: t.sums, order: t.order, about: t.about}
	t.sums, t.order = map[place]*sum{}, nil
	return part
}

// Empty reports that nothing was counted.
func (t *Tally) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.order) == 0
}
