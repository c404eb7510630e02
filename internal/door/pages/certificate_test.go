package pages

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCertificatePage: one file, which may run itself and ask nobody.
func TestCertificatePage(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Certificate().ServeHTTP(w, httptest.NewRequest("GET", "/certificate", nil))
	page, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || strings.Contains(page, "{{") {
		t.Fatal(w.Code, w.Header())
	}
	for _, must := range []string{"default-src 'none'", "connect-src 'none'", "form-action 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, must) {
			t.Errorf("the policy lacks %s: %s", must, policy)
		}
	}
	for _, never := range []string{"unsafe", "src=\"", "href=\"", "fetch(", "XMLHttpRequest", "innerHTML", "import("} {
		if strings.Contains(page, never) || strings.Contains(policy, never) {
			t.Errorf("the page holds %s", never)
		}
	}
	w = httptest.NewRecorder()
	Certificate().ServeHTTP(w, httptest.NewRequest("POST", "/certificate", nil))
	if w.Code != 405 {
		t.Error(w.Code)
	}
}
