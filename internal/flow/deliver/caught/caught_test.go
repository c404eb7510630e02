package caught_test

import (
	"context"
	"errors"
	"testing"

	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/deliver/caught"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/lab"
)

type inbox struct {
	err   error
	count int
}

func (i *inbox) Catch(context.Context, *deliver.Parcel) error {
	i.count++
	return i.err
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	p := &deliver.Parcel{Recipients: make([]deliver.Recipient, 3)}
	for _, c := range []struct {
		err  error
		want outcome.Kind
	}{{nil, outcome.Delivered}, {errors.New("full"), outcome.Deferred}} {
		box := &inbox{err: c.err}
		out := caught.New(box, lab.NewClock(lab.Epoch)).Deliver(context.Background(), p)
		if len(out) != 3 || box.count != 1 {
			t.Fatalf("%d outcomes of %d calls", len(out), box.count)
		}
		for _, o := range out {
			if o.Kind != c.want || o.By == "" {
				t.Errorf("%+v", o)
			}
		}
	}
}
