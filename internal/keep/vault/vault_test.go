package vault

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
)

const alice, bob ids.Tenant = 11, 12

// bench is a vault over a store, with its clock.
type bench struct {
	*Vault
	clock *lab.Clock
	kek   Wrapper
	store func() *Store
	node  int
}

func newBench(t testing.TB, store func() *Store, change ...func(*Config)) *bench {
	t.Helper()
	kek, err := NewKEK([32]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{clock: lab.NewClock(lab.Epoch), kek: kek, store: store}
	if b.Vault, err = b.open(change...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// open makes one more vault over the same store: another node, or a restart.
func (b *bench) open(change ...func(*Config)) (*Vault, error) {
	b.node++
	c := Config{KEK: b.kek, Store: b.store(), Clock: b.clock, IDs: ids.NewSource(b.clock, b.node, 0)}
	for _, f := range change {
		f(&c)
	}
	return Open(context.Background(), c)
}

func inMemory(t testing.TB, change ...func(*Config)) (*bench, *lab.ForgetfulFS) {
	t.Helper()
	f := lab.NewForgetfulFS()
	return newBench(t, func() *Store { return Folder(f, "keys") }, change...), f
}

func onDisk(t testing.TB, change ...func(*Config)) *bench {
	t.Helper()
	dir := t.TempDir()
	return newBench(t, func() *Store { return Folder(disk.Machine{}, dir) }, change...)
}

func mustSeal(t testing.TB, v *Vault, tenant ids.Tenant, class Class, ad AD, plain string) []byte {
	t.Helper()
	sealed, err := v.Seal(nil, tenant, class, ad, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func mustOpen(t testing.TB, v *Vault, tenant ids.Tenant, ad AD, sealed []byte, want string) {
	t.Helper()
	plain, err := v.Open(nil, tenant, ad, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if string(plain) != want {
		t.Fatalf("opened %q, sealed %q", plain, want)
	}
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	b := onDisk(t)
	ad := AD{"queue", 7}
	head := []byte("head")
	sealed, err := b.Seal(head, alice, Content, ad, []byte("to whom"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(sealed, head) {
		t.Fatal("Seal does not append")
	}
	sealed = sealed[len(head):]
	mustOpen(t, b.Vault, alice, ad, sealed, "to whom")
	if len(sealed) != len("to whom")+Overhead {
		t.Errorf("overhead is %d", len(sealed)-len("to whom"))
	}
	for name, try := range map[string]func() ([]byte, error){
		"row":    func() ([]byte, error) { return b.Open(nil, alice, AD{"queue", 8}, sealed) },
		"table":  func() ([]byte, error) { return b.Open(nil, alice, AD{"queues", 7}, sealed) },
		"tenant": func() ([]byte, error) { return b.Open(nil, bob, ad, sealed) },
		"format": func() ([]byte, error) { _, err := b.Unwrap(alice, ad, sealed); return nil, err },
		"short":  func() ([]byte, error) { return b.Open(nil, alice, ad, sealed[:Overhead-1]) },
		"none":   func() ([]byte, error) { return b.Open(nil, alice, ad, nil) },
	} {
		if _, err := try(); !errors.Is(err, ErrTampered) || fault.KindOf(err) != fault.Internal {
			t.Errorf("another %s: %v", name, err)
		}
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, sealed, "to whom")
}

func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	b, _ := inMemory(t)
	ad := AD{"queue", 7}
	sealed := mustSeal(t, b.Vault, alice, Content, ad, "to whom")
	for i := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[i/8] ^= 1 << (i % 8)
		plain, err := b.Open(nil, alice, ad, changed)
		if err == nil {
			t.Fatalf("bit %d does not count: %q", i, plain)
		}
		if !errors.Is(err, ErrTampered) && !fault.Is(err, fault.Gone) { // a changed key id names no key
			t.Fatalf("bit %d: %v", i, err)
		}
	}
}
