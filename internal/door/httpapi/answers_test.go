package httpapi

import (
	"strings"
	"testing"

	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/access"
)

// TestAStoredAnswerIsErased: what is kept for a repeat is found, handed over and
// erased with the person; a repeat still does nothing twice.
func TestAStoredAnswerIsErased(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		b := benchOn(t, config)
		owner, key := b.as(t, b.acme, access.Owner), header("Idempotency-Key", "k1")
		body := `{"email":"Ann@acme.example","name":"New","role":"viewer"}`
		if r := b.call("POST", "/v1/users", body, owner, key); r.Code != 201 {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		b.call("POST", "/v1/users", `{"email":"bob@acme.example","name":"New","role":"viewer"}`, owner, header("Idempotency-Key", "k2"))
		h := Answers{DB: b.parts.DB, Vault: b.parts.Vault}
		ann, err := addressAt("x", "ann@acme.example")
		must(t, err)
		find := func(in scope.Scope) int {
			t.Helper()
			list, err := h.Find(t.Context(), pledge.Subject{Scope: in, Address: ann})
			must(t, err)
			return len(list)
		}
		who := pledge.Subject{Scope: scope.Tenant(b.acme), Address: ann}
		if find(who.Scope) != 1 || find(scope.Everyone) != 1 || find(scope.Tenant(b.other)) != 0 {
			t.Error("the stored answer is not found, or not by its customer alone")
		}
		must(t, h.HandOver(t.Context(), who, func(r pledge.Record) error {
			if !strings.Contains(strings.ToLower(r.Fields["answer"]), "ann@acme.example") {
				t.Errorf("handed over %v", r.Fields)
			}
			return nil
		}))
		for _, want := range []int{1, 0} {
			if gone, err := h.Erase(t.Context(), who); err != nil || gone[0].Count != want {
				t.Errorf("erased %+v, %v", gone, err)
			}
		}
		if r := b.call("POST", "/v1/users", body, owner, key); r.Code != 409 || strings.Contains(strings.ToLower(r.Body.String()), "ann@") {
			t.Errorf("a repeat after the erasure: %d %s", r.Code, r.Body)
		}
		if r := b.call("POST", "/v1/users", `{"email":"bob@acme.example","name":"New","role":"viewer"}`, owner, header("Idempotency-Key", "k2")); r.Code != 201 {
			t.Errorf("somebody else's answer: %d", r.Code)
		}
	})
}
