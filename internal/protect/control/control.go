// Package control holds the catalogue of promises and runs their probes, on a
// schedule and when asked. It promises that every promise is listed, also those
// that no probe shows yet; that a probe which fails, hangs or panics is a finding
// and not an outage; that the newest findings are the same on every node and
// outlive a restart; that each finding stands in the evidence log; and that every
// control of a standard that it maps names a promise or a stated gap. What shows
// a promise is the probes' to know; they act on the running server and stand in app.
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
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
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
	// Observe is for the schedule; nil says nothing.
	Observe *observe.Observer
	// Alone runs work while no other process runs a probe: they share the canary
	// customer. Nil: there is no other process.
	Alone func(ctx context.Context, work func(context.Context) error) error
	// Customers gives those under whose policies a pledge.Judge looks; nil: nobody.
	Customers func(ctx context.Context, yield func(ids.Tenant) error) error
	// Mapping is what standards ask; nil: the one that comes with the server.
	Mapping []Mapped
	// Every is the time in which each probe runs once; an hour when zero.
	Every time.Duration
}

// Control lists promises and runs probes.
type Control struct {
	Config
	set      *db.Set
	promises []Promise
	probes   map[string]pledge.Probe
	running  sync.Mutex // of this process: one run at a time
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
	if c.Every == 0 {
		c.Every = time.Hour
	}
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	if c.Alone == nil {
		c.Alone = func(ctx context.Context, work func(context.Context) error) error { return work(ctx) }
	}
	if c.Mapping == nil {
		if c.Mapping, err = Mapping(); err != nil {
			return nil, err
		}
	}
	x := &Control{Config: c, promises: list, probes: map[string]pledge.Probe{}}
	for _, p := range slices.Concat(c.Probes, x.mapped(), x.joined()) {
		id := p.Promise()
		if x.probes[id] != nil || !slices.ContainsFunc(list, func(l Promise) bool { return l.ID == id }) {
			return nil, fault.Because(fault.Internal, fmt.Errorf("the probe of %q is doubled or shows no promise of the catalogue", id), "")
		}
		x.probes[id] = p
	}
	x.set = c.DB.Set(pkg)
	return x, nil
}

// Check runs the probes of the promises that are named, or of all, and gives each
// finding to yield as it comes, in the order of the catalogue: first those of
// customers, then the promise's own line, which carries the worst. What follows
// from other findings comes last. An unknown id is a NotFound fault.
func (x *Control) Check(ctx context.Context, yield func(pledge.Finding) error, named ...string) error {
	for _, id := range named {
		if !slices.ContainsFunc(x.promises, func(p Promise) bool { return p.ID == id }) {
			return fault.New(fault.NotFound, "There is no promise "+id+"; list the controls to see those there are.")
		}
	}
	x.running.Lock()
	defer x.running.Unlock()
	for _, following := range []bool{false, true} {
		for _, p := range x.promises {
			if len(named) > 0 && !slices.Contains(named, p.ID) || follows(x.probes[p.ID]) != following {
				continue
			}
			if err := x.check(ctx, p, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// check runs one probe, if there is one, and writes its findings down.
func (x *Control) check(ctx context.Context, p Promise, yield func(pledge.Finding) error) error {
	probe := x.probes[p.ID]
	if probe == nil {
		f := x.line(p, nil).Finding
		f.CheckedAt = x.Clock.Now().UTC()
		return yield(f)
	}
	began := x.Clock.Now()
	err := x.Alone(ctx, func(ctx context.Context) error { return x.probe(ctx, p, probe) })
	if err != nil {
		return err
	}
	seen, err := x.seen(ctx, p.ID, scope.Everyone)
	if err != nil {
		return err
	}
	line := x.line(p, seen[p.ID])
	for _, c := range line.Customers {
		if c.CheckedAt.Before(began.Truncate(time.Microsecond)) {
			continue
		}
		if err := yield(c.Finding); err != nil {
			return err
		}
	}
	return yield(line.Finding)
}

// probe looks, for the platform and for each customer that the promise is judged for.
func (x *Control) probe(ctx context.Context, p Promise, probe pledge.Probe) error {
	began := x.Clock.Now()
	if err := x.look(ctx, p, 0, probe.Check); err != nil {
		return err
	}
	judge, judges := probe.(pledge.Judge)
	if !judges || x.Customers == nil {
		return nil
	}
	err := x.Customers(ctx, func(t ids.Tenant) error {
		return x.look(ctx, p, t, func(ctx context.Context) (pledge.Status, string, error) { return judge.Judge(ctx, t) })
	})
	if err != nil {
		return err
	}
	return x.DB.Change(ctx, "forget findings of customers who left", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, x.set, "drop_gone", p.ID, clock.Micros(began))
		return err
	})
}

func (x *Control) look(ctx context.Context, p Promise, customer ids.Tenant, act func(context.Context) (pledge.Status, string, error)) error {
	f := pledge.Finding{ID: p.ID, Customer: customer}
	f.Status, f.Evidence = x.run(ctx, act)
	f.CheckedAt = x.Clock.Now().UTC()
	if err := ctx.Err(); err != nil {
		return fault.Because(fault.Unavailable, err, "The check was stopped.")
	}
	return x.note(ctx, f)
}

// run gives a probe its time. An error, a panic and a probe that does not come
// back are failures: what could not be looked at is not shown. A probe that
// ignores the end of its time is left behind.
func (x *Control) run(ctx context.Context, act func(context.Context) (pledge.Status, string, error)) (pledge.Status, string) {
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
		if err := service.Guard(func() error { r.status, r.evidence, r.err = act(own); return nil }); err != nil {
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
