package probes

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/policy"
)

// transit knocks at every door with less than the policy in force asks, and then
// gives the canary a policy of TLS 1.3 on every way: mail below it is refused, and
// mail to a host that offers less waits.
func (s *Server) transit(ctx context.Context) (pledge.Status, string, error) {
	if len(s.Doors) == 0 {
		return failing("no door is open")
	}
	said := s.Floors()
	doors, err := s.floorsHold(ctx, said)
	if err != nil {
		return pledge.Failing, "", err
	}
	if doors.status != pledge.Kept {
		return doors.end(nil)
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) { return x.floored(ctx) })
	if err != nil || v.status != pledge.Kept {
		return v.end(err)
	}
	if n := s.Below(); n > 0 {
		return failing(fmt.Sprintf("%d sessions came about under the floor of their moment", n))
	}
	evidence := doors.evidence + "; " + v.evidence
	promised := []policy.Listener{said.MX, said.Submission, said.Web, said.Version}
	if slices.ContainsFunc(promised, func(l policy.Listener) bool { return l != policy.TLS13 }) || said.Outbound == policy.Opportunistic {
		return pledge.NotApplicable, fmt.Sprintf("the policy in force does not promise TLS 1.3 on every way (mx %s, submission %s, web %s, outbound %s, version %s); what it does promise holds: %s",
			said.MX, said.Submission, said.Web, said.Outbound, said.Version, evidence), nil
	}
	return kept(evidence)
}

// floorsHold tries a version below its floor at each door.
func (s *Server) floorsHold(ctx context.Context, said policy.TLS) (verdict, error) {
	var seen []string
	for _, d := range []struct {
		name  string
		floor policy.Listener
	}{{"mx", said.MX}, {"submission", said.Submission}, {"submissions", said.Submission}, {"https", said.Web}} {
		addr := s.Doors[d.name]
		if addr == "" {
			continue
		}
		below, word := uint16(tls.VersionTLS11), "1.2"
		if d.floor == policy.TLS13 {
			below, word = tls.VersionTLS12, "1.3"
		}
		if _, err := s.handshake(ctx, d.name, addr, tls.VersionTLS10, below); err == nil {
			return bad("%s takes %s, though the policy asks for TLS %s", d.name, tls.VersionName(below), word), nil
		}
		if _, err := s.handshake(ctx, d.name, addr, below+1, tls.VersionTLS13); err != nil {
			return bad("%s: TLS %s does not come about: %s", d.name, word, err), nil
		}
		seen = append(seen, d.name+" "+word)
	}
	return good("nothing below the floor is taken at %s", strings.Join(seen, ", ")), nil
}

// floored sends under a policy of TLS 1.3 on every way.
func (x *scene) floored(ctx context.Context) (verdict, error) {
	if err := x.under(ctx, `tls: {mx: "1.3", submission: "1.3", web: "1.3", outbound: required, version: "1.3"}`); err != nil {
		return verdict{}, err
	}
	if v, err := x.flooredDoors(ctx); err != nil || v.status != pledge.Kept {
		return v, err
	}
	// A host without TLS, and one that knows 1.2 only.
	own, err := x.Certificate()
	if err != nil {
		return verdict{}, fault.Wrap(err, "make a certificate for the sink")
	}
	for name, offers := range map[string]*tls.Config{
		"no TLS": nil, "TLS 1.2": {Certificates: []tls.Certificate{*own}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12},
	} {
		x.sink.secure(offers)
		id, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err != nil {
			return verdict{}, err
		}
		m, err := x.waitState(ctx, id, "deferred")
		if got, _ := x.sink.messages(); len(got) > 0 {
			return bad("mail was handed to a host that offers %s", name), nil
		}
		if err != nil {
			return verdict{}, err
		}
		if last := m.Timeline[len(m.Timeline)-1].Reply; !strings.Contains(last, "TLS 1.3") {
			return bad("mail to a host that offers %s waits, and its record does not say that TLS 1.3 is missing: %s", name, last), nil
		}
	}
	x.sink.secure(&tls.Config{Certificates: []tls.Certificate{*own}, MinVersion: tls.VersionTLS13})
	id, err := x.submit(ctx, "submission", x.sender(), x.outward())
	if err == nil {
		_, err = x.waitState(ctx, id, "delivered")
	}
	if err != nil {
		return bad("mail to a host that offers TLS 1.3 does not arrive: %s", err), nil
	}
	return good("of a customer whose policy asks for TLS 1.3 on every way, a recipient refuses mail in the clear and over TLS 1.2, a submission over TLS 1.2 is refused, and mail to hosts that offer no TLS or TLS 1.2 waits with the reason on record, while it is delivered over TLS 1.3"), nil
}

// flooredDoors names the canary's recipient in the clear and over TLS 1.2, and
// submits over TLS 1.2; each must be refused, and none over TLS 1.3.
func (x *scene) flooredDoors(ctx context.Context) (verdict, error) {
	to := "RCPT TO:<" + x.inbound().Text() + ">"
	auth := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+x.Username+"\x00"+x.Password))
	for _, try := range []struct {
		door    string
		version uint16 // 0: in the clear
		lines   []string
		taken   bool
	}{
		{"mx", 0, []string{"MAIL FROM:<>", to}, false},
		{"mx", tls.VersionTLS12, []string{"MAIL FROM:<>", to}, false},
		{"mx", tls.VersionTLS13, []string{"MAIL FROM:<>", to}, true},
		{"submission", tls.VersionTLS12, []string{auth, "MAIL FROM:<" + x.sender().Text() + ">"}, false},
		{"submission", tls.VersionTLS13, []string{auth, "MAIL FROM:<" + x.sender().Text() + ">"}, true},
	} {
		taken, err := x.takes(ctx, try.door, try.version, try.lines)
		if err != nil {
			return verdict{}, err
		}
		how := "in the clear"
		if try.version != 0 {
			how = "over " + tls.VersionName(try.version)
		}
		switch {
		case taken && !try.taken:
			return bad("%s takes the canary's mail %s, though its policy asks for TLS 1.3", try.door, how), nil
		case !taken && try.taken:
			return bad("%s refuses the canary's mail %s", try.door, how), nil
		}
	}
	return good(""), nil
}

// takes says some lines at a door and whether none of them was refused for good;
// a handshake that does not come about is a refusal too.
func (x *scene) takes(ctx context.Context, door string, version uint16, lines []string) (bool, error) {
	conn, err := x.Knock(ctx, x.Doors[door])
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(x.Clock.Now().Add(time.Minute)); err != nil {
		return false, fault.Wrap(err, "set a deadline")
	}
	c := &client{Conn: textproto.NewConn(conn)}
	if version != 0 {
		if err := startTLS(conn); err != nil {
			return false, err
		}
		own := x.tls()
		own.MinVersion, own.MaxVersion = version, version
		secured := tls.Client(conn, own)
		if secured.HandshakeContext(ctx) != nil {
			return false, nil
		}
		c.Conn = textproto.NewConn(secured)
	} else if _, _, err := c.ReadResponse(220); err != nil {
		return false, fault.Wrap(err, "read the greeting")
	}
	if err := c.hello(); err != nil {
		return false, err
	}
	for _, line := range lines {
		err := c.ask(2, "%s", line)
		var refused *textproto.Error
		if errors.As(err, &refused) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
