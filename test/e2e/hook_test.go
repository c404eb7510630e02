package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"mailvow/internal/base/message"
)

// posted is one webhook as an endpoint sees it.
type posted struct {
	Type string `json:"type"`
	Data struct {
		ID       string `json:"id"`
		Envelope struct {
			From string `json:"from"`
			To   string `json:"to"`
		} `json:"envelope"`
		Message message.View `json:"message"`
		Raw     []byte       `json:"raw"`
	} `json:"data"`
}

// endpoint is a customer's HTTP endpoint.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string][]posted // by recipient
	came   chan struct{}
	answer func(n int) int // status for the n-th request; nil is 200
	n      int
}

func hook(t testing.TB) *endpoint {
	t.Helper()
	e := &endpoint{got: map[string][]posted{}, came: make(chan struct{}, 1)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var p posted
		if err == nil {
			err = json.Unmarshal(b, &p)
		}
		if err != nil {
			t.Errorf("a webhook cannot be read: %v", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.n++
		status := http.StatusOK
		if e.answer != nil {
			status = e.answer(e.n)
		}
		w.WriteHeader(status)
		if status == http.StatusOK {
			e.got[p.Data.Envelope.To] = append(e.got[p.Data.Envelope.To], p)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// take gives what came for a recipient.
func (e *endpoint) take(to string) []posted {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got[to]
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, l := range e.got {
		n += len(l)
	}
	return n
}

// route sends the demo domain's mail to the endpoint.
func (e *endpoint) route(t testing.TB, s *server) {
	t.Helper()
	s.must(t, http.MethodPost, "/v1/routes", map[string]any{"recipient": "*@" + s.Domain, "webhook": map[string]string{"url": e.URL}}, nil)
}
