package evidence

import (
	"context"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// Reader reads the published log. Many may read while one Log writes.
type Reader struct {
	tiles Files
	keys  []Key // oldest first
}

// NewReader reads a log signed by keys, oldest first.
func NewReader(t Files, keys ...Key) *Reader { return &Reader{tiles: t, keys: keys} }

// OpenReader reads the log in a folder with the public keys that lie in it.
func OpenReader(ctx context.Context, dir string) (*Reader, error) {
	return openReader(ctx, ReadFolder(dir))
}

func openReader(ctx context.Context, t Files) (*Reader, error) {
	data, err := t.Read(ctx, keysPath)
	if err != nil {
		return nil, fault.Wrap(err, "open the evidence folder")
	}
	var keys []Key
	for line := range strings.Lines(string(data)) {
		text, whole := strings.CutSuffix(line, "\n")
		k, err := ParseKey(text)
		if err == nil && !whole {
			err = fault.New(fault.Invalid, "The file of public keys is cut short.")
		}
		if err != nil {
			return nil, fault.Wrap(err, "read the evidence log's public keys")
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "The evidence folder has no public key.")
	}
	return NewReader(t, keys...), nil
}

// Checkpoint gives the newest checkpoint, verified.
func (r *Reader) Checkpoint(ctx context.Context) (Checkpoint, error) {
	text, err := r.tiles.Read(ctx, checkpointPath)
	if err != nil {
		return Checkpoint{}, fault.Wrap(err, "read the checkpoint")
	}
	return ParseCheckpoint(text, r.keys...)
}

// Inclusion shows that a leaf stands at Index in the tree of a checkpoint.
type Inclusion struct {
	Leaf  []byte
	Index int64
	Proof []Digest
}

// Prove gives leaf index and its proof against a checkpoint that Checkpoint
// returned. The leaf's bytes are checked against the proof.
func (r *Reader) Prove(ctx context.Context, c Checkpoint, index int64) (Inclusion, error) {
	if index < 0 || index >= c.Size {
		return Inclusion{}, fault.New(fault.NotFound, "The evidence log has no entry of that number.")
	}
	bundle, err := readBundle(ctx, r.tiles, entriesPrefix, index/tileWidth, c.Size)
	if err != nil {
		return Inclusion{}, fault.Wrap(missing(err), "read an entry of the evidence log")
	}
	leaf := bundle[index%tileWidth]
	proof, err := tlog.ProveRecord(c.Size, index, hashReader(ctx, r.tiles, c.tree()))
	if err != nil {
		return Inclusion{}, fault.Wrap(missing(classify(err)), "prove an entry of the evidence log")
	}
	if err := tlog.CheckRecord(proof, c.Size, tlog.Hash(c.Root), index, tlog.RecordHash(leaf)); err != nil {
		return Inclusion{}, mismatch(err)
	}
	return Inclusion{Leaf: leaf, Index: index, Proof: digests(proof)}, nil
}

// ProveConsistent gives the proof that the tree of c begins with the tree of
// old (RFC 6962 2.1.2).
func (r *Reader) ProveConsistent(ctx context.Context, c, old Checkpoint) ([]Digest, error) {
	if old.Size < 1 || old.Size > c.Size {
		return nil, fault.New(fault.Invalid, "A proof needs an older checkpoint with at least one entry.")
	}
	proof, err := tlog.ProveTree(c.Size, old.Size, hashReader(ctx, r.tiles, c.tree()))
	if err != nil {
		return nil, fault.Wrap(missing(classify(err)), "prove that the evidence log only grew")
	}
	return digests(tlog.RecordProof(proof)), nil
}

// CheckConsistent verifies such a proof. It needs no server.
func CheckConsistent(proof []Digest, c, old Checkpoint) error {
	if err := tlog.CheckTree(tlog.TreeProof(hashes(proof)), c.Size, tlog.Hash(c.Root), old.Size, tlog.Hash(old.Root)); err != nil {
		return fault.Because(fault.Denied, err, "The proof does not show that the log only grew.")
	}
	return nil
}

func digests(proof tlog.RecordProof) []Digest {
	out := make([]Digest, len(proof))
	for i, h := range proof {
		out[i] = Digest(h)
	}
	return out
}

func hashes(proof []Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(proof))
	for i, d := range proof {
		out[i] = tlog.Hash(d)
	}
	return out
}

// Find gives the index of a leaf by its id, or a NotFound fault.
func (r *Reader) Find(ctx context.Context, id ids.Leaf) (int64, error) {
	c, err := r.Checkpoint(ctx)
	if err != nil {
		return 0, err
	}
	return find(ctx, r.tiles, c.Size, id)
}

// Leaves gives the leaves from index on to yield, oldest first, and stops at
// the first error of yield.
func (r *Reader) Leaves(ctx context.Context, from int64, yield func(index int64, l Leaf) error) error {
	c, err := r.Checkpoint(ctx)
	if err != nil {
		return err
	}
	for n := max(0, from) / tileWidth; n*tileWidth < c.Size; n++ {
		leaves, err := leavesOf(ctx, r.tiles, n, c.Size)
		if err != nil {
			return fault.Wrap(err, "read the evidence log")
		}
		for i, l := range leaves {
			if index := n*tileWidth + int64(i); index >= from {
				if err := yield(index, l); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
