package link

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
)

var (
	confirm     = Purpose{Name: "confirm", Once: true, Life: time.Hour}
	unsubscribe = Purpose{Name: "unsubscribe", Life: 30 * 24 * time.Hour}
)

func store(t testing.TB, d *db.DB) (*Store, *lab.Clock) {
	t.Helper()
	hand := lab.NewClock(time.Now())
	source := ids.NewSource(hand, 1, 0)
	return New(d, keys.Vault(t, hand, source), source, hand), hand
}

func nothing(*db.Tx, Link) error { return nil }

func TestALinkSaysWhatItIsAbout(t *testing.T) {
	t.Parallel()
	s, hand := store(t, lab.DB(t, Schema))
	text, err := s.Make(unsubscribe, 7, 11, 12)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Read(t.Context(), unsubscribe, text)
	if err != nil || l.Tenant != 7 || !slices.Equal(l.Subject, []int64{11, 12}) || len(text) > 80 {
		t.Errorf("%q is %+v, %v", text, l, err)
	}
	if _, err := s.Read(t.Context(), confirm, text); !fault.Is(err, fault.NotFound) {
		t.Errorf("another purpose: %v", err)
	}
	for range 3 {
		if err := s.Use(t.Context(), unsubscribe, text, nothing); err != nil {
			t.Errorf("used often: %v", err)
		}
	}
	hand.Wind(unsubscribe.Life)
	if _, err := s.Read(t.Context(), unsubscribe, text); !fault.Is(err, fault.Gone) {
		t.Errorf("over: %v", err)
	}
	if err := s.Use(t.Context(), unsubscribe, text, nothing); !fault.Is(err, fault.Gone) {
		t.Errorf("over: %v", err)
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	t.Parallel()
	s, _ := store(t, lab.DB(t, Schema))
	text, err := s.Make(unsubscribe, 7, 11)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) {
		for _, c := range "A_z9" {
			changed := text[:i] + string(c) + text[i+1:]
			if _, err := s.Read(t.Context(), unsubscribe, changed); changed != text && !fault.Is(err, fault.NotFound) {
				t.Fatalf("byte %d as %c: %v", i, c, err)
			}
		}
	}
	for _, text := range []string{"", "A", text + "A", text[1:], strings.Repeat("A", 10_000), text[:len(text)-1]} {
		if _, err := s.Read(t.Context(), unsubscribe, text); !fault.Is(err, fault.NotFound) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestAnotherCustomersKeySignsNothing(t *testing.T) {
	t.Parallel()
	s, _ := store(t, lab.DB(t, Schema))
	text, err := s.Make(unsubscribe, 7, 11)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Vault.DestroyTenant(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), unsubscribe, text); !fault.Is(err, fault.Gone) {
		t.Errorf("the customer's keys are gone: %v", err)
	}
}

// TestOnce: many at once, on both databases; one acts, and an act that fails
// leaves the link as it was.
func TestOnce(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema}, func(t *testing.T, d *db.DB) {
		s, _ := store(t, d)
		text, err := s.Make(confirm, 7, 11)
		if err != nil {
			t.Fatal(err)
		}
		torn := errors.New("torn")
		if err := s.Use(t.Context(), confirm, text, func(*db.Tx, Link) error { return torn }); !errors.Is(err, torn) {
			t.Errorf("the act's error became %v", err)
		}
		if _, err := s.Read(t.Context(), confirm, text); err != nil {
			t.Errorf("after a failed act: %v", err)
		}
		var acted, gone atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				switch err := s.Use(t.Context(), confirm, text, nothing); {
				case err == nil:
					acted.Add(1)
				case fault.Is(err, fault.Gone):
					gone.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if acted.Load() != 1 || gone.Load() != 7 {
			t.Errorf("%d acted, %d came too late", acted.Load(), gone.Load())
		}
		if _, err := s.Read(t.Context(), confirm, text); !fault.Is(err, fault.Gone) {
			t.Errorf("a used link reads as %v", err)
		}
		if n, err := s.Purge(t.Context()); n != 0 || err != nil {
			t.Errorf("purged %d before its end, %v", n, err)
		}
	})
}

func TestUsedLinksAreForgottenAfterTheirEnd(t *testing.T) {
	t.Parallel()
	hand := lab.NewClock(time.Now())
	d := lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: hand}, Schema)
	source := ids.NewSource(hand, 1, 0)
	s := New(d, keys.Vault(t, hand, source), source, hand)
	text, err := s.Make(confirm, 7, 11)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Use(t.Context(), confirm, text, nothing); err != nil {
		t.Fatal(err)
	}
	hand.Wind(2 * time.Hour)
	if n, err := s.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	s, _ := store(f, lab.DB(f, Schema))
	text, err := s.Make(unsubscribe, 7, 11)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("")
	f.Add(strings.Repeat("_", maxText))
	f.Fuzz(func(t *testing.T, in string) {
		l, err := s.Read(t.Context(), unsubscribe, in)
		if err == nil && in != text {
			t.Fatalf("%q was taken as %+v", in, l)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatalf("%q: %v", in, err)
		}
	})
}
