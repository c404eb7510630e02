package history_test

import (
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// TestConversationsThatALawKeeps: they outlive the record of their message, are
// found by their message and their time, and go once the law lets them.
func TestConversationsThatALawKeeps(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema, history.Schema()}, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		source := ids.NewSource(c, 1, 0)
		h := history.New(d, keys.Vault(t, c, source), source, c, history.NoRedaction{})
		everybody := func(ids.Tenant, ids.Attempt) bool { return true }
		add := func(kept ids.Tenant) (ids.Message, ids.Attempt) {
			m, a, u := ids.New[ids.Message](source), ids.New[ids.Attempt](source), &db.Unit{}
			err := h.Write(u, history.Event{Message: m, Tenant: kept, Direction: history.Outbound, Kind: history.Delivered, At: c.Now(), Attempt: a}, history.Known{})
			if err == nil {
				err = h.WriteConversation(u, a, m, kept, history.Outbound, &outcome.Conversation{Steps: []outcome.Step{{At: c.Now(), Sent: "QUIT", Got: "221"}}}, history.Known{})
			}
			if err == nil {
				err = d.Commit(t.Context(), u)
			}
			if err != nil {
				t.Fatal(err)
			}
			return m, a
		}
		there := func(q history.ConversationQuery, in scope.Scope) []history.Logged {
			t.Helper()
			q.Limit = 10
			list, err := h.Conversations(t.Context(), in, q, everybody)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		old, first := add(customer)
		c.Wind(48 * time.Hour)
		young, second := add(customer)
		c.Wind(time.Hour)
		if l := there(history.ConversationQuery{}, scope.Tenant(customer)); len(l) != 2 || l[0].ID != second || l[1].ID != first || l[0].Message != young || l[0].Said.Steps[0].Sent != "QUIT" {
			t.Errorf("all of a customer: %+v", l)
		}
		if l := there(history.ConversationQuery{}, scope.Tenant(customer+1)); len(l) != 0 {
			t.Errorf("another's are shown: %+v", l)
		}
		if l := there(history.ConversationQuery{Before: second}, scope.Everyone); len(l) != 1 || l[0].ID != first {
			t.Errorf("the page after: %+v", l)
		}
		if l := there(history.ConversationQuery{To: c.Now().Add(-24 * time.Hour)}, scope.Everyone); len(l) != 1 || l[0].ID != first {
			t.Errorf("until yesterday: %+v", l)
		}
		h.Floor = func(ids.Tenant) (time.Time, string) { return c.Now().Add(-24 * time.Hour), "a law" }
		for _, m := range []ids.Message{old, young} {
			if _, err := h.Delete(t.Context(), scope.Tenant(customer), m); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Of(t.Context(), scope.Everyone, m); !fault.Is(err, fault.NotFound) {
				t.Errorf("the record is still there: %v", err)
			}
		}
		if l := there(history.ConversationQuery{Message: young}, scope.Everyone); len(l) != 1 || l[0].ID != second {
			t.Errorf("what a law keeps went with its record: %+v", l)
		}
		if l := there(history.ConversationQuery{Message: old}, scope.Everyone); len(l) != 0 {
			t.Errorf("what no law keeps any more stayed: %+v", l)
		}
		if list, err := h.Conversations(t.Context(), scope.Everyone, history.ConversationQuery{Limit: 10}, func(ids.Tenant, ids.Attempt) bool { return false }); err != nil || len(list) != 0 {
			t.Errorf("what nobody may see is given: %+v %v", list, err)
		}
	})
}

// TestBackdating: an event from the past lies where the next purge begins, also
// after one that went further.
func TestBackdating(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema, history.Schema()}, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		source := ids.NewSource(c, 1, 0)
		h := history.New(d, keys.Vault(t, c, source), source, c, history.NoRedaction{})
		e := history.Event{Message: 5, Tenant: customer, Direction: history.Inbound, Kind: history.Accepted, At: c.Now().Add(-48 * time.Hour)}
		if err := h.Backdate(t.Context(), e); !fault.Is(err, fault.Conflict) {
			t.Errorf("before nothing: %v", err)
		}
		u := &db.Unit{}
		if err := h.Write(u, history.Event{Message: ids.New[ids.Message](source), Tenant: customer, Direction: history.Inbound, Kind: history.Accepted, At: c.Now()}, history.Known{}); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := h.Purge(t.Context(), scope.Tenant(customer), c.Now().Add(-24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := h.Backdate(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if events, err := h.Of(t.Context(), scope.Tenant(customer), e.Message); err != nil || len(events) != 1 || !events[0].At.Equal(e.At) {
				t.Errorf("%+v %v", events, err)
			}
			if n, err := h.Purge(t.Context(), scope.Tenant(customer), c.Now().Add(-24*time.Hour)); err != nil || n != 1 {
				t.Errorf("%d went, %v", n, err)
			}
		}
	})
}
