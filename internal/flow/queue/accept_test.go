package queue

import (
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
)

// TestContentInMemoryIsCountedUntilItsLastParcel: what nobody waits for is not
// counted, and what somebody still waits for is.
func TestContentInMemoryIsCountedUntilItsLastParcel(t *testing.T) {
	t.Parallel()
	q := &Queue{lanes: newLanes(10, 100), hungry: make(chan struct{}, 1)}
	q.config.Memory = 1000
	admit := func(parcels ...*work) {
		q.lanes.reserve(2)
		adm := &Admission{q: q, places: 2, parcels: parcels}
		adm.hold(600)
		adm.Go()
	}
	admit() // every recipient is paused
	if n := q.memory.Load(); n != 0 {
		t.Errorf("%d bytes are counted of a message that no parcel holds", n)
	}
	admit(parcelOf(1, 11), parcelOf(1, 12))
	for _, want := range []int64{600, 0} {
		w := q.lanes.next(t.Context())
		q.lanes.done(w)
		q.lighten(w)
		if n := q.memory.Load(); n != want {
			t.Errorf("%d bytes are counted, want %d", n, want)
		}
	}
	if q.lanes.room() != 100 {
		t.Errorf("%d of 100 places are free", q.lanes.room())
	}
}

// TestOnlyOneDestinationTravelsTogether: while the key store is away all mail
// shares a lane; a parcel still goes to one domain's hosts.
func TestOnlyOneDestinationTravelsTogether(t *testing.T) {
	t.Parallel()
	adm := &Admission{}
	for i, text := range []string{"a@one.test", "b@two.test", "c@one.test"} {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r := Recipient{Address: a, Route: deliver.Route{Kind: deliver.MX}}
		adm.parcel(&Envelope{}, nil, 7, 0, r).add(ids.Recipient(i+1), r, entry{})
	}
	if len(adm.parcels) != 2 || len(adm.parcels[0].entries) != 2 {
		t.Errorf("%d parcels, want one for each of two domains", len(adm.parcels))
	}
}
