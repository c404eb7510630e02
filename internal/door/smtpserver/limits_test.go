package smtpserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"mailvow/internal/base/reply"
	"mailvow/internal/door/smtpserver"
)

// client is a conversation that a test holds by hand.
type client struct {
	testing.TB
	net.Conn
	in *bufio.Reader
}

func (st *site) client(t testing.TB) *client {
	conn := st.dial(t)
	return &client{t, conn, bufio.NewReader(conn)}
}

// say sends a line and gives the last line of the answer.
func (c *client) say(text string) string {
	c.Helper()
	if _, err := io.WriteString(c.Conn, text+"\r\n"); err != nil {
		c.Fatal(err)
	}
	return c.hear()
}

func (c *client) hear() string {
	c.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.Fatalf("after %q: %v", line, err)
		}
		if len(line) > 3 && line[3] == ' ' {
			return strings.TrimSuffix(line, "\r\n")
		}
	}
}

func (c *client) want(prefix string, got string) {
	c.Helper()
	if !strings.HasPrefix(got, prefix) {
		c.Fatalf("want %s, got %s", prefix, got)
	}
}

// count gives a metric's value; label is one of its label values, or "".
func (st *site) count(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := st.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if label == "" && l.GetName() == "listener" || l.GetValue() == label {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
		runtime.Gosched()
	}
}

// proxied connects as a listed proxy that speaks for another address.
func (st *site) proxied(t testing.TB, version byte, source string) *client {
	t.Helper()
	c := st.client(t)
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source))
	to := &net.TCPAddr{IP: net.ParseIP("2001:db8::25"), Port: 25}
	if from.IP.To4() != nil {
		to.IP = net.ParseIP("192.0.2.25")
	}
	if _, err := proxyproto.HeaderProxyFromAddrs(version, from, to).WriteTo(c.Conn); err != nil {
		t.Fatal(err)
	}
	return c
}

func behindProxy(c *smtpserver.Config, _ *house) {
	c.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// TestFloodLeavesAnHonestClientServed keeps one address at its limit with
// hundreds of connections while another sends its mail.
func TestFloodLeavesAnHonestClientServed(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, h *house) {
		behindProxy(c, h)
		c.Limits = smtpserver.Limits{Connections: 100, ConnectionsPerAddress: 10, ConnectionRate: smtpserver.Rate{Count: -1}}
	})
	var held []*client
	refused := 0
	for i := range 300 {
		// One /64 is one address, however its host bits change.
		c := st.proxied(t, 2, fmt.Sprintf("[2001:db8:bad::%x]:4000", i+1))
		if got := c.hear(); strings.HasPrefix(got, "220 ") {
			held = append(held, c)
		} else {
			c.want("421 4.7.0 Too many connections from your address", got)
			refused++
			_ = c.Close()
		}
	}
	if len(held) != 10 || refused != 290 {
		t.Errorf("%d connections held, %d refused", len(held), refused)
	}
	honest := st.proxied(t, 1, "198.51.100.7:4000")
	honest.want("220", honest.hear())
	honest.want("250", honest.say("EHLO honest.example"))
	honest.want("250", honest.say("MAIL FROM:<a@a.example>"))
	honest.want("250", honest.say("RCPT TO:<b@b.example>"))
	honest.want("354", honest.say("DATA"))
	honest.want("250", honest.say("hello\r\n."))
	if got := st.house.messages(); len(got) != 1 || got[0].tx.Peer.IP != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("taken: %v", got)
	}
	if st.count(t, "mailvow_smtp_messages_total", "") != 1 || st.count(t, "mailvow_smtp_received_bytes_total", "") != 7 {
		t.Error("the message was not counted")
	}
	if n := st.count(t, "mailvow_smtp_refusals_total", "address_connections"); n != 290 {
		t.Errorf("the metric counts %v", n)
	}
	if lines := strings.Count(st.log.String(), "\n"); lines > 25 {
		t.Errorf("290 refusals of one address made %d log lines", lines)
	}
}

func TestTotalOfConnections(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, _ *house) { c.Limits.Connections = 2 })
	a, b := st.client(t), st.client(t)
	a.want("220", a.hear())
	b.want("220", b.hear())
	c := st.client(t)
	c.want("421 4.7.0 Too many connections; try again later. [ref_", c.hear())
	a.want("221", a.say("QUIT"))
	until(t, "the place is free again", func() bool { return st.count(t, "mailvow_smtp_connections_open", "") == 1 })
	d := st.client(t)
	d.want("220", d.hear())
}

func TestConnectionRate(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, h *house) {
		behindProxy(c, h)
		c.Limits.ConnectionRate = smtpserver.Rate{Count: 2, Per: time.Hour}
		c.Exempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	for _, want := range []string{"220", "220", "421"} {
		c := st.proxied(t, 2, "203.0.113.5:1")
		c.want(want, c.hear())
	}
	for range 4 {
		c := st.proxied(t, 2, "192.0.2.77:1")
		c.want("220", c.hear())
	}
}

// TestIdleMakeRoomUnderStress holds that with most places taken, idle clients
// are sent away sooner.
func TestIdleMakeRoomUnderStress(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, _ *house) {
		c.Limits.Connections, c.Limits.Stress = 5, 50*time.Millisecond
	})
	for range 3 {
		c := st.client(t)
		c.want("220", c.hear())
	}
	fourth := st.client(t)
	fourth.want("220", fourth.hear())
	fourth.want("421 4.4.2", fourth.hear())
}

var reference = regexp.MustCompile(`\[(ref_[0-9a-z]{26})\]$`)

// TestTheLogFindsEveryReference makes one client err far more often than is
// logged, and looks each reference up.
func TestTheLogFindsEveryReference(t *testing.T) {
	t.Parallel()
	st := open(t, func(c *smtpserver.Config, _ *house) { c.Limits.Errors = -1 })
	c := st.client(t)
	c.want("220", c.hear())
	seen := map[string]int{}
	for range 500 {
		m := reference.FindStringSubmatch(c.say("NONSENSE"))
		if m == nil {
			t.Fatal("a refusal without a reference")
		}
		seen[m[1]]++
	}
	log := st.log.String()
	for ref := range seen {
		if !strings.Contains(log, ref) {
			t.Errorf("the log does not know %s", ref)
		}
	}
	if len(seen) != 21 || strings.Count(log, "\n") != 21 {
		t.Errorf("%d references, %d lines", len(seen), strings.Count(log, "\n"))
	}
	if strings.Contains(log, "127.0.0.1") || !strings.Contains(log, "reason=unknown_command") {
		t.Errorf("the log:\n%s", log)
	}
	if err := st.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if log := st.log.String(); !strings.Contains(log, "refusals counted") || !strings.Contains(log, "count=48") {
		t.Errorf("no sum at the end:\n%s", log)
	}
}

// TestLineOfAGigabyte streams one line far beyond any bound: it is read to its
// end, never kept, and refused by name.
func TestLineOfAGigabyte(t *testing.T) {
	t.Parallel()
	st := open(t, nil)
	c := st.client(t)
	c.want("220", c.hear())
	c.want("250", c.say("EHLO c.example"))
	c.want("250", c.say("MAIL FROM:<a@a.example>"))
	c.want("250", c.say("RCPT TO:<b@b.example>"))
	c.want("354", c.say("DATA"))
	piece := []byte(strings.Repeat("x", 1<<20))
	pieces := 1024
	if testing.Short() {
		pieces = 64
	}
	for range pieces {
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	c.want("550 5.6.0 The message has a line that is far too long", c.say("\r\n."))
	if len(st.house.messages()) != 0 || st.house.discarded() != 1 {
		t.Error("the message was not thrown away")
	}
	c.want("250", c.say("NOOP"))
}

func TestBackendRefusesThePeer(t *testing.T) {
	t.Parallel()
	st := open(t, func(_ *smtpserver.Config, h *house) {
		h.refuse = func(*smtpserver.Peer) *reply.Reply { return no(554, "5.7.1", "Your network is not welcome.") }
	})
	c := st.client(t)
	c.want("554 5.7.1 Your network is not welcome. [ref_", c.hear())
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
}

// TestADefectEndsOneSession holds that a panic behind the door costs the client
// its connection and nobody else theirs.
func TestADefectEndsOneSession(t *testing.T) {
	t.Parallel()
	first := true
	st := open(t, func(_ *smtpserver.Config, h *house) {
		h.refuse = func(*smtpserver.Peer) *reply.Reply {
			if first {
				first = false
				panic("a defect")
			}
			return nil
		}
	})
	if b, err := io.ReadAll(st.dial(t)); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	c := st.client(t)
	c.want("220", c.hear())
	if st.count(t, "mailvow_smtp_refusals_total", "panic") != 1 || st.count(t, "mailvow_smtp_connections_open", "") != 1 {
		t.Error("the defect was not counted, or its place not given back")
	}
}
