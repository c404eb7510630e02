package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/hold"
	"mailvow/internal/protect/reads"
)

// Holds is protect/hold; app fills it.
type Holds interface {
	Add(ctx context.Context, h hold.Hold, by access.Principal) (hold.Hold, error)
	Get(ctx context.Context, in scope.Scope, id ids.Hold) (hold.Hold, error)
	List(ctx context.Context, in scope.Scope, before ids.Hold, limit int) ([]hold.Hold, error)
	Overdue(ctx context.Context, in scope.Scope) ([]hold.Hold, error)
	Count(ctx context.Context, h hold.Hold) (int, error)
	Review(ctx context.Context, in scope.Scope, id ids.Hold, next time.Time, by access.Principal) (hold.Hold, error)
	Release(ctx context.Context, in scope.Scope, id ids.Hold, by access.Principal) (hold.Hold, error)
	// Records gives what a hold keeps; the look is on record first.
	Records(ctx context.Context, in scope.Scope, id ids.Hold, by access.Principal, yield func(hold.Record) error) error
}

// Hold is a legal hold. What it says of persons is gone once it is released.
type Hold struct {
	ID         string     `json:"id"`
	Customer   string     `json:"customer"`
	Kind       string     `json:"kind" enum:"person,message,customer"`
	Address    string     `json:"address,omitempty" doc:"Of a person."`
	Message    string     `json:"message,omitempty" doc:"Of a message."`
	Case       string     `json:"case,omitempty" doc:"The name that joins several holds."`
	Ground     string     `json:"ground" enum:"claim,dispute,legal_duty,authority"`
	Note       string     `json:"note,omitempty"`
	Owner      string     `json:"owner,omitempty" doc:"The user who answers for it; empty: the operator."`
	ReviewAt   time.Time  `json:"review_at" doc:"By when somebody must look at it again."`
	Overdue    bool       `json:"overdue" doc:"Nobody reviewed it by its date."`
	CreatedAt  time.Time  `json:"created_at"`
	ReleasedAt *time.Time `json:"released_at" doc:"Null while it holds."`
	Records    int        `json:"records" doc:"How many records it keeps by now."`
}

type holdOut struct{ Body Hold }

type newHold struct {
	Body struct {
		Customer string    `json:"customer,omitempty" maxLength:"64" doc:"Whose data; without it the asker's own customer."`
		Kind     string    `json:"kind" enum:"person,message,customer"`
		Address  string    `json:"address,omitempty" maxLength:"320"`
		Message  string    `json:"message,omitempty" maxLength:"64"`
		Case     string    `json:"case,omitempty" maxLength:"200"`
		Ground   string    `json:"ground" enum:"claim,dispute,legal_duty,authority"`
		Note     string    `json:"note,omitempty" maxLength:"1000"`
		Owner    string    `json:"owner,omitempty" maxLength:"64" doc:"The user who answers for it; without one, who asks."`
		ReviewAt time.Time `json:"review_at" doc:"Within a year."`
	}
}

type reviewHold struct {
	ByID
	Body struct {
		ReviewAt time.Time `json:"review_at" doc:"The next date; within a year."`
	}
}

func (a *API) holdRoutes() {
	tag, p := "subjects", access.SubjectsManage
	register(a, op{id: "list-holds", method: http.MethodGet, path: "/v1/holds", summary: "List legal holds", tag: tag, needs: p}, a.listHolds)
	register(a, op{id: "create-hold", method: http.MethodPost, path: "/v1/holds", summary: "Keep the records of a person, a message or a customer beyond their period", tag: tag, needs: p, status: http.StatusCreated, quiet: true}, a.createHold)
	register(a, op{id: "get-hold", method: http.MethodGet, path: "/v1/holds/{id}", summary: "One legal hold", tag: tag, needs: p}, a.getHold)
	register(a, op{id: "read-hold", method: http.MethodGet, path: "/v1/holds/{id}/records", summary: "What a hold keeps (JSON lines); the look is in the evidence log", tag: tag, needs: p}, a.readHold)
	register(a, op{id: "review-hold", method: http.MethodPost, path: "/v1/holds/{id}/review", summary: "Say that a hold is still needed", tag: tag, needs: p, status: http.StatusOK, quiet: true}, a.reviewHold)
	register(a, op{id: "release-hold", method: http.MethodPost, path: "/v1/holds/{id}/release", summary: "End a hold: what it kept goes", tag: tag, needs: p, status: http.StatusOK, quiet: true}, a.releaseHold)
}

func (a *API) viewHold(ctx context.Context, h hold.Hold) (Hold, error) {
	n, err := a.parts.Holds.Count(ctx, h)
	v := Hold{
		ID: h.ID.String(), Customer: h.Tenant.String(), Kind: string(h.Kind), Case: h.Case, Ground: string(h.Ground), Note: h.Note, Address: h.Address.Text(),
		ReviewAt: h.Review.UTC(), Overdue: h.Overdue(a.parts.Clock.Now()), CreatedAt: h.Created.UTC(), ReleasedAt: when(h.Released), Records: n,
	}
	if h.Message != 0 {
		v.Message = h.Message.String()
	}
	if h.Owner != 0 {
		v.Owner = h.Owner.String()
	}
	return v, err
}

func (a *API) oneHold(ctx context.Context, h hold.Hold, err error) (*holdOut, error) {
	if err != nil {
		return nil, err
	}
	v, err := a.viewHold(ctx, h)
	return &holdOut{v}, err
}

func (a *API) listHolds(ctx context.Context, who Asker, in *Paging) (*pageOut[Hold], error) {
	if a.parts.Holds == nil {
		return nil, absent()
	}
	var wrong error
	out, err := pageOf(a, listing("holds", who), *in, func(before int64, limit int) ([]hold.Hold, error) {
		return a.parts.Holds.List(ctx, who.Scope, ids.Hold(before), limit)
	}, func(h hold.Hold) int64 { return int64(h.ID) }, func(h hold.Hold) Hold {
		v, err := a.viewHold(ctx, h)
		if err != nil {
			wrong = err
		}
		return v
	})
	if err == nil {
		err = wrong
	}
	return out, err
}

func (a *API) createHold(ctx context.Context, who Asker, in *newHold) (*holdOut, error) {
	if a.parts.Holds == nil {
		return nil, absent()
	}
	b := &in.Body
	h := hold.Hold{Tenant: who.Tenant, Kind: hold.Kind(b.Kind), Case: b.Case, Ground: hold.Ground(b.Ground), Note: b.Note, Owner: who.User, Review: b.ReviewAt}
	var err error
	if b.Customer != "" {
		if h.Tenant, err = idAt[ids.Tenant]("customer", b.Customer); err != nil {
			return nil, err
		}
	}
	if !who.Scope.Allows(h.Tenant) {
		return nil, fault.Field("customer", "There is no such customer.")
	}
	if _, err := a.parts.Tenants.Get(ctx, scope.Tenant(h.Tenant), h.Tenant); err != nil {
		return nil, err
	}
	if b.Owner != "" {
		if h.Owner, err = idAt[ids.User]("owner", b.Owner); err != nil {
			return nil, err
		}
		if _, err := a.parts.Access.User(ctx, who.Scope, h.Owner); err != nil {
			return nil, err
		}
	}
	if h.Owner == 0 {
		return nil, fault.Field("owner", "Somebody must answer for a hold: name a user, or make it as one.")
	}
	if b.Address != "" {
		if h.Address, err = addressAt("address", b.Address); err != nil {
			return nil, err
		}
	}
	if b.Message != "" {
		if h.Message, err = idAt[ids.Message]("message", b.Message); err != nil {
			return nil, err
		}
	}
	h, err = a.parts.Holds.Add(ctx, h, who.Principal)
	return a.oneHold(ctx, h, err)
}

// holdOf reads which hold an operation is about.
func (a *API) holdOf(id string) (ids.Hold, error) {
	if a.parts.Holds == nil {
		return 0, absent()
	}
	return idAt[ids.Hold]("path.id", id)
}

func (a *API) getHold(ctx context.Context, who Asker, in *ByID) (*holdOut, error) {
	id, err := a.holdOf(in.ID)
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Holds.Get(ctx, who.Scope, id)
	return a.oneHold(ctx, h, err)
}

func (a *API) reviewHold(ctx context.Context, who Asker, in *reviewHold) (*holdOut, error) {
	id, err := a.holdOf(in.ID)
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Holds.Review(ctx, who.Scope, id, in.Body.ReviewAt, who.Principal)
	return a.oneHold(ctx, h, err)
}

func (a *API) releaseHold(ctx context.Context, who Asker, in *ByID) (*holdOut, error) {
	id, err := a.holdOf(in.ID)
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Holds.Release(ctx, who.Scope, id, who.Principal)
	return a.oneHold(ctx, h, err)
}

// heldLine is one line of what a hold keeps.
type heldLine struct {
	Category string            `json:"category"`
	Message  ids.Message       `json:"message"`
	At       time.Time         `json:"at"`
	Fields   map[string]string `json:"fields"`
}

func (a *API) readHold(ctx context.Context, who Asker, in *ByID) (*stream, error) {
	id, err := a.holdOf(in.ID)
	if err != nil {
		return nil, err
	}
	h, err := a.parts.Holds.Get(ctx, who.Scope, id)
	if err != nil {
		return nil, err
	}
	if err := a.frozen(ctx, scope.Tenant(h.Tenant)); err != nil {
		return nil, err
	}
	// A conversation opens to whom it opens elsewhere too.
	talks, _ := who.May(access.MessagesTranscript)
	var lines bytes.Buffer
	out := json.NewEncoder(&bounded{w: &lines, left: maxExport})
	err = a.parts.Holds.Records(ctx, who.Scope, id, who.Principal, func(r hold.Record) error {
		if r.Category == "conversations" && !talks.Allows(h.Tenant) {
			return nil
		}
		line := heldLine{r.Category, r.Message, r.At.UTC(), map[string]string{}}
		for _, f := range r.Fields {
			line.Fields[f.Name] = f.Value
		}
		reads.Saw(ctx, ofHeld, h.Tenant, r.Message, r.At)
		return out.Encode(line)
	})
	if err != nil {
		return nil, err
	}
	return download("application/jsonl", "hold.jsonl", int64(lines.Len()), &lines, io.NopCloser(nil)), nil
}

// heldAlerts names the holds that nobody reviewed by their date.
func (a *API) heldAlerts(ctx context.Context, in scope.Scope) ([]Alert, error) {
	if a.parts.Holds == nil {
		return nil, nil
	}
	overdue, err := a.parts.Holds.Overdue(ctx, in)
	var list []Alert
	for _, h := range overdue {
		list = append(list, Alert{"hold", "The legal hold " + h.ID.String() + " was to be reviewed by " + h.Review.UTC().Format(time.DateOnly) + ": say that it is still needed, or release it."})
	}
	return list, err
}
