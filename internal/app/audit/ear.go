package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/standard/webhook"
)

// maxHeard bounds what the endpoint keeps: requests, and the octets of one.
const maxHeard, maxPost = 256, 4 << 20

// ear is the auditor's own endpoint: it keeps what a server posts to it. Its paths
// cannot be guessed, so that nobody but the audited server posts there.
type ear struct {
	url      string // by which the server reaches it
	listener net.Listener
	server   *http.Server
	done     chan struct{}
	mu       sync.Mutex
	got      []heard
	answers  map[string]int // by path; 200 otherwise
}

// heard is one request.
type heard struct {
	path   string
	header http.Header
	body   []byte
	at     time.Time
}

func listen(ctx context.Context, addr, url string, now func() time.Time) (*ear, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The auditor cannot listen on "+addr+".")
	}
	if url == "" {
		url = "http://" + l.Addr().String()
	}
	e := &ear{url: strings.TrimSuffix(url, "/"), listener: l, done: make(chan struct{}), answers: map[string]int{}}
	e.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(e.take(w, r, now()))
	})}
	go func() {
		defer close(e.done)
		if err := e.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return // the audit sees that nothing arrives
		}
	}()
	return e, nil
}

func (e *ear) take(w http.ResponseWriter, r *http.Request, at time.Time) int {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPost+1))
	if err != nil || len(body) > maxPost {
		return http.StatusRequestEntityTooLarge
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.got) == maxHeard {
		return http.StatusServiceUnavailable
	}
	e.got = append(e.got, heard{r.URL.Path, r.Header.Clone(), body, at})
	status, set := e.answers[r.URL.Path]
	if !set {
		return http.StatusOK
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1") // so that what is still there comes again while we listen
	}
	return status
}

// path makes one that is answered with a status; 0 is 200.
func (e *ear) path(status int) string {
	path := "/" + strings.ToLower(rand.Text())
	e.mu.Lock()
	defer e.mu.Unlock()
	if status != 0 {
		e.answers[path] = status
	}
	return path
}

func (e *ear) heard() []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]heard(nil), e.got...)
}

func (e *ear) close() {
	e.server.Close()
	<-e.done
}

// await waits for a request of which match says yes.
func (a *auditor) await(ctx context.Context, e *ear, match func(*heard) bool) (*heard, bool) {
	end := a.Clock.Now().Add(a.Patience)
	for seen := 0; ; {
		list := e.heard()
		for i := seen; i < len(list); i++ {
			if match(&list[i]) {
				return &list[i], true
			}
		}
		seen = len(list)
		if !a.Clock.Now().Before(end) || clock.Sleep(ctx, a.Clock, 50*time.Millisecond) != nil {
			return nil, false
		}
	}
}

// event is the body of a webhook, as far as an auditor reads it.
type event struct {
	Type string `json:"type"`
	Data struct {
		ID      string `json:"id"`
		Address string `json:"address"`
		Raw     string `json:"raw"`
	} `json:"data"`
}

func (h *heard) event() (e event, raw []byte) {
	if json.Unmarshal(h.body, &e) != nil {
		return event{}, nil
	}
	raw, err := base64.StdEncoding.DecodeString(e.Data.Raw)
	if err != nil {
		return e, nil
	}
	return e, raw
}

// holds reports whether a word stands in the request, as it is or in the message
// that it carries.
func (h *heard) holds(word string) bool {
	if bytes.Contains(h.body, []byte(word)) {
		return true
	}
	_, raw := h.event()
	return bytes.Contains(raw, []byte(word))
}

// signed verifies a request's signature by the secret of its route.
func (h *heard) signed(secret string) error {
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		return err
	}
	return webhook.Verify(h.header, h.body, h.at, key)
}
