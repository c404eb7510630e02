package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
)

// measuring puts a door before the server that sets a cookie with every page.
func measuring(t *testing.T, h *House) {
	to := &url.URL{Scheme: "http", Host: h.probed.Doors["http"]}
	door := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Path == "/trust/policy" {
				r.Header.Set("Set-Cookie", "_visitor=1; Max-Age=31536000")
			}
			return nil
		},
	})
	t.Cleanup(door.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(door.URL, "http://"))
	h.gate.Own(at)
	h.probed.Doors["http"] = at.String()
}

// curious adds a picture that reports back to each letter.
func curious(real deliver.Courier) deliver.Courier {
	return courier(func(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
		b, _ := io.ReadAll(io.NewSectionReader(p.Content, 0, p.Content.Size()))
		q := *p
		q.Content = bytes.NewReader(bytes.Replace(b, []byte("</p>"), []byte(`<img src="https://pixel.invalid/1"></p>`), 1))
		return real.Deliver(ctx, &q)
	})
}
