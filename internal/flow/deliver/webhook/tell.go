package webhook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"mailvow/internal/base/fault"
	standard "mailvow/internal/standard/webhook"
)

// Tell posts an event that is no mail, signed like one, under an id that is the
// same on each attempt, and gives the status of the answer. No answer, and an
// address that keep/egress does not allow, is a fault.
func (c *Courier) Tell(ctx context.Context, endpoint string, secret []byte, id string, event []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	to, err := url.Parse(endpoint)
	if err != nil || !reachable(to) {
		return 0, fault.New(fault.Invalid, "The URL is none that an event can go to.")
	}
	now := c.config.Clock.Now()
	signer, err := standard.NewSigner(id, now, secret)
	if err != nil {
		return 0, err
	}
	_, _ = signer.Write(event) // a hash takes everything
	for range maxRedirects + 1 {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(event))
		if err != nil {
			return 0, fault.Because(fault.Invalid, err, "The URL is none that an event can go to.")
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "Mailvow")
		signer.SetHeader(r.Header, id, now)
		answer, err := c.client.Do(r)
		if err != nil {
			return 0, fault.Because(fault.Unavailable, err, "The endpoint could not be reached.")
		}
		_, _ = io.CopyN(io.Discard, answer.Body, drained) // so that the connection can be kept
		answer.Body.Close()
		next, ok := redirect(answer, to)
		if !ok {
			return answer.StatusCode, nil
		}
		to = next
	}
	return 0, fault.New(fault.Unavailable, "The endpoint redirects more than three times.")
}
