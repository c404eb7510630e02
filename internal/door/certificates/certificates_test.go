package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/egress"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// ports are the listeners that the authority asks: they answer for whichever
// manager is there at the moment.
type ports struct {
	http, tls string
	manager   atomic.Pointer[Manager]
	asked     atomic.Int64
}

func (p *ports) port(t *testing.T, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func listen(t *testing.T) *ports {
	t.Helper()
	p := &ports{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := p.manager.Load(); m != nil {
			p.asked.Add(1)
			m.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"h2", "http/1.1", ALPN}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if m := p.manager.Load(); m != nil {
			return m.GetCertificate(h)
		}
		return nil, errors.New("nobody is there")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.(*tls.Conn).HandshakeContext(context.Background())
			}()
		}
	}()
	p.http, p.tls = web.Listener.Addr().String(), l.Addr().String()
	return p
}

func newVault(t *testing.T) *vault.Vault {
	t.Helper()
	return keys.Vault(t, clock.Wall{}, ids.NewSource(clock.Wall{}, 1, 0))
}

// node is one server's manager over a store.
type node struct {
	*Manager
	gate *egress.Gate
	log  *lines
	stop func()
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newNode(t *testing.T, d *db.DB, v *vault.Vault, ca *lab.ACMEServer, change func(*Config)) *node {
	t.Helper()
	u, err := url.Parse(ca.Directory)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := egress.New(egress.Config{Destinations: []egress.Destination{{Name: "acme", Purpose: "get certificates", Owner: egress.Operator, Hosts: []string{u.Host}}}})
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := gate.To("acme")
	if err != nil {
		t.Fatal(err)
	}
	transport := dialer.HTTPTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: ca.Roots}
	n := &node{gate: gate, log: &lines{}}
	c := Config{
		Directory: ca.Directory, Email: "admin@example.com", Transport: transport, Names: func() []string { return []string{"mail.example.com"} },
		PointsHere: func(context.Context, string) (bool, error) { return true, nil },
		DB:         d, Vault: v, IDs: ids.NewSource(clock.Wall{}, d.Node(), 0), Clock: clock.Wall{},
		Observe: observe.New(slog.NewTextHandler(n.log, nil), prometheus.NewRegistry(), nil),
	}
	change(&c)
	if n.Manager, err = New(c); err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs the manager until the test or stop ends it.
func (n *node) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
}

// await waits until the manager has looked and a state is as wanted.
func (n *node) await(t *testing.T, want func([]State) bool) []State {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if s := n.States(); want(s) {
			return s
		}
	}
	t.Fatalf("states are %+v\n%s", n.States(), n.log)
	return nil
}

func served(s []State) bool { return len(s) == 1 && !s[0].Ends.IsZero() && s[0].Trouble == "" }

// shown is the certificate that the TLS listener shows.
func (p *ports) shown(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", p.tls, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func authority(t *testing.T, p *ports, validity time.Duration) *lab.ACMEServer {
	t.Helper()
	names := lab.DNS(t, "mail.example.com. 60 IN A 127.0.0.1\nweb.example.com. 60 IN A 127.0.0.1\n")
	return lab.ACME(t, names.Addr, p.port(t, p.http), p.port(t, p.tls), validity)
}

func TestIssuesByEachChallengeAndReusesAfterARestart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"http-01":     func(c *Config) { c.NoTLSALPN = true },
		"tls-alpn-01": func(c *Config) { c.NoHTTP = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := listen(t)
			ca := authority(t, p, 90*24*time.Hour)
			d, v := lab.DB(t, Schema), newVault(t)
			n := newNode(t, d, v, ca, change)
			p.manager.Store(n.Manager)
			n.start(t)
			n.await(t, served)
			if got := p.shown(t, "mail.example.com"); got.DNSNames[0] != "mail.example.com" {
				t.Errorf("shown for %v", got.DNSNames)
			}
			first := p.shown(t, "somebody.else.example").SerialNumber
			if asked := p.asked.Load(); (asked > 0) != (name == "http-01") {
				t.Errorf("%d questions by HTTP", asked)
			}
			for _, e := range n.gate.Log() {
				if e.Result != "opened" || e.Name != "acme" {
					t.Errorf("egress has %+v", e)
				}
			}
			if len(n.gate.Log()) == 0 {
				t.Error("the authority was not reached through egress")
			}
			n.stop()
			again := newNode(t, d, v, ca, change)
			p.manager.Store(again.Manager)
			again.start(t)
			again.await(t, served)
			if p.shown(t, "mail.example.com").SerialNumber.Cmp(first) != 0 || len(again.gate.Log()) != 0 {
				t.Errorf("after a restart another certificate, or the authority was asked: %+v", again.gate.Log())
			}
			if text := n.log.String(); strings.Contains(text, "admin@example.com") {
				t.Errorf("the log holds an address:\n%s", text)
			}
		})
	}
}

func TestRenewsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p := listen(t)
	ca := authority(t, p, 12*time.Second)
	n := newNode(t, lab.DB(t, Schema), newVault(t), ca, func(c *Config) { c.Look = 500 * time.Millisecond })
	p.manager.Store(n.Manager)
	n.start(t)
	n.await(t, func(s []State) bool { return len(s) == 1 && !s[0].Ends.IsZero() })
	first := n.States()[0].Ends
	n.await(t, func(s []State) bool { return len(s) == 1 && s[0].Ends.After(first) })
	if got := p.shown(t, "mail.example.com"); !got.NotAfter.After(first) {
		t.Errorf("shown until %v, first was %v", got.NotAfter, first)
	}
}

// TestNodesShare: two nodes on one database order one certificate, and either
// answers the other's challenge.
func TestNodesShare(t *testing.T) {
	t.Parallel()
	config := db.Config{Postgres: lab.Postgres(t)}
	v := newVault(t)
	p := listen(t)
	ca := authority(t, p, 90*24*time.Hour)
	a := newNode(t, lab.OpenDB(t, config, Schema), v, ca, func(*Config) {})
	b := newNode(t, lab.OpenDB(t, config, Schema), v, ca, func(*Config) {})
	p.manager.Store(b.Manager) // whoever orders, b is asked
	a.start(t)
	b.start(t)
	a.await(t, served)
	b.await(t, served)
	hello := &tls.ClientHelloInfo{ServerName: "mail.example.com"}
	one, err := a.GetCertificate(hello)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.GetCertificate(hello)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(one.Certificate, two.Certificate, bytes.Equal) {
		t.Error("two certificates were ordered")
	}
}

func TestOnlyNamesThatPointHere(t *testing.T) {
	t.Parallel()
	p := listen(t)
	ca := authority(t, p, 90*24*time.Hour)
	n := newNode(t, lab.DB(t, Schema), newVault(t), ca, func(c *Config) {
		c.Names = func() []string { return []string{"mail.example.com", "web.example.com", "gone.example.com"} }
		c.PointsHere = func(_ context.Context, name string) (bool, error) {
			if name == "gone.example.com" {
				return false, errors.New("no answer")
			}
			return name == "mail.example.com", nil
		}
	})
	p.manager.Store(n.Manager)
	n.start(t)
	s := n.await(t, func(s []State) bool { return len(s) == 3 && !s[1].Ends.IsZero() })
	if s[0].Trouble != "the DNS cannot be asked for it" || s[1].Trouble != "" || s[2].Trouble != "it does not point to this server" {
		t.Errorf("states %+v", s)
	}
	families, err := n.Observe.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "mailvow_certificate_trouble" {
				bad[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if bad["mail.example.com"] != 0 || bad["web.example.com"] != 1 || bad["gone.example.com"] != 1 {
		t.Errorf("metrics %v", bad)
	}
	if !strings.Contains(n.log.String(), "a certificate needs attention") {
		t.Errorf("no alert in the log:\n%s", n.log)
	}
}

// TestAlertsFourteenDaysAhead: the authority is gone, and time goes on.
func TestAlertsFourteenDaysAhead(t *testing.T) {
	t.Parallel()
	p := listen(t)
	ca := authority(t, p, 90*24*time.Hour)
	hand := lab.NewClock(time.Now())
	n := newNode(t, lab.DB(t, Schema), newVault(t), ca, func(c *Config) { c.Clock = hand })
	p.manager.Store(n.Manager)
	t.Cleanup(n.cache.Stop)
	n.look(t.Context())
	if s := n.States(); !served(s) {
		t.Fatalf("states %+v\n%s", s, n.log)
	}
	hand.Wind(75 * 24 * time.Hour)
	n.look(t.Context())
	if s := n.States(); s[0].Trouble != "" {
		t.Errorf("15 days ahead: %+v", s)
	}
	hand.Wind(2 * 24 * time.Hour)
	n.look(t.Context())
	if s := n.States(); s[0].Trouble != "it was not renewed; the log says why" {
		t.Errorf("13 days ahead: %+v", s)
	}
}

func TestStorage(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema}, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s := newStorage(d, newVault(t), ids.NewSource(clock.Wall{}, d.Node(), 0), clock.Wall{})
		for _, name := range []string{"a/b/one", "a/b/two", "a/c", "ab/x"} {
			if err := s.Store(ctx, name, []byte("first "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Store(ctx, "a/c", []byte("second")); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Load(ctx, "a/c"); err != nil || string(b) != "second" {
			t.Errorf("%q %v", b, err)
		}
		if _, err := s.Load(ctx, "a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a folder was loaded: %v", err)
		}
		if l, err := s.List(ctx, "a", false); err != nil || !slices.Equal(l, []string{"a/b", "a/c"}) {
			t.Errorf("%v %v", l, err)
		}
		if l, err := s.List(ctx, "a", true); err != nil || !slices.Equal(l, []string{"a/b/one", "a/b/two", "a/c"}) {
			t.Errorf("%v %v", l, err)
		}
		if i, err := s.Stat(ctx, "a/b"); err != nil || i.IsTerminal {
			t.Errorf("%+v %v", i, err)
		}
		if i, err := s.Stat(ctx, "a/c"); err != nil || !i.IsTerminal || i.Size != 6 || time.Since(i.Modified) > time.Hour {
			t.Errorf("%+v %v", i, err)
		}
		if err := errors.Join(s.Delete(ctx, "a"), s.Delete(ctx, "a")); err != nil || s.Exists(ctx, "a/b/one") || !s.Exists(ctx, "ab") {
			t.Errorf("deleting a folder: %v", err)
		}
	})
}

func TestLocks(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema}, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		v, source := newVault(t), ids.NewSource(clock.Wall{}, d.Node(), 0)
		a, b := newStorage(d, v, source, clock.Wall{}), newStorage(d, v, source, clock.Wall{})
		if err := a.Lock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := b.Lock(short, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held twice: %v", err)
		}
		if err := b.Lock(ctx, "y"); err != nil {
			t.Error(err)
		}
		if err := a.Unlock(ctx, "x"); err != nil {
			t.Error(err)
		}
		if err := b.Lock(ctx, "x"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(b.Unlock(ctx, "x"), b.Unlock(ctx, "y")); err != nil {
			t.Error(err)
		}
		if err := a.Unlock(ctx, "x"); err == nil {
			t.Error("a lock that is not held was let go")
		}
	})
}
