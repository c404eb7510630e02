package lab

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Remote is how a scripted SMTP server behaves. Answers are given without their
// line end; several lines are separated by \n. An empty answer of a hook means
// the usual one, Hangup closes the connection without a word.
type Remote struct {
	Banner     string
	Extensions []string // lines after the first of EHLO's answer
	NoEHLO     bool     // answers EHLO with 502
	TLS        *tls.Config
	BrokenTLS  bool                                  // answers STARTTLS with 220 and then with noise
	Command    func(session int, line string) string // asked first, for every command
	End        func(session int, data []byte) string // asked at the end of data
	Address    string                                // where to listen; 127.0.0.1:0 if empty
	Listener   net.Listener                          // instead of Address, for a test that must know whether it may listen
	Forget     bool                                  // keeps neither commands nor messages: for loads
}

// Hangup as an answer closes the connection.
const Hangup = "\x00hangup"

// Pipelining are the extensions of an ordinary server.
var Pipelining = []string{"PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"}

// Received is a message that a scripted server took.
type Received struct {
	Session    int
	TLS        bool
	Mail       string   // the MAIL command
	Recipients []string // the RCPT commands that were accepted
	Data       []byte   // with dots undoubled
}

// RemoteServer is a running scripted server.
type RemoteServer struct {
	Addr string // host:port

	script   Remote
	mu       sync.Mutex
	sessions int
	messages []Received
	commands []string
	conns    map[net.Conn]struct{}
	left     *sync.Cond
	closed   bool
}

// RemoteSMTP starts a scripted SMTP server on loopback.
func RemoteSMTP(t testing.TB, script Remote) *RemoteServer {
	t.Helper()
	l := script.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", cmp.Or(script.Address, "127.0.0.1:0")); err != nil {
			t.Fatal(err)
		}
	}
	s := &RemoteServer{Addr: l.Addr().String(), script: script, conns: map[net.Conn]struct{}{}}
	s.left = sync.NewCond(&s.mu)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if n, ok := s.enter(conn); ok {
				wg.Go(func() { defer s.leave(conn); s.serve(n, conn) })
			}
		}
	})
	t.Cleanup(func() { l.Close(); s.HangUp(true); wg.Wait() })
	return s
}

func (s *RemoteServer) enter(conn net.Conn) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return 0, false
	}
	s.conns[conn] = struct{}{}
	s.sessions++
	return s.sessions, true
}

func (s *RemoteServer) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn.Close()
	delete(s.conns, conn)
	s.left.Broadcast()
}

// Quiet waits until no connection is open.
func (s *RemoteServer) Quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		s.left.Wait()
	}
}

// HangUp closes all connections; with forGood it takes no further ones.
func (s *RemoteServer) HangUp(forGood bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = forGood
	for c := range s.conns {
		c.Close()
	}
}

// Sessions is how many connections came.
func (s *RemoteServer) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Messages are those taken so far.
func (s *RemoteServer) Messages() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.messages...)
}

// Commands are the lines received so far, of all sessions.
func (s *RemoteServer) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

type remoteSession struct {
	s    *RemoteServer
	n    int
	conn net.Conn
	r    *bufio.Reader
	tls  bool
	mail string
	to   []string
}

func (s *RemoteServer) serve(n int, conn net.Conn) {
	c := &remoteSession{s: s, n: n, conn: conn, r: bufio.NewReader(conn)}
	banner := s.script.Banner
	if banner == "" {
		banner = "220 remote.lab ESMTP"
	}
	if !c.say(banner) {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || !c.command(strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

func (c *remoteSession) say(answer string) bool {
	if answer == Hangup {
		return false
	}
	lines := strings.Split(answer, "\n")
	for i, l := range lines {
		if i > 0 && (len(l) < 4 || l[:3] != lines[0][:3]) {
			l = lines[0][:3] + " " + l
		}
		if i < len(lines)-1 {
			l = l[:3] + "-" + l[4:]
		}
		lines[i] = l + "\r\n"
	}
	_, err := io.WriteString(c.conn, strings.Join(lines, ""))
	return err == nil
}

func (c *remoteSession) command(line string) bool {
	if !c.s.script.Forget {
		c.s.mu.Lock()
		c.s.commands = append(c.s.commands, line)
		c.s.mu.Unlock()
	}
	answer := ""
	if c.s.script.Command != nil {
		answer = c.s.script.Command(c.n, line)
	}
	word, _, _ := strings.Cut(strings.ToUpper(line), " ")
	if answer == "" {
		answer = c.usual(word)
	}
	if !c.say(answer) {
		return false
	}
	switch {
	case answer[0] != '2' && answer[0] != '3':
	case word == "MAIL":
		c.mail, c.to = line, nil
	case word == "RCPT":
		c.to = append(c.to, line)
	case word == "RSET":
		c.mail, c.to = "", nil
	case word == "DATA":
		return c.data()
	case word == "STARTTLS":
		return c.startTLS()
	}
	return word != "QUIT"
}

func (c *remoteSession) usual(word string) string {
	script := &c.s.script
	switch word {
	case "EHLO":
		if script.NoEHLO {
			return "502 5.5.2 what?"
		}
		list := append([]string{"250 remote.lab"}, script.Extensions...)
		if (script.TLS != nil || script.BrokenTLS) && !c.tls {
			list = append(list, "STARTTLS")
		}
		return strings.Join(list, "\n")
	case "MAIL":
		if c.mail != "" {
			return "503 5.5.1 nested MAIL"
		}
		return "250 2.1.0 sender ok"
	case "RCPT":
		if c.mail == "" {
			return "503 5.5.1 no MAIL"
		}
		return "250 2.1.5 recipient ok"
	case "DATA":
		if len(c.to) == 0 {
			return "554 5.5.1 no valid recipients"
		}
		return "354 go on"
	case "STARTTLS":
		return "220 2.0.0 go on"
	case "QUIT":
		return "221 2.0.0 bye"
	case "AUTH":
		return "235 2.7.0 welcome"
	}
	return "250 2.0.0 ok"
}

func (c *remoteSession) data() bool {
	var data []byte
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		if line[0] == '.' {
			line = line[1:]
		}
		data = append(data, line...)
	}
	answer := ""
	if c.s.script.End != nil {
		answer = c.s.script.End(c.n, data)
	}
	if answer == "" {
		answer = fmt.Sprintf("250 2.0.0 taken in session %d", c.n)
	}
	if answer[0] == '2' && len(c.to) > 0 && !c.s.script.Forget {
		c.s.mu.Lock()
		c.s.messages = append(c.s.messages, Received{Session: c.n, TLS: c.tls, Mail: c.mail, Recipients: c.to, Data: data})
		c.s.mu.Unlock()
	}
	c.mail, c.to = "", nil
	return c.say(answer)
}

func (c *remoteSession) startTLS() bool {
	if c.s.script.BrokenTLS {
		_, _ = io.WriteString(c.conn, "this is no TLS record at all\r\n")
		return false
	}
	conn := tls.Server(c.conn, c.s.script.TLS)
	if conn.Handshake() != nil {
		return false
	}
	c.conn, c.r, c.tls = conn, bufio.NewReader(conn), true
	c.mail, c.to = "", nil
	return true
}
