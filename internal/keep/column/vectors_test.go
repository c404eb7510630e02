package column

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"mailvow/internal/base/ids"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// vector is one chunk of testdata/vectors.json (docs/formats/column.md).
type vector struct {
	Name   string   `json:"name"`
	Key    lab.Hex  `json:"key"` // unwrapped
	Tenant int64    `json:"tenant"`
	Field  string   `json:"field"`
	Hour   Hour     `json:"hour"`
	Part   int64    `json:"part"`
	Sealed lab.Hex  `json:"sealed"`
	Plain  lab.Hex  `json:"plain,omitempty"`
	IDs    []int64  `json:"ids,omitempty"`
	Texts  []string `json:"texts,omitempty"`
	Error  string   `json:"error,omitempty"` // tampered
}

// given stands for the vault: it has one key.
type given struct{ key vault.Key }

func (g given) NewKey(ids.Tenant, vault.Class, vault.AD) (vault.Key, []byte, error) {
	return g.key, nil, nil
}
func (g given) Unwrap(ids.Tenant, vault.AD, []byte) (vault.Key, error) { return g.key, nil }

func with(t *testing.T, raw []byte) *Columns {
	t.Helper()
	key, err := vault.KeyFrom([32]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return New(newShelf(), given{key})
}

func createVectors(t *testing.T) (all []vector) {
	raw := bytes.Repeat([]byte{0x42}, 32)
	entries := []Entry{{-3, "below"}, {7, ""}, {7, "twice"}, {1 << 40, "größer"}}
	r, err := with(t, raw).Build(subjects(alice, 498000, 3), entries)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := encode(entries)
	if err != nil {
		t.Fatal(err)
	}
	good := vector{Name: "four entries", Key: raw, Tenant: int64(alice), Field: "subject", Hour: 498000, Part: 3, Sealed: r.Sealed, Plain: plain}
	for _, e := range entries {
		good.IDs, good.Texts = append(good.IDs, e.ID), append(good.Texts, e.Text)
	}
	all = append(all, good)
	bad := func(name string, change func(*vector)) {
		c := good
		c.Name, c.Plain, c.IDs, c.Texts, c.Error = name, nil, nil, nil, "tampered"
		c.Sealed = bytes.Clone(good.Sealed)
		change(&c)
		all = append(all, c)
	}
	bad("another customer", func(c *vector) { c.Tenant++ })
	bad("another field", func(c *vector) { c.Field = "attribute" })
	bad("another hour", func(c *vector) { c.Hour++ })
	bad("another part", func(c *vector) { c.Part++ })
	bad("a bit of the format", func(c *vector) { c.Sealed[0] ^= 2 })
	bad("a bit of the ciphertext", func(c *vector) { c.Sealed[1] ^= 1 })
	bad("a bit of the tag", func(c *vector) { c.Sealed[len(c.Sealed)-1] ^= 1 })
	bad("cut by one byte", func(c *vector) { c.Sealed = c.Sealed[:len(c.Sealed)-1] })
	bad("nothing", func(c *vector) { c.Sealed = nil })
	bad("another key", func(c *vector) { c.Key = bytes.Repeat([]byte{1}, 32) })
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, c := range lab.Vectors(t, func() []vector { return createVectors(t) }) {
		columns := with(t, c.Key)
		p := Place{ids.Tenant(c.Tenant), c.Field, c.Hour, c.Part}
		entries, err := columns.Open(Record{Place: p, Sealed: c.Sealed})
		if c.Error != "" {
			if !errors.Is(err, vault.ErrTampered) {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		var want []Entry
		for i, id := range c.IDs {
			want = append(want, Entry{id, c.Texts[i]})
		}
		if err != nil || !slices.Equal(entries, want) {
			t.Errorf("%s: %v %v", c.Name, entries, err)
		}
		if again, err := columns.Build(p, want); err != nil || !bytes.Equal(again.Sealed, c.Sealed) {
			t.Errorf("%s: sealed again it is another chunk, %v", c.Name, err)
		}
	}
}
