package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// postfix is Debian's Postfix, tuned for speed, with OpenDKIM behind it when it
// has to sign. It works in a folder of its own and touches no other instance.
type postfix struct{ signed bool }

func (b *bench) cannotPostfix(signed bool) string {
	if os.Getuid() != 0 {
		return "Postfix starts as root only"
	}
	for program, pkg := range map[string]string{"postfix": "postfix", "opendkim": "opendkim"} {
		if program == "opendkim" && !signed {
			continue
		}
		if m := missing(program, "Debian's package "+pkg); m != "" {
			return m
		}
	}
	return ""
}

func (p *postfix) name() string {
	if p.signed {
		return "postfix+opendkim"
	}
	return "postfix"
}

func (p *postfix) factor() int { return 1 }

// tuned lifts what holds Postfix back as shipped: processes, and deliveries at
// once to one destination. Nothing here makes it less safe.
const tuned = `compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mta.example
mydestination = localhost
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
smtpd_tls_security_level = none
smtp_tls_security_level = none
default_process_limit = 300
default_destination_concurrency_limit = 100
smtp_destination_concurrency_limit = 100
initial_destination_concurrency = 50
smtp_connection_cache_destinations = 127.0.0.1
smtp_connection_reuse_time_limit = 300s
in_flow_delay = 0
`

const services = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
`

func (p *postfix) start(ctx context.Context, s setting) (server, error) {
	var all groups
	settings := tuned + fmt.Sprintf("queue_directory = %s/queue\ndata_directory = %s/data\nrelayhost = [127.0.0.1]:%s\n", s.dir, s.dir, port(s.sink))
	if p.signed {
		socket, g, err := startOpenDKIM(ctx, s.dir)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
		settings += "milter_default_action = tempfail\nsmtpd_milters = unix:" + socket + "\n"
	}
	g, err := startPostfix(ctx, s, settings)
	if err != nil {
		all.stop()
		return nil, err
	}
	return append(all, g), nil
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func startPostfix(ctx context.Context, s setting, settings string) (*group, error) {
	uid, gid, err := idOf("postfix")
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(filepath.Join(s.dir, "data"), uid, gid); err != nil {
		return nil, err
	}
	etc := filepath.Join(s.dir, "etc")
	if err := os.WriteFile(filepath.Join(etc, "main.cf"), []byte(settings), 0o644); err != nil {
		return nil, err
	}
	master := "127.0.0.1:" + port(s.listen) + " inet n - n - - smtpd\n" + services
	if err := os.WriteFile(filepath.Join(etc, "master.cf"), []byte(master), 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix check: %w\n%s", err, out)
	}
	g, err := start(ctx, "postfix", s.dir, "postfix", "-c", etc, "start-fg")
	if err != nil {
		return nil, err
	}
	if err := g.listening(ctx, s.listen); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// startOpenDKIM signs with RSA-2048 for everything from this machine.
func startOpenDKIM(ctx context.Context, dir string) (socket string, g *group, err error) {
	uid, gid, err := idOf("postfix")
	if err != nil {
		return "", nil, err
	}
	own := filepath.Join(dir, "opendkim")
	if err := os.Mkdir(own, 0o700); err != nil {
		return "", nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", nil, err
	}
	keyFile, conf := filepath.Join(own, "key.pem"), filepath.Join(own, "conf")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(keyFile, text, 0o600); err != nil {
		return "", nil, err
	}
	socket = filepath.Join(own, "socket")
	settings := fmt.Sprintf("Mode s\nDomain %s\nSelector s1\nKeyFile %s\nSocket local:%s\nCanonicalization relaxed/relaxed\nOversignHeaders From\n"+
		"Syslog no\nUserID postfix\nBackground no\nInternalHosts 127.0.0.0/8\nRequireSafeKeys no\n", benchDomain, keyFile, socket)
	if err := os.WriteFile(conf, []byte(settings), 0o644); err != nil {
		return "", nil, err
	}
	for _, path := range []string{own, keyFile, conf} {
		if err := os.Chown(path, uid, gid); err != nil {
			return "", nil, err
		}
	}
	if g, err = start(ctx, "opendkim", dir, "opendkim", "-f", "-x", conf); err != nil {
		return "", nil, err
	}
	for range 200 {
		if _, err := os.Stat(socket); err == nil {
			return socket, g, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.stop()
	return "", nil, fmt.Errorf("opendkim does not listen\n%s", g.output.String())
}

func idOf(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}
