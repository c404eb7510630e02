package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// badRequest is one thing that a program does wrong at the API, and the problem
// document that says what to do.
type badRequest struct {
	name   string
	path   string
	body   any
	header []string
	status int
	word   string // the end of the problem's type
	detail string
	at     string // the location of the first field at fault
}

func with(k string, v any) map[string]any {
	m := map[string]any{"from": "you@demo.example", "to": []string{"a@b.example"}, "subject": "x", "text": "y"}
	m[k] = v
	return m
}

var badRequests = []badRequest{
	{name: "invalid JSON", body: `{"from": "you@demo.example", `, status: 400, word: "syntax", at: "body",
		detail: "The request's body is no JSON, or it is missing; \"errors\" says where it breaks."},
	{name: "unknown field", body: with("sender_name", "x"), status: 422, word: "invalid", at: "body.sender_name",
		detail: "The request does not fit the API; \"errors\" names what to change."},
	{name: "wrong type", body: with("to", "a@b.example"), status: 422, word: "invalid", at: "body.to",
		detail: "The request does not fit the API; \"errors\" names what to change."},
	{name: "attachment that is no base64", body: with("attachments", []any{map[string]string{"content": "!!!"}}), status: 422, word: "invalid", at: "body.attachments[0].content"},
	{name: "raw message that is no base64", body: map[string]any{"to": []string{"a@b.example"}, "raw": "!!!"}, status: 422, word: "invalid", at: "body.raw"},
	{name: "unverified sender", body: with("from", "a@elsewhere.example"), status: 403, word: "denied",
		detail: "You may not send as elsewhere.example: add the domain and publish its records first."},
	{name: "no address", body: with("to", []string{"nobody"}), status: 422, word: "invalid", at: "body.to[0]"},
	{name: "header injection", body: with("headers", map[string]string{"X-A": "b\r\nBcc: c@d.example"}), status: 422, word: "invalid"},
	{name: "no token", header: []string{"Authorization", ""}, body: with("subject", "x"), status: 401, word: "unauthenticated"},
	{name: "wrong token", header: []string{"Authorization", "Bearer mv_0000000000000000000000000000000000000000"}, body: with("subject", "x"), status: 401, word: "unauthenticated"},
	{name: "no such path", path: "/v1/nothing", body: with("subject", "x"), status: 404, word: "no_such_path"},
	{name: "form instead of JSON", body: "from=you", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, word: "media_type"},
	{name: "a route to a loopback name", path: "/v1/routes", body: map[string]any{"recipient": "*@elsewhere.example", "webhook": map[string]string{"url": "https://example.net/"}}, status: 403, word: "denied"},
	{name: "a route to no URL", path: "/v1/routes", body: map[string]any{"recipient": "*@demo.example", "webhook": map[string]string{"url": "ftp://example.net/"}}, status: 422, word: "invalid", at: "body.webhook.url"},
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	for _, x := range badRequests {
		if x.path == "" {
			x.path = "/v1/messages"
		}
		label := fmt.Sprintf("status=\"%d\"", x.status)
		var p problem
		s.call(t, http.MethodPost, x.path, x.body, &p, x.header...)
		said(t, x, p)
		if s.metric(t, "mailvow_http_requests_total", label) < 1 {
			t.Errorf("%s: not counted", x.name)
		}
	}
	if n := queued(t, s); n != 0 {
		t.Errorf("%d messages came of refused requests", n)
	}
}

func said(t *testing.T, x badRequest, p problem) {
	t.Helper()
	at := ""
	if len(p.Errors) > 0 {
		at = p.Errors[0].Location
	}
	if p.Status != x.status || p.Type != "urn:mailvow:problem:"+x.word || x.detail != "" && p.Detail != x.detail || x.at != "" && at != x.at {
		t.Errorf("%s: %+v", x.name, p)
	}
	if len(p.Detail) < 20 || !strings.HasSuffix(p.Detail, ".") {
		t.Errorf("%s: %q says nobody what to do", x.name, p.Detail)
	}
}

// TestIdempotency: the same key and body give the same answer and one message;
// the same key with another body is refused.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	key := []string{"Idempotency-Key", "order-17"}
	var first, second struct{ ID string }
	s.must(t, http.MethodPost, "/v1/messages", with("subject", "one"), &first, key...)
	s.must(t, http.MethodPost, "/v1/messages", with("subject", "one"), &second, key...)
	if first.ID == "" || first.ID != second.ID {
		t.Errorf("two answers: %v %v", first, second)
	}
	var p problem
	s.call(t, http.MethodPost, "/v1/messages", with("subject", "two"), &p, key...)
	said(t, badRequest{name: "another body", status: 422, word: "key_reused", at: "header.Idempotency-Key"}, p)
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	var made struct {
		Token  string `json:"token"`
		Secret string `json:"secret"`
	}
	s.must(t, http.MethodPost, "/v1/tokens", map[string]any{"name": "short", "scopes": []string{"messages:send"}, "expires_at": time.Now().Add(5 * time.Second)}, &made)
	header := []string{"Authorization", "Bearer " + made.Token + made.Secret}
	s.must(t, http.MethodPost, "/v1/messages", with("subject", "in time"), nil, header...)
	var p problem
	eventually(t, "the token has expired", func() bool {
		return s.call(t, http.MethodPost, "/v1/messages", with("subject", "x"), nil, header...) == http.StatusUnauthorized
	})
	s.call(t, http.MethodPost, "/v1/messages", with("subject", "too late"), &p, header...)
	said(t, badRequest{name: "expired token", status: 401, word: "unauthenticated"}, p)
	if n := s.metric(t, "mailvow_http_requests_total", `status="401"`); n < 2 {
		t.Errorf("%v counted", n)
	}
}

// TestTooLargeForTheAPI: a body of 1 GB is refused after the largest that a
// message can have (50 MiB, as base64), which is read as a whole.
func TestTooLargeForTheAPI(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	before, _ := s.rss(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTP+"/v1/messages", &endless{n: 1 << 30})
	must(t, err)
	req.Host = s.host
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err == nil {
		r.Body.Close()
		if r.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", r.StatusCode)
		}
	}
	if _, most := s.rss(t); most > before+400 {
		t.Errorf("the server grew from %d to %d MiB", before, most)
	}
	if n := s.metric(t, "mailvow_http_requests_total", `status="413"`); n != 1 {
		t.Errorf("%v counted", n)
	}
}

// endless is n octets of a JSON string that does not end.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, fmt.Errorf("the server read it all")
	}
	for i := range p {
		p[i] = 'x'
	}
	if e.n == 1<<30 {
		copy(p, `{"text":"`)
	}
	e.n -= int64(len(p))
	return len(p), nil
}
