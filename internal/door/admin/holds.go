package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/reads"
)

// Holds is protect/hold.
type Holds interface {
	Add(ctx context.Context, h hold.Hold, by evidence.Actor) (hold.Hold, error)
	List(ctx context.Context, in scope.Scope, before ids.Hold, limit int) ([]hold.Hold, error)
	Get(ctx context.Context, in scope.Scope, id ids.Hold) (hold.Hold, error)
	Count(ctx context.Context, h hold.Hold) (int, error)
	Review(ctx context.Context, in scope.Scope, id ids.Hold, next time.Time, by evidence.Actor) (hold.Hold, error)
	Release(ctx context.Context, in scope.Scope, id ids.Hold, by evidence.Actor) (hold.Hold, error)
	Records(ctx context.Context, in scope.Scope, id ids.Hold, by evidence.Actor, yield func(hold.Record) error) error
}

// The operations of legal holds.
const (
	HoldAdd     Op[NewHold, Hold]   = "hold/add"
	HoldList    Op[HoldRef, []Hold] = "hold/list"
	HoldReview  Op[HoldRef, Hold]   = "hold/review"
	HoldRelease Op[HoldRef, Hold]   = "hold/release"
	HoldRead    Op[HoldRef, []byte] = "hold/read" // a stream
)

// NewHold asks for a hold: on a person, a message, or with neither on the customer.
type NewHold struct {
	Customer ids.Tenant  `json:"customer"`
	Address  string      `json:"address,omitempty"`
	Message  ids.Message `json:"message,omitzero"`
	Case     string      `json:"case,omitempty"`
	Ground   hold.Ground `json:"ground"`
	Note     string      `json:"note,omitempty"`
	Owner    ids.User    `json:"owner,omitzero"`
	Review   time.Time   `json:"review"`
}

// HoldRef names a hold, or with the zero id all.
type HoldRef struct {
	ID       ids.Hold   `json:"id,omitzero"`
	Customer ids.Tenant `json:"customer,omitzero"`
	Review   time.Time  `json:"review,omitzero"` // the next, for HoldReview
}

// Hold is a hold as it is printed.
type Hold struct {
	ID       ids.Hold    `json:"id"`
	Customer ids.Tenant  `json:"customer"`
	Kind     hold.Kind   `json:"kind"`
	Of       string      `json:"of,omitempty"` // the address or the message
	Case     string      `json:"case,omitempty"`
	Ground   hold.Ground `json:"ground"`
	Note     string      `json:"note,omitempty"`
	Owner    ids.User    `json:"owner,omitzero"`
	Review   time.Time   `json:"review"`
	Overdue  bool        `json:"overdue"`
	Created  time.Time   `json:"created"`
	Released time.Time   `json:"released,omitzero"`
	Records  int         `json:"records"`
}

// HeldRecord is one line of what a hold keeps.
type HeldRecord struct {
	Category string            `json:"category"`
	Message  ids.Message       `json:"message"`
	At       time.Time         `json:"at"`
	Fields   map[string]string `json:"fields"`
}

func (s *Server) holds(mux *http.ServeMux, p Parts) {
	one := func(ctx context.Context, h hold.Hold, err error) (Hold, error) {
		if err != nil {
			return Hold{}, err
		}
		n, err := p.Holds.Count(ctx, h)
		x := Hold{
			ID: h.ID, Customer: h.Tenant, Kind: h.Kind, Of: h.Address.Text(), Case: h.Case, Ground: h.Ground, Note: h.Note, Owner: h.Owner,
			Review: h.Review, Overdue: h.Overdue(p.Clock.Now()), Created: h.Created, Released: h.Released, Records: n,
		}
		if h.Message != 0 {
			x.Of = h.Message.String()
		}
		return x, err
	}
	handle(s, mux, HoldAdd, func(ctx context.Context, in NewHold) (Hold, error) {
		if p.Holds == nil {
			return Hold{}, absent("holds")
		}
		h, err := in.hold()
		if err == nil {
			h, err = p.Holds.Add(ctx, h, operator())
		}
		return one(ctx, h, err)
	})
	handle(s, mux, HoldList, func(ctx context.Context, in HoldRef) ([]Hold, error) {
		if p.Holds == nil {
			return nil, absent("holds")
		}
		list, err := p.Holds.List(ctx, scopeOf(in.Customer), 0, mostHolds)
		out := make([]Hold, len(list))
		for i, h := range list {
			if err == nil {
				out[i], err = one(ctx, h, nil)
			}
		}
		return out, err
	})
	handle(s, mux, HoldReview, func(ctx context.Context, in HoldRef) (Hold, error) {
		if p.Holds == nil {
			return Hold{}, absent("holds")
		}
		h, err := p.Holds.Review(ctx, scope.Everyone, in.ID, in.Review, operator())
		return one(ctx, h, err)
	})
	handle(s, mux, HoldRelease, func(ctx context.Context, in HoldRef) (Hold, error) {
		if p.Holds == nil {
			return Hold{}, absent("holds")
		}
		h, err := p.Holds.Release(ctx, scope.Everyone, in.ID, operator())
		return one(ctx, h, err)
	})
	stream(s, mux, HoldRead, func(ctx context.Context, in HoldRef, w io.Writer) error {
		if p.Holds == nil {
			return absent("holds")
		}
		whose, err := customerOf(ctx, p.Holds, in.ID)
		if err != nil {
			return err
		}
		if err := p.frozen(ctx, scope.Tenant(whose)); err != nil {
			return err
		}
		e := json.NewEncoder(w)
		return p.Holds.Records(ctx, scope.Everyone, in.ID, operator(), func(r hold.Record) error {
			line := HeldRecord{r.Category, r.Message, r.At.UTC(), map[string]string{}}
			for _, f := range r.Fields {
				line.Fields[f.Name] = f.Value
			}
			reads.Saw(ctx, ofHeld, whose, r.Message, r.At)
			return fault.Wrap(e.Encode(line), "write a held record")
		})
	})
}

func customerOf(ctx context.Context, holds Holds, id ids.Hold) (ids.Tenant, error) {
	h, err := holds.Get(ctx, scope.Everyone, id)
	return h.Tenant, err
}

// mostHolds is how many holds are listed at most.
const mostHolds = 1000

// hold is what is asked for. Whom it names says of which kind it is.
func (n *NewHold) hold() (hold.Hold, error) {
	h := hold.Hold{
		Tenant: n.Customer, Kind: hold.Customer, Message: n.Message, Case: n.Case, Ground: n.Ground, Note: n.Note, Owner: n.Owner, Review: n.Review,
	}
	var err error
	switch {
	case n.Address != "":
		h.Kind = hold.Person
		h.Address, err = address.Parse(n.Address)
	case n.Message != 0:
		h.Kind = hold.Message
	}
	return h, err
}
