package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
)

// Wrapper holds the key-encryption key: a file, or a key management service
// that never gives its key away. Additional data must be bound to the wrapped
// key where the service can.
type Wrapper interface {
	// ID names the key, at most 64 bytes; the same key always has the same id.
	ID() string
	Wrap(ctx context.Context, key, ad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, ad []byte) ([]byte, error)
}

type wrappers struct {
	now    Wrapper
	former []Wrapper
}

func (w *wrappers) named(id string) (Wrapper, error) {
	if w.now.ID() == id {
		return w.now, nil
	}
	for _, f := range w.former {
		if f.ID() == id {
			return f, nil
		}
	}
	return nil, fault.New(fault.Unavailable, "A key in the key store was wrapped by another key-encryption key.").
		WithHint("This key store belongs to the key-encryption key " + id + ", the configured one is " + w.now.ID() + ". Configure the right key file; during a rotation name the other one as former, or let the running server learn it (mailvow keys rotate --learn).")
}

// kekHeader begins a key file. The line is the header, the key in base64 and
// the first 8 bytes of SHA-256(header ‖ key) in hex.
const kekHeader = "mailvow-kek-v1"

type kek struct {
	id   string
	aead cipher.AEAD
}

// NewKEK makes a Wrapper of 32 bytes held in memory.
func NewKEK(key [32]byte) (Wrapper, error) {
	aead, err := newAEAD(key[:])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("mailvow kek id\x00"), key[:]...))
	return &kek{id: "file:" + hex.EncodeToString(sum[:8]), aead: aead}, nil
}

// ID implements Wrapper.
func (k *kek) ID() string { return k.id }

// Wrap implements Wrapper.
func (k *kek) Wrap(_ context.Context, key, ad []byte) ([]byte, error) {
	return k.aead.Seal(nil, nil, key, ad), nil
}

// Unwrap implements Wrapper.
func (k *kek) Unwrap(_ context.Context, wrapped, ad []byte) ([]byte, error) {
	return k.aead.Open(nil, nil, wrapped, ad)
}

// newAEAD is AES-256-GCM that puts a random nonce before the ciphertext.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "make a cipher")
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func kekSum(key []byte) string {
	sum := sha256.Sum256(append([]byte(kekHeader), key...))
	return hex.EncodeToString(sum[:8])
}

// CreateKEKFile writes a fresh key-encryption key, durably and with mode 0600.
// A file that exists is never replaced: its key may be the only way to the data.
func CreateKEKFile(name string) error {
	var key [32]byte
	rand.Read(key[:])
	line := kekHeader + " " + base64.StdEncoding.EncodeToString(key[:]) + " " + kekSum(key[:]) + "\n"
	err := disk.Write(disk.Machine{}, filepath.ToSlash(name), []byte(line))
	if errors.Is(err, fs.ErrExist) {
		return fault.Because(fault.Conflict, err, "The key file exists already.").WithHint("Use the key file that is there, or name another.")
	}
	return fault.Wrap(err, "write the key file")
}

// LoadKEKFile reads a key-encryption key. It refuses a file that others may
// read, one of the wrong length or content, and one that was damaged, each with
// a hint.
func LoadKEKFile(name string) (Wrapper, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Because(fault.Invalid, err, "The key file does not exist.").
			WithHint("mailvow init makes one. If this server has data already, bring back its key file: without it nothing opens.")
	}
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The key file cannot be read.").WithHint("It must belong to the user that the server runs as.")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The key file cannot be read.")
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "The key file is no ordinary file.")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("The key file has mode %04o: others can reach it.", mode)).WithHint("chmod 600 " + name)
	}
	content := make([]byte, 256)
	n, err := f.ReadAt(content, 0)
	if n == 0 {
		return nil, fault.Because(fault.Invalid, err, "The key file is empty.")
	}
	return parseKEK(content[:n])
}

func parseKEK(content []byte) (Wrapper, error) {
	if !bytes.HasPrefix(content, []byte(kekHeader+" ")) {
		return nil, fault.New(fault.Invalid, "The file is no key file of mailvow: it does not begin with "+kekHeader+".").WithHint("The configuration may name a wrong file.")
	}
	part := strings.Split(strings.TrimSuffix(string(content), "\n"), " ")
	if len(part) != 3 {
		return nil, fault.New(fault.Invalid, "The key file has the wrong form; it is one line of three words.")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(part[1])
	if err != nil {
		return nil, fault.New(fault.Invalid, "The key in the key file is damaged: it is no base64.")
	}
	if len(key) != 32 {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("The key in the key file has %d bytes and not 32.", len(key)))
	}
	if kekSum(key) != part[2] {
		return nil, fault.New(fault.Invalid, "The key file is damaged: its checksum does not match.").WithHint("Bring the key file back from its backup.")
	}
	return NewKEK([32]byte(key))
}
