package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/access"
)

// SessionCookie is the name of the console's cookie; it is the only one.
func SessionCookie(secure bool) string { return cookieName(secure) }

// cookieName: with TLS the browser itself holds that the cookie is ours alone.
func cookieName(secure bool) string {
	if secure {
		return "__Host-mailvow_session"
	}
	return "mailvow_session"
}

// Session is who is asking.
type Session struct {
	User        *SessionUser `json:"user" doc:"Null for a token."`
	Customer    SessionOf    `json:"customer"`
	Roles       []string     `json:"roles" nullable:"false"`
	Scopes      []string     `json:"scopes" nullable:"false" doc:"Of a token; empty for a person."`
	Permissions []string     `json:"permissions" nullable:"false"`
	Shut        string       `json:"shut,omitempty" doc:"Why one of the operator's people may open nothing personal now; empty where that is not so."`
	Features    []string     `json:"features" nullable:"false" doc:"What only some servers have: caught is the built-in inbox of mailvow dev."`
}

// SessionUser is the person of a session.
type SessionUser struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// SessionOf is the customer of a session.
type SessionOf struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Region string `json:"region"`
}

type sessionOut struct {
	Cookie string `header:"Set-Cookie"`
	Body   Session
}

type signIn struct {
	Body struct {
		Link     string `json:"link,omitempty" maxLength:"100" doc:"The secret of a one-time link."`
		Email    string `json:"email,omitempty" maxLength:"254"`
		Password string `json:"password,omitempty" maxLength:"1024"`
	}
}

type changeSelf struct {
	Body struct {
		Name            *string `json:"name,omitempty" maxLength:"200"`
		CurrentPassword string  `json:"current_password,omitempty" maxLength:"1024" doc:"Needed to change a password that is set."`
		Password        *string `json:"password,omitempty" maxLength:"1024"`
	}
}

func (a *API) sessionRoutes() {
	register(a, op{id: "sign-in", method: http.MethodPost, path: "/v1/session", summary: "Sign in with a one-time link, or with e-mail and password", tag: "session", needs: open, body: 8 << 10, once: true}, a.signIn)
	register(a, op{id: "get-session", method: http.MethodGet, path: "/v1/session", summary: "Who is asking, and what they may do", tag: "session", needs: access.SessionOwn}, a.getSession)
	register(a, op{id: "change-self", method: http.MethodPatch, path: "/v1/session", summary: "Change one's own name or password", tag: "session", needs: access.SessionOwn, body: 8 << 10}, a.changeSelf)
	register(a, op{id: "sign-out", method: http.MethodDelete, path: "/v1/session", summary: "Sign out", tag: "session", needs: access.SessionOwn, quiet: true}, a.signOut)
}

func (a *API) signIn(ctx context.Context, _ Asker, in *signIn) (*sessionOut, error) {
	b := in.Body
	var secret string
	var who access.Principal
	var err error
	switch {
	case b.Link != "" && b.Email == "" && b.Password == "":
		secret, who, err = a.parts.Access.SignInByLink(ctx, b.Link)
	case b.Link == "" && b.Email != "" && b.Password != "":
		secret, who, err = a.byPassword(ctx, b.Email, b.Password)
	default:
		return nil, fault.Field("link", "Give either a link, or e-mail and password.")
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Exhausted) {
		a.refusedCredential(ctx)
	}
	if err != nil {
		return nil, err
	}
	if a.parts.Staff != nil {
		if who, err = a.parts.Staff.Bind(ctx, who); err != nil {
			return nil, err
		}
	}
	out, err := a.describe(ctx, who)
	if err != nil {
		return nil, err
	}
	out.Cookie = a.cookie(secret, access.HouseLimits.Absolute)
	return out, nil
}

// byPassword bounds the attempts for each account, and those that fail from each
// address, of which an IPv6 /64 is one: the password's hash is dear on purpose.
func (a *API) byPassword(ctx context.Context, email, password string) (string, access.Principal, error) {
	to, err := address.Parse(email)
	if err != nil {
		text, _ := fault.Public(err)
		return "", access.Principal{}, fault.Field("email", text)
	}
	now := a.parts.Clock.Now()
	back, ok := a.signIns.reserve("from "+networkOf(requestOf(ctx).peer), now)
	if !ok || !a.signIns.take(http.Header{}, "for "+to.Canonical(), now) {
		return "", access.Principal{}, fault.New(fault.Exhausted, "Too many attempts to sign in. Wait a minute, or ask for a one-time link.")
	}
	secret, who, err := a.parts.Access.SignIn(ctx, to, password)
	if err == nil {
		back() // an office behind one address is no guesser
	}
	return secret, who, err
}

func (a *API) cookie(secret string, life time.Duration) string {
	c := &http.Cookie{
		Name: cookieName(a.config.SecureCookies), Value: secret, Path: "/", HttpOnly: true,
		Secure: a.config.SecureCookies, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds()),
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c.String()
}

func (a *API) getSession(ctx context.Context, who Asker, _ *nothing) (*sessionOut, error) {
	return a.describe(ctx, who.Principal)
}

func (a *API) describe(ctx context.Context, who access.Principal) (*sessionOut, error) {
	t, err := a.parts.Tenants.Get(ctx, scope.Tenant(who.Tenant), who.Tenant)
	if err != nil {
		return nil, err
	}
	out := &sessionOut{Body: Session{
		Customer: SessionOf{ID: t.ID.String(), Name: t.Name, Region: t.Region},
		Roles:    []string{}, Scopes: []string{}, Permissions: []string{}, Features: append([]string{}, a.config.Features...),
	}}
	if who.Token == 0 && who.User != 0 {
		u, err := a.parts.Access.User(ctx, scope.Tenant(who.Tenant), who.User)
		if err != nil {
			return nil, err
		}
		out.Body.User = &SessionUser{ID: u.ID.String(), Email: u.Email.Text(), Name: u.Name}
	}
	if who.Role != "" {
		out.Body.Roles = append(out.Body.Roles, string(who.Role))
	}
	for _, s := range who.Scopes {
		out.Body.Scopes = append(out.Body.Scopes, string(s))
	}
	out.Body.Shut = who.Why()
	for _, p := range who.Permissions() {
		out.Body.Permissions = append(out.Body.Permissions, string(p))
	}
	return out, nil
}

func (a *API) changeSelf(ctx context.Context, who Asker, in *changeSelf) (*sessionOut, error) {
	if who.Token != 0 || who.User == 0 {
		return nil, fault.New(fault.Denied, "A token has no name and no password to change.")
	}
	if in.Body.Password != nil {
		u, err := a.parts.Access.User(ctx, who.Scope, who.User)
		if err != nil {
			return nil, err
		}
		if u.HasPassword {
			if _, _, err := a.byPassword(ctx, u.Email.Text(), in.Body.CurrentPassword); err != nil {
				return nil, wrongPassword(err)
			}
		}
	}
	change := access.UserChange{Name: in.Body.Name, Password: in.Body.Password}
	if _, err := a.parts.Access.ChangeUser(ctx, who.Principal, who.Scope, who.User, change); err != nil {
		return nil, err
	}
	return a.describe(ctx, who.Principal)
}

func wrongPassword(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return fault.Field("current_password", "The current password is wrong.")
	}
	return err
}

type signOutOut struct {
	Cookie string `header:"Set-Cookie"`
}

func (a *API) signOut(ctx context.Context, who Asker, _ *nothing) (*signOutOut, error) {
	if who.Session == 0 {
		return nil, fault.New(fault.Conflict, "A token has no session to end. Delete the token instead.")
	}
	if err := a.parts.Access.SignOut(ctx, who.Principal); err != nil {
		return nil, err
	}
	return &signOutOut{Cookie: a.cookie("", 0)}, nil
}

// SignInPath is where the console takes a one-time link.
func SignInPath(link string) string { return "/sign-in?link=" + strings.TrimSpace(link) }
