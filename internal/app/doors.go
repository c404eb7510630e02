package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/service"
	"mailvow/internal/door/crowd"
	"mailvow/internal/door/smtpserver"
)

// doors are the listeners of a process.
type doors struct {
	list []door
}

// door is one listener and who answers at it.
type door struct {
	name     string
	listener net.Listener
	serve    func(context.Context, net.Listener) error
	shut     func(context.Context) error
}

// open lets people in at every door.
func (d *doors) open(parts *service.Group) error {
	for _, x := range d.list {
		parts.Go("listen "+x.name, func(ctx context.Context) error { return x.serve(ctx, x.listener) })
	}
	return nil
}

// shut closes all doors at once, so that a slow caller at one takes nothing from
// those at the others.
func (d *doors) shut(ctx context.Context) error {
	failed := make([]error, len(d.list))
	var all sync.WaitGroup
	for i, x := range d.list {
		all.Go(func() { failed[i] = x.shut(ctx) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// at is the address of a door, or "" if it is closed.
func (d *doors) at(name string) string {
	for _, x := range d.list {
		if x.name == name {
			return x.listener.Addr().String()
		}
	}
	return ""
}

// openDoors binds every address before anything is served, so that a taken port
// stops the start.
func (h *House) openDoors(ctx context.Context) error {
	get, err := h.certificates()
	if err != nil {
		return err
	}
	if h.doorMeters, err = newDoorMeters(h.metrics); err != nil {
		return err
	}
	l := h.Config.Listen
	for _, m := range []struct {
		name, addr string
		role       smtpserver.Role
	}{{"mx", l.MX, smtpserver.MX}, {"submission", l.Submission, smtpserver.Submission}, {"submissions", l.Submissions, smtpserver.Submissions}} {
		if m.addr == "" || !h.has(config.RoleSMTP) {
			continue
		}
		if err := h.openMail(m.name, m.addr, m.role, get); err != nil {
			return err
		}
	}
	if err := h.openWeb(ctx, get); err != nil {
		return err
	}
	if err := h.openMetrics(); err != nil {
		return err
	}
	return h.openAdmin(ctx)
}

type getCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// certificates says where certificates come from; nil where there are none.
func (h *House) certificates() (getCertificate, error) {
	t := h.Config.TLS
	switch {
	case t.ACME != nil:
		return h.openACME()
	case t.Certificate != "":
		f, err := newFileCertificate(h.Clock, t.Certificate, t.Key)
		if err != nil {
			return nil, err
		}
		return f.get, nil
	case h.Dev:
		made, err := madeUp(h.Clock, "localhost", h.Config.Hostname)
		return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return made, nil }, err
	}
	return nil, nil
}

func (h *House) bind(name, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("The address %s for %s cannot be used: %v.", addr, name, err)).
			WithHint("another program may listen there; change listen." + name + " or stop the other program")
	}
	if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
		h.gate.Own(a)
	}
	return l, nil
}

func (h *House) openMail(name, addr string, role smtpserver.Role, get getCertificate) error {
	s := h.Config.SMTP
	limits := smtpserver.DefaultLimits(role)
	limits.Connections, limits.ConnectionsPerAddress = s.Connections, s.PerAddress
	limits.ConnectionRate = smtpserver.Rate{Count: s.PerMinute, Per: time.Minute}
	limits.MessageRate = smtpserver.Rate{Count: s.MessagesPerMinute, Per: time.Minute}
	limits.MessageSize, limits.Recipients, limits.Command = s.MaxSize, s.MaxRecipients, s.Timeout
	cfg := smtpserver.Config{
		Role: role, Hostname: h.Config.Hostname, PlaintextAuth: h.Dev || s.PlaintextAuth, Limits: limits,
		Refused: func(ctx context.Context, origin string) { h.guesses.Refused(ctx, origin) },
		Backend: h.mailDesk(), Clock: h.Clock, IDs: h.ids, Observe: h.observe,
	}
	if get != nil {
		cfg.TLS = h.serverTLS(name, get)
	}
	for _, p := range s.Proxies {
		cfg.ProxyFrom = append(cfg.ProxyFrom, netip.MustParsePrefix(p))
	}
	if h.Dev {
		cfg.Exempt = thisMachine
	}
	server, err := smtpserver.New(cfg)
	if err != nil {
		return err
	}
	listener, err := h.bind(name, addr)
	if err != nil {
		return err
	}
	h.doors.list = append(h.doors.list, door{name: name, listener: listener, serve: server.Serve, shut: server.Shutdown})
	return nil
}

func (h *House) floors() floors { return floors{h.policies, h.Clock} }

func (h *House) mailDesk() *mailDesk {
	return &mailDesk{
		used:   h.notices.Used,
		floors: h.floors(), access: h.access, senders: h.relay, desk: h.desk, routes: h.routes(), drafts: h.drafts, intake: h.intake,
		log: h.observe.For("door/smtpserver").Log, tracer: h.observe.Tracer,
	}
}

// thisMachine is where a proxy beside this server comes from, and in dev mode its
// user.
var thisMachine = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}

// The places at a web door. A proxy on another machine has the share of one address.
const (
	webConnections = 4000
	webPerAddress  = 500
)

// webDoor is an HTTP server with the time limits that keep slow clients from
// holding it.
func (h *House) webDoor(name string, l net.Listener, handler http.Handler, t *tls.Config) door {
	server := &http.Server{
		Handler: soon(handler), TLSConfig: t, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(complaints{h.observe.For("http").Log}, "", 0),
	}
	turned := h.doorMeters.turned.WithLabelValues(name).Inc
	serve := func(_ context.Context, l net.Listener) error {
		l = crowd.New(timely{l}, crowd.Limits{Connections: webConnections, PerAddress: webPerAddress, Exempt: thisMachine}, turned)
		var err error
		if t != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
	shut := func(ctx context.Context) error {
		if h.api != nil {
			h.api.EndStreams()
		}
		err := server.Shutdown(ctx)
		if err != nil { // what is still under way is cut: the store closes next
			err = errors.Join(err, server.Close())
		}
		return err
	}
	return door{name: name, listener: l, serve: serve, shut: shut}
}

// complaints take what net/http says by itself: of callers by their addresses, so
// that it goes through the log that removes them, and of callers who came for
// nothing, which is no news. A handler that panicked is.
type complaints struct{ log *slog.Logger }

// Write implements io.Writer.
func (c complaints) Write(line []byte) (int, error) {
	say := c.log.Debug
	if bytes.HasPrefix(line, []byte("http: panic")) {
		say = c.log.Error
	}
	say(string(bytes.TrimSpace(line)))
	return len(line), nil
}

const (
	// bodyTime is how long a request's body may take to arrive; an operation that
	// takes larger ones gives it longer.
	bodyTime = time.Minute
	// writeTime is how long a client may leave a piece of an answer unread.
	writeTime = time.Minute
)

// soon ends bodies that come too slowly. Once a body is there its deadline goes,
// because what is done with it may take longer. Deadlines of sockets are held by
// the machine's clock, whatever clock the house goes by.
func soon(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
				r.Body = &awaited{r.Body, control}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// awaited is a body with a deadline.
type awaited struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader.
func (b *awaited) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{}) // it could be set before
	}
	return n, err
}

// timely is a listener of connections whose peers must take what is written.
type timely struct{ net.Listener }

// Accept implements net.Listener.
func (l timely) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return timelyConn{c}, nil
}

type timelyConn struct{ net.Conn }

// Write implements net.Conn.
func (c timelyConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
