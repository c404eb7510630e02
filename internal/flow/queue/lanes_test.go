package queue

import (
	"context"
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
)

func parcelOf(tenant, lane int64) *work {
	return &work{lane: lane, parcel: &deliver.Parcel{Tenant: ids.Tenant(tenant)}, entries: make([]entry, 1)}
}

func TestCustomersAreServedInTurn(t *testing.T) {
	t.Parallel()
	l := newLanes(1000, 1000)
	for range 100 {
		l.reserve(1)
		l.push(parcelOf(1, 11))
	}
	l.reserve(1)
	l.push(parcelOf(2, 21))
	first, second := l.next(t.Context()), l.next(t.Context())
	if first.parcel.Tenant == second.parcel.Tenant {
		t.Error("a customer with 100 parcels was served twice before another one's first")
	}
}

func TestStuckLaneHoldsUpNobody(t *testing.T) {
	t.Parallel()
	l := newLanes(2, 1000)
	for range 50 {
		l.reserve(1)
		l.push(parcelOf(1, 11))
	}
	for range 3 {
		l.reserve(1)
		l.push(parcelOf(1, 12))
	}
	counts := map[int64]int{}
	var stuck []*work
	for range 5 {
		w := l.next(t.Context())
		counts[w.lane]++
		if w.lane == 12 {
			l.done(w)
		} else {
			stuck = append(stuck, w)
		}
	}
	if counts[11] != 2 || counts[12] != 3 {
		t.Fatalf("under way by lane: %v, want 2 of the stuck one and all 3 of the other", counts)
	}
	l.done(stuck[0])
	if w := l.next(t.Context()); w.lane != 11 {
		t.Error("a finished attempt must let its lane go on")
	}
}

func TestWindowIsBoundedAndEmptiesClean(t *testing.T) {
	t.Parallel()
	l := newLanes(5, 3)
	if !l.reserve(3) || l.reserve(1) {
		t.Fatal("the window's bound does not hold")
	}
	for range 3 {
		l.push(parcelOf(1, 5))
	}
	for range 3 {
		l.done(l.next(t.Context()))
	}
	if l.room() != 3 || len(l.lanes) != 0 || len(l.tenants) != 0 {
		t.Errorf("left behind: room %d, lanes %d, customers %d", l.room(), len(l.lanes), len(l.tenants))
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.endWith(ctx)
	cancel()
	if l.next(ctx) != nil {
		t.Error("next must end with its context")
	}
	l.reserve(1)
	l.push(parcelOf(1, 5))
	if got := l.close(); len(got) != 1 {
		t.Errorf("close gave back %d parcels, want 1", len(got))
	}
	if l.next(t.Context()) != nil || l.push(parcelOf(1, 5)) {
		t.Error("a closed window must take and give nothing")
	}
}
