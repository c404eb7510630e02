package egress

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// terms is a register that a test changes.
type terms struct {
	mu    sync.Mutex
	entry string
	asked []string
}

func (r *terms) Covers(purpose, endpoint, region string, _ ids.Tenant) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, strings.TrimSpace(purpose+" "+endpoint+" "+region))
	if r.entry == "" {
		return "", fault.New(fault.Denied, "nobody")
	}
	return r.entry, nil
}

func (r *terms) set(entry string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entry = entry
}

const far = "203.0.113.1:5432"

func governed(t *testing.T, hosts ...string) (*Gate, *Dialer, *terms) {
	t.Helper()
	g, err := New(Config{Timeout: 20 * time.Millisecond, Destinations: []Destination{{Name: "data.s3", Use: "object store", Purpose: "keep bytes", Owner: Operator, Hosts: hosts}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &terms{}
	g.Govern(r)
	d, err := g.To("data.s3")
	if err != nil {
		t.Fatal(err)
	}
	return g, d, r
}

func TestOutsideNeedsAnEntry(t *testing.T) {
	t.Parallel()
	g, d, r := governed(t, far)
	if _, err := d.Dial(t.Context(), "tcp", far); !fault.Is(err, fault.Denied) {
		t.Errorf("without an entry: %v", err)
	}
	if list := g.Endpoints(t.Context()); len(list) != 1 || list[0].Problem != "nobody" || list[0].Ours {
		t.Errorf("%+v", list)
	}
	r.set("Cloud")
	if _, err := d.Dial(t.Context(), "tcp", far); fault.Is(err, fault.Denied) {
		t.Errorf("with an entry: %v", err)
	}
	if r.asked[0] != "object store "+far {
		t.Errorf("asked %q", r.asked)
	}
	if list := g.Endpoints(t.Context()); list[0].Entry != "Cloud" || list[0].Problem != "" {
		t.Errorf("%+v", list)
	}
	if log := g.Log(); len(log) != 2 || log[0].Result != "refused" || log[1].By != "Cloud" {
		t.Errorf("%+v", log)
	}
	if _, err := d.DialAt(t.Context(), "tcp", "other.example:1", far); !fault.Is(err, fault.Denied) {
		t.Errorf("an endpoint that is not listed: %v", err)
	}
}

// TestNamesAreJudgedByTheirAddress: what a name means is seen at the connection, and
// the register is asked for the name.
func TestNamesAreJudgedByTheirAddress(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	name := "store.example:" + port
	g, d, r := governed(t, name)
	g.Resolve(world(netip.MustParseAddr("127.0.0.1")))
	conn, err := d.Dial(t.Context(), "tcp", name)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if len(r.asked) != 0 {
		t.Errorf("the register was asked for an own machine: %q", r.asked)
	}
	if list := g.Endpoints(t.Context()); !list[0].Ours || list[0].Problem != "" {
		t.Errorf("%+v", list)
	}
	if day := g.LastDay(); len(day) != 1 || day[0].By != ByHouse || day[0].Count != 1 || day[0].Use != "object store" {
		t.Errorf("%+v", day)
	}
	g.Resolve(world(netip.MustParseAddr("203.0.113.1")))
	if _, err := d.Dial(t.Context(), "tcp", name); !fault.Is(err, fault.Denied) || r.asked[0] != "object store "+name {
		t.Errorf("%v, asked %q", err, r.asked)
	}
}

func TestWhatIsOurs(t *testing.T) {
	t.Parallel()
	for addr, ours := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.0.1": true, "fd00::1": true, "::1": true, "169.254.0.1": true, "::ffff:10.0.0.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "100.64.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false,
	} {
		if private(netip.MustParseAddr(addr)) != ours {
			t.Errorf("%s: %v", addr, !ours)
		}
	}
}

// TestAnotherRegionNeedsAnEntry: where the configuration puts an endpoint into another
// region, neither a private network nor this very machine makes it ours.
func TestAnotherRegionNeedsAnEntry(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for region, away := range map[string]bool{"": false, "eu-central": false, "fra1": false, "us-east": true} {
		at := l.Addr().String()
		g, err := New(Config{Here: []string{"", "eu-central", "fra1"}, Destinations: []Destination{{Name: "data.s3", Use: "object store", Purpose: "keep bytes", Region: region, Owner: Operator, Hosts: []string{at}}}})
		if err != nil {
			t.Fatal(err)
		}
		r := &terms{}
		g.Govern(r)
		d, err := g.To("data.s3")
		if err != nil {
			t.Fatal(err)
		}
		try := func() error {
			conn, err := d.Dial(t.Context(), "tcp", at)
			if err == nil {
				conn.Close()
			}
			return err
		}
		if err := try(); fault.Is(err, fault.Denied) != away || err != nil && !away {
			t.Errorf("%q: %v", region, err)
		}
		if list := g.Endpoints(t.Context()); list[0].Ours == away || (list[0].Problem != "") != away || away && list[0].Region != region {
			t.Errorf("%q: %+v", region, list)
		}
		r.set("Cloud")
		if err := try(); err != nil {
			t.Errorf("%q with an entry: %v", region, err)
		}
		if away && r.asked[0] != "object store "+at+" us-east" {
			t.Errorf("asked %q", r.asked)
		}
		if list := g.Endpoints(t.Context()); away && list[0].Entry != "Cloud" {
			t.Errorf("%q: %+v", region, list)
		}
	}
}

// TestConnectionsEndWithTheirEntry: what is open when an entry ends is closed.
func TestConnectionsEndWithTheirEntry(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	g, d, r := governed(t, far)
	r.set("Cloud")
	conn := g.keep(remote{ours}, &d.to, far, "tcp")
	if n := g.Review(); n != 0 {
		t.Errorf("closed %d while the entry runs", n)
	}
	r.set("")
	if n := g.Review(); n != 1 {
		t.Errorf("closed %d", n)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("it is still open")
	}
	if n := g.Review(); n != 0 || len(g.open) != 0 {
		t.Errorf("%d are still remembered", len(g.open))
	}
}

// remote is a connection that says that it goes far.
type remote struct{ net.Conn }

func (remote) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(far)) }

func TestProbesTryNobodysAddress(t *testing.T) {
	t.Parallel()
	g, _, r := governed(t, far)
	for _, at := range []string{far, "8.8.8.8:443", "127.0.0.1:1", "x.example:1"} {
		if err := g.Try(t.Context(), "probe", at, "", 0); !fault.Is(err, fault.Denied) || len(r.asked) != 0 {
			t.Errorf("%s: %v, asked %q", at, err, r.asked)
		}
	}
	if err := g.Try(t.Context(), "probe", "192.0.2.1:443", "", 0); !fault.Is(err, fault.Denied) || len(r.asked) != 1 {
		t.Errorf("%v, asked %q", err, r.asked)
	}
	r.set("Canary")
	if err := g.Try(t.Context(), "probe", "192.0.2.1:443", "", 7); fault.Is(err, fault.Denied) {
		t.Errorf("covered: %v", err)
	}
}

func TestTheDayIsBounded(t *testing.T) {
	t.Parallel()
	var d day
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for h := range 100 {
		d.add(Entry{At: at.Add(time.Duration(h) * time.Hour), Name: "x", Result: "opened"})
	}
	d.add(Entry{At: at, Name: "refused", Result: "refused"})
	if n := len(d.hours); n > dayHours+1 {
		t.Errorf("%d hours are kept", n)
	}
}
