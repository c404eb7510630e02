package retain

import (
	"context"
	_ "embed" // the tables
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
)

//go:embed retain.sql
var sql string

const pkg = "protect/retain"

// Schema is what this package stores.
func Schema() db.Schema { return db.Schema{Package: pkg, SQL: sql} }

// Declaration is what this package stores.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "retention states", About: pledge.Nobody, What: "of each category: its period, when it was last purged, how much went, and whether that failed",
		Purpose: "show that periods are kept", For: pledge.ToAccount, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("retention states", false, "retention", "category", "period", "before", "tried", "ran", "purged", "gone", "total", "oldest", "problem"),
}

// Status is how a category's period is kept.
type Status string

// The statuses.
const (
	Kept    Status = "kept"
	Failing Status = "failing" // the last pass could not purge it
	Overdue Status = "overdue" // no pass has gone well for three times the interval
	NotYet  Status = "not_yet" // no pass was made since the first start
)

// State is where one category or class of keys stands.
type State struct {
	Category string
	Status   Status
	Period   time.Duration // older goes
	Before   time.Time     // what the last pass purged up to; zero: none was made
	Ran      time.Time     // when a pass last went well; zero: never
	Purged   int           // by the last pass that found something
	Gone     time.Time     // when that was; zero: never
	Total    int           // since the first pass
	Oldest   time.Time     // the oldest record; zero: none, or the store cannot tell
	Due      time.Time     // when that one's period is over; zero as Oldest is
	Problem  string        // why it could not run, or ""
}

// OK reports whether nobody need look at it.
func (s State) OK() bool { return s.Status == Kept || s.Status == NotYet }

// States lists where every category and class of keys stands, as the process
// that purges wrote it down: those that fail first, then by name.
func (e *Engine) States(ctx context.Context) ([]State, error) {
	known := map[string]State{}
	err := e.set.Each(ctx, "states", nil, func(scan func(...any) error) error {
		var s State
		var period, before, tried, ran, gone, oldest int64
		var problem string
		if err := scan(&s.Category, &period, &before, &tried, &ran, &s.Purged, &gone, &s.Total, &oldest, &problem); err != nil {
			return err
		}
		s.Before, s.Ran, s.Gone, s.Oldest = moment(before), moment(ran), moment(gone), moment(oldest)
		if problem != "" {
			s.Problem = "The purge failed (" + problem + "); the server's log says why."
		}
		known[s.Category] = s
		return nil
	})
	if err != nil {
		return nil, fault.Wrap(err, "read how periods are kept")
	}
	now := e.Clock.Now()
	var list []State
	add := func(name string, period, every time.Duration) {
		s := known[name]
		s.Category, s.Period = name, period
		if !s.Oldest.IsZero() {
			s.Due = s.Oldest.Add(period)
		}
		s.Status = e.status(s, every)
		list = append(list, s)
	}
	for _, r := range e.Rules {
		add(r.Category, now.Sub(e.cut(r, 0, now)), e.Every)
	}
	for _, k := range e.Keys {
		every := e.Every
		if k.Every > 0 {
			every = k.Every
		}
		add(keysName(k), now.Sub(e.keysCut(k, 0, now)), every)
	}
	slices.SortFunc(list, func(a, b State) int {
		switch {
		case a.OK() != b.OK() && b.OK():
			return -1
		case a.OK() != b.OK():
			return 1
		}
		return strings.Compare(a.Category, b.Category)
	})
	return list, nil
}

// status judges. A server that was off does not count as overdue before it had
// time for a pass.
func (e *Engine) status(s State, every time.Duration) Status {
	now := e.Clock.Now()
	last := s.Ran
	if last.Before(e.began) {
		last = e.began
	}
	switch {
	case s.Problem != "":
		return Failing
	case now.Sub(last) > 3*every:
		return Overdue
	case s.Ran.IsZero():
		return NotYet
	}
	return Kept
}

// Failing names the categories whose last purge failed or is long overdue.
func (e *Engine) Failing(ctx context.Context) ([]string, error) {
	states, err := e.States(ctx)
	var list []string
	for _, s := range states {
		if !s.OK() {
			list = append(list, s.Category)
		}
	}
	return list, err
}

// note writes down how a purge went.
func (e *Engine) note(ctx context.Context, name string, period time.Duration, before time.Time, n int, oldest time.Time, failed error) error {
	now := e.Clock.Now()
	at, ran, gone, problem, bad := micros(now), micros(now), int64(0), "", 0.0
	if n > 0 {
		gone = at
	}
	if failed != nil {
		ran, problem, bad = 0, fault.KindOf(failed).String(), 1
	}
	e.failing.WithLabelValues(name).Set(bad)
	err := e.DB.Change(ctx, "note how a purge went", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, e.set, "note", name, period.Microseconds(), micros(before), at, ran, n, gone, n, micros(oldest), problem)
		return err
	})
	return fault.Wrap(err, "note how a purge went")
}

// micros and moment give 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Micros(t)
}

func moment(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return clock.FromMicros(at)
}

func keysName(k Keys) string { return k.Class.String() + " keys" }
