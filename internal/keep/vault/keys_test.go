package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/lab"
)

func TestNewEpochByDayClassAndUse(t *testing.T) {
	t.Parallel()
	b, _ := inMemory(t, func(c *Config) { c.MaxSeals = 3 })
	ad := AD{"queue", 1}
	seal := func(class Class) ids.Key { return KeyOf(mustSeal(t, b.Vault, alice, class, ad, "x")) }
	first := seal(Content)
	for range 2 {
		if seal(Content) != first {
			t.Error("a new key before its seals were used up")
		}
	}
	second := seal(Content)
	if second == first {
		t.Error("the same key after its seals were used up")
	}
	if seal(Trace) == second {
		t.Error("two classes share a key")
	}
	b.clock.Wind(24 * time.Hour)
	if seal(Content) == second {
		t.Error("two days share a key")
	}
	epochs, err := b.Epochs(context.Background(), alice)
	if err != nil || len(epochs) != 4 {
		t.Fatalf("%v %v", epochs, err)
	}
	if e := epochs[3]; e.Class != Content || !e.Starts.Equal(epochs[0].Ends) || e.Tenant != alice {
		t.Errorf("%+v", e)
	}
	if _, err := b.Seal(nil, alice, Class(99), ad, nil); err == nil {
		t.Error("a class that does not exist")
	}
}

// midnight is when the present day began.
func (v *Vault) midnight() time.Time { return Content.start(v.now(Content)) }

// TestTransitEndsWithItsHour: a class with short epochs changes its key at the
// hour, prepares the next in time, and its ended key can go before the day's.
func TestTransitEndsWithItsHour(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ctx, ad := context.Background(), AD{"body", 1}
	old := mustSeal(t, b.Vault, alice, Transit, ad, "x")
	day := mustSeal(t, b.Vault, alice, Content, ad, "x")
	b.clock.Wind(45 * time.Minute)
	if err := b.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if all, _ := b.Epochs(ctx, alice); len(all) != 2 {
		t.Errorf("prepared a quarter of an hour ahead: %v", all)
	}
	b.clock.Wind(10 * time.Minute)
	if err := b.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Destroy(ctx, alice, Transit, b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, b.Vault, alice, ad, old, "x")
	b.clock.Wind(5 * time.Minute)
	before := len(f.Steps())
	next := mustSeal(t, b.Vault, alice, Transit, ad, "x")
	if KeyOf(next) == KeyOf(old) || len(f.Steps()) != before {
		t.Error("the hour's key was not left for one made before")
	}
	for range 1000 { // one more message makes no key
		mustSeal(t, b.Vault, alice, Transit, ad, "x")
	}
	if len(f.Steps()) != before {
		t.Error("sealing wrote into the key store")
	}
	moved, err := b.RewrapAs(ctx, alice, Content, ad, old)
	if err != nil || KeyOf(moved) != KeyOf(day) {
		t.Fatalf("moved: %v", err)
	}
	dead, err := b.Destroy(ctx, alice, Transit, b.clock.Now())
	if err != nil || len(dead) != 1 || dead[0].Key != KeyOf(old) || !dead[0].Ends.Equal(lab.Epoch.Add(time.Hour)) {
		t.Fatalf("%v %v", dead, err)
	}
	if _, err := b.Open(nil, alice, ad, old); !fault.Is(err, fault.Gone) {
		t.Errorf("%v", err)
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, next, "x")
	mustOpen(t, again, alice, ad, moved, "x")
}

func TestTomorrowIsPrepared(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ctx, ad := context.Background(), AD{"queue", 1}
	mustSeal(t, b.Vault, alice, Content, ad, "x")
	mustSeal(t, b.Vault, bob, Content, ad, "x")
	if err := b.DestroyTenant(ctx, bob); err != nil {
		t.Fatal(err)
	}
	prepare := func() (steps int) {
		before := len(f.Steps())
		if err := b.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		return len(f.Steps()) - before
	}
	if prepare() != 0 {
		t.Error("prepared half a day ahead")
	}
	b.clock.Wind(11*time.Hour + 30*time.Minute)
	if prepare() == 0 || prepare() != 0 {
		t.Error("not prepared once")
	}
	if err := b.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(time.Hour)
	before := len(f.Steps())
	sealed := mustSeal(t, b.Vault, alice, Content, ad, "x")
	if len(f.Steps()) != before {
		t.Error("midnight waited for the disk")
	}
	epochs, _ := b.Epochs(ctx, alice)
	if len(epochs) != 2 || epochs[1].Key != KeyOf(sealed) || !epochs[1].Starts.Equal(b.midnight()) {
		t.Errorf("%+v", epochs)
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, sealed, "x")
}

func TestDestroyedIsGoneOnEveryNode(t *testing.T) {
	t.Parallel()
	b := onDisk(t)
	other, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, ad := context.Background(), AD{"queue", 1}
	old := mustSeal(t, b.Vault, alice, Content, ad, "old")
	trace := mustSeal(t, b.Vault, alice, Trace, ad, "trace")
	theirs := mustSeal(t, b.Vault, bob, Content, ad, "theirs")
	mustOpen(t, other, alice, ad, old, "old")
	b.clock.Wind(24 * time.Hour)
	kept, err := b.Rewrap(ctx, alice, ad, old)
	if err != nil || KeyOf(kept) == KeyOf(old) {
		t.Fatalf("rewrap: %v", err)
	}
	dead, err := b.Destroy(ctx, alice, Content, b.midnight())
	if err != nil || len(dead) != 1 || dead[0].Key != KeyOf(old) {
		t.Fatalf("%v %v", dead, err)
	}
	if _, err := b.Open(nil, alice, ad, old); !fault.Is(err, fault.Gone) {
		t.Errorf("this node: %v", err)
	}
	mustOpen(t, other, alice, ad, old, "old") // still in the other's memory
	if err := other.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(nil, alice, ad, old); !fault.Is(err, fault.Gone) {
		t.Errorf("the other node after its refresh: %v", err)
	}
	for _, v := range []*Vault{b.Vault, other} {
		mustOpen(t, v, alice, ad, trace, "trace")
		mustOpen(t, v, alice, ad, kept, "old")
		mustOpen(t, v, bob, ad, theirs, "theirs")
	}
	if dead, err = b.Destroy(ctx, alice, Content, b.midnight()); err != nil || dead != nil {
		t.Errorf("again: %v %v", dead, err)
	}
	if _, err := b.Destroy(ctx, alice, Content, b.midnight().Add(24*time.Hour)); err == nil {
		t.Error("today's epoch was destroyed under its users")
	}
}

func TestDestroyTenantIsForGood(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ctx, ad := context.Background(), AD{"queue", 1}
	sealed := mustSeal(t, b.Vault, alice, Content, ad, "old")
	theirs := mustSeal(t, b.Vault, bob, Content, ad, "theirs")
	if _, err := b.Hash(alice, "address", "a@b.example"); err != nil {
		t.Fatal(err)
	}
	epochs, _ := b.Epochs(ctx, alice)
	wrapped := wrappedOf(t, b.Vault, epochs, Content)
	if err := b.DestroyTenant(ctx, alice); err != nil {
		t.Fatal(err)
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Vault{b.Vault, again} {
		_, sealErr := v.Seal(nil, alice, Content, ad, nil)
		_, openErr := v.Open(nil, alice, ad, sealed)
		_, hashErr := v.Hash(alice, "address", "a@b.example")
		for _, err := range []error{sealErr, openErr, hashErr} {
			if !fault.Is(err, fault.Gone) {
				t.Errorf("after the end: %v", err)
			}
		}
		mustOpen(t, v, bob, ad, theirs, "theirs")
	}
	if f.Remains(wrapped) {
		t.Error("the wrapped key is still on the disk")
	}
	if err := b.DestroyTenant(ctx, 0); err == nil {
		t.Error("the platform's keys were destroyed")
	}
}

func TestDamagedCopyIsMended(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ad := AD{"queue", 1}
	sealed := mustSeal(t, b.Vault, alice, Content, ad, "x")
	epochs, _ := b.Epochs(context.Background(), alice)
	name := epochs[0].file()
	for _, copy := range []string{"a", "b"} { // one after the other: each time the sound one must mend
		if err := f.Damage("keys/"+copy+"/"+folderOf(alice)+"/"+name, 40); err != nil {
			t.Fatal(err)
		}
		again, err := b.open()
		if err != nil {
			t.Fatal(err)
		}
		mustOpen(t, again, alice, ad, sealed, "x")
	}
	if err := f.Remove("keys/b/" + folderOf(alice) + "/" + name); err != nil {
		t.Fatal(err)
	}
	if err := b.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove("keys/a/" + folderOf(alice) + "/" + name); err != nil {
		t.Fatal(err)
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, sealed, "x")
}

// TestDamagedCopyOnADiskThatCannotBeWritten: the sound copy is read, and mends the
// other as soon as that can be written.
func TestDamagedCopyOnADiskThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ad := AD{"queue", 1}
	sealed := mustSeal(t, b.Vault, alice, Content, ad, "x")
	epochs, _ := b.Epochs(context.Background(), alice)
	name := folderOf(alice) + "/" + epochs[0].file()
	var readers []*Vault
	for range 2 {
		v, err := b.open()
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, v)
	}
	if err := f.Damage("keys/a/"+name, 40); err != nil {
		t.Fatal(err)
	}
	f.ErrorAt(1)
	mustOpen(t, readers[0], alice, ad, sealed, "x")
	mustOpen(t, readers[1], alice, ad, sealed, "x")
	if err := f.Remove("keys/b/" + name); err != nil {
		t.Fatal(err)
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, sealed, "x")
}

func TestWrongKEK(t *testing.T) {
	t.Parallel()
	b, _ := inMemory(t)
	_, err := b.open(func(c *Config) { c.KEK = nextKEK() })
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), b.kek.ID()) {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

func TestKEKFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "kek")
	if err := CreateKEKFile(good); err != nil {
		t.Fatal(err)
	}
	one, err := LoadKEKFile(good)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := LoadKEKFile(good)
	if one.ID() != two.ID() {
		t.Error("one file has two ids")
	}
	if err := CreateKEKFile(good); !fault.Is(err, fault.Conflict) {
		t.Errorf("a key file was replaced: %v", err)
	}
	line, _ := os.ReadFile(good)
	word := strings.Fields(string(line))
	damaged := bytes.Clone(line)
	if at := len(kekHeader) + 5; damaged[at] == 'A' { // another letter of base64's alphabet
		damaged[at] = 'B'
	} else {
		damaged[at] = 'A'
	}
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		text    string
	}{
		"others may read": {string(line), 0o640, "The key file has mode 0640: others can reach it."},
		"other file":      {"-----BEGIN PRIVATE KEY-----\n", 0o600, "The file is no key file of mailvow: it does not begin with mailvow-kek-v1."},
		"empty":           {"", 0o600, "The key file is empty."},
		"two words":       {word[0] + " " + word[1], 0o600, "The key file has the wrong form; it is one line of three words."},
		"no base64":       {word[0] + " ** " + word[2], 0o600, "The key in the key file is damaged: it is no base64."},
		"short":           {word[0] + " " + short + " " + word[2], 0o600, "The key in the key file has 16 bytes and not 32."},
		"damaged":         {string(damaged), 0o600, "The key file is damaged: its checksum does not match."},
		"two lines":       {string(line) + string(line), 0o600, "The key file has the wrong form; it is one line of three words."},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKEKFile(file)
		if text, _ := fault.Public(err); !fault.Is(err, fault.Invalid) || text != c.text {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadKEKFile(filepath.Join(dir, "none")); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("no file: %v", err)
	}
	if _, err := LoadKEKFile(dir); !fault.Is(err, fault.Invalid) {
		t.Errorf("a folder: %v", err)
	}
}

// TestRotationWithoutDowntime rotates both kinds of key while others seal, open,
// hash and read what lies in no cache.
func TestRotationWithoutDowntime(t *testing.T) {
	t.Parallel()
	b, _ := inMemory(t, func(c *Config) { c.Grace, c.MaxSeals, c.MaxKeys = -1, 20, 4 })
	ctx := context.Background()
	hash, err := b.Hash(alice, "address", "a@b.example")
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	var done atomic.Int64
	for worker := range 4 {
		group.Go(func() {
			kept := map[int64][]byte{}
			for row := int64(worker); !stop.Load(); row += 4 {
				ad := AD{"queue", row}
				sealed, err := b.Seal(nil, alice, Content, ad, []byte("x"))
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				if len(kept) < 200 {
					kept[row] = sealed
				}
				for row, sealed := range kept { // one at random, often from no cache
					if _, err := b.Open(nil, alice, AD{"queue", row}, sealed); err != nil {
						t.Errorf("open: %v", err)
						return
					}
					break
				}
				if h, err := b.Hash(alice, "address", "a@b.example"); err != nil || h != hash {
					t.Errorf("hash: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	keks := []Wrapper{nextKEK(), b.kek}
	for i := 0; i < 6 || done.Load() < 1000; i++ { // until they met many rotations
		if err := b.RotateTenant(ctx, alice); err != nil {
			t.Error(err)
		}
		if err := b.RotateKEK(ctx, keks[i%2]); err != nil {
			t.Error(err)
		}
		if err := b.Refresh(ctx); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	group.Wait()
	if done.Load() == 0 {
		t.Error("nobody worked meanwhile")
	}
	found, err := b.Vault.store.keys(ctx, alice)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range found.names {
		if _, ok := parseTenantFile(name); ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d tenant keys are left", n)
	}
}

// TestGraceKeepsTheOldTenantKey lets another node write under the old key while
// this one rotates.
func TestGraceKeepsTheOldTenantKey(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	ctx, ad := context.Background(), AD{"queue", 1}
	other, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustSeal(t, other, alice, Content, ad, "x")
	found, _ := b.Vault.store.keys(ctx, alice)
	old := newestTenantKey(found)
	oldRecord, err := b.readRecord(ctx, alice, tenantFile(old))
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(time.Second)
	if err := b.RotateTenant(ctx, alice); err != nil {
		t.Fatal(err)
	}
	// The other node is just past its look at the store: it wraps under the old.
	late := &record{kind: kindEpoch, tenant: alice, class: Content, number: b.now(Content), id: ids.New[ids.Key](other.ids), under: underKey(old)}
	under, _ := other.tenants.get(old)
	late.wrapped = under.aead.Seal(nil, nil, make([]byte, 32), late.header())
	if err := b.Vault.store.put(ctx, folderOf(alice), epochFile(&epochKey{id: late.id, class: Content, number: late.number}), late.encode()); err != nil {
		t.Fatal(err)
	}
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if !f.Remains(oldRecord.wrapped) {
		t.Error("the old key did not outlive the rotation")
	}
	b.clock.Wind(6 * time.Minute)
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if f.Remains(oldRecord.wrapped) {
		t.Error("the old key is still on the disk")
	}
	again, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	mustOpen(t, again, alice, ad, sealed, "x")
	if _, err := again.loadEpoch(ctx, alice, late.id); err != nil {
		t.Errorf("the late key was lost: %v", err)
	}
}

func TestKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	b, _ := inMemory(t)
	ad := AD{"blob", 9}
	k, wrapped, err := b.NewKey(alice, Content, ad)
	if err != nil || len(wrapped) != WrappedKeySize {
		t.Fatal(len(wrapped), err)
	}
	shared, err := b.WrapKey(bob, Content, ad, k)
	if err != nil {
		t.Fatal(err)
	}
	nonce := [12]byte{1}
	sealed := k.Seal(nil, nonce, []byte("x"), nil)
	for tenant, wrapped := range map[ids.Tenant][]byte{alice: wrapped, bob: shared} {
		again, err := b.Unwrap(tenant, ad, wrapped)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := again.Open(nil, nonce, sealed, nil); err != nil || string(plain) != "x" {
			t.Errorf("%q %v", plain, err)
		}
		if _, err := again.Open(nil, [12]byte{2}, sealed, nil); !errors.Is(err, ErrTampered) {
			t.Errorf("another nonce: %v", err)
		}
	}
	if _, err := b.Open(nil, alice, ad, wrapped); !errors.Is(err, ErrTampered) {
		t.Errorf("a wrapped key opened as a value: %v", err)
	}
	held, err := b.RewrapAs(context.Background(), alice, Hold, ad, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Unwrap(alice, ad, held)
	if err != nil || !bytes.Equal(again.Secret(), k.Secret()) {
		t.Errorf("a rewrapped key: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](10)
	for i := range 1000 {
		c.put(i, i)
		c.get(i)
		if len(c.items) > 10 {
			t.Fatalf("%d items", len(c.items))
		}
	}
	b, _ := inMemory(t, func(c *Config) { c.MaxKeys = 2 })
	sealed := map[ids.Tenant][]byte{}
	for tenant := ids.Tenant(1); tenant < 20; tenant++ {
		sealed[tenant] = mustSeal(t, b.Vault, tenant, Content, AD{"t", 1}, "x")
	}
	for tenant, s := range sealed {
		mustOpen(t, b.Vault, tenant, AD{"t", 1}, s, "x")
	}
}

func TestKeyStoreInABucket(t *testing.T) {
	t.Parallel()
	server := lab.S3(t)
	objects := openBucket(t, server)
	b := newBench(t, func() *Store { return Bucket(objects, "keystore") }, func(c *Config) { c.Grace = -1 })
	ctx, ad := context.Background(), AD{"queue", 1}
	other, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	// Two nodes meet a new customer at once: their look-ups must agree.
	var group sync.WaitGroup
	var hashes [2][16]byte
	for i, v := range []*Vault{b.Vault, other} {
		group.Go(func() {
			var err error
			if hashes[i], err = v.Hash(alice, "address", "a@b.example"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if hashes[0] != hashes[1] {
		t.Error("two nodes have two keys for look-ups")
	}
	old := mustSeal(t, b.Vault, alice, Content, ad, "old")
	mustOpen(t, other, alice, ad, old, "old")
	b.clock.Wind(time.Second)
	if err := b.RotateTenant(ctx, alice); err != nil {
		t.Fatal(err)
	}
	b.clock.Wind(24 * time.Hour)
	young := mustSeal(t, other, alice, Content, ad, "young")
	if _, err := b.Destroy(ctx, alice, Content, b.midnight()); err != nil {
		t.Fatal(err)
	}
	if err := other.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(nil, alice, ad, old); !fault.Is(err, fault.Gone) {
		t.Errorf("%v", err)
	}
	mustOpen(t, b.Vault, alice, ad, young, "young")
	if err := b.DestroyTenant(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(); err != nil {
		t.Fatal(err)
	}
	if err := server.Versions(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("a bucket with versions was taken: %v", err)
	}
}

// TestMendBesideDamagedEnding: a list of keys to destroy whose first copy is
// damaged is read from the second, also while copies are mended.
func TestMendBesideDamagedEnding(t *testing.T) {
	t.Parallel()
	b, f := inMemory(t)
	sealed := mustSeal(t, b.Vault, alice, Content, AD{"queue", 1}, "x")
	epochs, _ := b.Epochs(context.Background(), alice)
	name := epochs[0].file()
	file := fileOfKey(alice, 1)
	store := b.Vault.store
	if err := store.put(t.Context(), ending, file, encodeEnding([]string{"another"})); err != nil {
		t.Fatal(err)
	}
	if err := f.Damage("keys/a/"+ending+"/"+file, 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove("keys/b/" + folderOf(alice) + "/" + name); err != nil {
		t.Fatal(err)
	}
	if n, err := store.mend(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	mustOpen(t, b.Vault, alice, AD{"queue", 1}, sealed, "x")
}
