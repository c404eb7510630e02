package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/app/stored"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/admin"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/leader"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// backupPeriods stand in where the operator's policy is silent.
var backupPeriods = backup.Periods{Every: 24 * time.Hour, Keep: 30 * 24 * time.Hour, Drill: 30 * 24 * time.Hour}

func (p paths) scratch() string { return filepath.Join(p.root, "scratch") }

// openBackups makes the keeper of backups, which without a place has nothing to do.
func (h *House) openBackups(ctx context.Context) error {
	c := backup.Config{
		Streams: h.streams(), DB: h.db, Schemas: stored.Schemas(), Blobs: h.blobs, Scratch: h.Config.Backup.Scratch,
		Periods: h.periodsOfBackups, Sample: h.sampleRows, Alone: h.aloneWithBackups,
		Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
	}
	if c.Scratch == "" {
		c.Scratch = h.paths().scratch()
	}
	if h.Config.Backup.Configured() {
		ring, err := h.backupRing(ctx)
		if err != nil {
			return err
		}
		if c.Store, err = h.backupPlace(ctx, ring, "backup", h.Config.Backup.Dir, (*config.S3)(h.Config.Backup.S3)); err != nil {
			return err
		}
		if n := h.Config.Backup.Newest; n.Configured() {
			if c.Newest, err = h.backupPlace(ctx, ring, "backup.newest", n.Dir, (*config.S3)(n.S3)); err != nil {
				return err
			}
		}
	}
	h.backups = backup.New(c)
	return h.settleRestore(ctx)
}

// periodsOfBackups are the platform's: a backup holds the data of everybody.
func (h *House) periodsOfBackups(context.Context) (backup.Periods, error) {
	p, said := backupPeriods, h.policies.Platform(h.Clock.Now()).Document.Backups
	for _, x := range []struct {
		to   *time.Duration
		said policy.Deadline
	}{{&p.Every, said.Every}, {&p.Keep, said.Keep}, {&p.Drill, said.Drill}} {
		if x.said.Given() && x.said.Span != policy.Immediately {
			*x.to = x.said.Longest()
		}
	}
	p.Keep = min(p.Keep, backup.LongestKept)
	return p, nil
}

// backupRing lies in the key store, sealed like what lies beside the keys.
func (h *House) backupRing(ctx context.Context) (*backup.Keyring, error) {
	seal := kekSealer{h.vault}
	if h.stores.keys != nil {
		return backup.OpenKeyring(ctx, h.files(h.stores.keys, "", nil), "backup", seal, h.Config.Backup.Recipients)
	}
	return backup.OpenKeyring(ctx, h.disk(h.paths().keys), filepath.Join(h.paths().keys, "backup"), seal, h.Config.Backup.Recipients)
}

func (h *House) backupPlace(ctx context.Context, ring *backup.Keyring, setting, dir string, s3 *config.S3) (*chunk.Store, error) {
	place, err := h.placeOf(setting, dir, s3)
	if err != nil {
		return nil, err
	}
	if err := unversioned(ctx, place, setting); err != nil {
		return nil, err
	}
	return ring.Store(place, kekSealer{h.vault})
}

func (h *House) placeOf(setting, dir string, s3 *config.S3) (chunk.Place, error) {
	if s3 == nil {
		return chunk.Folder(disk.Machine{}, dir), nil
	}
	b, err := h.openBucket(setting+".s3", s3)
	if err != nil {
		return nil, err
	}
	return chunk.Bucket(b, strings.ReplaceAll(setting, ".", "-")+"/"), nil
}

// unversioned refuses a bucket in which nothing ever ends. One that is out of
// reach is no reason not to start.
func unversioned(ctx context.Context, p chunk.Place, setting string) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if keeps, err := p.Versions(ctx); err == nil && keeps {
		return fault.New(fault.Invalid, setting+".s3: the bucket keeps versions, so that backups would never expire and destroyed keys would live on.").
			WithHint("use a bucket without versions")
	}
	return nil
}

// streams are the stores of which only the newest state may ever come back, the
// keys before the log that they signed.
func (h *House) streams() []backup.Stream {
	p := h.paths()
	keys, log, ledger := backup.FolderStream("keys", p.keys), backup.FolderStream("evidence", p.evidence()), backup.FolderStream("erasures", p.erasures())
	if h.stores.keys != nil {
		keys = backup.BucketStream("keys", h.stores.keys, "")
	}
	if h.shared() { // the ledger is among the keys' objects
		return []backup.Stream{keys, backup.BucketStream("evidence", h.stores.data, "evidence/")}
	}
	return []backup.Stream{keys, log, ledger}
}

// aloneWithBackups keeps other processes out while f runs.
func (h *House) aloneWithBackups(ctx context.Context, f func(context.Context) error) (bool, error) {
	if h.election == nil {
		return true, f(ctx)
	}
	return h.election.Once(ctx, "work on backups", func(ctx context.Context, _ leader.Term) error { return f(ctx) })
}

// sampleRows opens customers and users of a restored database with today's keys.
func (h *House) sampleRows(ctx context.Context, d *db.DB) (opened int, err error) {
	customers, err := tenant.New(d, h.vault, h.ids, h.Clock).List(ctx, scope.Everyone, 1<<63-1, 100)
	if err != nil {
		return 0, fault.Wrap(err, "open customers")
	}
	users, err := access.New(access.Config{DB: d, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Limits: access.HouseLimits}).Users(ctx, scope.Everyone, 1<<63-1, 100)
	if err != nil {
		return 0, fault.Wrap(err, "open users")
	}
	return len(customers) + len(users), nil
}

// settleRestore makes the erasures again that a restored database does not know
// of, before any door opens.
func (h *House) settleRestore(ctx context.Context) error {
	pending, is, err := h.backups.Pending(ctx)
	if err != nil || !is {
		return err
	}
	n, err := h.eraser.Replay(ctx, pending.Taken)
	if err != nil {
		return fault.Wrap(err, "make erasures again after a restore")
	}
	h.observe.Log.Info("a backup was restored; erasures since then were made again", "backup", pending.Backup, "persons", n)
	return h.backups.Settled(ctx, pending)
}

// expireBackups implements the retention rule of backups.
func (h *House) expireBackups(ctx context.Context, before time.Time) (int, error) {
	return h.backups.Expire(ctx, before)
}

// startBackups begins the duties of backups.
func (h *House) startBackups() {
	if h.backups.Store != nil {
		h.duty("backups", h.backups.Run)
	}
	if h.backups.Newest != nil {
		h.duty("newest state of keys and evidence", h.mirror)
	}
}

// mirror copies the newest state of keys, ledger and log, and once more at the end.
func (h *House) mirror(ctx context.Context) error {
	const act = "copy the newest state of keys and evidence"
	if err := h.repeat(act, backup.MirrorEvery, h.backups.Mirror)(ctx); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return fault.Wrap(h.backups.Mirror(last), act)
}

// shownBackups implements httpapi.Backups.
type shownBackups struct{ h *House }

func (s shownBackups) Backups(ctx context.Context) (httpapi.Backups, error) {
	state, err := s.h.backups.State(ctx)
	if err != nil {
		return httpapi.Backups{}, err
	}
	out := httpapi.Backups{Configured: state.Configured, NewestState: state.Streams, Count: state.Count, Late: state.Late(s.h.Clock.Now())}
	if out.Late == nil {
		out.Late = []string{}
	}
	if !state.Newest.IsZero() {
		out.Newest, out.Oldest = &state.Newest, &state.Oldest
		age := int64(s.h.Clock.Now().Sub(state.Newest).Seconds())
		out.Age = &age
	}
	if d := state.Drill; !d.At.IsZero() {
		out.DrillAt, out.DrillHeld, out.DrillNote = &d.At, d.Good, d.Note
	}
	return out, nil
}

// operatedBackups implements admin.Backups.
type operatedBackups struct{ h *House }

func (o operatedBackups) Make(ctx context.Context) (backup.Copy, error) {
	return o.h.backups.Make(ctx, evidence.ByOperator)
}

func (o operatedBackups) List(ctx context.Context) (out admin.BackupsOf, err error) {
	if out.State, err = o.h.backups.State(ctx); err != nil {
		return out, err
	}
	out.Late = out.State.Late(o.h.Clock.Now())
	out.Backups, err = o.h.backups.List(ctx)
	return out, err
}

func (o operatedBackups) Verify(ctx context.Context, id ids.Backup, drill bool) (admin.Verified, error) {
	if drill {
		d, err := o.h.backups.Try(ctx, evidence.ByOperator)
		return admin.Verified{Backup: d.Backup, Taken: d.Taken, Good: d.Good, Note: d.Note}, err
	}
	c, n, err := o.h.backups.Verify(ctx, id)
	v := admin.Verified{Backup: c.ID, Taken: c.Taken, Good: err == nil, Note: fmt.Sprintf("%d chunks whole", n)}
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Denied) {
		v.Note, _ = fault.Public(err)
		return v, nil
	}
	return v, err
}
