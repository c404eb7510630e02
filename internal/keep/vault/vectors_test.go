package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/disk"
	"mailvow/internal/lab"
)

// vectors is testdata/vectors.json, described in docs/formats/sealed.md and
// docs/formats/lookup.md.
type vectors struct {
	KEK    string             `json:"kek_file"`
	Files  map[string]lab.Hex `json:"key_store"`
	Keys   map[string]lab.Hex `json:"unwrapped_keys"` // by file
	Sealed []vector           `json:"sealed"`
	Lookup []lookupVector     `json:"lookup"`
}

type vector struct {
	Name   string  `json:"name"`
	Number int64   `json:"tenant"`
	Table  string  `json:"table"`
	Row    int64   `json:"row"`
	Kind   string  `json:"kind"` // value or key
	Sealed lab.Hex `json:"sealed"`
	Plain  lab.Hex `json:"plain,omitempty"`
	Error  string  `json:"error,omitempty"` // tampered or gone
}

type lookupVector struct {
	Index  lab.Hex `json:"index_key"`
	Domain string  `json:"domain"`
	Given  string  `json:"given"`
	Value  string  `json:"canonical"`
	Hash   lab.Hex `json:"hash"`
}

func kekLine() string {
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	return kekHeader + " " + base64.StdEncoding.EncodeToString(key[:]) + " " + kekSum(key[:]) + "\n"
}

func openVectors(t *testing.T, f disk.FS) *Vault {
	t.Helper()
	kek, err := parseKEK([]byte(kekLine()))
	if err != nil {
		t.Fatal(err)
	}
	clock := lab.NewClock(lab.Epoch)
	v, err := Open(context.Background(), Config{KEK: kek, Store: Folders(f, "a", "b"), Clock: clock, IDs: ids.NewSource(clock, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func createVectors(t *testing.T) vectors {
	v := openVectors(t, lab.NewForgetfulFS())
	out := vectors{KEK: kekLine(), Files: map[string]lab.Hex{}, Keys: map[string]lab.Hex{}}
	ad := AD{"queue", 4711}
	sealed := mustSeal(t, v, alice, Content, ad, "plain text")
	empty := mustSeal(t, v, alice, Trace, AD{"history", -1}, "")
	key, wrapped, err := v.NewKey(alice, Content, AD{"blob", 1})
	if err != nil {
		t.Fatal(err)
	}
	passing := mustSeal(t, v, alice, Transit, ad, "plain text")
	add := func(name string, tenant ids.Tenant, ad AD, kind string, sealed, plain []byte, fails string) {
		out.Sealed = append(out.Sealed, vector{name, int64(tenant), ad.Table, ad.Row, kind, sealed, plain, fails})
	}
	change := func(b []byte, at int) []byte { c := bytes.Clone(b); c[at] ^= 1; return c }
	add("a value", alice, ad, "value", sealed, []byte("plain text"), "")
	add("an empty value, row -1", alice, AD{"history", -1}, "value", empty, []byte{}, "")
	add("a value of an hour's key", alice, ad, "value", passing, []byte("plain text"), "")
	add("a key", alice, AD{"blob", 1}, "key", wrapped, key.Secret(), "")
	add("another row", alice, AD{"queue", 4712}, "value", sealed, nil, "tampered")
	add("another table", alice, AD{"history", 4711}, "value", sealed, nil, "tampered")
	add("another customer", 0, ad, "value", sealed, nil, "gone")
	add("a bit of the format", alice, ad, "value", change(sealed, 0), nil, "tampered")
	add("a bit of the key id", alice, ad, "value", change(sealed, 8), nil, "gone")
	add("a bit of the nonce", alice, ad, "value", change(sealed, 9), nil, "tampered")
	add("a bit of the ciphertext", alice, ad, "value", change(sealed, 21), nil, "tampered")
	add("a bit of the tag", alice, ad, "value", change(sealed, len(sealed)-1), nil, "tampered")
	add("cut by one byte", alice, ad, "value", sealed[:len(sealed)-1], nil, "tampered")
	add("one byte more", alice, ad, "value", append(bytes.Clone(sealed), 0), nil, "tampered")
	add("shorter than its frame", alice, ad, "value", sealed[:Overhead-1], nil, "tampered")
	add("a key where a value is due", alice, AD{"blob", 1}, "value", wrapped, nil, "tampered")
	add("a value where a key is due", alice, ad, "key", sealed, nil, "tampered")

	for _, tenant := range []ids.Tenant{0, alice} {
		createKeyVectors(t, v, tenant, &out)
	}
	index, err := v.index(context.Background(), alice)
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{"Ann.Smith@Example.COM", "ann.smith@example.com", "ÄNN@bücher.example", `"a b"@example.com`, "ann+tag@example.com", "ann@[IPv6:2001:DB8::1]"} {
		a, err := address.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		hash := index.hash("address", a.Canonical())
		out.Lookup = append(out.Lookup, lookupVector{index.key[:], "address", given, a.Canonical(), hash[:]})
	}
	hash := index.hash("domain", "example.com")
	out.Lookup = append(out.Lookup, lookupVector{index.key[:], "domain", "", "example.com", hash[:]})
	return out
}

func createKeyVectors(t *testing.T, v *Vault, tenant ids.Tenant, out *vectors) {
	ctx := context.Background()
	if _, err := v.index(ctx, tenant); err != nil {
		t.Fatal(err)
	}
	found, err := v.store.keys(ctx, tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found.names {
		content, err := v.store.a.get(ctx, folderOf(tenant), name)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := decodeRecord(content)
		open := v.unwrapUnderTenant
		if r.kind == kindTenant {
			open = v.unwrapTenant
		}
		raw, err := open(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		file := path.Join(folderOf(tenant), name)
		out.Files[file], out.Keys[file] = content, raw
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	all := lab.Vectors(t, func() vectors { return createVectors(t) })
	if all.KEK != kekLine() {
		t.Error("the key file's line is another one")
	}
	dir := t.TempDir()
	for file, content := range all.Files {
		name := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kek, err := parseKEK([]byte(all.KEK))
	if err != nil {
		t.Fatal(err)
	}
	clock := lab.NewClock(lab.Epoch)
	v, err := Open(context.Background(), Config{KEK: kek, Store: Folders(disk.Machine{}, dir, t.TempDir()), Clock: clock, IDs: ids.NewSource(clock, 2, 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, c := range all.Sealed {
		checkVector(t, v, c)
	}
	for file, raw := range all.Keys {
		r, err := decodeRecord(all.Files[file])
		if err != nil {
			t.Fatal(err)
		}
		open := v.unwrapUnderTenant
		if r.kind == kindTenant {
			open = v.unwrapTenant
		}
		if got, err := open(context.Background(), r); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, c := range all.Lookup {
		k := &indexKey{key: [32]byte(c.Index)}
		if got := k.hash(c.Domain, c.Value); !bytes.Equal(got[:], c.Hash) {
			t.Errorf("the hash of %q is %x", c.Value, got)
		}
		if c.Given == "" {
			continue
		}
		if a, err := address.Parse(c.Given); err != nil || a.Canonical() != c.Value {
			t.Errorf("the canonical form of %q is %q, %v", c.Given, a.Canonical(), err)
		}
	}
}

func checkVector(t *testing.T, v *Vault, c vector) {
	t.Helper()
	ad, tenant := AD{c.Table, c.Row}, ids.Tenant(c.Number)
	var plain []byte
	var err error
	if c.Kind == "key" {
		var k Key
		k, err = v.Unwrap(tenant, ad, c.Sealed)
		plain = k.Secret()
	} else {
		plain, err = v.Open(nil, tenant, ad, c.Sealed)
	}
	ok := false
	switch c.Error {
	case "":
		ok = err == nil && bytes.Equal(plain, c.Plain)
	case "tampered":
		ok = errors.Is(err, ErrTampered)
	case "gone":
		// A node that has the key in memory sees that it is another customer's.
		ok = fault.Is(err, fault.Gone) || (c.Number != int64(alice) && errors.Is(err, ErrTampered))
	}
	if !ok {
		t.Errorf("%s: %v", c.Name, err)
	}
}

// TestRecordCorruption damages each byte of each record of the vectors: none is
// taken for sound.
func TestRecordCorruption(t *testing.T) {
	t.Parallel()
	all := lab.Vectors(t, func() vectors { return createVectors(t) })
	for file, content := range all.Files {
		for i := range content {
			changed := bytes.Clone(content)
			changed[i] ^= 0x10
			if _, err := decodeRecord(changed); err == nil {
				t.Errorf("%s: byte %d does not count", file, i)
			}
			if _, err := decodeRecord(content[:i]); err == nil {
				t.Errorf("%s: cut to %d bytes", file, i)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	b, _ := inMemory(f)
	sealed := mustSeal(f, b.Vault, alice, Content, AD{"queue", 1}, "plain")
	f.Add([]byte(nil))
	f.Add(sealed)
	f.Add(sealed[:Overhead])
	f.Fuzz(func(t *testing.T, s []byte) {
		plain, err := b.Open(nil, alice, AD{"queue", 1}, s)
		if err == nil && !bytes.Equal(s, sealed) {
			t.Fatalf("opened %q", plain)
		}
		if err != nil && !errors.Is(err, ErrTampered) && !fault.Is(err, fault.Gone) {
			t.Fatal(err)
		}
		if _, err := b.Unwrap(alice, AD{"queue", 1}, s); err == nil {
			t.Fatal("a value opened as a key")
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	r := &record{kind: kindEpoch, tenant: alice, class: Content, number: 20000, id: 5, under: underKey(4), wrapped: make([]byte, 60)}
	f.Add(r.encode())
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRecord(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x decodes and encodes to %x", b, r.encode())
		}
	})
}

func FuzzParseKEK(f *testing.F) {
	f.Add([]byte(kekLine()))
	f.Add([]byte(strings.TrimSpace(kekLine())))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseKEK(b); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}
