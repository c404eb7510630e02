package httpapi

import (
	"context"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
)

type cctx = context.Context

// request is what the frame knows of one request.
type request struct {
	id      ids.Request
	who     access.Principal
	denied  error  // why who is nobody, when credentials were shown
	cookie  string // the session cookie's secret, when that is how they came
	bearer  bool
	weighed bool   // the body is in memory, within the budget
	peer    string // the address the connection came from
}

type requestKey struct{}

func withRequest(ctx cctx, r *request) cctx { return context.WithValue(ctx, requestKey{}, r) }

func requestOf(ctx cctx) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

func requestID(ctx cctx) string { return requestOf(ctx).id.String() }

// Asker is who asks for an operation, and over whose things it may go. The scope
// is that of the operation's permission.
type Asker struct {
	access.Principal
	Scope scope.Scope
}
