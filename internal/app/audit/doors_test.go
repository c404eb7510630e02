package audit_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailvow/internal/app/audit"
	"mailvow/internal/lab"
)

// smtpDoor speaks to everybody: careless relays all mail, asks for passwords in
// the clear and takes old TLS.
func smtpDoor(t *testing.T, careless bool, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go smtpTalk(c, careless, config)
		}
	}()
	return l.Addr().String()
}

func smtpTalk(c net.Conn, careless bool, config *tls.Config) {
	defer c.Close()
	fmt.Fprint(c, "220 mail.test\r\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		switch line := in.Text(); {
		case strings.HasPrefix(line, "EHLO") && careless:
			fmt.Fprint(c, "250-mail.test\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
		case strings.HasPrefix(line, "EHLO"):
			fmt.Fprint(c, "250-mail.test\r\n250 STARTTLS\r\n")
		case line == "STARTTLS":
			fmt.Fprint(c, "220 go on\r\n")
			s := tls.Server(c, config)
			_ = s.Handshake()
			_, _ = s.Read(make([]byte, 1))
			return
		case strings.HasPrefix(line, "RCPT") && !careless:
			fmt.Fprint(c, "550 no\r\n")
		default:
			fmt.Fprint(c, "250 fine\r\n")
		}
	}
}

// TestEveryLookCanFail: a careful server holds in every look, a careless one
// fails in each.
func TestEveryLookCanFail(t *testing.T) {
	t.Parallel()
	good, roots := certificate(t)
	weak := good.Clone()
	weak.MinVersion = tls.VersionTLS10
	for _, careless := range []bool{false, true} {
		config, want := good, audit.Holds
		if careless {
			config, want = weak, audit.Broken
		}
		s := httptest.NewUnstartedServer(page(careless, "1.2"))
		s.TLS = config.Clone()
		s.StartTLS()
		t.Cleanup(s.Close)
		r := run(t, audit.Config{
			URL: s.URL, Dir: t.TempDir(), Roots: roots,
			Doors: map[string]string{"mx": smtpDoor(t, careless, config), "submission": smtpDoor(t, careless, config)},
		})
		for _, id := range []string{
			"web.headers", "web.cookies", "web.third_parties", "web.security_txt", "tls.https.old",
			"smtp.mx.auth", "smtp.submission.auth", "smtp.mx.relay", "smtp.submission.relay", "tls.mx.old", "tls.submission.old",
			"policy.tls.https", "policy.tls.mx", "policy.tls.submission",
		} {
			if got := state(r, id); got != want {
				t.Errorf("careless %v: %s %s: %s", careless, id, got, r.Text)
			}
		}
		for _, id := range []string{"tls.https", "tls.https.certificate", "tls.mx.certificate"} {
			if got := state(r, id); got != audit.Holds {
				t.Errorf("careless %v: %s %s: %s", careless, id, got, r.Text)
			}
		}
	}
	// A certificate that nobody vouches for, and a door behind which nobody is.
	other, _ := lab.Certificate(t, "mail.elsewhere.example")
	s := httptest.NewServer(page(false, "1.3"))
	t.Cleanup(s.Close)
	closed := smtpDoorClosed(t)
	r := run(t, audit.Config{URL: s.URL, Dir: t.TempDir(), Roots: x509.NewCertPool(), Doors: map[string]string{"submission": smtpDoor(t, false, other), "mx": closed}})
	if state(r, "policy.tls.submission") != audit.Broken { // it speaks TLS 1.2, too
		t.Error(r.Text)
	}
	if state(r, "tls.submission.certificate") != audit.Broken || state(r, "smtp.mx") != audit.Broken || r.Passed {
		t.Error(r.Text)
	}
}

// certificate is one that old TLS can use, too; the lab's is Ed25519.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}, pool
}

func smtpDoorClosed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func page(careless bool, floor string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.URL.Path == "/.well-known/security.txt" {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			until := "2100-01-01T00:00:00Z"
			if careless {
				until = "2020-01-01T00:00:00Z"
			}
			fmt.Fprintf(w, "Contact: mailto:security@mail.test\nExpires: %s\n", until)
			return
		}
		if r.URL.Path == "/trust/policy.json" {
			fmt.Fprintf(w, `{"versions": [{"number": 1, "effective": "2020-01-01T00:00:00Z", "text": "tls: {mx: '1.2', submission: '%s', web: '1.2'}"}]}`, floor)
			return
		}
		if careless {
			http.SetCookie(w, &http.Cookie{Name: "track", Value: "1"})
			fmt.Fprint(w, `<script src="https://cdn.elsewhere.example/x.js"></script>`)
			return
		}
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		http.SetCookie(w, &http.Cookie{Name: "s", Value: "1", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
		fmt.Fprint(w, `<script src="/x.js"></script>`)
	})
}
