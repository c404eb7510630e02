package app

import (
	"context"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/flow/history"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/hold"
)

// heldRequests joins the API with holds: who asks becomes who acted.
type heldRequests struct{ *hold.Store }

var _ httpapi.Holds = heldRequests{}

// Add implements httpapi.Holds.
func (r heldRequests) Add(ctx context.Context, h hold.Hold, by access.Principal) (hold.Hold, error) {
	return r.Store.Add(ctx, h, actor(by))
}

// Review implements httpapi.Holds.
func (r heldRequests) Review(ctx context.Context, in scope.Scope, id ids.Hold, next time.Time, by access.Principal) (hold.Hold, error) {
	return r.Store.Review(ctx, in, id, next, actor(by))
}

// Release implements httpapi.Holds.
func (r heldRequests) Release(ctx context.Context, in scope.Scope, id ids.Hold, by access.Principal) (hold.Hold, error) {
	return r.Store.Release(ctx, in, id, actor(by))
}

// Records implements httpapi.Holds.
func (r heldRequests) Records(ctx context.Context, in scope.Scope, id ids.Hold, by access.Principal, yield func(hold.Record) error) error {
	return r.Store.Records(ctx, in, id, actor(by), yield)
}

// heldHistory is history from which nothing is deleted before what is held of it
// was copied.
type heldHistory struct {
	*history.History
	holds *hold.Store
}

// Delete implements admin.History.
func (x heldHistory) Delete(ctx context.Context, s scope.Scope, m ids.Message) (int, error) {
	if err := x.holds.PreserveMessage(ctx, s, m); err != nil {
		return 0, err
	}
	return x.History.Delete(ctx, s, m)
}
