package httpapi

import (
	"context"
	"net/http"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

// shelf holds published files.
type shelf map[string]evidence.PublishedFile

func (s shelf) File(_ context.Context, path string) (evidence.PublishedFile, error) {
	f, ok := s[path]
	if !ok {
		return f, fault.New(fault.NotFound, "The evidence log has no such file.")
	}
	if f.Data == nil {
		return f, fault.Because(fault.Conflict, context.Canceled, "secret detail")
	}
	return f, nil
}

// TestEvidenceIsForAnybody: no account, what is final may be kept, the
// checkpoint may not, and nobody may ask without end.
func TestEvidenceIsForAnybody(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, p *Parts) {
		c.Rate, c.Burst = 1, 8
		p.Evidence = shelf{"checkpoint": {Data: []byte("a note\n"), Text: true}, "tile/entries/000.p/1": {Data: []byte{0, 1, 'x'}, Final: true}, "tile/0/000": {}}
	})
	for _, c := range []struct {
		method, path       string
		status             int
		body, kind, caches string
	}{
		{"GET", "checkpoint", 200, "a note\n", "text/plain; charset=utf-8", "no-store"},
		{"GET", "tile/entries/000.p/1", 200, "\x00\x01x", "application/octet-stream", "public, max-age=31536000, immutable"},
		{"GET", "tile/0/001", 404, "", "application/problem+json", "no-store"},
		{"GET", "tile/0/000", 500, "", "application/problem+json", "no-store"},
		{"POST", "checkpoint", 405, "", "application/problem+json", "no-store"},
		{"DELETE", "tile/entries/000.p/1", 405, "", "application/problem+json", "no-store"},
	} {
		r := b.call(c.method, "/evidence/"+c.path, "", func(*http.Request) {})
		if h := r.Header(); r.Code != c.status || h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.caches {
			t.Errorf("%s %s: %d %v", c.method, c.path, r.Code, h)
		}
		if c.status == 200 && r.Body.String() != c.body {
			t.Errorf("%s: %q", c.path, r.Body)
		}
	}
	last := 0
	for range 12 {
		last = b.call("GET", "/evidence/checkpoint", "", func(*http.Request) {}).Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last of many: %d", last)
	}
}
