package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
)

// TestProblems: wrong input gets exactly this answer.
func TestProblems(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	_, expired, err := b.parts.Access.AddToken(t.Context(), access.House(), b.acme, "x", []access.Scope{access.ScopeMessagesSend}, b.clock.Now().Add(time.Second))
	must(t, err)
	b.clock.Wind(time.Second)
	for _, c := range []struct {
		name, method, path, body string
		with                     func(*http.Request)
		status                   int
		word, detail, location   string
	}{
		{"no JSON", "POST", "/v1/tokens", `{"name":`, owner, 400, "syntax", "no JSON", "body"},
		{"no object", "POST", "/v1/tokens", `[]`, owner, 422, "invalid", "errors", "body"},
		{"unknown field", "POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"],"colour":1}`, owner, 422, "invalid", "errors", "body.colour"},
		{"missing field", "POST", "/v1/tokens", `{"name":"x"}`, owner, 422, "invalid", "errors", "body"},
		{"wrong type", "POST", "/v1/tokens", `{"name":5,"scopes":["messages:send"]}`, owner, 422, "invalid", "errors", "body.name"},
		{"wrong scope", "POST", "/v1/tokens", `{"name":"x","scopes":["root"]}`, owner, 422, "invalid", "does not exist", "body.scopes"},
		{"control in name", "POST", "/v1/tokens", `{"name":"a\nb","scopes":["messages:send"]}`, owner, 422, "invalid", "control", "body.name"},
		{"wrong time", "POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"],"expires_at":"tomorrow"}`, owner, 422, "invalid", "errors", "body.expires_at"},
		{"past", "POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"],"expires_at":"2020-01-01T00:00:00Z"}`, owner, 422, "invalid", "expired", "body.expires_at"},
		{"wrong query", "GET", "/v1/tokens?limit=many", "", owner, 422, "invalid", "errors", "query.limit"},
		{"too many", "GET", "/v1/tokens?limit=1000", "", owner, 422, "invalid", "errors", "query.limit"},
		{"unknown query", "GET", "/v1/tokens?lmit=1", "", owner, 422, "invalid", "errors", "query.lmit"},
		{"forged cursor", "GET", "/v1/tokens?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", owner, 422, "invalid", "cursor", "query.cursor"},
		{"wrong id", "DELETE", "/v1/tokens/tok_nonsense", "", owner, 422, "invalid", "tok_", "path.id"},
		{"other kind of id", "DELETE", "/v1/tokens/" + b.acme.String(), "", owner, 422, "invalid", "tok_", "path.id"},
		{"not there", "DELETE", "/v1/tokens/" + ids.Token(12345).String(), "", owner, 404, "not_found", "no such token", ""},
		{"no path", "GET", "/v1/nothing", "", owner, 404, "no_such_path", "/openapi.json", ""},
		{"wrong method", "PUT", "/v1/tokens", "", owner, 405, "method", "GET", ""},
		{"nobody", "GET", "/v1/tokens", "", func(*http.Request) {}, 401, "unauthenticated", "Say who you are", ""},
		{"unknown token", "GET", "/v1/tokens", "", bearer("mv_" + strings.Repeat("a", 40)), 401, "unauthenticated", "not known", ""},
		{"no token", "GET", "/v1/tokens", "", bearer("hello"), 401, "unauthenticated", "not known", ""},
		{"other scheme", "GET", "/v1/tokens", "", header("Authorization", "Basic eDp5"), 401, "unauthenticated", "Bearer", ""},
		{"expired token", "GET", "/v1/tokens", "", bearer(expired), 401, "unauthenticated", "expired on 2026-11-21", ""},
		{"old session", "GET", "/v1/tokens", "", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "mailvow_session", Value: "x"}) }, 401, "unauthenticated", "over", ""},
		{"too weak", "GET", "/v1/tokens", "", b.as(t, b.acme, access.Viewer), 403, "denied", "tokens:manage", ""},
		{"large body", "POST", "/v1/tokens", `{"name":"` + strings.Repeat("x", 300<<10) + `"}`, owner, 413, "too_large", "large", ""},
		{"foreign host", "GET", "/v1/session", "", func(r *http.Request) { r.Host = "evil.example" }, 421, "misdirected", "Host", ""},
		{"foreign site", "POST", "/v1/tokens", `{}`, func(r *http.Request) { owner(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "cross_origin", "another site", ""},
		{"foreign origin", "DELETE", "/v1/session", "", func(r *http.Request) { owner(r); r.Header.Set("Origin", "https://evil.example") }, 403, "cross_origin", "another site", ""},
		{"wrong address", "POST", "/v1/users", `{"email":"nobody","name":"X","role":"viewer"}`, owner, 422, "invalid", "local@domain", "body.email"},
		{"short password", "POST", "/v1/users", `{"email":"n@example.com","name":"X","role":"viewer","password":"short"}`, owner, 422, "invalid", "12 characters", "body.password"},
		{"taken address", "POST", "/v1/users", `{"email":"owner@other.example","name":"X","role":"viewer"}`, owner, 409, "conflict", "exists already", "body.email"},
		{"wrong password", "POST", "/v1/session", `{"email":"owner@acme.example","password":"wrong"}`, func(*http.Request) {}, 401, "unauthenticated", "wrong", ""},
		{"used link", "POST", "/v1/session", `{"link":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`, func(*http.Request) {}, 401, "unauthenticated", "link", ""},
		{"half a sign-in", "POST", "/v1/session", `{"email":"owner@acme.example"}`, func(*http.Request) {}, 422, "invalid", "either", "body.link"},
		{"wide network", "POST", "/v1/credentials", `{"name":"x","network":"0.0.0.0/0"}`, owner, 422, "invalid", "no larger", "body.network"},
		{"network as admin", "POST", "/v1/credentials", `{"name":"x","network":"192.0.2.0/24"}`, b.as(t, b.acme, access.Admin), 403, "denied", "networks:manage", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := b.call(c.method, c.path, c.body, c.with)
			p := r.problem(t)
			if r.Code != c.status || p.Type != problemPrefix+c.word || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("%d %+v", r.Code, p)
			}
			if c.location != "" && (len(p.Errors) == 0 || !located(p, c.location)) {
				t.Errorf("does not name %s: %+v", c.location, p.Errors)
			}
			if c.status != 421 && (p.Instance != "urn:mailvow:request:"+r.Header().Get("Request-Id") || r.Header().Get("Request-Id") == "") {
				t.Errorf("instance %q, request %q", p.Instance, r.Header().Get("Request-Id"))
			}
			if r.Header().Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
			if c.status == 401 && r.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

func located(p Problem, location string) bool {
	for _, e := range p.Errors {
		if e.Location == location && e.Message != "" {
			return true
		}
	}
	return false
}

// TestInsideStaysInside: an internal fault shows a reference and nothing else.
func TestInsideStaysInside(t *testing.T) {
	t.Parallel()
	p := problemOf(fault.Because(fault.Internal, os.ErrPermission, "secret detail").WithHint("look at /var/lib"), false)
	if p.Status != 500 || strings.Contains(p.Detail, "secret") || strings.Contains(p.Detail, "permission") || p.Hint != "" {
		t.Errorf("%+v", p)
	}
	b := newBench(t)
	b.mux.HandleFunc("GET /v1/panic", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	r := b.call("GET", "/v1/panic", "")
	if p := r.problem(t); r.Code != 500 || strings.Contains(r.Body.String(), "secret") || p.Instance == "" {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	if r := b.call("PATCH", "/v1/session", `{"password":"a new long password"}`, owner); r.Code != 200 {
		t.Fatal(r.Code, r.Body)
	}
	r := b.call("POST", "/v1/session", `{"email":"Owner@Acme.example","password":"a new long password"}`)
	var s Session
	r.into(t, &s)
	if s.User == nil || s.User.Email != "owner@acme.example" || s.Customer.Name != "acme" || len(s.Roles) != 1 || s.Roles[0] != "owner" || len(s.Permissions) < 20 {
		t.Errorf("%+v", s)
	}
	cookies := r.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].MaxAge <= 0 {
		t.Fatalf("%+v", cookies)
	}
	mine := func(r *http.Request) { r.AddCookie(cookies[0]) }
	if r := b.call("GET", "/v1/session", "", mine); r.Code != 200 {
		t.Error(r.Code, r.Body)
	}
	wrong := b.call("PATCH", "/v1/session", `{"password":"another long password","current_password":"wrong"}`, mine)
	if p := wrong.problem(t); wrong.Code != 422 || !located(p, "body.current_password") {
		t.Errorf("%+v", p)
	}
	out := b.call("DELETE", "/v1/session", "", mine)
	if out.Code != 204 || out.Result().Cookies()[0].MaxAge >= 0 {
		t.Error(out.Code, out.Result().Cookies())
	}
	if r := b.call("GET", "/v1/session", "", mine); r.Code != 401 {
		t.Error("signed out, and still in:", r.Code)
	}
}

// TestGuessing: the eleventh attempt on an account is put off, from wherever.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 12 {
		r := b.call("POST", "/v1/session", `{"email":"owner@acme.example","password":"wrong wrong wrong"}`, func(r *http.Request) {
			r.RemoteAddr = "192.0.2." + string(rune('1'+i%9)) + ":1234"
		})
		if want := map[bool]int{true: 401, false: 429}[i < 10]; r.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, r.Code, want)
		}
	}
}

// TestAnOfficeBehindOneAddress: those who sign in leave the attempts of their address
// to the others.
func TestAnOfficeBehindOneAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	from := func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1234" }
	if r := b.call("PATCH", "/v1/session", `{"password":"a new long password"}`, b.as(t, b.acme, access.Owner)); r.Code != 200 {
		t.Fatal(r.Code)
	}
	for i := range 9 {
		if r := b.call("POST", "/v1/session", `{"email":"owner@acme.example","password":"a new long password"}`, from); r.Code != 201 && r.Code != 200 {
			t.Fatalf("sign-in %d: %d", i+1, r.Code)
		}
	}
	for i := range 11 {
		r := b.call("POST", "/v1/session", `{"email":"nobody`+strconv.Itoa(i)+`@acme.example","password":"wrong wrong wrong"}`, from)
		if want := map[bool]int{true: 401, false: 429}[i < 10]; r.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, r.Code, want)
		}
	}
}

// TestGuessingFromOneNetwork: who has an IPv6 /64 to choose from is one address.
func TestGuessingFromOneNetwork(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 12 {
		n := strconv.Itoa(i)
		r := b.call("POST", "/v1/session", `{"email":"nobody`+n+`@acme.example","password":"wrong wrong wrong"}`, func(r *http.Request) {
			r.RemoteAddr = "[2001:db8:1:2::" + n + "]:1234"
		})
		if want := map[bool]int{true: 401, false: 429}[i < 10]; r.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, r.Code, want)
		}
	}
}

func TestSecureCookie(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, _ *Parts) { c.SecureCookies = true })
	if c := b.cookie("x", time.Hour); !strings.HasPrefix(c, "__Host-mailvow_session=x; Path=/;") || !strings.Contains(c, "Secure") {
		t.Error(c)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	made := map[string]bool{}
	for range 5 {
		var token Token
		b.call("POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"]}`, owner).into(t, &token)
		made[token.ID] = true
		if token.Secret == "" {
			t.Error("no secret is shown")
		}
	}
	var next string
	for page := 0; ; page++ {
		r := b.call("GET", "/v1/tokens?limit=2&cursor="+next, "", owner)
		var got Page[Token]
		r.into(t, &got)
		for _, token := range got.Items {
			if !made[token.ID] || token.Secret != "" {
				t.Errorf("twice, or with its secret: %+v", token)
			}
			delete(made, token.ID)
		}
		if got.Next == nil {
			if page != 2 || len(made) != 0 {
				t.Errorf("%d pages, %d tokens missing", page+1, len(made))
			}
			return
		}
		next = *got.Next
		for what, stranger := range map[string]func(*http.Request){"another customer": b.as(t, b.other, access.Owner)} {
			if r := b.call("GET", "/v1/tokens?cursor="+next, "", stranger); r.Code != 422 {
				t.Errorf("the cursor works for %s: %d", what, r.Code)
			}
		}
		if r := b.call("GET", "/v1/credentials?cursor="+next, "", owner); r.Code != 422 {
			t.Errorf("the cursor works in another list: %d", r.Code)
		}
	}
}

// TestIdempotency runs on both databases.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		b := benchOn(t, config)
		owner, key := b.as(t, b.acme, access.Owner), header("Idempotency-Key", "k1")
		body := `{"email":"new@acme.example","name":"New","role":"viewer"}`
		first := b.call("POST", "/v1/users", body, owner, key)
		again := b.call("POST", "/v1/users", body, owner, key)
		if first.Code != 201 || again.Code != 201 || first.Body.String() != again.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" {
			t.Fatalf("%d %s\n%d %s", first.Code, first.Body, again.Code, again.Body)
		}
		other := b.call("POST", "/v1/users", strings.Replace(body, "new@", "newer@", 1), owner, key)
		if p := other.problem(t); other.Code != 422 || p.Type != problemPrefix+"key_reused" {
			t.Errorf("%+v", p)
		}
		refusedFirst := b.call("POST", "/v1/users", `{"email":"nobody"}`, owner, header("Idempotency-Key", "k2"))
		refusedAgain := b.call("POST", "/v1/users", `{"email":"nobody"}`, owner, header("Idempotency-Key", "k2"))
		if refusedFirst.Code != 422 || refusedAgain.Code != 422 || refusedAgain.problem(t).Type != problemPrefix+"invalid" {
			t.Errorf("a refusal is replayed as it was: %d %s", refusedAgain.Code, refusedAgain.Body)
		}
		stranger := b.call("POST", "/v1/users", `{"email":"new2@other.example","name":"New","role":"viewer"}`, b.as(t, b.other, access.Owner), key)
		if stranger.Code != 201 {
			t.Errorf("another customer's key is another key: %d %s", stranger.Code, stranger.Body)
		}
		for _, without := range []func(*http.Request){b.as(t, b.acme, access.Viewer), b.token(t, b.acme, access.ScopeMessagesSend)} {
			if r := b.call("POST", "/v1/users", body, without, key); r.Code != 403 {
				t.Errorf("a colleague without the permission got the stored answer: %d %s", r.Code, r.Body)
			}
		}
		secret := header("Idempotency-Key", "k3")
		made := b.call("POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"]}`, owner, secret)
		repeat := b.call("POST", "/v1/tokens", `{"name":"x","scopes":["messages:send"]}`, owner, secret)
		if made.Code != 201 || repeat.Code != 409 || repeat.problem(t).Type != problemPrefix+"already_done" || strings.Contains(repeat.Body.String(), "mv_") {
			t.Errorf("%d, then %d %s", made.Code, repeat.Code, repeat.Body)
		}
		for _, bad := range []string{strings.Repeat("k", 256), "a\tb"} {
			if r := b.call("POST", "/v1/users", body, owner, header("Idempotency-Key", bad)); r.Code != 422 {
				t.Errorf("key %.10q: %d", bad, r.Code)
			}
		}
		b.clock.Wind(24*time.Hour + time.Second)
		if n, err := b.Purge(t.Context()); n != 4 || err != nil {
			t.Errorf("purged %d of 4 stored answers: %v", n, err)
		}
	})
}

// TestDuplicatesAtOnce: of many equal requests at the same moment one acts; the
// others get its answer or are told that it is under way.
func TestDuplicatesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	codes := make([]int, 12)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() {
			codes[i] = b.call("POST", "/v1/users", `{"email":"one@acme.example","name":"One","role":"viewer"}`, owner, header("Idempotency-Key", "same")).Code
		})
	}
	all.Wait()
	for _, code := range codes {
		if code != 201 && code != 409 {
			t.Errorf("%v", codes)
		}
	}
	if r := b.call("POST", "/v1/users", `{"email":"one@acme.example","name":"One","role":"viewer"}`, owner, header("Idempotency-Key", "same")); r.Code != 201 {
		t.Errorf("the repeat afterwards: %d", r.Code)
	}
}

// TestAbandoned: what began before a crash and never ended may begin again, but
// not while it may still run.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hash, err := b.parts.Vault.Hash(b.acme, "idempotency", "/v1/users\x00k")
	must(t, err)
	body := `{"email":"one@acme.example","name":"One","role":"viewer"}`
	fresh, _, err := b.begin(context.Background(), entry{tenant: b.acme, hash: hash, body: bodyHash(body)})
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	owner, key := b.as(t, b.acme, access.Owner), header("Idempotency-Key", "k")
	r := b.call("POST", "/v1/users", body, owner, key)
	if p := r.problem(t); r.Code != 409 || p.Type != problemPrefix+"under_way" || r.Header().Get("Retry-After") == "" {
		t.Errorf("%d %+v", r.Code, p)
	}
	b.clock.Wind(abandoned + time.Second)
	if r := b.call("POST", "/v1/users", body, owner, key); r.Code != 201 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, _ *Parts) { c.Rate, c.Burst = 1, 3 })
	token := b.token(t, b.acme, access.ScopeMessagesSend)
	for i := range 4 {
		r := b.call("GET", "/v1/session", "", token)
		if r.Header().Get("RateLimit-Limit") != "3" || r.Header().Get("RateLimit-Remaining") == "" || r.Header().Get("RateLimit-Reset") == "" {
			t.Errorf("%v", r.Header())
		}
		if i == 3 && (r.Code != 429 || r.problem(t).Type != problemPrefix+"rate" || r.Header().Get("Retry-After") != "1") {
			t.Errorf("the fourth: %d %v", r.Code, r.Header())
		}
	}
	if r := b.call("GET", "/v1/session", "", b.token(t, b.other, access.ScopeMessagesSend)); r.Code != 200 {
		t.Errorf("another asker waits too: %d", r.Code)
	}
	b.clock.Wind(time.Second)
	if r := b.call("GET", "/v1/session", "", token); r.Code != 200 {
		t.Errorf("after a second: %d", r.Code)
	}
}

// TestRatesAreBounded: many askers take no more memory than the bound.
func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	r := newRates(1, 2, 100)
	for i := range 1000 {
		r.take(http.Header{}, string(rune('a'+i%26))+time.Duration(i).String(), lab.Epoch)
	}
	if len(r.each) > 100 {
		t.Errorf("%d buckets", len(r.each))
	}
	if !r.take(http.Header{}, "later", lab.Epoch.Add(time.Hour)) || len(r.each) > 100 {
		t.Errorf("quiet ones do not leave: %d", len(r.each))
	}
}

func TestPlainPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/docs": "<title>", "/docs/docs.js": "openapi.json", "/docs/docs.css": "body", "/openapi.json": `"openapi":"3.1.0"`} {
		r := b.call("GET", path, "")
		if r.Code != 200 || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d %.200s", path, r.Code, r.Body)
		}
		if csp := r.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	for addr, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "192.0.2.1:1": 403} {
		if r := b.call("GET", "/metrics", "", from(addr)); r.Code != want {
			t.Errorf("metrics from %s: %d", addr, r.Code)
		}
	}
	if r := b.call("GET", "/metrics", "", from("192.0.2.1:1"), b.as(t, 0, access.Operator)); r.Code != 200 {
		t.Errorf("metrics for the operator: %d", r.Code)
	}
	if r := b.call("GET", "/metrics", "", from("127.0.0.1:1"), header("X-Forwarded-For", "192.0.2.1")); r.Code != 403 {
		t.Errorf("metrics through a proxy: %d", r.Code)
	}
}

// TestDocument: docs/openapi.json is what the server serves, and no page of the
// documentation names another host.
func TestDocument(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	raw, err := b.Document()
	must(t, err)
	var doc any
	must(t, json.Unmarshal(raw, &doc))
	pretty, err := json.MarshalIndent(doc, "", "  ")
	must(t, err)
	pretty = append(pretty, '\n')
	const path = "../../../docs/openapi.json"
	if os.Getenv("MAILVOW_GOLDEN") == "write" {
		must(t, os.MkdirAll("../../../docs", 0o755))
		must(t, os.WriteFile(path, pretty, 0o644))
	}
	kept, err := os.ReadFile(path)
	if err != nil || string(kept) != string(pretty) {
		t.Errorf("docs/openapi.json is stale (%v): run make generate", err)
	}
	for _, page := range [][]byte{docsPage, docsScript, docsStyle} {
		if strings.Contains(string(page), "http://") || strings.Contains(string(page), "https://") || strings.Contains(string(page), "//cdn") {
			t.Error("a page of the documentation asks another host")
		}
	}
}

func FuzzCursor(f *testing.F) {
	c := cursors{[]byte("key")}
	f.Add(c.seal("tokens", "abc"))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, mark string) {
		position, err := c.open("tokens", mark)
		if err == nil && mark != "" && c.seal("tokens", position) != strings.TrimRight(mark, "\r\n") && position != "abc" {
			t.Errorf("%q opens as %q and was never given", mark, position)
		}
	})
}

// TestStreamsEnd: who watches counts does not keep a server from stopping.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := b.as(t, b.acme, access.Owner)
	ended := make(chan int, 1)
	go func() { ended <- b.call("GET", "/v1/events/live", "", owner).Code }()
	b.EndStreams()
	b.EndStreams()
	select {
	case code := <-ended:
		if code != http.StatusOK {
			t.Errorf("%d", code)
		}
	case <-time.After(time.Minute):
		t.Error("a stream goes on")
	}
}
