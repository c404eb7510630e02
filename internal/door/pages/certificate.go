package pages

import (
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

//go:embed certificate.html
var certificatePage string

//go:embed certificate.js
var certificateScript string

//go:embed certificate.css
var certificateStyle string

// Certificate is the page that verifies a deletion certificate in the browser.
// It is one file, which works without a server as well. Its policy lets it run
// its own script and style and nothing else: it can ask nobody for anything, and
// what is entered leaves it in no way.
func Certificate() http.Handler {
	policy := "default-src 'none'; script-src '" + hashSource(certificateScript) + "'; style-src '" + hashSource(certificateStyle) + "'; connect-src 'none'; form-action 'none'; base-uri 'none'"
	page := []byte(strings.NewReplacer("{{policy}}", policy, "{{style}}", certificateStyle, "{{script}}", certificateScript).Replace(certificatePage))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This page answers GET and HEAD only.", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		// Frames cannot be forbidden in a file that was saved (W3C CSP Level 3, 3.3).
		h.Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
		h.Set("Content-Length", strconv.Itoa(len(page)))
		if r.Method == http.MethodGet {
			w.Write(page) // a peer that has gone is no concern of ours
		}
	})
}

// hashSource names a script or style that the page may have within itself.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
