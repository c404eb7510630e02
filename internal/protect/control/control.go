// Package control holds the catalogue of promises and runs their probes. It
// promises that every promise is listed, also those that no probe shows yet; that
// a probe which fails, hangs or panics is a finding and not an outage; and that
// each finding stands in the evidence log. What shows a promise is the probes'
// to know; they act on the running server and stand in app.
package control

import (
	"context"
	_ "embed" // the catalogue
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/service"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

//go:embed catalogue.yaml
var catalogue []byte

// Kind says who keeps a promise.
type Kind string

// The kinds.
const (
	Technical      Kind = "technical"      // the server enforces and probes it
	Organisational Kind = "organisational" // people do it; the server keeps an attestation
)

// Promise is one line of the catalogue.
type Promise struct {
	ID   string `yaml:"id" json:"id"`
	Line string `yaml:"line" json:"line"` // the product line that it belongs to
	Kind Kind   `yaml:"kind" json:"kind"`
	Says string `yaml:"says" json:"says"`
}

// Catalogue reads the promises. A doubled or incomplete one is a fault.
func Catalogue() ([]Promise, error) {
	var list []Promise
	if err := yaml.UnmarshalWithOptions(catalogue, &list, yaml.Strict()); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	seen := map[string]bool{}
	for _, p := range list {
		if p.ID == "" || p.Line == "" || p.Says == "" || p.Kind != Technical && p.Kind != Organisational || seen[p.ID] {
			return nil, fault.Because(fault.Internal, fmt.Errorf("the promise %q is doubled or incomplete", p.ID), "")
		}
		seen[p.ID] = true
	}
	return list, nil
}

// Config is what controls stand on.
type Config struct {
	Probes []pledge.Probe
	// Limit is how long one probe may take; two minutes when zero.
	Limit time.Duration
	Clock clock.Clock
	DB    *db.DB
	Stage *evidence.Stage
	Nudge func() // something was staged
	IDs   *ids.Source
}

// Control lists promises and runs probes.
type Control struct {
	Config
	promises []Promise
	probes   map[string]pledge.Probe
	running  sync.Mutex // probes share the canary customer: one run at a time
	mu       sync.Mutex
	last     map[string]pledge.Finding
}

// New checks that every probe shows a promise of the catalogue, and none twice.
func New(c Config) (*Control, error) {
	list, err := Catalogue()
	if err != nil {
		return nil, err
	}
	if c.Limit == 0 {
		c.Limit = 2 * time.Minute
	}
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	x := &Control{Config: c, promises: list, probes: map[string]pledge.Probe{}, last: map[string]pledge.Finding{}}
	for _, p := range c.Probes {
		id := p.Promise()
		if x.probes[id] != nil || !slices.ContainsFunc(list, func(l Promise) bool { return l.ID == id }) {
			return nil, fault.Because(fault.Internal, fmt.Errorf("the probe of %q is doubled or shows no promise of the catalogue", id), "")
		}
		x.probes[id] = p
	}
	return x, nil
}

// Line is a promise with what was last seen of it.
type Line struct {
	Promise
	Probed  bool // there is a probe that can show it
	Finding pledge.Finding
}

// List gives every promise with its newest finding of this process.
func (x *Control) List() []Line {
	x.mu.Lock()
	defer x.mu.Unlock()
	lines := make([]Line, len(x.promises))
	for i, p := range x.promises {
		f, seen := x.last[p.ID]
		if !seen {
			f = pledge.Finding{ID: p.ID, Status: pledge.NotYet, Evidence: "no probe shows it yet"}
			if x.probes[p.ID] != nil {
				f.Evidence = "its probe has not run since the server started"
			}
		}
		lines[i] = Line{p, x.probes[p.ID] != nil, f}
	}
	return lines
}

// Check runs the probes of the promises that are named, or of all, and gives
// each finding to yield as it comes, in the order of the catalogue. An unknown
// id is a NotFound fault.
func (x *Control) Check(ctx context.Context, yield func(pledge.Finding) error, named ...string) error {
	for _, id := range named {
		if !slices.ContainsFunc(x.promises, func(p Promise) bool { return p.ID == id }) {
			return fault.New(fault.NotFound, "There is no promise "+id+"; list the controls to see those there are.")
		}
	}
	x.running.Lock()
	defer x.running.Unlock()
	for _, p := range x.promises {
		if len(named) > 0 && !slices.Contains(named, p.ID) {
			continue
		}
		f, err := x.check(ctx, p)
		if err == nil {
			err = yield(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check runs one probe, if there is one, and writes its finding down.
func (x *Control) check(ctx context.Context, p Promise) (pledge.Finding, error) {
	f := pledge.Finding{ID: p.ID, Status: pledge.NotYet, Evidence: "no probe shows it yet"}
	probe := x.probes[p.ID]
	if probe == nil {
		f.CheckedAt = x.Clock.Now().UTC()
		return f, nil
	}
	f.Status, f.Evidence = x.run(ctx, probe)
	f.CheckedAt = x.Clock.Now().UTC()
	if err := ctx.Err(); err != nil {
		return f, fault.Because(fault.Unavailable, err, "The check was stopped.")
	}
	x.mu.Lock()
	x.last[p.ID] = f
	x.mu.Unlock()
	return f, x.record(ctx, f)
}

// run gives a probe its time. An error, a panic and a probe that does not come
// back are failures: what could not be looked at is not shown. A probe that
// ignores the end of its time is left behind.
func (x *Control) run(ctx context.Context, probe pledge.Probe) (pledge.Status, string) {
	type result struct {
		status   pledge.Status
		evidence string
		err      error
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		if err := service.Guard(func() error { r.status, r.evidence, r.err = probe.Check(own); return nil }); err != nil {
			r.err = err
		}
		done <- r
	}()
	t := x.Clock.NewTimer(x.Limit)
	defer t.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			return pledge.Failing, "the probe could not look: " + clip(r.err.Error())
		}
		return r.status, clip(r.evidence)
	case <-t.C():
		return pledge.Failing, fmt.Sprintf("the probe did not end within %v", x.Limit)
	case <-ctx.Done():
		return pledge.Failing, "the check was stopped"
	}
}

// clip bounds an evidence text.
func clip(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (x *Control) record(ctx context.Context, f pledge.Finding) error {
	if x.Stage == nil {
		return nil
	}
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](x.IDs), At: evidence.On(f.CheckedAt), By: evidence.Actor{Role: evidence.BySystem},
		Body: &evidence.ProbeResult{Promise: f.ID, Status: f.Status, Evidence: evidence.DigestOf([]byte(f.Evidence))},
	}
	err := x.DB.Change(ctx, "stage a probe's result", func(tx *db.Tx) error { return x.Stage.Stage(ctx, tx, leaf) })
	x.Nudge()
	return fault.Wrap(err, "record a probe's result")
}
