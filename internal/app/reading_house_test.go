package app

import (
	"io"
	"net/http"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/lawful"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/reads"
)

// TestReadsOfARunningServer: what somebody saw by the API stands on record with
// who, where from, whose and which; what the server holds of a message is not in it.
// What is taken out for an authority is counted too.
func TestReadsOfARunningServer(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	c, err := h.canaryCustomer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := h.Clock.Now()
	for _, path := range []string{"/v1/users", "/v1/messages"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.probed.Doors["http"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = h.Config.Hostname
		r.Header.Set("Authorization", "Bearer "+c.Token)
		a, err := http.DefaultClient.Do(r)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatal(a, err)
		}
		a.Body.Close()
	}
	var list []reads.Read
	_, err = h.reads.Each(t.Context(), scope.Tenant(c.Tenant), began.Add(-time.Minute), began.Add(time.Hour), func(r reads.Read) error {
		list = append(list, r)
		return nil
	})
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	for i, operation := range []string{"list-users", "list-messages"} {
		if r := list[i]; r.Operation != operation || r.Token != c.TokenID || r.Door != reads.API || !r.From.IsLoopback() || r.Of != c.Tenant {
			t.Errorf("%+v", r)
		}
	}

	email, err := address.Parse("witness@" + canaryDomain)
	must(t, err)
	must(t, h.canaryContact(t.Context(), c, email))
	by := evidence.Actor{Role: evidence.ByOperator}
	_, err = h.lawful.Add(t.Context(), lawful.Request{Customer: c.Tenant, Kind: lawful.Data, Country: "DE", Authority: "A court", Case: "1 A 2", Law: "Section 1", Received: began}, by)
	must(t, err)
	ctx, seen := reads.Count(t.Context())
	if n, err := h.lawful.Export(ctx, scope.Everyone, "1 A 2", c.Tenant, email, by, io.Discard); err != nil || n == 0 || seen.Empty() {
		t.Errorf("an authority got %d records, and none was counted: %v; %v", n, seen.Empty(), err)
	}
}
