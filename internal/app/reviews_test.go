package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/sample"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/review"
	"mailvow/internal/protect/tenant"
)

// TestAccessIsReviewed: what a customer's review revokes is gone and stands in the
// lists for auditors; the operator's own that is missed raises an alert and fails
// the control, until it is signed.
func TestAccessIsReviewed(t *testing.T) {
	t.Parallel()
	c := &ahead{}
	h := runningBy(t, c, "", nil)
	ctx, by := t.Context(), evidence.Actor{Role: evidence.ByOwner}
	customer, err := h.tenants.Add(ctx, "Reviewed", h.Config.Region)
	must(t, err)
	in := scope.Tenant(customer.ID)
	var gone string
	for _, name := range []string{"stays", "goes"} {
		email, err := address.Parse(name + "@example.net")
		must(t, err)
		u, err := h.access.AddUser(ctx, access.House(), access.NewUser{Tenant: customer.ID, Email: email, Name: name, Role: access.Owner})
		must(t, err)
		gone = u.ID.String()
	}
	token, _, err := h.access.AddToken(ctx, access.House(), customer.ID, "t", []access.Scope{access.ScopeMessagesRead}, time.Time{})
	must(t, err)
	credential, _, err := h.access.AddCredential(ctx, customer.ID, "c")
	must(t, err)
	items, err := h.accesses(ctx, customer.ID)
	must(t, err)
	keep := map[string]bool{}
	for _, x := range items {
		keep[x.ID] = !slices.Contains([]string{gone, token.ID.String(), credential.ID.String()}, x.ID)
	}
	r, err := h.reviews.Sign(ctx, customer.ID, by, keep)
	if err != nil || r.Kept != 1 || r.Revoked != 3 {
		t.Fatalf("%+v %v", r, err)
	}
	if left, err := h.accesses(ctx, customer.ID); err != nil || len(left) != 1 || left[0].What != "user" || left[0].ID == gone {
		t.Errorf("%+v %v", left, err)
	}
	_, err = h.evidence.Await(ctx, r.Entry)
	must(t, err)
	drawn := func(list sample.List) string {
		t.Helper()
		rows, _, err := bundles{h}.Sample(ctx, in, list, c.Now().Add(-time.Hour), c.Now().Add(time.Hour))
		must(t, err)
		var names []string
		for _, x := range rows {
			names = append(names, x.What+" "+x.Target)
		}
		return strings.Join(names, ", ")
	}
	if got := drawn(sample.Leavers); got != "user.leave "+gone {
		t.Errorf("leavers: %s", got)
	}
	if got := drawn(sample.Joiners); strings.Count(got, "user.join") != 2 {
		t.Errorf("joiners: %s", got)
	}
	if got := drawn(sample.Grants); !strings.Contains(got, "access.review") {
		t.Errorf("grants: %s", got)
	}

	h.probed.Throwaway = false
	if late, err := h.unreviewedAccess(ctx); err != nil || len(late) != 0 {
		t.Fatalf("a new server: %+v %v", late, err)
	}
	c.by.Add(int64(review.QuarterOf(c.Now()).End().AddDate(0, 3, 1).Sub(c.Now())))
	late, err := h.unreviewedAccess(ctx)
	if err != nil || len(late) != 1 || late[0].Kind != alert.Review || alert.Review.Runbook() == "" {
		t.Fatalf("%+v %v", late, err)
	}
	if f := h.check(t, "ca-rbac"); f.Status != pledge.Failing || !strings.Contains(f.Evidence, "was not reviewed in") {
		t.Errorf("%+v", f)
	}
	items, err = h.accesses(ctx, tenant.Platform)
	must(t, err)
	keep = map[string]bool{}
	for _, x := range items {
		keep[x.ID] = true
	}
	_, err = h.reviews.Sign(ctx, tenant.Platform, by, keep)
	must(t, err)
	if late, err := h.unreviewedAccess(ctx); err != nil || len(late) != 0 {
		t.Errorf("signed: %+v %v", late, err)
	}
}
