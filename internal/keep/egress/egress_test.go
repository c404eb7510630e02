package egress

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	closed := newGuard(nil)
	loopback := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")})
	private := newGuard([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")})
	meta := newGuard([]netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")})
	gateway := newGuard([]netip.Prefix{netip.MustParsePrefix("64:ff9b::/96")})
	for _, c := range []struct {
		name string
		g    guard
		addr string
		ok   bool
	}{
		{"public", closed, "8.8.8.8:25", true},
		{"public 6", closed, "[2606:4700::1111]:443", true},
		{"loopback", closed, "127.0.0.1:80", false},
		{"all of loopback", closed, "127.9.9.9:80", false},
		{"this host", closed, "0.0.0.0:80", false},
		{"private 10", closed, "10.0.0.1:80", false},
		{"private 172", closed, "172.16.0.1:80", false},
		{"private 192", closed, "192.168.1.1:80", false},
		{"shared", closed, "100.64.0.1:80", false},
		{"link-local", closed, "169.254.1.1:80", false},
		{"metadata", closed, "169.254.169.254:80", false},
		{"Azure's public one", closed, "168.63.129.16:80", false},
		{"multicast", closed, "224.0.0.1:80", false},
		{"broadcast", closed, "255.255.255.255:80", false},
		{"benchmark", closed, "198.18.0.1:80", false},
		{"loopback 6", closed, "[::1]:80", false},
		{"unspecified 6", closed, "[::]:80", false},
		{"local 6", closed, "[fd00::1]:80", false},
		{"link-local 6", closed, "[fe80::1%eth0]:80", false},
		{"metadata 6", closed, "[fd00:ec2::254]:80", false},
		{"mapped loopback", closed, "[::ffff:127.0.0.1]:80", false},
		{"mapped private", closed, "[::ffff:10.0.0.1]:80", false},
		{"mapped public", closed, "[::ffff:8.8.8.8]:80", true},
		{"compatible", closed, "[::127.0.0.1]:80", false},
		{"NAT64", closed, "[64:ff9b::7f00:1]:80", false},
		{"NAT64 local", closed, "[64:ff9b:1::a00:1]:80", false},
		{"6to4", closed, "[2002:7f00:1::]:80", false},
		{"Teredo", closed, "[2001::1]:80", false},
		{"listed loopback", loopback, "127.0.0.1:80", true},
		{"listed loopback, mapped", loopback, "[::ffff:127.0.0.1]:80", true},
		{"not listed beside it", loopback, "10.0.0.1:80", false},
		{"listed private", private, "10.2.3.4:80", true},
		{"metadata in a listed network", private, "169.254.169.254:80", false},
		{"metadata listed alone", meta, "169.254.169.254:80", true},
		{"NAT64 listed, public inside", gateway, "[64:ff9b::808:808]:80", true},
		{"NAT64 listed, loopback inside", gateway, "[64:ff9b::7f00:1]:80", false},
	} {
		if err := c.g.judge(netip.MustParseAddrPort(c.addr)); (err == nil) != c.ok || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s %s: %v", c.name, c.addr, err)
		}
	}
}

func TestOwnListenersAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(nil)
	g.own(netip.MustParseAddrPort("8.8.8.8:443"))
	if g.judge(netip.MustParseAddrPort("8.8.8.8:443")) == nil {
		t.Error("a listener of ours may be reached")
	}
	if err := g.judge(netip.MustParseAddrPort("8.8.8.8:25")); err != nil {
		t.Errorf("another port: %v", err)
	}
	g.own(netip.MustParseAddrPort("0.0.0.0:8080"))
	if err := g.judge(netip.MustParseAddrPort("9.9.9.9:8080")); err != nil {
		t.Errorf("the same port elsewhere: %v", err)
	}
	if !g.isOwn(netip.MustParseAddr("127.0.0.1"), 8080) {
		t.Error("a listener on every address is not found on an interface's")
	}
}

// world resolves every name to one address, as an attacker's DNS would.
type world netip.Addr

func (w world) Addresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.Addr(w)}, nil
}

func gate(t *testing.T, o *observe.Observer, allow ...string) *Gate {
	t.Helper()
	c := Config{Observe: o, Destinations: []Destination{
		{Name: "webhook", Purpose: "call a customer's endpoint", Owner: Customer},
		{Name: "resolver", Purpose: "look up names", Owner: Operator, Hosts: []string{"127.0.0.1:1"}},
	}}
	for _, a := range allow {
		c.Allow = append(c.Allow, netip.MustParsePrefix(a))
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestDialByOwner(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()
	addr := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	ctx := context.Background()
	metrics := prometheus.NewRegistry()
	o := observe.New(slog.DiscardHandler, metrics, nil)
	shut := gate(t, o)
	shut.Resolve(world(netip.MustParseAddr("127.0.0.1")))
	hook, _ := shut.To("webhook")
	for _, a := range []string{addr, "localhost:" + port, "innocent.example:" + port, "[::ffff:127.0.0.1]:" + port} {
		if conn, err := hook.Dial(ctx, "tcp", a); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: connected %v, %v", a, conn != nil, err)
		}
	}
	own, _ := shut.To("resolver")
	if _, err := own.Dial(ctx, "tcp", addr); !fault.Is(err, fault.Denied) {
		t.Errorf("an operator's destination without entry: %v", err)
	}
	families, err := metrics.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("metrics %v, %v", families, err)
	}
	refusals := 0.0
	for _, m := range families[0].GetMetric() {
		refusals += m.GetCounter().GetValue()
	}
	if refusals != 5 {
		t.Errorf("%v refusals counted, want 5", refusals)
	}
	if _, err := shut.To("elsewhere"); !fault.Is(err, fault.Denied) {
		t.Errorf("an undeclared destination: %v", err)
	}
	open := gate(t, nil, "127.0.0.0/8")
	open.Resolve(world(netip.MustParseAddr("127.0.0.1")))
	hook, _ = open.To("webhook")
	transport := hook.HTTPTransport()
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get("http://innocent.example:" + port)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	log := open.Log()
	if len(log) != 1 || log[0].Name != "webhook" || log[0].Result != "opened" {
		t.Errorf("log %+v", log)
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	g := gate(t, nil)
	for range kept + 10 {
		g.log.add(Entry{Name: "old"})
	}
	g.log.add(Entry{Name: "new"})
	if l := g.Log(); len(l) != kept || l[kept-1].Name != "new" {
		t.Errorf("%d entries, the last %+v", len(l), l[len(l)-1])
	}
}

func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	for _, d := range []Destination{
		{Purpose: "x", Owner: Customer},
		{Name: "x", Owner: Customer},
		{Name: "x", Purpose: "x"},
		{Name: "x", Purpose: "x", Owner: Operator},
	} {
		if _, err := New(Config{Destinations: []Destination{d}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}
