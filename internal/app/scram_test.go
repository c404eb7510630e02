package app

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
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

	// When nobody can say who may send, the peer hears that it may try again, and
	// the operator why.
	var log strings.Builder
	desk.log, desk.floors, desk.senders = slog.New(slog.NewTextHandler(&log, nil)), h.floors(), lost{}
	sender, err := address.Parse("ann@acme.example")
	must(t, err)
	mail := &smtpserver.Transaction{Peer: smtpserver.Peer{Role: smtpserver.Submission, IP: netip.MustParseAddr("127.0.0.1")}, Sender: sender}
	if r := desk.Mail(t.Context(), mail); r == nil || r.Code != 451 || !strings.Contains(log.String(), "the table of domains is damaged") {
		t.Errorf("%v, logged %q", r, log.String())
	}
}

// lost cannot say who may send.
type lost struct{}

func (lost) MaySend(context.Context, ids.Tenant, address.Address) error {
	return fault.New(fault.Internal, "the table of domains is damaged")
}
