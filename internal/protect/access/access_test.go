package access

import (
	"context"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/scope"
	"mailvow/internal/protect/tenant"
)

// cheap keeps tests quick; the house's cost is tested once.
var cheap = Cost{Memory: 8 * limit.KiB, Passes: 1, Threads: 1}

// TestTableIsClosed: every role and scope has a line, every permission is held by
// the operator, and no line names a permission outside the closed list.
func TestTableIsClosed(t *testing.T) {
	t.Parallel()
	if len(roleTable) != len(Roles()) || len(scopeTable) != len(Scopes()) {
		t.Errorf("%d roles with %d lines, %d scopes with %d lines", len(Roles()), len(roleTable), len(Scopes()), len(scopeTable))
	}
	check := func(name string, g Grants) {
		if len(g) == 0 {
			t.Errorf("%s has no line", name)
		}
		for p := range g {
			if !slices.Contains(permissions, p) {
				t.Errorf("%s holds %s, which is not in the closed list", name, p)
			}
		}
	}
	for _, r := range Roles() {
		check(string(r), OfRole(r))
	}
	for _, s := range Scopes() {
		check(string(s), scopeTable[s])
	}
	for _, p := range Permissions() {
		if OfRole(Operator)[p] == None {
			t.Errorf("nobody runs %s: the operator lacks it", p)
		}
	}
}

// TestLadder: each role may do what the next one may, except where the table
// says otherwise on purpose; only the operator reaches over customers.
func TestLadder(t *testing.T) {
	t.Parallel()
	ladder := slices.DeleteFunc(Roles(), func(r Role) bool { return r == Auditor || r == Custodian }) // they stand beside it
	for i := range len(ladder) - 1 {
		if !OfRole(ladder[i]).Covers(OfRole(ladder[i+1])) {
			t.Errorf("%s lacks something that %s has", ladder[i], ladder[i+1])
		}
		if OfRole(ladder[i+1]).Covers(OfRole(ladder[i])) {
			t.Errorf("%s is as mighty as %s", ladder[i+1], ladder[i])
		}
	}
	for _, r := range slices.DeleteFunc(Roles()[1:], func(r Role) bool { return r == Custodian }) {
		for p, reach := range OfRole(r) {
			if reach == All {
				t.Errorf("%s reaches every customer with %s", r, p)
			}
		}
	}
	aside := OfRole(Custodian)
	if aside[MessagesTranscript] != All {
		t.Error("a custodian opens no conversation")
	}
	for p := range aside {
		if p != SessionOwn && p != GrantsTake && p != MessagesTranscript {
			t.Errorf("a custodian holds %s, which is no part of their duty", p)
		}
	}
	for _, p := range []Permission{MessagesContent, MessagesTranscript, TokensManage, CredentialsManage, MessagesSend} {
		if OfRole(Operator)[p] == All {
			t.Errorf("the operator reaches every customer with %s", p)
		}
	}
	for _, p := range OfRole(Auditor).List() {
		if p.Personal() || strings.HasSuffix(string(p), ":manage") {
			t.Errorf("an auditor has %s", p)
		}
	}
	if _, may := ForRole(5, 1, 1, Auditor).May(EvidenceRead); !may || ForRole(5, 1, 1, Auditor).Grants()[EvidenceRead] != Own || ForRole(tenant.Platform, 1, 1, Auditor).Grants()[EvidenceRead] != All {
		t.Error("an auditor of one customer sees that customer's, one of the platform all")
	}
	if len(OfRole("root")) != 0 || OfScopes("everything")[MessagesRead] != None {
		t.Error("an unknown role or scope may do something")
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	viewer := ForRole(7, 1, 1, Viewer)
	if s, ok := viewer.May(MessagesRead); !ok || s != scope.Tenant(7) {
		t.Errorf("a viewer reads its own customer's messages: %v %v", s, ok)
	}
	if s, ok := viewer.May(MessagesSend); ok || s.Allows(7) {
		t.Errorf("a viewer may not send: %v %v", s, ok)
	}
	if s, ok := ForRole(1, 1, 1, Operator).May(QueueManage); !ok || s != scope.Everyone {
		t.Errorf("the operator manages every queue: %v %v", s, ok)
	}
	var nobody Principal
	if _, ok := nobody.May(SessionOwn); ok || nobody.Known() {
		t.Error("nobody is somebody")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := NewPasswords(cheap, 2)
	phc, err := p.Hash(ctx, "Grüße aus Köln")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		phc, password string
		ok            bool
	}{
		{phc, "Grüße aus Köln", true},
		{phc, "Gru\u0308ße aus Ko\u0308ln", true}, // the same, typed on another system
		{phc, "grüße aus köln", false},
		{phc, "", false},
		{"", "Grüße aus Köln", false},
		{phc, strings.Repeat("x", MaxPassword+1), false},
	} {
		if ok, stale, err := p.Verify(ctx, c.phc, c.password); ok != c.ok || stale || err != nil {
			t.Errorf("%q: ok %v stale %v err %v", c.password, ok, stale, err)
		}
	}
	dearer := NewPasswords(Cost{Memory: 16 * limit.KiB, Passes: 1, Threads: 1}, 1)
	if ok, stale, err := dearer.Verify(ctx, phc, "Grüße aus Köln"); !ok || !stale || err != nil {
		t.Errorf("an older cost must verify and be stale: %v %v %v", ok, stale, err)
	}
	for _, bad := range []string{"elevenchars", "bad\xffutf8 but long", strings.Repeat("x", MaxPassword+1)} {
		_, err := p.Hash(ctx, bad)
		if _, field := fault.Public(err); !fault.Is(err, fault.Invalid) || field != "password" {
			t.Errorf("%.20q: want Invalid on password, got %v", bad, err)
		}
	}
	for _, damaged := range []string{"x", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"} {
		if _, _, err := p.Verify(ctx, damaged, "a long password"); !fault.Is(err, fault.Internal) {
			t.Errorf("%q: want Internal, got %v", damaged, err)
		}
	}
}

func TestHouseCost(t *testing.T) {
	t.Parallel()
	p := NewPasswords(HouseCost, 1)
	phc, err := p.Hash(context.Background(), "correct horse battery")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("%s: %v", phc, err)
	}
	if ok, stale, err := p.Verify(context.Background(), phc, "correct horse battery"); !ok || stale || err != nil {
		t.Errorf("ok %v stale %v err %v", ok, stale, err)
	}
}

// TestPasswordsAreBounded: with every place taken, a check waits and ends with
// its context instead of taking more memory.
func TestPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(cheap, 1)
	p.places.TryTake()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := p.Verify(ctx, "", "whatever it is"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("want Unavailable, got %v", err)
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		s := generate(tokenPrefix, tokenBytes)
		if seen[s] || !looksGenerated(s, tokenPrefix, tokenBytes) {
			t.Fatal(s)
		}
		seen[s] = true
	}
	if tokenBytes*8 < 160 || passwordBytes*8 < 160 || sessionBytes*8 < 256 {
		t.Error("a generated secret is too short")
	}
	if looksGenerated("mv_short", tokenPrefix, tokenBytes) || looksGenerated(strings.Repeat("a", 40), tokenPrefix, tokenBytes) {
		t.Error("what cannot be ours is looked up")
	}
}
