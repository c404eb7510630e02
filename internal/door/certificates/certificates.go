// Package certificates gets and renews this server's certificates by ACME (RFC
// 8555) for the mail and web listeners. It promises that only names which are
// this server's own and point here are asked for, that keys lie sealed in the
// database where every node finds them, that two nodes do not order the same
// certificate at once, and that a certificate which is not renewed 14 days
// before its end raises an alert. Whether a name points here is asked of a
// function; certificates from files are left to app.
package certificates

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Config is what a Manager is made of.
type Config struct {
	Directory string // the authority's directory URL
	Email     string // whom the authority may write to; may be empty
	NoHTTP    bool   // no HTTP-01: nothing of ours listens on port 80
	NoTLSALPN bool   // no TLS-ALPN-01: nothing of ours listens on port 443
	// Transport opens the connections to the authority; it dials through
	// keep/egress.
	Transport *http.Transport
	// Names are the names of this server; the first answers clients that name
	// none.
	Names func() []string
	// PointsHere says whether the DNS leads a name to this server.
	PointsHere func(ctx context.Context, name string) (bool, error)

	DB      *db.DB
	Vault   *vault.Vault
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	// Look is how often names and renewals are looked at; 10 minutes if zero.
	Look time.Duration
}

// Alert is how long before its end a certificate that was not renewed is
// trouble. Certificates of less than 70 days: a fifth of their time.
const Alert = 14 * 24 * time.Hour

// State is where one name stands.
type State struct {
	Name    string
	Ends    time.Time // zero: there is no certificate yet
	Trouble string    // what is wrong, in words; "" if nothing is
}

// Manager keeps the certificates of this server.
type Manager struct {
	Config
	issuer *issuer
	cache  *certmagic.Cache
	magic  *certmagic.Config
	log    *slog.Logger
	ends   *prometheus.GaugeVec
	bad    *prometheus.GaugeVec

	mu     sync.Mutex
	states map[string]State
}

// New makes a manager. Nothing is ordered before Run.
func New(c Config) (*Manager, error) {
	if c.Look <= 0 {
		c.Look = 10 * time.Minute
	}
	m := &Manager{Config: c, states: map[string]State{}, log: c.Observe.For(pkg).Log}
	store := newStorage(c.DB, c.Vault, c.IDs, c.Clock)
	var err error
	if m.issuer, err = newIssuer(c, store); err != nil {
		return nil, err
	}
	m.ends = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailvow_certificate_days_left", Help: "Days until a certificate ends."}, []string{"name"})
	m.bad = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mailvow_certificate_trouble", Help: "1 where a name of this server has no certificate, or one that was not renewed in time.",
	}, []string{"name"})
	for _, g := range []prometheus.Collector{m.ends, m.bad} {
		if err := c.Observe.Metrics.Register(g); err != nil {
			return nil, fault.Wrap(err, "register the metrics of certificates")
		}
	}
	logger := zapTo(m.log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		RenewCheckInterval: c.Look, OCSPCheckInterval: 24 * time.Hour, Capacity: 10_000, Logger: logger,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: store, Issuers: []certmagic.Issuer{m.issuer}, Logger: logger, DisableARI: true,
		// Stapling would dial the responder beside keep/egress, and authorities are
		// giving OCSP up.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	return m, nil
}

// Run keeps the certificates until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	defer m.cache.Stop()
	for {
		m.look(ctx)
		t := m.Clock.NewTimer(m.Look)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C():
		}
	}
}

// look asks for what is missing and says how each name stands. Renewal itself is
// the cache's.
func (m *Manager) look(ctx context.Context) {
	states := map[string]State{}
	for _, name := range m.Names() {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if _, twice := states[name]; !twice && ctx.Err() == nil {
			states[name] = m.lookAt(ctx, name)
		}
	}
	m.bad.Reset()
	m.ends.Reset()
	for name, s := range states {
		m.report(s, m.states[name]) // only this goroutine writes states
	}
	m.mu.Lock()
	m.states = states
	m.mu.Unlock()
}

func (m *Manager) lookAt(ctx context.Context, name string) State {
	s := State{Name: name}
	here, err := m.PointsHere(ctx, name)
	var trouble string
	switch {
	case err != nil:
		trouble = "the DNS cannot be asked for it"
	case !here:
		trouble = "it does not point to this server"
	default:
		if err := m.magic.ManageSync(ctx, []string{name}); err != nil {
			m.log.Warn("get a certificate", "name", name, "error", err)
			trouble = "the certificate authority gave none; the log says why"
		}
	}
	// A certificate that exists keeps serving whatever the DNS says today.
	if certs := m.cache.AllMatchingCertificates(name); len(certs) > 0 {
		leaf := certs[0].Leaf
		s.Ends = leaf.NotAfter
		if left := leaf.NotAfter.Sub(m.Clock.Now()); left > min(Alert, leaf.NotAfter.Sub(leaf.NotBefore)/5) {
			return s
		}
		if trouble == "" {
			trouble = "it was not renewed; the log says why"
		}
	}
	s.Trouble = trouble
	return s
}

// report raises the alert once for each new trouble.
func (m *Manager) report(s, before State) {
	bad := 0.0
	if s.Trouble != "" {
		bad = 1
		if s.Trouble != before.Trouble {
			m.log.Error("a certificate needs attention", "name", s.Name, "trouble", s.Trouble, "ends", s.Ends)
		}
	}
	m.bad.WithLabelValues(s.Name).Set(bad)
	if !s.Ends.IsZero() {
		m.ends.WithLabelValues(s.Name).Set(s.Ends.Sub(m.Clock.Now()).Hours() / 24)
	}
}

// States says how every name stands, by name.
func (m *Manager) States() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]State, 0, len(m.states))
	for _, s := range m.states {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// GetCertificate is for every TLS listener; it answers TLS-ALPN-01 as well, for
// listeners that offer "acme-tls/1".
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{ALPN}) {
		return m.issuer.alpn(hello.Context(), strings.ToLower(hello.ServerName))
	}
	names := m.Names()
	if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, hello.ServerName) }) && len(names) > 0 {
		// Most mail servers name nobody, or an MX of a customer's: they get the
		// server's own certificate.
		c := *hello
		c.ServerName = strings.ToLower(names[0])
		hello = &c
	}
	c, err := m.magic.GetCertificate(hello)
	if err != nil {
		return nil, fmt.Errorf("no certificate for this name: %w", err)
	}
	return c, nil
}

// ALPN is the protocol of TLS-ALPN-01 (RFC 8737 6.2); listeners on port 443 offer it.
const ALPN = "acme-tls/1"

// Handler answers HTTP-01 and leaves everything else to next.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, wellKnown) {
			m.issuer.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
