package httpapi

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/mention"
	"mailvow/internal/protect/access"
)

// Mentions finds persons in texts of mail between others; app fills it with
// flow/mention.
type Mentions interface {
	Order(ctx context.Context, t ids.Tenant, by access.Principal, who pledge.Subject) (mention.Search, error)
	Get(ctx context.Context, in scope.Scope, id ids.Job) (mention.Search, error)
	List(ctx context.Context, in scope.Scope, before ids.Job, limit int) ([]mention.Search, error)
	Places(ctx context.Context, in scope.Scope, id ids.Job, n, limit int) ([]mention.Place, error)
	Decide(ctx context.Context, in scope.Scope, by access.Principal, id ids.Job, n int, v mention.Verdict, left string) error
}

// MentionSearch is an order to look for a person in texts of mail between others.
type MentionSearch struct {
	ID          string             `json:"id"`
	Customer    string             `json:"customer"`
	Address     string             `json:"address"`
	Identifiers []PersonIdentifier `json:"identifiers" nullable:"false"`
	AskedAt     time.Time          `json:"asked_at"`
	EndedAt     *time.Time         `json:"ended_at" doc:"Null while it goes on."`
	Looked      int                `json:"looked" doc:"Texts that were looked at."`
	Found       int                `json:"found" doc:"Places at which the person is named."`
	Open        int                `json:"open" doc:"Places on which nobody has decided yet."`
	Whole       bool               `json:"whole" doc:"False where it stopped at its bound of places or texts."`
	Problem     string             `json:"problem,omitempty"`
	Places      []MentionPlace     `json:"places,omitempty" nullable:"false" doc:"With one search: what it found."`
}

// MentionPlace is one place.
type MentionPlace struct {
	N       int    `json:"n"`
	Message string `json:"message"`
	Where   string `json:"where" enum:"text,subject"`
	Verdict string `json:"verdict" enum:"open,keep,mask,leave_out"`
	Words   string `json:"words" doc:"The words around it, as they stand."`
	Left    string `json:"left,omitempty" doc:"Of a masked place: what the person gets."`
}

type mentionOut struct{ Body MentionSearch }

type decideMentionIn struct {
	ByID
	Body struct {
		N       int    `json:"n" minimum:"1" maximum:"1000" doc:"Which place."`
		Verdict string `json:"verdict" enum:"keep,mask,leave_out"`
		Left    string `json:"left,omitempty" maxLength:"600" doc:"Of a masked place: what is left of the words. Without it the person's own name alone."`
	}
}

func (a *API) mentionRoutes() {
	tag, p := "subjects", access.SubjectsManage
	register(a, op{id: "list-mention-searches", method: http.MethodGet, path: "/v1/mentions", summary: "Searches of texts for persons, newest first", tag: tag, needs: p}, a.listMentions)
	register(a, op{id: "search-mentions", method: http.MethodPost, path: "/v1/mentions", summary: "Look for a person in the texts of your mail between others: what waits, and subjects of records", tag: tag, needs: p, quiet: true, status: http.StatusCreated}, a.searchMentions)
	register(a, op{id: "get-mention-search", method: http.MethodGet, path: "/v1/mentions/{id}", summary: "How a search stands, and the places that it found", tag: tag, needs: p}, a.getMentions)
	register(a, op{id: "decide-mention", method: http.MethodPost, path: "/v1/mentions/{id}/decide", summary: "Say what the person gets of one place", tag: tag, needs: p, quiet: true, status: http.StatusOK}, a.decideMention)
}

func viewMentions(x mention.Search) MentionSearch {
	v := MentionSearch{
		ID: x.ID.String(), Customer: x.Tenant.String(), Address: x.Address.Text(), Identifiers: []PersonIdentifier{}, AskedAt: x.Asked.UTC(), EndedAt: when(x.Ended),
		Looked: x.Looked, Found: x.Found, Open: x.Open, Whole: x.Whole, Problem: x.Problem,
	}
	for _, i := range x.Identifiers {
		v.Identifiers = append(v.Identifiers, PersonIdentifier{string(i.Is), i.Value})
	}
	return v
}

func (a *API) listMentions(ctx context.Context, who Asker, in *Paging) (*pageOut[MentionSearch], error) {
	if a.parts.Mentions == nil {
		return nil, absent()
	}
	return pageOf(a, listing("mentions", who), *in, func(before int64, limit int) ([]mention.Search, error) {
		return a.parts.Mentions.List(ctx, who.Scope, ids.Job(before), limit)
	}, func(x mention.Search) int64 { return int64(x.ID) }, viewMentions)
}

func (a *API) searchMentions(ctx context.Context, who Asker, in *findIn) (*mentionOut, error) {
	if a.parts.Mentions == nil {
		return nil, absent()
	}
	s, err := a.subject(who, in.Body.Address, in.Body.Identifiers)
	if err != nil {
		return nil, err
	}
	x, err := a.parts.Mentions.Order(ctx, who.Tenant, who.Principal, s)
	if err != nil {
		return nil, err
	}
	return &mentionOut{viewMentions(x)}, nil
}

func (a *API) getMentions(ctx context.Context, who Asker, in *ByID) (*mentionOut, error) {
	if a.parts.Mentions == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Job]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return a.mentions(ctx, who.Scope, id)
}

func (a *API) mentions(ctx context.Context, in scope.Scope, id ids.Job) (*mentionOut, error) {
	x, err := a.parts.Mentions.Get(ctx, in, id)
	if err != nil {
		return nil, err
	}
	places, err := a.parts.Mentions.Places(ctx, in, id, 0, mention.MaxFound)
	if err != nil {
		return nil, err
	}
	v := viewMentions(x)
	for _, p := range places {
		v.Places = append(v.Places, MentionPlace{p.N, p.Message.String(), p.Where, string(p.Verdict), p.Words, p.Left})
	}
	return &mentionOut{v}, nil
}

func (a *API) decideMention(ctx context.Context, who Asker, in *decideMentionIn) (*mentionOut, error) {
	if a.parts.Mentions == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Job]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.parts.Mentions.Decide(ctx, who.Scope, who.Principal, id, in.Body.N, mention.Verdict(in.Body.Verdict), in.Body.Left); err != nil {
		return nil, err
	}
	return a.mentions(ctx, who.Scope, id)
}
