package lab

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNSServer is a name server on a loopback port, UDP and TCP, that speaks real
// DNS. It answers like a recursive resolver whose whole world is its zone.
type DNSServer struct {
	Addr string // host:port

	mu        sync.Mutex
	records   map[string][]dns.RR
	fail      map[string]int
	authentic bool
	asked     map[string]int
}

// DNS serves a zone in master-file form, names absolute or relative to the root:
//
//	a.example. 300 IN MX 10 mx.a.example.
func DNS(t testing.TB, zone string) *DNSServer {
	t.Helper()
	s := &DNSServer{fail: map[string]int{}, asked: map[string]int{}}
	s.Set(t, zone)
	packets, listener := onePort(t)
	s.Addr = packets.LocalAddr().String()
	var wg sync.WaitGroup
	servers := []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: listener, Handler: s}}
	for _, server := range servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { _ = server.ActivateAndServe() })
		<-started
	}
	t.Cleanup(func() {
		for _, server := range servers {
			_ = server.Shutdown()
		}
		wg.Wait()
	})
	return s
}

// onePort listens on one port for UDP and TCP. A port that is free for one may be
// taken for the other: then it tries the next.
func onePort(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 50 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		last = err
		_ = packets.Close()
	}
	t.Fatal(last)
	return nil, nil
}

// Set replaces the zone.
func (s *DNSServer) Set(t testing.TB, zone string) {
	t.Helper()
	records := map[string][]dns.RR{}
	p := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
}

// Fail answers a name with this rcode; -1 means no answer at all.
func (s *DNSServer) Fail(name string, rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[dns.Fqdn(name)] = rcode
}

// Authentic sets the AD bit of all answers from now on.
func (s *DNSServer) Authentic(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authentic = on
}

// Asked is how often a question came: "MX a.example.".
func (s *DNSServer) Asked(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question]
}

// ServeDNS implements dns.Handler.
func (s *DNSServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(r)
	m.RecursionAvailable = true
	if len(r.Question) != 1 {
		_ = w.WriteMsg(m.SetRcode(r, dns.RcodeFormatError))
		return
	}
	name, kind := strings.ToLower(r.Question[0].Name), r.Question[0].Qtype
	s.asked[dns.TypeToString[kind]+" "+name]++
	if code, ok := s.fail[name]; ok {
		if code >= 0 {
			_ = w.WriteMsg(m.SetRcode(r, code))
		}
		return
	}
	m.AuthenticatedData = s.authentic
	s.answer(m, name, kind)
	if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := r.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

func (s *DNSServer) answer(m *dns.Msg, name string, kind uint16) {
	for range 8 {
		list, ok := s.records[name]
		if !ok {
			if !s.under(name) {
				m.Rcode = dns.RcodeNameError
			}
			break
		}
		alias := ""
		found := false
		for _, rr := range list {
			if rr.Header().Rrtype == kind {
				m.Answer = append(m.Answer, rr)
				found = true
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				alias = strings.ToLower(c.Target)
			}
		}
		if found {
			return
		}
		if alias == "" {
			break
		}
		name = alias
	}
	m.Ns = append(m.Ns, &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns:  "ns.lab.", Mbox: "lab.lab.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60,
	})
}

// under reports an empty name that has others below it: it exists (RFC 8020).
func (s *DNSServer) under(name string) bool {
	for other := range s.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}
