// Package backup makes encrypted backups while mail flows, tries them, lets them
// expire, and brings them back. It promises that a backup is of one moment, that
// it opens only with an identity of the operator's and the key-encryption key,
// that a restore which fails leaves nothing behind, and that it never brings a
// destroyed key back: key store, erasure ledger and evidence log are no part of
// a backup. Their newest state, and no older one, lies apart, if the operator
// gives it a place. How a file is cut and encrypted is keep/chunk's; what is
// erased again after a restore is protect/erase's.
package backup

import (
	"context"
	_ "embed" // its table
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
)

const pkg = "protect/backup"

//go:embed backup.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Category is the backups' name in the inventory.
const Category = "backups"

// LongestKept bounds every policy: the erasure ledger remembers no longer.
const LongestKept = 120 * 24 * time.Hour

// Declaration is what this package stores. Its columns name backups, nobody.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: Category, About: pledge.Correspondent,
		What:    "copies of the database and of message bodies as they were at a time, encrypted once more; what was erased since stays in them, sealed, until they expire",
		Purpose: "bring the service back after a loss of data", For: pledge.ToSecure,
		Basis:  pledge.LegitimateInterest,
		Period: pledge.Period{Ceiling: 30 * 24 * time.Hour, From: "when the backup was taken"},
		Found:  "not at all: what is erased does not open after its key's end, and is erased again when a backup is restored", Erasing: pledge.Delete,
	}, {
		Name: "state of backups", About: pledge.Nobody, What: "when a restore was last tried and whether it held", Purpose: "warn when no backup could be relied on", For: pledge.ToRun,
		Basis: pledge.NotPersonal, Period: pledge.Period{From: "replaced by the next one"}, Found: "not at all", Erasing: pledge.Nothing,
	}},
	Places: append(pledge.Columns("state of backups", false, "backup_state", "what", "backup", "taken", "at", "good", "note"),
		pledge.Place{Kind: pledge.KeyFile, Name: "backup-keys/ring", Category: "state of backups", Sealed: true},
		pledge.Place{Kind: pledge.DiskFile, Name: "scratch", Category: Category, Sealed: true}),
}

// Periods are the policy's.
type Periods struct {
	Every time.Duration // the newest is not older
	Keep  time.Duration // the oldest is gone
	Drill time.Duration // the last good drill is not older
}

// Config is what a Keeper works with.
type Config struct {
	Store   *chunk.Store // where backups lie; nil: there are none
	Newest  *chunk.Store // where the newest state of the streams lies; nil: nowhere
	Streams []Stream
	DB      *db.DB
	Schemas []db.Schema
	Blobs   blob.Store
	Scratch string // a folder for copies that do not stay
	Periods func(context.Context) (Periods, error)
	// Sample opens some rows of a restored database with today's keys and says how
	// many opened.
	Sample func(context.Context, *db.DB) (int, error)
	// Alone runs f while no other process does, and reports whether it could.
	Alone   func(ctx context.Context, f func(context.Context) error) (bool, error)
	Stage   *evidence.Stage
	Nudge   func()
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
}

// Keeper makes, tries and removes backups. It is safe for use by many goroutines.
type Keeper struct {
	Config
	set    *db.Set
	gauges gauges

	mu       sync.Mutex // held while a backup, a drill or an expiry is under way
	warned   time.Time  // Run's own
	mirrored mirrored   // Mirror's own
}

// New makes a keeper over a database that was opened with Schema.
func New(c Config) *Keeper {
	return &Keeper{Config: c, set: c.DB.Set(pkg), gauges: newGauges(c.Observe.Metrics)}
}

// none is the answer where no place for backups is configured.
func none() error {
	return fault.New(fault.Conflict, "No backups are configured.").WithHint("set backup.dir or backup.s3, and backup.recipients")
}

// Copy is one backup.
type Copy struct {
	ID    ids.Backup  `json:"id"`
	Taken time.Time   `json:"taken"`
	Size  chunk.Bytes `json:"size,omitempty"` // of all that it holds
	New   chunk.Bytes `json:"new,omitempty"`  // what it added to the place, encrypted
}

// State is how things stand.
type State struct {
	Configured bool      `json:"configured"`
	Streams    bool      `json:"streams"` // key store, ledger and log have a second place
	Count      int       `json:"count"`
	Newest     time.Time `json:"newest,omitzero"`
	Oldest     time.Time `json:"oldest,omitzero"`
	Drill      Drill     `json:"drill"`
	Periods    Periods   `json:"-"`
}

// Drill is a restore that was tried.
type Drill struct {
	Backup ids.Backup `json:"backup,omitzero"`
	Taken  time.Time  `json:"taken,omitzero"`
	At     time.Time  `json:"at,omitzero"` // zero: none yet
	Good   bool       `json:"good"`
	Note   string     `json:"note,omitempty"`
}

// State reads the place's listing and the last drill.
func (k *Keeper) State(ctx context.Context) (State, error) {
	s := State{Configured: k.Store != nil, Streams: k.Newest != nil}
	if !s.Configured {
		return s, nil
	}
	var err error
	if s.Periods, err = k.Periods(ctx); err != nil {
		return s, err
	}
	list, err := k.Store.List(ctx)
	if err != nil {
		return s, err
	}
	if s.Count = len(list); s.Count > 0 {
		s.Oldest, s.Newest = list[0].Taken, list[s.Count-1].Taken
	}
	s.Drill, err = k.lastDrill(ctx)
	return s, err
}

func (k *Keeper) lastDrill(ctx context.Context) (Drill, error) { return k.state(ctx, "drill") }

// state reads a row of the table; the zero Drill if there is none.
func (k *Keeper) state(ctx context.Context, what string) (d Drill, err error) {
	var id, taken, at int64
	err = k.set.One(ctx, "state", []any{what}, &id, &taken, &at, &d.Good, &d.Note)
	if fault.Is(err, fault.NotFound) {
		return Drill{}, nil
	}
	d.Backup, d.Taken, d.At = ids.Backup(id), clock.FromMicros(taken), clock.FromMicros(at)
	return d, fault.Wrap(err, "read the state of backups")
}

// List gives the backups, oldest first.
func (k *Keeper) List(ctx context.Context) ([]Copy, error) {
	if k.Store == nil {
		return nil, none()
	}
	list, err := k.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Copy, 0, len(list))
	for _, e := range list {
		m, err := k.Store.Open(ctx, e)
		if err != nil {
			return nil, err
		}
		out = append(out, copyOf(m))
	}
	return out, nil
}

func copyOf(m *chunk.Manifest) Copy {
	id, err := ids.Parse[ids.Backup](m.ID)
	if err != nil {
		id = 0 // somebody else's archive; it is shown by its time
	}
	return Copy{ID: id, Taken: m.Taken, Size: m.Size(), New: m.New}
}

// Find gives a backup's entry: that of an identifier, or the newest for zero.
func Find(ctx context.Context, s *chunk.Store, id ids.Backup) (e chunk.Entry, err error) {
	list, err := s.List(ctx)
	if err != nil {
		return e, err
	}
	for _, e := range list {
		if id != 0 && e.ID == id.String() {
			return e, nil
		}
	}
	if id != 0 || len(list) == 0 {
		return e, fault.New(fault.NotFound, "There is no such backup.").WithHint("mailvow backup list shows those that are there")
	}
	return list[len(list)-1], nil
}

// Verify reads every chunk of a backup; zero is the newest. It gives the backup
// and the number of chunks.
func (k *Keeper) Verify(ctx context.Context, id ids.Backup) (Copy, int, error) {
	if k.Store == nil {
		return Copy{}, 0, none()
	}
	e, err := Find(ctx, k.Store, id)
	if err != nil {
		return Copy{}, 0, err
	}
	m, err := k.Store.Open(ctx, e)
	if err != nil {
		return Copy{}, 0, err
	}
	n, err := k.Store.Verify(ctx, m)
	return copyOf(m), n, err
}

// alone runs f while nobody else makes, tries or removes backups.
func (k *Keeper) alone(ctx context.Context, f func(context.Context) error) error {
	if !k.mu.TryLock() {
		return busy()
	}
	defer k.mu.Unlock()
	var failed error
	ran, err := k.Alone(ctx, func(ctx context.Context) error { failed = f(ctx); return nil })
	if err == nil && !ran {
		err = busy()
	}
	if err == nil {
		err = failed
	}
	return err
}

func busy() error {
	return fault.New(fault.Conflict, "A backup is under way.").WithHint("try again when it has ended")
}

// record stages an act about a backup.
func (k *Keeper) record(ctx context.Context, tx *db.Tx, by evidence.Role, act, id string) error {
	return k.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](k.IDs), At: evidence.On(k.Clock.Now()), By: evidence.Actor{Role: by}, Body: &evidence.Act{Act: act, Target: id},
	})
}
