// Package packaging checks what is shipped beside the binary.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unit = "../../packaging/mailvow.service"

func TestTheUnitIsSandboxed(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		case !ok:
			t.Errorf("no setting: %q", line)
		default:
			got[section+name] += value + "|"
		}
	}
	for name, want := range map[string]string{
		"User": "mailvow|", "NoNewPrivileges": "yes|", "ProtectSystem": "strict|", "PrivateTmp": "yes|", "PrivateDevices": "yes|",
		"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE|", "AmbientCapabilities": "CAP_NET_BIND_SERVICE|", "UMask": "0077|", "LimitCORE": "0|",
		"SystemCallFilter": "@system-service|~@privileged @resources @obsolete|", "TimeoutStopSec": "90|", "KillSignal": "SIGTERM|",
	} {
		if got["[Service]"+name] != want {
			t.Errorf("%s is %q, want %q", name, got["[Service]"+name], want)
		}
	}
}

// TestSystemdTakesTheUnit asks systemd itself, where it is there.
func TestSystemdTakesTheUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The binary need not be installed where the tests run.
	file := filepath.Join(t.TempDir(), "mailvow.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(b), "/usr/local/bin/mailvow", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || strings.Contains(string(out), "mailvow.service:") {
		t.Errorf("%v: %s", err, out)
	}
}
