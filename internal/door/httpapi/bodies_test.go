package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/limit"
	"mailvow/internal/protect/access"
)

// slow is a body that stops after its first half until it may go on.
type slow struct {
	first, rest io.Reader
	began       func()
	goOn        <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); n > 0 || err == nil {
		return n, err
	}
	if s.began != nil {
		s.began()
		s.began = nil
	}
	<-s.goOn
	return s.rest.Read(p)
}

// TestLargeBodiesStayWithinTheBudget sends many large bodies at once, with and
// without a length, with and without a key: those for which there is no room are
// told to come again, and all that are under way hold no more than the budget.
func TestLargeBodiesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	const each, budget, many = 2 * limit.MiB, 8 * limit.MiB, 20
	for name, with := range map[string]func(*http.Request){
		"a length":            func(*http.Request) {},
		"no length":           func(r *http.Request) { r.ContentLength = -1 },
		"a length and a key":  func(r *http.Request) { r.Header.Set("Idempotency-Key", r.Header.Get("X-Number")) },
		"no length but a key": func(r *http.Request) { r.ContentLength = -1; r.Header.Set("Idempotency-Key", r.Header.Get("X-Number")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *Config, _ *Parts) { c.MaxMessage, c.Bodies = 4*limit.MiB, budget })
			token := b.token(t, b.acme, access.ScopeMessagesSend)
			goOn, turned := make(chan struct{}), make(chan struct{}, many)
			var all sync.WaitGroup
			codes := make(chan int, many)
			for i := range many {
				text := `{"text":"` + strings.Repeat("x", int(each)-20) + `"}`
				half := len(text) / 2
				r := httptest.NewRequest("POST", "http://localhost/v1/messages", &slow{
					first: strings.NewReader(text[:half]), rest: strings.NewReader(text[half:]), goOn: goOn, began: func() { turned <- struct{}{} },
				})
				r.ContentLength = int64(len(text))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-Number", strings.Repeat("k", i+1))
				token(r)
				with(r)
				all.Go(func() {
					w := httptest.NewRecorder()
					b.ServeHTTP(w, r)
					if w.Code == 503 {
						turned <- struct{}{}
						if w.Header().Get("Retry-After") == "" {
							t.Error("a 503 without Retry-After")
						}
					}
					codes <- w.Code
				})
			}
			for range many { // each is half there, or turned away
				select {
				case <-turned:
				case <-time.After(30 * time.Second):
					t.Fatal("a request neither waits nor was turned away")
				}
			}
			if held := b.bodies.Held(); held > budget || held < each {
				t.Errorf("%s are held of %s", held, budget)
			}
			close(goOn)
			all.Wait()
			close(codes)
			count := map[int]int{}
			for c := range codes {
				count[c]++
			}
			if count[503] == 0 || count[422] == 0 || count[503]+count[422] != many || b.bodies.Held() != 0 {
				t.Errorf("answers %v, %s are still held", count, b.bodies.Held())
			}
		})
	}
}

// TestRawMessagesStream: a message/rfc822 body goes through while the whole
// budget is taken by others, and comes out with CRLF.
func TestRawMessagesStream(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, _ *Parts) { c.MaxMessage = 4 * limit.MiB })
	b.domain(t, b.acme, "news.example")
	token, kind := b.token(t, b.acme, access.ScopeMessagesSend), header("Content-Type", "message/rfc822")
	if !b.bodies.TryTake(b.config.Bodies) {
		t.Fatal("the budget is not free")
	}
	raw := "From: ann@news.example\nTo: bob@example.net\nSubject: Raw\r\n\nGrüße\n" + strings.Repeat("a line of text\n", 100_000) + "end"
	var made Accepted
	b.call("POST", "/v1/messages/raw?to=only@example.net&to=second@example.net&tag=news", raw, token, kind).into(t, &made)
	b.bodies.Leave(b.config.Bodies)
	want := strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n", "\r\n") + "\r\n"
	if got := b.content(t, made.ID); len(made.Recipients) != 2 || made.Recipients[0].Address != "only@example.net" || !strings.HasSuffix(got, want) {
		t.Errorf("%+v, %d bytes", made, len(got))
	}
	for name, c := range map[string]struct {
		body string
		kind string
		code int
	}{
		"bare CR":        {"From: ann@news.example\r\nTo: bob@example.net\r\n\r\na\rb\r\n", "message/rfc822", 422},
		"too large":      {"From: ann@news.example\nTo: bob@example.net\n\n" + strings.Repeat("a line of text\n", 300_000), "message/rfc822", 422},
		"another's name": {"From: ann@elsewhere.example\nTo: bob@example.net\n\nx\n", "message/rfc822", 403},
		"no recipient":   {"From: ann@news.example\n\nx\n", "message/rfc822", 422},
		"a Bcc field":    {"From: ann@news.example\nTo: bob@example.net\nBcc: c@example.net\n\nx\n", "message/rfc822", 422},
		"not a message":  {"{}", "application/json", 422},
	} {
		if r := b.call("POST", "/v1/messages/raw", c.body, token, header("Content-Type", c.kind)); r.Code != c.code {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	key := header("Idempotency-Key", "once")
	var one, two Accepted
	small := "From: ann@news.example\nTo: bob@example.net\n\nx\n"
	b.call("POST", "/v1/messages/raw", small, token, kind, key).into(t, &one)
	b.call("POST", "/v1/messages/raw", small, token, kind, key).into(t, &two)
	if r := b.call("POST", "/v1/messages/raw?to=another@example.net", small, token, kind, key); r.Code != 422 || r.problem(t).Type != problemPrefix+"key_reused" {
		t.Errorf("the same key and body to somebody else: %d %s", r.Code, r.Body)
	}
	if one.ID == "" || one.ID != two.ID {
		t.Errorf("a repeat made %s, then %s", one.ID, two.ID)
	}
}

// TestBodiesHaveTimeToArrive: the framework's own five seconds are too few for a
// message of the largest size on an ordinary line.
func TestBodiesHaveTimeToArrive(t *testing.T) {
	t.Parallel()
	for _, o := range operations(newBench(t).API) {
		if o.BodyReadTimeout != bodyTime {
			t.Errorf("%s gives a body %s to arrive, want %s", o.OperationID, o.BodyReadTimeout, bodyTime)
		}
	}
}

// timed is a peer who notes the deadlines that are set for reading from it.
type timed struct {
	*httptest.ResponseRecorder
	until []time.Time
}

func (w *timed) SetReadDeadline(t time.Time) error {
	w.until = append(w.until, t)
	return nil
}

// TestADeadlineIsForTheBodyAlone: what is done with a body that came bit by bit,
// or with a key, may take longer than the body did.
func TestADeadlineIsForTheBodyAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(t, b.acme, access.ScopeSubjectsManage)
	for name, with := range map[string]func(*http.Request){
		"no length": func(r *http.Request) { r.ContentLength = -1 },
		"a key":     header("Idempotency-Key", "once"),
	} {
		r := httptest.NewRequest("POST", "http://localhost/v1/subjects/find", strings.NewReader(`{"address":"ann@example.com"}`))
		r.Header.Set("Content-Type", "application/json")
		token(r)
		with(r)
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		b.ServeHTTP(w, r)
		if n := len(w.until); w.Code != http.StatusOK || n == 0 || w.until[0].IsZero() || !w.until[n-1].IsZero() {
			t.Errorf("%s: %d, deadlines %v", name, w.Code, w.until)
		}
	}
}
