package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

const script = "console.log('a built file')"

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func built(t *testing.T) *Handler {
	t.Helper()
	h, err := load(fstest.MapFS{
		".keep":               {},
		"index.html":          {Data: []byte(`<meta property="csp-nonce" nonce="__CSP_NONCE__"><script src="/assets/a-1.js" nonce="__CSP_NONCE__"></script>`)},
		"mark.svg":            {Data: []byte("<svg/>")},
		"assets/a-1.js":       {Data: []byte(script)},
		"assets/a-1.js.gz":    {Data: pack(t, script)},
		"assets/tiny-2.css":   {Data: []byte("a{}")},
		"assets/.hidden.json": {Data: []byte("{}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestDeepLinksAnswerWithThePage(t *testing.T) {
	t.Parallel()
	h := built(t)
	for _, path := range []string{"/", "/index.html", "/queue", "/activity/msg_01k", "/sign-in?link=x", "/../etc/passwd", "/.keep"} {
		w := get(h, path, "gzip")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "csp-nonce") {
			t.Errorf("%s: %d %q, want the page", path, w.Code, w.Body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store: the page names the assets of its build", path, got)
		}
	}
}

func TestNonceIsFreshAndInThePolicy(t *testing.T) {
	t.Parallel()
	h := built(t)
	inPage := regexp.MustCompile(`nonce="([A-Za-z0-9+/=]{24})"`)
	seen := map[string]bool{}
	for range 20 {
		w := get(h, "/", "")
		found := inPage.FindAllStringSubmatch(w.Body.String(), -1)
		if len(found) != 2 || found[0][1] != found[1][1] {
			t.Fatalf("page %q, want one nonce in both places", w.Body)
		}
		nonce := found[0][1]
		if seen[nonce] {
			t.Fatalf("nonce %q came twice", nonce)
		}
		seen[nonce] = true
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "'nonce-"+nonce+"'") {
			t.Fatalf("policy %q does not allow the page's nonce", w.Header().Get("Content-Security-Policy"))
		}
	}
}

func TestPolicyForbidsInlineScriptAndOtherOrigins(t *testing.T) {
	t.Parallel()
	policy := Policy("N")
	for _, bad := range []string{"unsafe-inline", "unsafe-eval", "http:", "https:", "*"} {
		if strings.Contains(policy, bad) {
			t.Errorf("policy %q allows %s", policy, bad)
		}
	}
	for _, need := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "connect-src 'self';"} {
		if !strings.Contains(policy, need) {
			t.Errorf("policy %q lacks %s", policy, need)
		}
	}
}

func TestHashedAssetsAreCachedForGood(t *testing.T) {
	t.Parallel()
	h := built(t)
	for path, want := range map[string]string{
		"/assets/a-1.js":       "public, max-age=31536000, immutable",
		"/assets/tiny-2.css":   "public, max-age=31536000, immutable",
		"/mark.svg":            "public, max-age=3600",
		"/assets/gone-9.js":    "no-store",
		"/assets/.hidden.json": "no-store",
	} {
		if got := get(h, path, "").Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want)
		}
	}
	if w := get(h, "/assets/gone-9.js", ""); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "csp-nonce") {
		t.Errorf("a missing asset answered %d %q, want 404 and not the page", w.Code, w.Body)
	}
}

func TestGzipOnlyWhereItIsAccepted(t *testing.T) {
	t.Parallel()
	h := built(t)
	for accept, packed := range map[string]bool{
		"": false, "gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "GZIP": true, "identity": false, "xgzip": false,
	} {
		w := get(h, "/assets/a-1.js", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("Accept-Encoding %q: packed %v, want %v", accept, got, packed)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", accept)
		}
		body := io.Reader(w.Body)
		if packed {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != script {
			t.Errorf("Accept-Encoding %q: body %q, %v", accept, text, err)
		}
	}
	if w := get(h, "/assets/tiny-2.css", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Body.String() != "a{}" {
		t.Errorf("a file without a gzip copy: %q %q", w.Header().Get("Content-Encoding"), w.Body)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	h := built(t)
	for _, path := range []string{"/", "/assets/a-1.js", "/assets/gone.js", "/mark.svg"} {
		head := get(h, path, "").Header()
		if head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" || head.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: headers %v", path, head)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	built(t).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/queue", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	built(t).ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/queue", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestWithoutABuildThePageSaysSo(t *testing.T) {
	t.Parallel()
	h, err := load(fstest.MapFS{".keep": {}})
	if err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/queue", ""); h.Built() || !strings.Contains(w.Body.String(), "make build") {
		t.Errorf("built %v, page %q", h.Built(), w.Body)
	}
}

// What is embedded, built or not, is served without a third party in it.
func TestEmbeddedPageNamesNoOtherOrigin(t *testing.T) {
	t.Parallel()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	page := get(h, "/", "").Body.String()
	if regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(page) {
		t.Errorf("page %q loads from another origin", page)
	}
	if strings.Contains(page, nonceMark) {
		t.Errorf("page %q: the nonce was not put in", page)
	}
	if regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]`).MatchString(page) {
		t.Errorf("page %q holds an inline script", page)
	}
}
