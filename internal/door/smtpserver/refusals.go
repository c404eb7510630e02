package smtpserver

import (
	"log/slog"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
)

// How many refusals are logged one by one in a window: of one address, and of
// all together. What goes beyond shares one reference and is counted under it.
const (
	refusalWindow      = time.Minute
	refusalsPerAddress = 20
	refusalsInTotal    = 2000
)

// refusals writes the log lines that references lead to.
type refusals struct {
	log   *slog.Logger
	ids   *ids.Source
	clock clock.Clock
	role  Role
	meter *meter

	mu    sync.Mutex
	total tally
}

// tally is the refusals of one window.
type tally struct {
	end     time.Time
	logged  int
	counted int           // since the flood began
	flood   ids.Reference // the line that stands for those counted
}

// refuse records one refusal and gives the reference that its reply carries. c
// may be nil.
func (r *refusals) refuse(c *caller, session ids.Session, reason Reason, code int) ids.Reference {
	r.meter.refusals[reason].Inc()
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c != nil && !r.mayLog(&c.refused, now, refusalsPerAddress) {
		return r.count(&c.refused, session)
	}
	if !r.mayLog(&r.total, now, refusalsInTotal) {
		return r.count(&r.total, session)
	}
	ref := ids.New[ids.Reference](r.ids)
	r.log.Info("refused", "reference", ref, "listener", r.role, "reason", reason, "code", code, "session", session)
	return ref
}

// mayLog takes one place in the tally's window, or reports that it is full.
func (r *refusals) mayLog(t *tally, now time.Time, most int) bool {
	if now.After(t.end) {
		r.sum(t)
		*t = tally{end: now.Add(refusalWindow)}
	}
	if t.logged >= most {
		return false
	}
	t.logged++
	return true
}

// count adds to the flood, whose first refusal logs the line that all its
// references lead to.
func (r *refusals) count(t *tally, session ids.Session) ids.Reference {
	if t.flood == 0 {
		t.flood = ids.New[ids.Reference](r.ids)
		r.log.Warn("many refusals: those that follow in this minute share this reference", "reference", t.flood, "listener", r.role, "session", session)
	}
	t.counted++
	return t.flood
}

// sum logs how many a flood had.
func (r *refusals) sum(t *tally) {
	if t.flood != 0 {
		r.log.Warn("refusals counted", "reference", t.flood, "listener", r.role, "count", t.counted)
		t.flood, t.counted = 0, 0
	}
}

// settle sums a tally whose window is over, or any tally when all is set.
func (r *refusals) settle(t *tally, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if all || r.clock.Now().After(t.end) {
		r.sum(t)
	}
}
