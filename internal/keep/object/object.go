// Package object is a bucket of an S3-compatible store. It promises that what
// Put and Upload.Commit acknowledged is stored whole or not at all, and that
// PutNew never replaces. Which connection is dialled and what the bytes mean is
// left to others: the dial function is passed in, the bytes arrive sealed.
package object

import (
	"context"
	"io"
	"time"
)

// Bucket is the part of an object store that the house uses.
type Bucket interface {
	// Region is where the bucket's bytes lie.
	Region() string
	// Put writes a whole object, replacing one of that name.
	Put(ctx context.Context, name string, content []byte) error
	// PutNew writes an object whose name must be free; a Conflict fault says
	// that somebody was first.
	PutNew(ctx context.Context, name string, content []byte) error
	// Get reads n bytes at an offset, fewer where the object ends; a NotFound
	// fault if there is no such object.
	Get(ctx context.Context, name string, at, n int64) ([]byte, error)
	// Size gives an object's length, or a NotFound fault.
	Size(ctx context.Context, name string) (int64, error)
	// Delete removes an object; one that is not there counts as removed.
	Delete(ctx context.Context, name string) error
	// List gives the objects whose name begins with prefix, in order of name.
	List(ctx context.Context, prefix string, yield func(Entry) error) error
	// Upload begins an object that is written in parts.
	Upload(ctx context.Context, name string) (Upload, error)
	// Forget drops uploads under prefix that began before a time and never
	// ended, and says how many.
	Forget(ctx context.Context, prefix string, before time.Time) (int, error)
	// Versioned reports whether the bucket keeps what was deleted or replaced.
	Versioned(ctx context.Context) (bool, error)
}

// Entry is one object in a listing.
type Entry struct {
	Name    string
	Size    int64
	Changed time.Time
}

// Upload is an object being written. It shows under its name after Commit, and
// never after Abort.
type Upload interface {
	io.Writer
	Commit() error
	Abort() error
}
