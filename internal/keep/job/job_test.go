package job_test

import (
	"context"
	_ "embed" // the frozen schema
	"errors"
	"strconv"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/job"
	"mailvow/internal/lab"
)

const countSQL = `
-- migration: 1
create table counted (n int primary key, job int not null);
-- query: count
insert into counted (n, job) values ($1, $2)
-- query: total
select count(*) from counted
`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type room struct {
	db    *db.DB
	clock *lab.Clock
	store *job.Store
	run   *job.Runner
	open  func() *room
}

func each(t *testing.T, f func(t *testing.T, r *room)) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = c, func(time.Time) time.Time { return c.Now() }
		source := ids.NewSource(c, 1, 0)
		var open func() *room
		open = func() *room {
			d := lab.OpenDB(t, config, job.Schema, db.Schema{Package: "lab/count", SQL: countSQL})
			s := job.NewStore(d, source)
			return &room{db: d, clock: c, store: s, run: job.NewRunner(s, c, observe.Silent(), 4, 1), open: open}
		}
		f(t, open())
	})
}

// count is a job that writes one row a step; stop makes it fail after so many
// steps of one try.
func (r *room) count(steps, stop int, problem error) job.Work {
	return func(ctx context.Context, run *job.Run) error {
		at, _ := strconv.Atoi(string(run.Job().Cursor))
		for tried := 0; at < steps; tried++ {
			if tried == stop {
				return problem
			}
			at++
			err := run.Save(ctx, job.Progress{Cursor: []byte(strconv.Itoa(at)), Done: int64(at), Total: int64(steps)}, func(tx *db.Tx) error {
				_, err := tx.Do(ctx, r.db.Set("lab/count"), "count", int64(run.Job().ID)*1000+int64(at), run.Job().ID)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (r *room) counted(t *testing.T) (n int) {
	t.Helper()
	must(t, r.db.Set("lab/count").One(t.Context(), "total", nil, &n))
	return n
}

func (r *room) once(t *testing.T, want bool) {
	t.Helper()
	ran, err := r.run.RunOnce(t.Context())
	must(t, err)
	if ran != want {
		t.Fatalf("a job ran: %v, want %v", ran, want)
	}
}

func TestResumesWhereItStopped(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		r.run.Handle("count", r.count(10, 4, fault.New(fault.Unavailable, "The store is away.")))
		id, err := r.store.Start(t.Context(), 7, "count", []byte("input"), 10)
		must(t, err)
		r.once(t, true)
		j, err := r.store.Get(t.Context(), scope.Tenant(7), id)
		must(t, err)
		if j.State != job.Waiting || j.Done != 4 || j.Problem != "The store is away." {
			t.Fatalf("%+v", j)
		}
		r.once(t, false) // not due yet
		r.clock.Wind(time.Minute)
		must(t, r.db.Close())
		r = r.open()
		r.run.Handle("count", r.count(10, 100, nil))
		r.once(t, true)
		j, err = r.store.Get(t.Context(), scope.Everyone, id)
		must(t, err)
		if j.State != job.Done || j.Done != 10 || j.Input != nil || r.counted(t) != 10 {
			t.Fatalf("%+v, %d rows", j, r.counted(t))
		}
	})
}

func TestCancelledHasNoFurtherEffect(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		id, err := r.store.Start(t.Context(), 7, "count", nil, 0)
		must(t, err)
		r.run.Handle("count", func(ctx context.Context, run *job.Run) error {
			must(t, r.store.Cancel(ctx, scope.Tenant(7), id))
			return r.count(3, 100, nil)(ctx, run)
		})
		r.once(t, true)
		j, err := r.store.Get(t.Context(), scope.Tenant(7), id)
		must(t, err)
		if j.State != job.Cancelled || r.counted(t) != 0 {
			t.Fatalf("%+v, %d rows", j, r.counted(t))
		}
		if err := r.store.Cancel(t.Context(), scope.Tenant(7), id); !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		if err := r.store.Cancel(t.Context(), scope.Tenant(8), id); !fault.Is(err, fault.NotFound) {
			t.Error("another customer may touch the job:", err)
		}
		if _, err := r.store.Get(t.Context(), scope.Scope{}, id); !fault.Is(err, fault.NotFound) {
			t.Error("an empty scope sees the job:", err)
		}
	})
}

func TestALostLeaseHasNoFurtherEffect(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		_, err := r.store.Start(t.Context(), 7, "count", nil, 0)
		must(t, err)
		other := job.NewRunner(r.store, r.clock, observe.Silent(), 1, 1)
		other.Handle("count", r.count(3, 100, nil))
		r.run.Handle("count", func(ctx context.Context, run *job.Run) error {
			r.clock.Wind(2 * job.Lease) // silent for too long
			ran, err := other.RunOnce(context.WithoutCancel(ctx))
			if !ran || err != nil {
				t.Error("nobody took the job over:", err)
			}
			err = run.Save(context.WithoutCancel(ctx), job.Progress{Done: 99}, nil)
			if !fault.Is(err, fault.Gone) {
				t.Error("an old lease still saves:", err)
			}
			return err
		})
		r.once(t, true)
		if r.counted(t) != 3 {
			t.Error(r.counted(t))
		}
	})
}

func TestFailsForGood(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		for _, c := range []struct {
			err     error
			problem string
			runs    int
		}{
			{fault.New(fault.Invalid, "Line 3 is no address."), "Line 3 is no address.", 1},
			{errors.New("secret detail"), "It stopped on an internal error; the operator finds it in the log.", job.MaxAttempts},
		} {
			id, err := r.store.Start(t.Context(), 7, "fail", nil, 0)
			must(t, err)
			r.run.Handle("fail", func(context.Context, *job.Run) error { return c.err })
			for range c.runs {
				r.once(t, true)
				r.clock.Wind(time.Hour)
			}
			j, err := r.store.Get(t.Context(), scope.Everyone, id)
			must(t, err)
			if j.State != job.Failed || j.Problem != c.problem {
				t.Errorf("%+v", j)
			}
		}
		n, err := r.store.Purge(t.Context(), r.clock.Now().Add(time.Hour))
		must(t, err)
		if n != 2 {
			t.Error("purged", n)
		}
	})
}

func TestOneCustomerDoesNotHoldUpAll(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		started, release := make(chan ids.Tenant), make(chan struct{})
		r.run.Handle("wait", func(_ context.Context, run *job.Run) error {
			started <- run.Job().Tenant
			<-release
			return nil
		})
		for _, tenant := range []ids.Tenant{1, 1, 1, 2, 2, 3} {
			_, err := r.store.Start(t.Context(), tenant, "wait", nil, 0)
			must(t, err)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.run.Run(ctx) }()
		seen := map[ids.Tenant]int{}
		for range 3 {
			seen[<-started]++
		}
		if len(seen) != 3 {
			t.Errorf("places went to %v", seen)
		}
		stop()
		close(release)
		must(t, <-ended)
	})
}

func TestListPages(t *testing.T) {
	each(t, func(t *testing.T, r *room) {
		for i := range 5 {
			_, err := r.store.Start(t.Context(), ids.Tenant(1+i%2), "x", nil, 0)
			must(t, err)
		}
		first, err := r.store.List(t.Context(), scope.Tenant(1), 0, 2)
		must(t, err)
		rest, err := r.store.List(t.Context(), scope.Tenant(1), first[1].ID, 2)
		must(t, err)
		if len(first) != 2 || len(rest) != 1 || rest[0].ID >= first[1].ID {
			t.Error(len(first), len(rest))
		}
	})
}

//go:embed testdata/v1.sql
var version1 string // frozen: never edit it

func TestUpgradesVersion1(t *testing.T) {
	t.Parallel()
	lab.EachUpgrade(t, db.Schema{Package: "keep/job", SQL: version1 + `
-- query: fill
insert into job (id, tenant, kind, state, input, cursor, done, total, problem, attempts, due, instance, token, until, created, changed)
values (5, 7, 'count', 'waiting', null, null, 3, 10, '', 0, 0, '', 2, 0, 1, 1)`}, job.Schema,
		func(t *testing.T, d *db.DB) {
			must(t, d.Change(t.Context(), "fill", func(tx *db.Tx) error {
				_, err := tx.Do(t.Context(), d.Set("keep/job"), "fill")
				return err
			}))
		},
		func(t *testing.T, d *db.DB) {
			j, err := job.NewStore(d, ids.NewSource(lab.NewClock(lab.Epoch), 1, 0)).Get(t.Context(), scope.Tenant(7), 5)
			if err != nil || j.Done != 3 || j.State != job.Waiting {
				t.Errorf("%+v %v", j, err)
			}
		})
}
