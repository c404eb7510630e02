package smtpserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/door/smtpserver"
)

// script is a connection whose client has said everything already and reads at
// leisure. It comes in pieces of the given size.
type script struct {
	in   *bytes.Reader
	size int
	mu   sync.Mutex
	out  bytes.Buffer
	done chan struct{}
	once sync.Once
}

func (c *script) Read(p []byte) (int, error) { return c.in.Read(p[:min(len(p), max(1, c.size))]) }

func (c *script) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}
func (c *script) Close() error                   { c.once.Do(func() { close(c.done) }); return nil }
func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// oneListener gives one connection and then waits for its end.
type oneListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneListener) Close() error { l.once.Do(func() { close(l.conns) }); return nil }
func (*oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// converse holds a whole conversation in memory and gives what the server said.
func converse(t testing.TB, role smtpserver.Role, in []byte, size int) (*house, string) {
	t.Helper()
	w := clock.Wall{}
	h := &house{}
	server, err := smtpserver.New(smtpserver.Config{
		Role: role, PlaintextAuth: true, Hostname: "mx.mailvow.test", Clock: w, IDs: ids.NewSource(w, 1, 0), Backend: h, Observe: observe.Silent(), TLS: testTLS(t),
		Limits: smtpserver.Limits{Errors: 50, AuthFailureRate: smtpserver.Rate{Count: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := &oneListener{conns: make(chan net.Conn, 1)}
	conn := &script{in: bytes.NewReader(in), size: size, done: make(chan struct{})}
	ln.conns <- conn
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), ln) }()
	select {
	case <-conn.done:
	case <-time.After(time.Minute):
		t.Fatal("the session does not end")
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return h, conn.out.String()
}

var replyLine = regexp.MustCompile(`^([2-5][0-9][0-9][ -][ -~]*)$`)

// FuzzSession holds that no octets make the server panic, stay, say something
// malformed, or take a message that is not clean.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
		"EHLO c\r\nMAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\nBDAT 3\r\nx\r\nBDAT 0 LAST\r\n",
		"EHLO c\r\nAUTH PLAIN AG1haWxlcgBjb3JyZWN0IGhvcnNl\r\nMAIL FROM:<>\r\n", "EHLO c\r\nAUTH LOGIN\r\n*\r\nAUTH SCRAM-SHA-256\r\nbiwsbj1tYWlsZXIscj1hYmNkZWZnaGo=\r\n\r\n",
		"STARTTLS\r\nx", "GET / HTTP/1.0\r\n\r\n", "EHLO c\r\nSTARTTLS\r\n",
	} {
		f.Add([]byte(s), uint8(255), false)
		f.Add([]byte(s), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8, customer bool) {
		role := smtpserver.MX
		if customer {
			role = smtpserver.Submission
		}
		h, out := converse(t, role, in, int(size))
		// After STARTTLS the server speaks TLS records.
		if !bytes.Contains(bytes.ToUpper(in), []byte("STARTTLS")) {
			for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
				if !replyLine.MatchString(line) {
					t.Fatalf("the server said %q", line)
				}
			}
		}
		for _, m := range h.messages() {
			if rest := strings.ReplaceAll(m.body, "\r\n", ""); strings.ContainsAny(rest, "\r\n\x00") {
				t.Fatalf("took %q", m.body)
			}
		}
	})
}

// FuzzChunks sends one message cut into chunks, and holds that it arrives whole
// or is refused, and that the conversation is not out of step after it.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("one\r\ntwo\r\n.\r\n"), uint8(3), uint8(7))
	f.Add([]byte("a\nb"), uint8(1), uint8(255))
	f.Fuzz(func(t *testing.T, message []byte, chunk, size uint8) {
		var in bytes.Buffer
		in.WriteString("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
		left := message
		for len(left) > 0 {
			n := min(max(1, int(chunk)), len(left))
			fmt.Fprintf(&in, "BDAT %d\r\n%s", n, left[:n])
			left = left[n:]
		}
		io.WriteString(&in, "BDAT 0 LAST\r\nVRFY x\r\nQUIT\r\n")
		h, out := converse(t, smtpserver.MX, in.Bytes(), int(size))
		stray := strings.ContainsAny(strings.ReplaceAll(string(message), "\r\n", ""), "\r\n\x00")
		got := h.messages()
		switch {
		case !stray && (len(got) != 1 || got[0].body != string(message)):
			t.Fatalf("%q arrived as %v\n%s", message, got, out)
		case stray && len(got) != 0 && got[0].body != string(message):
			t.Fatalf("%q arrived as %v", message, got)
		case !strings.HasSuffix(out, "221 2.0.0 Goodbye.\r\n") && !strings.Contains(out, "421 4.7.0 Too many errors"):
			t.Fatalf("out of step after %q:\n%s", message, out)
		}
	})
}
