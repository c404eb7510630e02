package httpapi

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
)

// standing stands for protect/ending, which has tests of its own.
type standing struct {
	list   []ending.Ending
	breaks error // what an export ends with after its first bytes
}

var ordered = ending.Ending{ID: 7, Tenant: 7, Name: "Acme", State: ending.Waiting, By: "owner", Ordered: lab.Epoch, Closes: lab.Epoch, Due: lab.Epoch.AddDate(0, 0, 30), Deadline: lab.Epoch.AddDate(0, 0, 30),
	Counts: []ending.Counted{{Category: "users", Read: 3}, {Category: "routes"}}}

func (*standing) Plan(_ ids.Tenant, closes time.Time) (due, deadline time.Time) {
	return closes.AddDate(0, 0, 14), closes.AddDate(0, 0, 30)
}

func (*standing) Order(_ context.Context, o ending.Order, _ access.Principal) (ending.Ending, error) {
	e := ordered
	e.Tenant = o.Tenant
	return e, nil
}

func (*standing) Undo(context.Context, ids.Tenant, access.Principal) (ending.Ending, error) {
	e := ordered
	e.State, e.Ended = ending.Undone, lab.Epoch
	return e, nil
}

func (*standing) Live(context.Context, ids.Tenant) (ending.Ending, error) {
	return ending.Ending{}, fault.New(fault.NotFound, "none")
}

func (s *standing) List(_ context.Context, _ scope.Scope, before ids.Certificate, _ int) ([]ending.Ending, error) {
	if before != 0 && before <= ordered.ID {
		return nil, nil
	}
	return s.list, nil
}

func (*standing) Remains(context.Context, ending.Ending) (int, time.Time, error) {
	return 0, time.Time{}, nil
}

func (*standing) Exportable(_ context.Context, _ ids.Tenant, category string) error {
	if category == "secrets" {
		return fault.Field("category", "There is no such category to hand over.")
	}
	return nil
}

func (s *standing) Export(_ context.Context, _ ids.Tenant, _ access.Principal, _ string, w io.Writer) error {
	if s.breaks != nil {
		_, err := io.WriteString(w, "PK\x03\x04")
		return errors.Join(err, s.breaks)
	}
	z := zip.NewWriter(w)
	f, err := z.Create("index.json")
	if err == nil {
		_, err = io.WriteString(f, "{}")
	}
	if err == nil {
		err = z.Close()
	}
	return err
}

// TestTermination: what the owner is shown before, the order, the archive; an
// operator gets no archive, and nothing changes in a closed account.
func TestTermination(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	if r := b.call(http.MethodGet, "/v1/termination", "", owner); r.Code != 200 || !strings.Contains(r.Body.String(), `"state":"none"`) {
		t.Errorf("before: %d %s", r.Code, r.Body)
	}
	if r := b.call(http.MethodPost, "/v1/termination", `{"confirm":"x","customer":"`+b.other.String()+`"}`, owner); r.Code != 404 {
		t.Errorf("another customer's contract: %d %s", r.Code, r.Body)
	}
	if r := b.call(http.MethodPost, "/v1/termination", `{"confirm":"x","customer":"`+b.other.String()+`"}`, b.as(t, b.acme, access.Operator)); r.Code != 201 || !strings.Contains(r.Body.String(), b.other.String()) {
		t.Errorf("the operator ends a contract: %d %s", r.Code, r.Body)
	}
	r := b.call(http.MethodGet, "/v1/termination/export", "", owner)
	if _, err := zip.NewReader(bytes.NewReader(r.Body.Bytes()), int64(r.Body.Len())); r.Code != 200 || err != nil {
		t.Errorf("the export: %d %v", r.Code, err)
	}
	if r := b.call(http.MethodGet, "/v1/termination/export?category=secrets", "", owner); r.Code != 422 {
		t.Errorf("the export of what there is not: %d", r.Code)
	}
	must(t, b.parts.DB.Change(t.Context(), "close", func(tx *db.Tx) error { return b.parts.Tenants.Close(t.Context(), tx, b.acme, lab.Epoch) }))
	b.parts.Tenants.Forget(b.acme)
	b.parts.Endings.(*standing).list = []ending.Ending{ordered}
	if r := b.call(http.MethodPost, "/v1/domains", `{"name":"late.example"}`, owner); r.Code != 403 || !strings.Contains(r.Body.String(), "its contract ended on") {
		t.Errorf("a change in a closed account: %d %s", r.Code, r.Body)
	}
	if r := b.call(http.MethodGet, "/v1/overview", "", owner); r.Code != 200 || !strings.Contains(r.Body.String(), "Until then the export can be fetched") {
		t.Errorf("the overview of a closed account: %d %s", r.Code, r.Body)
	}
	if r := b.call(http.MethodPost, "/v1/termination/undo", `{}`, owner); r.Code != 200 {
		t.Errorf("undo: %d %s", r.Code, r.Body)
	}
}

// TestABrokenArchiveBreaksOff: nobody who fetches an export takes a part of it for
// the whole.
func TestABrokenArchiveBreaksOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.parts.Endings.(*standing).breaks = fault.New(fault.Unavailable, "The store went away.")
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/termination/export", nil)
	must(t, err)
	r.Host = "localhost"
	b.as(t, b.acme, access.Owner)(r)
	answer, err := server.Client().Do(r)
	if err != nil {
		return // nothing had gone out yet
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%d %q ended as if it were whole", answer.StatusCode, text)
	}
}
