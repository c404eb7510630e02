package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/fault"
)

// sink is the next host of the canary's mail: as much of SMTP as a courier needs.
type sink struct {
	listener net.Listener
	mu       sync.Mutex
	refusal  string      // answers RCPT; "" takes the recipient
	secured  *tls.Config // nil offers no TLS
	letters  bool        // what has no sender is taken in any case
	refused  int
	taken    []taken
	wg       sync.WaitGroup
	open     map[net.Conn]struct{}
}

// taken is a message that the sink took.
type taken struct {
	to   string
	data string
}

func newSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The probe cannot listen on this machine.")
	}
	s := &sink{listener: l, open: map[net.Conn]struct{}{}}
	s.wg.Go(s.serve)
	return s, nil
}

func (s *sink) close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *sink) refuse(reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal, s.letters = reply, false
}

// refuseMail refuses what has a sender. Letters of this server's have none.
func (s *sink) refuseMail(reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal, s.letters = reply, true
}

// messages are those that were taken, and how many recipients were refused.
func (s *sink) messages() ([]taken, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]taken(nil), s.taken...), s.refused
}

// secure makes the sink offer TLS to connections to come; nil ends it.
func (s *sink) secure(c *tls.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secured = c
}

func (s *sink) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.converse(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		})
	}
}

func (s *sink) converse(conn net.Conn) {
	c := textproto.NewConn(conn)
	to, from := "", ""
	s.mu.Lock()
	secured := s.secured
	s.mu.Unlock()
	answer := "220 sink.invalid ESMTP"
	for c.PrintfLine("%s", answer) == nil {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		answer = "250 2.0.0 ok"
		switch strings.ToUpper(verb) {
		case "EHLO":
			answer = "250-sink.invalid\r\n250-8BITMIME\r\n250 SMTPUTF8"
			if secured != nil {
				answer = "250-sink.invalid\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 SMTPUTF8"
			}
		case "STARTTLS":
			if secured == nil || c.PrintfLine("220 2.0.0 go on") != nil {
				return
			}
			c, secured = textproto.NewConn(tls.Server(conn, secured)), nil
			if _, err := c.ReadLine(); err != nil {
				return
			}
			answer = "250-sink.invalid\r\n250-8BITMIME\r\n250 SMTPUTF8"
		case "MAIL":
			_, from, _ = strings.Cut(rest, "<")
			from, _, _ = strings.Cut(from, ">")
		case "RCPT":
			_, to, _ = strings.Cut(rest, "<")
			to, _, _ = strings.Cut(to, ">")
			answer = s.recipient(from, answer)
		case "DATA":
			if c.PrintfLine("354 go on") != nil {
				return
			}
			data, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			s.mu.Lock()
			s.taken = append(s.taken, taken{to, string(data)})
			s.mu.Unlock()
		case "QUIT":
			_ = c.PrintfLine("221 2.0.0 bye")
			return
		}
	}
}

func (s *sink) recipient(from, yes string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != "" && (from != "" || !s.letters) {
		s.refused++
		return s.refusal
	}
	return yes
}

// endpoint is the canary's HTTP endpoint.
type endpoint struct {
	listener net.Listener
	server   *http.Server
	mu       sync.Mutex
	status   int
	requests []request
	done     chan struct{}
}

type request struct {
	header http.Header
	body   []byte
	at     time.Time
}

func newEndpoint() (*endpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The probe cannot listen on this machine.")
	}
	e := &endpoint{listener: l, status: http.StatusOK, done: make(chan struct{})}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(e.done)
		if err := e.server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return // the probe sees that nothing arrives
		}
	}()
	return e, nil
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return
	}
	e.mu.Lock()
	status := e.status
	e.requests = append(e.requests, request{r.Header.Clone(), body, time.Now()})
	e.mu.Unlock()
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "the canary's answer") // a server that has gone is seen elsewhere
}

func (e *endpoint) answer(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
}

func (e *endpoint) arrived() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]request(nil), e.requests...)
}

func (e *endpoint) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = e.server.Shutdown(ctx)
	_ = e.server.Close()
	<-e.done
}
