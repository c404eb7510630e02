package backup

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

const (
	lookEvery  = time.Minute
	againAfter = 10 * time.Minute // after a failure
	// MirrorEvery is how old the newest state of the streams can be elsewhere.
	MirrorEvery = 30 * time.Second
)

// before is how long before its end a period's work begins.
func before(d time.Duration) time.Duration { return min(d/10, time.Hour) }

// Late says what is overdue, in words, or nothing.
func (s State) Late(now time.Time) []string {
	var late []string
	switch {
	case !s.Configured:
		return []string{"no backups are configured"}
	case s.Count == 0:
		late = append(late, "there is no backup yet")
	case now.Sub(s.Newest) > s.Periods.Every:
		late = append(late, "the newest backup is older than the policy's "+s.Periods.Every.String())
	}
	if s.Count > 0 && now.Sub(s.Oldest) > s.Periods.Keep+lookEvery+againAfter {
		late = append(late, "the oldest backup is older than the policy's "+s.Periods.Keep.String())
	}
	switch {
	case s.Drill.At.IsZero():
		late = append(late, "no restore was tried yet")
	case !s.Drill.Good:
		late = append(late, "the last restore that was tried failed: "+s.Drill.Note)
	case now.Sub(s.Drill.At) > s.Periods.Drill:
		late = append(late, "the last restore was tried longer ago than the policy's "+s.Periods.Drill.String())
	}
	return late
}

// Run keeps the periods until its context ends. One process at a time runs it.
func (k *Keeper) Run(ctx context.Context) error {
	log := k.Observe.For(pkg).Log
	for ctx.Err() == nil {
		wait := lookEvery
		err := k.Look(ctx)
		if s, err := k.State(ctx); err == nil {
			k.gauges.show(s)
			k.warn(s)
		}
		if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Conflict) {
			log.Error("a backup is due and could not be made, tried or removed", "error", err)
			wait = againAfter
		}
		if clock.Sleep(ctx, k.Clock, wait) != nil {
			return nil
		}
	}
	return nil
}

// warn tells what is overdue, once an hour.
func (k *Keeper) warn(s State) {
	late := s.Late(k.Clock.Now())
	if now := k.Clock.Now(); s.Configured && len(late) > 0 && now.Sub(k.warned) >= time.Hour {
		k.warned = now
		k.Observe.For(pkg).Log.Warn("backups are overdue", "why", late)
	}
}

// Look does what is due now.
func (k *Keeper) Look(ctx context.Context) error {
	if k.Store == nil {
		return nil
	}
	s, err := k.State(ctx)
	if err != nil {
		return err
	}
	now, p := k.Clock.Now(), s.Periods
	var failed []error
	if s.Count == 0 || now.Sub(s.Newest) >= p.Every-before(p.Every) {
		_, err := k.Make(ctx, evidence.BySystem)
		failed = append(failed, err)
	}
	if s.Count > 0 && now.Sub(s.Oldest) >= p.Keep-2*lookEvery { // before the end, not after it
		_, err := k.Expire(ctx, now.Add(2*lookEvery-p.Keep))
		failed = append(failed, err)
	}
	due := s.Drill.At.IsZero() || now.Sub(s.Drill.At) >= p.Drill-before(p.Drill) || !s.Drill.Good && now.Sub(s.Drill.At) >= time.Hour
	if due && errors.Join(failed...) == nil {
		_, err := k.Try(ctx, evidence.BySystem)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// gauges show the state where the duty is.
type gauges struct{ newest, drill prometheus.Gauge }

func newGauges(r prometheus.Registerer) gauges {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		if r == nil {
			return g
		}
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(g); errors.As(err, &already) {
			if old, ok := already.ExistingCollector.(prometheus.Gauge); ok {
				return old
			}
		}
		return g
	}
	return gauges{
		gauge("mailvow_backup_newest_timestamp_seconds", "When the newest backup was taken; 0: there is none, or this process does not look."),
		gauge("mailvow_backup_drill_timestamp_seconds", "When a restore was last tried and held; 0: never, the last one failed, or this process does not look."),
	}
}

func (g gauges) show(s State) {
	set := func(g prometheus.Gauge, at time.Time, is bool) {
		if g.Set(0); is && !at.IsZero() {
			g.Set(float64(at.Unix()))
		}
	}
	set(g.newest, s.Newest, true)
	set(g.drill, s.Drill.At, s.Drill.Good)
}
