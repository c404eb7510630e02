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

// work seals, hashes and rotates, whatever fails, and tells what was handed out.
func work(v *Vault) (given []handed) {
	row := int64(0)
	seal := func(tenant ids.Tenant, class Class) {
		row++
		h := handed{tenant: tenant, ad: AD{"queue", row}, plain: fmt.Sprintf("plain %d", row)}
		var err error
		if h.sealed, err = v.Seal(nil, tenant, class, h.ad, []byte(h.plain)); err != nil {
			return
		}
		h.hash, _ = v.Hash(tenant, "address", "a@b.example") // zero if that failed
		given = append(given, h)
	}
	ctx := context.Background()
	seal(alice, Content)
	seal(alice, Trace)
	seal(bob, Content)
	_ = v.RotateTenant(ctx, alice)
	seal(alice, Content) // under the second of two allowed seals
	seal(alice, Content) // a new epoch key
	_ = v.RotateKEK(ctx, nextKEK())
	seal(bob, Trace)
	seal(alice, Transcript)
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

// crashEverywhere fails at every step of the work, by power or once by an error,
// and then lets after happen. It gives the first loss, and how many steps there
// are.
func crashEverywhere(t *testing.T, skip func(lab.Step) bool, fail func(*lab.ForgetfulFS, int), after func(*lab.ForgetfulFS)) (steps int, loss error) {
	t.Helper()
	for n := 1; ; n++ {
		f := lab.NewForgetfulFS()
		b := &bench{clock: lab.NewClock(lab.Epoch), store: func() *Store { return Folder(f, "keys") }}
		b.kek, _ = NewKEK([32]byte{1, 2, 3})
		f.Skip(skip)
		fail(f, n)
		var given []handed
		if v, err := b.open(crashConfig); err == nil {
			given = work(v)
			v.Close()
		}
		done := len(f.Steps()) < n-1
		after(f)
		if loss := survives(b, given); loss != nil {
			return n, fmt.Errorf("failure at step %d (%v): %w", n, last(f.Steps(), n), loss)
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
	steps, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).FailAt, (*lab.ForgetfulFS).PowerLoss)
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
	if _, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).FailAt, (*lab.ForgetfulFS).PowerLossKeepingNames); loss != nil {
		t.Fatal(loss)
	}
}

func TestNoKeyIsLostWhenKilled(t *testing.T) {
	t.Parallel()
	if _, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).FailAt, (*lab.ForgetfulFS).Kill); loss != nil {
		t.Fatal(loss)
	}
}

// TestNoKeyIsLostWhenACallFails lets the disk refuse one call, goes on, and then
// loses power: what was not stored must not have been handed out.
func TestNoKeyIsLostWhenACallFails(t *testing.T) {
	t.Parallel()
	if _, loss := crashEverywhere(t, nil, (*lab.ForgetfulFS).ErrorAt, (*lab.ForgetfulFS).PowerLoss); loss != nil {
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
			if _, loss := crashEverywhere(t, skip, (*lab.ForgetfulFS).FailAt, (*lab.ForgetfulFS).PowerLoss); loss == nil {
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
		_, err := b.Destroy(ctx, alice, Content, b.midnight())
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
		switch _, err := v.Open(nil, alice, ad, old); {
		case fault.Is(err, fault.Gone) && f.Remains(dying):
			t.Fatalf("step %d: gone, and its bytes are still on the disk", n)
		case err == nil && copies(v, alice, KeyOf(old)) != 2:
			t.Fatalf("step %d: it lives in %d copies", n, copies(v, alice, KeyOf(old)))
		case err != nil && !fault.Is(err, fault.Gone):
			t.Fatalf("step %d: %v", n, err)
		}
		if _, err := v.Destroy(ctx, alice, Content, b.midnight()); err != nil {
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

// copies says how many copies of the store hold a sound record of a key.
func copies(v *Vault, tenant ids.Tenant, id ids.Key) (n int) {
	ctx := context.Background()
	for _, copy := range []shelf{v.store.a, v.store.b} {
		names, _ := copy.list(ctx, folderOf(tenant))
		for _, name := range names {
			content, err := copy.get(ctx, folderOf(tenant), name)
			if strings.HasPrefix(name, epochPrefix(id)) && err == nil && soundRecord(content) == nil {
				n++
			}
		}
	}
	return n
}

func wrappedOf(t *testing.T, v *Vault, epochs []Epoch, class Class) []byte {
	t.Helper()
	i := slices.IndexFunc(epochs, func(e Epoch) bool { return e.Class == class })
	e := epochs[i]
	r, err := v.readRecord(context.Background(), e.Tenant, e.file())
	if err != nil {
		t.Fatal(err)
	}
	return r.wrapped
}
