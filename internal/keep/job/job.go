// Package job does work that outlives a request: an export, an import, a mass
// erasure. It promises that a step's effect and the cursor behind it are one
// transaction, so that a crash repeats nothing and skips nothing; that a
// cancelled job has no further effect; that one customer's jobs do not hold up
// another's; and that progress can be read while it runs. What a step does, and
// sealing a job's input, is left to the owner of the kind.
package job

import (
	"context"
	_ "embed" // the package's table
	"math"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

//go:embed job.sql
var schema string

// Schema is what the database must be opened with.
var Schema = db.Schema{Package: "keep/job", SQL: schema}

// Declaration is what the package stores.
var Declaration = pledge.Declaration{
	Package: "keep/job",
	Categories: []pledge.Category{{
		Name: "job", About: pledge.Nobody, What: "which long work a customer started, how far it is, how it ended; its input is sealed by its owner and goes when it ends",
		Purpose: "go on after a restart and show progress", For: pledge.ToRun, Basis: pledge.NotPersonal,
		Period: pledge.Period{Ceiling: 30 * 24 * time.Hour, From: "the job's end"}, Found: "not at all", Erasing: pledge.Nothing,
	}},
	Places: append(pledge.Columns("job", false, "job", "id", "tenant", "kind", "state", "done", "total", "problem", "attempts", "due", "instance", "token", "until", "created", "changed"),
		pledge.Columns("job", true, "job", "input", "cursor")...),
}

// State is where a job stands.
type State string

// The closed list of states. Waiting → Running → Done, Failed or Waiting again;
// Cancelled from both of the first.
const (
	Waiting   State = "waiting"   // for its turn, or for another try
	Running   State = "running"   // somebody has the lease
	Done      State = "done"      // it ended well
	Failed    State = "failed"    // it cannot end well; Problem says why
	Cancelled State = "cancelled" // somebody stopped it
)

// Over reports whether the state is final.
func (s State) Over() bool {
	switch s {
	case Done, Failed, Cancelled:
		return true
	case Waiting, Running:
		return false
	}
	return false
}

// Job is one piece of work as anybody with the right to may see it.
type Job struct {
	ID       ids.Job
	Tenant   ids.Tenant // 0: the platform's own
	Kind     string     // "export"
	State    State
	Input    []byte // as given; gone at the end
	Cursor   []byte // as saved last; gone at the end
	Done     int64  // of Total
	Total    int64  // 0: not known
	Problem  string // a sentence for whoever started it
	Attempts int    // since it last made progress
	Created  time.Time
	Changed  time.Time

	token int64
	until time.Time
}

// Store keeps jobs. Its methods may be called from any goroutine.
type Store struct {
	db  *db.DB
	set *db.Set
	ids *ids.Source
}

// NewStore makes a store; source gives its identifiers.
func NewStore(d *db.DB, source *ids.Source) *Store {
	return &Store{db: d, set: d.Set("keep/job"), ids: source}
}

// Start adds a job. Input is at most 64 KiB and sealed where it is personal.
func (s *Store) Start(ctx context.Context, tenant ids.Tenant, kind string, input []byte, total int64) (ids.Job, error) {
	id := ids.New[ids.Job](s.ids)
	err := s.db.Change(ctx, "start a job", func(tx *db.Tx) error {
		return s.StartIn(ctx, tx, id, tenant, kind, input, total)
	})
	return id, err
}

// MaxInput is the largest input of a job in bytes.
const MaxInput = 64 << 10

// StartIn adds a job inside a transaction: what starts it and the job are one.
func (s *Store) StartIn(ctx context.Context, tx *db.Tx, id ids.Job, tenant ids.Tenant, kind string, input []byte, total int64) error {
	if len(input) > MaxInput {
		return fault.New(fault.Invalid, "The input of the job is too large.")
	}
	_, err := tx.Do(ctx, s.set, "add", id, tenant, kind, input, total, tx.Now())
	return err
}

func scanJob(scan func(...any) error) (Job, error) {
	var j Job
	var state string
	err := scan(&j.ID, &j.Tenant, &j.Kind, &state, &j.Input, &j.Cursor, &j.Done, &j.Total, &j.Problem, &j.Attempts, &j.token, &j.until, &j.Created, &j.Changed)
	j.State = State(state)
	return j, err
}

// Get reads one job of the scope.
func (s *Store) Get(ctx context.Context, sc scope.Scope, id ids.Job) (Job, error) {
	all, tenant := sc.Args()
	var j Job
	found := false
	err := s.set.Each(ctx, "get", []any{id, all, tenant}, func(scan func(...any) error) (err error) {
		found = true
		j, err = scanJob(scan)
		return err
	})
	if err == nil && !found {
		return j, fault.New(fault.NotFound, "There is no such job.")
	}
	return j, fault.Wrap(err, "read a job")
}

// List reads jobs of the scope, newest first, older than before (0: from the
// newest), at most limit.
func (s *Store) List(ctx context.Context, sc scope.Scope, before ids.Job, limit int) ([]Job, error) {
	all, tenant := sc.Args()
	if before == 0 {
		before = ids.Job(math.MaxInt64)
	}
	var jobs []Job
	err := s.set.Each(ctx, "list", []any{all, tenant, before, limit}, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		jobs = append(jobs, j)
		return err
	})
	return jobs, fault.Wrap(err, "list jobs")
}

// Cancel stops a job: from now on it has no effect. A job that is over is a
// Conflict, one outside the scope NotFound.
func (s *Store) Cancel(ctx context.Context, sc scope.Scope, id ids.Job) error {
	all, tenant := sc.Args()
	j, err := s.Get(ctx, sc, id)
	if err != nil {
		return err
	}
	if j.State.Over() {
		return fault.New(fault.Conflict, "The job is over already.")
	}
	return s.db.Change(ctx, "cancel a job", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "cancel", id, all, tenant, tx.Now())
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "The job is over already.")
		}
		return err
	})
}

// Purge deletes jobs that were over before a time and returns their number.
func (s *Store) Purge(ctx context.Context, before time.Time) (int64, error) {
	var n int64
	err := s.db.Change(ctx, "purge jobs", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "purge", before, 1, 0)
		return err
	})
	return n, err
}
