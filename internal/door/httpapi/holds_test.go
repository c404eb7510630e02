package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
)

// oneLetter is a source with a record of each message.
type oneLetter struct{}

func (oneLetter) Messages(_ context.Context, _ ids.Tenant, _ hold.Kind, _ address.Address, _ ids.Message, yield func(ids.Message) error) error {
	return yield(1 << 40)
}

func (oneLetter) Records(_ context.Context, _ ids.Tenant, messages []ids.Message, had func(string, int64) bool, yield func(hold.Record) error) error {
	for i, m := range messages {
		for _, category := range []string{"message records", "conversations"} {
			if had(category, int64(i)) {
				continue
			}
			if err := yield(hold.Record{Category: category, ID: int64(i), Message: m, Fields: []hold.Field{{Name: "reply", Value: category}}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchHolds acts for whom the API names.
type benchHolds struct{ *hold.Store }

var bySystem = evidence.Actor{Role: evidence.BySystem}

func (r benchHolds) Add(ctx context.Context, h hold.Hold, _ access.Principal) (hold.Hold, error) {
	return r.Store.Add(ctx, h, bySystem)
}

func (r benchHolds) Review(ctx context.Context, in scope.Scope, id ids.Hold, next time.Time, _ access.Principal) (hold.Hold, error) {
	return r.Store.Review(ctx, in, id, next, bySystem)
}

func (r benchHolds) Release(ctx context.Context, in scope.Scope, id ids.Hold, _ access.Principal) (hold.Hold, error) {
	return r.Store.Release(ctx, in, id, bySystem)
}

func (r benchHolds) Records(ctx context.Context, in scope.Scope, id ids.Hold, _ access.Principal, yield func(hold.Record) error) error {
	return r.Store.Records(ctx, in, id, bySystem, yield)
}

func holdsOf(p *Parts) Holds {
	return benchHolds{hold.New(hold.Config{
		Source: oneLetter{}, DB: p.DB, Vault: p.Vault, Stage: evidence.NewStage(p.DB), IDs: p.IDs, Clock: p.Clock, Observe: p.Observe,
	})}
}

// TestHolds: an owner holds, reads, is warned and releases; conversations open to
// the customer and not to the operator.
func TestHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner, operator := b.as(t, b.acme, access.Owner), b.as(t, b.acme, access.Operator)
	id := things["/v1/holds/{id}"](t, b, b.acme)
	read := func(with func(*http.Request)) string {
		t.Helper()
		r := b.call(http.MethodGet, "/v1/holds/"+id+"/records", "", with)
		if r.Code != http.StatusOK {
			t.Fatal(r.Code, r.Body)
		}
		return r.Body.String()
	}
	if all := read(owner); !strings.Contains(all, `"conversations"`) || strings.Count(all, "\n") != 2 {
		t.Errorf("the owner reads %s", all)
	}
	if all := read(operator); strings.Contains(all, `"conversations"`) || strings.Count(all, "\n") != 1 {
		t.Errorf("the operator reads %s", all)
	}
	overview := func() string { return b.call(http.MethodGet, "/v1/overview", "", owner).Body.String() }
	if strings.Contains(overview(), id) {
		t.Error("an alert before the review's date")
	}
	b.clock.Wind(31 * 24 * time.Hour)
	owner = b.as(t, b.acme, access.Owner)
	if !strings.Contains(overview(), id) {
		t.Errorf("nobody reviewed the hold and no alert says so: %s", overview())
	}
	if r := b.call(http.MethodPost, "/v1/holds/"+id+"/release", "", owner); r.Code != http.StatusOK || strings.Contains(r.Body.String(), "bob@") {
		t.Errorf("release: %d %s", r.Code, r.Body)
	}
	if r := b.call(http.MethodGet, "/v1/holds/"+id+"/records", "", owner); r.Code != http.StatusGone {
		t.Errorf("a released hold: %d %s", r.Code, r.Body)
	}
	if strings.Contains(overview(), id) {
		t.Error("an alert about a released hold")
	}
}
