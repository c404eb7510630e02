package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/reads"
)

// op is one operation of the API: what the document says of it, and the
// permission that it needs. Open is the word for "no permission": signing in.
type op struct {
	id      string // operationId
	method  string
	path    string
	summary string
	tag     string
	needs   access.Permission
	status  int         // of success; 0 is 200, or 201 for a POST that makes something
	body    limit.Bytes // the largest request body; 0 is 256 KiB
	once    bool        // the answer shows a secret: it is not stored for a repeat
	raw     bool        // the body is a message as it is, which the operation reads while it comes
	quiet   bool        // changes nothing, though it is no GET: leaves no mark in the log of acts
}

// open needs nothing.
const open access.Permission = "open"

const (
	permissionKey = "permission"
	plainBody     = 256 * limit.KiB
)

// register adds an operation. Who may not is turned away before the body is read.
func register[I, O any](a *API, o op, f func(context.Context, Asker, *I) (*O, error)) {
	operation := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag},
		DefaultStatus: o.status, MaxBodyBytes: int64(orBytes(o.body, plainBody)), BodyReadTimeout: bodyTime,
		Metadata:                     map[string]any{permissionKey: o.needs},
		Extensions:                   map[string]any{"x-permission": string(o.needs)},
		RejectUnknownQueryParameters: true,
		Middlewares:                  huma.Middlewares{a.permit(o)},
	}
	if o.needs != open {
		operation.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	if o.raw {
		operation.RequestBody = rawBody()
	}
	if o.method == http.MethodPost {
		operation.Parameters = append(operation.Parameters, idempotencyParameter())
	}
	a.secretive[o.method+" "+o.path] = o.once
	a.operations[o.method+" "+o.path], a.needs[o.method+" "+o.path] = o.id, o.needs
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*O, error) {
		asker := Asker{Principal: requestOf(ctx).who}
		asker.Scope, _ = asker.May(o.needs)
		ctx, read := reads.Count(ctx)
		out, err := f(ctx, asker, in)
		if err == nil {
			err = a.onRecord(ctx, o.id, asker, out, read)
		}
		if err != nil {
			report(ctx, a.log, o.id, err)
			p := problemOf(err, asker.Role == access.Operator)
			p.Instance = instanceOf(ctx)
			return nil, p
		}
		if o.method != http.MethodGet && !o.quiet && a.parts.Acts != nil {
			if err := a.parts.Acts.Act(ctx, asker.Principal, o.id); err != nil {
				a.log.ErrorContext(ctx, "an act could not be put on record", "operation", o.id, "request", requestID(ctx), "error", err)
			}
		}
		a.used(ctx, asker, o)
		return out, nil
	})
}

// permit holds the permission table, before anything of the request is read.
func (a *API) permit(o op) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if o.needs == open {
			a.weighed(ctx, o, next)
			return
		}
		r := requestOf(ctx.Context())
		if !r.who.Known() {
			err := r.denied
			if err == nil {
				err = fault.New(fault.Unauthenticated, "")
			}
			a.refuse(ctx, o.id, err)
			return
		}
		if _, ok := r.who.May(o.needs); !ok {
			if why := r.who.WhyNot(o.needs); why != "" {
				a.refuse(ctx, o.id, fault.New(fault.Denied, why))
				return
			}
			a.refuse(ctx, o.id, fault.New(fault.Denied, "You may not do this: it needs the permission "+string(o.needs)+"."))
			return
		}
		if err := a.stillOpen(ctx.Context(), r.who, o); err != nil {
			a.refuse(ctx, o.id, err)
			return
		}
		a.weighed(ctx, o, next)
	}
}

func (a *API) refuse(ctx huma.Context, operation string, err error) {
	report(ctx.Context(), a.log, operation, err)
	request, w := unwrap(ctx)
	writeProblem(w, request, problemOf(err, false))
}

func orBytes(b, otherwise limit.Bytes) limit.Bytes {
	if b == 0 {
		return otherwise
	}
	return b
}

func idempotencyParameter() *huma.Param {
	longest := maxKey
	return &huma.Param{
		Name: "Idempotency-Key", In: "header",
		Description: "A word of your own, such as a UUID. A repeat with the same key and body within 24 hours does nothing again and gets the first answer.",
		Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
	}
}
