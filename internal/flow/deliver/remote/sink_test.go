package remote_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/deliver/remote"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
)

// courier makes one that may reach loopback, as mailvow dev does.
func courier(t testing.TB, change func(*remote.Config)) *remote.Courier {
	t.Helper()
	gate, err := egress.New(egress.Config{
		Destinations: []egress.Destination{{Name: "mail delivery", Purpose: "deliver mail", Owner: egress.Customer}},
		Allow:        []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	})
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := gate.To("mail delivery")
	if err != nil {
		t.Fatal(err)
	}
	c := remote.Config{Hostname: "out.mailvow.example", Dialer: dialer}
	if change != nil {
		change(&c)
	}
	courier, err := remote.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(courier.Close)
	return courier
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// parcel is a message of about size octets with dots at line starts.
func parcel(t testing.TB, hostport string, size int, to ...string) *deliver.Parcel {
	t.Helper()
	p := &deliver.Parcel{
		Sender:  parse(t, "sender@a.example"),
		Content: bytes.NewReader([]byte("Subject: hello\r\n\r\n" + strings.Repeat(".a line of text that has about seventy characters, or even seventy-six\r\n", size/73))),
		Route:   deliver.Route{Kind: deliver.Host, Hosts: []string{hostport}},
		Attempt: 1,
	}
	for _, r := range to {
		p.Recipients = append(p.Recipients, deliver.Recipient{Address: parse(t, r)})
	}
	return p
}

// smtpSink starts Postfix's own sink.
func smtpSink(t testing.TB, options ...string) string {
	t.Helper()
	path, err := exec.LookPath("smtp-sink")
	if err != nil {
		t.Skip("needs postfix (smtp-sink)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if os.Getuid() == 0 {
		options = append(options, "-u", "nobody")
	}
	cmd := exec.Command(path, append(options, addr, "1000")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("smtp-sink does not answer")
	return ""
}

func TestSMTPSink(t *testing.T) {
	t.Parallel()
	addr := smtpSink(t)
	c := courier(t, nil)
	for range 3 {
		for _, o := range c.Deliver(context.Background(), parcel(t, addr, 10<<10, "a@b.example", "c@b.example")) {
			if o.Kind != outcome.Delivered || o.By != "127.0.0.1" {
				t.Fatalf("outcome %+v", o)
			}
		}
	}
}

// BenchmarkSMTPSink delivers 10 KB messages to Postfix's sink.
func BenchmarkSMTPSink(b *testing.B) {
	bench(b, smtpSink(b))
}

func bench(b *testing.B, addr string) {
	c := courier(b, nil)
	p := parcel(b, addr, 10<<10, "a@b.example")
	b.ReportAllocs()
	b.ResetTimer()
	const sessions = 100
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() {
			for range work {
				if o := c.Deliver(context.Background(), p); o[0].Kind != outcome.Delivered {
					b.Errorf("%+v", o[0])
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkTrivialSink measures the courier alone, as far as one machine can: a
// peer that answers without parsing.
func BenchmarkTrivialSink(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { trivialSink(conn) })
		}
	})
	b.Cleanup(func() { l.Close(); wg.Wait() })
	bench(b, l.Addr().String())
}

func trivialSink(conn net.Conn) {
	defer conn.Close()
	_, _ = conn.Write([]byte("220 sink\r\n"))
	buf := make([]byte, 64<<10)
	body := false
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		in := buf[:n]
		switch {
		case body && bytes.HasSuffix(in, []byte("\r\n.\r\n")):
			body = false
			_, _ = conn.Write([]byte("250 2.0.0 Ok\r\n"))
		case body:
		case bytes.HasPrefix(in, []byte("EHLO")):
			_, _ = conn.Write([]byte("250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"))
		case bytes.HasSuffix(in, []byte("DATA\r\n")):
			body = true
			_, _ = conn.Write([]byte("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n"))
		}
	}
}
