// Package scope is the tenant scope that every query takes. It promises that
// "no tenant" cannot be written by accident: the zero Scope matches nothing and
// Everyone is spelled out, so that it is easy to find.
package scope

import "mailvow/internal/base/ids"

// Scope says whose rows a query may touch.
type Scope struct {
	tenant   ids.Tenant
	everyone bool
}

// Everyone is the platform's own view over all customers: the operator, the
// queue runner, retention. Each use is a decision that a reader can question.
var Everyone = Scope{everyone: true}

// Tenant is one customer's view.
func Tenant(id ids.Tenant) Scope { return Scope{tenant: id} }

// ID returns the customer and whether the scope is one customer's.
func (s Scope) ID() (ids.Tenant, bool) { return s.tenant, !s.everyone && s.tenant != 0 }

// All reports whether the scope is Everyone.
func (s Scope) All() bool { return s.everyone }

// Allows reports whether a row of this tenant lies inside the scope.
func (s Scope) Allows(id ids.Tenant) bool {
	return s.everyone || (s.tenant != 0 && s.tenant == id)
}

// Args are the two parameters of every scoped query: all (1 or 0) and tenant.
// The query says: where ($1 = 1 or tenant = $2).
func (s Scope) Args() (all int64, tenant int64) {
	if s.everyone {
		return 1, 0
	}
	return 0, int64(s.tenant)
}
