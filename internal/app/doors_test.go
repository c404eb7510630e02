package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/observe"
)

// TestDoorsShutAtOnce: a caller who keeps one door takes no time from the others,
// and nobody comes in at those meanwhile.
func TestDoorsShutAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	other := make(chan struct{})
	broken := errors.New("it does not shut")
	d := doors{list: []door{
		{name: "one", shut: func(ctx context.Context) error {
			select {
			case <-other:
				return broken
			case <-ctx.Done():
				return ctx.Err()
			}
		}},
		{name: "other", shut: func(context.Context) error { close(other); return nil }},
	}}
	if err := d.shut(ctx); !errors.Is(err, broken) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shut: %v", err)
	}
}

// deadlines notes when reading and writing must be over.
type deadlines struct {
	net.Conn
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) Write(p []byte) (int, error) { return len(p), nil }

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

// TestWebDoorsDoNotWaitForEver: a body that does not come and an answer that is
// not taken end; what is done with a body that came may take its time.
func TestWebDoorsDoNotWaitForEver(t *testing.T) {
	t.Parallel()
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	handler := soon(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		if len(d.read) != 1 || !d.read[0].After(time.Now()) {
			t.Errorf("before the body came: %v", d.read)
		}
		if _, err := io.ReadAll(r.Body); err != nil || len(d.read) != 2 || !d.read[1].IsZero() {
			t.Errorf("once it was there: %v %v", d.read, err)
		}
	}))
	handler.ServeHTTP(d, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x=1")))
	d.read = nil
	if handler.ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/", nil)); len(d.read) != 0 {
		t.Errorf("without a body: %v", d.read)
	}
	if _, err := (timelyConn{d}).Write([]byte("x")); err != nil || len(d.write) != 1 || !d.write[0].After(time.Now()) {
		t.Errorf("an answer: %v %v", d.write, err)
	}
}

// TestComplaintsNameNobody: what net/http writes by itself names no caller.
func TestComplaintsNameNobody(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level][]string{slog.LevelDebug: {"handshake", "panic"}, slog.LevelInfo: {"panic"}} {
		var out strings.Builder
		c := complaints{observe.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}), nil, nil).Log}
		for _, line := range []string{"http: TLS handshake error from 203.0.113.7:5544: EOF\n", "http: panic serving [2001:db8::7]:5544: boom\n"} {
			if n, err := c.Write([]byte(line)); n != len(line) || err != nil {
				t.Error(n, err)
			}
		}
		if strings.Count(out.String(), "\n") != len(want) || strings.Contains(out.String(), "203.0.113.7") || strings.Contains(out.String(), "db8") {
			t.Errorf("at %s: %s", level, out.String())
		}
		for _, word := range want {
			if !strings.Contains(out.String(), word) {
				t.Errorf("at %s %q is lost: %s", level, word, out.String())
			}
		}
	}
}
