// Package webhook carries mail to a customer's HTTP endpoint: one POST per
// recipient, signed as a Standard Webhook whose id is the recipient's, so that
// a repeat is recognised. It promises that the body is the same on every
// attempt, is streamed and never held whole in memory, and that it goes to
// addresses only that keep/egress allows, redirects included. When to try
// again is left to flow/queue. The body is described in docs/formats/webhook.md.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/reply"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/egress"
	standard "mailvow/internal/standard/webhook"
)

// Config is what the courier needs.
type Config struct {
	Dialer  *egress.Dialer // of a customer-directed destination
	Timeout time.Duration  // for one POST with its redirects; 30 s if zero
	Clock   clock.Clock
}

const (
	keptBody      = 2 << 10  // of an endpoint's answer
	drained       = 64 << 10 // read and dropped so that the connection can be kept
	maxRedirects  = 3
	maxRetryAfter = 24 * time.Hour
)

// Courier implements deliver.Courier for the route Webhook.
type Courier struct {
	config    Config
	client    *http.Client
	transport *http.Transport
}

var _ deliver.Courier = (*Courier)(nil)

// New makes the courier.
func New(c Config) *Courier {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.Wall{}
	}
	transport := c.Dialer.HTTPTransport()
	// A redirect is followed here, because Go's client would turn it into a GET.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Courier{config: c, transport: transport, client: &http.Client{Transport: transport, CheckRedirect: stay}}
}

// Close closes the idle connections.
func (c *Courier) Close() { c.transport.CloseIdleConnections() }

// Deliver implements deliver.Courier.
func (c *Courier) Deliver(ctx context.Context, p *deliver.Parcel) []outcome.Outcome {
	out := make([]outcome.Outcome, len(p.Recipients))
	b, err := newBody(p)
	for i := range p.Recipients {
		start := c.config.Clock.Now()
		if err != nil {
			out[i] = soft(outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The message could not be read."))
		} else {
			out[i] = c.post(ctx, p, &p.Recipients[i], b)
		}
		out[i].Took = c.config.Clock.Now().Sub(start)
	}
	return out
}

func soft(o outcome.Outcome) outcome.Outcome {
	o.Class = outcome.Soft
	return o
}

// post delivers to one recipient.
func (c *Courier) post(ctx context.Context, p *deliver.Parcel, r *deliver.Recipient, b *body) outcome.Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	to, err := url.Parse(p.Route.URL)
	if err != nil || !reachable(to) {
		return soft(outcome.ByUs(outcome.Failed, 550, "5.3.5", "The route's URL is none that a webhook can go to."))
	}
	head, err := b.head(r)
	if err != nil {
		return soft(outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The message could not be described."))
	}
	sign, err := c.sign(p, r, b, head)
	if err != nil {
		return soft(outcome.ByUs(outcome.Deferred, 451, "4.3.0", "The webhook could not be signed."))
	}
	for range maxRedirects + 1 {
		answer, err := c.send(ctx, to, head, b, sign, p.Attempt)
		if err != nil {
			return unreached(to, err)
		}
		next, ok := redirect(answer, to)
		if !ok {
			return c.judge(to, answer)
		}
		answer.Body.Close()
		to = next
	}
	return soft(outcome.ByUs(outcome.Deferred, 451, "4.4.6", "The endpoint redirects more than three times."))
}

func reachable(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// sign reads the body once to sign it; the second reading sends it.
func (c *Courier) sign(p *deliver.Parcel, r *deliver.Recipient, b *body, head []byte) (func(http.Header), error) {
	now := c.config.Clock.Now()
	id := r.ID.String()
	signer, err := standard.NewSigner(id, now, p.Route.Secret)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(signer, b.open(head)); err != nil {
		return nil, err
	}
	return func(h http.Header) { signer.SetHeader(h, id, now) }, nil
}

func (c *Courier) send(ctx context.Context, to *url.URL, head []byte, b *body, sign func(http.Header), attempt int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), b.open(head))
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The webhook's URL is wrong.")
	}
	req.ContentLength = b.length(head)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(b.open(head)), nil }
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Mailvow")
	req.Header.Set("Mailvow-Attempt", strconv.Itoa(attempt))
	sign(req.Header)
	return c.client.Do(req)
}

// redirect gives where a 301, 302, 307 or 308 leads. The message is posted
// again there. It never leads from https to http.
func redirect(r *http.Response, from *url.URL) (*url.URL, bool) {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, false
	}
	to, err := r.Location()
	if err != nil || !reachable(to) || from.Scheme == "https" && to.Scheme != "https" {
		return nil, false
	}
	return to, true
}

// judge reads the endpoint's answer: 2xx took it; 4xx refuses it, but 408 and
// 429 ask for patience; everything else may pass.
func (c *Courier) judge(to *url.URL, r *http.Response) outcome.Outcome {
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, keptBody))
	if err == nil {
		_, _ = io.CopyN(io.Discard, r.Body, drained)
	}
	o := outcome.Outcome{By: to.Hostname(), Reply: reply.Reply{Code: r.StatusCode, Text: printable(text)}}
	if r.TLS != nil {
		o.TLS = tls.VersionName(r.TLS.Version) + " " + tls.CipherSuiteName(r.TLS.CipherSuite)
	}
	switch {
	case r.StatusCode/100 == 2:
		o.Kind = outcome.Delivered
	case r.StatusCode/100 == 4 && r.StatusCode != http.StatusRequestTimeout && r.StatusCode != http.StatusTooManyRequests:
		o.Kind, o.Class = outcome.Failed, outcome.Soft
	default:
		o.Kind, o.Class = outcome.Deferred, outcome.Soft
		o.RetryAfter = retryAfter(r.Header.Get("Retry-After"), c.config.Clock.Now())
	}
	return o
}

// retryAfter reads RFC 9110 10.2.3: seconds or a date, a day at most.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// printable makes an endpoint's words fit for history: UTF-8, no controls but
// line ends.
func printable(text []byte) string {
	for len(text) > 0 && !utf8.Valid(text) && len(text) > keptBody-utf8.UTFMax {
		text = text[:len(text)-1] // a character cut at the limit
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(text), "\uFFFD"))
}

// unreached is the outcome without an answer.
func unreached(to *url.URL, err error) outcome.Outcome {
	var o outcome.Outcome
	switch {
	case fault.Is(err, fault.Denied):
		o = outcome.ByUs(outcome.Failed, 550, "5.4.4", "The endpoint's address is none that a webhook may go to.")
	case errors.Is(err, context.DeadlineExceeded):
		o = outcome.ByUs(outcome.Deferred, 451, "4.4.2", "The endpoint did not answer in time.")
	default:
		o = outcome.ByUs(outcome.Deferred, 451, "4.4.1", "The endpoint could not be reached.")
	}
	return soft(o)
}
