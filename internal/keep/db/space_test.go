package db_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

func TestThreeMarks(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(int64(10 * limit.GiB))
	c := lab.NewClock(lab.Epoch)
	dir := t.TempDir()
	marks := db.SpaceMarks{Reserve: limit.MiB, Free: func() (limit.Bytes, error) { return limit.Bytes(free.Load()), nil }}
	s := openWith(t, db.Config{Dir: dir, Clock: c, Space: marks})
	reserve := filepath.Join(dir, "mailvow.reserve")
	held := func() bool { _, err := os.Stat(reserve); return err == nil }
	if !held() {
		t.Fatal("no reserve was set aside at start")
	}
	id := int64(0)
	try := func(free_ limit.Bytes, state db.SpaceState, newMail, other fault.Kind) {
		t.Helper()
		free.Store(int64(free_))
		c.Wind(time.Second)
		id++
		check := func(what string, err error, want fault.Kind) {
			t.Helper()
			if (want == 0) != (err == nil) || err != nil && !fault.Is(err, want) {
				t.Errorf("%s with %v free: %v", what, free_, err)
			}
		}
		check("new mail", s.Commit(t.Context(), s.accept(id, "accepted")), newMail)
		u := s.accept(1000+id, "accepted")
		u.NewMail = false
		check("other work", s.Commit(t.Context(), u), other)
		check("a change", s.Change(t.Context(), "sign in", func(tx *db.Tx) error {
			_, err := tx.Do(t.Context(), s.set, "set_state", 1, "x")
			return err
		}), other)
		if s.Space() != state {
			t.Errorf("with %v free the state is %v", free_, s.Space())
		}
	}
	try(2*limit.GiB, db.Enough, 0, 0)
	try(500*limit.MiB, db.Alert, 0, 0)
	try(100*limit.MiB, db.NoNewMail, fault.Full, 0)
	if !held() {
		t.Error("the reserve went before it was needed")
	}
	try(limit.MiB, db.NoNewMail, fault.Full, 0) // below the third mark, but the reserve is there
	if !held() {
		t.Error("the reserve went before a write found no space")
	}
	must(t, s.Close())
	must(t, os.Remove(reserve))
	s = openWith(t, db.Config{Dir: dir, Clock: c, Space: marks})
	try(limit.MiB, db.ReadOnly, fault.ReadOnly, fault.ReadOnly)
	try(256*limit.MiB+1, db.NoNewMail, fault.Full, 0) // no room for the reserve yet
	try(300*limit.MiB, db.Alert, 0, 0)
	if !held() {
		t.Error("the reserve was not set aside again")
	}
}

// TestDeletingWorksOnAFullDisk fills real small file systems to their last byte
// with mail and with a neighbour's file, deletes all mail, and goes on.
func TestDeletingWorksOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		disk    string
		restart bool // while it is full
		db.SpaceMarks
	}{
		{"16m", false, db.SpaceMarks{Alert: 3 * limit.MiB, NoNewMail: 2 * limit.MiB, ReadOnly: 256 * limit.KiB, Reserve: limit.MiB}},
		{"32m", true, db.SpaceMarks{Alert: 8 * limit.MiB, NoNewMail: 4 * limit.MiB, ReadOnly: 64 * limit.KiB, Reserve: 4 * limit.MiB}},
		{"64m", false, db.SpaceMarks{Alert: 24 * limit.MiB, NoNewMail: 16 * limit.MiB, ReadOnly: 4 * limit.MiB, Reserve: 8 * limit.MiB}},
		{"96m", true, db.SpaceMarks{Alert: 24 * limit.MiB, NoNewMail: 16 * limit.MiB, ReadOnly: 64 * limit.KiB, Reserve: 24 * limit.MiB}},
		{"128m", false, db.SpaceMarks{Alert: 24 * limit.MiB, NoNewMail: 16 * limit.MiB, ReadOnly: 64 * limit.KiB, Reserve: 40 * limit.MiB}},
		{"128m", false, db.SpaceMarks{Alert: 64 * limit.MiB, NoNewMail: 64 * limit.KiB, ReadOnly: 32 * limit.KiB, Reserve: 2 * limit.MiB}},
	} {
		t.Run(fmt.Sprint(c.disk, " with ", c.Reserve, " below ", c.NoNewMail), func(t *testing.T) {
			t.Parallel()
			deleteOnAFullDisk(t, c.disk, c.restart, c.SpaceMarks)
		})
	}
}

func deleteOnAFullDisk(t *testing.T, size string, restart bool, marks db.SpaceMarks) {
	dir := t.TempDir()
	lab.SmallDisk(t, dir, size)
	s := openWith(t, db.Config{Dir: dir, Space: marks})
	content := bytes.Repeat([]byte{7}, 100_000)
	accept := func(id int64) error {
		return s.Commit(t.Context(), &db.Unit{NewMail: true, Adds: []db.Add{
			{By: s.add, Row: []any{id, 1, "queued", content, true}}, {By: s.log, Row: []any{nil, nil, id, "accepted"}, Memo: id},
		}})
	}
	last := int64(0)
	for ; ; last++ {
		if err := accept(last); err != nil {
			wantKind(t, err, fault.Full)
			break
		}
		if last > 10_000 {
			t.Fatal("the disk holds more than a GB")
		}
	}
	junk := filepath.Join(dir, "neighbour")
	lab.FillDisk(t, junk, 0)
	if restart {
		must(t, s.Close())
		lab.FillDisk(t, junk+"2", 0) // what closing gave back
		s = openWith(t, db.Config{Dir: dir, Space: marks})
	}
	for id := range last {
		if err := s.Commit(t.Context(), s.settled(id, 1)); err != nil {
			t.Fatalf("%d of %d could not be deleted on a full disk: %v", id, last, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "mailvow.reserve")); err == nil {
		t.Error("the disk was not so full that the reserve was needed: the test shows nothing")
	}
	must(t, s.Scrub(t.Context()))
	must(t, os.Remove(junk))
	ok := false
	for end := time.Now().Add(time.Minute); !ok && time.Now().Before(end); {
		ok = accept(20_000) == nil // the state is looked at a few times a second
	}
	if !ok {
		t.Fatal("no new mail after there is room again, without a restart")
	}
	s.gapless(t, int(2*last)+1)
}

// TestReadOnlyFile makes the files immutable under the open database: callers
// get a ReadOnly fault, nothing is half there, and it goes on by itself.
func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openWith(t, db.Config{Dir: dir})
	must(t, s.Commit(t.Context(), s.accept(1, "accepted")))
	files := []string{filepath.Join(dir, "mailvow.db"), filepath.Join(dir, "mailvow.db-wal")}
	if out, err := exec.Command("chattr", append([]string{"+i"}, files...)...).CombinedOutput(); err != nil {
		t.Skipf("needs mount rights and chattr: %v %s", err, out)
	}
	writable := func() { _ = exec.Command("chattr", append([]string{"-i"}, files...)...).Run() }
	defer writable()
	for id := range int64(3) {
		wantKind(t, s.Commit(t.Context(), s.accept(10+id, "accepted")), fault.ReadOnly)
		wantKind(t, s.Change(t.Context(), "insert", func(tx *db.Tx) error {
			_, err := tx.Do(t.Context(), s.set, "insert_parcel", 20, 1, "x", true)
			return err
		}), fault.ReadOnly)
	}
	if got := s.ids(t); len(got) != 1 {
		t.Error("reading stopped, or something is half there:", got)
	}
	writable()
	must(t, s.Commit(t.Context(), s.accept(2, "accepted")))
	s.gapless(t, 2)
}
