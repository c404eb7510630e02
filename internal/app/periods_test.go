package app

import (
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/retain"
)

// planted is one record of a category: how it is planted now, and whether it is there.
type planted struct {
	category string
	plant    func(*testing.T, *House)
	there    func(*testing.T, *House) bool
}

// TestOneSecondDecidesInEveryStore plants a record in each store and asks its
// rule to purge what is older than a second before it, then a second after.
func TestOneSecondDecidesInEveryStore(t *testing.T) {
	long(t)
	t.Parallel()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := ""
			if postgres {
				dsn = lab.Postgres(t)
			}
			h := running(t, dsn)
			for _, p := range plants() {
				rule := h.rule(t, p.category)
				at := h.Clock.Now()
				p.plant(t, h)
				if _, err := rule.Purge(t.Context(), scope.Everyone, at.Add(-time.Second)); err != nil || !p.there(t, h) {
					t.Errorf("%s: one second too young went, %v", p.category, err)
				}
				if n, err := rule.Purge(t.Context(), scope.Everyone, h.Clock.Now().Add(time.Second)); err != nil || n == 0 || p.there(t, h) {
					t.Errorf("%s: one second too old stayed (%d went), %v", p.category, n, err)
				}
			}
		})
	}
}

func (h *House) rule(t *testing.T, category string) retain.Rule {
	t.Helper()
	for _, r := range h.retention.Rules {
		if r.Category == category {
			return r
		}
	}
	t.Fatal("no rule for " + category)
	return retain.Rule{}
}

func plants() []planted {
	const owner = ids.Tenant(7)
	return []planted{
		{"message records", func(t *testing.T, h *House) {
			u := &db.Unit{}
			e := history.Event{Message: ids.New[ids.Message](h.ids), Tenant: owner, Direction: history.Inbound, Kind: history.Accepted, At: h.Clock.Now()}
			if err := h.history.Write(u, e, history.Known{}); err != nil {
				t.Fatal(err)
			}
			must(t, h.db.Commit(t.Context(), u))
		}, func(t *testing.T, h *House) bool { return !first(h.history.Oldest(t.Context())).IsZero() }},
		{"searched subjects", func(t *testing.T, h *House) {
			u := &db.Unit{}
			e := history.Event{Message: ids.New[ids.Message](h.ids), Tenant: owner, Direction: history.Inbound, Kind: history.Accepted, At: h.Clock.Now(), Detail: history.Detail{Subject: "x"}}
			if err := h.history.Write(u, e, history.Known{}); err != nil {
				t.Fatal(err)
			}
			must(t, h.db.Commit(t.Context(), u))
			must(t, h.words.CatchUp(t.Context()))
		}, func(t *testing.T, h *House) bool { return !first(h.words.Oldest(t.Context())).IsZero() }},
		{"conversations", func(t *testing.T, h *House) {
			u := &db.Unit{}
			c := &outcome.Conversation{Steps: []outcome.Step{{At: h.Clock.Now(), Sent: "EHLO x", Got: "250"}}}
			must(t, h.history.WriteConversation(u, ids.New[ids.Attempt](h.ids), ids.New[ids.Message](h.ids), owner, history.Outbound, c, history.Known{}))
			must(t, h.db.Commit(t.Context(), u))
		}, func(t *testing.T, h *House) bool { return !first(h.history.OldestConversation(t.Context())).IsZero() }},
		{"stored answers", func(t *testing.T, h *House) {
			must(t, h.db.Change(t.Context(), "plant", func(tx *db.Tx) error {
				_, err := tx.Do(t.Context(), h.db.Set("door/httpapi"), "begin", owner, [16]byte{1}, [32]byte{2}, tx.Now())
				return err
			}))
		}, func(t *testing.T, h *House) bool {
			var body, sealed []byte
			var status int
			var created time.Time
			return h.db.Set("door/httpapi").One(t.Context(), "look", []any{owner, [16]byte{1}}, &body, &status, &sealed, &created) == nil
		}},
		{"caught mail", func(t *testing.T, h *House) {
			to, err := address.Parse("ada@example.com")
			must(t, err)
			must(t, h.inbox.Catch(t.Context(), &deliver.Parcel{Tenant: owner, Content: strings.NewReader("Subject: x\r\n\r\nx\r\n"), Recipients: []deliver.Recipient{{Address: to}}}))
		}, func(t *testing.T, h *House) bool {
			list, err := h.inbox.List(t.Context(), scope.Everyone, 0, 10)
			must(t, err)
			return len(list) > 0
		}},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func first[T any](v T, _ error) T { return v }
