package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
	"mailvow/internal/protect/backup"
	"mailvow/internal/protect/evidence"
)

const day = 24 * time.Hour

// plain seals by adding a word.
type plain struct{}

func (plain) Seal(_ context.Context, name string, b []byte) ([]byte, error) {
	return append([]byte(name+"\n"), b...), nil
}

func (plain) Unseal(_ context.Context, name string, b []byte) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(b), name+"\n")
	if !ok {
		return nil, fault.New(fault.Invalid, "not mine")
	}
	return []byte(rest), nil
}

var data = db.Schema{Package: "test/data", SQL: `
-- migration: 1
create table data_row (id int primary key, sealed blob not null, word text, even bool not null);
-- bulk: add (id int, sealed blob, even bool)
insert into data_row (id, sealed, even) select id, sealed, even from rows where true
-- query: remove
delete from data_row where id = $1
-- query: all
select count(*) from data_row
`}

var schemas = []db.Schema{evidence.Schema(), backup.Schema, data}

// bench is a keeper over a database with some rows and bodies.
type bench struct {
	*backup.Keeper
	db     *db.DB
	clock  *lab.Clock
	blobs  blob.Store
	dir    string // of the backups
	newest string
	keys   string
	ring   *backup.Keyring
	broken error // what Sample answers
}

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	must(t, err)
	return i
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, config db.Config, theirs *age.X25519Identity) *bench {
	t.Helper()
	root := t.TempDir()
	b := &bench{clock: lab.NewClock(start), dir: filepath.Join(root, "backups"), newest: filepath.Join(root, "newest"), keys: filepath.Join(root, "keys")}
	config.Clock = b.clock
	b.db = lab.OpenDB(t, config, schemas...)
	var err error
	b.blobs, err = blob.Folder(disk.Machine{}, filepath.Join(root, "blobs"), "local")
	must(t, err)
	b.ring, err = backup.OpenKeyring(t.Context(), disk.Machine{}, filepath.Join(b.keys, "backup"), plain{}, []string{theirs.Recipient().String()})
	must(t, err)
	store, err := b.ring.Store(chunk.Folder(disk.Machine{}, b.dir), plain{})
	must(t, err)
	newest, err := b.ring.Store(chunk.Folder(disk.Machine{}, b.newest), plain{})
	must(t, err)
	b.Keeper = backup.New(backup.Config{
		Store: store, Newest: newest, Streams: []backup.Stream{backup.FolderStream("keys", b.keys)},
		DB: b.db, Schemas: schemas, Blobs: b.blobs, Scratch: filepath.Join(root, "scratch"),
		Periods: func(context.Context) (backup.Periods, error) {
			return backup.Periods{Every: day, Keep: 3 * day, Drill: 10 * day}, nil
		},
		Sample: func(context.Context, *db.DB) (int, error) { return 1, b.broken },
		Alone:  func(ctx context.Context, f func(context.Context) error) (bool, error) { return true, f(ctx) },
		Stage:  evidence.NewStage(b.db), Nudge: func() {}, IDs: ids.NewSource(b.clock, 1, 0), Clock: b.clock, Observe: observe.Silent(),
	})
	return b
}

func (b *bench) add(t *testing.T, from, to int64) {
	t.Helper()
	u := &db.Unit{}
	for id := from; id < to; id++ {
		sealed := make([]byte, 900)
		for i := range sealed {
			sealed[i] = byte(id * int64(i) >> 3)
		}
		u.Adds = append(u.Adds, db.Add{By: b.db.Set("test/data").Bulk("add"), Row: []any{id, sealed, id%2 == 0}})
	}
	must(t, b.db.Commit(t.Context(), u))
}

func (b *bench) body(t *testing.T, content string) {
	t.Helper()
	_, err := blob.Put(t.Context(), b.blobs, blob.NewName(), strings.NewReader(content))
	must(t, err)
}

func (b *bench) make(t *testing.T) backup.Copy {
	t.Helper()
	c, err := b.Make(t.Context(), evidence.ByOperator)
	must(t, err)
	return c
}

// acts are those that were staged for the evidence log.
func (b *bench) acts(t *testing.T) (list []string) {
	t.Helper()
	rows, err := b.Stage.Staged(t.Context(), 100)
	must(t, err)
	for _, r := range rows {
		_, rest, _ := strings.Cut(string(r.Leaf), `"act":"`)
		act, _, _ := strings.Cut(rest, `"`)
		list = append(list, act)
	}
	return list
}

func manifest(t *testing.T, s *chunk.Store, id ids.Backup) *chunk.Manifest {
	t.Helper()
	e, err := backup.Find(t.Context(), s, id)
	must(t, err)
	m, err := s.Open(t.Context(), e)
	must(t, err)
	return m
}

// TestThereAndBack makes two backups, tries the second, and brings the first
// back on an empty machine with the operator's identity alone.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		theirs := identity(t)
		b := set(t, config, theirs)
		b.add(t, 0, 2000)
		b.body(t, strings.Repeat("sealed", 40_000))
		first := b.make(t)
		b.clock.Wind(time.Hour)
		b.add(t, 2000, 2010)
		second := b.make(t)
		if second.New > first.New/2 {
			t.Errorf("ten rows more wrote %v, the first backup %v", second.New, first.New)
		}
		d, err := b.Try(t.Context(), evidence.BySystem)
		if err != nil || !d.Good || d.Backup != second.ID || !strings.Contains(d.Note, "1 message bodies whole") {
			t.Errorf("%+v %v", d, err)
		}
		if got, want := b.acts(t), []string{"backup.made", "backup.made", "backup.drill.held"}; !slices.Equal(got, want) {
			t.Errorf("evidence has %v", got)
		}
		if _, n, err := b.Verify(t.Context(), 0); err != nil || n < 10 {
			t.Errorf("verified %d chunks, %v", n, err)
		}
		if left, err := os.ReadDir(b.Scratch); err != nil || len(left) != 0 {
			t.Errorf("scratch holds %v, %v", left, err)
		}
		empty := *b.Store
		empty.Identities = []age.Identity{theirs}
		m := manifest(t, &empty, first.ID)
		to := db.Config{Dir: t.TempDir(), Clock: b.clock}
		if config.Postgres != "" {
			to = db.Config{Postgres: lab.Postgres(t), Clock: b.clock}
		}
		must(t, backup.Fetch(t.Context(), &empty, m, to, schemas))
		restored := lab.OpenDB(t, to, schemas...)
		var n int
		must(t, restored.Set("test/data").One(t.Context(), "all", nil, &n))
		again := backup.New(backup.Config{DB: restored, Clock: b.clock, Observe: observe.Silent()})
		pending, is, err := again.Pending(t.Context())
		if n != 2000 || !is || err != nil || pending.Backup != first.ID || !pending.Taken.Equal(first.Taken) {
			t.Errorf("%d rows; %+v %v %v", n, pending, is, err)
		}
		must(t, again.Settled(t.Context(), pending))
		if _, is, err := again.Pending(t.Context()); is || err != nil {
			t.Errorf("still pending: %v", err)
		}
		blobs, err := blob.Folder(disk.Machine{}, t.TempDir(), "local")
		must(t, err)
		if n, err := backup.FetchBlobs(t.Context(), &empty, m, blobs); n != 1 || err != nil {
			t.Errorf("%d bodies, %v", n, err)
		}
	})
}

// TestPeriods winds the clock: backups are made when due and gone when due, to
// the hour, and restores are tried.
func TestPeriods(t *testing.T) {
	t.Parallel()
	b := set(t, db.Config{Dir: t.TempDir()}, identity(t))
	b.add(t, 0, 10)
	look := func() backup.State {
		t.Helper()
		must(t, b.Look(t.Context()))
		s, err := b.State(t.Context())
		must(t, err)
		if late := s.Late(b.clock.Now()); len(late) > 0 {
			t.Errorf("after it looked: %v", late)
		}
		return s
	}
	if s, err := b.State(t.Context()); err != nil || len(s.Late(start)) != 2 {
		t.Errorf("an empty place: %+v %v", s.Late(start), err)
	}
	if s := look(); s.Count != 1 || !s.Drill.Good || !s.Drill.At.Equal(start) {
		t.Errorf("at the start: %+v", s)
	}
	b.clock.Wind(22 * time.Hour)
	if s := look(); s.Count != 1 {
		t.Errorf("after 22 hours there are %d", s.Count)
	}
	for hour := 23; hour < 12*24; hour++ {
		b.clock.Wind(time.Hour)
		s := look()
		if now := b.clock.Now(); now.Sub(s.Newest) >= day || now.Sub(s.Oldest) >= 3*day {
			t.Fatalf("hour %d: newest %v, oldest %v", hour, now.Sub(s.Newest), now.Sub(s.Oldest))
		}
	}
	if s := look(); s.Drill.At.Equal(start) {
		t.Error("no second drill in twelve days")
	}
	b.clock.Wind(2 * day)
	s, err := b.State(t.Context())
	if late := s.Late(b.clock.Now()); err != nil || len(late) != 2 || !strings.Contains(late[0], "the newest backup is older") || !strings.Contains(late[1], "the oldest") {
		t.Errorf("nobody looked for two days: %v", late)
	}
}

// TestAFailedDrillIsKnown changes a chunk, and lets a row not open.
func TestAFailedDrillIsKnown(t *testing.T) {
	t.Parallel()
	b := set(t, db.Config{Dir: t.TempDir()}, identity(t))
	b.add(t, 0, 10)
	b.make(t)
	b.broken = errors.New("a key is missing")
	d, err := b.Try(t.Context(), evidence.BySystem)
	if err != nil || d.Good || !strings.Contains(d.Note, "today's keys") {
		t.Errorf("%+v %v", d, err)
	}
	b.broken = nil
	var one string
	must(t, b.Store.Place.List(t.Context(), "chunks/", func(name string, _ int64) error { one = name; return nil }))
	must(t, os.WriteFile(filepath.Join(b.dir, one), []byte("age-encryption.org/v1\nnonsense"), 0o600))
	d, err = b.Try(t.Context(), evidence.BySystem)
	if err != nil || d.Good || !strings.Contains(d.Note, "damaged") {
		t.Errorf("%+v %v", d, err)
	}
	if got, want := b.acts(t), []string{"backup.made", "backup.drill.failed", "backup.drill.failed"}; !slices.Equal(got, want) {
		t.Errorf("evidence has %v", got)
	}
	s, err := b.State(t.Context())
	if late := s.Late(b.clock.Now()); err != nil || len(late) != 1 || !strings.Contains(late[0], "failed") {
		t.Errorf("%v %v", late, err)
	}
}

// TestNewRecipientsGetAWholeBackup: what was written for others is written anew,
// and the former backups can still be listed, tried and removed.
func TestNewRecipientsGetAWholeBackup(t *testing.T) {
	t.Parallel()
	former, later := identity(t), identity(t)
	b := set(t, db.Config{Dir: t.TempDir()}, former)
	b.add(t, 0, 100)
	first := b.make(t)
	ring, err := backup.OpenKeyring(t.Context(), disk.Machine{}, filepath.Join(b.keys, "backup"), plain{}, []string{later.Recipient().String()})
	must(t, err)
	b.Store, err = ring.Store(b.Store.Place, plain{})
	must(t, err)
	b.clock.Wind(time.Hour)
	second := b.make(t)
	if second.New < first.New/2 {
		t.Errorf("the first wrote %v, that for new recipients %v", first.New, second.New)
	}
	if list, err := b.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
	for who, can := range map[*age.X25519Identity]map[ids.Backup]bool{former: {first.ID: true}, later: {second.ID: true}} {
		theirs := *b.Store
		theirs.Identities = []age.Identity{who}
		for _, id := range []ids.Backup{first.ID, second.ID} {
			e, err := backup.Find(t.Context(), &theirs, id)
			must(t, err)
			m, err := theirs.Open(t.Context(), e)
			if err == nil {
				_, err = theirs.Verify(t.Context(), m)
			}
			if can[id] != (err == nil) {
				t.Errorf("%v: %v", can[id], err)
			}
		}
	}
}

// TestOnlyTheNewestStateStays mirrors the key store: a key that is destroyed is
// in no file of the other place after the next call.
func TestOnlyTheNewestStateStays(t *testing.T) {
	t.Parallel()
	theirs := identity(t)
	b := set(t, db.Config{Dir: t.TempDir()}, theirs)
	write := func(name, content string) { must(t, os.WriteFile(filepath.Join(b.keys, name), []byte(content), 0o600)) }
	write("one", "the first key")
	write("two", "the second key")
	must(t, b.Mirror(t.Context()))
	mine := *b.Newest
	mine.Identities = []age.Identity{theirs}
	names := func() (list []string) {
		m, err := backup.NewestState(t.Context(), &mine)
		must(t, err)
		for _, f := range m.Files {
			list = append(list, strings.TrimPrefix(f.Name, "keys/"))
		}
		return list
	}
	count := func() (n int) {
		must(t, mine.Place.List(t.Context(), "", func(string, int64) error { n++; return nil }))
		return n
	}
	if got := names(); !slices.Equal(got, []string{"backup/ring", "one", "two"}) || count() != 4 {
		t.Errorf("%v in %d files", got, count())
	}
	must(t, os.Remove(filepath.Join(b.keys, "one")))
	write("two", "a second key, changed")
	b.clock.Wind(time.Minute)
	must(t, b.Mirror(t.Context()))
	if got := names(); !slices.Equal(got, []string{"backup/ring", "two"}) || count() != 3 {
		t.Errorf("%v in %d files", got, count())
	}
	m, err := backup.NewestState(t.Context(), &mine)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "keys")
	if made, err := backup.FetchStream(t.Context(), &mine, m, "keys", dir); !made || err != nil {
		t.Error(made, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "two")); err != nil || string(got) != "a second key, changed" {
		t.Errorf("%q %v", got, err)
	}
	if made, err := backup.FetchStream(t.Context(), &mine, m, "keys", dir); made || err != nil {
		t.Errorf("what is there was replaced: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(b.newest, first(t, &mine)), []byte("nonsense"), 0o600))
	broken := filepath.Join(t.TempDir(), "keys")
	if _, err := backup.FetchStream(t.Context(), &mine, m, "keys", broken); !fault.Is(err, fault.Invalid) {
		t.Errorf("a changed chunk: %v", err)
	}
	if _, err := os.Stat(broken); !os.IsNotExist(err) {
		t.Error("a part of the key store is there")
	}
}

func first(t *testing.T, s *chunk.Store) (one string) {
	t.Helper()
	must(t, s.Place.List(t.Context(), "chunks/", func(name string, _ int64) error { one = name; return nil }))
	return one
}
