package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"mailvow/internal/app/config"
	"mailvow/internal/app/stored"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/service"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/backup"
)

// RestoreOptions are the arguments of mailvow restore.
type RestoreOptions struct {
	Config   *config.Config
	Identity string     // a file with an identity of one of the recipients
	Backup   ids.Backup // zero: the newest
	Log      slog.Handler
}

// Restored is what a restore did.
type Restored struct {
	Backup ids.Backup `json:"backup"`
	Taken  time.Time  `json:"taken"`
	Bodies int        `json:"bodies"`
	// Streams are those of key store, evidence log and ledger that came from the
	// second place; the others were there.
	Streams []string `json:"streams"`
}

// Restore brings a backup back on a machine whose database is empty. Key store,
// ledger and evidence log are used as they are here, or come in their newest
// state where they are missing. Then the erasures since the backup are made
// again. No server may run; if something fails nothing of the data is there.
func Restore(ctx context.Context, o RestoreOptions) (Restored, error) {
	h := &House{Settings: Settings{Config: o.Config, Clock: clock.Wall{}, Log: o.Log}}
	r := restorer{h: h, options: o}
	out, err := r.run(ctx)
	return out, fault.Wrap(err, "restore")
}

type restorer struct {
	h       *House
	options RestoreOptions
	sealer  looseSealer
	out     Restored
}

func (r *restorer) run(ctx context.Context) (Restored, error) {
	if !r.h.Config.Backup.Configured() {
		return r.out, fault.New(fault.Invalid, "The configuration names no backups.").WithHint("set backup.dir or backup.s3")
	}
	if err := r.open(ctx); err != nil {
		return r.out, err
	}
	defer r.close()
	identities, err := r.identities()
	if err != nil {
		return r.out, err
	}
	s, m, err := r.find(ctx, identities)
	if err != nil {
		return r.out, err
	}
	if err := r.streams(ctx, identities); err != nil {
		return r.out, err
	}
	if err := r.data(ctx, s, m); err != nil {
		return r.out, err
	}
	return r.out, r.settle(ctx)
}

// find chooses the backup and reads all of it once, before anything is written.
func (r *restorer) find(ctx context.Context, identities []age.Identity) (*chunk.Store, *chunk.Manifest, error) {
	b := r.h.Config.Backup
	place, err := r.h.placeOf("backup", b.Dir, (*config.S3)(b.S3))
	if err != nil {
		return nil, nil, err
	}
	s := &chunk.Store{Place: place, Sealer: r.sealer, Identities: identities}
	e, err := backup.Find(ctx, s, r.options.Backup)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.Open(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	if r.out.Backup, err = ids.Parse[ids.Backup](m.ID); err != nil {
		return nil, nil, fault.Because(fault.Invalid, err, "This archive is no backup of a server.")
	}
	r.out.Taken = m.Taken
	if err := backup.Fits(m, stored.Schemas()); err != nil {
		return nil, nil, err
	}
	_, err = s.Verify(ctx, m)
	return s, m, err
}

// open finds what is needed before anything is written.
func (r *restorer) open(ctx context.Context) error {
	h := r.h
	kek, err := vault.LoadKEKFile(h.paths().kek)
	if err != nil {
		return fault.Wrap(err, "load the key-encryption key")
	}
	former, err := formerKEKs(h.Config.Data)
	if err != nil {
		return err
	}
	r.sealer = append(looseSealer{kek}, former...)
	if h.Config.Data.Postgres == "" {
		if list, err := os.ReadDir(h.paths().database()); err == nil && len(list) > 0 {
			return fault.New(fault.Conflict, "There is a database in "+h.paths().database()+"; a restore replaces nothing.").
				WithHint("stop the server and move that folder away, or give another data.dir")
		}
	}
	h.observe = observe.New(h.Log, nil, nil)
	h.parts = service.New(context.WithoutCancel(ctx), h.observe.Log)
	if err := h.openEgress(); err != nil {
		return err
	}
	return h.openBuckets()
}

func (r *restorer) close() {
	if err := r.h.parts.Stop(time.Second); err != nil {
		r.h.observe.Log.Warn("end a restore", "error", err)
	}
}

// identities are the operator's.
func (r *restorer) identities() ([]age.Identity, error) {
	if r.options.Identity == "" {
		return nil, fault.New(fault.Invalid, "No identity was given.").WithHint("give the file with the AGE-SECRET-KEY of one of backup.recipients by --identity")
	}
	b, err := os.ReadFile(r.options.Identity)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("%s cannot be read: %v.", r.options.Identity, errors.Unwrap(err)))
	}
	list, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		return nil, fault.New(fault.Invalid, r.options.Identity+" holds no identity of age.").WithHint("it has a line that begins with AGE-SECRET-KEY-")
	}
	return list, nil
}

// streams brings back what is missing of key store, ledger and log. What lies in
// a bucket is there.
func (r *restorer) streams(ctx context.Context, identities []age.Identity) error {
	h, p := r.h, r.h.paths()
	missing := map[string]string{}
	order := []string{"keys", "evidence", "erasures"}
	for name, dir := range map[string]string{"keys": p.keys, "evidence": p.evidence(), "erasures": p.erasures()} {
		if c := h.Config.Data; c.KeysS3 != nil && (name == "keys" || c.S3 != nil && c.Postgres != "") {
			continue
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) == 0 {
			missing[name] = dir
		}
	}
	if len(missing) == 0 {
		return nil
	}
	n := h.Config.Backup.Newest
	if !n.Configured() {
		if dir, no := missing["keys"]; no {
			return fault.New(fault.Invalid, "There is no key store in "+dir+", and no second place for it: without keys nothing opens.").
				WithHint("bring data.keys back from where you keep it, or set backup.newest")
		}
		return nil
	}
	place, err := h.placeOf("backup.newest", n.Dir, (*config.S3)(n.S3))
	if err != nil {
		return err
	}
	s := &chunk.Store{Place: place, Sealer: r.sealer, Identities: identities}
	m, err := backup.NewestState(ctx, s)
	if err == nil {
		_, err = s.Verify(ctx, m)
	}
	if err != nil {
		return err
	}
	for _, name := range order {
		dir, no := missing[name]
		if !no {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return fault.Because(fault.Unavailable, err, "The folder "+dir+" cannot be made.")
		}
		made, err := backup.FetchStream(ctx, s, m, name, dir)
		if err != nil {
			return err
		}
		if made {
			r.out.Streams = append(r.out.Streams, name)
		}
	}
	return nil
}

// data brings rows and bodies back: the bodies first, which nobody refers to
// until the rows are there.
func (r *restorer) data(ctx context.Context, s *chunk.Store, m *chunk.Manifest) (err error) {
	h, p := r.h, r.h.paths()
	if err := p.prepare(); err != nil {
		return fault.Because(fault.Unavailable, err, "The data folder cannot be made.")
	}
	if err := h.openBlobs(p); err != nil {
		return err
	}
	if r.out.Bodies, err = backup.FetchBlobs(ctx, s, m, h.blobs); err != nil {
		return err
	}
	to := db.Config{Region: h.Config.Region, Clock: h.Clock, Dial: h.dialDatabase, Postgres: h.Config.Data.Postgres.Reveal(), Space: db.SpaceMarks{Alert: 4, NoNewMail: 3, ReadOnly: 2, Reserve: 1}}
	if to.Postgres != "" {
		return backup.Fetch(ctx, s, m, to, stored.Schemas())
	}
	to.Dir = p.database() + ".unfinished"
	if err := errors.Join(os.RemoveAll(to.Dir), os.MkdirAll(to.Dir, 0o700)); err != nil {
		return fault.Because(fault.Unavailable, err, "The data folder cannot be written.")
	}
	if err := backup.Fetch(ctx, s, m, to, stored.Schemas()); err != nil {
		return errors.Join(err, os.RemoveAll(to.Dir))
	}
	// prepare made an empty folder in its place; a full one is in the way.
	if err := errors.Join(os.Remove(p.database()), os.Rename(to.Dir, p.database())); err != nil {
		return errors.Join(fault.Because(fault.Conflict, err, "The restored database cannot be put in its place."), os.RemoveAll(to.Dir))
	}
	return nil
}

// settle starts every part once without a door, so that the erasures are made
// again and the restore stands in the evidence log; the next start would do the
// same.
func (r *restorer) settle(ctx context.Context) error {
	h, err := Build(ctx, r.h.Settings)
	if err != nil {
		return fault.Wrap(err, "make erasures again; the next start tries it too")
	}
	_, err = h.evidence.Integrate(ctx)
	return errors.Join(err, h.parts.Stop(10*time.Second), h.close())
}

// looseSealer opens what a kekSealer sealed, before there is a vault.
type looseSealer []vault.Wrapper

var errReadOnly = errors.New("a restore writes no backup")

// Seal implements chunk.Sealer.
func (looseSealer) Seal(context.Context, string, []byte) ([]byte, error) { return nil, errReadOnly }

// Unseal implements chunk.Sealer.
func (s looseSealer) Unseal(ctx context.Context, name string, sealed []byte) ([]byte, error) {
	id, rest, found := bytes.Cut(sealed, []byte("\n"))
	for _, w := range s {
		if found && w.ID() == string(id) {
			return w.Unwrap(ctx, rest, fileAD(name))
		}
	}
	return nil, fault.New(fault.Invalid, "The file "+name+" is sealed by another key-encryption key.")
}
