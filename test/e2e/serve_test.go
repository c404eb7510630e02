package e2e

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/lab"
)

// template is a data folder with the demo customer, made once by mailvow dev.
var template struct {
	once sync.Once
	dir  string
	demo demo
}

// world is the configuration of a mailvow serve.
type world struct {
	host     string // 127.0.0.1 if empty
	resolver string // of the fake DNS
	delivery string // further lines below delivery
	smtp     string // below smtp
	data     string // below data
	space    string // data.space
	backup   string // a recipient of backups, which lie beside the data folder
	disk     string // the size of a file system of its own for the data folder
}

// site is the folder of one mailvow serve, which may be started several times.
type site struct {
	dir    string
	config string
	demo   demo
}

const hostname = "mail.mailvow.test"

// newSite copies the template and writes a configuration.
func newSite(t testing.TB, w world) *site {
	t.Helper()
	template.once.Do(func() { makeTemplate(t) })
	if template.dir == "" {
		t.Fatal("the template could not be made")
	}
	if w.host == "" {
		w.host = "127.0.0.1"
	}
	x := &site{dir: t.TempDir(), demo: template.demo}
	data := filepath.Join(x.dir, "data")
	must(t, os.Mkdir(data, 0o700))
	if w.disk != "" {
		lab.SmallDisk(t, data, w.disk)
	}
	for _, step := range [][]string{
		{"cp", "-a", template.dir + "/.", data}, // modes and all
		{"mv", filepath.Join(data, "keystore"), filepath.Join(x.dir, "keys")},
		{"mv", filepath.Join(data, "kek"), filepath.Join(x.dir, "kek")},
	} {
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("copy the template: %v %s", err, out)
		}
	}
	// The evidence log bears the server's name, and this one has another.
	must(t, os.RemoveAll(filepath.Join(data, "evidence")))
	must(t, os.RemoveAll(filepath.Join(x.dir, "keys", "evidence")))
	tls, _ := lab.Certificate(t, hostname, w.host)
	key, err := x509.MarshalPKCS8PrivateKey(tls.Certificates[0].PrivateKey)
	must(t, err)
	x.write(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificates[0].Certificate[0]}))
	x.write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	d := &x.demo
	d.MX, d.Submission, d.Submissions, d.HTTP = port(t, w.host), port(t, w.host), port(t, w.host), port(t, w.host)
	x.write(t, "mailvow.yaml", []byte(x.yaml(w)))
	x.config = filepath.Join(x.dir, "mailvow.yaml")
	return x
}

func (x *site) write(t testing.TB, name string, b []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(x.dir, name), b, 0o600))
}

func (x *site) yaml(w world) string {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("hostname: %s", hostname)
	p("region: local")
	p("data:\n  dir: %s/data\n  keys: %s/keys\n  kek: %s/kek", x.dir, x.dir, x.dir)
	p("  space: %s", cmp.Or(w.space, "{alert: 4MiB, no_new_mail: 3MiB, read_only: 256KiB, reserve: 1MiB}"))
	p("%s", w.data)
	p("listen:\n  mx: %s\n  submission: %s\n  submissions: %s\n  http: %s", x.demo.MX, x.demo.Submission, x.demo.Submissions, x.demo.HTTP)
	p("tls:\n  certificate: %s/cert.pem\n  key: %s/key.pem", x.dir, x.dir)
	p("smtp:\n  per_minute: 100000\n  per_address: 500\n%s", w.smtp)
	p("delivery:\n  allow: [127.0.0.0/8]\n%s", w.delivery)
	if w.resolver != "" {
		p("dns:\n  resolver: %s", w.resolver)
	}
	if w.backup != "" {
		p("backup:\n  dir: %s/backups\n  recipients: [%s]\n  newest: {dir: %s/newest}", x.dir, w.backup, x.dir)
	}
	p("observe:\n  level: info")
	return b.String()
}

// serve starts mailvow serve in the site.
func (x *site) serve(t testing.TB, env ...string) *server {
	t.Helper()
	s, _ := start(t, env, "serve", "--config", x.config)
	s.demo, s.host = x.demo, hostname
	if !s.log.await("msg=serving") {
		<-s.done
		t.Fatalf("mailvow serve ended: %v\n%s", s.err, s.log)
	}
	return s
}

// command runs a command line against the site and gives what it printed.
func (x *site) command(t testing.TB, args ...string) string {
	t.Helper()
	out, said, err := x.run(t, args)
	if err != nil {
		t.Fatalf("mailvow %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

// refused is a command that cannot be done, and what it said.
func (x *site) refused(t testing.TB, args ...string) string {
	t.Helper()
	out, said, err := x.run(t, args)
	if err == nil {
		t.Fatalf("mailvow %s was done:\n%s", strings.Join(args, " "), out)
	}
	return said
}

func (x *site) run(t testing.TB, args []string) (out, said string, err error) {
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "MAILVOW_CONFIG="+x.config)
	var answer, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, &wrong
	err = cmd.Run()
	return answer.String(), wrong.String(), err
}

func makeTemplate(t testing.TB) {
	dir, err := os.MkdirTemp(filepath.Dir(bin), "template-")
	must(t, err)
	s, out := start(t, nil, "dev", "--json", "--dir", dir, "--mx", "127.0.0.1:0", "--submission", "127.0.0.1:0", "--submissions", "127.0.0.1:0", "--http", "127.0.0.1:0")
	must(t, json.NewDecoder(out).Decode(&template.demo))
	s.stop(t)
	template.dir = dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nextPort counts through a range that the kernel gives nobody by itself.
var nextPort atomic.Int32

func port(t testing.TB, host string) string {
	t.Helper()
	for range 500 {
		n := 20000 + (os.Getpid()*97+int(nextPort.Add(1)))%12000
		addr := net.JoinHostPort(host, fmt.Sprint(n))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		return addr
	}
	t.Fatal("no port is free")
	return ""
}

// letter is a small message of the demo customer.
func letter(to, subject string) string {
	return "From: you@demo.example\r\nTo: " + to + "\r\nSubject: " + subject + "\r\nDate: " +
		time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Format(time.RFC1123Z) + "\r\nMessage-ID: <" + subject + "@demo.example>\r\n\r\nHello\r\n"
}
