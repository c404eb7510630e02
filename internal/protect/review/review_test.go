package review_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/review"
)

// TestReview: a review decides about everything or is not signed, revokes before it
// is, once a quarter; an account whose last one is too old is overdue until then.
func TestReview(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{evidence.Schema(), review.Schema}, func(t *testing.T, d *db.DB) {
		c, ctx, of := lab.NewClock(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)), t.Context(), ids.Tenant(5)
		items := []review.Item{{What: "user", ID: "usr_a"}, {What: "token", ID: "tok_b"}}
		began, by := c.Now(), evidence.Actor{Role: evidence.ByOwner}
		stage := evidence.NewStage(d)
		desk := review.New(review.Config{
			DB: d, Stage: stage, Nudge: func() {}, IDs: ids.NewSource(c, 1, 0), Clock: c,
			Items: func(context.Context, ids.Tenant) ([]review.Item, error) { return slices.Clone(items), nil },
			Revoke: func(_ context.Context, _ ids.Tenant, x review.Item) error {
				items = slices.DeleteFunc(items, func(o review.Item) bool { return o.ID == x.ID })
				return nil
			},
			Began: func(context.Context, ids.Tenant) (time.Time, error) { return began, nil },
		})
		stands := func(quarter string, signed, overdue bool) {
			t.Helper()
			s, err := desk.State(ctx, of)
			if err != nil || s.Quarter.String() != quarter || s.Signed != signed || s.Overdue != overdue || !s.Due.Equal(s.Quarter.End()) {
				t.Errorf("%+v %v", s, err)
			}
		}
		stands("2026-Q4", false, false)
		if _, err := desk.Sign(ctx, of, by, map[string]bool{"usr_a": true}); !fault.Is(err, fault.Conflict) {
			t.Error("one access is not decided about:", err)
		}
		if _, err := desk.Sign(ctx, of, by, map[string]bool{"usr_a": true, "tok_b": false, "tok_c": true}); !fault.Is(err, fault.Invalid) || len(items) != 2 {
			t.Error("an access that there is not:", err)
		}
		r, err := desk.Sign(ctx, of, by, map[string]bool{"usr_a": true, "tok_b": false})
		if err != nil || r.Kept != 1 || r.Revoked != 1 || len(items) != 1 || items[0].ID != "usr_a" {
			t.Fatalf("%+v %v, left %v", r, err, items)
		}
		stands("2026-Q4", true, false)
		if _, err := desk.Sign(ctx, of, by, map[string]bool{"usr_a": true}); !fault.Is(err, fault.Conflict) {
			t.Error("twice in a quarter:", err)
		}
		c.Wind(45 * 24 * time.Hour)
		stands("2027-Q1", false, false)
		c.Wind(90 * 24 * time.Hour)
		stands("2027-Q2", false, true)
		if s, err := desk.State(ctx, of); err != nil || len(s.Past) != 1 || s.Past[0].Decisions != "user usr_a keep\ntoken tok_b revoke" || s.Past[0].By != evidence.ByOwner {
			t.Errorf("%+v %v", s, err)
		}
		if _, err := desk.Sign(ctx, of, by, map[string]bool{"usr_a": true}); err != nil {
			t.Error(err)
		}
		stands("2027-Q2", true, false)
		if rows, err := stage.Staged(ctx, 10); err != nil || len(rows) != 2 {
			t.Errorf("%d entries, %v", len(rows), err)
		}
		of, began = 6, c.Now().AddDate(0, -2, 0)
		stands("2027-Q2", false, false) // it is younger than the quarter before
		began = c.Now().AddDate(-1, 0, 0)
		stands("2027-Q2", false, true)
	})
}
