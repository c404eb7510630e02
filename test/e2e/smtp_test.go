package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// smtpConn speaks SMTP line by line, so that a test sees every reply as it is.
type smtpConn struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// dial opens a connection and says EHLO.
func dial(t testing.TB, addr string) *smtpConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	c := &smtpConn{t: t, conn: conn, in: bufio.NewReader(conn)}
	t.Cleanup(func() { conn.Close() })
	c.want("220 ", c.reply())
	c.want("250 ", c.say("EHLO client.example"))
	return c
}

// submit opens a connection to submission, with STARTTLS and AUTH.
func submit(t testing.TB, d demo) *smtpConn {
	t.Helper()
	c := dial(t, d.Submission)
	c.startTLS()
	c.want("235 2.7.0", c.say("AUTH PLAIN "+plain(d.Username, d.Password)))
	return c
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

func (c *smtpConn) startTLS() {
	c.t.Helper()
	c.want("220 2.0.0", c.say("STARTTLS"))
	secure := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is made up
	must(c.t, secure.Handshake())
	c.conn, c.in = secure, bufio.NewReader(secure)
	c.want("250 ", c.say("EHLO client.example"))
}

// reply reads one reply; its lines are joined by \n and the last line stands first.
func (c *smtpConn) reply() string {
	c.t.Helper()
	r, err := c.read()
	if err != nil {
		c.t.Fatalf("no reply: %v (read so far %q)", err, r)
	}
	return r
}

func (c *smtpConn) read() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	var rest []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return line, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(append([]string{line}, rest...), "\n"), nil
		}
		rest = append(rest, line)
	}
}

// last ends the sending side and gives the last reply, or "" if the peer had
// closed before.
func (c *smtpConn) last() (reply string) {
	_ = c.write([]byte("\r\n"))
	for {
		r, err := c.read()
		if err != nil {
			return reply
		}
		if reply = r; strings.HasPrefix(r, "5") {
			return r
		}
	}
}

func (c *smtpConn) write(b []byte) error {
	_, err := c.conn.Write(b)
	return err
}

// say sends a line and gives the reply.
func (c *smtpConn) say(line string) string {
	c.t.Helper()
	must(c.t, c.write([]byte(line+"\r\n")))
	return c.reply()
}

func (c *smtpConn) want(prefix, got string) string {
	c.t.Helper()
	if !strings.HasPrefix(got, prefix) {
		c.t.Errorf("reply %q, want %s…", got, prefix)
	}
	return got
}

// send is one transaction by DATA; raw has CRLF line ends.
func (c *smtpConn) send(from string, raw []byte, to ...string) string {
	c.t.Helper()
	mail := "MAIL FROM:<" + from + ">"
	if eightBit(raw) {
		mail += " BODY=8BITMIME"
	}
	if r := c.say(mail); r[0] != '2' {
		return r
	}
	for _, a := range to {
		if r := c.say("RCPT TO:<" + a + ">"); r[0] != '2' {
			c.say("RSET")
			return r
		}
	}
	if r := c.say("DATA"); r[0] != '3' {
		return r
	}
	must(c.t, c.write(dotted(raw)))
	return c.reply()
}

func eightBit(b []byte) bool {
	for _, x := range b {
		if x >= 0x80 {
			return true
		}
	}
	return false
}

// dotted doubles dots and adds the end (RFC 5321 4.5.2).
func dotted(raw []byte) []byte {
	b := bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(raw, []byte(".")) {
		b = append([]byte("."), b...)
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b[:len(b):len(b)], "\r\n"...)
	}
	return append(b, ".\r\n"...)
}

// stream sends n bytes made of a repeated piece.
func (c *smtpConn) stream(piece []byte, n int64) error {
	block := bytes.Repeat(piece, max(1, 1<<16/len(piece)))
	w := bufio.NewWriterSize(c.conn, 1<<17)
	for n > 0 {
		b := block[:min(int64(len(block)), n)]
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		n -= int64(len(b))
	}
	return w.Flush()
}
