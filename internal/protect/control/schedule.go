package control

import (
	"context"
	"slices"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

// Run looks at one promise after another, the one first that was not looked at for
// the longest time, so that each has its turn once in Every and no two fall
// together. A probe's failure is a finding; what could not be written down is
// logged and tried again. It returns when its context ends.
func (x *Control) Run(ctx context.Context) error {
	for clock.Sleep(ctx, x.Clock, x.Every/time.Duration(max(1, len(x.probes)))) == nil {
		if err := x.Next(ctx); err != nil && ctx.Err() == nil && x.Observe != nil {
			x.Observe.For(pkg).Log.Warn("a probe could not run or its finding not be written down", "error", err, "hint", fault.HintOf(err))
		}
	}
	return nil
}

// Next runs the probe whose finding is oldest, and what follows from it if it
// found something else than before.
func (x *Control) Next(ctx context.Context) error {
	before, err := x.seen(ctx, "", scope.Everyone)
	if err != nil {
		return err
	}
	due, oldest := "", time.Time{}
	for _, p := range x.promises {
		if x.probes[p.ID] == nil {
			continue
		}
		at := time.Time{}
		if seen := before[p.ID]; len(seen) > 0 {
			at = seen[0].CheckedAt
		}
		if due == "" || at.Before(oldest) {
			due, oldest = p.ID, at
		}
	}
	if due == "" {
		return nil
	}
	changed := false
	i := slices.IndexFunc(x.promises, func(p Promise) bool { return p.ID == due })
	old := x.line(x.promises[i], before[due]).Status
	err = x.Check(ctx, func(f pledge.Finding) error {
		changed = changed || f.Customer == 0 && f.Status != old
		return nil
	}, due)
	if err != nil || !changed || follows(x.probes[due]) {
		return err
	}
	var following []string
	for id, p := range x.probes {
		if follows(p) {
			following = append(following, id)
		}
	}
	return x.Check(ctx, func(pledge.Finding) error { return nil }, following...)
}
