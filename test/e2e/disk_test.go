package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mailvow/internal/lab"
)

// signIn uses a link and gives the answer's status.
func (s *server) signIn(t testing.TB, printed string) int {
	t.Helper()
	_, link, found := strings.Cut(printed, "/sign-in?link=")
	if !found {
		t.Fatalf("no link was printed: %s", printed)
	}
	link, _, _ = strings.Cut(strings.TrimSpace(link), `"`)
	return s.call(t, http.MethodPost, "/v1/session", map[string]string{"link": link}, nil, "Authorization", "")
}

// TestTheDiskFills is a server whose data folder fills: it warns, then it refuses
// new mail for now while everything else goes on, to the last byte of the disk,
// and when there is room it takes mail again by itself.
func TestTheDiskFills(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	away.Store(true)
	sink := lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, Command: func(_ int, line string) string {
		if away.Load() && strings.HasPrefix(line, "MAIL") {
			return "451 4.3.2 Later"
		}
		return ""
	}})
	w := smarthost(sink.Addr)
	w.disk, w.space = "64m", "{alert: 24MiB, no_new_mail: 12MiB, read_only: 256KiB, reserve: 4MiB}"
	x := newSite(t, w)
	s := x.serve(t)
	const large = 2 << 20
	send := func(subject string, size int) string {
		return submit(t, s.demo).send(me, []byte(letter("ada@example.net", subject)+strings.Repeat("A line of text.\r\n", size/17)), "ada@example.net")
	}
	for subject, size := range map[string]int{"small": 0, "large": large} {
		if r := send(subject, size); !strings.HasPrefix(r, "250 ") {
			t.Fatal(r)
		}
	}
	var old struct {
		ID string `json:"id"`
	}
	s.must(t, http.MethodPost, "/v1/messages", map[string]any{"from": me, "to": []string{"bob@example.net"}, "subject": "old", "text": "Hello"}, &old)
	s.must(t, http.MethodPost, "/v1/messages", map[string]any{"from": me, "to": []string{"eve@example.net"}, "subject": "to be erased", "text": "Hello"}, nil)
	eventually(t, "all were tried", func() bool { return tried(queue(t, s)) == 4 })

	junk := filepath.Join(x.dir, "data", "neighbour")
	state := func(want float64) func() bool {
		return func() bool { return s.metric(t, "mailvow_db_space_state") == want }
	}
	lab.FillDisk(t, junk, 18<<20)
	eventually(t, "the alert", state(1))
	if r := send("warned", 0); !strings.HasPrefix(r, "250 ") {
		t.Error("below the first mark:", r)
	}
	erase := func(address string) {
		x.write(t, "certificate.json", []byte(x.command(t, "subject", "erase", address)))
		x.command(t, "certificate", "verify", filepath.Join(x.dir, "certificate.json"), "--address", address)
	}
	for _, leave := range []int64{8 << 20, 0} {
		lab.FillDisk(t, junk, leave)
		eventually(t, "no new mail", state(2))
		for subject, size := range map[string]int{"refused": 0, "refused-large": large} {
			if r := send(subject, size); !strings.HasPrefix(r, "452 4.3.1 ") {
				t.Errorf("%s with %d free: %s", subject, leave, r)
			}
		}
		p := problem{}
		if status := s.call(t, http.MethodPost, "/v1/messages", map[string]any{"from": me, "to": []string{"a@example.net"}, "subject": "refused-api", "text": "x"}, &p); status != http.StatusInsufficientStorage || p.Detail == "" {
			t.Errorf("the API with %d free: %d %+v", leave, status, p)
		}
		erase("eve@example.net") // the first to need the reserve
		if status := s.signIn(t, x.command(t, "user", "link", "admin@demo.example")); status != http.StatusOK {
			t.Errorf("signing in with %d free: %d", leave, status)
		}
	}

	// The queue, deletion and erasure go on while not a byte is free.
	away.Store(false)
	x.command(t, "queue", "retry", "--domain", "example.net")
	eventually(t, "the queue is delivered", func() bool { return queued(t, s) == 0 && len(sink.Messages()) == 4 })
	x.command(t, "message", "delete", old.ID)
	erase("ada@example.net")
	s.stop(t)
	s = x.serve(t)
	if r := send("refused-again", 0); !strings.HasPrefix(r, "452 4.3.1 ") {
		t.Error("after a start on the full disk:", r)
	}

	must(t, os.Remove(junk))
	eventually(t, "mail is taken again", func() bool { return strings.HasPrefix(send("after", 0), "250 ") })
	eventually(t, "enough room", state(0))
	if r := send("after-large", large); !strings.HasPrefix(r, "250 ") {
		t.Error("after:", r)
	}
	eventually(t, "all is delivered", func() bool { return queued(t, s) == 0 })
	for _, m := range sink.Messages() {
		if bytes.Contains(m.Data, []byte("Subject: refused")) || bytes.Contains(m.Data, []byte("Subject: to be erased")) {
			t.Error("what was refused or erased was delivered")
		}
	}
}

// tried counts recipients with an attempt behind them.
func tried(list []item) (n int) {
	for _, i := range list {
		if i.Attempts > 0 && i.LastReply != "" {
			n++
		}
	}
	return n
}
