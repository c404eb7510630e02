package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/deliver/remote"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
	"mailvow/internal/lab"
	"mailvow/internal/standard/dns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func resolver(t testing.TB, zone string) (*dns.Resolver, *lab.DNSServer) {
	t.Helper()
	s := lab.DNS(t, zone)
	var d net.Dialer
	r, err := dns.New(dns.Config{Servers: []string{s.Addr}, Dial: d.DialContext, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

// mxCourier looks domains up in zone and reaches mail hosts on server's port.
func mxCourier(t testing.TB, server *lab.RemoteServer, zone string, change func(*remote.Config)) *remote.Courier {
	t.Helper()
	r, _ := resolver(t, zone)
	_, port, _ := net.SplitHostPort(server.Addr)
	n, _ := strconv.Atoi(port)
	return courier(t, func(c *remote.Config) {
		c.Resolver, c.Port = r, uint16(n)
		if change != nil {
			change(c)
		}
	})
}

// beside is an address on another loopback IP with the server's port.
func beside(s *lab.RemoteServer, ip string) string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return net.JoinHostPort(ip, port)
}

func mxParcel(t testing.TB, to ...string) *deliver.Parcel {
	p := parcel(t, "", 1<<10, to...)
	p.Route = deliver.Route{Kind: deliver.MX}
	return p
}

func kinds(out []outcome.Outcome) string {
	var s []string
	for _, o := range out {
		s = append(s, o.Kind.String())
	}
	return strings.Join(s, " ")
}

func TestRecipientsHaveTheirOwnOutcome(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []bool{true, false} {
		t.Run(fmt.Sprintf("pipelining %v", pipelining), func(t *testing.T) {
			t.Parallel()
			script := lab.Remote{Command: func(_ int, line string) string {
				switch {
				case strings.Contains(line, "<no@"):
					return "550 5.1.1 no such user"
				case strings.Contains(line, "<later@"):
					return "450 4.2.1 greylisted"
				}
				return ""
			}}
			if pipelining {
				script.Extensions = lab.Pipelining
			}
			server := lab.RemoteSMTP(t, script)
			c := courier(t, nil)
			p := parcel(t, server.Addr, 1000, "yes@b.example", "no@b.example", "later@b.example", "also@b.example")
			out := c.Deliver(context.Background(), p)
			if got := kinds(out); got != "delivered failed deferred delivered" {
				t.Fatalf("outcomes %s", got)
			}
			if out[1].Class != outcome.Hard || out[1].Reply.String() != "550 5.1.1 no such user" || out[1].By != "127.0.0.1" {
				t.Errorf("failed: %+v", out[1])
			}
			m := server.Messages()
			if len(m) != 1 || len(m[0].Recipients) != 2 {
				t.Fatalf("received %+v", m)
			}
			want := make([]byte, p.Content.Size())
			_, _ = p.Content.ReadAt(want, 0)
			if !bytes.Equal(m[0].Data, want) {
				t.Error("the content changed on its way")
			}
			for i, o := range out {
				for _, s := range o.Conversation.Steps {
					for j, r := range p.Recipients {
						if i != j && strings.Contains(s.Sent, r.Address.Text()) {
							t.Errorf("the conversation of recipient %d tells of recipient %d", i, j)
						}
					}
				}
			}
		})
	}
}

func TestRefusedTransactionLeavesTheConnectionClean(t *testing.T) {
	t.Parallel()
	for _, refuse := range []string{"MAIL", "RCPT", "DATA", "END", "RCPT but 354"} {
		for _, pipelining := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s pipelining %v", refuse, pipelining), func(t *testing.T) {
				t.Parallel()
				first := true
				script := lab.Remote{
					Command: func(_ int, line string) string {
						if first && strings.HasPrefix(line, refuse[:4]) {
							return "554 5.7.1 not this one"
						}
						if first && refuse == "RCPT but 354" && line == "DATA" {
							return "354 anyway"
						}
						return ""
					},
					End: func(int, []byte) string {
						if first && refuse == "END" {
							return "554 5.7.1 not this one"
						}
						return ""
					},
				}
				if refuse == "END" {
					cmd := script.Command
					script.Command = func(n int, line string) string {
						if first && strings.HasPrefix(line, "END") {
							return cmd(n, line)
						}
						return ""
					}
				}
				if pipelining {
					script.Extensions = lab.Pipelining
				}
				server := lab.RemoteSMTP(t, script)
				c := courier(t, nil)
				out := c.Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
				if out[0].Kind != outcome.Failed || out[0].Reply.Code != 554 {
					t.Fatalf("first: %+v", out[0])
				}
				first = false
				out = c.Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
				if out[0].Kind != outcome.Delivered {
					t.Fatalf("second: %+v", out[0])
				}
				if n := server.Sessions(); n != 1 {
					t.Errorf("%d sessions, want 1: %q", n, server.Commands())
				}
			})
		}
	}
}

func TestKeptConnectionThatWasClosedIsReplaced(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"closed", "421"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(session int, line string) string {
				if how == "421" && session == 1 && strings.HasPrefix(line, "MAIL FROM:<second@") {
					return "421 4.4.2 idle too long"
				}
				return ""
			}})
			c := courier(t, nil)
			if out := c.Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example")); out[0].Kind != outcome.Delivered {
				t.Fatalf("%+v", out[0])
			}
			if how == "closed" {
				server.HangUp(false)
			}
			p := parcel(t, server.Addr, 1000, "a@b.example")
			p.Sender = parse(t, "second@a.example")
			if out := c.Deliver(context.Background(), p); out[0].Kind != outcome.Delivered {
				t.Fatalf("%+v", out[0])
			}
			if server.Sessions() != 2 || len(server.Messages()) != 2 {
				t.Errorf("%d sessions, %d messages", server.Sessions(), len(server.Messages()))
			}
		})
	}
}

func TestAnswerNeverLearnt(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, End: func(int, []byte) string { return lab.Hangup }})
	out := courier(t, nil).Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example", "b@b.example"))
	if got := kinds(out); got != "unknown unknown" {
		t.Fatalf("outcomes %s: %+v", got, out)
	}
	if server.Sessions() != 1 {
		t.Error("the message was sent again in the same attempt")
	}
}

func TestConnectionLostBeforeTheEnd(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if line == "DATA" {
			return lab.Hangup
		}
		return ""
	}})
	out := courier(t, nil).Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
	if out[0].Kind != outcome.Deferred || out[0].Conversation == nil {
		t.Fatalf("%+v", out[0])
	}
}

func TestMXOrderAndNextHost(t *testing.T) {
	t.Parallel()
	good := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	busy := lab.RemoteSMTP(t, lab.Remote{Address: beside(good, "127.0.0.2"), Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "451 4.3.0 try later"
		}
		return ""
	}})
	c := mxCourier(t, good, `
b.example. 60 IN MX 30 good.b.example.
b.example. 60 IN MX 10 dead.b.example.
b.example. 60 IN MX 20 busy.b.example.
dead.b.example. 60 IN A 127.0.0.3
busy.b.example. 60 IN A 127.0.0.2
good.b.example. 60 IN A 127.0.0.1
`, nil)
	out := c.Deliver(context.Background(), mxParcel(t, "a@b.example"))
	if out[0].Kind != outcome.Delivered || out[0].By != "good.b.example" {
		t.Fatalf("%+v", out[0])
	}
	if busy.Sessions() != 1 {
		t.Errorf("the second host was asked %d times", busy.Sessions())
	}
}

func TestVerdictsWithoutAHost(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	r, world := resolver(t, `
null.example. 60 IN MX 0 .
loop.example. 60 IN MX 10 out.mailvow.example.
loop.example. 60 IN MX 20 far.example.
before.example. 60 IN MX 5 far.example.
before.example. 60 IN MX 10 out.mailvow.example.
far.example. 60 IN A 127.0.0.1
ours.example. 60 IN MX 10 alias.example.
alias.example. 60 IN A 127.0.0.9
fallback.example. 60 IN A 127.0.0.1
nowhere.example. 60 IN MX 10 gone.example.
empty.example. 60 IN TXT "nothing here"
inside.example. 60 IN MX 10 inside.example.
inside.example. 60 IN A 10.1.2.3
`)
	world.Fail("broken.example", 2)
	_, port, _ := net.SplitHostPort(server.Addr)
	n, _ := strconv.Atoi(port)
	c := courier(t, func(c *remote.Config) {
		c.Resolver, c.Port = r, uint16(n)
		c.OwnAddresses = []netip.Addr{netip.MustParseAddr("127.0.0.9")}
	})
	for _, want := range []struct {
		domain   string
		kind     outcome.Kind
		enhanced string
	}{
		{"null.example", outcome.Failed, "5.1.10"},
		{"absent.example", outcome.Failed, "5.1.2"},
		{"broken.example", outcome.Deferred, "4.4.3"},
		{"loop.example", outcome.Failed, "5.4.6"},
		{"ours.example", outcome.Failed, "5.4.6"},
		{"out.mailvow.example", outcome.Failed, "5.1.2"},
		{"before.example", outcome.Delivered, "2.0.0"},
		{"fallback.example", outcome.Delivered, "2.0.0"},
		{"nowhere.example", outcome.Failed, "5.4.4"},
		{"empty.example", outcome.Failed, "5.4.4"},
		{"inside.example", outcome.Failed, "5.4.4"},
		{"[127.0.0.1]", outcome.Delivered, "2.0.0"},
		{"[10.1.2.3]", outcome.Failed, "5.4.4"},
	} {
		out := c.Deliver(context.Background(), mxParcel(t, "a@"+want.domain))
		if out[0].Kind != want.kind || out[0].Reply.Enhanced.String() != want.enhanced {
			t.Errorf("%s: %v %v, want %v %s", want.domain, out[0].Kind, out[0].Reply, want.kind, want.enhanced)
		}
	}
}

// TestFloors: what a customer's policy asks of TLS goes before what the route asks,
// and connections that one customer's mail may use are not lent to another's.
func TestFloors(t *testing.T) {
	t.Parallel()
	config, roots := lab.Certificate(t, "mx.b.example")
	old := config.Clone()
	old.MaxVersion = tls.VersionTLS12
	good := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, TLS: config})
	lab.RemoteSMTP(t, lab.Remote{Address: beside(good, "127.0.0.2"), Extensions: lab.Pipelining})
	lab.RemoteSMTP(t, lab.Remote{Address: beside(good, "127.0.0.3"), Extensions: lab.Pipelining, TLS: old})
	asked := map[ids.Tenant]deliver.Floor{
		1: {}, 2: {Required: true}, 3: {Verified: true}, 4: {Version: tls.VersionTLS13}, 5: {Version: tls.VersionTLS12},
	}
	c := mxCourier(t, good, `
b.example. 60 IN MX 10 mx.b.example.
mx.b.example. 60 IN A 127.0.0.1
other.example. 60 IN A 127.0.0.1
clear.example. 60 IN A 127.0.0.2
old.example. 60 IN A 127.0.0.3
`, func(c *remote.Config) {
		c.Roots, c.Floor = roots, func(t ids.Tenant) deliver.Floor { return asked[t] }
	})
	for domain, taken := range map[string]string{ // by the tenants above
		"b.example": "11111", "other.example": "11011", "old.example": "11001", "clear.example": "10001",
	} {
		for range 2 { // the second may use a kept connection
			for i, want := range taken {
				p := mxParcel(t, "a@"+domain)
				p.Tenant = ids.Tenant(i + 1)
				out := c.Deliver(context.Background(), p)[0]
				if (out.Kind == outcome.Delivered) != (want == '1') {
					t.Errorf("%s of tenant %d: %v, TLS %q, %v", domain, i+1, out.Kind, out.TLS, out.Reply)
				}
				if want == '0' && (out.Kind != outcome.Deferred || !strings.Contains(out.Reply.Text, "The host offers no ")) {
					t.Errorf("%s of tenant %d: %v %v", domain, i+1, out.Kind, out.Reply)
				}
			}
		}
	}
}

func TestTLSPolicies(t *testing.T) {
	t.Parallel()
	config, roots := lab.Certificate(t, "mx.b.example")
	good := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, TLS: config})
	lab.RemoteSMTP(t, lab.Remote{Address: beside(good, "127.0.0.2"), Extensions: lab.Pipelining})
	lab.RemoteSMTP(t, lab.Remote{Address: beside(good, "127.0.0.3"), Extensions: lab.Pipelining, BrokenTLS: true})
	c := mxCourier(t, good, `
b.example. 60 IN MX 10 mx.b.example.
mx.b.example. 60 IN A 127.0.0.1
other.example. 60 IN MX 10 mx.other.example.
mx.other.example. 60 IN A 127.0.0.1
clear.example. 60 IN A 127.0.0.2
broken.example. 60 IN A 127.0.0.3
`, func(c *remote.Config) { c.Roots = roots })
	for _, want := range []struct {
		domain string
		policy deliver.TLSPolicy
		kind   outcome.Kind
		tls    bool
	}{
		{"b.example", deliver.Opportunistic, outcome.Delivered, true},
		{"b.example", deliver.Verified, outcome.Delivered, true},
		{"b.example", deliver.Plain, outcome.Delivered, false},
		{"other.example", deliver.Opportunistic, outcome.Delivered, true},
		{"other.example", deliver.Verified, outcome.Deferred, false},
		{"clear.example", deliver.Opportunistic, outcome.Delivered, false},
		{"clear.example", deliver.Verified, outcome.Deferred, false},
		{"broken.example", deliver.Opportunistic, outcome.Delivered, false},
		{"broken.example", deliver.Verified, outcome.Deferred, false},
	} {
		for range 2 { // the second may use a kept connection: the verdict is the same
			p := mxParcel(t, "a@"+want.domain)
			p.Route.TLS = want.policy
			out := c.Deliver(context.Background(), p)
			if out[0].Kind != want.kind || (out[0].TLS != "") != want.tls {
				t.Errorf("%s with policy %d: %v, TLS %q, %v", want.domain, want.policy, out[0].Kind, out[0].TLS, out[0].Reply)
			}
		}
	}
}

func TestPasswordGoesOnlyToAProvenHost(t *testing.T) {
	t.Parallel()
	config, roots := lab.Certificate(t, "smart.example")
	extensions := append([]string{"AUTH PLAIN LOGIN"}, lab.Pipelining...)
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: extensions, TLS: config})
	_, port, _ := net.SplitHostPort(server.Addr)
	r, _ := resolver(t, "smart.example. 60 IN A 127.0.0.1\nevil.example. 60 IN A 127.0.0.1\n")
	c := courier(t, func(c *remote.Config) { c.Resolver, c.Roots = r, roots })
	for _, want := range []struct {
		host string
		kind outcome.Kind
	}{{"smart.example", outcome.Delivered}, {"evil.example", outcome.Deferred}} {
		p := parcel(t, net.JoinHostPort(want.host, port), 1000, "a@b.example")
		p.Route.Username, p.Route.Password = "me", "correct horse"
		out := c.Deliver(context.Background(), p)
		if out[0].Kind != want.kind {
			t.Errorf("%s: %+v", want.host, out[0])
		}
		for _, s := range out[0].Conversation.Steps {
			if strings.Contains(strings.ToUpper(s.Sent), "AUTH PLAIN") {
				t.Error("AUTH stands in the conversation")
			}
		}
	}
	auth := 0
	for _, line := range server.Commands() {
		if strings.HasPrefix(line, "AUTH") {
			auth++
		}
	}
	if auth != 1 {
		t.Errorf("%d AUTH commands, want 1", auth)
	}
}

func TestGreetingAndEHLO(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script lab.Remote
		kind   outcome.Kind
	}{
		{"no EHLO", lab.Remote{NoEHLO: true}, outcome.Delivered},
		{"421 greeting", lab.Remote{Banner: "421 4.3.2 full"}, outcome.Deferred},
		{"554 greeting", lab.Remote{Banner: "554 no SMTP here"}, outcome.Failed},
		{"silent close", lab.Remote{Banner: lab.Hangup}, outcome.Deferred},
		{"noise", lab.Remote{Banner: "HTTP/1.1 400 Bad Request"}, outcome.Deferred},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := lab.RemoteSMTP(t, c.script)
			out := courier(t, nil).Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
			if out[0].Kind != c.kind || out[0].Class == outcome.Hard {
				t.Fatalf("%+v", out[0])
			}
		})
	}
}

func TestManyRecipientsGoInSeveralTransactions(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: append([]string{"LIMITS RCPTMAX=20"}, lab.Pipelining...)})
	var to []string
	for i := range 45 {
		to = append(to, fmt.Sprintf("u%d@b.example", i))
	}
	out := courier(t, nil).Deliver(context.Background(), parcel(t, server.Addr, 1000, to...))
	for i, o := range out {
		if o.Kind != outcome.Delivered {
			t.Fatalf("recipient %d: %+v", i, o)
		}
	}
	if m := server.Messages(); len(m) != 3 || server.Sessions() != 1 {
		t.Errorf("%d messages in %d sessions", len(m), server.Sessions())
	}
}

func TestNoOutcomeIsMissingWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			cancel()
		}
		return ""
	}})
	p := parcel(t, server.Addr, 1000, "a@b.example")
	out := courier(t, nil).Deliver(ctx, p)
	if len(out) != 1 || out[0].Kind == 0 || out[0].Reply.Code == 0 {
		t.Fatalf("%+v", out)
	}
	out = courier(t, nil).Deliver(ctx, p)
	if len(out) != 1 || out[0].Kind != outcome.Deferred {
		t.Fatalf("%+v", out)
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	hand := lab.NewClock(time.Now())
	c := courier(t, func(c *remote.Config) { c.Clock, c.IdleTimeout = hand, 20*time.Second })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	if out := c.Deliver(ctx, parcel(t, server.Addr, 1000, "a@b.example")); out[0].Kind != outcome.Delivered {
		t.Fatalf("%+v", out[0])
	}
	if n := c.Idle(); n != 1 {
		t.Fatalf("%d idle connections, want 1", n)
	}
	for range 8 {
		for hand.Waiting() == 0 {
			time.Sleep(time.Millisecond)
		}
		hand.Wind(5 * time.Second)
	}
	for range 1000 {
		if c.Idle() == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if n := c.Idle(); n != 0 {
		t.Errorf("%d idle connections after their time", n)
	}
	cancel()
	<-done
}

func TestOpenConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	one := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	two := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	c := courier(t, func(c *remote.Config) { c.MaxOpen = 1 })
	for _, s := range []*lab.RemoteServer{one, two, one} {
		if out := c.Deliver(context.Background(), parcel(t, s.Addr, 1000, "a@b.example")); out[0].Kind != outcome.Delivered {
			t.Fatalf("%+v", out[0])
		}
	}
	if one.Sessions() != 2 || two.Sessions() != 1 {
		t.Errorf("%d and %d sessions, want 2 and 1", one.Sessions(), two.Sessions())
	}
}

func TestUnlistedNetworkIsNotReached(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	gate, err := egress.New(egress.Config{Destinations: []egress.Destination{{Name: "mail", Purpose: "deliver", Owner: egress.Customer}}})
	if err != nil {
		t.Fatal(err)
	}
	dialer, _ := gate.To("mail")
	c := courier(t, func(c *remote.Config) { c.Dialer = dialer })
	out := c.Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
	if out[0].Kind != outcome.Failed || server.Sessions() != 0 {
		t.Fatalf("%+v", out[0])
	}
	if l := gate.Log(); len(l) != 1 || l[0].Result != "refused" {
		t.Errorf("log %+v", l)
	}
}

// noEntry is a register in which nothing stands.
type noEntry struct{}

func (noEntry) Covers(string, string, string, ids.Tenant) (string, error) {
	return "", fault.New(fault.Denied, "no entry")
}

// TestRelayWithoutAnEntry: mail for the operator's own relay waits until the
// register lets it go there; nobody's mail is bounced for it.
func TestRelayWithoutAnEntry(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	gate, err := egress.New(egress.Config{Here: []string{"EU"}, Destinations: []egress.Destination{
		{Name: "relays", Purpose: "deliver", Owner: egress.Operator, Region: "US", Hosts: []string{server.Addr}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	gate.Govern(noEntry{})
	relays, _ := gate.To("relays")
	c := courier(t, func(c *remote.Config) { c.Relays = relays })
	out := c.Deliver(context.Background(), parcel(t, server.Addr, 1000, "a@b.example"))
	if out[0].Kind != outcome.Deferred || out[0].Reply.Code != 451 || server.Sessions() != 0 {
		t.Fatalf("%+v", out[0])
	}
}

func TestIPv6AndTheNextAddress(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Address: "[::1]:0", Extensions: lab.Pipelining})
	c := mxCourier(t, server, `
b.example. 60 IN MX 10 mx.b.example.
mx.b.example. 60 IN A 127.0.0.3
mx.b.example. 60 IN AAAA ::1
`, nil)
	for _, to := range []string{"a@b.example", "a@[IPv6:::1]"} {
		if out := c.Deliver(context.Background(), mxParcel(t, to)); out[0].Kind != outcome.Delivered {
			t.Errorf("%s: %+v", to, out[0])
		}
	}
}

// torn is content whose second block cannot be read.
type torn struct{ *bytes.Reader }

func (t torn) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 {
		return 0, fmt.Errorf("the disk is gone")
	}
	return t.Reader.ReadAt(p, off)
}

func TestContentThatCannotBeReadIsNotEnded(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	p := parcel(t, server.Addr, 100, "a@b.example")
	p.Content = torn{bytes.NewReader(bytes.Repeat([]byte("line\r\n"), 20_000))}
	out := courier(t, nil).Deliver(context.Background(), p)
	if out[0].Kind != outcome.Deferred || out[0].Reply.Enhanced.String() != "4.3.0" || len(server.Messages()) != 0 {
		t.Errorf("%+v, %d messages", out[0], len(server.Messages()))
	}
}

func TestHostileWordsAreTidied(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550 5.1.1 \x1b[2J\xff\rSubject: injected" + strings.Repeat("x", 3000)
		}
		return ""
	}})
	out := courier(t, nil).Deliver(context.Background(), parcel(t, server.Addr, 100, "a@b.example"))
	text := out[0].Reply.Text
	if out[0].Kind != outcome.Failed || len(text) > 1100 || strings.ContainsAny(text, "\r\x1b") || !utf8.ValidString(text) {
		t.Errorf("%q", text)
	}
	for _, s := range out[0].Conversation.Steps {
		if !utf8.ValidString(s.Got) || strings.ContainsAny(s.Got, "\x1b") {
			t.Errorf("%q", s.Got)
		}
	}
}

// TestWhoReportsSuccess: a host that offers DSN was told NOTIFY and reports
// itself (RFC 3461 5.2.2); for one that does not, we do.
func TestWhoReportsSuccess(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		extensions []string
		notify     string
		passed     bool
	}{{lab.Pipelining, "SUCCESS", true}, {lab.Pipelining, "", false}, {nil, "SUCCESS", false}} {
		server := lab.RemoteSMTP(t, lab.Remote{Extensions: x.extensions})
		p := parcel(t, server.Addr, 100, "a@b.example")
		p.Recipients[0].Notify = x.notify
		o := courier(t, nil).Deliver(context.Background(), p)[0]
		if o.Kind != outcome.Delivered || o.PassedDSN != x.passed {
			t.Errorf("extensions %v, NOTIFY %q: %v, passed on %v", x.extensions, x.notify, o.Kind, o.PassedDSN)
		}
		if sent := strings.Contains(strings.Join(server.Messages()[0].Recipients, ""), "NOTIFY=SUCCESS"); sent != x.passed {
			t.Errorf("the host was told NOTIFY: %v, and the outcome says %v", sent, x.passed)
		}
	}
}
