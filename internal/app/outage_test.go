package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/queue"
)

// asks is one GET to a node's door for the operator.
func asks(t *testing.T, addr, path string) (status int, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "mail.mailvow.test"
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// TestTheBlobStoreGoesAway: while the bucket of messages is away, large messages
// are put off and leave nothing behind, small ones go on, and what is queued waits
// for its bytes. All goes on without a restart when the bucket is back.
func TestTheBlobStoreGoesAway(t *testing.T) {
	long(t)
	t.Parallel()
	e := newEstate(t, 0)
	h := e.house("smtp, deliver, api, worker")
	submission, web := h.doors.at("submission"), h.doors.at("http")
	const large = 300_000
	ready := func() bool { status, _ := asks(t, web, "/readyz"); return status == http.StatusOK }
	list := func() []queue.Item {
		t.Helper()
		items, err := h.queue.List(t.Context(), scope.Everyone, queue.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	retry := func() {
		t.Helper()
		if _, err := h.queue.Retry(t.Context(), scope.Everyone, queue.Selection{Everything: true}, queue.Hand{Actor: history.ByOperator}); err != nil {
			t.Fatal(err)
		}
	}
	e.away.Store(true)
	if err := e.submit(submission, "waits", large); err != nil {
		t.Fatal(err)
	}
	tried := func(n int) func() bool {
		return func() bool { l := list(); return len(l) == 1 && l[0].Attempts >= n && l[0].State == queue.Ready }
	}
	e.until(20*time.Second, "the large message was tried", tried(1))
	if !ready() {
		t.Error("a node with all its stores is not ready")
	}
	before, err := e.data.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.data.Stop()
	e.away.Store(false)
	if err := e.submit(submission, "refused", large); err == nil || !strings.HasPrefix(err.Error(), "45") || !strings.Contains(err.Error(), "4.3.") {
		t.Errorf("without the bucket a large message got %v", err)
	}
	if err := e.submit(submission, "small", 100); err != nil {
		t.Errorf("without the bucket a small message got %v", err)
	}
	e.until(20*time.Second, "the small one is delivered", func() bool { return e.arrived()["small"] == 1 })
	retry()
	e.until(60*time.Second, "the large one is put off", tried(2))
	if n := e.arrived()["waits"]; n != 0 {
		t.Error("a message without its bytes was delivered")
	}
	if status, body := asks(t, web, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "The message store (data.s3) cannot be reached.") {
		t.Errorf("not ready is said as %d %s", status, body)
	}
	if status, _ := asks(t, web, "/healthz"); status != http.StatusOK {
		t.Error("the process lives, but /healthz says", status)
	}
	e.data.Start(t)
	e.until(30*time.Second, "it is ready", ready)
	retry()
	e.until(60*time.Second, "the large one is delivered", func() bool { return e.arrived()["waits"] == 1 })
	if err := e.submit(submission, "after", large); err != nil {
		t.Errorf("after the outage a large message got %v", err)
	}
	e.until(20*time.Second, "all is delivered", func() bool { return e.arrived()["after"] == 1 && len(list()) == 0 })
	if e.arrived()["refused"] != 0 {
		t.Error("what was refused was delivered")
	}
	after, err := e.data.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name := range after {
		if _, old := before[name]; !old && strings.HasPrefix(name, "blobs/") {
			t.Error("the outage left half a message behind:", name)
		}
	}
}
