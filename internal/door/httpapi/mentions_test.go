package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/mention"
	"mailvow/internal/protect/access"
)

// mentionShelf keeps searches that found one place.
type mentionShelf struct {
	ids  *ids.Source
	list []mention.Search
	said map[ids.Job]mention.Place
}

func (m *mentionShelf) Order(_ context.Context, t ids.Tenant, _ access.Principal, who pledge.Subject) (mention.Search, error) {
	x := mention.Search{ID: ids.New[ids.Job](m.ids), Tenant: t, Address: who.Address, Identifiers: who.Identifiers, Looked: 3, Found: 1, Open: 1, Whole: true}
	m.list = append(m.list, x)
	if m.said == nil {
		m.said = map[ids.Job]mention.Place{}
	}
	m.said[x.ID] = mention.Place{Search: x.ID, N: 1, Where: "text", Verdict: mention.Open, Words: "Bob owes Ann"}
	return x, nil
}

func (m *mentionShelf) Get(_ context.Context, in scope.Scope, id ids.Job) (mention.Search, error) {
	for _, x := range m.list {
		if x.ID == id && in.Allows(x.Tenant) {
			return x, nil
		}
	}
	return mention.Search{}, fault.New(fault.NotFound, "There is no such search for mentions.")
}

func (m *mentionShelf) List(_ context.Context, in scope.Scope, before ids.Job, _ int) ([]mention.Search, error) {
	var list []mention.Search
	for _, x := range m.list {
		if in.Allows(x.Tenant) && (before == 0 || x.ID < before) {
			list = append(list, x)
		}
	}
	return list, nil
}

func (m *mentionShelf) Places(_ context.Context, _ scope.Scope, id ids.Job, _, _ int) ([]mention.Place, error) {
	return []mention.Place{m.said[id]}, nil
}

func (m *mentionShelf) Decide(ctx context.Context, in scope.Scope, _ access.Principal, id ids.Job, n int, v mention.Verdict, left string) error {
	if _, err := m.Get(ctx, in, id); err != nil || n != 1 {
		return fault.New(fault.NotFound, "The search found no such place.")
	}
	p := m.said[id]
	p.Verdict, p.Left = v, left
	m.said[id] = p
	return nil
}

func TestMentionsAreReviewed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	var made MentionSearch
	b.call("POST", "/v1/mentions", `{"address":"ann@example.net","identifiers":[{"is":"phone","value":"+49 170 12345"}]}`, owner).into(t, &made)
	if made.Address != "ann@example.net" || len(made.Identifiers) != 1 || made.Found != 1 {
		t.Errorf("ordered %+v", made)
	}
	var now MentionSearch
	b.call("POST", "/v1/mentions/"+made.ID+"/decide", `{"n":1,"verdict":"mask","left":"Ann"}`, owner).into(t, &now)
	if len(now.Places) != 1 || now.Places[0].Verdict != "mask" || now.Places[0].Left != "Ann" {
		t.Errorf("decided %+v", now.Places)
	}
	for _, bad := range []string{`{"n":1,"verdict":"perhaps"}`, `{"n":0,"verdict":"keep"}`, `{"n":1}`} {
		if r := b.call("POST", "/v1/mentions/"+made.ID+"/decide", bad, owner); r.Code != http.StatusUnprocessableEntity && r.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, r.Code)
		}
	}
	if r := b.call("POST", "/v1/mentions", `{"address":"ann@example.net","identifiers":[{"is":"phone","value":"+4*"}]}`, owner); r.Code < 400 || !strings.Contains(r.Body.String(), "identifiers") {
		t.Errorf("a pattern: %d %s", r.Code, r.Body)
	}
}
