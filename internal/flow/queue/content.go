package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/vault"
)

// Stored is a message's bytes: sealed in the row beside the message, and, where
// they are large, the rest of them in the blob store. Both are sealed under one
// key of the message's own, which lies wrapped in its row: deleting the row and
// the epoch key leaves nothing that opens them. Fresh mail is wrapped in Transit,
// whose epochs are short; what still waits afterwards is moved to Content
// (LeaveTransit).
type Stored struct {
	Blob    blob.Name // in the blob store, or ""
	message ids.Message
	tenant  ids.Tenant
	wrapped []byte
	sealed  []byte        // of the body row; only on the way in
	plain   *bytes.Reader // the whole content while it is in memory, or nil
}

const bodyTable = "body"

// KeyPlace is what a message's wrapped key is bound to, for who proves that it
// does not open any more.
func (q *Queue) KeyPlace(m ids.Message) vault.AD { return vault.AD{Table: bodyTable, Row: int64(m)} }

// bodyNonce is the only nonce that the body row is ever sealed under. The key is
// the message's own, and the blob's chunks are sealed under keys derived from it.
var bodyNonce = [12]byte{'b', 'o', 'd', 'y'}

// Inline makes the stored form of a message that lies whole in its row.
func (q *Queue) Inline(tenant ids.Tenant, m ids.Message, content []byte) (*Stored, error) {
	key, wrapped, err := q.Vault.NewKey(tenant, vault.Transit, vault.AD{Table: bodyTable, Row: int64(m)})
	if err != nil {
		return nil, fault.Wrap(err, "make message key")
	}
	return &Stored{
		message: m, tenant: tenant, wrapped: wrapped, plain: bytes.NewReader(content),
		sealed: key.Seal(make([]byte, 0, len(content)+16), bodyNonce, content, nil),
	}, nil
}

// Large makes the stored form of a message whose bytes are in the blob store
// already; prefix is what stands before them.
func (q *Queue) Large(tenant ids.Tenant, m ids.Message, prefix []byte, s *blob.Stored) (*Stored, error) {
	wrapped, err := q.Vault.WrapKey(tenant, vault.Transit, vault.AD{Table: bodyTable, Row: int64(m)}, s.Key)
	if err != nil {
		return nil, fault.Wrap(err, "wrap message key")
	}
	return &Stored{
		Blob: s.Name, message: m, tenant: tenant, wrapped: wrapped,
		sealed: s.Key.Seal(make([]byte, 0, len(prefix)+16), bodyNonce, prefix, nil),
	}, nil
}

// memory is how many bytes of the content are in memory.
func (s *Stored) memory() int64 {
	if s.plain == nil {
		return 0
	}
	return s.plain.Size()
}

// open gives the content of a parcel: from memory while it is there, else from
// the store, where a destroyed key makes it Gone. Close it after use.
func (q *Queue) open(ctx context.Context, w *work) (*Content, error) {
	if w.content != nil && w.content.plain != nil {
		return &Content{Content: w.content.plain}, nil
	}
	if w.content != nil {
		c, err := q.read(ctx, w.content)
		if !fault.Is(err, fault.Gone) {
			return c, err
		}
		// It waited so long in memory that its key was wrapped again meanwhile.
	}
	_, stored, err := q.stored(ctx, scope.Everyone, w.parcel.Message)
	if err != nil {
		return nil, err
	}
	w.content = stored
	return q.read(ctx, stored)
}

// Content is a message's bytes, open for reading.
type Content struct {
	deliver.Content
	io.Closer // nil where nothing is open
}

// Close ends the reading.
func (c *Content) Close() error {
	if c.Closer == nil {
		return nil
	}
	return c.Closer.Close()
}

// Content opens the bytes of a message that is still held, for people who may
// see them; a NotFound or Gone fault says that they are no longer here.
func (q *Queue) Content(ctx context.Context, s scope.Scope, m ids.Message) (*Content, error) {
	_, stored, err := q.stored(ctx, s, m)
	if err != nil {
		return nil, err
	}
	return q.read(ctx, stored)
}

func (q *Queue) read(ctx context.Context, s *Stored) (*Content, error) {
	key, err := q.Vault.Unwrap(s.tenant, vault.AD{Table: bodyTable, Row: int64(s.message)}, s.wrapped)
	if err != nil {
		return nil, fault.Wrap(err, "unwrap message key")
	}
	var sealed []byte
	if err := q.set.One(ctx, "body", []any{int64(s.message)}, &sealed); err != nil {
		return nil, fault.Wrap(err, "read message bytes")
	}
	plain, err := key.Open(nil, bodyNonce, sealed, nil)
	if err != nil {
		return nil, fault.Wrap(err, "open message bytes")
	}
	if s.Blob == "" {
		return &Content{Content: bytes.NewReader(plain)}, nil
	}
	b, err := q.Blobs.Open(ctx, s.Blob)
	if err != nil {
		return nil, fault.Wrap(err, "open message blob")
	}
	rest, err := blob.OpenSealed(b, b.Size(), key)
	if err != nil {
		return nil, errors.Join(fault.Wrap(err, "open sealed blob"), b.Close())
	}
	return &Content{Content: blob.Join(plain, rest, rest.Size()), Closer: b}, nil
}

// dropBlob removes large content whose last recipient was settled. What a crash
// leaves behind here, the sweep of unreferenced blobs finds.
func (q *Queue) dropBlob(ctx context.Context, w *work, settled int) {
	if settled == 0 || w.content == nil || w.content.Blob == "" {
		return
	}
	used, err := q.BlobsInUse(ctx, []blob.Name{w.content.Blob})
	if err == nil && !used[w.content.Blob] {
		err = q.Blobs.Delete(ctx, w.content.Blob)
	}
	if err != nil {
		q.log.Warn("a delivered blob stays until the sweep", "message", w.parcel.Message.String(), "error", err)
	}
}

// BlobsInUse says which of these blobs a message refers to, for the sweep.
func (q *Queue) BlobsInUse(ctx context.Context, names []blob.Name) (map[blob.Name]bool, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return nil, fault.Wrap(err, "list blob names")
	}
	used := map[blob.Name]bool{}
	err = q.set.Each(ctx, "blobs_in_use", []any{string(list)}, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		used[blob.Name(name)] = true
		return err
	})
	return used, fault.Wrap(err, "look for referenced blobs")
}
