package job

import (
	"context"
	"errors"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
	"mailvow/internal/keep/db"
)

const (
	// Lease is how long a runner that fell silent is waited for.
	Lease = time.Minute
	// MaxAttempts is how often a job without progress is tried.
	MaxAttempts = 10
	lookEvery   = time.Second
)

// Work does a job from its cursor. It returns nil when all is done. A temporary
// fault puts the job back for another try, any other ends it; its public text
// becomes the Problem. It must stop soon after its context ends.
type Work func(ctx context.Context, run *Run) error

// Runner runs jobs of the kinds it knows.
type Runner struct {
	store  *Store
	clock  clock.Clock
	log    *observe.Observer
	kinds  map[string]Work
	places int // jobs at once
	share  int // of them, for one customer
}

// NewRunner makes a runner for so many jobs at once, and so many for one
// customer on all nodes together.
func NewRunner(s *Store, c clock.Clock, o *observe.Observer, places, share int) *Runner {
	return &Runner{store: s, clock: c, log: o.For("keep/job"), kinds: map[string]Work{}, places: max(1, places), share: max(1, share)}
}

// Handle names who does a kind. Before Run.
func (r *Runner) Handle(kind string, w Work) { r.kinds[kind] = w }

// Run looks for jobs and does them until ctx ends, then waits for those that run.
func (r *Runner) Run(ctx context.Context) error {
	running := service.New(ctx, r.log.Log)
	free := make(chan struct{}, r.places)
	for {
		found, err := r.fill(ctx, running, free)
		if err != nil && ctx.Err() == nil {
			r.log.Log.Warn("jobs could not be looked for", "error", err)
		}
		if found && ctx.Err() == nil {
			continue
		}
		if clock.Sleep(ctx, r.clock, lookEvery) != nil {
			return running.Stop(Lease)
		}
	}
}

// fill starts one job if there is a place for it.
func (r *Runner) fill(ctx context.Context, running *service.Group, free chan struct{}) (bool, error) {
	select {
	case free <- struct{}{}:
	default:
		return false, nil
	}
	j, ok, err := r.lease(ctx)
	if err != nil || !ok {
		<-free
		return false, err
	}
	running.Go("job "+j.Kind, func(ctx context.Context) error {
		defer func() { <-free }()
		return r.do(ctx, j)
	})
	return true, nil
}

// RunOnce does one job that is due, in this goroutine, and reports whether there
// was one: for tests and for tools.
func (r *Runner) RunOnce(ctx context.Context) (bool, error) {
	j, ok, err := r.lease(ctx)
	if err != nil || !ok {
		return false, err
	}
	return true, r.do(ctx, j)
}

// lease takes the next job whose kind is known here.
func (r *Runner) lease(ctx context.Context) (Job, bool, error) {
	// Whoever only looks must not write: a database that is never left alone
	// cannot empty its log.
	var leased Job
	if next, err := r.next(ctx, nil); err != nil || next == nil {
		return leased, false, err
	}
	ok := false
	s := r.store
	err := s.db.Change(ctx, "lease a job", func(tx *db.Tx) error {
		ok = false
		next, err := r.next(ctx, tx)
		if err != nil || next == nil {
			return err
		}
		leased = *next
		n, err := tx.Do(ctx, s.set, "lease", leased.ID, leased.token, s.db.Instance(), tx.Now().Add(Lease), tx.Now())
		if err != nil || n == 0 {
			return err
		}
		leased.token++
		leased.Attempts++
		leased.State = Running
		ok = true
		return nil
	})
	return leased, ok && err == nil, err
}

// next is the job that is due, in a transaction or beside.
func (r *Runner) next(ctx context.Context, tx *db.Tx) (*Job, error) {
	alone := 0 // on SQLite a lease of another instance is a dead process's
	if r.store.db.Dialect() == db.SQLite {
		alone = 1
	}
	var next *Job
	each := func(scan func(...any) error) error {
		j, err := scanJob(scan)
		if err == nil && next == nil && r.kinds[j.Kind] != nil {
			next = &j
		}
		return err
	}
	args := []any{r.clock.Now(), alone, r.store.db.Instance(), r.share}
	if tx == nil {
		err := r.store.set.Each(ctx, "runnable", args, each)
		return next, fault.Wrap(err, "look for jobs")
	}
	args[0] = tx.Now()
	err := tx.Each(ctx, r.store.set, "runnable", args, each)
	return next, err
}

// do works at a leased job and writes down how it ended.
func (r *Runner) do(ctx context.Context, j Job) error {
	run := &Run{runner: r, job: j}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewal := service.New(ctx, r.log.Log)
	renewal.Go("renew a job", func(ctx context.Context) error {
		defer cancel()
		return run.renew(ctx)
	})
	err := service.Guard(func() error { return r.kinds[j.Kind](ctx, run) })
	interrupted := ctx.Err() != nil
	cancel()
	if stopped := renewal.Stop(Lease); stopped != nil {
		return stopped
	}
	return run.end(context.WithoutCancel(ctx), err, interrupted)
}

// Run is one try at a job.
type Run struct {
	runner *Runner
	job    Job
}

// Job is the job as it stands: after a restart its cursor is what was saved.
func (r *Run) Job() Job { return r.job }

// Progress is where a step came to.
type Progress struct {
	Cursor []byte
	Done   int64
	Total  int64
}

// errOver ends a try whose job is no longer ours: cancelled or taken over.
var errOver = fault.New(fault.Gone, "The job was cancelled or taken over.")

// Save commits a step: its effect, the cursor behind it and the progress in one
// transaction. A Gone fault means that the job was cancelled or is another's
// now; nothing happened, and Work returns it.
func (r *Run) Save(ctx context.Context, p Progress, effect func(*db.Tx) error) error {
	s := r.runner.store
	err := s.db.Change(ctx, "save a job's step", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "save", r.job.ID, r.job.token, p.Cursor, p.Done, p.Total, tx.Now().Add(Lease), tx.Now())
		if err != nil {
			return err
		}
		if n == 0 {
			return errOver
		}
		if effect != nil {
			return effect(tx)
		}
		return nil
	})
	if err == nil {
		r.job.Cursor, r.job.Done, r.job.Total, r.job.Attempts = p.Cursor, p.Done, p.Total, 0
	}
	return err
}

// renew keeps the lease while a step takes long; it returns when it is lost.
func (r *Run) renew(ctx context.Context) error {
	s := r.runner.store
	for clock.Sleep(ctx, r.runner.clock, Lease/4) == nil {
		mine := true
		err := s.db.Change(ctx, "renew a job's lease", func(tx *db.Tx) error {
			n, err := tx.Do(ctx, s.set, "renew", r.job.ID, r.job.token, tx.Now().Add(Lease))
			mine = n == 1
			return err
		})
		if err == nil && !mine {
			return nil
		}
	}
	return nil
}

// end writes the outcome of a try.
func (r *Run) end(ctx context.Context, err error, interrupted bool) error {
	switch {
	case err == nil:
		return r.write(ctx, "end", Done, "", 0)
	case errors.Is(err, errOver):
		return nil
	case interrupted:
		return r.write(ctx, "put_back", Waiting, r.job.Problem, 0)
	}
	problem, _ := fault.Public(err)
	if problem == "" {
		problem = "It stopped on an internal error; the operator finds it in the log."
	}
	r.runner.log.Log.Warn("a job failed", "job", r.job.ID.String(), "kind", r.job.Kind, "attempts", r.job.Attempts, "error", err)
	if fault.KindOf(err).Temporary() && r.job.Attempts < MaxAttempts {
		return r.write(ctx, "put_back", Waiting, problem, pause(r.job.Attempts))
	}
	return r.write(ctx, "end", Failed, problem, 0)
}

// pause before the next try: 1 s, doubled, at most 10 minutes.
func pause(attempts int) time.Duration {
	return min(time.Second<<min(max(attempts, 1)-1, 20), 10*time.Minute)
}

func (r *Run) write(ctx context.Context, query string, state State, problem string, wait time.Duration) error {
	s := r.runner.store
	return s.db.Change(ctx, "end a job's try", func(tx *db.Tx) error {
		args := []any{r.job.ID, r.job.token, string(state), problem, tx.Now()}
		if query == "put_back" {
			args = []any{r.job.ID, r.job.token, problem, tx.Now().Add(wait), tx.Now()}
		}
		_, err := tx.Do(ctx, s.set, query, args...)
		return err
	})
}
