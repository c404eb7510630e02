package evidence

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
)

// suiteStage is what every stage must do; put stages one leaf.
func suiteStage(t *testing.T, s Staged, put func(context.Context, Leaf) error) {
	ctx := t.Context()
	leaves := oneOfEach(t)
	for i := range leaves {
		if err := put(ctx, leaves[len(leaves)-1-i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(ctx, leaves[0]); !fault.Is(err, fault.Conflict) {
		t.Errorf("one id twice: %v", err)
	}
	bad := leaves[0]
	bad.By.Role = "Ada"
	if err := put(ctx, bad); !fault.Is(err, fault.Invalid) {
		t.Errorf("a leaf that cannot be encoded: %v", err)
	}
	rows, err := s.Staged(ctx, 4)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, r := range rows {
		want, err := leaves[i].Encode()
		if err != nil || r.ID != leaves[i].ID || string(r.Leaf) != string(want) {
			t.Errorf("row %d is %v %s", i, r.ID, r.Leaf)
		}
	}
	for range 2 { // removing what is gone is no fault
		if err := s.Remove(ctx, []ids.Leaf{leaves[0].ID, leaves[1].ID, leaves[0].ID}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if rows, err = s.Staged(ctx, 100); err != nil || len(rows) != len(leaves)-2 || rows[0].ID != leaves[2].ID {
		t.Fatalf("%d rows are left, %v", len(rows), err)
	}
}

func TestStageInMemory(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	suiteStage(t, m, m.Stage)
}

func TestStageInDatabase(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema()}, func(t *testing.T, d *db.DB) {
		s := NewStage(d)
		suiteStage(t, s, func(ctx context.Context, l Leaf) error {
			return d.Change(ctx, "act", func(tx *db.Tx) error { return s.Stage(ctx, tx, l) })
		})
	})
}

// TestActAndEvidenceAreOne rolls an act back after staging: no evidence of it is
// left. Then the whole way: commit, integrate, certificate, empty table.
func TestActAndEvidenceAreOne(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema()}, func(t *testing.T, d *db.DB) {
		s, ctx := NewStage(d), testContext(t)
		leaves := oneOfEach(t)
		failed := errors.New("the act failed")
		err := d.Change(ctx, "act", func(tx *db.Tx) error {
			return errors.Join(s.Stage(ctx, tx, leaves[0]), failed)
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if rows, err := s.Staged(ctx, 10); err != nil || len(rows) != 0 {
			t.Fatalf("%d leaves of an act that did not happen, %v", len(rows), err)
		}
		unit := &db.Unit{}
		for _, l := range leaves {
			add, err := s.Add(l)
			if err != nil {
				t.Fatal(err)
			}
			unit.Adds = append(unit.Adds, add)
		}
		if err := d.Commit(ctx, unit); err != nil {
			t.Fatal(err)
		}
		log, dir := openOnDisk(t, s)
		if n, err := log.Integrate(ctx); err != nil || n != len(leaves) {
			t.Fatal(n, err)
		}
		if rows, err := s.Staged(ctx, 10); err != nil || len(rows) != 0 {
			t.Fatalf("%d rows are left, %v", len(rows), err)
		}
		for _, l := range leaves {
			if _, ok := l.Body.(*Erasure); !ok {
				continue
			}
			c, err := log.Certify(ctx, l.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			data, err := c.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyCertificate(data, CertificateCheck{Trusted: log.Ring.Keys()}); err != nil {
				t.Fatal(err)
			}
		}
		report, err := VerifyFile(ctx, dir, LogCheck{Trusted: log.Ring.Keys()})
		if err != nil || report.Size != int64(len(leaves)) || len(report.Kinds) != len(leaves) {
			t.Fatal(report, err)
		}
	})
}

// openOnDisk opens a log in folders of the machine.
func openOnDisk(t *testing.T, s Staged) (*Log, string) {
	t.Helper()
	dir, keys := t.TempDir()+"/data/evidence", t.TempDir()+"/evidence-keys"
	tiles, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tiles.Close() })
	ring, err := OpenRing(keys, testOrigin, &stream{seed: "keys"})
	if err != nil {
		t.Fatal(err)
	}
	log, err := Open(t.Context(), Config{Tiles: tiles, Ring: ring, Staged: s, Clock: lab.NewClock(lab.Epoch), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return log, dir
}
