// Package access says who is asking and what they may do: people with
// passwords and sessions, one-time links, tokens of the API, credentials of
// SMTP. It promises that a generated secret is shown once and kept only as a
// keyed hash, that a chosen password is kept only as Argon2id, that a name or an
// e-mail address is sealed, and that the permission table in this package is the
// only one. What each operation needs is said by the doors; it is not repeated
// here.
package access

import (
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/tenant"
)

// Principal is who is asking. The zero Principal is nobody and may do nothing.
type Principal struct {
	Tenant  ids.Tenant
	User    ids.User    // zero for a token that no user stands behind
	Session ids.Session // set when a session cookie was shown
	Token   ids.Token   // set when a token was shown
	Role    Role        // of the user; "" for a token
	Maker   Role        // of the user who made the token; "" where they have gone
	Scopes  []Scope     // of the token
	grants  Grants
	staff   staffing
	barred  map[Permission]string // why a permission is not held now
}

// ForRole makes the principal of a signed-in user.
func ForRole(of ids.Tenant, user ids.User, session ids.Session, role Role) Principal {
	p := Principal{Tenant: of, User: user, Session: session, Role: role, grants: OfRole(role)}
	if role == Auditor && of == tenant.Platform {
		p.grants = join(p.grants, platformAudit)
	}
	return p
}

// ForToken makes the principal of a token.
func ForToken(of ids.Tenant, token ids.Token, user ids.User, scopes ...Scope) Principal {
	return Principal{Tenant: of, Token: token, User: user, Scopes: scopes, grants: OfScopes(scopes...)}
}

// Known reports whether anybody is asking at all.
func (p Principal) Known() bool { return p.Tenant != 0 }

// Grants is what the principal may do.
func (p Principal) Grants() Grants { return p.grants }

// May says whether the principal has a permission, and over whose things. The
// scope matches nothing when it has not.
func (p Principal) May(perm Permission) (scope.Scope, bool) {
	switch p.reach(perm) {
	case All:
		if p.staff.only != 0 && perm.Personal() {
			return scope.Tenant(p.staff.only), true
		}
		return scope.Everyone, true
	case Own:
		return scope.Tenant(p.Tenant), p.Tenant != 0
	case None:
	}
	return scope.Scope{}, false
}
