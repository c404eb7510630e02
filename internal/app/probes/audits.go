package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/product/trust/bundle"
	"mailvow/internal/protect/evidence"
)

// auditRights appoints an auditor as a customer does, sees that they see what shows
// compliance and nothing of anybody's mail, verifies what they take home with no
// server at hand, and lets their date come.
func (s *Server) auditRights(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		person, password := x.at("auditor-", x.Domain), "a canary sings "+rand.Text()
		in := map[string]any{"email": person.Text(), "name": "Auditor", "role": "auditor", "password": password}
		if status, err := x.call(ctx, http.MethodPost, "/v1/users", in, nil); err != nil || status < 400 {
			return bad("an auditor without an end was appointed (%d)", status), err
		}
		in["until"] = s.Clock.Now().Add(24 * time.Hour).UTC()
		var made struct {
			ID string `json:"id"`
		}
		if err := x.must(ctx, http.MethodPost, "/v1/users", in, &made); err != nil {
			return verdict{}, err
		}
		login := map[string]string{"email": person.Text(), "password": password}
		status, cookie, err := x.browse(ctx, http.MethodPost, nil, login)
		if err != nil || status >= 300 || cookie == nil {
			return bad("the auditor cannot sign in (%d)", status), err
		}
		as := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value}) }
		for path, want := range map[string]int{
			"/v1/controls": http.StatusOK, "/v1/controls/map": http.StatusOK, "/v1/policy": http.StatusOK,
			"/v1/messages": http.StatusForbidden, "/v1/users": http.StatusForbidden, "/v1/suppressions": http.StatusForbidden,
		} {
			if got, err := x.asked(ctx, operation{method: http.MethodGet, path: path}, as); err != nil || got != want {
				return bad("%s answers %d to an auditor, where %d is right", path, got, want), err
			}
		}
		said, v, err := x.takenHome(ctx, as)
		if err != nil || v.status != "" {
			return v, err
		}
		if err := x.must(ctx, http.MethodPatch, "/v1/users/"+made.ID, map[string]any{"until": s.Clock.Now().Add(time.Second).UTC()}, nil); err != nil {
			return verdict{}, err
		}
		late := x.until(ctx, "the auditor's access to end", func() (bool, error) {
			got, err := x.asked(ctx, operation{method: http.MethodGet, path: "/v1/session"}, as)
			return got == http.StatusUnauthorized, err
		})
		if late != nil {
			return bad("the auditor's date has come and the session is still open"), nil //nolint:nilerr // that it did not end is what was seen
		}
		if status, _, err := x.browse(ctx, http.MethodPost, nil, login); err != nil || status < 400 {
			return bad("the auditor's date has come and the password still signs in (%d)", status), err
		}
		return good("an auditor was appointed until a date, sees controls, mapping and policy and is refused mail, users and lists; %s; on the date the session ended, and the password signed in no more", said), nil
	})
	return v.end(err)
}

// takenHome fetches the bundle and verifies it from its bytes.
func (x *scene) takenHome(ctx context.Context, as func(*http.Request)) (said string, v verdict, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+"/v1/evidence/bundle", nil)
	if err != nil {
		return "", v, fault.Wrap(err, "make a request")
	}
	as(r)
	a, err := x.web.Do(r)
	if err != nil {
		return "", v, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	const most = 256 << 20
	data, err := io.ReadAll(io.LimitReader(a.Body, most))
	if err != nil || a.StatusCode != http.StatusOK {
		return "", bad("the evidence bundle was answered %d %v", a.StatusCode, err), nil
	}
	check := evidence.LogCheck{Trusted: x.LogKeys()}
	report, err := bundle.Verify(bytes.NewReader(data), int64(len(data)), check)
	if err != nil || report.Manifest.Customer != x.Tenant || report.Policies == 0 {
		return "", bad("the evidence bundle does not verify: %v", err), nil
	}
	changed := bytes.Clone(data)
	changed[len(changed)/2] ^= 1
	if _, err := bundle.Verify(bytes.NewReader(changed), int64(len(changed)), check); err == nil {
		return "", bad("an evidence bundle with one bit changed verifies"), nil
	}
	return fmt.Sprintf("the signed bundle of %d files verified from its bytes alone, with a log of %d entries, %d policies and %d findings, and with one bit changed it did not",
		len(report.Manifest.Files), report.Log.Size, report.Policies, report.Findings), v, nil
}
