package audit

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// patience is how long one conversation with a door may take, and maxSaid how much
// the door may say in it.
const (
	patience = 20 * time.Second
	maxSaid  = 256 << 10
)

func tlsConfig(host string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// doors looks at every door: TLS of each, and what SMTP ones say.
func (a *auditor) doors(ctx context.Context) {
	host := a.base.Hostname()
	if a.base.Scheme == "https" {
		port := a.base.Port()
		if port == "" {
			port = "443"
		}
		a.tlsOf(ctx, "https", func(ctx context.Context) (net.Conn, error) {
			return a.dial(ctx, "tcp", net.JoinHostPort(host, port))
		})
	} else {
		ip := net.ParseIP(host)
		local := host == "localhost" || (ip != nil && ip.IsLoopback())
		if local {
			a.saw("tls.https", Unseen, "this is a server on the same machine, without TLS")
		} else {
			a.saw("tls.https", Broken, "API and console are asked over plain HTTP")
		}
	}
	if len(a.Config.Doors) > 0 {
		for _, name := range slices.Sorted(maps.Keys(a.Config.Doors)) {
			a.door(ctx, name, a.Config.Doors[name], true)
		}
		return
	}
	if a.base.Scheme == "https" {
		for _, s := range standard {
			a.door(ctx, s.door, net.JoinHostPort(host, s.port), false)
		}
	}
}

// door looks at one SMTP door; named means that the auditor was told of it.
func (a *auditor) door(ctx context.Context, name, addr string, named bool) {
	c, err := a.dial(ctx, "tcp", addr)
	if err != nil {
		state := Unseen
		if named {
			state = Broken
		}
		a.saw("smtp."+name, state, "nothing answers there")
		return
	}
	c.Close()
	plain := func(ctx context.Context) (net.Conn, error) { return a.dial(ctx, "tcp", addr) }
	if name == "submissions" {
		a.tlsOf(ctx, name, plain)
		return
	}
	a.greeting(ctx, name, plain)
	a.tlsOf(ctx, name, func(ctx context.Context) (net.Conn, error) {
		s, err := a.smtp(ctx, plain)
		if err != nil {
			return nil, err
		}
		if _, err := s.say(220, "STARTTLS"); err != nil {
			s.Close()
			return nil, err
		}
		return s.Conn, nil
	})
}

// smtp is a conversation after EHLO.
type smtp struct {
	net.Conn
	text   *textproto.Reader
	banner string
	offers []string
}

func (a *auditor) smtp(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*smtp, error) {
	c, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(a.Clock.Now().Add(patience)) // a connection that cannot be timed fails at the next step
	s := &smtp{Conn: c, text: textproto.NewReader(bufio.NewReader(io.LimitReader(c, maxSaid)))}
	if _, s.banner, err = s.text.ReadResponse(220); err == nil {
		var lines string
		if lines, err = s.say(250, "EHLO auditor.invalid"); err == nil {
			s.offers = strings.Split(strings.ToUpper(lines), "\n")
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

func (s *smtp) say(want int, line string) (string, error) {
	if _, err := fmt.Fprintf(s.Conn, "%s\r\n", line); err != nil {
		return "", err
	}
	_, text, err := s.text.ReadResponse(want)
	return text, err
}

func (s *smtp) offersAny(word string) bool {
	return slices.ContainsFunc(s.offers, func(o string) bool { return o == word || strings.HasPrefix(o, word+" ") })
}

// greeting sees what a stranger is told, and whether they could send through it.
func (a *auditor) greeting(ctx context.Context, name string, dial func(context.Context) (net.Conn, error)) {
	s, err := a.smtp(ctx, dial)
	if err != nil {
		a.saw("smtp."+name, Broken, "it does not greet: "+err.Error())
		return
	}
	defer s.Close()
	a.good("smtp."+name+".starttls", s.offersAny("STARTTLS"), "STARTTLS is offered", "STARTTLS is not offered")
	a.good("smtp."+name+".auth", !s.offersAny("AUTH"), "no password is asked for before TLS", "AUTH is offered before TLS, so passwords may cross in the clear")
	_, err = s.say(250, "MAIL FROM:<>")
	if err == nil {
		_, err = s.say(250, "RCPT TO:<canary@relay.auditor.invalid>")
	}
	refused := new(textproto.Error)
	a.good("smtp."+name+".relay", errors.As(err, &refused), "a stranger's mail to another server is refused", "a stranger may send to other servers through it")
}

// everySuite is for finding what a server should not speak.
func everySuite() (list []uint16) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		list = append(list, s.ID)
	}
	return list
}

// tlsOf sees which versions are spoken, and the certificate.
func (a *auditor) tlsOf(ctx context.Context, name string, dial func(context.Context) (net.Conn, error)) {
	try := func(lowest, highest uint16) (tls.ConnectionState, bool, error) {
		c, err := dial(ctx)
		if err != nil {
			return tls.ConnectionState{}, false, err
		}
		defer c.Close()
		_ = c.SetDeadline(a.Clock.Now().Add(patience))
		// The certificate is judged below, in words.
		t := tls.Client(c, &tls.Config{ServerName: a.base.Hostname(), MinVersion: lowest, MaxVersion: highest, CipherSuites: everySuite(), InsecureSkipVerify: true})
		err = t.HandshakeContext(ctx)
		return t.ConnectionState(), true, err
	}
	state, _, err := try(tls.VersionTLS12, tls.VersionTLS13)
	if err != nil {
		a.saw("tls."+name, Broken, "no TLS 1.2 or 1.3: "+err.Error())
		return
	}
	a.saw("tls."+name, Holds, tls.VersionName(state.Version)+", "+tls.CipherSuiteName(state.CipherSuite))
	_, reached, err := try(tls.VersionTLS10, tls.VersionTLS11)
	if reached {
		a.good("tls."+name+".old", err != nil, "TLS 1.0 and 1.1 are refused", "TLS 1.0 or 1.1 is still spoken")
		a.keepsFloor(name, err != nil, try)
	} else {
		a.saw("tls."+name+".old", Unseen, "the door did not answer a second time")
	}
	a.certificate(name, state.PeerCertificates)
}

func (a *auditor) certificate(name string, chain []*x509.Certificate) {
	if len(chain) == 0 {
		a.saw("tls."+name+".certificate", Broken, "there is none")
		return
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: a.base.Hostname(), Roots: a.Roots, Intermediates: between, CurrentTime: a.Clock.Now()})
	why := ""
	if err != nil {
		why = err.Error()
	}
	a.good("tls."+name+".certificate", err == nil, "valid for "+a.base.Hostname()+" until "+chain[0].NotAfter.UTC().Format(time.DateOnly), why)
}
