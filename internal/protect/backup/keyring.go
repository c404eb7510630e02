package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"filippo.io/age"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/chunk"
	"mailvow/internal/keep/disk"
)

// Keyring is what this server needs to list, try and expire backups: a key that
// names chunks, and an identity of its own beside the operator's recipients. It
// lies in the key store, sealed by the key-encryption key. When the recipients
// change a new generation begins: the next backup is written whole, for them.
type Keyring struct {
	generations []generation
	recipients  []age.Recipient
}

type generation struct {
	Recipients []string `json:"recipients"` // the operator's, sorted
	Key        []byte   `json:"key"`
	Classic    string   `json:"classic"` // an identity beside recipients age1…
	Hybrid     string   `json:"hybrid"`  // and beside age1pq…
}

// most bounds the generations; backups of older ones are listed no more.
const mostGenerations = 64

// OpenKeyring reads the ring in a folder of the key store and makes what is
// missing. Recipients that cannot be read or used together are Invalid.
func OpenKeyring(ctx context.Context, f disk.FS, dir string, seal chunk.Sealer, recipients []string) (*Keyring, error) {
	r := &Keyring{}
	err := r.open(ctx, f, dir, seal, recipients)
	return r, fault.Wrap(err, "open the keys of backups")
}

func (r *Keyring) open(ctx context.Context, f disk.FS, dir string, seal chunk.Sealer, recipients []string) error {
	if err := disk.MakeDir(f, dir); err != nil {
		return fault.Because(fault.Unavailable, err, "The folder of the backups' keys cannot be made.")
	}
	name := path.Join(dir, "ring")
	sealed, err := disk.Read(f, name, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fault.Because(fault.Unavailable, err, "The backups' keys cannot be read.")
	default:
		text, err := seal.Unseal(ctx, "backup/ring", sealed)
		if err == nil {
			err = json.Unmarshal(text, &r.generations)
		}
		if err != nil {
			return err
		}
	}
	if err := r.turn(recipients); err != nil {
		return err
	}
	text, err := json.Marshal(r.generations)
	if err == nil {
		// Written at each start, so that the key-encryption key of today seals it.
		sealed, err = seal.Seal(ctx, "backup/ring", text)
	}
	if err == nil {
		err = disk.Replace(f, name, sealed)
	}
	return err
}

// turn makes sure that the last generation is for these recipients.
func (r *Keyring) turn(recipients []string) error {
	want := slices.Clone(recipients)
	slices.Sort(want)
	want = slices.Compact(want)
	if n := len(r.generations); n == 0 || !slices.Equal(r.generations[n-1].Recipients, want) {
		classic, err := age.GenerateX25519Identity()
		if err != nil {
			return fault.Wrap(err, "make a key")
		}
		hybrid, err := age.GenerateHybridIdentity()
		if err != nil {
			return fault.Wrap(err, "make a key")
		}
		key := make([]byte, 32)
		rand.Read(key)
		r.generations = append(r.generations, generation{want, key, classic.String(), hybrid.String()})
		r.generations = r.generations[max(0, len(r.generations)-mostGenerations):]
	}
	return r.readRecipients(want)
}

// readRecipients joins the operator's with this server's own of the same sort.
func (r *Keyring) readRecipients(list []string) error {
	theirs, err := Recipients(list)
	if err != nil {
		return err
	}
	g := r.generations[len(r.generations)-1]
	for _, text := range []string{g.Classic, g.Hybrid} {
		own, err := recipientOf(text)
		if err != nil {
			return err
		}
		r.recipients = append(slices.Clone(theirs), own)
		if _, err = age.Encrypt(&strings.Builder{}, r.recipients...); err == nil {
			return nil
		}
	}
	return fault.New(fault.Invalid, "The recipients of backups cannot be used together.").WithHint("give recipients of one sort: age1… or age1pq…")
}

func recipientOf(text string) (age.Recipient, error) {
	list, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil || len(list) != 1 {
		return nil, fault.Because(fault.Internal, err, "")
	}
	switch i := list[0].(type) {
	case *age.X25519Identity:
		return i.Recipient(), nil
	case *age.HybridIdentity:
		return i.Recipient(), nil
	}
	return nil, fault.New(fault.Internal, "an identity of another sort")
}

// Recipients reads age's public keys.
func Recipients(list []string) ([]age.Recipient, error) {
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "backup.recipients names nobody who could open a backup.").WithHint("make an identity with age-keygen, keep it away from this server, and give its public key")
	}
	var out []age.Recipient
	for _, text := range list {
		r, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(r) != 1 {
			return nil, fault.Because(fault.Invalid, err, "An entry of backup.recipients is no recipient of age.").WithHint("write the public key, age1… or age1pq…, as age-keygen prints it")
		}
		out = append(out, r[0])
	}
	return out, nil
}

// Store is a place of backups that this ring opens and writes.
func (r *Keyring) Store(p chunk.Place, seal chunk.Sealer) (*chunk.Store, error) {
	g := r.generations[len(r.generations)-1]
	s := &chunk.Store{Place: p, Sealer: seal, Recipients: r.recipients, Key: [32]byte(g.Key)}
	for _, g := range slices.Backward(r.generations) {
		list, err := age.ParseIdentities(strings.NewReader(g.Classic + "\n" + g.Hybrid))
		if err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		s.Identities = append(s.Identities, list...)
	}
	return s, nil
}
