package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailvow/internal/app/stored"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/tenant"
)

// archive is history under policies and a clock that is wound.
type archive struct {
	*history.History
	t        *testing.T
	db       *db.DB
	clock    *lab.Clock
	vault    *vault.Vault
	source   *ids.Source
	policies *policy.Store
	engine   *retain.Engine
	stage    *evidence.Stage
	messages map[ids.Tenant]ids.Message
	attempts map[ids.Tenant]ids.Attempt
}

func newArchive(t *testing.T, config db.Config) *archive {
	t.Helper()
	a := &archive{t: t, clock: lab.NewClock(lab.Epoch), messages: map[ids.Tenant]ids.Message{}, attempts: map[ids.Tenant]ids.Attempt{}}
	config.Clock, config.Wind = a.clock, func(time.Time) time.Time { return a.clock.Now() }
	a.db = lab.OpenDB(t, config, stored.Schemas()...)
	a.source, a.stage = ids.NewSource(a.clock, 1, 0), evidence.NewStage(a.db)
	a.vault = keys.Vault(t, a.clock, a.source)
	all, err := stored.Inventory()
	must(t, err)
	a.policies, err = policy.New(t.Context(), policy.Config{
		DB: a.db, Stage: a.stage, IDs: a.source, Clock: a.clock, Observe: observe.Silent(), Known: known(),
	})
	must(t, err)
	a.History = history.New(a.db, a.vault, a.source, a.clock, redaction{a.policies, a.clock})
	rules := []retain.Rule{
		{Category: "message records", Purge: a.Purge, Oldest: a.Oldest},
		{Category: "conversations", Purge: a.PurgeConversations, Oldest: a.OldestConversation},
	}
	nothing := func(context.Context, scope.Scope, time.Time) (int, error) { return 0, nil }
	for _, e := range all.Entries() {
		if e.Period.Ceiling > 0 && e.Name != rules[0].Category && e.Name != rules[1].Category {
			rules = append(rules, retain.Rule{Category: e.Name, Purge: nothing})
		}
	}
	a.engine, err = retain.New(retain.Config{
		Inventory: all, Rules: rules, DB: a.db, Vault: a.vault, Stage: a.stage, IDs: a.source, Clock: a.clock, Observe: observe.Silent(), Policies: a.policies,
		Keys: []retain.Keys{
			{Class: vault.Trace, Of: []string{"message records"}, Needs: []string{"message records"}},
			{Class: vault.Transcript, Of: []string{"conversations"}, Needs: []string{"conversations"}},
		},
	})
	must(t, err)
	return a
}

func (a *archive) publish(of ids.Tenant, text string) {
	a.t.Helper()
	_, verdict, err := a.policies.Publish(a.t.Context(), policy.Draft{Tenant: of, Text: text, Role: evidence.ByOperator, Note: "test"})
	if err != nil {
		a.t.Fatal(err)
	}
	if wait := verdict.Effective.Sub(a.clock.Now()); wait > 0 {
		a.clock.Wind(wait)
	}
}

// plant writes a record and a conversation of a customer now.
func (a *archive) plant(of ...ids.Tenant) {
	a.t.Helper()
	for _, t := range of {
		u := &db.Unit{}
		m, attempt := ids.New[ids.Message](a.source), ids.New[ids.Attempt](a.source)
		must(a.t, a.Write(u, history.Event{Message: m, Tenant: t, Direction: history.Outbound, Kind: history.Accepted, At: a.clock.Now()}, history.Known{}))
		c := &outcome.Conversation{Steps: []outcome.Step{{At: a.clock.Now(), Sent: "EHLO x", Got: "250"}}}
		must(a.t, a.WriteConversation(u, attempt, m, t, history.Outbound, c, history.Known{}))
		must(a.t, a.db.Commit(a.t.Context(), u))
		a.messages[t], a.attempts[t] = m, attempt
	}
}

// at winds to a time and makes a pass.
func (a *archive) at(when time.Time) {
	a.t.Helper()
	a.clock.Wind(when.Sub(a.clock.Now()))
	must(a.t, a.engine.Pass(a.t.Context()))
}

// records and talks name, by customer, what can be opened.
func (a *archive) records() string {
	var b strings.Builder
	for t := ids.Tenant(11); t <= 15; t++ {
		if _, err := a.Of(a.t.Context(), scope.Tenant(t), a.messages[t]); err == nil {
			b.WriteByte(byte('A' + t - 11))
		}
	}
	return b.String()
}

func (a *archive) talks() string {
	var b strings.Builder
	for t := ids.Tenant(11); t <= 15; t++ {
		if _, err := a.Conversation(a.t.Context(), scope.Tenant(t), a.attempts[t]); err == nil {
			b.WriteByte(byte('A' + t - 11))
		}
	}
	return b.String()
}

func (a *archive) epochs(of ids.Tenant, class vault.Class) int {
	a.t.Helper()
	list, err := a.vault.Epochs(a.t.Context(), of)
	must(a.t, err)
	n := 0
	for _, x := range list {
		if x.Class == class {
			n++
		}
	}
	return n
}

// TestEachCustomerIsKeptByItsOwnPolicy: 14 days, 12 months by law, 90 days and
// the platform's 24 months, side by side. A second before the end everything is
// there, a second after it nothing.
func TestEachCustomerIsKeptByItsOwnPolicy(t *testing.T) {
	long(t)
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		a := newArchive(t, config)
		a.publish(tenant.Platform, "retention: {message records: 24mo, conversations: 24mo}\nnotice: {policy: 0d}\n")
		a.publish(11, "retention: {message records: 14d, conversations: 14d}")
		a.publish(12, "retention: {conversations: {at_least: 12mo, at_most: 12mo, law: retention of telecommunication logs}}")
		a.publish(13, "retention: {message records: 90d}")
		start := a.clock.Now()
		a.plant(11, 12, 13, 14)
		for _, c := range []struct {
			end                     time.Time
			before, after           string
			talksBefore, talksAfter string
		}{
			{start.AddDate(0, 0, 14), "ABCD", "BCD", "ABCD", "BCD"},
			{start.AddDate(0, 0, 90), "BCD", "BD", "BCD", "BCD"},
			{start.AddDate(1, 0, 0), "BD", "BD", "BCD", "CD"},
			{start.AddDate(2, 0, 0), "BD", "", "CD", ""},
		} {
			a.at(c.end.Add(-time.Second))
			if r, talks := a.records(), a.talks(); r != c.before || talks != c.talksBefore {
				t.Errorf("a second before %s: records %q, conversations %q, want %q, %q", c.end, r, talks, c.before, c.talksBefore)
			}
			a.at(c.end.Add(time.Second))
			if r, talks := a.records(), a.talks(); r != c.after || talks != c.talksAfter {
				t.Errorf("a second after %s: records %q, conversations %q, want %q, %q", c.end, r, talks, c.after, c.talksAfter)
			}
			// Keys go a day after what they opened, each customer's own.
			a.at(c.end.Add(49 * time.Hour))
			for tenant := ids.Tenant(11); tenant <= 14; tenant++ {
				name := string(rune('A' + tenant - 11))
				if got, want := a.epochs(tenant, vault.Trace) > 0, strings.Contains(c.after, name); got != want {
					t.Errorf("after %s the trace key of %s is there: %v, want %v", c.end, name, got, want)
				}
				if got, want := a.epochs(tenant, vault.Transcript) > 0, strings.Contains(c.talksAfter, name); got != want {
					t.Errorf("after %s the transcript key of %s is there: %v, want %v", c.end, name, got, want)
				}
			}
		}
	})
}

// TestAChangeNeedsNoRestartAndUndercutsNoFloor: a policy that becomes stricter is
// kept at the next pass, and a customer's legal floor stands above a ceiling that
// the platform lowered afterwards.
func TestAChangeNeedsNoRestartAndUndercutsNoFloor(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		a := newArchive(t, config)
		a.publish(tenant.Platform, "retention: {message records: 24mo, conversations: 24mo}\nnotice: {policy: 0d}\n")
		a.publish(15, "retention: {conversations: {at_least: 12mo, at_most: 12mo, law: retention of telecommunication logs}}")
		start := a.clock.Now()
		a.plant(13, 14, 15)
		a.at(start.AddDate(0, 0, 40))
		if r, talks := a.records(), a.talks(); r != "CDE" || talks != "CDE" {
			t.Fatalf("after 40 days: %q, %q", r, talks)
		}
		a.publish(13, "retention: {message records: 30d}")
		a.at(a.clock.Now())
		if r := a.records(); r != "DE" {
			t.Errorf("after the customer's change: %q", r)
		}
		a.publish(tenant.Platform, "retention: {message records: 24mo, conversations: 30d}\nnotice: {policy: 0d}\n")
		a.at(a.clock.Now())
		if talks := a.talks(); talks != "E" {
			t.Errorf("after the platform's change: %q", talks)
		}
		a.at(start.AddDate(1, 0, 0).Add(-time.Second))
		if talks := a.talks(); talks != "E" {
			t.Errorf("a second before its floor ends: %q", talks)
		}
		a.at(start.AddDate(1, 0, 0).Add(time.Second))
		if talks := a.talks(); talks != "" {
			t.Errorf("a second after its floor ended: %q", talks)
		}
	})
}
