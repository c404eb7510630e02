package httpapi

import (
	_ "embed" // the page
	"net"
	"net/http"
	"net/netip"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/access"
)

//go:embed docs.html
var docsPage []byte

//go:embed docs.js
var docsScript []byte

//go:embed docs.css
var docsStyle []byte

// plainRoutes are those that are no operations of the document.
func (a *API) plainRoutes() {
	a.mux.HandleFunc("GET /openapi.json", a.serveDocument)
	a.mux.HandleFunc("GET /docs", static("text/html; charset=utf-8", docsPage))
	a.mux.HandleFunc("GET /docs/docs.js", static("text/javascript; charset=utf-8", docsScript))
	a.mux.HandleFunc("GET /docs/docs.css", static("text/css; charset=utf-8", docsStyle))
	a.mux.HandleFunc("GET /healthz", static("text/plain; charset=utf-8", []byte("ok\n")))
	a.mux.HandleFunc("GET /readyz", a.ready)
	a.mux.HandleFunc("GET /metrics", a.metrics)
	a.mux.HandleFunc("GET /evidence/{path...}", a.serveEvidence)
}

func static(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Write(body) // a peer that has gone is no concern of ours
	}
}

// Document gives the OpenAPI document.
func (a *API) Document() ([]byte, error) {
	doc, err := a.huma.OpenAPI().MarshalJSON()
	return doc, fault.Wrap(err, "write the OpenAPI document")
}

func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	doc, err := a.Document()
	if err != nil {
		report(r.Context(), a.log, "openapi", err)
		writeProblem(w, r, problemOf(err, false))
		return
	}
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	w.Write(doc)
}

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	if a.parts.Ready != nil {
		if err := a.parts.Ready(r.Context()); err != nil {
			report(r.Context(), a.log, "ready", err)
			text := "The server cannot work right now; its log says why."
			if why, _ := fault.Public(err); why != "" && a.insider(r) {
				text = why
			}
			writeProblem(w, r, newProblem(http.StatusServiceUnavailable, "unavailable", text))
			return
		}
	}
	static("text/plain; charset=utf-8", []byte("ready\n"))(w, r)
}

// insider is this machine, and who may read the platform.
func (a *API) insider(r *http.Request) bool {
	_, may := requestOf(r.Context()).who.May(access.PlatformRead)
	return may || local(r)
}

// metrics are for this machine, and for who may read the platform.
func (a *API) metrics(w http.ResponseWriter, r *http.Request) {
	switch {
	case a.parts.Metrics == nil:
		writeProblem(w, r, newProblem(http.StatusNotFound, "no_such_path", "This server keeps no metrics."))
	case !a.insider(r):
		writeProblem(w, r, problemOf(fault.New(fault.Denied, "Metrics are for this machine, and for a token with platform:read."), false))
	default:
		a.parts.Metrics.ServeHTTP(w, r)
	}
}

func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	// A proxy on this machine speaks for others.
	return err == nil && ip.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}
