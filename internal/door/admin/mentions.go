package admin

import (
	"context"
	"net/http"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/mention"
	"mailvow/internal/protect/evidence"
)

// Mentions is flow/mention.
type Mentions interface {
	Order(ctx context.Context, t ids.Tenant, by evidence.Actor, who pledge.Subject) (mention.Search, error)
	Get(ctx context.Context, in scope.Scope, id ids.Job) (mention.Search, error)
	List(ctx context.Context, in scope.Scope, before ids.Job, limit int) ([]mention.Search, error)
	Places(ctx context.Context, in scope.Scope, id ids.Job, n, limit int) ([]mention.Place, error)
	Decide(ctx context.Context, in scope.Scope, by evidence.Actor, id ids.Job, n int, v mention.Verdict, left string) error
}

// The operations on searches of texts.
const (
	MentionOrder  Op[SubjectRef, Mentioned]      = "mention/order"
	MentionList   Op[RequestsOf, []Mentioned]    = "mention/list"
	MentionShow   Op[MentionRef, Mentioned]      = "mention/show"
	MentionDecide Op[MentionDecision, Mentioned] = "mention/decide"
)

// MentionRef names a search.
type MentionRef struct {
	ID ids.Job `json:"id"`
}

// MentionDecision says what the person gets of one place.
type MentionDecision struct {
	MentionRef
	N       int             `json:"n"`
	Verdict mention.Verdict `json:"verdict"`
	Left    string          `json:"left,omitzero"`
}

// Mentioned is a search as it is printed, with the places it found where one is shown.
type Mentioned struct {
	ID      ids.Job         `json:"id"`
	Tenant  ids.Tenant      `json:"customer"`
	Address string          `json:"address"`
	Asked   string          `json:"asked"`
	Ended   string          `json:"ended,omitempty"`
	Looked  int             `json:"looked"`
	Found   int             `json:"found"`
	Open    int             `json:"open"`
	Whole   bool            `json:"whole"`
	Problem string          `json:"problem,omitempty"`
	Places  []MentionedHere `json:"places,omitempty"`
}

// MentionedHere is one place.
type MentionedHere struct {
	N       int             `json:"n"`
	Message ids.Message     `json:"message"`
	Where   string          `json:"where"`
	Verdict mention.Verdict `json:"verdict"`
	Words   string          `json:"words"`
	Left    string          `json:"left,omitempty"`
}

func mentioned(x mention.Search) Mentioned {
	v := Mentioned{
		ID: x.ID, Tenant: x.Tenant, Address: x.Address.Text(), Asked: evidence.On(x.Asked).String(), Looked: x.Looked, Found: x.Found, Open: x.Open,
		Whole: x.Whole, Problem: x.Problem,
	}
	if !x.Ended.IsZero() {
		v.Ended = evidence.On(x.Ended).String()
	}
	return v
}

func (s *Server) mentions(mux *http.ServeMux, p Parts) {
	show := func(ctx context.Context, id ids.Job) (Mentioned, error) {
		x, err := p.Mentions.Get(ctx, scope.Everyone, id)
		if err != nil {
			return Mentioned{}, err
		}
		v := mentioned(x)
		places, err := p.Mentions.Places(ctx, scope.Everyone, id, 0, mention.MaxFound)
		for _, x := range places {
			v.Places = append(v.Places, MentionedHere{x.N, x.Message, x.Where, x.Verdict, x.Words, x.Left})
		}
		return v, err
	}
	handle(s, mux, MentionOrder, func(ctx context.Context, in SubjectRef) (Mentioned, error) {
		who, err := in.subject()
		if err == nil && in.Customer == 0 {
			err = fault.Field("customer", "Say in whose mail to look: --customer.")
		}
		if p.Mentions == nil || err != nil {
			return Mentioned{}, firstOf(err, absent("texts"))
		}
		x, err := p.Mentions.Order(ctx, in.Customer, operator(), who)
		if err != nil {
			return Mentioned{}, err
		}
		return mentioned(x), nil
	})
	handle(s, mux, MentionList, func(ctx context.Context, in RequestsOf) ([]Mentioned, error) {
		if p.Mentions == nil {
			return nil, absent("texts")
		}
		found, err := p.Mentions.List(ctx, scopeOf(in.Customer), 0, maxRequests)
		list := make([]Mentioned, len(found))
		for i, x := range found {
			list[i] = mentioned(x)
		}
		return list, err
	})
	handle(s, mux, MentionShow, func(ctx context.Context, in MentionRef) (Mentioned, error) {
		if p.Mentions == nil {
			return Mentioned{}, absent("texts")
		}
		return show(ctx, in.ID)
	})
	handle(s, mux, MentionDecide, func(ctx context.Context, in MentionDecision) (Mentioned, error) {
		if p.Mentions == nil {
			return Mentioned{}, absent("texts")
		}
		if err := p.Mentions.Decide(ctx, scope.Everyone, operator(), in.ID, in.N, in.Verdict, in.Left); err != nil {
			return Mentioned{}, err
		}
		return show(ctx, in.ID)
	})
}
