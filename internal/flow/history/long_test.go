package history_test

import (
	"testing"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

// TestNoTimelineIsCut: a message that a thousand recipients refuse for days has
// more rows than are read at once. What erases a person from it, and what lists
// it among others, must see them all.
func TestNoTimelineIsCut(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{lookup.Schema, history.Schema()}, func(t *testing.T, d *db.DB) {
		rows := []int{60, 700, 60} // oldest first
		source := ids.NewSource(clock.Wall{}, 1, 0)
		h := history.New(d, keys.Vault(t, clock.Wall{}, source), source, clock.Wall{}, history.NoRedaction{})
		var messages []ids.Message
		for _, n := range rows {
			m := ids.New[ids.Message](source)
			messages = append([]ids.Message{m}, messages...) // newest first
			u := &db.Unit{}
			for i := range n {
				e := history.Event{Message: m, Tenant: customer, Direction: history.Outbound, Kind: history.Deferred, At: lab.Epoch.Add(time.Duration(i/100) * time.Hour)}
				if i == 0 {
					e.Kind = history.Accepted
				}
				if err := h.Write(u, e, history.Known{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		if events, err := h.Of(t.Context(), scope.Tenant(customer), messages[1]); err != nil || len(events) != rows[1] || events[0].Kind != history.Accepted {
			t.Errorf("%d of %d rows, %v", len(events), rows[1], err)
		}
		seen := map[ids.Message]int{}
		var order []ids.Message
		err := h.OfMany(t.Context(), scope.Tenant(customer), messages, func(events []history.Event) error {
			for _, e := range events {
				if seen[e.Message]++; seen[e.Message] == 1 {
					order = append(order, e.Message)
				}
			}
			return nil
		})
		for i, m := range messages {
			if seen[m] != rows[2-i] || len(order) != 3 || order[i] != m {
				t.Errorf("message %d has %d of %d rows; order %v, %v", i, seen[m], rows[2-i], order, err)
			}
		}
		if page, _, err := h.Search(t.Context(), scope.Tenant(customer), history.Query{}); err != nil || len(page) != 3 {
			t.Errorf("%d of 3 messages are listed, %v", len(page), err)
		}
	})
}
