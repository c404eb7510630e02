package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
	"mailvow/internal/door/crowd"
)

// frame puts around the operations what holds for all of them, outermost first.
func (a *API) frame(inner http.Handler) http.Handler {
	h := a.named(inner)
	h = a.repeats(h)
	h = a.paced(h)
	h = a.known(h)
	h = a.sameOrigin(h)
	h = HostCheck(a.config.Hosts, h)
	return a.numbered(h)
}

// numbered gives each request its id, counts it, and catches what panics.
func (a *API) numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.parts.Clock.Now()
		in := &request{id: ids.New[ids.Request](a.parts.IDs), peer: peerOf(r)}
		r = r.WithContext(withRequest(r.Context(), in))
		h := w.Header()
		h.Set("Request-Id", in.id.String())
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		answer := &statusWriter{ResponseWriter: w}
		broken := false
		if err := service.Guard(func() error { broken = brokenOff(next, answer, r); return nil }); err != nil {
			report(r.Context(), a.log, "panic", err)
			if answer.status == 0 {
				writeProblem(answer, r, problemOf(err, false))
			}
		}
		a.meters.done(answer.status, a.parts.Clock.Now().Sub(began))
		if broken {
			panic(http.ErrAbortHandler)
		}
	})
}

// brokenOff answers a request, and reports that the answer must not end as if it
// were whole: the handler panicked with http.ErrAbortHandler.
func brokenOff(next http.Handler, w http.ResponseWriter, r *http.Request) (broken bool) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // the value itself, as net/http compares it
			broken = true
		} else if p != nil {
			panic(p)
		}
	}()
	next.ServeHTTP(w, r)
	return false
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController: streams flush, deadlines are set.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// HostCheck answers 421 to every request whose Host is not one of the names
// (without port), so that a foreign name bound to our address reaches nothing
// (DNS rebinding). API, console and pages stand behind it.
func HostCheck(names []string, next http.Handler) http.Handler {
	lower := make([]string, len(names))
	for i, n := range names {
		lower[i] = strings.ToLower(strings.Trim(n, "[]"))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !slices.Contains(lower, strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))) {
			writeProblem(w, r, newProblem(http.StatusMisdirectedRequest, "misdirected", "This server does not answer under the name in the Host header."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what another site makes a browser send with our cookie.
// Who shows a token is no browser being led.
func (a *API) sameOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			if err := guard.Check(r); err != nil {
				writeProblem(w, r, newProblem(http.StatusForbidden, "cross_origin", "The request comes from another site. Programs send a token instead of the cookie."))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// known finds out who is asking. Credentials that are wrong are remembered as
// the reason; the operation decides whether it minds.
func (a *API) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := requestOf(r.Context())
		var err error
		if authorization := r.Header.Get("Authorization"); authorization != "" {
			in.bearer = true
			scheme, token, _ := strings.Cut(authorization, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				err = fault.New(fault.Unauthenticated, "The Authorization header has the form: Bearer mv_…")
			} else {
				in.who, err = a.parts.Access.ByToken(r.Context(), strings.TrimSpace(token))
			}
		} else if c, cookieErr := r.Cookie(cookieName(a.config.SecureCookies)); cookieErr == nil {
			in.cookie = c.Value
			in.who, err = a.parts.Access.Session(r.Context(), c.Value)
		}
		if err != nil && !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.Denied) {
			report(r.Context(), a.log, "authenticate", err)
			writeProblem(w, r, problemOf(err, false))
			return
		}
		if in.denied = err; fault.Is(err, fault.Unauthenticated) && in.bearer {
			a.refusedCredential(r.Context())
		}
		if err == nil && a.parts.Staff != nil {
			if in.who, err = a.parts.Staff.Bind(r.Context(), in.who); err != nil {
				report(r.Context(), a.log, "look what is open to staff", err)
				writeProblem(w, r, problemOf(err, false))
				return
			}
		}
		if err == nil && a.parts.Sight != nil {
			in.who = a.parts.Sight.Bind(in.who)
		}
		next.ServeHTTP(w, r)
	})
}

// paced holds each asker, or each address of those who are nobody, to the rate.
func (a *API) paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.rates.take(w.Header(), askerOf(r), a.parts.Clock.Now()) {
			writeProblem(w, r, newProblem(http.StatusTooManyRequests, "rate", "Too many requests. Wait as long as Retry-After says."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func askerOf(r *http.Request) string {
	who := requestOf(r.Context()).who
	switch {
	case who.Token != 0:
		return who.Token.String()
	case who.Session != 0:
		return who.Session.String()
	}
	return networkOf(requestOf(r.Context()).peer)
}

// networkOf is what counts as one address where somebody is nobody yet.
func networkOf(peer string) string {
	if ip, err := netip.ParseAddr(peer); err == nil {
		return crowd.Network(ip).String()
	}
	return peer
}

func peerOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// named answers what matches no operation as a problem too.
func (a *API) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := a.mux.Handler(r)
		if pattern != "" {
			next.ServeHTTP(w, r)
			return
		}
		quiet := &headerOnly{header: http.Header{}}
		h.ServeHTTP(quiet, r)
		p := newProblem(http.StatusNotFound, "no_such_path", "There is nothing at this path. /openapi.json lists what there is.")
		if quiet.status == http.StatusMethodNotAllowed {
			allow := quiet.header.Get("Allow")
			p = newProblem(quiet.status, "method", "This path does not take "+r.Method+". It takes: "+allow+".").with("Allow", allow)
		}
		writeProblem(w, r, p)
	})
}

type headerOnly struct {
	header http.Header
	status int
}

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(status int)      { h.status = status }

// meters count what the API answers.
type meters struct {
	requests *prometheus.CounterVec
	took     prometheus.Histogram
}

func newMeters(o *observe.Observer) meters {
	m := meters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailvow_http_requests_total", Help: "Answers of the HTTP API by status."}, []string{"status"}),
		took:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mailvow_http_seconds", Help: "How long an answer of the HTTP API takes.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}),
	}
	if o != nil && o.Metrics != nil {
		o.Metrics.MustRegister(m.requests, m.took)
	}
	return m
}

func (m meters) done(status int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.took.Observe(took.Seconds())
}
