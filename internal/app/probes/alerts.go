package probes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/standard/webhook"
)

// stuffed is how many credentials the probe tries; as many as raise the alert of
// one origin, and a few more.
const stuffed = 25

// monitoring tries credentials that nobody has, as a thief with a list of them
// does, and waits at an endpoint for the alert, signed.
func (s *Server) monitoring(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		secret := webhook.NewSecret()
		undo, err := x.Alerts("http://"+x.endpoint.listener.Addr().String()+"/alerts", secret)
		if err != nil {
			return verdict{}, err
		}
		x.undo = append(x.undo, undo)
		before := len(x.endpoint.arrived())
		for range stuffed {
			if status, err := x.tryToken(ctx, "mv_"+strings.ToLower(rand.Text() + rand.Text())[:40]); err != nil || status != http.StatusUnauthorized {
				return bad("a credential that nobody has was answered %d", status), err
			}
		}
		var told request
		late := x.until(ctx, "the alert", func() (bool, error) {
			for _, r := range x.endpoint.arrived()[before:] {
				if strings.Contains(string(r.body), `"alert.raised"`) && strings.Contains(string(r.body), `"guessing"`) {
					told = r
					return true, nil
				}
			}
			return false, nil
		})
		if late != nil {
			return bad("%d credentials were refused and no alert came: %v", stuffed, late), nil
		}
		if err := webhook.Verify(told.header, told.body, x.Clock.Now(), secret); err != nil {
			return bad("the alert's signature does not verify: %v", err), nil
		}
		var says struct {
			Data struct{ Text, Runbook string }
		}
		if err := json.Unmarshal(told.body, &says); err != nil || says.Data.Text == "" || says.Data.Runbook == "" {
			return bad("the alert does not say what it is about and what to do"), nil //nolint:nilerr // what is no alert is one that says nothing
		}
		return good("%d credentials that nobody has were refused, and a signed alert came to an endpoint: %s", stuffed, says.Data.Text), nil
	})
	return v.end(err)
}

// tryToken shows the API a credential.
func (x *scene) tryToken(ctx context.Context, token string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+"/v1/session", nil)
	if err != nil {
		return 0, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := x.web.Do(r)
	if err != nil {
		return 0, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	return a.StatusCode, fault.Wrap(a.Body.Close(), "read the API's answer")
}
