package httpapi

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/link"
	"mailvow/internal/protect/tenant"
)

// papersOf makes documents over the bench's policy, of a server on which only
// encryption fails.
func papersOf(t testing.TB, p *Parts) *document.Store {
	t.Helper()
	ring, err := evidence.OpenRing(t.TempDir()+"/keys", "mail.test/evidence", rand.Reader)
	must(t, err)
	return document.New(document.Config{
		DB: p.DB, Stage: evidence.NewStage(p.DB), IDs: p.IDs, Clock: p.Clock, Links: link.New(p.DB, p.Vault, p.IDs, p.Clock),
		Sign: ring.SignStatement, Draw: func(*document.Paper, []byte) ([]byte, error) { return []byte("%PDF"), nil },
		Facts: func(_ context.Context, of ids.Tenant) (document.Facts, error) {
			now := p.Clock.Now()
			f := document.Facts{Server: "mail.test", URL: "https://mail.test", Policy: p.Policy.For(of, now), Inventory: p.Inventory.Entries(), Now: now, Seen: map[string]document.Seen{}}
			f.Operator = document.Operator{Name: "Example", Address: "Example Street 1"}
			f.Seen["ca-rest"] = document.Seen{Says: "Sealed.", Status: pledge.Failing, CheckedAt: now}
			return f, nil
		},
	})
}

// TestDocuments: the operator sees what is marked, and publishes it explicitly or
// not at all; a customer gets a copy under its own policy, and of what is not
// public none.
func TestDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	operator, owner := b.as(t, tenant.Platform, access.Operator), b.as(t, b.acme, access.Owner)
	var draft DocumentDraft
	b.call("GET", "/v1/documents/measures/draft", "", operator).into(t, &draft)
	if len(draft.Marks) == 0 || draft.Marks[0].RestsOn != "ca-rest" || draft.Marks[0].Status != "failing" {
		t.Errorf("%+v", draft.Marks)
	}
	if r := b.call("POST", "/v1/documents/measures/versions", `{"note":"first"}`, operator); r.Code != http.StatusConflict || !strings.Contains(r.Body.String(), "ca-rest") {
		t.Errorf("published silently: %d %s", r.Code, r.Body)
	}
	var v DocumentVersion
	b.call("POST", "/v1/documents/measures/versions", `{"note":"first","anyway":"a disk is on its way"}`, operator).into(t, &v)
	if v.Number != 1 || len(v.Despite) == 0 || v.Reason == "" {
		t.Errorf("%+v", v)
	}
	var list []DocumentState
	b.call("GET", "/v1/documents", "", owner).into(t, &list)
	for _, d := range list {
		if d.Marks != 0 || d.Changed {
			t.Errorf("a customer sees what is marked: %+v", d)
		}
		if (d.Newest != nil) != (d.Document == "measures") {
			t.Errorf("%+v", d)
		}
	}
	b.call("POST", "/v1/policy/versions", `{"settings":{"breach.customer":"5h"}}`, owner)
	var copied DocumentCopy
	b.call("GET", "/v1/documents/dpa/copy", "", owner).into(t, &copied)
	if s, err := document.Verify(copied.Note, copied.Markdown, nil); err != nil || s.Policy != "1-1" || !strings.Contains(string(copied.Markdown), "within 5 hours") {
		t.Errorf("%+v %v\n%s", s, err, copied.Markdown)
	}
	if r := b.call("GET", "/v1/documents/security-paper/copy", "", owner); r.Code != http.StatusForbidden {
		t.Errorf("what is not public: %d", r.Code)
	}
	if r := b.call("POST", "/v1/documents/security-paper/links", `{"days":7}`, owner); r.Code != http.StatusForbidden {
		t.Errorf("a customer admits: %d", r.Code)
	}
	if r := b.call("GET", "/v1/documents/poem/copy", "", owner); r.Code != http.StatusNotFound {
		t.Errorf("no such document: %d", r.Code)
	}
}
