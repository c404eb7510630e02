package lab

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// PostfixServer is a real Postfix that receives on loopback and delivers into
// one maildir per mailbox.
type PostfixServer struct {
	Addr string // host:port

	dir string
}

// Postfix starts one with its own configuration and queue in a temporary
// folder, which offers STARTTLS and knows these addresses. It skips the test
// where Debian's postfix is not installed or the test does not run as root.
func Postfix(t testing.TB, addresses ...string) *PostfixServer {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("needs postfix")
	}
	owner, err := user.Lookup("postfix")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs postfix, and root to start it")
	}
	dir, err := os.MkdirTemp("", "postfix") // a short path: Postfix has sockets below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &PostfixServer{Addr: l.Addr().String(), dir: dir}
	l.Close()
	s.write(t, owner, addresses)
	if out, err := s.command("start").CombinedOutput(); err != nil {
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, s.log())
	}
	t.Cleanup(func() { _ = s.command("stop").Run() })
	s.wait(t)
	return s
}

func (s *PostfixServer) command(verb string) *exec.Cmd {
	return exec.Command("postfix", "-c", filepath.Join(s.dir, "etc"), verb)
}

func (s *PostfixServer) write(t testing.TB, owner *user.User, addresses []string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(s.dir, 0o755))
	var uid, gid int
	_, err := fmt.Sscan(owner.Uid, &uid)
	must(err)
	_, err = fmt.Sscan(owner.Gid, &gid)
	must(err)
	for _, d := range []string{"etc", "queue", "data", "mail"} {
		must(os.Mkdir(filepath.Join(s.dir, d), 0o755))
	}
	must(os.Chown(filepath.Join(s.dir, "data"), uid, gid))
	must(os.Chown(filepath.Join(s.dir, "mail"), uid, gid))
	config, _ := Certificate(t, "postfix.lab")
	key, err := x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey)
	must(err)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})...)
	must(os.WriteFile(filepath.Join(s.dir, "etc", "tls.pem"), both, 0o600))
	var boxes, domains strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&boxes, "{%s=%s/} ", a, a)
		_, domain, _ := strings.Cut(a, "@")
		fmt.Fprintf(&domains, "%s ", domain)
	}
	replace := strings.NewReplacer("$DIR", s.dir, "$BOXES", boxes.String(), "$DOMAINS", domains.String(), "$UID", owner.Uid, "$GID", owner.Gid, "$ADDR", s.Addr)
	must(os.WriteFile(filepath.Join(s.dir, "etc", "main.cf"), []byte(replace.Replace(mainCF)), 0o644))
	must(os.WriteFile(filepath.Join(s.dir, "etc", "master.cf"), []byte(replace.Replace(masterCF)), 0o644))
}

const mainCF = `compatibility_level = 3.6
queue_directory = $DIR/queue
data_directory = $DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = $DIR/data/log
maillog_file_prefixes = $DIR
myhostname = postfix.lab
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = $DOMAINS
virtual_mailbox_base = $DIR/mail
virtual_mailbox_maps = inline:{ $BOXES }
virtual_uid_maps = static:$UID
virtual_gid_maps = static:$GID
virtual_minimum_uid = 1
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = $DIR/etc/tls.pem
smtputf8_enable = yes
`

const masterCF = `$ADDR inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

func (s *PostfixServer) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *PostfixServer) wait(t testing.TB) {
	t.Helper()
	for range 200 {
		if conn, err := net.Dial("tcp", s.Addr); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("postfix does not answer\n%s", s.log())
}

// Mail waits for n messages in a mailbox and gives them as files, lines ended by LF.
func (s *PostfixServer) Mail(t testing.TB, address string, n int) []string {
	t.Helper()
	var files []string
	for range 400 {
		files, _ = filepath.Glob(filepath.Join(s.dir, "mail", address, "new", "*"))
		if len(files) >= n {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if len(files) != n {
		t.Fatalf("%d messages in the mailbox, want %d\n%s", len(files), n, s.log())
	}
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}
