package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/door/certificates"
	"mailvow/internal/door/console"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/door/pages"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/object"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/ending"
	"mailvow/internal/protect/evidence"
)

// openWeb binds API and console.
func (h *House) openWeb(_ context.Context, get getCertificate) error {
	l := h.Config.Listen
	if !h.has(config.RoleAPI) && !h.has(config.RoleConsole) {
		return nil
	}
	handler, err := h.web()
	if err != nil {
		return err
	}
	if l.HTTP != "" {
		listener, err := h.bind("http", l.HTTP)
		if err != nil {
			return err
		}
		h.doors.list = append(h.doors.list, h.webDoor("http", listener, h.answerACME(h.traced(h.plainWeb(handler))), nil))
	}
	if l.HTTPS != "" {
		listener, err := h.bind("https", l.HTTPS)
		if err != nil {
			return err
		}
		h.doors.list = append(h.doors.list, h.webDoor("https", listener, h.traced(strict(handler)), h.serverTLS("https", get, "h2", "http/1.1", certificates.ALPN)))
	}
	return nil
}

// strict tells browsers to come by HTTPS only, for a year (RFC 6797 6.1). A
// server that has no HTTPS door never says so.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// openMetrics binds the door of the operator's own network: metrics and health,
// and nothing else.
func (h *House) openMetrics() error {
	if h.Config.Listen.Metrics == "" {
		return nil
	}
	listener, err := h.bind("metrics", h.Config.Listen.Metrics)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.ready(r.Context()); err != nil {
			text, _ := fault.Public(err)
			http.Error(w, text, http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	h.doors.list = append(h.doors.list, h.webDoor("metrics", listener, mux, nil))
	return nil
}

// plainWeb answers without TLS: everything in dev mode and where there is no
// HTTPS door, else a redirect.
func (h *House) plainWeb(handler http.Handler) http.Handler {
	if h.Config.Listen.HTTPS == "" {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !contains(h.webHosts(), host) {
			http.Error(w, "This server has another name.", http.StatusMisdirectedRequest)
			return
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

// webHosts are the names under which API and console may be called.
func (h *House) webHosts() []string {
	hosts := append([]string{h.Config.Hostname}, h.Config.Web.Hosts...)
	if u, err := url.Parse(h.Config.Web.URL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	if h.Dev {
		hosts = append(hosts, "localhost", "127.0.0.1", "::1")
	}
	return hosts
}

// web joins API and console under one origin.
func (h *House) web() (http.Handler, error) {
	api, err := httpapi.New(httpapi.Config{
		Hosts: h.webHosts(), SecureCookies: h.secureCookies(), MaxMessage: h.Config.SMTP.MaxSize,
		Features: h.features(), Start: h.start,
	}, httpapi.Parts{
		DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Observe: h.observe, Access: h.access, Tenants: h.tenants, Acts: h, Reads: h.reads,
		Domains: h.relay, Inbound: h.inbound, Suppressions: h.suppress, Senders: h.relay, Routes: h.routes(),
		Drafts: h.drafts, Intake: h.intake, Queue: h.queue, History: h.history, Caught: h.inbox, Tally: h.tally,
		Subjects: requests{h}, Requests: shownCases{h.cases}, Mentions: shownMentions{h.mentions}, Onward: shownNotices{h.onward}, Records: requests{h}, Holds: heldRequests{h.holds}, Assurance: shownAssurance{h}, Patches: shownPatches{h}, Alerts: shownAlerts{h.alerts}, Watch: h.guesses, Staff: h.clearance, Sight: h.sight, Inventory: h.inventory, Controls: shownControls{h}, Bundles: shownBundles{bundles{h}}, Reviews: shownReviews{h}, Backups: shownBackups{h}, Retention: h.retention, Policy: h.policies, Documents: h.documents, Supply: h.supply, Endpoints: h.gate,
		Incidents: shownIncidents{h.incidents}, Notices: h.notices,
		Endings:  shownEndings{h.endings},
		Evidence: evidence.NewPublished(h.evidence.Tiles),
		Ready:    h.ready, Metrics: promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{}),
	})
	if err != nil {
		return nil, err
	}
	h.api = api
	return h.withConsole(api)
}

// ready says whether this process can do its work.
func (h *House) ready(ctx context.Context) error {
	if h.db.Space() == db.ReadOnly {
		return fault.New(fault.ReadOnly, "The disk is full; nothing is written.")
	}
	if _, err := h.db.Now(ctx); err != nil {
		return err
	}
	return errors.Join(reached(ctx, h.stores.data, "The message store (data.s3)"), reached(ctx, h.stores.keys, "The key store (data.keys_s3)"))
}

// readyPatience is how long a store may take to answer while somebody asks
// whether this process is ready.
const readyPatience = 3 * time.Second

// reached asks a bucket for an object that nobody makes.
func reached(ctx context.Context, b object.Bucket, what string) error {
	if b == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if _, err := b.Size(ctx, "ready"); err != nil && !fault.Is(err, fault.NotFound) {
		text, _ := fault.Public(err)
		return fault.New(fault.Unavailable, strings.TrimSpace(what+" cannot be reached. "+text))
	}
	return nil
}

// Act implements httpapi.Acts: an administrative act goes into the evidence log.
func (h *House) Act(ctx context.Context, who access.Principal, operation string) error {
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](h.ids), At: evidence.On(h.Clock.Now()), Tenant: who.Tenant,
		By: evidence.Actor{Role: actingAs(who)}, Body: &evidence.Act{Act: operation},
	}
	err := h.db.Change(ctx, "record an act", func(tx *db.Tx) error { return h.stage.Stage(ctx, tx, leaf) })
	h.evidence.Nudge()
	return err
}

// actingAs is the capacity in which somebody acts; a token acts as a developer.
func actingAs(p access.Principal) evidence.Role {
	switch p.Role {
	case access.Operator, access.Custodian:
		return evidence.ByOperator
	case access.Owner:
		return evidence.ByOwner
	case access.Admin:
		return evidence.ByAdmin
	case access.Viewer:
		return evidence.ByViewer
	case access.Auditor:
		return evidence.ByAuditor
	case access.Developer:
	}
	return evidence.ByDeveloper
}

// withConsole puts the console beside the API where this process has that role:
// paths that the API does not have are the console's. The page that verifies
// certificates, and those for persons who ask about their data, are everywhere.
func (h *House) withConsole(api http.Handler) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("/certificate", httpapi.HostCheck(h.webHosts(), pages.Certificate()))
	asked, err := pages.NewPrivacy(h.cases, h.endings, h.Clock, h.observe.For("door/pages").Log)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{"/privacy", "/privacy/", ending.ClosePath, pages.GPCPath} {
		mux.Handle(path, httpapi.HostCheck(h.webHosts(), asked))
	}
	trust, err := h.trustCentre()
	if err != nil {
		return nil, err
	}
	for _, path := range []string{"/trust", "/trust/", pages.CookiesPath, pages.CookiesPath + ".json", "/.well-known/security.txt"} {
		mux.Handle(path, httpapi.HostCheck(h.webHosts(), trust))
	}
	mux.Handle("GET /trust/sub-processors.json", httpapi.HostCheck(h.webHosts(), h.publicSubProcessors()))
	if !h.has(config.RoleConsole) {
		mux.Handle("/", api)
		return mux, nil
	}
	rooms, err := console.New()
	if err != nil {
		return nil, err
	}
	mux.Handle("/", httpapi.HostCheck(h.webHosts(), rooms))
	for _, path := range []string{"/v1/", "/openapi.json", "/openapi.yaml", "/docs", "/docs/", "/evidence/", "/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, api)
	}
	return mux, nil
}
