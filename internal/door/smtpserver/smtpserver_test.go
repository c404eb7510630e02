package smtpserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/door/smtpserver"
	"mailvow/internal/standard/scram"
)

// house is a scripted backend. Local parts decide: "unknown" is no recipient,
// "later" is refused for now, "full" makes the body fail, "refused" is refused
// at the end, "spammer" may not send, "closed" may not begin a body.
type house struct {
	trusted netip.Prefix
	proved  []string
	scram   scram.Verifier
	refuse  func(*smtpserver.Peer) *reply.Reply
	enter   chan struct{} // if set, Accept says that it has begun
	hold    chan struct{} // if set, Accept waits for it

	mu       sync.Mutex
	taken    []taken
	dropped  int
	attempts int
}

type taken struct {
	tx   *smtpserver.Transaction
	body string
}

type shelf struct {
	bytes.Buffer
	house *house
	full  bool
}

func (b *shelf) Write(p []byte) (int, error) {
	if b.full {
		return 0, fault.New(fault.Full, "")
	}
	return b.Buffer.Write(p)
}

func (b *shelf) Discard() {
	b.house.mu.Lock()
	b.house.dropped++
	b.house.mu.Unlock()
}

const (
	user     = "mailer"
	password = "correct horse"
)

func no(code int, enhanced, text string) *reply.Reply {
	r := reply.New(code, enhanced, text)
	return &r
}

func (h *house) Connect(_ context.Context, p *smtpserver.Peer) *reply.Reply {
	if h.refuse != nil {
		return h.refuse(p)
	}
	return nil
}

func (h *house) Authenticate(_ context.Context, _ *smtpserver.Peer, username, secret string) (smtpserver.Identity, *reply.Reply) {
	h.mu.Lock()
	h.attempts++
	h.mu.Unlock()
	switch {
	case username == "busy":
		return smtpserver.Identity{}, no(454, "4.7.0", "Sign-in is not possible now; try again later.")
	case username == user && secret == password:
		return smtpserver.Identity{Tenant: 7}, nil
	}
	return smtpserver.Identity{}, no(535, "5.7.8", "The user name or the password is wrong.")
}

func (h *house) Scram(_ context.Context, _ *smtpserver.Peer, username string) (scram.Verifier, *reply.Reply) {
	if username != user {
		return scram.Verifier{}, nil
	}
	return h.scram, nil
}

func (h *house) Proved(_ context.Context, _ *smtpserver.Peer, username string) (smtpserver.Identity, *reply.Reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proved = append(h.proved, username)
	return smtpserver.Identity{Tenant: 7}, nil
}

func (h *house) Trusted(_ context.Context, ip netip.Addr) (smtpserver.Identity, bool) {
	return smtpserver.Identity{Tenant: 8}, h.trusted.IsValid() && h.trusted.Contains(ip)
}

func (h *house) Mail(_ context.Context, t *smtpserver.Transaction) *reply.Reply {
	if t.Sender.Local() == "spammer" {
		return no(550, "5.7.1", "This sender is not yours; use an address of a verified domain.")
	}
	return nil
}

func (h *house) Recipient(_ context.Context, _ *smtpserver.Transaction, r *smtpserver.Recipient) *reply.Reply {
	switch r.Address.Local() {
	case "unknown":
		return no(550, "5.1.1", "There is no such mailbox here.")
	case "later":
		return no(450, "4.2.1", "The mailbox is busy; try again later.")
	}
	return nil
}

func (h *house) NewBody(_ context.Context, t *smtpserver.Transaction) (smtpserver.Body, *reply.Reply) {
	if t.Sender.Local() == "closed" {
		return nil, no(452, "4.3.1", "There is no room for new mail now; try again later.")
	}
	return &shelf{house: h, full: t.Sender.Local() == "full"}, nil
}

func (h *house) Accept(_ context.Context, t *smtpserver.Transaction, b smtpserver.Body) reply.Reply {
	if h.enter != nil {
		h.enter <- struct{}{}
	}
	if h.hold != nil {
		<-h.hold
	}
	if t.Sender.Local() == "refused" {
		return reply.New(550, "5.7.1", "The message is refused.")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = append(h.taken, taken{t, b.(*shelf).String()})
	return reply.New(250, "2.0.0", "Kept.")
}

func (h *house) messages() []taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]taken(nil), h.taken...)
}

func (h *house) discarded() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped
}

// site is a running server.
type site struct {
	house   *house
	server  *smtpserver.Server
	addr    string
	metrics *prometheus.Registry
	log     *lines
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open starts a server on a free port; the test's end stops it.
func open(t testing.TB, change func(*smtpserver.Config, *house)) *site {
	t.Helper()
	w := clock.Wall{}
	st := &site{house: &house{}, metrics: prometheus.NewRegistry(), log: &lines{}}
	cfg := smtpserver.Config{
		Role: smtpserver.MX, Hostname: "mx.mailvow.test", Clock: w, IDs: ids.NewSource(w, 1, 0), Backend: st.house,
		Observe: observe.New(newHandler(st.log), st.metrics, nil), TLS: testTLS(t),
	}
	if change != nil {
		change(&cfg, st.house)
	}
	server, err := smtpserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	st.server, st.addr = server, ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return st
}

func tlsClient() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "mx.mailvow.test"}
}

// dial connects a client that gives up after two minutes.
func (st *site) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", st.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestConfigurationThatCannotServe(t *testing.T) {
	t.Parallel()
	if _, err := smtpserver.New(smtpserver.Config{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty configuration: %v", err)
	}
}

func repeated(s string, n int) string { return strings.Repeat(s, n) }
