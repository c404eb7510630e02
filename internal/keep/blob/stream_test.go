package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"mailvow/internal/keep/vault"
)

func testKey(t testing.TB, seed byte) vault.Key {
	t.Helper()
	k, err := vault.KeyFrom([32]byte{seed, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// text is n bytes that are the same for everybody and differ from place to place.
func text(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{7})
	source.Read(b)
	return b
}

func sealAll(t testing.TB, key vault.Key, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := Sealed(&out, key)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openAll(sealed []byte, key vault.Key) ([]byte, error) {
	r, err := OpenSealed(bytes.NewReader(sealed), int64(len(sealed)), key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

var sizes = []int{0, 1, 15, 16, 17, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 3*ChunkSize + 77}

func TestStreamOfEverySize(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	for _, n := range sizes {
		plain := text(n)
		sealed := sealAll(t, key, plain)
		if int64(len(sealed)) != SealedSize(int64(n)) {
			t.Errorf("%d bytes: sealed %d, SealedSize %d", n, len(sealed), SealedSize(int64(n)))
		}
		got, err := openAll(sealed, key)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := openAll(sealed, testKey(t, 2)); !errors.Is(err, vault.ErrTampered) {
			t.Errorf("%d bytes with another key: %v", n, err)
		}
	}
}

func TestReadAnywhere(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		plain := text(rapid.SampledFrom(sizes).Draw(t, "size"))
		var out bytes.Buffer
		w := Sealed(&out, key)
		for rest := plain; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 2*ChunkSize).Draw(t, "write"))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := OpenSealed(bytes.NewReader(out.Bytes()), int64(out.Len()), key)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.NewReader(plain)
		for range 5 {
			at := rapid.Int64Range(0, int64(len(plain))+10).Draw(t, "at")
			n := rapid.IntRange(0, ChunkSize+100).Draw(t, "n")
			got, expected := make([]byte, n), make([]byte, n)
			n1, err1 := r.ReadAt(got, at)
			n2, err2 := want.ReadAt(expected, at)
			if n == 0 {
				continue // readers differ on reading nothing at the end
			}
			if n1 != n2 || !bytes.Equal(got, expected) || !errors.Is(err1, err2) {
				t.Fatalf("at %d: %d %v, want %d %v", at, n1, err1, n2, err2)
			}
		}
	})
}

// corruptions are the ways of changing a stream of three full chunks and a part.
var corruptions = map[string]func([]byte) []byte{
	"cut inside the last chunk": func(s []byte) []byte { return s[:len(s)-1] },
	"cut before the last chunk": func(s []byte) []byte { return s[:headerSize+3*sealedSize] },
	"cut after the first chunk": func(s []byte) []byte { return s[:headerSize+sealedSize] },
	"cut to the header":         func(s []byte) []byte { return s[:headerSize] },
	"cut inside the header":     func(s []byte) []byte { return s[:headerSize-1] },
	"nothing left":              func(s []byte) []byte { return nil },
	"two chunks swapped": func(s []byte) []byte {
		c := bytes.Clone(s)
		copy(c[headerSize:], s[headerSize+sealedSize:headerSize+2*sealedSize])
		copy(c[headerSize+sealedSize:], s[headerSize:headerSize+sealedSize])
		return c
	},
	"a chunk twice": func(s []byte) []byte {
		c := bytes.Clone(s[:headerSize+sealedSize])
		return append(c, s[headerSize:]...)
	},
	"a chunk left out": func(s []byte) []byte {
		c := bytes.Clone(s[:headerSize])
		return append(c, s[headerSize+sealedSize:]...)
	},
	"something behind the end": func(s []byte) []byte { return append(bytes.Clone(s), 0) },
	"a last chunk behind the last": func(s []byte) []byte {
		return append(bytes.Clone(s), s[headerSize+3*sealedSize:]...)
	},
	"a bit of the magic":        flip(0),
	"a bit of the chunk size":   flip(4),
	"a bit of the reserved":     flip(6),
	"a bit of the salt":         flip(20),
	"a bit of the first chunk":  flip(headerSize + 5),
	"a bit of a middle tag":     flip(headerSize + 2*sealedSize - 1),
	"a bit of the last chunk":   flip(headerSize + 3*sealedSize + 2),
	"the last tag":              func(s []byte) []byte { c := bytes.Clone(s); c[len(c)-1] ^= 0x80; return c },
	"the header of another one": func(s []byte) []byte { c := bytes.Clone(s); copy(c[8:32], text(24)); return c },
}

func flip(at int) func([]byte) []byte {
	return func(s []byte) []byte {
		c := bytes.Clone(s)
		c[at] ^= 1
		return c
	}
}

func TestCorruptionIsFound(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	plain := text(3*ChunkSize + 77)
	sealed := sealAll(t, key, plain)
	for name, change := range corruptions {
		if got, err := openAll(change(sealed), key); !errors.Is(err, vault.ErrTampered) {
			t.Errorf("%s: %d bytes opened, %v", name, len(got), err)
		}
	}
}

// TestCutIsFoundAtOpening: a reader that only looks at the front must not take
// a cut stream for whole.
func TestCutIsFoundAtOpening(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	sealed := sealAll(t, key, text(3*ChunkSize))
	for cut := 1; cut < len(sealed); cut += 977 {
		if _, err := OpenSealed(bytes.NewReader(sealed[:len(sealed)-cut]), int64(len(sealed)-cut), key); !errors.Is(err, vault.ErrTampered) {
			t.Fatalf("%d bytes cut: %v", cut, err)
		}
	}
}

func TestStreamWithoutItsEnd(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	var out bytes.Buffer
	w := Sealed(&out, key)
	if _, err := w.Write(text(2*ChunkSize + 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := openAll(out.Bytes(), key); !errors.Is(err, vault.ErrTampered) {
		t.Errorf("a stream that was not closed opened: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a write after the end")
	}
	if err := w.Close(); err == nil {
		t.Error("a second end")
	}
}

func FuzzOpenSealed(f *testing.F) {
	key := testKey(f, 1)
	f.Add([]byte(nil), int64(0))
	f.Add(sealAll(f, key, []byte("short")), int64(3))
	f.Add([]byte(magic), int64(0))
	good := sealAll(f, key, text(100))
	f.Fuzz(func(t *testing.T, sealed []byte, at int64) {
		r, err := OpenSealed(bytes.NewReader(sealed), int64(len(sealed)), key)
		if err != nil {
			if !errors.Is(err, vault.ErrTampered) {
				t.Fatalf("%v", err)
			}
			return
		}
		p := make([]byte, 10)
		if _, err := r.ReadAt(p, at); err != nil && at >= 0 && !errors.Is(err, io.EOF) && bytes.Equal(sealed, good) {
			t.Fatal(err)
		}
	})
}

func BenchmarkSealStream(b *testing.B) {
	key, plain := testKey(b, 1), text(1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		w := Sealed(io.Discard, key)
		_, _ = w.Write(plain)
		_ = w.Close()
	}
}
