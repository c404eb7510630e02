package app

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// estate is what the nodes of a test share: PostgreSQL, two buckets, the key
// that wraps keys, and a host that takes all mail.
type estate struct {
	t          *testing.T
	cluster    *lab.Cluster
	dsn        string
	data, keys *lab.S3Server
	kek        string
	sink       *lab.RemoteServer
	demo       Demo
	slow       time.Duration // how long the sink takes for a message
	away       atomic.Bool   // the sink puts everything off
}

func newEstate(t *testing.T, slow time.Duration) *estate {
	t.Helper()
	e := &estate{t: t, cluster: lab.PostgresCluster(t, false), data: lab.S3(t), keys: lab.S3(t), kek: filepath.Join(t.TempDir(), "kek"), slow: slow}
	e.dsn = e.cluster.Database(t)
	e.sink = lab.RemoteSMTP(t, lab.Remote{Extensions: lab.Pipelining, End: func(int, []byte) string {
		if e.away.Load() {
			return "451 4.3.2 Later"
		}
		time.Sleep(e.slow) // the peer's, not ours
		return ""
	}})
	if err := vault.CreateKEKFile(e.kek); err != nil {
		t.Fatal(err)
	}
	h := e.build(e.config("worker", true))
	if err := h.newDemo(t.Context(), &e.demo, filepath.Join(t.TempDir(), "demo.json")); err != nil {
		t.Fatal(err)
	}
	if err := h.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return e
}

// config writes one node's mailvow.yaml and returns its path.
func (e *estate) config(roles string, buckets bool) string {
	e.t.Helper()
	dir := e.t.TempDir()
	bucket := func(name string, s *lab.S3Server) string {
		return fmt.Sprintf("  %s: {endpoint: %q, bucket: %s, region: %s, access_key: %s, secret_key: %s, plaintext: true}\n", name, s.Endpoint, s.Bucket, s.Region, s.Access, s.Secret)
	}
	text := fmt.Sprintf("hostname: mail.mailvow.test\nregion: eu-test\nregion_names: [eu-test-1]\nroles: [%s]\ndata:\n  dir: %s/data\n  keys: %s/keys\n  kek: %s\n  postgres: %q\n  inline: 16KiB\n", roles, dir, dir, e.kek, e.dsn)
	if buckets {
		text += bucket("s3", e.data) + bucket("keys_s3", e.keys)
	}
	text += "listen: {submission: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nsmtp: {plaintext_auth: true, per_minute: 100000}\n"
	text += fmt.Sprintf("delivery:\n  allow: [127.0.0.0/8]\n  smarthost: {address: %q, tls: plain}\n", e.sink.Addr)
	file := filepath.Join(dir, "mailvow.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return file
}

func (e *estate) build(file string) *House {
	e.t.Helper()
	h, err := e.tryBuild(file)
	if err != nil {
		e.t.Fatal(err)
	}
	return h
}

func (e *estate) tryBuild(file string) (*House, error) {
	c, err := config.Load(file, nil)
	if err != nil {
		return nil, err
	}
	log := slog.NewTextHandler(e.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}) // shown if the test fails
	return Build(e.t.Context(), Settings{Config: c, Clock: clock.Wall{}, Log: log})
}

// house starts a node in this process.
func (e *estate) house(roles string) *House {
	e.t.Helper()
	h := e.build(e.config(roles, true))
	e.t.Cleanup(func() { _ = h.Stop(5 * time.Second) })
	if err := h.Start(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	return h
}

// submit sends one message as the demo customer.
func (e *estate) submit(addr, subject string, size int) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
			return err
		}
	}
	if err := c.Auth(smtp.PlainAuth("", e.demo.Username, e.demo.Password, "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail("you@" + DevDomain); err != nil {
		return err
	}
	if err := c.Rcpt("someone@example.net"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "From: you@%s\r\nTo: someone@example.net\r\nSubject: %s\r\n\r\n%s", DevDomain, subject, strings.Repeat("A line of text.\r\n", 1+size/17)); err != nil {
		return err
	}
	return w.Close()
}

// arrived counts the messages at the sink by subject.
func (e *estate) arrived() map[string]int {
	found := map[string]int{}
	for _, m := range e.sink.Messages() {
		_, rest, _ := strings.Cut(string(m.Data), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		found[subject]++
	}
	return found
}

func (e *estate) until(limit time.Duration, what string, condition func() bool) {
	e.t.Helper()
	for end := time.Now().Add(limit); !condition(); {
		if time.Now().After(end) {
			e.t.Fatal("it did not come to pass: " + what)
		}
		_ = clock.Sleep(e.t.Context(), clock.Wall{}, 50*time.Millisecond)
	}
}

// TestRolesOnSeveralNodes: a door, a deliverer and an API are three processes on
// one PostgreSQL and two buckets. What the door accepts the deliverer sends; the
// API shows no console; the evidence of one is certified by another's log.
func TestRolesOnSeveralNodes(t *testing.T) {
	long(t)
	t.Parallel()
	e := newEstate(t, 0)
	door, api, work := e.house("smtp"), e.house("api"), e.house("deliver, worker")
	for i := range 5 {
		if err := e.submit(door.doors.at("submission"), fmt.Sprintf("m%d", i), i*20000); err != nil { // inline and in the bucket
			t.Fatal(err)
		}
	}
	e.until(30*time.Second, "everything is delivered", func() bool { return len(e.arrived()) == 5 })
	if door.doors.at("http") != "" || work.doors.at("submission") != "" || api.doors.at("submission") != "" {
		t.Error("a process opened a door that is not its own")
	}
	for path, want := range map[string]bool{"/": false, "/sign-in": false, "/healthz": true} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+api.doors.at("http")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "mail.mailvow.test"
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if got := r.StatusCode == http.StatusOK; got != want || strings.Contains(string(page), "<html") {
			t.Errorf("%s answered %d", path, r.StatusCode)
		}
	}
	nodes, err := api.Nodes(t.Context())
	if err != nil || len(nodes) != 3 || nodes[0].Region != "eu-test" {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	if err := api.Act(t.Context(), system, "test.act"); err != nil {
		t.Fatal(err)
	}
	e.until(40*time.Second, "the door's node sees the checkpoint over the API's act", func() bool {
		c, err := door.evidence.Reader().Checkpoint(t.Context())
		return err == nil && c.Size > 0
	})
	_, err = e.tryBuild(e.config("api", false))
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a process with keys and evidence of its own got %v", err)
	}
}

// TestStoresGoAway: while PostgreSQL or the blob store is away senders are asked
// to come back, and without a restart all goes on when it returns.
func TestStoresGoAway(t *testing.T) {
	long(t)
	t.Parallel()
	e := newEstate(t, 0)
	h := e.house("smtp, deliver, worker")
	addr := h.doors.at("submission")
	send := func(subject string) error { return e.submit(addr, subject, 100) }
	if err := send("before"); err != nil {
		t.Fatal(err)
	}
	e.until(20*time.Second, "the first is delivered", func() bool { return e.arrived()["before"] == 1 })
	e.cluster.Stop()
	if err := send("during"); err == nil || !strings.HasPrefix(err.Error(), "45") {
		t.Errorf("without PostgreSQL a sender got %v", err)
	}
	if err := e.cluster.Start(); err != nil {
		t.Fatal(err)
	}
	e.until(30*time.Second, "mail is taken again", func() bool { return send("after") == nil })
	e.until(30*time.Second, "and delivered", func() bool { return e.arrived()["after"] >= 1 })
	e.until(30*time.Second, "nothing is left", func() bool {
		counts, err := h.queue.Counts(t.Context(), scope.Everyone)
		return err == nil && len(counts) == 0
	})
	if e.arrived()["during"] != 0 {
		t.Error("what was refused was delivered")
	}
}

// TestServeChild is no test: it is a server process of TestKilledNode.
func TestServeChild(t *testing.T) {
	file := os.Getenv("MAILVOW_TEST_SERVE")
	if file == "" {
		t.Skip("a process of TestKilledNode")
	}
	c, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }() // the parent's end is ours
	err = Serve(ctx, ServeOptions{Config: c, Err: os.Stderr, Ready: func(doors map[string]string) {
		b, _ := json.Marshal(doors)
		fmt.Printf("ready %s\n", b)
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// process starts a node as a process of its own and returns its doors.
func (e *estate) process() (*exec.Cmd, map[string]string) {
	e.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeChild$", "-test.v")
	cmd.Env = append(os.Environ(), "MAILVOW_TEST_SERVE="+e.config("smtp, deliver, worker", true))
	var log strings.Builder
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	doors := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, text, ok := strings.Cut(lines.Text(), "ready "); ok {
			if err := json.Unmarshal([]byte(text), &doors); err != nil {
				e.t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd, doors
		}
	}
	e.t.Fatalf("the process did not start: %s", log.String())
	return nil, nil
}

// TestKilledNode kills one of two server processes under load: everything that
// was acknowledged arrives, twice only what was under way.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a node's lease to run out")
	}
	e := newEstate(t, time.Second) // so that the dead node leaves something behind
	a, doorsOfA := e.process()
	_, doorsOfB := e.process()
	var mu sync.Mutex
	var acknowledged []string
	var load sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, door := range []string{doorsOfA["submission"], doorsOfB["submission"]} {
		for worker := range 4 {
			load.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					subject := fmt.Sprintf("%s-%d-%d", door, worker, i)
					if e.submit(door, subject, 3000) != nil {
						_ = clock.Sleep(ctx, clock.Wall{}, 50*time.Millisecond)
						continue
					}
					mu.Lock()
					acknowledged = append(acknowledged, subject)
					mu.Unlock()
				}
			})
		}
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	e.until(60*time.Second, "some load", func() bool { return count() >= 150 })
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	before := count()
	e.until(60*time.Second, "the other goes on", func() bool { return count() >= before+50 })
	stop()
	load.Wait()
	missing := func() (n int) {
		found := e.arrived()
		for _, s := range acknowledged {
			if found[s] == 0 {
				n++
			}
		}
		return n
	}
	atOnce := missing()
	e.until(90*time.Second, "all that was acknowledged arrives", func() bool { return missing() == 0 })
	twice := 0
	for _, n := range e.arrived() {
		twice += n - 1
	}
	t.Logf("%d acknowledged, %d of them waited for the lease of the dead node, %d arrived twice", len(acknowledged), atOnce, twice)
	if twice > 256 { // couriers of one node
		t.Errorf("%d arrived twice", twice)
	}
}
