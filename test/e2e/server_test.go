package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// demo is the line that mailvow dev --json prints.
type demo struct {
	Ready       bool   `json:"ready"`
	HTTP        string `json:"http"`
	MX          string `json:"mx"`
	Submission  string `json:"submission"`
	Submissions string `json:"submissions"`
	Username    string `json:"smtp_username"`
	Password    string `json:"smtp_password"`
	Token       string `json:"api_token"`
	Domain      string `json:"domain"`
	Dir         string `json:"dir"`
}

// server is one running process.
type server struct {
	demo
	host string // what its HTTP door is called
	cmd  *exec.Cmd
	log  *logBook
	done chan struct{}
	err  error // of the process, once done is closed
}

// logBook collects what a process logs; a line can be waited for.
type logBook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	came  *sync.Cond
	ended bool
}

func newLogBook() *logBook {
	l := &logBook{}
	l.came = sync.NewCond(&l.mu)
	return l
}

func (l *logBook) read(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		l.mu.Lock()
		l.text.Write(append(in.Bytes(), '\n'))
		l.came.Broadcast()
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.came.Broadcast()
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the log holds text; false if the process ended before.
func (l *logBook) await(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !bytes.Contains(l.text.Bytes(), []byte(text)) {
		if l.ended {
			return false
		}
		l.came.Wait()
	}
	return true
}

// start runs the program and gives its standard output.
func start(t testing.TB, env []string, args ...string) (*server, io.Reader) {
	t.Helper()
	s := &server{cmd: exec.Command(bin, args...), log: newLogBook(), done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), env...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.log.read(errs)
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.log.String(), 4000))
		}
	})
	return s, out
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// dev starts mailvow dev on free ports; dir "" is a folder of the test's own.
func dev(t testing.TB, dir string, env ...string) *server {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	free := "127.0.0.1:0"
	s, out := start(t, env, "dev", "--json", "--dir", dir, "--mx", free, "--submission", free, "--submissions", free, "--http", free)
	if err := json.NewDecoder(out).Decode(&s.demo); err != nil {
		<-s.done
		t.Fatalf("mailvow dev printed no line: %v\n%s", err, s.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	s.host = "localhost"
	return s
}

// stop ends the process as a service manager does, and waits for it.
func (s *server) stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		if s.err != nil {
			t.Errorf("stop: %v\n%s", s.err, tail(s.log.String(), 4000))
		}
	case <-time.After(90 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go into the log
		<-s.done
		t.Errorf("the server did not stop within 90 s")
	}
}

// kill ends the process without a word.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	s.err = nil
}

// call is one request to the API. It decodes the answer into out and gives the
// status.
func (s *server) call(t testing.TB, method, path string, in, out any, header ...string) int {
	t.Helper()
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTP+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = s.host
	req.Header.Set("Authorization", "Bearer "+s.Token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := out.(*problem); ok && r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d is no problem document but %s: %s", method, path, r.StatusCode, r.Header.Get("Content-Type"), tail(string(text), 300))
		p.Status = r.StatusCode
		return r.StatusCode
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, r.StatusCode, text, err)
		}
	}
	return r.StatusCode
}

// must is a call that works.
func (s *server) must(t testing.TB, method, path string, in, out any, header ...string) {
	t.Helper()
	var raw json.RawMessage
	status := s.call(t, method, path, in, &raw, header...)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatal(err)
		}
	}
}

// problem is a refusal of the API (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// metric sums the samples whose name and labels begin with name and hold each of
// the labels.
func (s *server) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTP+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = s.host
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	sum, found := 0.0, false
	in := bufio.NewScanner(r.Body)
lines:
	for in.Scan() {
		line := in.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || !strings.HasPrefix(line, name) || len(line) > len(name) && line[len(name)] != '{' && line[len(name)] != ' ' {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue lines
			}
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+v, true
	}
	if !found {
		t.Errorf("there is no metric %s%v", name, labels)
	}
	return sum
}

// rss is the resident memory of the process in MiB, and the most it ever was.
func (s *server) rss(t testing.TB) (now, most int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skip("needs /proc to read a process's memory")
	}
	read := func(key string) int {
		_, rest, _ := strings.Cut(string(b), key+":")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n / 1024
	}
	return read("VmRSS"), read("VmHWM")
}

// eventually asks until the answer is yes; the process under test has no other
// way of saying that it is done.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("after 30 s still not: %s", what)
		}
		time.Sleep(50 * time.Millisecond) // the API takes 50 requests a second of one asker
	}
}
