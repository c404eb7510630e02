// Package blob keeps message bytes that are too large for a row. It promises
// that what Commit acknowledged is durable and whole, that nothing shows under a
// name before, and that a sealed stream (docs/formats/blob.md) opens only with
// its key, at any offset, and not at all where it was cut, reordered or changed.
// A store sees sealed bytes only. Who may read a blob, and when nobody refers to
// it any more, is left to others: the key lies wrapped in the referring row.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Name names a blob: 32 hexadecimal digits that say nothing about its content.
type Name string

// NewName gives a name that nobody has.
func NewName() Name {
	var b [16]byte
	rand.Read(b[:])
	return Name(hex.EncodeToString(b[:]))
}

// ParseName refuses what is no name, so that a row can never lead out of the
// store's folder.
func ParseName(s string) (Name, error) {
	ok := len(s) == 32
	for i := range len(s) {
		ok = ok && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f')
	}
	if !ok {
		return "", fault.New(fault.Internal, "this is no name of a blob")
	}
	return Name(s), nil
}

// Store keeps blobs. It is safe for use by many goroutines.
type Store interface {
	// Region is where the bytes lie.
	Region() string
	// Create begins a blob. The writer lives as long as ctx.
	Create(ctx context.Context, name Name) (Writer, error)
	// Open gives a blob for reading as long as ctx lives, or a NotFound fault.
	Open(ctx context.Context, name Name) (Blob, error)
	// Delete removes a blob; one that is not there counts as removed.
	Delete(ctx context.Context, name Name) error
	// List gives every blob, in no order.
	List(ctx context.Context, yield func(Entry) error) error
	// Tidy removes what was begun before a time and never committed.
	Tidy(ctx context.Context, before time.Time) (int, error)
}

// Writer writes a blob from front to end. One of Commit and Abort ends it; an
// Abort after Commit does nothing.
type Writer interface {
	io.Writer
	Commit() error
	Abort() error
}

// Blob is an open blob.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Entry is one blob in a listing.
type Entry struct {
	Name    Name
	Size    int64
	Changed time.Time
}

// Put writes a whole blob and gives its size.
func Put(ctx context.Context, s Store, name Name, from io.Reader) (int64, error) {
	w, err := s.Create(ctx, name)
	if err != nil {
		return 0, err
	}
	defer w.Abort() //nolint:errcheck // after Commit it does nothing, before it the first error counts
	n, err := io.Copy(w, from)
	if err != nil {
		return n, err
	}
	return n, w.Commit()
}

// Declaration says what the blob store holds.
var Declaration = pledge.Declaration{
	Package: "keep/blob",
	Categories: []pledge.Category{{
		Name: "message bodies", About: pledge.Correspondent,
		What:    "the sealed bytes of messages too large for a row",
		Purpose: "deliver the message", For: pledge.ToDeliver,
		Basis:   pledge.Contract,
		Period:  pledge.Period{From: "no row refers to it any more; unreferenced bytes go within the sweep's grace of one day"},
		Found:   "by the row that refers to it",
		Erasing: pledge.Delete,
	}},
	Places: []pledge.Place{
		{Kind: pledge.BlobKind, Name: "message", Category: "message bodies", Sealed: true},
		{Kind: pledge.DiskFile, Name: "blobs", Category: "message bodies", Sealed: true},
	},
}
