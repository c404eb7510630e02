package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/ids"
	"mailvow/internal/lab"
)

const testOrigin = "mail.example.com/evidence"

// stream is a random source that gives the same bytes in every run.
type stream struct {
	seed string
	n    uint64
	left []byte
}

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		if len(s.left) == 0 {
			block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.n))
			s.n, s.left = s.n+1, block[:]
		}
		p[i], s.left = s.left[0], s.left[1:]
	}
	return len(p), nil
}

// bench is one log on a disk in memory, and what survives its crashes.
type bench struct {
	t      testing.TB
	disk   *testDisk
	random io.Reader
	stage  *Memory
	clock  *lab.Clock
	ids    *ids.Source
	ring   *Ring
	tiles  *Folder
	log    *Log
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, disk: newTestDisk(), random: &stream{seed: "keys"}, stage: NewMemory(), clock: lab.NewClock(lab.Epoch)}
	b.ids = ids.NewSource(b.clock, 1, 0)
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	return b
}

// open starts the log again on what the disk holds.
func (b *bench) open() error {
	b.tiles = newFolder(b.disk, "/evidence")
	ring, err := openRing(b.disk, "/keys", testOrigin, b.random)
	if err != nil {
		return err
	}
	b.ring = ring
	b.log, err = Open(b.t.Context(), Config{Tiles: b.tiles, Ring: ring, Staged: b.stage, Clock: b.clock, Log: slog.New(slog.DiscardHandler)})
	return err
}

// act stages one administrative act.
func (b *bench) act() ids.Leaf {
	b.t.Helper()
	b.clock.Wind(time.Millisecond)
	return b.put(&Act{Act: "domain.add"})
}

func (b *bench) put(body Body) ids.Leaf {
	b.t.Helper()
	l := Leaf{ID: ids.New[ids.Leaf](b.ids), At: On(b.clock.Now()), By: Actor{Role: ByOperator}, Body: body}
	if err := b.stage.Stage(b.t.Context(), l); err != nil {
		b.t.Fatal(err)
	}
	return l.ID
}

func (b *bench) integrate() int {
	b.t.Helper()
	n, err := b.log.Integrate(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// export gives the log as lines, and fails unless it verifies.
func (b *bench) export() (string, LogReport) {
	b.t.Helper()
	var out bytes.Buffer
	if err := b.log.Reader().Export(b.t.Context(), &out); err != nil {
		b.t.Fatal(err)
	}
	report, err := VerifyExport(bytes.NewReader(out.Bytes()), LogCheck{Trusted: b.ring.Keys()[:1]})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.String(), report
}

func mustAddress(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b *bench) salt() Salt {
	b.t.Helper()
	s, err := NewSalt(b.random)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// erasure is an erasure with something in every field.
func (b *bench) erasure(s Salt, a address.Address) *Erasure {
	return &Erasure{
		Certificate: ids.New[ids.Certificate](b.ids),
		Categories: []Counted{
			{Category: "queue content", Erased: 3},
			{Category: "invoices", Erased: 0, Kept: 2, Why: "tax law wants them for ten years"},
		},
		Follows: []Follow{{By: On(b.clock.Now().Add(48 * time.Hour)), What: "copies in backups cannot be opened"}},
		Policy:  "2026-11", Reached: []string{"rows and keys of the database", "caches of all nodes"},
		Reason: "art17", Subject: HashSubject(s, a),
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
