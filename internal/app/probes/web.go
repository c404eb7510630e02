package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
)

// crossSite signs a person in and lets another site's page, as a browser would
// send it, try to end the session: it must be refused, and the own page not.
func (s *Server) crossSite(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		person, password := x.at("person-", x.Domain), "a canary sings "+rand.Text()
		if err := s.Person(ctx, x.Canary, person, access.Viewer, password); err != nil {
			return verdict{}, err
		}
		status, cookie, err := x.browse(ctx, http.MethodPost, nil, map[string]string{"email": person.Text(), "password": password})
		if err != nil || status >= 300 || cookie == nil {
			return bad("signing in answered %d without a session %v", status, err), nil
		}
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode && cookie.SameSite != http.SameSiteStrictMode {
			return bad("the session's cookie can be read by scripts or is sent along from other sites"), nil
		}
		foreign := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://elsewhere.invalid"}
		for _, h := range foreign {
			if status, _, err = x.browse(ctx, http.MethodDelete, cookie, nil, h); err != nil || status != http.StatusForbidden {
				return bad("a request with %s is answered %d %v", h, status, err), nil
			}
		}
		if status, _, err = x.browse(ctx, http.MethodGet, cookie, nil); err != nil || status != http.StatusOK {
			return bad("after refused requests the session answers %d %v", status, err), nil
		}
		if status, _, err = x.browse(ctx, http.MethodDelete, cookie, nil, "Sec-Fetch-Site: same-origin"); err != nil || status >= 300 {
			return bad("the own page cannot end the session: %d %v", status, err), nil
		}
		if status, _, err = x.browse(ctx, http.MethodGet, cookie, nil); err != nil || status != http.StatusUnauthorized {
			return bad("an ended session answers %d %v", status, err), nil
		}
		return good("with a live session's cookie %d requests that a browser marks as another site's were refused; the own page's ended the session, which then opened nothing; the cookie is out of scripts' reach and not sent along by other sites", len(foreign)), nil
	})
	return v.end(err)
}

// browse speaks to the session as a browser does and gives the cookie that was set.
func (x *scene) browse(ctx context.Context, method string, cookie *http.Cookie, in any, headers ...string) (int, *http.Cookie, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, nil, fault.Wrap(err, "write a request")
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, x.base+"/v1/session", &body)
	if err != nil {
		return 0, nil, fault.Wrap(err, "make a request")
	}
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if cookie != nil {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
	a, err := x.web.Do(r)
	if err != nil {
		return 0, nil, fault.Because(fault.Unavailable, err, "The API does not answer.")
	}
	defer a.Body.Close()
	if list := a.Cookies(); len(list) > 0 {
		return a.StatusCode, list[0], nil
	}
	return a.StatusCode, nil, nil
}

// record reads the record of processing as a customer does and looks for every
// column of the real schema in it.
func (s *Server) record(ctx context.Context) (pledge.Status, string, error) {
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		var list []struct {
			Category string   `json:"category"`
			Purpose  string   `json:"purpose"`
			Basis    string   `json:"basis"`
			Where    []string `json:"where"`
		}
		if err := x.must(ctx, http.MethodGet, "/v1/inventory", nil, &list); err != nil {
			return verdict{}, err
		}
		listed, kinds := map[string]bool{}, map[string]int{}
		for _, e := range list {
			if e.Purpose == "" || e.Basis == "" {
				return bad("the activity %q has no purpose or no legal basis", e.Category), nil
			}
			for _, w := range e.Where {
				kind, _, _ := strings.Cut(w, " ")
				listed[w] = true
				kinds[kind]++
			}
		}
		real, err := s.Columns(ctx)
		if err != nil {
			return verdict{}, err
		}
		missing := slices.DeleteFunc(slices.Clone(real), func(c string) bool { return listed[string(pledge.Column)+" "+c] })
		if len(missing) > 0 || len(real) < 50 {
			return bad("of %d columns of the real schema the record does not list %s", len(real), strings.Join(missing, ", ")), nil
		}
		for _, kind := range []pledge.PlaceKind{pledge.BlobKind, pledge.KeyFile} {
			if kinds[string(kind)] == 0 {
				return bad("the record lists no store of the kind %s", kind), nil
			}
		}
		return good("the record of processing, read through the API, has %d activities with purpose and legal basis and lists each of the %d columns of the real schema, %d sorts of message bodies and %d of keys; that no other file is written is a test of the build",
			len(list), len(real), kinds[string(pledge.BlobKind)], kinds[string(pledge.KeyFile)]), nil
	})
	return v.end(err)
}
