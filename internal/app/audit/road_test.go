package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/app"
	"mailvow/internal/app/audit"
)

// relay stands between the server and the auditor's endpoint. What it hands on it
// may bend, and it keeps it all, as a server does that does not let go.
type relay struct {
	*httptest.Server
	bent bool
	mu   sync.Mutex
	to   map[string]string // path → the auditor's URL
	late []post            // what the endpoint put off
	no   []byte            // the raw message that the endpoint refused
}

type post struct {
	url    string
	header http.Header
	body   []byte
}

func newRelay(t *testing.T, bent bool) *relay {
	t.Helper()
	r := &relay{bent: bent, to: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// instead gives the address that the server is told instead of the auditor's.
func (r *relay) instead(url string) string {
	path := url[strings.LastIndex(url, "/"):]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to[path] = url
	return r.URL + path
}

// ServeHTTP implements http.Handler.
func (r *relay) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	p := post{r.to[in.URL.Path], in.Header.Clone(), body}
	r.mu.Unlock()
	if r.bent {
		p.body = r.bend(body)
	}
	status, again := p.send()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch status {
	case http.StatusServiceUnavailable:
		r.late = append(r.late, p)
		w.Header().Set("Retry-After", again)
	case http.StatusNotFound:
		_, r.no = rawOf(body)
	}
	w.WriteHeader(status)
}

func (p post) send() (int, string) {
	out, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return http.StatusBadGateway, ""
	}
	out.Header = p.header
	a, err := http.DefaultClient.Do(out)
	if err != nil {
		return http.StatusBadGateway, ""
	}
	defer a.Body.Close()
	return a.StatusCode, a.Header.Get("Retry-After")
}

// again sends what was put off once more.
func (r *relay) again() {
	r.mu.Lock()
	late := r.late
	r.late = nil
	r.mu.Unlock()
	for _, p := range late {
		p.send()
	}
}

func rawOf(body []byte) (map[string]any, []byte) {
	var e map[string]any
	if json.Unmarshal(body, &e) != nil {
		return nil, nil
	}
	data, _ := e["data"].(map[string]any)
	text, _ := data["raw"].(string)
	raw, _ := base64.StdEncoding.DecodeString(text)
	return e, raw
}

// bend rewrites links, and puts what was refused into the notice of it.
func (r *relay) bend(body []byte) []byte {
	e, raw := rawOf(body)
	if len(raw) == 0 {
		return body
	}
	raw = bytes.ReplaceAll(raw, []byte("auditor.invalid/canary"), []byte("click.invalid/canary"))
	r.mu.Lock()
	if bytes.Contains(raw, []byte("message/delivery-status")) {
		raw = append(raw, r.no...)
	}
	r.mu.Unlock()
	e["data"].(map[string]any)["raw"] = base64.StdEncoding.EncodeToString(raw)
	out, err := json.Marshal(e)
	if err != nil {
		return body
	}
	return out
}

// road is an audit with an endpoint.
func road(d app.Demo, url, dir string) audit.Config {
	return audit.Config{
		URL: url, Dir: dir, Token: d.Token, From: "audit@" + app.DevDomain, To: "someone@elsewhere.example", Listen: "127.0.0.1:0",
		Doors: map[string]string{"mx": d.MX}, Patience: time.Minute, Watch: time.Millisecond,
	}
}

// TestRoadOfACustomer follows mail out, in, refused and erased while it waits, at
// a server that keeps its word.
func TestRoadOfACustomer(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, t.TempDir())
	r := run(t, road(d, "http://"+d.HTTP, t.TempDir()))
	for _, id := range []string{
		"policy.published", "policy.tls.mx", "policy.tracking", "webhook.out", "webhook.in", "webhook.content_gone",
		"webhook.told", "webhook.certified", "webhook.erased", "dsn.headers_only",
	} {
		if state(r, id) != audit.Holds {
			t.Errorf("%s %q:\n%s", id, state(r, id), r.Text)
		}
	}
	if state(r, "policy.record") != audit.Unseen || state(r, "webhook.tidied") != "" {
		t.Error(r.Text)
	}
}

// TestLiesAreSeen: the same server, behind somebody who doctors the policy that it
// publishes, bends what comes to the endpoint, and sends an erased person's mail
// once more.
func TestLiesAreSeen(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, t.TempDir())
	p, r := newProxy(t), newRelay(t, true)
	p.show(d, func(path string, body []byte) []byte {
		switch path {
		case "/trust/policy.json":
			return bytes.Replace(body, []byte("subject: keep"), []byte("subject: drop"), 1)
		case "/v1/subjects/erase":
			p.next = r.again // as soon as the answer is out
		}
		return body
	})
	p.ask = func(path string, body []byte) []byte {
		var in struct {
			Recipient string            `json:"recipient"`
			Webhook   map[string]string `json:"webhook"`
		}
		if path != "/v1/routes" || json.Unmarshal(body, &in) != nil || in.Webhook == nil {
			return body
		}
		in.Webhook["url"] = r.instead(in.Webhook["url"])
		out, err := json.Marshal(in)
		if err != nil {
			return body
		}
		return out
	}
	report := run(t, road(d, p.URL, t.TempDir()))
	for _, id := range []string{"policy.published", "policy.record", "policy.tracking", "webhook.out", "webhook.erased", "dsn.headers_only"} {
		if state(report, id) != audit.Broken {
			t.Errorf("%s is %q:\n%s", id, state(report, id), report.Text)
		}
	}
	if state(report, "webhook.told") != audit.Holds {
		t.Errorf("the endpoint was told: %s", report.Text)
	}
}

// TestPolicyIsHeldAgainstTheLog: a version that is changed, made up or left out is
// found, also by who comes again.
func TestPolicyIsHeldAgainstTheLog(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, t.TempDir())
	p, dir := newProxy(t), t.TempDir()
	shown := func(patience time.Duration, change func(map[string]any)) audit.State {
		t.Helper()
		p.show(d, func(path string, body []byte) []byte {
			var all map[string][]map[string]any
			if path != "/trust/policy.json" || json.Unmarshal(body, &all) != nil {
				return body
			}
			whole := map[string]any{"versions": all["versions"], "first": all["versions"][0]}
			change(whole)
			out, err := json.Marshal(whole)
			if err != nil {
				return body
			}
			return out
		})
		return state(run(t, audit.Config{URL: p.URL, Dir: dir, Patience: patience}), "policy.published")
	}
	first := func(all map[string]any) map[string]any { return all["first"].(map[string]any) }
	if got := shown(time.Minute, func(map[string]any) {}); got != audit.Holds {
		t.Errorf("as it is: %s", got)
	}
	for name, change := range map[string]func(map[string]any){
		"another text": func(all map[string]any) { first(all)["text"] = first(all)["text"].(string) + "\n# and more" },
		"made up":      func(all map[string]any) { first(all)["number"] = 9 },
		"one more": func(all map[string]any) {
			all["versions"] = append(all["versions"].([]map[string]any), map[string]any{"number": 2, "effective": "2026-01-01T00:00:00Z", "text": "tracking: {opens: off}"})
		},
	} {
		if got := shown(time.Millisecond, change); got != audit.Broken {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := shown(time.Minute, func(map[string]any) {}); got != audit.Holds {
		t.Errorf("the auditor's memory was bent: %s", got)
	}
}
