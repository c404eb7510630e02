package app

import (
	"net/http"
	"testing"
	"time"

	"mailvow/internal/base/scope"
	"mailvow/internal/protect/reads"
)

// TestReadsOfARunningServer: what somebody saw by the API stands on record with
// who, where from, whose and which; what the server holds of a message is not in it.
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
}
