package object_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/object"
)

// TestPutAgain has a store answer as one does whose folder was just going: a
// request that met another is sent again, whole, and not for ever.
func TestPutAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   string
		times  int // that the store gives up
		kind   fault.Kind
		wanted int // requests
	}{
		{code: "ExistingObjectIsDirectory", times: 1, wanted: 2},
		{code: "OperationAborted", times: 9, kind: fault.Unavailable, wanted: 4},
		{code: "ConditionalRequestConflict", times: 9, kind: fault.Conflict, wanted: 1},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			var bodies []string // one request at a time
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if bodies = append(bodies, string(body)); len(bodies) <= c.times {
					w.Header().Set("Content-Type", "application/xml")
					w.WriteHeader(http.StatusConflict)
					_, _ = io.WriteString(w, "<Error><Code>"+c.code+"</Code><Message>no</Message></Error>")
				}
			}))
			t.Cleanup(store.Close)
			bucket, err := object.NewS3(object.Config{
				Endpoint: strings.TrimPrefix(store.URL, "http://"), Bucket: "mail", Region: "eu-test", Access: "a", Secret: "s", PathStyle: true,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, address)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			err = bucket.Put(t.Context(), "some/thing", []byte("sealed"))
			if gone := len(bodies) > c.times; gone != (err == nil) || !gone && !fault.Is(err, c.kind) {
				t.Error(err)
			}
			if len(bodies) != c.wanted {
				t.Fatalf("%d requests", len(bodies))
			}
			for _, b := range bodies {
				if !strings.Contains(b, "sealed") {
					t.Errorf("a request without the content: %q", b)
				}
			}
		})
	}
}
