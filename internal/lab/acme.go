package lab

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// ACMEServer is a certificate authority for tests that runs as a process.
type ACMEServer struct {
	Directory string
	Roots     *x509.CertPool // of its own HTTPS listener
	PEM       string         // the same
}

// ACME starts Pebble, which asks dns for names, and challenges on these ports of
// 127.0.0.1. Its certificates live for so long. Where the server cannot be built
// (no module cache and no network), the test is skipped with the reason.
func ACME(t testing.TB, dns string, httpPort, tlsPort int, validity time.Duration) *ACMEServer {
	t.Helper()
	program, err := acmeProgram()
	if err != nil {
		t.Skipf("no ACME server: %v", err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "ACME_DNS="+dns, "ACME_HTTP_PORT="+strconv.Itoa(httpPort),
		"ACME_TLS_PORT="+strconv.Itoa(tlsPort), "ACME_VALIDITY="+strconv.Itoa(int(validity.Seconds())))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the ACME server said: %s", complaints.String())
		}
	})
	var ready struct{ Directory, Roots string }
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatalf("the ACME server does not start: %v: %s", err, complaints.String())
	}
	go io.Copy(io.Discard, out)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ready.Roots))
	return &ACMEServer{ready.Directory, roots, ready.Roots}
}

// acmeProgram builds the server once for a process.
var acmeProgram = sync.OnceValues(func() (string, error) { return tool("pebble") })
