package app

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/scope"
)

// receiver is an OTLP collector in this process.
type receiver struct {
	mu    sync.Mutex
	names map[string]int
	said  strings.Builder // every name and attribute
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err = errors.Join(err, proto.Unmarshal(b, &in)); err != nil || q.URL.Path != "/v1/traces" {
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.WriteString(in.String())
	for _, resource := range in.GetResourceSpans() {
		for _, s := range resource.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				r.names[span.GetName()]++
			}
		}
	}
}

// TestTracesSayWhatHappenedAndNotToWhom sends a mail and asks by HTTP, and reads
// every byte that the collector got.
func TestTracesSayWhatHappenedAndNotToWhom(t *testing.T) {
	t.Parallel()
	got := &receiver{names: map[string]int{}}
	collector := httptest.NewServer(got)
	t.Cleanup(collector.Close)
	c := devConfig(DevOptions{Dir: t.TempDir(), MX: "127.0.0.1:0", Submission: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	c.Observe.OTLP = collector.URL
	var log bytes.Buffer
	h, err := Build(t.Context(), Settings{Config: c, Dev: true, Clock: clock.Wall{}, Log: slog.NewTextHandler(&log, nil)})
	if err != nil {
		t.Fatal(err)
	}
	demo, err := h.demo(t.Context())
	if err == nil {
		err = h.Start(t.Context())
	}
	if err == nil {
		err = sendTraced(demo)
	}
	if err != nil {
		t.Fatal(errors.Join(err, h.Stop(time.Second)))
	}
	answer, err := http.Get("http://" + demo.HTTP + "/v1/suppressions/secret@example.net")
	if err != nil {
		t.Error(err)
	} else {
		answer.Body.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if counts, err := h.queue.Counts(t.Context(), scope.Everyone); err == nil && len(counts) == 0 {
			break
		}
	}
	if err := h.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, name := range []string{"accept", "deliver attempt", "settle", "HTTP GET"} {
		if got.names[name] == 0 {
			t.Errorf("no span %q among %v\n%s", name, got.names, log.String())
		}
	}
	for _, personal := range []string{"you@", "@example", "someone", "secret", "Greetings", "127.0.0.1", demo.Username} {
		if strings.Contains(got.said.String(), personal) {
			t.Errorf("the collector was told %q:\n%s", personal, got.said.String())
		}
	}
}

func sendTraced(d *Demo) error {
	c, err := smtp.Dial(d.Submission)
	if err != nil {
		return err
	}
	defer c.Close()
	from, to := "you@"+d.Domain, "someone@example.net"
	if err := errors.Join(c.StartTLS(&tls.Config{InsecureSkipVerify: true}), c.Auth(smtp.PlainAuth("", d.Username, d.Password, "127.0.0.1")), c.Mail(from), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "From: "+from+"\r\nTo: "+to+"\r\nSubject: Greetings\r\n\r\nHello\r\n")
	return errors.Join(err, w.Close(), c.Quit())
}

// TestNoTracesUnlessAsked: without observe.otlp no exporter is made.
func TestNoTracesUnlessAsked(t *testing.T) {
	t.Parallel()
	h := &House{Settings: Settings{Config: config.Default()}}
	if tracer, err := h.openTraces(); tracer != nil || err != nil || len(h.closers) != 0 {
		t.Errorf("%v %v", tracer, err)
	}
}
