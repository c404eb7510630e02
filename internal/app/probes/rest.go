package probes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// verdict is a status with its evidence.
type verdict struct {
	status   pledge.Status
	evidence string
}

func (v verdict) end(err error) (pledge.Status, string, error) { return v.status, v.evidence, err }

func good(format string, args ...any) verdict {
	return verdict{pledge.Kept, fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) verdict {
	return verdict{pledge.Failing, fmt.Sprintf(format, args...)}
}

// atRest sends mail through every door, keeps it waiting, and looks for its text
// in everything that the server stores.
func (s *Server) atRest(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) { return x.canaryScan(ctx) })
	return v.end(err)
}

func (x *scene) canaryScan(ctx context.Context) (verdict, error) {
	x.sink.refuse("451 4.2.0 not now")
	x.endpoint.answer(http.StatusServiceUnavailable)
	doors := []string{}
	for _, door := range []string{"submission", "submissions"} {
		if x.Doors[door] == "" {
			continue
		}
		if _, err := x.submit(ctx, door, x.sender(), x.outward()); err != nil {
			return verdict{}, fault.Wrap(err, "send through "+door)
		}
		doors = append(doors, door)
	}
	id, err := x.arrive(ctx)
	if err != nil {
		return verdict{}, fault.Wrap(err, "send through mx")
	}
	if _, err := x.post(ctx); err != nil {
		return verdict{}, fault.Wrap(err, "send through http")
	}
	doors = append(doors, "mx", "http")
	if _, err := x.waitState(ctx, id, "deferred"); err != nil {
		return verdict{}, err
	}
	// The probe must be able to see what lies there: the sealed row is found.
	sealed, err := x.Stored(ctx, id)
	if err != nil {
		return verdict{}, err
	}
	seen, total, err := x.search(ctx, needles(x.word, x.body()))
	if err != nil {
		return verdict{}, err
	}
	if len(seen) > 0 {
		return bad("the canary's text stands in the clear in %v", seen), nil
	}
	there, _, err := x.search(ctx, cut("sealed body", sealed.Body))
	if err != nil {
		return verdict{}, err
	}
	if len(there) == 0 {
		return bad("not even the sealed bytes were found: the probe does not look where the server writes"), nil
	}
	return good("text sent through %s was searched for raw, in base64, quoted-printable and hexadecimal in %d bytes while it waited: only its sealed form is there", strings.Join(doors, ", "), total), nil
}

// encryption is the scan and a handshake with every door.
func (s *Server) encryption(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) { return x.canaryScan(ctx) })
	if err != nil || v.status != pledge.Kept {
		return v.end(err)
	}
	status, evidence, err := s.handshakes(ctx)
	if err == nil {
		evidence = v.evidence + "; " + evidence
	}
	return status, evidence, err
}

// handshakes begins TLS at every door, and tries TLS 1.1, which must be refused.
func (s *Server) handshakes(ctx context.Context) (pledge.Status, string, error) {
	if len(s.Doors) == 0 {
		return failing("no door is open")
	}
	var said []string
	for _, door := range []string{"mx", "submission", "submissions", "http", "https"} {
		addr := s.Doors[door]
		if addr == "" {
			continue
		}
		if door == "http" {
			line, ok, err := s.plainDoor(ctx, addr)
			if err != nil || !ok {
				return failing("http: " + line + errText(err))
			}
			said = append(said, "http: "+line)
			continue
		}
		version, err := s.handshake(ctx, door, addr, tls.VersionTLS12, tls.VersionTLS13)
		if err != nil {
			return failing(door + ": TLS does not come about: " + err.Error())
		}
		if _, err := s.handshake(ctx, door, addr, tls.VersionTLS10, tls.VersionTLS11); err == nil {
			return failing(door + " takes TLS 1.1")
		}
		said = append(said, door+": "+tls.VersionName(version))
	}
	return kept(strings.Join(said, "; ") + "; TLS 1.1 is refused")
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return " " + err.Error()
}

// handshake gives the version that a door agrees to.
func (s *Server) handshake(ctx context.Context, door, addr string, lowest, highest uint16) (uint16, error) {
	conn, err := s.Knock(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if door == "mx" || door == "submission" {
		if err := startTLS(conn); err != nil {
			return 0, err
		}
	}
	// Our own listener, by its address; it is the version that is looked at.
	c := tls.Client(conn, &tls.Config{ServerName: s.Hostname, InsecureSkipVerify: true, MinVersion: lowest, MaxVersion: highest}) //nolint:gosec // see above
	if err := c.HandshakeContext(ctx); err != nil {
		return 0, fault.Wrap(err, "handshake")
	}
	return c.ConnectionState().Version, nil
}

func startTLS(conn net.Conn) error {
	c := textproto.NewConn(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		return fault.Wrap(err, "read the greeting")
	}
	x := &client{Conn: c}
	if err := x.hello(); err != nil {
		return err
	}
	return x.ask(220, "STARTTLS")
}

// plainDoor looks at the web door without TLS: it may only redirect, unless
// nobody but this machine reaches it.
func (s *Server) plainDoor(ctx context.Context, addr string) (string, bool, error) {
	if at, err := netip.ParseAddrPort(addr); err == nil && at.Addr().IsLoopback() {
		return "open to this machine alone", true, nil
	}
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Knock(ctx, addr) }}
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Hostname+"/", nil)
	if err != nil {
		return "", false, fault.Wrap(err, "make a request")
	}
	a, err := t.RoundTrip(r)
	if err != nil {
		return "", false, fault.Wrap(err, "ask the web door")
	}
	a.Body.Close()
	to := a.Header.Get("Location")
	return fmt.Sprintf("answers %d to %.40s", a.StatusCode, to), a.StatusCode/100 == 3 && strings.HasPrefix(to, "https://"), nil
}

// inboundContentGoes is the deletion probe at the MX door.
func (s *Server) inboundContentGoes(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		x.endpoint.answer(http.StatusServiceUnavailable)
		id, err := x.arrive(ctx)
		if err != nil {
			return verdict{}, err
		}
		return x.deletion(ctx, id, func() { x.endpoint.answer(http.StatusOK) })
	})
	return v.end(err)
}

// queuedContentGoes is the deletion probe at the submission door.
func (s *Server) queuedContentGoes(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		x.sink.refuse("451 4.2.0 not now")
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err != nil {
			return verdict{}, err
		}
		return x.deletion(ctx, id, func() { x.sink.refuse("") })
	})
	return v.end(err)
}
