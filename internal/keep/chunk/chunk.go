// Package chunk keeps archives of files: cut into chunks of 64 KiB at most, each
// named by a keyed hash of its content and written once, each an age file for
// the archive's recipients, with a manifest per archive that lists them in order
// (docs/formats/backup.md). It promises that an archive shows only when it is
// whole and durable, that what was changed, taken away, exchanged or added is
// found when it is read, and that a chunk goes when the last archive that uses
// it has gone. What is archived, and when an archive has to go, is left to
// others.
package chunk

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"filippo.io/age"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

// Size is the most that a chunk holds.
const Size = 64 << 10

// Name names a chunk: HMAC-SHA-256 of its content under the archives' key.
type Name [32]byte

func (n Name) place() string {
	text := hex.EncodeToString(n[:])
	return chunks + "/" + text[:2] + "/" + text
}

func nameIn(place string) (n Name, ok bool) {
	if len(place) < 64 {
		return n, false
	}
	_, err := hex.Decode(n[:], []byte(place[len(place)-64:]))
	return n, err == nil && n.place() == place
}

const (
	chunks    = "chunks"
	manifests = "manifests"
	// largest is what an encrypted chunk may be: age's header for several
	// recipients, and content that does not shrink.
	largest = 2 * Size
	// largestManifest holds the names of some 500 GB.
	largestManifest = 512 << 20
)

// Sealer proves that who wrote a manifest has the key-encryption key.
type Sealer interface {
	Seal(ctx context.Context, name string, plain []byte) ([]byte, error)
	Unseal(ctx context.Context, name string, sealed []byte) ([]byte, error)
}

// Store is where archives lie, with what opens them. It is safe for use by many
// goroutines, but one at a time may write or expire.
type Store struct {
	Place      Place
	Sealer     Sealer
	Recipients []age.Recipient // none: nothing can be written
	Identities []age.Identity
	Key        [32]byte // names the chunks of new archives
}

// namer gives chunks their names.
type namer [32]byte

func (k namer) name(content []byte) (n Name) {
	m := hmac.New(sha256.New, k[:])
	m.Write(content)
	m.Sum(n[:0])
	return n
}

// encrypt makes an age file of deflated content.
func (s *Store) encrypt(content []byte) ([]byte, error) {
	if len(s.Recipients) == 0 {
		return nil, fault.New(fault.Internal, "no recipient is given")
	}
	var out bytes.Buffer
	sealing, err := age.Encrypt(&out, s.Recipients...)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The recipients of backups cannot be used together.").WithHint("give recipients of one sort: age1… or age1pq…")
	}
	deflating, err := flate.NewWriter(sealing, flate.BestSpeed)
	if err == nil {
		_, err = deflating.Write(content)
		err = errors.Join(err, deflating.Close(), sealing.Close())
	}
	return out.Bytes(), fault.Wrap(err, "encrypt")
}

// decrypt undoes encrypt; what is longer than most is refused.
func (s *Store) decrypt(sealed []byte, most int64) ([]byte, error) {
	opened, err := age.Decrypt(bytes.NewReader(sealed), s.Identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) || len(s.Identities) == 0 {
		return nil, fault.Because(fault.Denied, err, "The identity does not open this backup.").WithHint("give the file with the AGE-SECRET-KEY of one of the recipients that backup.recipients named when it was made")
	}
	var content []byte
	if err == nil {
		var all io.Reader = flate.NewReader(opened)
		content, err = io.ReadAll(io.LimitReader(all, most+1))
	}
	if err != nil || int64(len(content)) > most {
		return nil, changed(err)
	}
	return content, nil
}

func changed(err error) error {
	return fault.Because(fault.Invalid, err, "The backup is damaged: a file of it was changed.").WithHint("choose another backup: mailvow backup list")
}

func missing(err error) error {
	return fault.Because(fault.Invalid, err, "The backup is damaged: a file of it is missing.").WithHint("choose another backup: mailvow backup list")
}

// read gives a chunk's content, which is what its name says.
func (s *Store) read(ctx context.Context, k namer, n Name) ([]byte, error) {
	sealed, err := s.Place.Get(ctx, n.place(), largest)
	if fault.Is(err, fault.NotFound) {
		return nil, missing(err)
	}
	if err != nil {
		return nil, err
	}
	content, err := s.decrypt(sealed, Size)
	if err != nil {
		return nil, err
	}
	if found := k.name(content); !hmac.Equal(found[:], n[:]) {
		return nil, changed(errors.New("a chunk is not what its name says"))
	}
	return content, nil
}

// Bytes is how much something takes.
type Bytes = limit.Bytes
