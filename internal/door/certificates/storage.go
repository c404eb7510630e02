package certificates

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

const pkg = "door/certificates"

//go:embed certificates.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "certificates", About: pledge.Nobody,
		What:    "this server's certificates with their private keys, and its account at the certificate authority",
		Purpose: "encrypt connections to this server", For: pledge.ToSecure, Basis: pledge.NotPersonal,
		Period: pledge.Period{From: "the certificate's end"}, Found: "the name of the host", Erasing: pledge.Nothing,
	}},
	Places: append(append(append(
		pledge.Columns("certificates", false, "certificate_asset", "name", "size", "changed"),
		pledge.Columns("certificates", true, "certificate_asset", "sealed")...),
		pledge.Columns("certificates", false, "certificate_lock", "name", "owner", "until")...),
		pledge.Place{Kind: pledge.Memory, Name: "certificates in use", Category: "certificates"}),
}

// storage is certmagic's file tree as rows: every node sees the same, every
// value is sealed, and a lock holds across nodes by a lease that the database's
// clock judges.
type storage struct {
	db    *db.DB
	set   *db.Set
	vault *vault.Vault
	ids   *ids.Source
	clock clock.Clock

	mu   sync.Mutex
	held map[string]*hold
}

var _ certmagic.Storage = (*storage)(nil)

func newStorage(d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock) *storage {
	return &storage{db: d, set: d.Set(pkg), vault: v, ids: source, clock: c, held: map[string]*hold{}}
}

// place binds a sealed value to its name.
func place(name string) vault.AD {
	sum := sha256.Sum256([]byte(name))
	return vault.AD{Table: "certificate_asset", Row: int64(binary.BigEndian.Uint64(sum[:8]) >> 1)}
}

// Store implements certmagic.Storage.
func (s *storage) Store(ctx context.Context, name string, value []byte) error {
	sealed, err := s.vault.Seal(nil, 0, vault.Platform, place(name), value)
	if err != nil {
		return fault.Wrap(err, "seal a certificate")
	}
	return s.db.Change(ctx, "store a certificate", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "put", name, len(value), clock.Micros(tx.Now()), sealed)
		return err
	})
}

// Load implements certmagic.Storage. What is not there is fs.ErrNotExist.
func (s *storage) Load(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	if err := s.set.One(ctx, "get", []any{name}, &sealed); err != nil {
		return nil, absent(err)
	}
	value, err := s.vault.Open(nil, 0, place(name), sealed)
	return value, fault.Wrap(err, "open a certificate")
}

// absent is how certmagic wants to hear that something is not there.
func absent(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fs.ErrNotExist
	}
	return fault.Wrap(err, "load a certificate")
}

// Delete implements certmagic.Storage.
func (s *storage) Delete(ctx context.Context, name string) error {
	below := name + "/"
	return s.db.Change(ctx, "delete a certificate", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "remove", name, below, len(below))
		return err
	})
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(ctx context.Context, name string) bool {
	_, err := s.Stat(ctx, name)
	return err == nil
}

// List implements certmagic.Storage.
func (s *storage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	if path == "" {
		prefix = ""
	}
	var list []string
	seen := map[string]bool{}
	err := s.set.Each(ctx, "under", []any{prefix, len(prefix)}, func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		if first, _, deeper := strings.Cut(name[len(prefix):], "/"); deeper && !recursive {
			name = prefix + first
		}
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
		return nil
	})
	if err == nil && len(list) == 0 {
		err = fs.ErrNotExist
	}
	return list, err
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(ctx context.Context, name string) (certmagic.KeyInfo, error) {
	info := certmagic.KeyInfo{Key: name, IsTerminal: true}
	err := s.set.One(ctx, "stat", []any{name}, &info.Size, &info.Modified)
	if fault.Is(err, fault.NotFound) {
		if below, e := s.List(ctx, name, false); e == nil && len(below) > 0 {
			return certmagic.KeyInfo{Key: name}, nil
		}
	}
	if err != nil {
		return certmagic.KeyInfo{}, absent(err)
	}
	return info, nil
}

// lease is how long a lock outlives a node that died with it; its holder renews
// it at a third of that.
const (
	lease = time.Minute
	retry = 300 * time.Millisecond
)

// hold is one lock that this process has.
type hold struct {
	owner string
	stop  context.CancelFunc
	done  chan struct{}
}

// Lock implements certmagic.Locker.
func (s *storage) Lock(ctx context.Context, name string) error {
	// An owner is used once, so that a late unlock frees nobody else's lock.
	owner := s.db.Instance() + "/" + ids.New[ids.Request](s.ids).String()
	for {
		got, err := s.take(ctx, name, owner)
		if err != nil {
			return err
		}
		if got {
			s.keep(ctx, name, owner)
			return nil
		}
		t := s.clock.NewTimer(retry)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C():
		}
	}
}

func (s *storage) take(ctx context.Context, name, owner string) (got bool, err error) {
	err = s.db.Change(ctx, "lock a certificate", func(tx *db.Tx) error {
		now := tx.Now()
		n, err := tx.Do(ctx, s.set, "lock", name, owner, clock.Micros(now.Add(lease)), clock.Micros(now))
		got = n == 1
		return err
	})
	return got, err
}

// keep renews a lock until Unlock. certmagic calls Unlock for every Lock.
func (s *storage) keep(ctx context.Context, name, owner string) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &hold{owner, stop, make(chan struct{})}
	s.mu.Lock()
	s.held[name] = h
	s.mu.Unlock()
	go func() {
		defer close(h.done)
		for {
			t := s.clock.NewTimer(lease / 3)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C():
			}
			// A renewal that fails is tried again; a lease that ran out meanwhile is
			// another's, and two who obtain a certificate do no harm.
			_ = s.extend(ctx, name, owner)
		}
	}()
}

func (s *storage) extend(ctx context.Context, name, owner string) error {
	return s.db.Change(ctx, "keep a lock", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "extend", name, owner, clock.Micros(tx.Now().Add(lease)))
		return err
	})
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if h == nil {
		return fault.New(fault.Conflict, "This lock is not held.")
	}
	h.stop()
	<-h.done
	return s.db.Change(ctx, "unlock a certificate", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "unlock", name, h.owner)
		return err
	})
}
