package probes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/access"
)

// operation is a line of the published API document.
type operation struct {
	method, path, id string
	needs            access.Permission
}

// open is the word of the operation that nobody has to be known for: signing in.
const open access.Permission = "open"

// roles signs in as every role that a customer's people can have, and takes a
// token of every scope, and tries every operation of the published document that
// the table does not give to it: each must be refused. Nothing that is allowed is
// tried but to see that the session lives. Rights that nobody reviewed in time are
// not kept either.
func (s *Server) roles(ctx context.Context) (pledge.Status, string, error) {
	if late, err := s.ReviewLate(ctx); err != nil || late != "" {
		if err == nil {
			return failing(late + "; mailvow access-review sign")
		}
		return pledge.Failing, "", err
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		list, err := x.operations(ctx)
		if err != nil {
			return verdict{}, err
		}
		if len(list) < 50 {
			return bad("the published document has only %d operations", len(list)), nil
		}
		tried := 0
		for _, o := range list {
			if o.needs == "" || o.needs == open && o.id != "sign-in" {
				return bad("%s %s names no permission", o.method, o.path), nil
			}
			if o.needs == open {
				continue
			}
			if tried++; !x.refused(ctx, o, http.StatusUnauthorized, func(*http.Request) {}) {
				return bad("%s %s is not refused to somebody unknown", o.method, o.path), nil
			}
		}
		for _, role := range access.Roles() {
			if role.OfPlatform() {
				continue // exists in the platform's own tenant only
			}
			as, err := x.signedIn(ctx, role)
			if err != nil {
				return verdict{}, err
			}
			v, n := x.deny(ctx, list, access.OfRole(role), "the role "+string(role), as)
			if tried += n; v.status != pledge.Kept {
				return v, nil
			}
		}
		for _, name := range access.Scopes() {
			secret, err := x.Pass(ctx, x.Canary, name)
			if fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) {
				continue // a scope of the platform's, which no customer's token can have
			}
			if err != nil {
				return verdict{}, err
			}
			v, n := x.deny(ctx, list, access.OfScopes(name), "a token for "+string(name), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) })
			if tried += n; v.status != pledge.Kept {
				return v, nil
			}
		}
		return good("of the %d operations of the published document, every one that the table withholds was tried as each role and with a token of each scope, and without any: %d requests, all refused", len(list), tried), nil
	})
	return v.end(err)
}

// deny tries what somebody has no permission for, and one thing that all may.
func (x *scene) deny(ctx context.Context, list []operation, has access.Grants, who string, as func(*http.Request)) (verdict, int) {
	tried := 0
	for _, o := range list {
		if o.needs == open || has[o.needs] != access.None {
			continue
		}
		if tried++; !x.refused(ctx, o, http.StatusForbidden, as) {
			return bad("%s %s is not refused to %s", o.method, o.path, who), tried
		}
	}
	if has[access.SessionOwn] != access.None {
		if status, err := x.asked(ctx, operation{method: http.MethodGet, path: "/v1/session"}, as); err != nil || status != http.StatusOK {
			return bad("%s does not see its own session (%d), so that refusals show nothing %v", who, status, err), tried
		}
	}
	return good(""), tried
}

// operations reads the document that the server publishes of its API.
func (x *scene) operations(ctx context.Context) ([]operation, error) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := x.must(ctx, http.MethodGet, "/openapi.json", nil, &doc); err != nil {
		return nil, err
	}
	var list []operation
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			var said struct {
				ID    string            `json:"operationId"`
				Needs access.Permission `json:"x-permission"`
			}
			if json.Unmarshal(raw, &said) != nil || said.ID == "" {
				continue // what all methods of a path share
			}
			list = append(list, operation{strings.ToUpper(method), path, said.ID, said.Needs})
		}
	}
	return list, nil
}

// refused reports whether an operation on something that is not there is answered
// with a status before anything else is looked at.
func (x *scene) refused(ctx context.Context, o operation, want int, as func(*http.Request)) bool {
	status, err := x.asked(ctx, o, as)
	return err == nil && status == want
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// asked makes one request, and again where it came too fast.
func (x *scene) asked(ctx context.Context, o operation, as func(*http.Request)) (int, error) {
	for range 20 {
		r, err := http.NewRequestWithContext(ctx, o.method, x.base+placeholder.ReplaceAllString(o.path, "0"), strings.NewReader("{}"))
		if err != nil {
			return 0, fault.Wrap(err, "make a request")
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		as(r)
		a, err := x.web.Do(r)
		if err != nil {
			return 0, fault.Because(fault.Unavailable, err, "The API does not answer.")
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<20)) // so that the connection is used again
		a.Body.Close()
		if a.StatusCode != http.StatusTooManyRequests {
			return a.StatusCode, nil
		}
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || wait > 60 {
			return a.StatusCode, nil
		}
		if err := clock.Sleep(ctx, clock.Wall{}, time.Duration(wait)*time.Second); err != nil {
			return 0, fault.Wrap(err, "wait for the API")
		}
	}
	return http.StatusTooManyRequests, nil
}

// signedIn makes a user of a role and signs in.
func (x *scene) signedIn(ctx context.Context, role access.Role) (func(*http.Request), error) {
	person, password := x.at(string(role)+"-", x.Domain), "a canary sings "+rand.Text()
	if err := x.Person(ctx, x.Canary, person, role, password); err != nil {
		return nil, err
	}
	status, cookie, err := x.browse(ctx, http.MethodPost, nil, map[string]string{"email": person.Text(), "password": password})
	if err == nil && (status >= 300 || cookie == nil) {
		err = fault.New(fault.Unavailable, fmt.Sprintf("signing in as %s answered %d", role, status))
	}
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value}) }, nil
}
