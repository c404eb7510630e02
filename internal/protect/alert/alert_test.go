package alert_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/evidence"
)

// world is a board whose source and channel the test bends.
type world struct {
	*alert.Board
	now    []alert.Condition
	broken error
	told   []string
	deaf   error
}

func open(d *db.DB, c *lab.Clock) *world {
	w := &world{}
	w.Board = alert.New(alert.Config{
		DB: d, Stage: evidence.NewStage(d), IDs: ids.NewSource(c, 1, 0), Clock: c, Observe: observe.Silent(),
		Sources: map[string]alert.Source{"s": func(context.Context) ([]alert.Condition, error) { return w.now, w.broken }},
		Channels: []alert.Channel{func(_ context.Context, a alert.Alert) error {
			if w.deaf == nil {
				w.told = append(w.told, a.Text)
			}
			return w.deaf
		}},
	})
	return w
}

var schemas = []db.Schema{evidence.Schema(), alert.Schema}

// TestBoard: the same thing is one alert, told once; a deaf channel hears it
// later; what clears and comes back is new; what is acknowledged stays so.
func TestBoard(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas, func(t *testing.T, d *db.DB) {
		c := lab.NewClock(lab.Epoch)
		w := open(d, c)
		look := func() {
			t.Helper()
			if err := w.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.Wind(time.Minute)
		}
		standing := func(n, times int) []alert.Alert {
			t.Helper()
			list, err := w.Standing(t.Context())
			if err != nil || len(list) != n || n > 0 && list[0].Times != times {
				t.Fatalf("%+v %v, want %d of %d times", list, err, n, times)
			}
			return list
		}
		look()
		standing(0, 0)
		w.now = []alert.Condition{{Marker: "disk", Kind: alert.Space, Text: "full"}}
		w.deaf = errors.New("no")
		if err := w.Look(t.Context()); err == nil {
			t.Error("a deaf channel is no error")
		}
		w.deaf = nil
		look()
		look()
		a := standing(1, 3)[0]
		if fmt.Sprint(w.told) != "[full]" || a.Kind.Runbook() == "" {
			t.Errorf("told %q", w.told)
		}
		seen, err := w.Acknowledge(t.Context(), a.ID, 7, evidence.Actor{Role: evidence.ByOperator})
		if err != nil || seen.By != 7 || seen.Acknowledged.IsZero() {
			t.Errorf("%+v %v", seen, err)
		}
		if again, err := w.Acknowledge(t.Context(), a.ID, 8, evidence.Actor{Role: evidence.ByOperator}); err != nil || again.By != 7 {
			t.Errorf("%+v %v", again, err)
		}
		if _, err := w.Acknowledge(t.Context(), 99, 8, evidence.Actor{Role: evidence.ByOperator}); !fault.Is(err, fault.NotFound) {
			t.Error("an alert that there is not:", err)
		}
		w.broken = errors.New("cannot look")
		if err := w.Look(t.Context()); err == nil {
			t.Error("a broken source is no error")
		}
		standing(1, 3) // what it reported stays
		w.broken, w.now = nil, nil
		look()
		standing(0, 0)
		w.now = []alert.Condition{{Marker: "disk", Kind: alert.Space, Text: "full again"}}
		look()
		if a := standing(1, 1)[0]; !a.Acknowledged.IsZero() || fmt.Sprint(w.told) != "[full full again]" {
			t.Errorf("%+v, told %q", a, w.told)
		}
	})
}

// TestEvents: an event stands a day after it was last seen, and a lent channel
// hears what comes while it is lent.
func TestEvents(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	w := open(lab.DB(t, schemas...), c)
	heard := 0
	back := w.Lend(func(context.Context, alert.Alert) error { heard++; return nil })
	raise := func() {
		t.Helper()
		if err := w.Raise(t.Context(), alert.Condition{Marker: "g", Kind: alert.Guessing, Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(want int) {
		t.Helper()
		if err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list, err := w.Standing(t.Context()); err != nil || len(list) != want {
			t.Errorf("%+v %v", list, err)
		}
	}
	raise()
	c.Wind(20 * time.Hour)
	raise()
	c.Wind(20 * time.Hour)
	stands(1)
	c.Wind(5 * time.Hour)
	stands(0)
	back()
	raise()
	if heard != 1 || len(w.told) != 2 {
		t.Errorf("the lent channel heard %d, the other %d", heard, len(w.told))
	}
	if err := w.Drop(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	stands(0)
}

// TestBounded: however much is wrong, the list ends.
func TestBounded(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	w := open(lab.DB(t, schemas...), c)
	for i := range 1500 {
		w.now = append(w.now, alert.Condition{Marker: fmt.Sprint(i), Kind: alert.Hold, Text: "x"})
	}
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := w.List(t.Context(), 0, 5000); err != nil || len(list) != 1000 || len(w.told) != 50 {
		t.Errorf("%d alerts, %d told, %v", len(list), len(w.told), err)
	}
}

// TestGuesses: an alert at the mark of one origin and at that of all, and at each
// doubling; slow guessing and a new window raise none.
func TestGuesses(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	raised := 0
	g := &alert.Guesses{Clock: c, Raise: func(context.Context, alert.Condition) { raised++ }}
	try := func(n int, origin func(int) string) int {
		raised = 0
		for i := range n {
			g.Refused(t.Context(), origin(i))
		}
		return raised
	}
	one := func(int) string { return "a" }
	each := func(i int) string { return fmt.Sprint(i) }
	if n := try(alert.GuessesOf-1, one); n != 0 {
		t.Error("below the mark:", n)
	}
	if n := try(1, one); n != 1 {
		t.Error("at the mark:", n)
	}
	if n := try(alert.GuessesOf, one); n != 1 {
		t.Error("at the double:", n)
	}
	c.Wind(alert.GuessWindow)
	if n := try(alert.GuessesAll-1, each); n != 0 {
		t.Error("many origins below the mark:", n)
	}
	if n := try(1, each); n != 1 {
		t.Error("many origins at the mark:", n)
	}
	g.Forget()
	if n := try(alert.GuessesOf-1, one); n != 0 {
		t.Error("after forgetting:", n)
	}
}

// TestRunbook: every kind says what to do.
func TestRunbook(t *testing.T) {
	t.Parallel()
	for _, k := range alert.Kinds() {
		if k.Runbook() == "" {
			t.Errorf("%s says nothing", k)
		}
	}
}

// TestExports: one reader's sum is seen however many requests it takes, each
// doubling once, and a new window begins from nothing.
func TestExports(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	var raised []alert.Condition
	x := &alert.Exports{Clock: c, Raise: func(_ context.Context, a alert.Condition) { raised = append(raised, a) }}
	shown := func(reader string, n, want int) {
		t.Helper()
		raised = nil
		if x.Shown(t.Context(), reader, n); len(raised) != want {
			t.Errorf("%d to %s raised %+v", n, reader, raised)
		}
	}
	shown("a", alert.ExportsOf-1, 0)
	shown("b", 1, 0)
	shown("a", 1, 1)
	shown("a", 1, 0)
	shown("a", alert.ExportsOf, 1)
	shown("c", 100*alert.ExportsOf, 1)
	c.Wind(alert.ExportWindow)
	shown("a", alert.ExportsOf-1, 0)
	for i := range 10_000 {
		x.Shown(t.Context(), fmt.Sprint("many", i), 1)
	}
	shown("one too many", alert.ExportsOf, 0)
	for _, k := range alert.Kinds() {
		if k.Runbook() == "" {
			t.Errorf("%s has no line in the runbook", k)
		}
	}
}
