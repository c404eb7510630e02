package e2e

import (
	"bytes"
	"database/sql"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mailvow/internal/lab"
)

// mailHost is a scripted server on port 25 of a loopback address of its own.
func mailHost(t testing.TB, ip string, script lab.Remote) *lab.RemoteServer {
	t.Helper()
	var err error
	if script.Listener, err = net.Listen("tcp", net.JoinHostPort(ip, "25")); err != nil {
		t.Skipf("needs root, to listen on port 25: %v", err)
	}
	return lab.RemoteSMTP(t, script)
}

// reports are the DSNs that came to the demo customer, as their text.
func (e *endpoint) reports(to string) []string {
	var out []string
	for _, p := range e.take(to) {
		out = append(out, string(p.Data.Raw))
	}
	return out
}

// holds reports a DSN that has each of the texts.
func holds(reports []string, texts ...string) bool {
next:
	for _, r := range reports {
		for _, x := range texts {
			if !strings.Contains(r, x) {
				continue next
			}
		}
		return true
	}
	return false
}

// TestMailHosts looks mail hosts up as RFC 5321 5.1 says, and tells the sender
// where there is none.
func TestMailHosts(t *testing.T) {
	t.Parallel()
	host := mailHost(t, "127.0.25.3", lab.Remote{Extensions: lab.Pipelining})
	zone := lab.DNS(t, `mx.test. 300 IN MX 10 down.mx.test.
mx.test. 300 IN MX 20 up.mx.test.
down.mx.test. 300 IN A 127.0.25.2
up.mx.test. 300 IN A 127.0.25.3
plain.test. 300 IN A 127.0.25.3
null.test. 300 IN MX 0 .
null.test. 300 IN A 127.0.25.3
home.test. 300 IN MX 10 up.home.test.
up.home.test. 300 IN A 10.1.2.3
`)
	s := newSite(t, world{resolver: zone.Addr}).serve(t)
	e := hook(t)
	e.route(t, s)
	c := submit(t, s.demo)
	for _, to := range []string{"a@mx.test", "b@plain.test", "c@null.test", "d@absent.test", "e@home.test"} {
		c.want("250 2.0.0", c.send(me, []byte(letter(to, "lookup")), to))
	}
	eventually(t, "two arrived", func() bool { return len(host.Messages()) == 2 })
	eventually(t, "three came back", func() bool { return len(e.take(me)) == 3 })
	r := e.reports(me)
	for _, want := range [][]string{
		{"Final-Recipient: rfc822; c@null.test", "Action: failed", "Status: 5.1.10"},
		{"Final-Recipient: rfc822; d@absent.test", "Action: failed", "Status: 5.1.2"},
		{"Final-Recipient: rfc822; e@home.test", "Action: failed", "Status: 5.4.4"},
	} {
		if !holds(r, want...) {
			t.Errorf("no report has %q among\n%s", want, strings.Join(r, "\n----\n"))
		}
	}
	if holds(r, "Hello\r\n") {
		t.Error("a report holds the body")
	}
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
}

// TestTLSToMailHosts: any certificate will do where nobody asked for more; where
// a route asks, nothing is sent without a certificate for the host's name.
func TestTLSToMailHosts(t *testing.T) {
	t.Parallel()
	config, _ := lab.Certificate(t, "good.tls.test")
	host := mailHost(t, "127.0.25.4", lab.Remote{Extensions: lab.Pipelining, TLS: config})
	bare := mailHost(t, "127.0.25.5", lab.Remote{Extensions: lab.Pipelining})
	zone := lab.DNS(t, `any.test. 300 IN A 127.0.25.4
good.tls.test. 300 IN A 127.0.25.4
other.tls.test. 300 IN A 127.0.25.4
bare.tls.test. 300 IN A 127.0.25.5
`)
	var routes strings.Builder
	routes.WriteString("  routes:\n")
	for _, name := range []string{"good", "other", "bare"} {
		fmt.Fprintf(&routes, "    - domain: %s.test\n      host: {address: '%s.tls.test:25', tls: verified}\n", name, name)
	}
	x := newSite(t, world{resolver: zone.Addr, delivery: routes.String()})
	x.write(t, "roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]}))
	s := x.serve(t, "SSL_CERT_FILE="+filepath.Join(x.dir, "roots.pem"))
	c := submit(t, s.demo)
	for _, to := range []string{"a@any.test", "b@good.test", "c@other.test", "d@bare.test"} {
		c.want("250 2.0.0", c.send(me, []byte(letter(to, "tls")), to))
	}
	eventually(t, "two arrived", func() bool { return len(host.Messages()) >= 2 })
	eventually(t, "two wait", func() bool {
		n := 0
		for _, i := range queue(t, s) {
			if i.State == "deferred" && strings.HasPrefix(i.LastReply, "451 4.7.5 ") {
				n++
			}
		}
		return n == 2
	})
	if n := len(host.Messages()); n != 2 || len(bare.Messages()) != 0 {
		t.Errorf("%d and %d messages went out", n, len(bare.Messages()))
	}
	for _, m := range host.Messages() {
		if !m.TLS {
			t.Errorf("%v went without TLS", m.Recipients)
		}
	}
}

// moody is a sink that defers everything until it is told not to.
type moody struct {
	*lab.RemoteServer
	kind atomic.Bool
}

func moodySink(t testing.TB) *moody {
	m := &moody{}
	m.RemoteServer = lab.RemoteSMTP(t, lab.Remote{Extensions: []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}, Command: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") && !m.kind.Load() {
			return "451 4.7.1 Come back later"
		}
		return ""
	}})
	return m
}

// deferred waits until n recipients have failed once.
func deferred(t testing.TB, s *server, n int) []item {
	t.Helper()
	var list []item
	eventually(t, fmt.Sprintf("%d deferred", n), func() bool {
		list = list[:0]
		for _, i := range queue(t, s) {
			if i.State == "deferred" {
				list = append(list, i)
			}
		}
		return len(list) == n
	})
	return list
}

func act(t testing.TB, s *server, verb string, target map[string]any) int {
	t.Helper()
	var out struct{ Count int }
	s.must(t, http.MethodPost, "/v1/queue/"+verb, target, &out)
	return out.Count
}

// TestRetryHoldRelease: a deferred recipient waits, keeps the host's words, can be
// held and released, and goes out when it is tried again.
func TestRetryHoldRelease(t *testing.T) {
	t.Parallel()
	sink := moodySink(t)
	s := newSite(t, smarthost(sink.Addr)).serve(t)
	c := submit(t, s.demo)
	c.want("250 2.0.0", c.send(me, []byte(letter("a@sink.test", "retry")), "a@sink.test", "b@sink.test"))
	list := deferred(t, s, 2)
	if list[0].LastReply != "451 4.7.1 Come back later" || list[0].Attempts != 1 {
		t.Errorf("deferred as %+v", list[0])
	}
	if n := act(t, s, "hold", map[string]any{"ids": []string{list[0].ID}}); n != 1 {
		t.Errorf("%d held", n)
	}
	sink.kind.Store(true)
	act(t, s, "retry", map[string]any{"domain": "sink.test"})
	eventually(t, "one arrived", func() bool { return len(sink.Messages()) == 1 })
	eventually(t, "only the held one is left", func() bool {
		left := queue(t, s)
		return len(left) == 1 && left[0].State == "held" && left[0].ID == list[0].ID
	})
	if n := act(t, s, "release", map[string]any{"ids": []string{list[0].ID}}); n != 1 {
		t.Errorf("%d released", n)
	}
	eventually(t, "the other arrived", func() bool { return len(sink.Messages()) == 2 })
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
}

// TestPauseAndRestart: a paused domain's mail waits, over a restart too, and goes
// when the pause ends; other domains are not held up.
func TestPauseAndRestart(t *testing.T) {
	t.Parallel()
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	x := newSite(t, smarthost(sink.Addr))
	s := x.serve(t)
	s.must(t, http.MethodPost, "/v1/queue/pause", map[string]any{"domain": "paused.test", "reason": "test"}, nil)
	c := submit(t, s.demo)
	c.want("250 2.0.0", c.send(me, []byte(letter("a@paused.test", "one")), "a@paused.test"))
	c.want("250 2.0.0", c.send(me, []byte(letter("a@other.test", "two")), "a@other.test"))
	eventually(t, "the other domain's mail arrived", func() bool { return len(sink.Messages()) == 1 })
	eventually(t, "it is paused", func() bool { l := queue(t, s); return len(l) == 1 && l[0].State == "paused" })
	s.stop(t)
	s = x.serve(t)
	if l := queue(t, s); len(l) != 1 || len(sink.Messages()) != 1 {
		t.Errorf("after the restart the queue has %+v, the sink %d", l, len(sink.Messages()))
	}
	s.must(t, http.MethodPost, "/v1/queue/resume", map[string]any{"domain": "paused.test"}, nil)
	eventually(t, "it arrived", func() bool { return len(sink.Messages()) == 2 })
}

// TestExpiry: when a message's time is over its sender is told, after a restart
// too; what cannot be told is not told again.
func TestExpiry(t *testing.T) {
	t.Parallel()
	sink := moodySink(t)
	x := newSite(t, smarthost(sink.Addr))
	s := x.serve(t)
	e := hook(t)
	e.route(t, s)
	c := submit(t, s.demo)
	c.want("250 2.0.0", c.send(me, []byte(letter("a@sink.test", "expires")), "a@sink.test"))
	c.want("250 2.0.0", c.send("", []byte(letter("b@sink.test", "nobody-to-tell")), "b@sink.test"))
	deferred(t, s, 2)
	s.stop(t)
	age(t, x)
	s = x.serve(t)
	eventually(t, "the sender was told", func() bool { return len(e.take(me)) == 1 })
	if r := e.reports(me); !holds(r, "Final-Recipient: rfc822; a@sink.test", "Action: failed", "Diagnostic-Code: smtp; 451 4.7.1 Come back later", "Subject: expires", "Content-Type: multipart/report") {
		t.Errorf("the report is\n%s", strings.Join(r, "\n"))
	}
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
	if e.count() != 1 {
		t.Errorf("%d reports came", e.count())
	}
}

// age puts the time of everything in the queue into the past.
func age(t *testing.T, x *site) {
	d, err := sql.Open("sqlite", filepath.Join(x.dir, "data", "db", "mailvow.db"))
	must(t, err)
	defer d.Close()
	r, err := d.Exec("update queue set expires = 1, due = 1")
	must(t, err)
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("nothing aged: %v", err)
	}
}

// TestNoBounceOfABounce: a report that its reader refuses ends there.
func TestNoBounceOfABounce(t *testing.T) {
	t.Parallel()
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550 5.1.1 no such user"
		}
		return ""
	}})
	s := newSite(t, smarthost(sink.Addr)).serve(t)
	e := hook(t)
	e.answer = func(int) int { return http.StatusForbidden }
	e.route(t, s)
	c := submit(t, s.demo)
	c.want("250 2.0.0", c.send(me, []byte(letter("a@sink.test", "bounces")), "a@sink.test"))
	asked := func() int { e.mu.Lock(); defer e.mu.Unlock(); return e.n }
	eventually(t, "the report was offered", func() bool { return asked() == 1 })
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
	if n := asked(); n != 1 {
		t.Errorf("%d reports", n)
	}
}

// TestNotifySuccess: who offers DSN is told and reports; for who does not, we say
// that it was relayed (RFC 3461 5.2.2).
func TestNotifySuccess(t *testing.T) {
	t.Parallel()
	with := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	without := lab.RemoteSMTP(t, lab.Remote{Extensions: []string{"PIPELINING"}})
	routes := fmt.Sprintf("  routes:\n    - domain: with.test\n      host: {address: '%s', tls: plain}\n    - domain: without.test\n      host: {address: '%s', tls: plain}", with.Addr, without.Addr)
	s := newSite(t, world{delivery: routes}).serve(t)
	e := hook(t)
	e.route(t, s)
	for _, domain := range []string{"with.test", "without.test"} {
		c := submit(t, s.demo)
		c.want("250 2.1.0", c.say("MAIL FROM:<you@demo.example> RET=HDRS ENVID=order+2B17"))
		c.want("250 2.1.5", c.say("RCPT TO:<a@"+domain+"> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@"+domain))
		c.want("354", c.say("DATA"))
		must(t, c.write(dotted([]byte(letter("a@"+domain, "notify")))))
		c.want("250 2.0.0", c.reply())
	}
	eventually(t, "both arrived", func() bool { return len(with.Messages()) == 1 && len(without.Messages()) == 1 })
	eventually(t, "one report came", func() bool { return len(e.take(me)) == 1 })
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
	if m := with.Messages()[0]; m.Recipients[0] != "RCPT TO:<a@with.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@with.test" || !strings.Contains(m.Mail, "ENVID=order+2B17") || !strings.Contains(m.Mail, "RET=HDRS") {
		t.Errorf("passed on as %q %q", m.Mail, m.Recipients)
	}
	if r := e.reports(me); len(r) != 1 || !holds(r, "Original-Envelope-Id: order+17", "Original-Recipient: rfc822;first@without.test", "Final-Recipient: rfc822; a@without.test", "Action: relayed", "Status: 2.") {
		t.Errorf("the reports are\n%s", strings.Join(r, "\n----\n"))
	}
}

// TestGracefulStop stops the server while attempts are under way and more mail
// waits: attempts finish, the rest is there after the next start, nothing is
// lost and nothing goes twice.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	const n = 60
	var once sync.Once
	begun, goOn := make(chan struct{}), make(chan struct{})
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, End: func(int, []byte) string {
		once.Do(func() { close(begun) })
		<-goOn
		return ""
	}})
	w := smarthost(sink.Addr)
	w.delivery += "\n  per_site: 4"
	x := newSite(t, w)
	s := x.serve(t)
	c := submit(t, s.demo)
	for i := range n {
		c.want("250 2.0.0", c.send(me, []byte(letter("a@sink.test", fmt.Sprint("stop-", i))), "a@sink.test"))
	}
	<-begun
	go func() {
		s.log.await("msg=stopping")
		close(goOn)
	}()
	s.stop(t)
	finished := len(sink.Messages())
	s = x.serve(t)
	eventually(t, "all arrived", func() bool { return len(sink.Messages()) >= n })
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
	seen := map[string]int{}
	for _, m := range sink.Messages() {
		for i := range n {
			if bytes.Contains(m.Data, fmt.Appendf(nil, "Subject: stop-%d\r\n", i)) {
				seen[fmt.Sprint(i)]++
			}
		}
	}
	if len(seen) != n || len(sink.Messages()) != n {
		t.Errorf("%d of %d messages arrived, %d times", len(seen), n, len(sink.Messages()))
	}
	t.Logf("%d finished before the stop", finished)
}

// TestLargeMessage sends 20 MB through the blob store: it arrives as it was, the
// store has it while it waits and not after, and memory is bounded.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	sink := moodySink(t)
	x := newSite(t, smarthost(sink.Addr))
	s := x.serve(t)
	before, _ := s.rss(t)
	raw := append([]byte(letter("a@sink.test", "large")), bytes.Repeat([]byte(strings.Repeat(".0123456789", 7)+"\r\n"), 20<<20/79)...)
	c := submit(t, s.demo)
	c.want("250 2.0.0", c.send(me, raw, "a@sink.test"))
	deferred(t, s, 1)
	if n := size(t, x); n < int64(len(raw)) {
		t.Errorf("the blob store holds %d octets of a message of %d", n, len(raw))
	}
	sink.kind.Store(true)
	act(t, s, "retry", map[string]any{"domain": "sink.test"})
	eventually(t, "it arrived", func() bool { return len(sink.Messages()) == 1 })
	if _, same := added(sink.Messages()[0].Data, raw); !same {
		t.Error("it arrived with other bytes")
	}
	eventually(t, "its content is gone", func() bool { return size(t, x) == 0 })
	if _, most := s.rss(t); most > before+48 {
		t.Errorf("the server grew from %d to %d MiB", before, most)
	}
}

// size is what the blob store holds.
func size(t *testing.T, x *site) (n int64) {
	must(t, filepath.Walk(filepath.Join(x.dir, "data", "blobs"), func(_ string, f os.FileInfo, err error) error {
		if err == nil && !f.IsDir() {
			n += f.Size()
		}
		return nil // it may go while we look
	}))
	return n
}
