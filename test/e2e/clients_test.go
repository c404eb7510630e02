package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailvow/internal/lab"
)

// outside runs a program that nobody here wrote and gives what it printed.
func outside(t testing.TB, input, name string, args ...string) string {
	t.Helper()
	out, err := attempt(t, input, name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, tail(out, 3000))
	}
	return out
}

func attempt(t testing.TB, input, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Skipf("needs %s", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// door is one way in for a client.
type door struct {
	name, addr    string
	tls           string // "", starttls or tls
	user, pass    string
	host, port    string
	protocol      string // as the Received field calls it
	authenticated bool
}

func doors(d demo) []door {
	list := []door{
		{name: "mx", addr: d.MX, protocol: "ESMTP"},
		{name: "mx-starttls", addr: d.MX, tls: "starttls", protocol: "ESMTPS"},
		{name: "submission", addr: d.Submission, tls: "starttls", user: d.Username, pass: d.Password, protocol: "ESMTPSA"},
		{name: "submissions", addr: d.Submissions, tls: "tls", user: d.Username, pass: d.Password, protocol: "ESMTPSA"},
	}
	for i := range list {
		list[i].host, list[i].port, _ = net.SplitHostPort(list[i].addr)
		list[i].authenticated = list[i].user != ""
	}
	return list
}

// client is a program that sends a file with CRLF line ends.
type client struct {
	name string
	send func(t *testing.T, d door, to, file string)
	// exact says that the client changes nothing of what it sends.
	exact bool
}

var clients = []client{
	{"swaks", swaks, true}, {"curl", curl, true}, {"smtplib", smtplib, true}, {"nodemailer", nodemailer, true}, {"smtp-source", smtpSource, false},
}

func swaks(t *testing.T, d door, to, file string) {
	args := []string{"--server", d.host, "--port", d.port, "--from", "you@demo.example", "--to", to, "--data", "@" + file}
	if d.tls != "" {
		if _, err := attempt(t, "", "perl", "-MNet::SSLeay", "-e", "1"); err != nil {
			t.Skip("needs Net::SSLeay for swaks (libnet-ssleay-perl)")
		}
		args = append(args, map[string]string{"starttls": "--tls", "tls": "--tls-on-connect"}[d.tls])
	}
	if d.authenticated {
		args = append(args, "--auth", "LOGIN", "--auth-user", d.user, "--auth-password", d.pass)
	}
	outside(t, "", "swaks", args...)
}

func curl(t *testing.T, d door, to, file string) {
	url := map[string]string{"": "smtp", "starttls": "smtp", "tls": "smtps"}[d.tls] + "://" + d.addr
	args := []string{"-sS", "--insecure", "--url", url, "--mail-from", "you@demo.example", "--mail-rcpt", to, "--upload-file", file}
	if d.tls == "starttls" {
		args = append(args, "--ssl-reqd")
	}
	if d.authenticated {
		args = append(args, "--user", d.user+":"+d.pass)
	}
	outside(t, "", "curl", args...)
}

const smtplibScript = `
import smtplib, ssl, sys, json
d = json.load(sys.stdin)
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
if d["tls"] == "tls":
    s = smtplib.SMTP_SSL(d["host"], int(d["port"]), timeout=30, context=context)
else:
    s = smtplib.SMTP(d["host"], int(d["port"]), timeout=30)
    if d["tls"] == "starttls": s.starttls(context=context)
if d["user"]: s.login(d["user"], d["pass"])
assert s.sendmail("you@demo.example", [d["to"]], open(d["file"], "rb").read()) == {}
s.quit()
`

func smtplib(t *testing.T, d door, to, file string) {
	in, err := json.Marshal(map[string]string{"host": d.host, "port": d.port, "tls": d.tls, "user": d.user, "pass": d.pass, "to": to, "file": file})
	must(t, err)
	outside(t, string(in), "python3", "-c", smtplibScript)
}

func nodemailer(t *testing.T, d door, to, file string) {
	if _, err := os.Stat("node/node_modules/nodemailer"); err != nil {
		t.Skip("needs nodemailer: npm ci in test/e2e/node")
	}
	raw, err := os.ReadFile(file)
	must(t, err)
	transport := map[string]any{
		"host": d.host, "port": json.Number(d.port), "secure": d.tls == "tls", "requireTLS": d.tls == "starttls", "ignoreTLS": d.tls == "",
		"tls": map[string]bool{"rejectUnauthorized": false},
	}
	if d.authenticated {
		transport["auth"] = map[string]string{"user": d.user, "pass": d.pass}
	}
	in, err := json.Marshal(map[string]any{"transport": transport, "message": map[string]any{
		"envelope": map[string]any{"from": "you@demo.example", "to": []string{to}}, "raw": string(raw),
	}})
	must(t, err)
	out := outside(t, "", "node", "node/send.mjs", string(in))
	if !strings.HasPrefix(out, "250 2.0.0 Accepted as msg_") {
		t.Errorf("nodemailer was told %q", out)
	}
}

func smtpSource(t *testing.T, d door, to, file string) {
	if d.tls != "" {
		return // it speaks neither TLS nor AUTH
	}
	outside(t, "", "smtp-source", "-s", "1", "-m", "1", "-f", "you@demo.example", "-t", to, "-F", file, "inet:"+d.addr)
}

// TestClientsOfOthers sends a letter with each client through each door of
// mailvow dev to the demo domain, whose mail goes to a webhook.
func TestClientsOfOthers(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	e := hook(t)
	e.route(t, s)
	text := letter("hello@demo.example", "from-a-client") + ".a dot\r\n..two dots\r\n\r\n.\r\nGr\xc3\xbc\xc3\x9fe\r\n"
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, d := range doors(s.demo) {
				if c.name == "smtp-source" && d.tls != "" {
					continue
				}
				to, file := c.name+"."+d.name+"@demo.example", filepath.Join(t.TempDir(), "letter")
				body := text
				if c.name == "swaks" || c.name == "smtp-source" { // these turn line feeds into CRLF, and know no 8BITMIME
					body = strings.ReplaceAll(body, "\r\n", "\n")
				}
				if c.name == "swaks" {
					body = strings.ReplaceAll(body, "\n.\n", "\n") // it takes a lone dot for the end
				}
				must(t, os.WriteFile(file, []byte(body), 0o600))
				c.send(t, d, to, file)
				eventually(t, "the letter of "+to+" came", func() bool { return len(e.take(to)) == 1 })
				arrivedFrom(t, c, d, body, e.take(to)[0].Data.Raw)
			}
		})
	}
}

func arrivedFrom(t *testing.T, c client, d door, body string, got []byte) {
	t.Helper()
	want := []byte(strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\n", "\r\n"))
	if c.exact && !bytes.HasSuffix(bytes.TrimRight(got, "\r\n"), bytes.TrimRight(want, "\r\n")) {
		t.Errorf("%s by %s: it arrived as %q", c.name, d.name, got)
	}
	if !c.exact && !bytes.Contains(got, []byte("Subject: from-a-client")) {
		t.Errorf("%s by %s: it arrived as %q", c.name, d.name, got)
	}
	if c.name == "smtp-source" {
		d.protocol = "SMTP" // it says HELO
	}
	if !bytes.Contains(got, []byte(" with "+d.protocol+" id ")) {
		t.Errorf("%s by %s: no trace of %s in %q", c.name, d.name, d.protocol, tail(string(got[:min(len(got), 300)]), 300))
	}
}

// TestManyFromSmtpSource: 20 sessions at once, 500 messages, none lost.
func TestManyFromSmtpSource(t *testing.T) {
	t.Parallel()
	s := dev(t, "")
	e := hook(t)
	e.route(t, s)
	outside(t, "", "smtp-source", "-s", "20", "-m", "500", "-l", "10240", "-f", "ann@a.example", "-t", "many@demo.example", "inet:"+s.MX)
	eventually(t, "500 messages came", func() bool { return e.count() == 500 })
	if n := s.metric(t, "mailvow_smtp_messages_total", `listener="mx"`); n != 500 {
		t.Errorf("%v messages counted", n)
	}
}

// TestSmtpSinkReceives sends 200 messages over a smarthost that is Postfix's own
// sink, which dumps what it got.
func TestSmtpSinkReceives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o777)) // smtp-sink gives its privileges away
	}
	addr := smtpSink(t, "-d", filepath.Join(dir, "%s."))
	s := newSite(t, smarthost(addr)).serve(t)
	c := submit(t, s.demo)
	const n = 200
	for i := range n {
		c.want("250 2.0.0", c.send("you@demo.example", []byte(letter(fmt.Sprintf("a%d@sink.example", i), fmt.Sprintf("number-%d", i))), fmt.Sprintf("a%d@sink.example", i)))
	}
	eventually(t, "the queue is empty", func() bool { return queued(t, s) == 0 })
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		for i := range n {
			want := strings.ReplaceAll(letter(fmt.Sprintf("a%d@sink.example", i), fmt.Sprintf("number-%d", i)), "\r\n", "\n")
			if strings.Contains(string(b), want) {
				seen[want] = true
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d letters in %d dumps", len(seen), n, len(files))
	}
}

func smtpSink(t testing.TB, options ...string) string {
	t.Helper()
	path, err := exec.LookPath("smtp-sink")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/smtp-sink"); err != nil {
			t.Skip("needs smtp-sink (postfix)")
		}
	}
	addr := port(t, "127.0.0.1")
	if os.Getuid() == 0 {
		options = append([]string{"-u", "nobody"}, options...)
	}
	cmd := exec.Command(path, append(options, "inet:"+addr, "100")...)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "smtp-sink listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return addr
}

// TestPostfixReceives sends over a real Postfix as smarthost: by STARTTLS, which
// it offers, whole and with a recipient that it refuses.
func TestPostfixReceives(t *testing.T) {
	t.Parallel()
	p := lab.Postfix(t, "bob@b.example", "eve@b.example")
	s := newSite(t, world{delivery: "  smarthost:\n    address: " + p.Addr}).serve(t)
	c := submit(t, s.demo)
	raw := letter("bob@b.example", "to-postfix") + strings.Repeat(".dots and some text that makes it longer\r\n", 2000)
	c.want("250 2.0.0", c.send("you@demo.example", []byte(raw), "bob@b.example", "eve@b.example", "nobody@b.example"))
	for _, box := range []string{"bob@b.example", "eve@b.example"} {
		got := p.Mail(t, box, 1)[0]
		if !strings.HasSuffix(got, strings.ReplaceAll(raw, "\r\n", "\n")) {
			t.Errorf("%s got %q", box, tail(got, 500))
		}
		if !strings.Contains(got, "with ESMTPS id") {
			t.Errorf("%s: no TLS on the way to Postfix: %q", box, got[:min(len(got), 500)])
		}
	}
}
