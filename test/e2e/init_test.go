package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstSignIn makes a server as an operator does, and gets its administrator
// in: by the link of mailvow init, by another, and by none twice.
func TestFirstSignIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := &site{dir: dir, config: filepath.Join(dir, "mailvow.yaml")}
	first := x.command(t, "init", "--hostname", hostname, "--admin", "root@mailvow.test", "--config", x.config,
		"--data", filepath.Join(dir, "data"), "--keys", filepath.Join(dir, "keys"), "--kek", filepath.Join(dir, "kek"))
	x.demo.MX, x.demo.Submission, x.demo.HTTP = port(t, "127.0.0.1"), port(t, "127.0.0.1"), port(t, "127.0.0.1")
	s := x.serve(t, "MAILVOW_LISTEN_MX="+x.demo.MX, "MAILVOW_LISTEN_SUBMISSION="+x.demo.Submission, "MAILVOW_LISTEN_HTTP="+x.demo.HTTP, "MAILVOW_LISTEN_METRICS="+port(t, "127.0.0.1"))
	again := x.command(t, "user", "link", "Root@mailvow.test")
	_, at, _ := strings.Cut(x.demo.HTTP, ":")
	if !strings.Contains(again, "\n  http://"+hostname+":"+at+"/sign-in?link=") {
		t.Errorf("the link is %q", again)
	}
	for what, link := range map[string]string{"of init": first, "another": again, "in JSON": x.command(t, "user", "link", "--json", "root@mailvow.test")} {
		if status := s.signIn(t, link); status != http.StatusOK {
			t.Errorf("the link %s: %d", what, status)
		}
		if status := s.signIn(t, link); status != http.StatusUnauthorized {
			t.Errorf("the link %s, used a second time: %d", what, status)
		}
	}
	if said := x.refused(t, "user", "link", "nobody@mailvow.test"); !strings.Contains(said, "No user has this address.") {
		t.Errorf("a stranger: %s", said)
	}
}
