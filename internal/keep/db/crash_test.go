package db_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mailvow/internal/keep/db"
)

// The child of a crash test is this binary with a folder in its environment.
const (
	childDir    = "MAILVOW_DB_CHILD"
	childPragma = "MAILVOW_DB_PRAGMA"
	childUnits  = "MAILVOW_DB_UNITS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := commitAndTell(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// commitAndTell prints each identifier after its commit has returned.
func commitAndTell(dir string) error {
	config := db.Config{Dir: dir}
	if p := os.Getenv(childPragma); p != "" {
		config = config.WithPragma(p)
	}
	d, err := db.Open(context.Background(), config, testSchema)
	if err != nil {
		return err
	}
	s := storeOf(d)
	var last int64
	if err := s.set.One(context.Background(), "last", nil, &last); err != nil {
		return err
	}
	units, _ := strconv.ParseInt(os.Getenv(childUnits), 10, 64)
	var id atomic.Int64
	id.Store(last)
	var wg sync.WaitGroup
	senders := 8
	if units > 0 {
		senders = 1
	}
	for range senders {
		wg.Go(func() {
			for units == 0 || id.Load() < last+units {
				n := id.Add(1)
				if err := s.Commit(context.Background(), s.accept(n, "accepted")); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				fmt.Printf("ack %d\n", n) // one write, straight to the pipe
			}
		})
	}
	wg.Wait()
	return d.Close()
}

func child(dir string, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), childDir+"="+dir)
	return c
}

// TestKill kills a committing process at random moments: what it acknowledged is
// there, whole and numbered. The short run kills five times.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[int64]bool{}
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		c := child(dir, os.Args[0])
		out, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		killAfter(t, c, out, 1+rand.IntN(400), acked)
		s := openWith(t, db.Config{Dir: dir})
		stored := map[int64]bool{}
		for _, id := range s.ids(t) {
			stored[id] = true
		}
		for id := range acked {
			if !stored[id] {
				t.Fatalf("round %d: %d was acknowledged and is lost", round, id)
			}
		}
		s.gapless(t, len(stored)) // one event a parcel: no unit is half there
		must(t, s.Close())
	}
	t.Logf("%d acknowledged, none lost", len(acked))
}

// killAfter reads that many acknowledgements, kills, and takes those that were
// still in the pipe.
func killAfter(t *testing.T, c *exec.Cmd, out io.Reader, n int, acked map[int64]bool) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "ack "), 10, 64)
		if err != nil {
			break // a line cut by the kill
		}
		acked[id] = true
		if n--; n == 0 {
			must(t, c.Process.Kill())
		}
	}
	if n > 0 {
		t.Errorf("the child ended by itself: %v", c.Wait())
	}
	_ = c.Wait()
}

// TestSyncBeforeAnswer watches the system calls: between the last write to the
// log and each acknowledgement the log is synced. With synchronous=off the same
// check must fail, or it shows nothing.
func TestSyncBeforeAnswer(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace (Debian: apt install strace)")
	}
	for pragma, good := range map[string]bool{"": true, "synchronous(off)": false} {
		dir := t.TempDir()
		trace := filepath.Join(dir, "trace")
		c := child(dir, strace, "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", trace, os.Args[0])
		c.Env = append(c.Env, childUnits+"=50", childPragma+"="+pragma)
		if out, err := c.CombinedOutput(); err != nil {
			if strings.Contains(string(out), "ptrace") {
				t.Skip("needs strace with the right to trace: " + string(out))
			}
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(trace)
		must(t, err)
		acks, unsynced := judgeTrace(string(text))
		if acks != 50 {
			t.Fatalf("%d acknowledgements in the trace", acks)
		}
		if good && unsynced != 0 {
			t.Errorf("%d of %d acknowledgements came before the log was synced", unsynced, acks)
		}
		if !good && unsynced == 0 {
			t.Error("the check finds nothing wrong with synchronous=off: it cannot fail")
		}
	}
}

var call = regexp.MustCompile(`^(\d+)\s+(?:<\.\.\. )?(write|pwrite64|fsync|fdatasync)(?: resumed>|\()(.*)$`)

// judgeTrace counts acknowledgements, and those at whose time the log had
// unsynced writes. A sync counts from its end, a write from its beginning.
func judgeTrace(text string) (acks, unsynced int) {
	dirty := false
	syncing := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, name, rest := m[1], m[2], m[3]
		wal, unfinished := strings.Contains(rest, "mailvow.db-wal>"), strings.HasSuffix(rest, "<unfinished ...>")
		switch {
		case strings.HasSuffix(name, "sync"):
			if wal && unfinished {
				syncing[thread] = true
			} else if wal || syncing[thread] {
				dirty, syncing[thread] = false, false
			}
		case wal:
			dirty = true
		case name == "write" && strings.Contains(rest, `"ack `):
			acks++
			if dirty {
				unsynced++
			}
		}
	}
	return acks, unsynced
}
