package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
)

// Token is a token of the API.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes" nullable:"false"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"To the minute."`
	Secret     string     `json:"secret,omitempty" doc:"Shown this once."`
}

type newToken struct {
	Body struct {
		Name      string     `json:"name" minLength:"1" maxLength:"200"`
		Scopes    []string   `json:"scopes" minItems:"1" maxItems:"32" nullable:"false"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	}
}

type tokenOut struct{ Body Token }

func (a *API) tokenRoutes() {
	register(a, op{id: "list-tokens", method: http.MethodGet, path: "/v1/tokens", summary: "List tokens", tag: "tokens", needs: access.TokensManage}, a.listTokens)
	register(a, op{id: "create-token", method: http.MethodPost, path: "/v1/tokens", summary: "Make a token; its secret is shown once", tag: "tokens", needs: access.TokensManage, status: http.StatusCreated, once: true}, a.createToken)
	register(a, op{id: "delete-token", method: http.MethodDelete, path: "/v1/tokens/{id}", summary: "End a token", tag: "tokens", needs: access.TokensManage}, a.deleteToken)
}

func viewToken(t access.Token) Token {
	v := Token{ID: t.ID.String(), Name: t.Name, Scopes: []string{}, CreatedAt: t.Created.UTC(), ExpiresAt: when(t.Expires), LastUsedAt: when(t.Used)}
	for _, s := range t.Scopes {
		v.Scopes = append(v.Scopes, string(s))
	}
	return v
}

func (a *API) listTokens(ctx context.Context, who Asker, in *Paging) (*pageOut[Token], error) {
	return pageOf(a, listing("tokens", who), *in, func(before int64, limit int) ([]access.Token, error) {
		return a.parts.Access.Tokens(ctx, who.Scope, ids.Token(before), limit)
	}, func(t access.Token) int64 { return int64(t.ID) }, viewToken)
}

func (a *API) createToken(ctx context.Context, who Asker, in *newToken) (*tokenOut, error) {
	scopes := make([]access.Scope, len(in.Body.Scopes))
	for i, s := range in.Body.Scopes {
		scopes[i] = access.Scope(s)
	}
	var expires time.Time
	if in.Body.ExpiresAt != nil {
		expires = *in.Body.ExpiresAt
	}
	t, secret, err := a.parts.Access.AddToken(ctx, who.Principal, who.Tenant, in.Body.Name, scopes, expires)
	if err != nil {
		return nil, err
	}
	out := &tokenOut{viewToken(t)}
	out.Body.Secret = secret
	return out, nil
}

func (a *API) deleteToken(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Token]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Access.RemoveToken(ctx, who.Scope, id)
}

// Credential lets programs send by SMTP.
type Credential struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind" enum:"password,network"`
	Name       string     `json:"name"`
	Username   string     `json:"username,omitempty"`
	Network    string     `json:"network,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"To the minute."`
	Password   string     `json:"password,omitempty" doc:"Shown this once."`
}

type newCredential struct {
	Body struct {
		Name    string `json:"name" minLength:"1" maxLength:"200"`
		Network string `json:"network,omitempty" maxLength:"64" doc:"Makes a network the credential, where the operator allows it." example:"192.0.2.0/24"`
	}
}

type credentialOut struct{ Body Credential }

func (a *API) credentialRoutes() {
	register(a, op{id: "list-credentials", method: http.MethodGet, path: "/v1/credentials", summary: "List SMTP credentials", tag: "credentials", needs: access.CredentialsManage}, a.listCredentials)
	register(a, op{id: "create-credential", method: http.MethodPost, path: "/v1/credentials", summary: "Make an SMTP credential; its password is shown once", tag: "credentials", needs: access.CredentialsManage, status: http.StatusCreated, once: true}, a.createCredential)
	register(a, op{id: "delete-credential", method: http.MethodDelete, path: "/v1/credentials/{id}", summary: "End an SMTP credential", tag: "credentials", needs: access.CredentialsManage}, a.deleteCredential)
}

func viewCredential(c access.Credential) Credential {
	v := Credential{ID: c.ID.String(), Kind: string(c.Kind), Name: c.Name, Username: c.Username, CreatedAt: c.Created.UTC(), LastUsedAt: when(c.Used)}
	if c.Kind == access.NetworkKind {
		v.Network = c.Network.String()
	}
	return v
}

func (a *API) listCredentials(ctx context.Context, who Asker, in *Paging) (*pageOut[Credential], error) {
	return pageOf(a, listing("credentials", who), *in, func(before int64, limit int) ([]access.Credential, error) {
		return a.parts.Access.Credentials(ctx, who.Scope, ids.Credential(before), limit)
	}, func(c access.Credential) int64 { return int64(c.ID) }, viewCredential)
}

func (a *API) createCredential(ctx context.Context, who Asker, in *newCredential) (*credentialOut, error) {
	if in.Body.Network != "" {
		return a.createNetwork(ctx, who, in)
	}
	c, password, err := a.parts.Access.AddCredential(ctx, who.Tenant, in.Body.Name)
	if err != nil {
		return nil, err
	}
	out := &credentialOut{viewCredential(c)}
	out.Body.Password = password
	return out, nil
}

func (a *API) createNetwork(ctx context.Context, who Asker, in *newCredential) (*credentialOut, error) {
	if _, ok := who.May(access.NetworksManage); !ok {
		return nil, fault.New(fault.Denied, "You may not do this: it needs the permission "+string(access.NetworksManage)+".")
	}
	network, err := netip.ParsePrefix(in.Body.Network)
	if err != nil {
		return nil, fault.Field("network", "The network has the form 192.0.2.0/24 or 2001:db8::/64.")
	}
	c, err := a.parts.Access.AddNetwork(ctx, who.Tenant, in.Body.Name, network)
	if err != nil {
		return nil, err
	}
	return &credentialOut{viewCredential(c)}, nil
}

func (a *API) deleteCredential(ctx context.Context, who Asker, in *ByID) (*nothing, error) {
	id, err := idAt[ids.Credential]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.parts.Access.RemoveCredential(ctx, who.Scope, id)
}
