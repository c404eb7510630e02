package app

import (
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/smtpserver"
)

// TestScramMovesLastUsed: a credential is used once its proof was shown, and not
// by asking for its verifier.
func TestScramMovesLastUsed(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	customer, err := h.tenants.Add(t.Context(), "Acme", "")
	must(t, err)
	c, _, err := h.access.AddCredential(t.Context(), customer.ID, "shop")
	must(t, err)
	desk := &mailDesk{access: h.access, log: h.observe.Log}
	used := func() bool {
		list, err := h.access.Credentials(t.Context(), scope.Tenant(customer.ID), ids.Credential(0), 10)
		must(t, err)
		return len(list) == 1 && !list[0].Used.IsZero()
	}
	if v, r := desk.Scram(t.Context(), &smtpserver.Peer{}, c.Username); r != nil || v.Iterations == 0 || used() {
		t.Errorf("asking for the verifier: %v, used %t", r, used())
	}
	who, r := desk.Proved(t.Context(), &smtpserver.Peer{}, c.Username)
	if r != nil || who.Tenant != customer.ID || who.Credential != c.ID || !used() {
		t.Errorf("after the proof: %v, %v, used %t", who, r, used())
	}
	must(t, h.access.RemoveCredential(t.Context(), scope.Tenant(customer.ID), c.ID))
	if who, r := desk.Proved(t.Context(), &smtpserver.Peer{}, c.Username); r == nil || r.Code != 535 || who != (smtpserver.Identity{}) {
		t.Errorf("a removed credential is %v, %v", who, r)
	}
}
