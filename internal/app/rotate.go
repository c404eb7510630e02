package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
	"mailvow/internal/keep/object"
	"mailvow/internal/keep/vault"
)

// LearnKEK implements admin.Keys: this process opens what others wrap under the
// key in a file.
func (o *operatorActs) LearnKEK(_ context.Context, file string) error {
	next, err := o.nextKEK(file)
	if err == nil {
		o.h.vault.LearnKEK(next)
	}
	return err
}

// RotateKEK implements admin.Keys. Which file the next start reads is the
// configuration's: until it is changed, data.kek_former or the old file opens
// nothing new.
func (o *operatorActs) RotateKEK(ctx context.Context, file string) error {
	next, err := o.nextKEK(file)
	if err != nil {
		return err
	}
	if err := o.h.vault.RotateKEK(ctx, next); err != nil {
		return err
	}
	if o.h.Config.Backup.Configured() {
		if _, err := o.h.backupRing(ctx); err != nil { // it seals itself again
			return err
		}
	}
	return o.h.resealFiles(ctx, next.ID())
}

// nextKEK reads a key-encryption key, which it makes if the file is not there.
func (o *operatorActs) nextKEK(file string) (vault.Wrapper, error) {
	if o.h.Dev {
		return nil, fault.New(fault.Conflict, "A dev server keeps its key-encryption key in its folder; only a configured server changes it.")
	}
	if !filepath.IsAbs(file) {
		return nil, fault.New(fault.Invalid, "Give the whole path of the new key file.")
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := vault.CreateKEKFile(file); err != nil {
			return nil, fault.Because(fault.Invalid, err, fmt.Sprintf("The key file %s cannot be made.", file)).
				WithHint("the server makes it as its own user; choose a folder that it may write to")
		}
	}
	return vault.LoadKEKFile(file)
}

// formerKEKs are keys that may still be found in the store after a rotation.
func formerKEKs(c config.Data) ([]vault.Wrapper, error) {
	var list []vault.Wrapper
	for _, file := range c.KEKFormer {
		k, err := vault.LoadKEKFile(file)
		if err != nil {
			return nil, fault.Wrap(err, "load a former key-encryption key")
		}
		list = append(list, k)
	}
	return list, nil
}

// kekSealer seals what lies beside the keys in a bucket: a key-encryption key's
// id, a line feed, the sealed bytes.
type kekSealer struct{ vault *vault.Vault }

var _ object.Sealer = kekSealer{}

// Seal implements object.Sealer.
func (s kekSealer) Seal(ctx context.Context, name string, plain []byte) ([]byte, error) {
	id, sealed, err := s.vault.WrapFile(ctx, plain, fileAD(name))
	return append([]byte(id+"\n"), sealed...), err
}

// Unseal implements object.Sealer.
func (s kekSealer) Unseal(ctx context.Context, name string, sealed []byte) ([]byte, error) {
	id, rest, found := bytes.Cut(sealed, []byte("\n"))
	if !found {
		return nil, fault.New(fault.Invalid, "The object "+name+" of the key store is damaged.")
	}
	return s.vault.UnwrapFile(ctx, string(id), rest, fileAD(name))
}

func fileAD(name string) []byte { return []byte("file\x00" + name) }

// besideKeys are the prefixes of what the sealer seals in the bucket of keys.
var besideKeys = []string{"evidence/", "erasures/", "backup/"}

// resealFiles seals again, under the key-encryption key of now, what lies beside
// the keys in a bucket. An object that went meanwhile is passed over.
func (h *House) resealFiles(ctx context.Context, now string) error {
	if !h.shared() {
		return nil
	}
	for _, prefix := range besideKeys {
		var names []string
		if err := h.stores.keys.List(ctx, prefix, func(e object.Entry) error { names = append(names, e.Name); return nil }); err != nil {
			return fault.Wrap(err, "list what lies beside the keys")
		}
		for _, name := range names {
			if err := h.resealFile(ctx, name, now); err != nil && !fault.Is(err, fault.NotFound) {
				return fault.Wrap(err, "seal "+name+" again")
			}
		}
	}
	return nil
}

func (h *House) resealFile(ctx context.Context, name, now string) error {
	sealed, err := h.stores.keys.Get(ctx, name, 0, object.LargestFile)
	if err != nil || strings.HasPrefix(string(sealed), now+"\n") {
		return err
	}
	plain, err := h.stores.sealer.Unseal(ctx, name, sealed)
	if err != nil {
		return err
	}
	if sealed, err = h.stores.sealer.Seal(ctx, name, plain); err != nil {
		return err
	}
	return h.stores.keys.Put(ctx, name, sealed)
}
