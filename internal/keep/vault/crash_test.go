package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/lab"
)

// handed is something that a caller was given and has since relied on.
type handed struct {
	tenant ids.Tenant
	ad     AD
	sealed []byte
	plain  string
	hash   [16]byte
}

// work seals, hashes and rotates until power fails, and tells what was handed
// out before it did.
func work(v *Vault) (given []handed) {
	seal := func(tenant ids.Tenant, class Class) bool {
		h := handed{tenant: tenant, ad: AD{"queue", int64(len(given))}, plain: fmt.Sprintf("plain %d", len(given))}
		var err, err2 error
		h.sealed, err = v.Seal(nil, tenant, class, h.ad, []byte(h.plain))
		h.hash, err2 = v.Hash(tenant, "address", "a@b.example")
		if err != nil {
			return false
		}
		if err2 != nil {
			h.hash = [16]byte{}
		}
		given = append(given, h)
		return err2 == nil
	}
	ctx := context.Background()
	_ = seal(alice, Content) && seal(alice, Trace) && seal(bob, Content) &&
		v.RotateTenant(ctx, alice) == nil &&
		seal(alice, Content) && // under the second of two allowed seals
		seal(alice, Content) && // a new epoch key
		v.RotateKEK(ctx, nextKEK()) == nil &&
		seal(bob, Trace) && seal(alice, Transcript)
	return given
}

func nextKEK() Wrapper {
	k, err := NewKEK([32]byte{9, 9, 9})
	if err != nil {
		panic(err)
	}
	return k
}

func crashConfig(c *Config) {
	c.Grace, c.MaxSeals = -1, 2
}

// survives opens the store with today's keys and reports what is lost.
func survives(b *bench, given []handed) error {
	old := b.kek
	v, err := b.open(crashConfig, func(c *Config) { c.KEK, c.Former = nextKEK(), []Wrapper{old} })
	if err != nil {
		return fmt.Errorf("the store does not open: %w", err)
	}
	defer v.Close()
	for i, h := range given {
		plain, err := v.Open(nil, h.tenant, h.ad, h.sealed)
		if err != nil || string(plain) != h.plain {
			return fmt.Errorf("value %d of %d is lost: %q %w", i, len(given), plain, err)
		}
		hash, err := v.Hash(h.tenant, "address", "a@b.example")
		if err != nil || (h.hash != [16]byte{} && hash != h.hash) {
			return fmt.Errorf("look-up %d of %d is lost: %w", i, len(given), err)
		}
	}
	return nil
}

// crashEverywhere fails power at every step of the work. It gives the first
// loss, and how many steps there are.
func crashEverywhere(t *testing.T, skip func(lab.Step) bool, after func(*lab.ForgetfulFS)) (steps int, loss error) {
	t.Helper()
	for n := 1; ; n++ {
		f := lab.NewForgetfulFS()
		b := &bench{clock: lab.NewClock(lab.Epoch), store: func() *Store { return Folder(f, "keys") }}
		b.kek, _ = NewKEK([32]byte{1, 2, 3})
		f.Skip(skip)
		f.FailAt(n)
		var given []handed
		if v, err := b.open(crashConfig); err == nil {
			given = work(v)
			v.Close()
		}
		done := len(f.Steps()) < n-1
		after(f)
		if loss := survives(b, given); loss != nil {
			return n, fmt.Errorf("power failed at step %d (%v): %w", n, last(f.Steps(), n), loss)
		}
		if done {
			if len(given) != 7 {
				t.Fatalf("the work was not done: %d of 7", len(given))
			}
			return n, nil
		}
	}
}

func last(steps []lab.Step, n int) []lab.Step {
	return steps[max(0, min(n, len(steps))-3):min(n, len(steps))]
}

func TestNoKeyIsLostWhenPowerFails(t *testing.T) {
	t.Parallel()
	steps, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).PowerLoss)
	if loss != nil {
		t.Fatal(loss)
	}
	if steps < 100 {
		t.Errorf("only %d steps: the work does not reach the disk", steps)
	}
	t.Logf("power failed at each of %d steps", steps)
}

func TestNoKeyIsLostWhenFoldersAreAheadOfFiles(t *testing.T) {
	t.Parallel()
	if _, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).PowerLossKeepingNames); loss != nil {
		t.Fatal(loss)
	}
}

func TestNoKeyIsLostWhenKilled(t *testing.T) {
	t.Parallel()
	if _, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).Kill); loss != nil {
		t.Fatal(loss)
	}
}

// TestEachSyncIsNeeded shows that the test above can fail: without any one kind
// of sync something that was handed out is lost.
func TestEachSyncIsNeeded(t *testing.T) {
	t.Parallel()
	for name, skip := range map[string]func(lab.Step) bool{
		"of a record's content": func(s lab.Step) bool { return s.Act == "sync" },
		"of the customer's folder after a record": func(s lab.Step) bool {
			return s.Act == "syncdir" && strings.Contains(s.Name, "/keys/")
		},
		"of the folder above a new customer": func(s lab.Step) bool {
			return s.Act == "syncdir" && (strings.HasSuffix(s.Name, "/a/keys") || strings.HasSuffix(s.Name, "/b/keys"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, loss := crashEverywhere(t, skip, (*lab.ForgetfulFS).PowerLoss); loss == nil {
				t.Error("nothing is lost without this sync")
			} else {
				t.Log(loss)
			}
		})
	}
}

// TestDestructionEndsAfterACrash fails power at every step of a destruction.
// Afterwards the key is whole or gone, never in one copy only, and calling again
// ends it; the bytes are overwritten then, and nothing else is lost.
func TestDestructionEndsAfterACrash(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		b, f := inMemory(t, crashConfig)
		ctx := context.Background()
		ad := AD{"queue", 1}
		old := mustSeal(t, b.Vault, alice, Content, ad, "old")
		trace := mustSeal(t, b.Vault, alice, Trace, ad, "trace")
		epochs, _ := b.Epochs(ctx, alice)
		dying := wrappedOf(t, b.Vault, epochs, Content)
		b.clock.Wind(25 * 3600e9)
		young := mustSeal(t, b.Vault, alice, Content, ad, "young")

		f.FailAt(n)
		before := len(f.Steps())
		_, err := b.Destroy(ctx, alice, Content, b.today())
		done := err == nil && len(f.Steps()) < before+n-1
		f.PowerLoss()
		if n%2 == 0 { // and again, while the next start finishes
			f.FailAt(n / 2)
			if v, err := b.open(crashConfig); err == nil {
				v.Close()
			}
			f.PowerLoss()
		}
		v, err := b.open(crashConfig)
		if err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if _, err := v.Open(nil, alice, ad, old); fault.Is(err, fault.Gone) && f.Remains(dying) {
			t.Fatalf("step %d: gone, and its bytes are still on the disk", n)
		}
		if _, err := v.Destroy(ctx, alice, Content, b.today()); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if _, err := v.Open(nil, alice, ad, old); !fault.Is(err, fault.Gone) {
			t.Fatalf("step %d: %v", n, err)
		}
		if f.Remains(dying) {
			t.Fatalf("step %d: the bytes are still on the disk", n)
		}
		mustOpen(t, v, alice, ad, trace, "trace")
		mustOpen(t, v, alice, ad, young, "young")
		v.Close()
		if done {
			t.Logf("power failed at each of %d steps", n)
			return
		}
	}
}

func wrappedOf(t *testing.T, v *Vault, epochs []Epoch, class Class) []byte {
	t.Helper()
	i := slices.IndexFunc(epochs, func(e Epoch) bool { return e.Class == class })
	e := epochs[i]
	r, err := v.readRecord(context.Background(), e.Tenant, epochFile(&epochKey{id: e.Key, class: e.Class, day: e.Day}))
	if err != nil {
		t.Fatal(err)
	}
	return r.wrapped
}
