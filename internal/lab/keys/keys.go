// Package keys opens vaults for tests and lends them an RSA key. It stands apart
// from lab because the vault's own tests use lab.
package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
)

// Vault opens a vault with a fresh key and a folder of the test's own.
func Vault(t testing.TB, c clock.Clock, source *ids.Source) *vault.Vault {
	t.Helper()
	var key [32]byte
	rand.Read(key[:])
	kek, err := vault.NewKEK(key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), vault.Config{KEK: kek, Store: vault.Folder(disk.Machine{}, t.TempDir()), Clock: c, IDs: source})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// RSA is one key for all tests of a process: making one takes longer than most
// tests.
var RSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
