// Package console serves the web console that is built into the binary. It
// promises that a page loads nothing from elsewhere and runs no inline script,
// that what a build names by its content is cached for good and the page itself
// never, and that every path which is no file answers with the page, so that a
// deep link opens its room. It reads nothing but its own files: the API does
// the work, and checking Host and session is left to the listener and the API.
package console

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
)

// The folder holds only .keep until web/console is built into it.
//
//go:embed all:dist
var embedded embed.FS

// nonceMark is the word that the build leaves in index.html where a nonce goes.
const nonceMark = "__CSP_NONCE__"

// Handler answers GET and HEAD for the console.
type Handler struct {
	page   []byte
	assets map[string]asset
}

// asset is one built file, with its gzip copy where the build made one.
type asset struct {
	kind   string
	plain  []byte
	packed []byte
	named  bool // the name holds a hash of the content
}

// New returns the handler of the embedded console. A binary that was built
// without the console serves a page that says so.
func New() (*Handler, error) {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		return nil, fault.Wrap(err, "open the embedded console")
	}
	return load(dist)
}

// Built reports whether the console itself is in the binary.
func (h *Handler) Built() bool { return len(h.assets) > 0 }

func load(dist fs.FS) (*Handler, error) {
	h := &Handler{page: []byte(notBuilt), assets: map[string]asset{}}
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		h.keep(name, content)
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(err, "read the embedded console")
	}
	return h, nil
}

// keep files one file of the build under the path it is asked for by.
func (h *Handler) keep(name string, content []byte) {
	if name == "index.html" {
		h.page = content
		return
	}
	plain, packed := strings.CutSuffix(name, ".gz")
	a := h.assets["/"+plain]
	if packed {
		a.packed = content
	} else {
		a.plain = content
	}
	a.kind = kindOf(plain)
	a.named = strings.HasPrefix(plain, "assets/")
	h.assets["/"+plain] = a
}

// kindOf does not trust the machine's own table of types, which may lack some.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

// ServeHTTP answers with a built file, or with the page for any other path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The console answers GET and HEAD only; the API is under /v1.", http.StatusMethodNotAllowed)
		return
	}
	if a, ok := h.assets[r.URL.Path]; ok {
		serveAsset(w, r, a)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/assets/") {
		// A page of an older build asks for a part that is gone: the page instead of a script would only confuse it.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "This part of the console is of another version. Reload the page.", http.StatusNotFound)
		return
	}
	h.servePage(w, r)
}

func serveAsset(w http.ResponseWriter, r *http.Request, a asset) {
	head := w.Header()
	head.Set("Content-Type", a.kind)
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if a.named {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		head.Set("Cache-Control", "public, max-age=3600")
	}
	body := a.plain
	if a.packed != nil {
		head.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			head.Set("Content-Encoding", "gzip")
			body = a.packed
		}
	}
	write(w, r, body)
}

func (h *Handler) servePage(w http.ResponseWriter, r *http.Request) {
	nonce := newNonce()
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", Policy(nonce))
	head.Set("Cache-Control", "no-store")
	write(w, r, bytes.ReplaceAll(h.page, []byte(nonceMark), []byte(nonce)))
}

func write(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader went away: nobody is left to tell
	}
}

// guard sets what every answer of the console carries.
func guard(head http.Header) {
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
}

// Policy is the console's Content-Security-Policy (W3C CSP Level 3). Scripts
// and requests stay on this origin; a style element needs the nonce. Frames made
// from a string inherit it, so a mail that is shown can load nothing either.
func Policy(nonce string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + nonce + "'; " +
		"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// newNonce returns 144 random bits. crypto/rand.Read does not fail.
func newNonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// acceptsGzip reads Accept-Encoding (RFC 9110 12.5.3) as far as needed: gzip is
// named, and not with a weight of zero.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		value, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q=")
		if !found {
			return true
		}
		q, err := strconv.ParseFloat(value, 64)
		return err == nil && q > 0
	}
	return false
}

// notBuilt is served where web/console was not built into the binary.
const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Mailvow: the console was not built</title></head>
<body><main><h1>The console was not built into this binary</h1>
<p>Run <code>make build</code>, which builds the console before the server, and start the server again.</p>
<p>The API works without it: <a href="/docs">/docs</a>.</p></main></body></html>
`
