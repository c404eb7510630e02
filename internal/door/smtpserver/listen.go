package smtpserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/reply"
	"mailvow/internal/base/service"
)

const (
	handshakeWait = 30 * time.Second // for a TLS handshake
	proxyWait     = 10 * time.Second // for a PROXY header
	turnAwayWait  = time.Second      // for writing the one reply of a connection without a place
	acceptPause   = 50 * time.Millisecond
)

// Serve takes connections until the listener is closed by Shutdown or ctx ends.
// When ctx ends, sessions are cut; to let them finish call Shutdown first.
// Several listeners may be served by one server. Serve returns nil after a stop.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return ln.Close()
	}
	s.listeners[ln] = struct{}{}
	sweeping, endSweep := context.WithCancel(ctx)
	defer endSweep()
	s.wg.Go(func() { s.sweep(sweeping) }) // under the lock: Shutdown waits for it, and so for this loop
	s.mu.Unlock()
	defer s.unlisten(ln)
	stay := context.AfterFunc(ctx, func() { s.unlisten(ln); s.cut() })
	defer stay()
	return s.accept(ctx, ln)
}

// accept takes connections until the listener is closed.
func (s *Server) accept(ctx context.Context, ln net.Listener) error {
	for failing := false; ; {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			failing = false
			s.take(ctx, conn)
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		case !failing:
			failing = true
			s.cfg.Observe.Log.Error("cannot accept connections", "listener", s.cfg.Role, "error", err)
		}
		// Out of file descriptors, most likely: wait for sessions to end.
		if clock.Sleep(ctx, s.cfg.Clock, acceptPause) != nil {
			return nil
		}
	}
}

// sweep writes the sums of refusals once a minute, and at the end.
func (s *Server) sweep(ctx context.Context) {
	for clock.Sleep(ctx, s.cfg.Clock, sweepEvery) == nil {
		s.callers.sweep(false)
	}
	s.callers.sweep(true)
}

func (s *Server) unlisten(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	_ = ln.Close() // a second close says so; nothing follows from it
}

// take starts a session, or turns the connection away when all places are taken.
func (s *Server) take(ctx context.Context, conn net.Conn) {
	s.meter.connections.Inc()
	if !s.callers.enter() {
		s.turnAway(conn, nil, becauseConnections, "Too many connections; try again later.")
		return
	}
	s.wg.Go(func() {
		err := service.Guard(func() error { s.serve(ctx, conn); return nil })
		if err != nil {
			s.meter.refusals[becausePanic].Inc()
			s.cfg.Observe.Log.Error("a session ended by a defect", "listener", s.cfg.Role, "error", err)
			_ = conn.Close()
		}
	})
}

// turnAway answers 421 without a session and closes. A fresh socket takes one
// line without blocking; the deadline is for the exception. Over TLS from the
// first byte nothing can be said.
func (s *Server) turnAway(conn net.Conn, c *caller, because Reason, text string) {
	ref := s.refusals.refuse(c, 0, because, 421)
	if s.cfg.Role != Submissions {
		r := withReference(reply.New(421, "4.7.0", text), ref)
		_ = conn.SetWriteDeadline(s.cfg.Clock.Now().Add(turnAwayWait))
		_, _ = conn.Write(r.Append(nil))
	}
	_ = conn.Close()
}

// serve runs one connection from its first byte to its last.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	var who *caller
	s.meter.open.Inc()
	defer func() { s.meter.open.Dec(); s.callers.leave(who) }()
	conn, ip, ok := s.origin(conn)
	if !ok {
		s.turnAway(conn, nil, becauseProxy, "A PROXY header is due from this network.")
		return
	}
	var because Reason
	who, because, ok = s.callers.meet(ip, within(s.cfg.Exempt, ip))
	if !ok {
		s.turnAway(conn, who, because, "Too many connections from your address; try again later.")
		return
	}
	b := s.buffers.Get().(*buffers)
	ses := s.newSession(conn, ip, who, b)
	if !s.add(ses) {
		s.turnAway(conn, who, becauseStopping, "The server is stopping; try again later.")
	} else {
		defer s.remove(ses)
		ses.run(ctx)
	}
	b.in.Reset(nil)
	b.out = ses.link.out[:0]
	if cap(b.out) <= 2*sayAtMost {
		s.buffers.Put(b)
	}
}

// origin finds who is at the other end: the address of the socket, or what our
// own proxy says in its header.
func (s *Server) origin(conn net.Conn) (net.Conn, netip.Addr, bool) {
	ip := addrOf(conn.RemoteAddr())
	if !within(s.cfg.ProxyFrom, ip) {
		return conn, ip, true
	}
	proxied := proxyproto.NewConn(conn, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(proxyWait))
	header := proxied.ProxyHeader()
	if header == nil {
		return conn, ip, false
	}
	if header.Command.IsLocal() { // the proxy's own health check
		return proxied, ip, true
	}
	ip = addrOf(header.SourceAddr)
	return proxied, ip, ip.IsValid()
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func within(networks []netip.Prefix, ip netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

func (s *Server) add(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.sessions[ses] = struct{}{}
	return true
}

func (s *Server) remove(ses *session) {
	s.mu.Lock()
	delete(s.sessions, ses)
	s.mu.Unlock()
	ses.link.close()
}

// cut closes every connection at once.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ses := range s.sessions {
		ses.link.close()
	}
}

// Shutdown stops listening, lets messages that are under way come to their end,
// and tells everybody else 421 4.3.2. When ctx ends it cuts what is left and
// returns an Unavailable fault.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	for ln := range s.listeners {
		_ = ln.Close() // Serve sees it
	}
	for ses := range s.sessions {
		ses.link.stop()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.cut()
		<-done
		return fault.New(fault.Unavailable, "some SMTP sessions had to be cut")
	}
}

// withReference adds the reference to the end of the text.
func withReference(r reply.Reply, ref ids.Reference) reply.Reply {
	r.Text += " [" + ref.String() + "]"
	return r
}
