package probes

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/evidence"
)

const (
	looked      = 32       // files of a backup that a probe opens
	largestFile = 16 << 20 // of which it reads no more
)

// noBackups is a broken promise, but where nothing is meant to last.
func (s *Server) noBackups() (pledge.Status, string, error) {
	if s.Throwaway {
		return pledge.NotApplicable, "dev mode keeps nothing that a backup would have to bring back", nil
	}
	return failing("no backups are configured: set backup.dir or backup.s3, and backup.recipients")
}

// backedUp looks into the place of the backups as a thief would: everything
// there must be encrypted, for somebody else.
func (s *Server) backedUp(ctx context.Context) (pledge.Status, string, error) {
	if s.Backups.Store == nil {
		return s.noBackups()
	}
	state, err := s.Backups.State(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if now := s.Clock.Now(); state.Count == 0 || now.Sub(state.Newest) > state.Periods.Every {
		return failing(fmt.Sprintf("there are %d backups and the newest is not younger than %s", state.Count, state.Periods.Every))
	}
	thief, err := age.GenerateX25519Identity()
	if err != nil {
		return pledge.Failing, "", err
	}
	files, opened := 0, 0
	err = s.Backups.Store.Place.List(ctx, "", func(name string, _ int64) error {
		files++
		manifest, chunk := strings.HasPrefix(name, "manifests/"), strings.HasPrefix(name, "chunks/")
		if !manifest && !chunk {
			return fault.New(fault.Invalid, "the place of the backups holds "+name+", which is none")
		}
		if opened >= looked && !manifest {
			return nil
		}
		opened++
		return s.encrypted(ctx, name, thief)
	})
	if fault.Is(err, fault.Invalid) {
		text, _ := fault.Public(err)
		return failing(text)
	}
	if err != nil {
		return pledge.Failing, "", err
	}
	return kept(fmt.Sprintf("%d backups, the newest %s old; %d of %d files were looked at: each is encrypted and opens for no stranger", state.Count, s.Clock.Now().Sub(state.Newest).Round(time.Minute), opened, files))
}

// encrypted reads a file as a stranger.
func (s *Server) encrypted(ctx context.Context, name string, thief age.Identity) error {
	b, err := s.Backups.Store.Place.Get(ctx, name, largestFile)
	if err != nil {
		return err
	}
	at := bytes.Index(b, []byte("age-encryption.org/v1\n"))
	if at < 0 || at > 4096 || bytes.Contains(b, []byte("SQLite format 3")) {
		return fault.New(fault.Invalid, name+" in the place of the backups is not encrypted")
	}
	var none *age.NoIdentityMatchError
	if _, err := age.Decrypt(bytes.NewReader(b[at:]), thief); !errors.As(err, &none) {
		return fault.New(fault.Invalid, name+" in the place of the backups opens for a stranger, or is damaged")
	}
	return nil
}

// backupsExpire plants a backup that is overdue and lets what is due go.
func (s *Server) backupsExpire(ctx context.Context) (pledge.Status, string, error) {
	if s.Backups.Store == nil {
		return s.noBackups()
	}
	before, err := s.Backups.State(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	keep, now := before.Periods.Keep, s.Clock.Now()
	if before.Count > 0 && now.Sub(before.Oldest) > keep+time.Hour {
		return failing(fmt.Sprintf("a backup is %s old, and may be %s", now.Sub(before.Oldest).Round(time.Hour), keep))
	}
	var held int
	count := func(to *int) error {
		*to = 0
		return s.Backups.Store.Place.List(ctx, "chunks/", func(string, int64) error { *to++; return nil })
	}
	if err := count(&held); err != nil {
		return pledge.Failing, "", err
	}
	id, err := s.Backups.Plant(ctx, now.Add(-keep-time.Hour), []byte(rand.Text()))
	if err != nil {
		return pledge.Failing, "", err
	}
	if _, err := s.Backups.Expire(ctx, now.Add(-keep)); err != nil {
		return pledge.Failing, "", err
	}
	after, err := s.Backups.State(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if _, err := backup.Find(ctx, s.Backups.Store, id); !fault.Is(err, fault.NotFound) {
		return failing("an overdue backup that was planted is still there")
	}
	var left int
	if err := count(&left); err != nil {
		return pledge.Failing, "", err
	}
	if left > held {
		return failing(fmt.Sprintf("%d files of an overdue backup that was planted are still there", left-held))
	}
	if before.Count > 0 && !after.Newest.Equal(before.Newest) {
		return failing("a young backup went with the overdue one")
	}
	return kept(fmt.Sprintf("an overdue backup that was planted went with its files, the %d younger ones stay; the oldest may be %s old; erasures are made again when one is restored", after.Count, keep))
}

// recovery looks for every file of the newest backup, and at the last restore
// that was tried; it tries one where none was.
func (s *Server) recovery(ctx context.Context) (pledge.Status, string, error) {
	if s.Backups.Store == nil {
		return s.noBackups()
	}
	state, err := s.Backups.State(ctx)
	if err != nil {
		return pledge.Failing, "", err
	}
	if state.Count > 0 && state.Drill.At.IsZero() {
		if state.Drill, err = s.Backups.Try(ctx, evidence.BySystem); err != nil {
			return pledge.Failing, "", err
		}
	}
	if late := state.Late(s.Clock.Now()); len(late) > 0 {
		return failing(strings.Join(late, "; "))
	}
	e, err := backup.Find(ctx, s.Backups.Store, 0)
	if err != nil {
		return pledge.Failing, "", err
	}
	m, err := s.Backups.Store.Open(ctx, e)
	var all, read int
	if err == nil {
		all, read, err = s.Backups.Store.Sample(ctx, m, looked)
	}
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Denied) {
		text, _ := fault.Public(err)
		return failing(text)
	}
	if err != nil {
		return pledge.Failing, "", err
	}
	return kept(fmt.Sprintf("a restore was tried on %s and held: %s; all %d files of the newest backup are there, %d were read", state.Drill.At.Format(time.DateOnly), state.Drill.Note, all, read))
}

// available knocks at every door, and looks at the three things that are promised
// of data where they can be lost: in the copies from which it would come back.
func (s *Server) available(ctx context.Context) (pledge.Status, string, error) {
	for _, door := range slices.Sorted(maps.Keys(s.Doors)) {
		c, err := s.Knock(ctx, s.Doors[door])
		if err != nil {
			return failing(door + " does not answer")
		}
		if err := c.Close(); err != nil {
			return pledge.Failing, "", fault.Wrap(err, "hang up at a door")
		}
	}
	status, whole, err := s.recovery(ctx)
	if err != nil || status != pledge.Kept {
		return status, whole, err
	}
	status, shut, err := s.backedUp(ctx)
	if err != nil || status != pledge.Kept {
		return status, shut, err
	}
	return kept(fmt.Sprintf("availability: %d doors answer, and %s; confidentiality: %s", len(s.Doors), whole, shut))
}
