package smtpserver_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailvow/internal/door/smtpserver"
)

// run starts a client that nobody here wrote and gives what it printed.
func run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && name == "smtp-source" {
		path, err = exec.LookPath("/usr/sbin/smtp-source")
	}
	if err != nil {
		t.Skipf("needs %s: install Debian's package (swaks, curl, python3, postfix)", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func openSubmission(t *testing.T) (st *site, host, port string) {
	t.Helper()
	st = open(t, func(c *smtpserver.Config, _ *house) { c.Role = smtpserver.Submission })
	host, port, err := net.SplitHostPort(st.addr)
	if err != nil {
		t.Fatal(err)
	}
	return st, host, port
}

const letter = "From: <ann@a.example>\r\nTo: <bob@b.example>\r\nSubject: a letter\r\n\r\n.a line with a dot\r\n..two\r\nend\r\n"

// one shows that exactly one message came, by which way, and holds a text.
func one(t *testing.T, st *site, protocol, text string) {
	t.Helper()
	got := st.house.messages()
	if len(got) != 1 || got[0].tx.Peer.Protocol(false) != protocol || !strings.Contains(got[0].body, text) {
		t.Errorf("taken: %+v\n%s", got, st.log)
	}
}

func TestSwaks(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		// Without TLS, because Debian's swaks only recommends the package for it.
		st := open(t, func(c *smtpserver.Config, _ *house) { c.Role, c.PlaintextAuth = smtpserver.Submission, true })
		host, port, _ := strings.Cut(st.addr, ":")
		run(t, "", "swaks", "--server", host, "--port", port, "--auth", mechanism, "--auth-user", user, "--auth-password", password,
			"--from", "ann@a.example", "--to", "bob@b.example", "--body", "from swaks", "--pipeline")
		one(t, st, "ESMTPA", "from swaks")
	}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	st, host, port := openSubmission(t)
	run(t, letter, "curl", "-sS", "--ssl-reqd", "--insecure", "--url", "smtp://"+host+":"+port, "--user", user+":"+password,
		"--mail-from", "ann@a.example", "--mail-rcpt", "bob@b.example", "--upload-file", "-")
	one(t, st, "ESMTPSA", letter)
	st = openSubmissions(t)
	run(t, letter, "curl", "-sS", "--insecure", "--url", "smtps://"+st.addr, "--user", user+":"+password,
		"--mail-from", "ann@a.example", "--mail-rcpt", "bob@b.example", "--upload-file", "-")
	one(t, st, "ESMTPSA", letter)
}

const python = `
import smtplib, ssl, sys
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=20) as s:
    s.starttls(context=context)
    s.login("mailer", "correct horse")
    refused = s.sendmail("ann@a.example", ["bob@b.example", "unknown@b.example"], sys.stdin.buffer.read(), mail_options=["BODY=8BITMIME"], rcpt_options=["NOTIFY=FAILURE"])
    code, text = refused["unknown@b.example"]
    assert code == 550 and text.startswith(b"5.1.1 "), refused
    try:
        s.sendmail("spammer@a.example", ["bob@b.example"], b"x")
        raise SystemExit("the sender was not refused")
    except smtplib.SMTPSenderRefused as e:
        assert b"ref_" in e.smtp_error, e
    assert s.noop()[0] == 250
`

func TestPythonSmtplib(t *testing.T) {
	t.Parallel()
	st, host, port := openSubmission(t)
	file := filepath.Join(t.TempDir(), "send.py")
	if err := os.WriteFile(file, []byte(python), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, letter, "python3", file, host, port)
	one(t, st, "ESMTPSA", letter)
}

// TestSmtpSource sends 200 messages over 20 sessions at once, with a connection
// each and with kept connections, with and without pipelining.
func TestSmtpSource(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"-d"}, {"-d", "-F"}} {
		args := []string{"-s", "20", "-m", "200", "-f", "ann@a.example", "-t", "bob@b.example"}
		if len(more) == 2 {
			file := filepath.Join(t.TempDir(), "letter")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(letter, "\r\n", "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			more = append(more, file)
		} else {
			more = append(more, "-l", "10240")
		}
		st := open(t, nil)
		run(t, "", "smtp-source", append(append(args, more...), "inet:"+st.addr)...)
		if n := len(st.house.messages()); n != 200 {
			t.Errorf("%v: %d messages", more, n)
		}
	}
}
