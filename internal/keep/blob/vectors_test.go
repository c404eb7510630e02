package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// vector is one stream of testdata/vectors.json (docs/formats/blob.md). Its
// plain text is Bytes bytes, of which byte i is i mod 251.
type vector struct {
	Name   string  `json:"name"`
	Key    lab.Hex `json:"key"`
	Salt   lab.Hex `json:"salt,omitempty"`
	Bytes  int     `json:"plain_bytes"`
	Sealed lab.Hex `json:"sealed,omitempty"`        // where it is short
	Sum    lab.Hex `json:"sealed_sha256,omitempty"` // where it is not
	Error  string  `json:"error,omitempty"`         // tampered
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func sealWith(t *testing.T, raw, salt []byte, plain []byte) []byte {
	t.Helper()
	key, err := vault.KeyFrom([32]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := newSealer(&out, key, make([]byte, 0, ChunkSize), nil)
	copy(s.salt[:], salt)
	if _, err := s.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func createVectors(t *testing.T) (all []vector) {
	key, salt := pattern(32), bytes.Repeat([]byte{0xa5}, 24)
	for name, n := range map[string]int{"empty": 0, "short": 5} {
		all = append(all, vector{Name: name, Key: key, Salt: salt, Bytes: n, Sealed: sealWith(t, key, salt, pattern(n))})
	}
	for name, n := range map[string]int{"one full chunk": ChunkSize, "a chunk and a byte": ChunkSize + 1, "three chunks": 3 * ChunkSize, "three chunks and a part": 3*ChunkSize + 77} {
		sum := sha256.Sum256(sealWith(t, key, salt, pattern(n)))
		all = append(all, vector{Name: name, Key: key, Salt: salt, Bytes: n, Sum: sum[:]})
	}
	short := sealWith(t, key, salt, pattern(5))
	add := func(name string, key, sealed []byte) {
		all = append(all, vector{Name: name, Key: key, Bytes: 5, Sealed: sealed, Error: "tampered"})
	}
	add("another key", bytes.Repeat([]byte{1}, 32), short)
	add("a bit of the magic", key, flip(0)(short))
	add("a bit of the chunk size", key, flip(4)(short))
	add("a bit of the salt", key, flip(8)(short))
	add("a bit of the ciphertext", key, flip(headerSize)(short))
	add("a bit of the tag", key, flip(len(short)-1)(short))
	add("cut by one byte", key, short[:len(short)-1])
	add("one byte more", key, append(bytes.Clone(short), 0))
	add("the header alone", key, short[:headerSize])
	add("nothing", key, nil)
	own, err := vault.KeyFrom([32]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := streamKey(own, short[:headerSize])
	if err != nil {
		t.Fatal(err)
	}
	add("a last chunk not marked as last", key, stream.Seal(bytes.Clone(short[:headerSize]), nonce(0, false), pattern(5), nil))
	add("a chunk of another number", key, stream.Seal(bytes.Clone(short[:headerSize]), nonce(1, true), pattern(5), nil))
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, c := range lab.Vectors(t, func() []vector { return createVectors(t) }) {
		key, err := vault.KeyFrom([32]byte(c.Key))
		if err != nil {
			t.Fatal(err)
		}
		if c.Error != "" {
			if _, err := openAll(c.Sealed, key); !errors.Is(err, vault.ErrTampered) {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		sealed := sealWith(t, c.Key, c.Salt, pattern(c.Bytes))
		sum := sha256.Sum256(sealed)
		if len(c.Sum) > 0 && !bytes.Equal(sum[:], c.Sum) {
			t.Errorf("%s: another stream", c.Name)
		}
		if len(c.Sealed) > 0 && !bytes.Equal(sealed, c.Sealed) {
			t.Errorf("%s: another stream", c.Name)
		}
		if plain, err := openAll(sealed, key); err != nil || !bytes.Equal(plain, pattern(c.Bytes)) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
