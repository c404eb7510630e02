package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailvow/internal/base/address"
	"mailvow/internal/lab"
	"mailvow/internal/standard/smtp"
)

func dial(t testing.TB, addr string, change func(*smtp.ClientOptions)) (*smtp.Client, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := smtp.ClientOptions{Hostname: "out.mailvow.example"}
	if change != nil {
		change(&o)
	}
	c, err := smtp.Start(context.Background(), conn, o)
	if err == nil {
		t.Cleanup(func() { _ = c.Drop() })
	}
	return c, err
}

func start(t testing.TB, addr string) *smtp.Client {
	t.Helper()
	c, err := dial(t, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func envelope(t testing.TB, to ...string) *smtp.Envelope {
	t.Helper()
	parse := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	env := &smtp.Envelope{Sender: parse("sender@a.example")}
	for _, r := range to {
		env.Recipients = append(env.Recipients, smtp.EnvelopeRecipient{Address: parse(r)})
	}
	return env
}

// TestContentArrivesUnchanged sends random lines, many of them with dots, in
// messages around the size of a block, and compares octets.
func TestContentArrivesUnchanged(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	c := start(t, server.Addr)
	sent := 0
	rapid.Check(t, func(r *rapid.T) {
		line := rapid.SampledFrom([]string{"", ".", "..", ".a", "a", "a.b", strings.Repeat("x", 997), strings.Repeat(".", 30), "ü"})
		lines := rapid.SliceOfN(line, 0, 80).Draw(r, "lines")
		text := strings.Join(lines, "\r\n")
		if rapid.Bool().Draw(r, "ends with a line end") {
			text += "\r\n"
		}
		answers, err := c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader(text))
		c.Forget()
		if err != nil || answers[0].Fate != smtp.Accepted {
			r.Fatalf("%+v, %v", answers, err)
		}
		sent++
		if text != "" && !strings.HasSuffix(text, "\r\n") {
			text += "\r\n" // RFC 5321 4.1.1.4: the message ends with a line end
		}
		m := server.Messages()
		if got := string(m[len(m)-1].Data); len(m) != sent || got != text {
			r.Fatalf("sent %d octets, received %d", len(text), len(got))
		}
	})
}

func TestSmugglingSequencesAreNeverSent(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(lab.Suite(t, "smtp-smuggling"), "eod_sequences.json"))
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Inbound, Outbound []string
		Own               []string `json:"added_by_us"`
	}
	if err := json.Unmarshal(data, &suite); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range slices.Concat(suite.Outbound, suite.Inbound, suite.Own) {
		for _, before := range []int{1, 32<<10 - 3, 32<<10 - 2, 32<<10 - 1, 32 << 10, 100_000} {
			wire := &wiretap{}
			answers := exchange(t, wire, strings.Repeat("x", before)+sequence+"MAIL FROM:<smuggled@a.example>\r\n")
			if strings.Contains(wire.String(), sequence) {
				t.Fatalf("%q after %d octets was relayed", sequence, before)
			}
			if sequence != "\r\n. \r\n" && answers[0].Fate != smtp.Unfit {
				t.Errorf("%q after %d octets: %+v", sequence, before, answers[0])
			}
			if strings.HasSuffix(wire.String(), "\r\n.\r\n") && answers[0].Fate == smtp.Unfit {
				t.Errorf("%q after %d octets: a message that is not sent was ended", sequence, before)
			}
		}
	}
}

// wiretap is a peer that pipelines, says yes to everything and keeps what it got.
type wiretap struct {
	bytes.Buffer
	net.Conn
	in io.Reader
}

const greeting = "220 hi\r\n250-hi\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n"

func (w *wiretap) Read(p []byte) (int, error) {
	if w.in == nil {
		w.in = strings.NewReader(greeting)
	}
	return w.in.Read(p)
}
func (w *wiretap) Write(p []byte) (int, error)      { return w.Buffer.Write(p) }
func (w *wiretap) Close() error                     { return nil }
func (w *wiretap) SetDeadline(time.Time) error      { return nil }
func (w *wiretap) SetReadDeadline(time.Time) error  { return nil }
func (w *wiretap) SetWriteDeadline(time.Time) error { return nil }

func exchange(t *testing.T, wire *wiretap, content string) []smtp.Answer {
	t.Helper()
	c, err := smtp.Start(context.Background(), wire, smtp.ClientOptions{Hostname: "x.example"})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestTwoWritesPerMessage(t *testing.T) {
	t.Parallel()
	wire := &counting{wiretap: wiretap{}}
	c, err := smtp.Start(context.Background(), wire, smtp.ClientOptions{Hostname: "x.example"})
	if err != nil {
		t.Fatal(err)
	}
	wire.writes = 0
	if _, err := c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader(strings.Repeat("line\r\n", 1700))); err != nil {
		t.Fatal(err)
	}
	if wire.writes != 2 {
		t.Errorf("%d writes, want 2", wire.writes)
	}
}

type counting struct {
	wiretap
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.wiretap.Write(p)
}

func TestWhatThePeerLacks(t *testing.T) {
	t.Parallel()
	bare := lab.RemoteSMTP(t, lab.Remote{Extensions: []string{"PIPELINING", "SIZE 1000"}})
	for _, c := range []struct {
		name string
		env  func(*smtp.Envelope)
		to   string
		size int
		want string
	}{
		{"too large", nil, "a@b.example", 2000, "5.3.4"},
		{"8-bit", func(e *smtp.Envelope) { e.EightBit = true }, "a@b.example", 10, "5.6.3"},
		{"UTF-8 header", func(e *smtp.Envelope) { e.SMTPUTF8 = true }, "a@b.example", 10, "5.6.7"},
		{"UTF-8 recipient", nil, "ü@b.example", 10, "5.6.7"},
		{"TLS required", func(e *smtp.Envelope) { e.RequireTLS = true }, "a@b.example", 10, "5.7.30"},
	} {
		env := envelope(t, c.to)
		if c.env != nil {
			c.env(env)
		}
		answers, err := start(t, bare.Addr).Send(context.Background(), env, strings.NewReader(strings.Repeat("x", c.size)))
		if err != nil || answers[0].Fate != smtp.Unfit || answers[0].Reply.Enhanced.String() != c.want {
			t.Errorf("%s: %+v, %v", c.name, answers, err)
		}
	}
	if len(bare.Messages()) != 0 {
		t.Error("a message was sent all the same")
	}
	env := envelope(t, "ü@b.example", "a@b.example")
	answers, err := start(t, bare.Addr).Send(context.Background(), env, strings.NewReader("x\r\n"))
	if err != nil || answers[0].Fate != smtp.Unfit || answers[1].Fate != smtp.Accepted {
		t.Errorf("one UTF-8 recipient beside another: %+v, %v", answers, err)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining})
	env := envelope(t, "a@b.example", "ü@b.example")
	env.EightBit, env.Return, env.EnvelopeID = true, "HDRS", "id+1=2 ü"
	env.Recipients[0].Notify, env.Recipients[0].ORcpt = "SUCCESS,FAILURE", "rfc822;x+y@c.example"
	env.Recipients[1].Notify, env.Recipients[1].ORcpt = "NEVER\r\nRSET", "utf-8;ü=@c.example"
	if _, err := start(t, server.Addr).Send(context.Background(), env, strings.NewReader("ü\r\n")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"EHLO out.mailvow.example",
		"MAIL FROM:<sender@a.example> SIZE=4 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+2B1+3D2+20+C3+BC",
		"RCPT TO:<a@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@c.example",
		`RCPT TO:<ü@b.example> ORCPT=utf-8;ü\x{3D}@c.example`,
		"DATA",
	}
	if got := server.Commands(); !slices.Equal(got, want) {
		t.Errorf("commands:\n%s", strings.Join(got, "\n"))
	}
}

// TestNothingIsReadFromBeforeTLS: a man in the middle adds an answer to the 220.
func TestNothingIsReadFromBeforeTLS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "220 hi\r\n")
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(conn, "250-hi\r\n250 STARTTLS\r\n")
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(conn, "220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n")
		_, _ = r.ReadString('\n')
	}()
	_, err = dial(t, l.Addr().String(), func(o *smtp.ClientOptions) {
		o.TLS, o.TLSConfig = smtp.StartTLS, &tls.Config{InsecureSkipVerify: true}
	})
	var b *smtp.Broken
	if !errors.As(err, &b) || b.Stage != smtp.StageTLS {
		t.Fatalf("%v", err)
	}
}

func TestPeerThatRefusesInTheMiddle(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "220 hi\r\n")
		r := bufio.NewReader(conn)
		for _, answer := range []string{"250 hi", "250 ok", "250 ok", "354 go"} {
			_, _ = r.ReadString('\n')
			_, _ = io.WriteString(conn, answer+"\r\n")
		}
		_, _ = io.CopyN(io.Discard, r, 1<<20)
		_, _ = io.WriteString(conn, "552 5.3.4 too much\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.CopyN(io.Discard, r, 64<<20)
		conn.Close()
	}()
	c := start(t, l.Addr().String())
	answers, err := c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader(strings.Repeat("0123456789abcdef\r\n", 1<<20)))
	if err != nil || answers[0].Fate != smtp.Refused || answers[0].Reply.Code != 552 {
		t.Fatalf("%+v, %v", answers, err)
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, silent := range []string{"EHLO", "MAIL", "end"} {
		hold := make(chan struct{})
		server := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining,
			Command: func(_ int, line string) string {
				if strings.HasPrefix(line, silent) {
					<-hold
				}
				return ""
			},
			End: func(int, []byte) string {
				if silent == "end" {
					<-hold
				}
				return ""
			},
		})
		t.Cleanup(func() { close(hold) })
		short := 50 * time.Millisecond
		c, err := dial(t, server.Addr, func(o *smtp.ClientOptions) {
			o.Timeouts = smtp.ClientTimeouts{Greeting: short, Command: short, Data: short, Block: short, EndOfData: short, Quit: short}
		})
		fate := smtp.Lost
		if err == nil {
			var answers []smtp.Answer
			answers, err = c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader("x\r\n"))
			fate = answers[0].Fate
		}
		want := map[string]smtp.Fate{"EHLO": smtp.Lost, "MAIL": smtp.Lost, "end": smtp.Uncertain}[silent]
		if !errors.Is(err, os.ErrDeadlineExceeded) || fate != want {
			t.Errorf("silent at %s: fate %d, %v", silent, fate, err)
		}
	}
}

// TestAUTHIsNeverRecorded looks for the password in any form.
func TestAUTHIsNeverRecorded(t *testing.T) {
	t.Parallel()
	server := lab.RemoteSMTP(t, lab.Remote{Extensions: append([]string{"AUTH PLAIN"}, lab.Pipelining...)})
	c, err := dial(t, server.Addr, func(o *smtp.ClientOptions) { o.Username, o.Password, o.AuthInClear = "me", "secret", true })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(context.Background(), envelope(t, "a@b.example"), strings.NewReader("x\r\n")); err != nil {
		t.Fatal(err)
	}
	steps := slices.Collect(c.Steps(0))
	if len(steps) != 6 {
		t.Errorf("%d steps, want greeting, EHLO, MAIL, RCPT, DATA, end: %+v", len(steps), steps)
	}
	for _, s := range steps {
		if strings.Contains(s.Sent, "AUTH") || strings.Contains(s.Got, "235") {
			t.Errorf("%+v", s)
		}
	}
	_, err = dial(t, server.Addr, func(o *smtp.ClientOptions) { o.Username, o.Password = "me", "secret" })
	var b *smtp.Broken
	if !errors.As(err, &b) || b.Stage != smtp.StageAuth {
		t.Errorf("a password went over the wire in the clear: %v", err)
	}
}
