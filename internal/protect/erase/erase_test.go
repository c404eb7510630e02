package erase_test

import (
	"context"
	"crypto/rand"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
)

// shelf is a holder in memory.
type shelf struct {
	held   map[string]time.Time // address → when it came
	later  int                  // passes that find it in use
	broken error
	asked  int
}

func (s *shelf) HolderName() string { return "shelf" }

func (s *shelf) Find(_ context.Context, p pledge.Subject) ([]pledge.Trace, error) {
	at, ok := s.held[p.Address.Canonical()]
	if !ok || !p.Before.IsZero() && !at.Before(p.Before) {
		return nil, nil
	}
	return []pledge.Trace{{Category: "letters", Holder: "shelf", Count: 1}}, nil
}

func (s *shelf) HandOver(context.Context, pledge.Subject, func(pledge.Record) error) error {
	return nil
}

func (s *shelf) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}
func (s *shelf) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

func (s *shelf) Erase(ctx context.Context, p pledge.Subject) ([]pledge.Erased, error) {
	s.asked++
	if s.broken != nil {
		return nil, s.broken
	}
	found, _ := s.Find(ctx, p)
	switch {
	case len(found) == 0:
		return []pledge.Erased{{Category: "letters"}}, nil
	case s.later > 0:
		s.later--
		return []pledge.Erased{{Category: "letters", Later: 1, Why: "it is being read"}}, nil
	}
	delete(s.held, p.Address.Canonical())
	return []pledge.Erased{{Category: "letters", Count: 1, Epoch: 24 * time.Hour}}, nil
}

type bench struct {
	t       *testing.T
	dir     string
	clock   *lab.Clock
	shelf   *shelf
	ledger  *erase.Ledger
	log     *evidence.Log
	eraser  *erase.Eraser
	forgot  int
	keptOut int
}

func newBench(t *testing.T, d *db.DB, c *lab.Clock) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: c, shelf: &shelf{held: map[string]time.Time{"ada@example.com": lab.Epoch.Add(-time.Hour)}}}
	ring, err := evidence.OpenRing(path.Join(b.dir, "ring"), "mail.test/evidence", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tiles, err := evidence.OpenFolder(path.Join(b.dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tiles.Close() })
	stage := evidence.NewStage(d)
	if b.log, err = evidence.Open(t.Context(), evidence.Config{Tiles: tiles, Ring: ring, Staged: stage, Clock: c, Log: observe.Silent().Log}); err != nil {
		t.Fatal(err)
	}
	b.openLedger()
	b.eraser = erase.New(erase.Config{
		Holders: []pledge.Holder{b.shelf}, Ledger: b.ledger, DB: d, Stage: stage, Log: b.log, IDs: ids.NewSource(c, 1, 0), Clock: c, Observe: observe.Silent(),
		Forget:   []func(context.Context, pledge.Subject) error{func(context.Context, pledge.Subject) error { b.forgot++; return nil }},
		KeepAway: func(context.Context, pledge.Subject) error { b.keptOut++; return nil },
	})
	return b
}

func (b *bench) openLedger() {
	b.t.Helper()
	var err error
	if b.ledger, err = erase.OpenLedger(disk.Machine{}, path.Join(b.dir, "erasures"), path.Join(b.dir, "erasure-keys")); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) entries() []erase.Entry {
	b.t.Helper()
	var list []erase.Entry
	if err := b.ledger.Each(b.t.Context(), func(e erase.Entry) error { list = append(list, e); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return list
}

func ada(t *testing.T) address.Address {
	t.Helper()
	a, err := address.Parse("Ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// erase orders an erasure while the sequencer integrates.
func (b *bench) erase(o erase.Order) (erase.Receipt, error) {
	b.t.Helper()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			default:
				_, _ = b.log.Integrate(b.t.Context())
			}
		}
	}()
	return b.eraser.Erase(b.t.Context(), o)
}

func TestAnErasureIsCertified(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{evidence.Schema()}, func(t *testing.T, d *db.DB) {
		b := newBench(t, d, lab.NewClock(lab.Epoch))
		r, err := b.erase(erase.Order{Scope: scope.Everyone, Address: ada(t), By: evidence.BySubject, KeepAway: true})
		if err != nil {
			t.Fatal(err)
		}
		text, err := r.Document.JSON()
		if err != nil {
			t.Fatal(err)
		}
		who := ada(t)
		report, err := evidence.VerifyCertificate(text, evidence.CertificateCheck{Address: &who})
		if err != nil || !report.SubjectMatches || report.Certificate != r.Certificate || report.Reason != "art17" || report.Categories[0].Erased != 1 {
			t.Errorf("report %+v, %v", report, err)
		}
		if strings.Contains(strings.ToLower(string(text)), "ada@") {
			t.Error("the certificate names the person")
		}
		if b.keptOut != 1 || b.forgot != 0 {
			t.Errorf("kept away %d times, forgotten %d times", b.keptOut, b.forgot)
		}
		b.clock.Wind(16 * time.Minute)
		if n, err := b.eraser.Finish(t.Context()); n != 1 || err != nil || b.forgot != 1 {
			t.Errorf("finished %d, %v; forgotten %d times", n, err, b.forgot)
		}
		if n, err := b.eraser.Finish(t.Context()); n != 0 || err != nil {
			t.Errorf("finished again: %d, %v", n, err)
		}
	})
}

// TestTheLedgerComesFirst breaks the holder: the entry is there all the same,
// and the next start finishes the work.
func TestTheLedgerComesFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()), lab.NewClock(lab.Epoch))
	b.shelf.broken = errors.New("the shelf fell down")
	if _, err := b.erase(erase.Order{Scope: scope.Tenant(7), Address: ada(t), By: evidence.BySubject}); err == nil {
		t.Fatal("a broken holder passed")
	}
	list := b.entries()
	if len(list) != 1 || list[0].Passes != 0 || list[0].Tenant != 7 || list[0].Everyone {
		t.Fatalf("ledger %+v", list)
	}
	b.shelf.broken = nil
	b.openLedger()
	if _, err := b.eraser.Finish(t.Context()); err != nil || len(b.shelf.held) != 0 {
		t.Errorf("after the crash %d are held, %v", len(b.shelf.held), err)
	}
}

// TestWithoutALedgerNothingIsDestroyed takes the folder away.
func TestWithoutALedgerNothingIsDestroyed(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()), lab.NewClock(lab.Epoch))
	if err := disk.Remove(disk.Machine{}, path.Join(b.dir, "erasures")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.erase(erase.Order{Scope: scope.Everyone, Address: ada(t), By: evidence.BySubject}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("erased without a ledger: %v", err)
	}
	if b.shelf.asked != 0 {
		t.Error("something was destroyed before the ledger was written")
	}
}

func TestWhatIsInUseIsReachedLater(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()), lab.NewClock(lab.Epoch))
	b.shelf.later = 1 << 30
	b.eraser.Settle = time.Nanosecond // do not wait here
	b.clock.Wind(time.Microsecond)
	done := make(chan error, 1)
	go func() {
		_, err := b.erase(erase.Order{Scope: scope.Everyone, Address: ada(t), By: evidence.BySubject})
		done <- err
	}()
	for {
		b.clock.Wind(time.Microsecond)
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		default:
			continue
		}
		break
	}
	if len(b.shelf.held) != 1 {
		t.Fatal("the test does not leave anything for later")
	}
	b.shelf.later = 0
	b.clock.Wind(16 * time.Minute)
	if n, err := b.eraser.Finish(t.Context()); n != 1 || err != nil || len(b.shelf.held) != 0 {
		t.Errorf("finished %d, %v; %d held", n, err, len(b.shelf.held))
	}
}

// TestARestoreIsFollowedByTheErasures brings the data back, not the ledger.
func TestARestoreIsFollowedByTheErasures(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()), lab.NewClock(lab.Epoch))
	if _, err := b.erase(erase.Order{Scope: scope.Everyone, Address: ada(t), By: evidence.BySubject}); err != nil {
		t.Fatal(err)
	}
	b.shelf.held = map[string]time.Time{"ada@example.com": lab.Epoch.Add(-time.Hour), "bob@example.com": lab.Epoch.Add(-time.Hour)}
	b.clock.Wind(48 * time.Hour)
	if n, err := b.eraser.Replay(t.Context(), lab.Epoch.Add(-30*time.Minute)); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	if len(b.shelf.held) != 1 || b.shelf.held["bob@example.com"].IsZero() {
		t.Errorf("after the restore: %v", b.shelf.held)
	}
	if _, err := b.log.Integrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := false
	err := b.log.Reader().Leaves(t.Context(), 0, func(_ int64, l evidence.Leaf) error {
		r, ok := l.Body.(*evidence.Restore)
		found = found || ok && r.Ledger == 1 && r.Erased == 1
		return nil
	})
	if err != nil || !found {
		t.Errorf("the restore is not in the log, %v", err)
	}
}

func TestTheLedgerIsSealedAndPurged(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.DB(t, evidence.Schema()), lab.NewClock(lab.Epoch))
	if _, err := b.erase(erase.Order{Scope: scope.Everyone, Address: ada(t), By: evidence.BySubject}); err != nil {
		t.Fatal(err)
	}
	name := b.entries()[0].ID.String()
	raw, err := disk.Read(disk.Machine{}, path.Join(b.dir, "erasures", name), 1<<20)
	if err != nil || strings.Contains(strings.ToLower(string(raw)), "ada") {
		t.Errorf("the entry is not sealed, %v", err)
	}
	if n, err := b.ledger.Purge(t.Context(), b.clock.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("an unfinished entry was purged: %d, %v", n, err)
	}
	b.clock.Wind(16 * time.Minute)
	if _, err := b.eraser.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.ledger.Purge(t.Context(), lab.Epoch); n != 0 || err != nil {
		t.Errorf("a young entry was purged: %d, %v", n, err)
	}
	if n, err := b.ledger.Purge(t.Context(), lab.Epoch.Add(time.Second)); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	raw[20] ^= 1
	if err := disk.Write(disk.Machine{}, path.Join(b.dir, "erasures", name), raw); err != nil {
		t.Fatal(err)
	}
	if err := b.ledger.Each(t.Context(), func(erase.Entry) error { return nil }); err == nil {
		t.Error("a changed entry opens")
	}
}
