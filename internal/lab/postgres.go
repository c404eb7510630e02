package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a throwaway PostgreSQL that listens on a Unix socket in its own
// folder under /tmp and dies with the test binary, however that ends.
type Cluster struct {
	bin, dir string
	durable  bool
	user     *syscall.Credential // nil: as ourselves
	leash    io.WriteCloser      // when it closes the server stops
	watcher  *exec.Cmd
	count    int
	mu       sync.Mutex
}

// shared is the one cluster of a test binary, started by the first who asks.
var shared = sync.OnceValues(func() (*Cluster, error) { return newCluster(false) })

// Postgres gives the DSN of an empty database of the test's own. Without
// PostgreSQL's programs the test is skipped.
func Postgres(t testing.TB) string {
	t.Helper()
	needPostgres(t)
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c.Database(t)
}

// PostgresCluster starts a cluster of the test's own, which it may stop and
// start. Durable keeps fsync on.
func PostgresCluster(t testing.TB, durable bool) *Cluster {
	t.Helper()
	needPostgres(t)
	c, err := newCluster(durable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(); os.RemoveAll(c.dir) })
	return c
}

func needPostgres(t testing.TB) {
	t.Helper()
	if postgresBin() == "" {
		t.Skip("needs PostgreSQL (Debian: apt install postgresql)")
	}
}

func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func newCluster(durable bool) (*Cluster, error) {
	dir, err := os.MkdirTemp("/tmp", "mailvow-pg-") // short: a socket's path is limited
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: postgresBin(), dir: dir, durable: durable}
	if err := c.unprivileged(); err != nil {
		return nil, err
	}
	if err := c.initialise(); err != nil {
		return nil, err
	}
	return c, c.Start()
}

// initialise gives the cluster a data folder: a copy of the one in the user's
// cache, or a new one that later clusters copy.
func (c *Cluster) initialise() error {
	cached := c.cached()
	if _, err := os.Stat(cached); cached != "" && err == nil && copyTree(cached, c.data()) == nil {
		return nil
	}
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	initdb := exec.Command(filepath.Join(c.bin, "initdb"), "-D", c.data(), "-U", "mailvow", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = c.dir, c.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	if cached == "" {
		return nil
	}
	// Test processes run side by side: the first to rename its copy wins. A
	// cache that cannot be written costs time and nothing else.
	own := fmt.Sprintf("%s.%d", cached, os.Getpid())
	if copyTree(c.data(), own) != nil || os.Rename(own, cached) != nil {
		_ = os.RemoveAll(own)
	}
	return nil
}

// cached names the kept data folder of this very PostgreSQL and user; "" if the
// user has no cache.
func (c *Cluster) cached() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	program, err := os.Stat(filepath.Join(c.bin, "initdb"))
	if err != nil || os.MkdirAll(filepath.Join(cache, "mailvow"), 0o700) != nil {
		return ""
	}
	owner := os.Getuid()
	if c.user != nil {
		owner = int(c.user.Uid)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", c.bin, program.ModTime().UnixNano(), owner))
	return filepath.Join(cache, "mailvow", "postgres-"+hex.EncodeToString(key[:8]))
}

// copyTree copies a folder with its owner and modes.
func copyTree(from, to string) error { return exec.Command("cp", "-a", from, to).Run() }

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// unprivileged chooses who runs the server: PostgreSQL refuses root.
func (c *Cluster) unprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		c.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(c.dir, uid, gid)
	}
	return fmt.Errorf("there is neither a user postgres nor nobody to run PostgreSQL")
}

func (c *Cluster) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: c.user, Setpgid: true}
}

// The shell holds the leash: when the test binary is gone, however it went, the
// read ends, the server is stopped and, unless it may be started again, its
// folder removed.
const watch = `"$0" -D "$1" -k "$2" -h "" $3 >>"$2/log" 2>&1 & pid=$!
cat >/dev/null
kill -QUIT $pid; wait $pid
[ -e "$2/keep" ] || rm -rf "$2"`

// Start starts the server, after Stop again on the same data.
func (c *Cluster) Start() error {
	os.Remove(filepath.Join(c.dir, "keep"))
	options := "-c max_connections=400 -c shared_buffers=64MB -c log_min_messages=warning"
	if !c.durable {
		options += " -c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 -c autovacuum=off"
	}
	c.watcher = exec.Command("/bin/sh", "-c", watch, filepath.Join(c.bin, "postgres"), c.data(), c.dir, options)
	c.watcher.Dir, c.watcher.SysProcAttr = c.dir, c.attributes()
	var err error
	if c.leash, err = c.watcher.StdinPipe(); err != nil {
		return err
	}
	if err := c.watcher.Start(); err != nil {
		return err
	}
	return c.waitReady()
}

func (c *Cluster) waitReady() error {
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(context.Background(), c.dsn("postgres")); err == nil {
			return conn.Close(context.Background())
		}
	}
	log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return fmt.Errorf("PostgreSQL did not start: %w: %s", err, log)
}

// Stop ends the server as a crash does: open transactions are lost.
func (c *Cluster) Stop() {
	if c.leash == nil {
		return
	}
	keep := filepath.Join(c.dir, "keep")
	if f, err := os.Create(keep); err == nil {
		f.Close()
	}
	c.leash.Close()
	_ = c.watcher.Wait()
	c.leash = nil
}

func (c *Cluster) dsn(name string) string {
	return "host=" + c.dir + " user=mailvow sslmode=disable dbname=" + name
}

// Database makes an empty database, dropped when the test ends.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	name := fmt.Sprintf("t%d", c.count)
	if err := c.exec("create database " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.leash == nil {
			return
		}
		if err := c.exec("drop database if exists " + name + " with (force)"); err != nil {
			t.Log(err)
		}
	})
	return c.dsn(name)
}

func (c *Cluster) exec(text string) error {
	conn, err := pgx.Connect(context.Background(), c.dsn("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), strings.TrimSpace(text))
	return err
}

// DataDir is the server's data folder, for tests that search its files.
func (c *Cluster) DataDir() string { return c.data() }
