package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mailvow/internal/app/probes"
	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/scope"
	"mailvow/internal/product/trust/incident"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
)

// ask calls the API of a running server with a token.
func (h *House) ask(t *testing.T, token, method, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.probed.Doors["http"]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = h.Config.Hostname
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

// canaryUser makes a user of the canary's.
func (h *House) canaryUser(t *testing.T, c probes.Canary, email string, role access.Role) access.User {
	t.Helper()
	a, err := address.Parse(email)
	if err != nil {
		t.Fatal(err)
	}
	u, err := h.access.AddUser(t.Context(), access.House(), access.NewUser{Tenant: c.Tenant, Email: a, Name: "X", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAStolenToken: from what it read to who must be told, contained and undone, on
// the running server.
func TestAStolenToken(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	ctx, by := t.Context(), evidence.Actor{Role: evidence.ByOperator}
	c, err := h.canaryCustomer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		h.canaryUser(t, c, fmt.Sprintf("person%d@example.net", i), access.Owner)
	}
	began := h.Clock.Now().Add(-time.Second)
	if status, body := h.ask(t, c.Token, http.MethodGet, "/v1/users"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	ask := incident.Selector{Token: c.TokenID, Since: began}
	found, err := h.incidents.Scope(ctx, ask, nil)
	if err != nil || found.Persons != 3 || len(found.Customers) != 1 || found.Customers[0].Tenant != c.Tenant || found.Customers[0].Categories[0].Name != "users" {
		t.Fatalf("%+v %v", found, err)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	if err := h.sealedList(ctx, ask, key.Recipient().String(), &sealed); err != nil || strings.Contains(sealed.String(), "example.net") {
		t.Fatalf("the list is not sealed: %v", err)
	}
	opened, err := age.Decrypt(&sealed, key)
	if err != nil {
		t.Fatal(err)
	}
	persons := 0
	for d := json.NewDecoder(opened); d.More(); persons++ {
		var p incident.Person
		if err := d.Decode(&p); err != nil || !strings.HasSuffix(p.Address, "@example.net") || p.Customer != c.Tenant {
			t.Fatalf("%+v %v", p, err)
		}
	}
	if persons != 3 {
		t.Errorf("%d persons in the list", persons)
	}
	if err := h.sealedList(ctx, ask, "nobody", io.Discard); !fault.Is(err, fault.Invalid) {
		t.Errorf("for no recipient: %v", err)
	}
	x, err := h.incidents.Open(ctx, incident.Opening{Title: "A stolen token", Scope: &found}, by)
	if err != nil {
		t.Fatal(err)
	}
	if x, err = h.incidents.Contain(ctx, x.ID, by); err != nil || x.State != incident.Contained {
		t.Fatalf("%+v %v", x, err)
	}
	if status, _ := h.ask(t, c.Token, http.MethodGet, "/v1/users"); status != http.StatusUnauthorized {
		t.Errorf("the stolen token is answered %d", status)
	}
	if pauses, err := h.queue.Pauses(ctx, scope.Tenant(c.Tenant)); err != nil || len(pauses) != 1 {
		t.Errorf("%d pauses, %v", len(pauses), err)
	}
	if err := h.incidents.Frozen(ctx, scope.Tenant(c.Tenant)); !fault.Is(err, fault.Conflict) {
		t.Errorf("exports: %v", err)
	}
	if x, err = h.incidents.Release(ctx, x.ID, by); err != nil || x.State != incident.Open {
		t.Fatalf("%+v %v", x, err)
	}
	if pauses, err := h.queue.Pauses(ctx, scope.Tenant(c.Tenant)); err != nil || len(pauses) != 0 {
		t.Errorf("%d pauses after the release, %v", len(pauses), err)
	}
	if list, err := h.access.Users(ctx, scope.Tenant(c.Tenant), 1<<63-1, 10); err != nil || len(list) != 3 {
		t.Errorf("what the rotated key sealed cannot be opened: %d %v", len(list), err)
	}
}

// TestAStolenAccount: containing keeps a user out with sessions and tokens, also the
// last owner, and lets them in again.
func TestAStolenAccount(t *testing.T) {
	t.Parallel()
	h := running(t, "")
	ctx, by := t.Context(), evidence.Actor{Role: evidence.ByOperator}
	c, err := h.canaryCustomer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	u := h.canaryUser(t, c, "owner@example.net", access.Owner)
	link, _, err := h.access.Link(ctx, access.House(), scope.Everyone, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	session, who, err := h.access.SignInByLink(ctx, link)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := h.access.AddToken(ctx, who, c.Tenant, "x", []access.Scope{access.ScopeUsersManage}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := h.incidents.Open(ctx, incident.Opening{Title: "x", Scope: &incident.Scope{Selector: incident.Selector{User: u.ID, Since: h.Clock.Now().Add(-time.Hour), Until: h.Clock.Now()}}}, by)
	if err == nil {
		x, err = h.incidents.Contain(ctx, x.ID, by)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.access.Session(ctx, session); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the session: %v", err)
	}
	if status, _ := h.ask(t, token, http.MethodGet, "/v1/users"); status != http.StatusUnauthorized {
		t.Errorf("the user's token is answered %d", status)
	}
	if _, err := h.incidents.Release(ctx, x.ID, by); err != nil {
		t.Fatal(err)
	}
	if back, err := h.access.User(ctx, scope.Everyone, u.ID); err != nil || back.State != access.UserActive {
		t.Errorf("%+v %v", back, err)
	}
}
