package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

// Token is a token of the API, without its secret.
type Token struct {
	ID      ids.Token
	Tenant  ids.Tenant
	User    ids.User // who made it
	Name    string
	Scopes  []Scope
	Created time.Time
	Expires time.Time // zero: not by itself
	Used    time.Time // zero: never; to the minute
}

type label struct {
	Name string `json:"name"`
}

func tokenRow(t ids.Tenant, id ids.Token) sealed.Row {
	return sealed.Row{Tenant: t, Table: "access_token", ID: int64(id)}
}

// AddToken makes a token for the maker's own customer and gives its secret, this
// once. Nobody makes a token that may do more than they: Denied.
func (s *Store) AddToken(ctx context.Context, by Principal, in ids.Tenant, name string, scopes []Scope, expires time.Time) (Token, string, error) {
	name, err := checkName(name)
	if err != nil {
		return Token{}, "", err
	}
	if err := s.checkScopes(by, scopes); err != nil {
		return Token{}, "", err
	}
	if !expires.IsZero() && !expires.After(s.Clock.Now()) {
		return Token{}, "", fault.Field("expires_at", "The token would be expired from the start.")
	}
	t := Token{ID: ids.New[ids.Token](s.IDs), Tenant: in, User: by.User, Name: name, Scopes: slices.Compact(slices.Sorted(slices.Values(scopes))), Created: s.Clock.Now(), Expires: expires}
	secret := generate(tokenPrefix, tokenBytes)
	hash, err := s.hash("token", secret)
	if err != nil {
		return Token{}, "", err
	}
	blob, err := sealed.Put(s.Vault, vault.Account, tokenRow(in, t.ID), label{name})
	if err != nil {
		return Token{}, "", err
	}
	_, err = s.change(ctx, "add a token", "add_token", t.ID, in, t.User, hash, blob, joinScopes(t.Scopes), t.Created, micros(expires))
	return t, secret, err
}

func (s *Store) checkScopes(by Principal, scopes []Scope) error {
	if len(scopes) == 0 {
		return fault.Field("scopes", "A token needs at least one scope.")
	}
	for _, sc := range scopes {
		if !slices.Contains(Scopes(), sc) {
			return fault.Field("scopes", "One of the scopes does not exist. They are: "+joinScopes(Scopes())+".")
		}
	}
	if !by.Grants().Covers(OfScopes(scopes...)) {
		return fault.New(fault.Denied, "You cannot make a token that may do more than you.")
	}
	return nil
}

func joinScopes(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, sc := range scopes {
		words[i] = string(sc)
	}
	return strings.Join(words, " ")
}

func splitScopes(s string) []Scope {
	var scopes []Scope
	for word := range strings.FieldsSeq(s) {
		scopes = append(scopes, Scope(word))
	}
	return scopes
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Tokens lists the scope's tokens, newest first, from before.
func (s *Store) Tokens(ctx context.Context, in scope.Scope, before ids.Token, limit int) ([]Token, error) {
	all, own := in.Args()
	var list []Token
	err := s.set.Each(ctx, "tokens", []any{all, own, from(before), limit}, func(scan func(...any) error) error {
		var t Token
		var blob []byte
		var scopes string
		var until, used int64
		if err := scan(&t.ID, &t.Tenant, &t.User, &blob, &scopes, &t.Created, &until, &used); err != nil {
			return err
		}
		var l label
		if err := sealed.Get(s.Vault, tokenRow(t.Tenant, t.ID), blob, &l); err != nil {
			return err
		}
		t.Name, t.Scopes, t.Expires, t.Used = l.Name, splitScopes(scopes), moment(until), moment(used)
		list = append(list, t)
		return nil
	})
	return list, fault.Wrap(err, "list tokens")
}

// RemoveToken ends a token of the scope at once.
func (s *Store) RemoveToken(ctx context.Context, in scope.Scope, id ids.Token) error {
	all, own := in.Args()
	n, err := s.change(ctx, "remove a token", "delete_token", all, own, id)
	return mustFind(n, err, "There is no such token.")
}

// ByToken gives whose token a secret is. An unknown or expired one is
// Unauthenticated, and says which only to who holds the secret.
func (s *Store) ByToken(ctx context.Context, secret string) (Principal, error) {
	unknown := fault.New(fault.Unauthenticated, "The token is not known. Make one in the console or with mailvow token add.")
	if !looksGenerated(secret, tokenPrefix, tokenBytes) {
		return Principal{}, unknown
	}
	hash, err := s.hash("token", secret)
	if err != nil {
		return Principal{}, err
	}
	var t Token
	var scopes string
	var maker Role
	var until, used int64
	err = s.set.One(ctx, "token", []any{hash}, &t.ID, &t.Tenant, &t.User, &maker, &scopes, &until, &used)
	if fault.Is(err, fault.NotFound) {
		return Principal{}, unknown
	}
	if err != nil {
		return Principal{}, fault.Wrap(err, "find a token")
	}
	now := s.Clock.Now()
	if until != 0 && !now.Before(moment(until)) {
		return Principal{}, fault.New(fault.Unauthenticated, "The token expired on "+moment(until).Format(time.RFC3339)+". Make a new one.")
	}
	if err := s.Tenants.Enters(ctx, t.Tenant); err != nil {
		return Principal{}, err
	}
	if now.Sub(moment(used)) >= usedEvery {
		if _, err := s.change(ctx, "note a token's use", "used_token", t.ID, now); err != nil && !storeResting(err) {
			return Principal{}, err
		}
	}
	p := ForToken(t.Tenant, t.ID, t.User, splitScopes(scopes)...)
	p.Maker = maker
	return p, nil
}
