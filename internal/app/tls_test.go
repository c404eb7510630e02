package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// write puts a made-up certificate into files and gives its serial number.
func writeCertificate(t *testing.T, chain, key string, c *lab.Clock) string {
	t.Helper()
	made, err := madeUp(c, "mail.example.com")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: der}, chain: {Type: "CERTIFICATE", Bytes: made.Certificate[0]}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serial(t, made)
}

func serial(t *testing.T, c *tls.Certificate) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.String()
}

// TestCertificateFilesAreReadAgain: a renewal needs no restart, a half-written
// one changes nothing.
func TestCertificateFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	hand := lab.NewClock(time.Now())
	dir := t.TempDir()
	chain, key := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	if _, err := newFileCertificate(hand, chain, key); !fault.Is(err, fault.Invalid) {
		t.Errorf("files that are not there: %v", err)
	}
	first := writeCertificate(t, chain, key, hand)
	f, err := newFileCertificate(hand, chain, key)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		c, err := f.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return serial(t, c)
	}
	later := time.Now()
	touch := func() {
		t.Helper()
		later = later.Add(time.Second) // a clock of files that is too coarse to tell two writes apart
		if err := os.Chtimes(chain, later, later); err != nil {
			t.Fatal(err)
		}
	}
	second := writeCertificate(t, chain, key, hand)
	touch()
	if got := shown(); got != first {
		t.Errorf("read again before a minute is over: %s", got)
	}
	hand.Wind(lookAgain)
	if got := shown(); got != second {
		t.Errorf("shown %s, want the renewed %s", got, second)
	}
	if err := os.WriteFile(chain, []byte("-----BEGIN CERT"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch()
	hand.Wind(lookAgain)
	if got := shown(); got != second {
		t.Errorf("a half-written file took the place of a good one: %s", got)
	}
	third := writeCertificate(t, chain, key, hand)
	touch()
	hand.Wind(lookAgain)
	if got := shown(); got != third {
		t.Errorf("shown %s, want %s", got, third)
	}
}

func freePort(t *testing.T) (string, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// TestServeWithACME starts the real thing with an authority on loopback: the
// mail door shows the certificate that the web doors answered for.
func TestServeWithACME(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := config.Default()
	c.Hostname = "mail.example.com"
	c.Data.Dir, c.Data.Keys, c.Data.KEK = filepath.Join(dir, "data"), filepath.Join(dir, "keys"), filepath.Join(dir, "kek")
	c.Data.Space = config.Space{Alert: 1 << 20, NoNew: 1 << 20, ReadOnly: 1 << 20, Reserve: 2 << 20}
	if err := vault.CreateKEKFile(c.Data.KEK); err != nil {
		t.Fatal(err)
	}
	var httpPort, tlsPort int
	c.Listen.HTTP, httpPort = freePort(t)
	c.Listen.HTTPS, tlsPort = freePort(t)
	c.Listen.Submissions = "127.0.0.1:0"
	names := lab.DNS(t, "mail.example.com. 60 IN A 127.0.0.1\n")
	ca := lab.ACME(t, names.Addr, httpPort, tlsPort, 90*24*time.Hour)
	c.DNS.Resolver = names.Addr
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	c.TLS.ACME = &config.ACME{Directory: ca.Directory, Roots: roots}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, ServeOptions{Config: c, Err: io.Discard, Ready: func(doors map[string]string) { ready <- doors }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var doors map[string]string
	select {
	case doors = <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := tls.Dial("tcp", doors["submissions"], &tls.Config{InsecureSkipVerify: true, ServerName: "mail.example.com"})
		if err == nil {
			defer conn.Close()
			if leaf := conn.ConnectionState().PeerCertificates[0]; leaf.DNSNames[0] != "mail.example.com" || leaf.Issuer.CommonName == leaf.Subject.CommonName {
				t.Errorf("shown %v by %v", leaf.DNSNames, leaf.Issuer)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no certificate came: ", err)
		}
	}
}

// TestHTTPSSaysSo: browsers are told to come by HTTPS only, by the door that has it.
func TestHTTPSSaysSo(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	strict(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header().Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("%q", got)
	}
}
