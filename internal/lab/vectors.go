package lab

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var makeVectors = flag.Bool("vectors", false, "write the test vectors anew instead of checking them")

// Hex is bytes that JSON shows in hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Vectors reads a package's testdata/vectors.json. With the flag -vectors it is
// made anew first, which is right only when the format's version changes: old
// data must open for ever.
func Vectors[T any](t testing.TB, create func() T) (v T) {
	t.Helper()
	name := filepath.Join("testdata", "vectors.json")
	if *makeVectors {
		content, err := json.MarshalIndent(create(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, append(content, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
