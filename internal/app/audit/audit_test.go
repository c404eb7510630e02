package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mailvow/internal/app"
	"mailvow/internal/app/audit"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// dev starts mailvow dev on free ports, in a folder.
func dev(t *testing.T, dir string) (app.Demo, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := app.Dev(ctx, app.DevOptions{
			Dir: dir, MX: "127.0.0.1:0", Submission: "127.0.0.1:0", Submissions: "127.0.0.1:0", HTTP: "127.0.0.1:0", JSON: true, Out: in, Err: io.Discard,
		})
		in.CloseWithError(fmt.Errorf("the server ended: %w", errors.Join(err, io.EOF)))
		done <- err
	}()
	var d app.Demo
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return d, stop
}

// proxy stands between the auditor and the server, and may change answers. Its
// address stays, so that the auditor believes it to be one server.
type proxy struct {
	*httptest.Server
	mu     sync.Mutex
	to     *url.URL
	change func(path string, body []byte) []byte // nil: as it comes
	ask    func(path string, body []byte) []byte // changes what is asked; nil: as it comes
	next   func()                                // done at the next request, before it goes on
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	handler := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			p.mu.Lock()
			defer p.mu.Unlock()
			r.SetURL(p.to)
			r.Out.Host = p.to.Host
			if p.next != nil {
				p.next()
				p.next = nil
			}
			if p.ask == nil || r.In.Body == nil {
				return
			}
			body, err := io.ReadAll(r.In.Body)
			if err != nil {
				return
			}
			body = p.ask(r.In.URL.Path, body)
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		},
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.change == nil {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			body = p.change(r.Request.URL.Path, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", fmt.Sprint(len(body)))
			return nil
		},
	}
	p.Server = httptest.NewServer(handler)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) show(d app.Demo, change func(string, []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to, p.change = &url.URL{Scheme: "http", Host: d.HTTP}, change
}

// act makes n entries of the log.
func act(t *testing.T, d app.Demo, n int) {
	t.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"address":"person%d-%d@example.net","reason":"manual"}`, n, i)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.HTTP+"/v1/suppressions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+d.Token)
		r.Header.Set("Content-Type", "application/json")
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode >= 300 {
			t.Fatal(got.Status)
		}
	}
}

func run(t *testing.T, c audit.Config) *audit.Report {
	t.Helper()
	c.Clock = clock.Wall{}
	r, err := audit.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func state(r *audit.Report, id string) (out audit.State) {
	for _, c := range r.Checks {
		if c.ID == id {
			out = c.State
		}
	}
	return out
}

// copied copies a server's folder, as a backup or a thief would.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestTamperingIsFound: an auditor comes again and again; between the visits the
// server is put back to an older copy, goes on as another one with the same
// keys, or somebody changes its answers.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	dir, p, auditor := t.TempDir(), newProxy(t), t.TempDir()
	d, stop := dev(t, dir)
	act(t, d, 3)
	grown(t, d, 3)
	stop()
	old := copied(t, dir)
	d, _ = dev(t, dir)
	act(t, d, 4)
	grown(t, d, 7)
	p.show(d, nil)
	if r := run(t, audit.Config{URL: p.URL, Dir: auditor}); !r.Passed || r.Log.Size < 7 {
		t.Fatalf("%s", r.Text)
	}
	mine, err := os.ReadFile(filepath.Join(dir, "evidence", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	// The old copy, with the same key, comes back and goes on differently.
	other, _ := dev(t, old)
	p.show(other, nil)
	found(t, "an older log", run(t, audit.Config{URL: p.URL, Dir: auditor}), "truncated")
	act(t, other, 9)
	grown(t, other, 12)
	p.show(other, nil)
	found(t, "another future", run(t, audit.Config{URL: p.URL, Dir: auditor}), "rewritten")
	// Somebody who never was here sees nothing by themselves, and all of it with
	// the checkpoint that another observer kept.
	if r := run(t, audit.Config{URL: p.URL, Dir: t.TempDir()}); !r.Passed {
		t.Errorf("%s", r.Text)
	}
	found(t, "a split log", run(t, audit.Config{URL: p.URL, Dir: t.TempDir(), Held: []string{string(mine)}}), "split")
	// The true log, with one byte changed on its way.
	for _, path := range []string{"/evidence/tile/entries/", "/evidence/checkpoint", "/evidence/checkpoints/"} {
		p.show(d, func(asked string, body []byte) []byte {
			if strings.HasPrefix(asked, path) && len(body) > 60 {
				body = slices.Clone(body)
				body[len(body)-30] ^= 1
			}
			return body
		})
		found(t, path, run(t, audit.Config{URL: p.URL, Dir: t.TempDir()}), "")
	}
	p.show(d, nil)
	if r := run(t, audit.Config{URL: p.URL, Dir: auditor, Held: []string{string(mine)}}); !r.Passed || state(r, "evidence.others") != audit.Holds {
		t.Errorf("the true log does not hold any more: %s", r.Text)
	}
}

func found(t *testing.T, name string, r *audit.Report, breach string) {
	t.Helper()
	if r.Passed || (breach != "" && (r.Contradiction == nil || r.Contradiction.Breach != breach)) {
		t.Errorf("%s: not found as %q: %s", name, breach, r.Text)
	}
	if r.Contradiction != nil && r.Contradiction.Shown == "" {
		t.Errorf("%s: the proof lacks the checkpoint that was shown", name)
	}
}

// grown waits until the log has n entries.
func grown(t *testing.T, d app.Demo, n int) {
	t.Helper()
	for {
		got, err := http.Get("http://" + d.HTTP + "/evidence/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var size int
		if lines := strings.Split(string(text), "\n"); len(lines) > 1 {
			fmt.Sscan(lines[1], &size)
		}
		if size >= n {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the log does not grow")
		}
	}
}

// TestReportIsSigned: the report holds with the auditor's key, and no byte of it
// may be another.
func TestReportIsSigned(t *testing.T) {
	t.Parallel()
	d, _ := dev(t, t.TempDir())
	r := run(t, audit.Config{URL: "http://" + d.HTTP, Dir: t.TempDir()})
	text, err := os.ReadFile(r.File + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.File + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := audit.Verify(text, data, r.Auditor); err != nil || got.URL != r.URL || len(got.NotSeen) < 4 {
		t.Fatal(got, err)
	}
	signed := bytes.LastIndex(text, []byte("\n\n"))
	for i := range signed {
		bad := slices.Clone(text)
		bad[i] ^= 1
		if _, err := audit.Verify(bad, data, r.Auditor); !fault.Is(err, fault.Denied) {
			t.Errorf("byte %d of the text: %v", i, err)
		}
	}
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= 1
		if _, err := audit.Verify(text, bad, r.Auditor); !fault.Is(err, fault.Denied) {
			t.Errorf("byte %d of the JSON: %v", i, err)
		}
	}
	again := run(t, audit.Config{URL: "http://" + d.HTTP, Dir: t.TempDir()})
	if _, err := audit.Verify(text, data, again.Auditor); !fault.Is(err, fault.Denied) {
		t.Error("another auditor's key verifies it", err)
	}
}
