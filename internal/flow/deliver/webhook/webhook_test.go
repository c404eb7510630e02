package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/deliver/webhook"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
	"mailvow/internal/lab"
	standard "mailvow/internal/standard/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const raw = "From: Ann <ann@a.example>\r\nTo: in@b.example\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@a.example>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
	"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n"

// everyHost resolves each name to loopback.
type everyHost struct{}

func (everyHost) Addresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func courier(t *testing.T, timeout time.Duration, allow ...string) *webhook.Courier {
	t.Helper()
	config := egress.Config{Destinations: []egress.Destination{{Name: "webhook", Purpose: "call an endpoint", Owner: egress.Customer}}}
	for _, a := range allow {
		config.Allow = append(config.Allow, netip.MustParsePrefix(a))
	}
	gate, err := egress.New(config)
	if err != nil {
		t.Fatal(err)
	}
	gate.Resolve(everyHost{})
	dialer, err := gate.To("webhook")
	if err != nil {
		t.Fatal(err)
	}
	c := webhook.New(webhook.Config{Dialer: dialer, Timeout: timeout})
	t.Cleanup(c.Close)
	return c
}

func parcel(t *testing.T, url string, content deliver.Content, recipients int) *deliver.Parcel {
	t.Helper()
	source := ids.NewSource(lab.NewClock(lab.Epoch), 1, 0)
	sender, err := address.Parse("ann@a.example")
	if err != nil {
		t.Fatal(err)
	}
	p := &deliver.Parcel{
		Message: ids.New[ids.Message](source), Tenant: ids.New[ids.Tenant](source), Sender: sender, Content: content,
		Received: lab.Epoch, Attempt: 2, Peer: deliver.Peer{IP: "192.0.2.1", Name: "mx.a.example", Protocol: "ESMTPS"},
		Route: deliver.Route{Kind: deliver.Webhook, URL: url, Secret: []byte("0123456789abcdef0123456789abcdef")},
	}
	for i := range recipients {
		a, err := address.Parse(fmt.Sprintf("in%d@b.example", i))
		if err != nil {
			t.Fatal(err)
		}
		p.Recipients = append(p.Recipients, deliver.Recipient{ID: ids.New[ids.Recipient](source), Address: a})
	}
	return p
}

type posted struct {
	Type      string
	Timestamp time.Time
	Data      struct {
		ID, Recipient, Customer string
		Envelope                struct{ From, To, RemoteIP, Helo string }
		Size                    int64
		Raw                     []byte
		Message                 struct {
			Subject     string
			Text        json.RawMessage
			Headers     []struct{ Name, Value string }
			Attachments []struct{ Filename string }
		}
	}
}

func TestBodyIsSignedAndWhole(t *testing.T) {
	t.Parallel()
	var bodies [][]byte
	var headers []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.ContentLength != int64(len(b)) {
			t.Errorf("length %d announced, %d sent", r.ContentLength, len(b))
		}
		bodies, headers = append(bodies, b), append(headers, r.Header)
		_, _ = io.WriteString(w, "thank you\x00")
	}))
	defer server.Close()
	p := parcel(t, server.URL, bytes.NewReader([]byte(raw)), 2)
	c := courier(t, time.Minute, "127.0.0.0/8")
	out := c.Deliver(context.Background(), p)
	if len(out) != 2 || len(bodies) != 2 {
		t.Fatalf("%d outcomes, %d posts: %+v", len(out), len(bodies), out)
	}
	for i, o := range out {
		if o.Kind != outcome.Delivered || o.Reply.Code != 200 || o.Reply.Text != "thank you" || o.By != "127.0.0.1" {
			t.Fatalf("%+v", o)
		}
		if err := standard.Verify(headers[i], bodies[i], time.Now(), p.Route.Secret); err != nil {
			t.Error(err)
		}
		var got posted
		if err := json.Unmarshal(bodies[i], &got); err != nil {
			t.Fatalf("%v in %s", err, bodies[i])
		}
		d := got.Data
		if got.Type != "message.received" || d.ID != p.Message.String() || d.Recipient != headers[i].Get("Webhook-Id") || d.Envelope.To != p.Recipients[i].Address.Text() {
			t.Errorf("ids and envelope: %+v", got)
		}
		if string(d.Raw) != raw || d.Size != int64(len(raw)) {
			t.Error("the raw message changed")
		}
		if d.Message.Subject != "grüße" || len(d.Message.Headers) != 6 || len(d.Message.Attachments) != 1 || d.Message.Attachments[0].Filename != "a.pdf" {
			t.Errorf("parsed view: %+v", d.Message)
		}
	}
	again := len(bodies)
	c.Deliver(context.Background(), p)
	if !bytes.Equal(bodies[0], bodies[again]) || headers[0].Get("Webhook-Id") != headers[again].Get("Webhook-Id") {
		t.Error("a repeat has another body or id")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	c := courier(t, 2*time.Second, "127.0.0.0/8")
	for _, want := range []struct {
		status int
		retry  string
		kind   outcome.Kind
		after  time.Duration
	}{
		{200, "", outcome.Delivered, 0}, {201, "", outcome.Delivered, 0}, {204, "", outcome.Delivered, 0},
		{400, "", outcome.Failed, 0}, {404, "", outcome.Failed, 0}, {410, "", outcome.Failed, 0},
		{408, "", outcome.Deferred, 0}, {429, "120", outcome.Deferred, 2 * time.Minute},
		{500, "", outcome.Deferred, 0}, {503, "999999999", outcome.Deferred, 24 * time.Hour}, {503, "-5", outcome.Deferred, 0},
		{503, "Thu, 01 Jan 1970 00:00:00 GMT", outcome.Deferred, 0}, {303, "", outcome.Deferred, 0}, {304, "", outcome.Deferred, 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if want.retry != "" {
				w.Header().Set("Retry-After", want.retry)
			}
			w.WriteHeader(want.status)
			if want.status > 400 {
				_, _ = io.WriteString(w, strings.Repeat("ü", 5000))
			}
		}))
		out := c.Deliver(context.Background(), parcel(t, server.URL, strings.NewReader(raw), 1))
		server.Close()
		if out[0].Kind != want.kind || out[0].Reply.Code != want.status || out[0].RetryAfter != want.after || out[0].Class == outcome.Hard {
			t.Errorf("%d: %+v", want.status, out[0])
		}
		if n := len(out[0].Reply.Text); n > 2048 || want.status > 400 && n < 2040 || strings.Contains(out[0].Reply.Text, "\uFFFD") {
			t.Errorf("%d: %d octets kept", want.status, n)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var hops int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &hops); err == nil && hops > 0 {
			http.Redirect(w, r, fmt.Sprintf("%s/%d", server.URL, hops-1), http.StatusPermanentRedirect)
			return
		}
		if r.Method == http.MethodPost && len(b) > len(raw) {
			posts.Add(1)
		}
	}))
	defer server.Close()
	c := courier(t, time.Minute, "127.0.0.0/8")
	for hops, want := range map[int]outcome.Kind{0: outcome.Delivered, 3: outcome.Delivered, 4: outcome.Deferred} {
		out := c.Deliver(context.Background(), parcel(t, fmt.Sprintf("%s/%d", server.URL, hops), strings.NewReader(raw), 1))
		if out[0].Kind != want {
			t.Errorf("%d redirects: %+v", hops, out[0])
		}
	}
	if posts.Load() != 2 {
		t.Errorf("%d whole posts, want 2", posts.Load())
	}
}

// TestRedirectIntoAPrivateNetwork: the endpoint is allowed, where it leads is not.
func TestRedirectIntoAPrivateNetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.5:0")
	if err != nil {
		t.Fatal(err)
	}
	secret := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the private endpoint was reached") }))
	secret.Listener.Close()
	secret.Listener = l
	secret.Start()
	defer secret.Close()
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secret.URL, http.StatusTemporaryRedirect)
	}))
	defer public.Close()
	out := courier(t, time.Minute, "127.0.0.1/32").Deliver(context.Background(), parcel(t, public.URL, strings.NewReader(raw), 1))
	if out[0].Kind != outcome.Failed || out[0].Reply.Enhanced.String() != "5.4.4" {
		t.Errorf("%+v", out[0])
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	shut := httptest.NewServer(http.NotFoundHandler())
	shut.Close()
	open := courier(t, 50*time.Millisecond, "127.0.0.0/8")
	for _, c := range []struct {
		name    string
		courier *webhook.Courier
		url     string
		kind    outcome.Kind
	}{
		{"slow", open, slow.URL, outcome.Deferred},
		{"shut", open, shut.URL, outcome.Deferred},
		{"private", courier(t, time.Second), slow.URL, outcome.Failed},
		{"private by name", courier(t, time.Second), "http://innocent.example/", outcome.Failed},
		{"no URL", open, "::", outcome.Failed},
		{"file", open, "file:///etc/passwd", outcome.Failed},
	} {
		out := c.courier.Deliver(context.Background(), parcel(t, c.url, strings.NewReader(raw), 1))
		if out[0].Kind != c.kind || out[0].By != "mailvow" || out[0].Reply.Text == "" {
			t.Errorf("%s: %+v", c.name, out[0])
		}
	}
}

// big is a message of many megabytes that is nowhere in memory.
type big int64

func (b big) Size() int64 { return int64(b) }

func (b big) ReadAt(p []byte, off int64) (int, error) {
	const line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\r\n\r\n"
	for i := range p {
		if off+int64(i) >= int64(b) {
			return i, io.EOF
		}
		p[i] = line[(off+int64(i))%int64(len(line))]
	}
	return len(p), nil
}

func TestLargeMessageStreams(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n < int64(base64.StdEncoding.EncodedLen(size)) {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	out := courier(t, time.Minute, "127.0.0.0/8").Deliver(context.Background(), parcel(t, server.URL, big(size), 1))
	if out[0].Kind != outcome.Delivered {
		t.Fatalf("%+v", out[0])
	}
}
