package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/fault"
	"mailvow/internal/lab"
	"mailvow/internal/standard/dns"
)

const zone = `
b.example. 300 IN MX 10 MX1.b.example.
b.example. 300 IN MX 20 mx2.b.example.
mx1.b.example. 300 IN A 192.0.2.1
mx1.b.example. 300 IN AAAA 2001:db8::1
mx2.b.example. 300 IN CNAME real.b.example.
real.b.example. 60 IN A 192.0.2.2
null.example. 300 IN MX 0 .
long.example. 300 IN TXT "v=spf1 " "-all"
loop1.example. 300 IN CNAME loop2.example.
loop2.example. 300 IN CNAME loop1.example.
dangling.example. 300 IN CNAME gone.example.
1.2.0.192.in-addr.arpa. 300 IN PTR mx1.b.example.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 IN PTR mx1.b.example.
`

func resolver(t testing.TB, server *lab.DNSServer, change func(*dns.Config)) *dns.Resolver {
	t.Helper()
	var d net.Dialer
	c := dns.Config{Servers: []string{server.Addr}, Dial: d.DialContext, Timeout: 2 * time.Second, Clock: lab.NewClock(lab.Epoch)}
	if change != nil {
		change(&c)
	}
	r, err := dns.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := resolver(t, lab.DNS(t, zone), nil)
	mx, err := r.MX(ctx, "B.example")
	slices.SortFunc(mx.Records, func(a, b dns.MX) int { return int(a.Preference) - int(b.Preference) })
	if diff := cmp.Diff([]dns.MX{{"mx1.b.example", 10}, {"mx2.b.example", 20}}, mx.Records); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if mx, err := r.MX(ctx, "null.example"); err != nil || len(mx.Records) != 1 || mx.Records[0].Host != "" {
		t.Errorf("null MX: %+v, %v", mx, err)
	}
	if mx, err := r.MX(ctx, "mx1.b.example"); err != nil || len(mx.Records) != 0 {
		t.Errorf("no MX: %+v, %v", mx, err)
	}
	ips, err := r.Addresses(ctx, "mx1.b.example")
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}; err != nil || !slices.Equal(ips, want) {
		t.Errorf("addresses %v, %v", ips, err)
	}
	a, err := r.A(ctx, "mx2.b.example")
	if err != nil || len(a.Records) != 1 || a.Name != "real.b.example" {
		t.Errorf("through an alias: %+v, %v", a, err)
	}
	if c, err := r.CNAME(ctx, "mx2.b.example"); err != nil || !slices.Equal(c.Records, []string{"real.b.example"}) {
		t.Errorf("CNAME: %+v, %v", c, err)
	}
	if txt, err := r.TXT(ctx, "long.example"); err != nil || !slices.Equal(txt.Records, []string{"v=spf1 -all"}) {
		t.Errorf("TXT: %+v, %v", txt, err)
	}
	for _, ip := range []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
		if p, err := r.PTR(ctx, netip.MustParseAddr(ip)); err != nil || !slices.Equal(p.Records, []string{"mx1.b.example"}) {
			t.Errorf("PTR of %s: %+v, %v", ip, p, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := lab.DNS(t, zone)
	server.Fail("broken.example", 2)
	server.Fail("refused.example", 5)
	r := resolver(t, server, nil)
	for name, want := range map[string]fault.Kind{
		"absent.example": fault.NotFound, "dangling.example": fault.NotFound, "": fault.NotFound, strings.Repeat("a.", 200): fault.NotFound,
		"broken.example": fault.Unavailable, "refused.example": fault.Unavailable, "loop1.example": fault.Unavailable,
	} {
		if _, err := r.A(ctx, name); !fault.Is(err, want) {
			t.Errorf("%q: %v (%v), want %v", name, err, fault.KindOf(err), want)
		}
	}
	if _, err := r.Addresses(ctx, "long.example"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a name without addresses: %v", err)
	}
}

func TestSilentServerIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	silent, good := lab.DNS(t, zone), lab.DNS(t, zone)
	silent.Fail("mx1.b.example", -1)
	r := resolver(t, silent, func(c *dns.Config) {
		c.Servers, c.Timeout = []string{silent.Addr, good.Addr}, 50*time.Millisecond
	})
	if a, err := r.A(context.Background(), "mx1.b.example"); err != nil || len(a.Records) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	r = resolver(t, silent, func(c *dns.Config) { c.Timeout = 20 * time.Millisecond })
	if _, err := r.A(context.Background(), "mx1.b.example"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no server answers: %v", err)
	}
	if n := silent.Asked("A mx1.b.example."); n != 3 {
		t.Errorf("asked %d times, want 1 and twice more", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.A(ctx, "mx2.b.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
}

func TestAuthentic(t *testing.T) {
	t.Parallel()
	server := lab.DNS(t, zone)
	for _, on := range []bool{true, false} {
		server.Authentic(on)
		r := resolver(t, server, nil)
		mx, err := r.MX(context.Background(), "b.example")
		if err != nil || mx.Authentic != on {
			t.Errorf("authentic %v, want %v (%v)", mx.Authentic, on, err)
		}
		if gone, _ := r.MX(context.Background(), "absent.example"); gone.Authentic != on {
			t.Errorf("denial authentic %v, want %v", gone.Authentic, on)
		}
	}
}

func TestLargeAnswerComesByTCP(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "big.example. 300 IN TXT \"%d %s\"\n", i, strings.Repeat("x", 200))
	}
	server := lab.DNS(t, b.String())
	txt, err := resolver(t, server, nil).TXT(context.Background(), "big.example")
	if err != nil || len(txt.Records) != 60 {
		t.Errorf("%d records, %v", len(txt.Records), err)
	}
	if n := server.Asked("TXT big.example."); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestCacheHonoursTTL(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := lab.DNS(t, zone)
	hand := lab.NewClock(lab.Epoch)
	r := resolver(t, server, func(c *dns.Config) { c.Clock = hand })
	ask := func(name, question string, want int) {
		t.Helper()
		_, _ = r.A(ctx, name)
		if n := server.Asked(question); n != want {
			t.Errorf("%s was asked %d times, want %d", question, n, want)
		}
	}
	ask("mx1.b.example", "A mx1.b.example.", 1)
	hand.Wind(299 * time.Second)
	ask("MX1.b.example", "A mx1.b.example.", 1)
	hand.Wind(time.Second)
	ask("mx1.b.example", "A mx1.b.example.", 2)
	ask("mx2.b.example", "A mx2.b.example.", 1)
	hand.Wind(60 * time.Second) // the alias lives 300 s, what it leads to 60 s
	ask("mx2.b.example", "A mx2.b.example.", 2)
	ask("absent.example", "A absent.example.", 1)
	ask("absent.example", "A absent.example.", 1)
	hand.Wind(61 * time.Second)
	ask("absent.example", "A absent.example.", 2)
	server.Fail("broken.example", 2)
	ask("broken.example", "A broken.example.", 2)
	ask("broken.example", "A broken.example.", 4) // a failure is not remembered
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := lab.DNS(t, zone)
	r := resolver(t, server, func(c *dns.Config) { c.Cache = 2 })
	for _, name := range []string{"mx1.b.example", "real.b.example", "mx1.b.example", "mx2.b.example", "mx1.b.example", "real.b.example"} {
		if _, err := r.A(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if one, two := server.Asked("A mx1.b.example."), server.Asked("A real.b.example."); one != 1 || two != 2 {
		t.Errorf("asked %d and %d times, want 1 and 2: what was used last stays", one, two)
	}
}

func TestSameQuestionsShareOneQuery(t *testing.T) {
	t.Parallel()
	server := lab.DNS(t, zone)
	r := resolver(t, server, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.MX(context.Background(), "b.example"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := server.Asked("MX b.example."); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := dns.New(dns.Config{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no servers: %v", err)
	}
	list, err := dns.Servers(strings.NewReader("# comment\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions edns0\n"))
	if err != nil || !slices.Equal(list, []string{"192.0.2.53:53", "[2001:db8::53]:53"}) {
		t.Errorf("%v, %v", list, err)
	}
}
