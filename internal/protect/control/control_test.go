package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/lab"
	"mailvow/internal/protect/control"
	"mailvow/internal/protect/evidence"
)

// seen is a probe that answers what it was told to.
type seen struct {
	id    string
	check func(context.Context) (pledge.Status, string, error)
}

func (s seen) Promise() string { return s.id }

func (s seen) Check(ctx context.Context) (pledge.Status, string, error) { return s.check(ctx) }

func TestCatalogue(t *testing.T) {
	t.Parallel()
	list, err := control.Catalogue()
	if err != nil || len(list) != 151 {
		t.Fatalf("%d promises, %v", len(list), err)
	}
}

func TestEveryKindOfEnd(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	d := lab.DB(t, evidence.Schema(), control.Schema)
	stage := evidence.NewStage(d)
	hang := make(chan struct{})
	defer close(hang)
	x, err := control.New(control.Config{Clock: c, DB: d, Stage: stage, IDs: ids.NewSource(c, 1, 0), Limit: time.Minute, Probes: []pledge.Probe{
		seen{"ca-rest", func(context.Context) (pledge.Status, string, error) { return pledge.Kept, "seen", nil }},
		seen{"mb-tls", func(context.Context) (pledge.Status, string, error) {
			return pledge.Kept, "", errors.New("the door is shut")
		}},
		seen{"cl-dsn", func(context.Context) (pledge.Status, string, error) { panic("a defect") }},
		seen{"cl-retry", func(context.Context) (pledge.Status, string, error) { <-hang; return pledge.Kept, "", nil }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]pledge.Finding{}
	done := make(chan error, 1)
	go func() {
		done <- x.Check(t.Context(), func(f pledge.Finding) error { got[f.ID] = f; return nil })
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(5 * time.Millisecond):
			c.Wind(10 * time.Second)
			continue
		}
		break
	}
	if len(got) != 151 {
		t.Errorf("%d findings", len(got))
	}
	for id, want := range map[string]struct {
		status pledge.Status
		text   string
	}{
		"ca-rest": {pledge.Kept, "seen"}, "mb-tls": {pledge.Failing, "the door is shut"}, "cl-dsn": {pledge.Failing, "a defect"},
		"cl-retry": {pledge.Failing, "did not end within 1m0s"}, "mb-mfa": {pledge.NotYet, "no probe"},
		"ca-gdpr": {pledge.Failing, "gdpr Art. 32(1)(a) rests on mb-tls"},
	} {
		if f := got[id]; f.Status != want.status || !strings.Contains(f.Evidence, want.text) {
			t.Errorf("%s: %+v", id, f)
		}
	}
	rows, err := stage.Staged(t.Context(), 100)
	if err != nil || len(rows) != 4+4 { // and the four that follow from others
		t.Errorf("%d results are in the evidence, %v", len(rows), err)
	}
	if err := x.Check(t.Context(), func(pledge.Finding) error { return nil }, "mb-everything"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown promise: %v", err)
	}
}

func TestAProbeNeedsAPromise(t *testing.T) {
	t.Parallel()
	if _, err := control.New(control.Config{Probes: []pledge.Probe{seen{id: "nothing"}}}); err == nil {
		t.Error("a probe of no promise passed")
	}
}
