package smtpserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/reply"
	"mailvow/internal/door/smtpserver"
)

// BenchmarkTake measures messages of 10 KB over loopback into a backend that
// throws them away, ours and go-smtp's server with the same client, in one run.
func BenchmarkTake(b *testing.B) {
	for _, server := range []struct {
		name  string
		start func(testing.TB) string
	}{{"mailvow", startOurs}, {"go-smtp", startTheirs}} {
		for _, sessions := range []int{1, 20, 100} {
			b.Run(fmt.Sprintf("%s/sessions=%d", server.name, sessions), func(b *testing.B) {
				blast(b, server.start(b), sessions)
			})
		}
	}
}

// blast sends b.N messages over so many sessions, as a pipelining client does:
// envelope in one write, message in another.
func blast(b *testing.B, addr string, sessions int) {
	message := []byte("Subject: a benchmark\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10240/78) + ".\r\n")
	var left atomic.Int64
	left.Store(int64(b.N))
	failed := make(chan error, sessions)
	b.ReportAllocs()
	b.SetBytes(int64(len(message)))
	b.ResetTimer()
	for range sessions {
		go func() { failed <- send(addr, &left, message) }()
	}
	for range sessions {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func send(addr string, left *atomic.Int64, message []byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if err := expect(in, '2'); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "EHLO client.example\r\n"); err != nil {
		return err
	}
	if err := expect(in, '2'); err != nil {
		return err
	}
	for left.Add(-1) >= 0 {
		if _, err := io.WriteString(conn, "MAIL FROM:<sender@a.example>\r\nRCPT TO:<recipient@b.example>\r\nDATA\r\n"); err != nil {
			return err
		}
		for _, class := range []byte("223") {
			if err := expect(in, class); err != nil {
				return err
			}
		}
		if _, err := conn.Write(message); err != nil {
			return err
		}
		if err := expect(in, '2'); err != nil {
			return err
		}
	}
	_, err = io.WriteString(conn, "QUIT\r\n")
	return err
}

func expect(in *bufio.Reader, class byte) error {
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case line[0] != class:
			return fmt.Errorf("unexpected reply %q", line)
		case line[3] != '-':
			return nil
		}
	}
}

// sinkBackend throws everything away.
type sinkBackend struct{ house }

type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) Discard()                    {}

func (*sinkBackend) Connect(context.Context, *smtpserver.Peer) *reply.Reply { return nil }
func (*sinkBackend) Trusted(context.Context, netip.Addr) (smtpserver.Identity, bool) {
	return smtpserver.Identity{}, false
}
func (*sinkBackend) NewBody(context.Context, *smtpserver.Transaction) (smtpserver.Body, *reply.Reply) {
	return nothing{}, nil
}

var kept = reply.New(250, "2.0.0", "Kept.")

func (*sinkBackend) Accept(context.Context, *smtpserver.Transaction, smtpserver.Body) reply.Reply {
	return kept
}

func startOurs(t testing.TB) string {
	w := clock.Wall{}
	server, err := smtpserver.New(smtpserver.Config{
		Hostname: "mx.mailvow.test", Clock: w, IDs: ids.NewSource(w, 1, 0), Backend: &sinkBackend{}, Observe: observe.Silent(),
		Limits: smtpserver.Limits{Messages: -1, ConnectionsPerAddress: -1, ConnectionRate: smtpserver.Rate{Count: -1}, MessageRate: smtpserver.Rate{Count: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(context.Background(), ln) }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return ln.Addr().String()
}

type theirBackend struct{}

func (theirBackend) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return theirSession{}, nil }

type theirSession struct{}

func (theirSession) Reset()                                 {}
func (theirSession) Logout() error                          { return nil }
func (theirSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (theirSession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (theirSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func startTheirs(t testing.TB) string {
	server := gosmtp.NewServer(theirBackend{})
	server.Domain = "mx.mailvow.test"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String()
}
