package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// maxCheckpoint bounds a signed checkpoint in bytes: three lines and the
// signatures of a few keys.
const maxCheckpoint = 4 << 10

// Key is a public key of the log in the form of a note verifier key (C2SP
// signed-note): name+hash+base64. The zero Key is none.
type Key struct {
	text     string
	verifier note.Verifier
}

// ParseKey reads a verifier key and accepts its one canonical spelling.
func ParseKey(text string) (Key, error) {
	bad := fault.New(fault.Invalid, "The public key is not an Ed25519 note verifier key (name+hash+base64).")
	if len(text) > 512 {
		return Key{}, bad
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return Key{}, bad
	}
	_, rest, _ := strings.Cut(text, "+")
	_, key, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 33 {
		return Key{}, bad
	}
	again, err := note.NewEd25519VerifierKey(v.Name(), raw[1:])
	if err != nil || again != text {
		return Key{}, bad
	}
	return Key{text: text, verifier: v}, nil
}

// String gives the verifier key.
func (k Key) String() string { return k.text }

// Origin is the log that the key signs for.
func (k Key) Origin() string { return k.verifier.Name() }

// Checkpoint is the signed head of the log at one size.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Digest
	Text   string // the signed note
	By     []Key  // whose signatures on it were verified
}

func (c Checkpoint) tree() tlog.Tree { return tlog.Tree{N: c.Size, Hash: tlog.Hash(c.Root)} }

func checkpointText(origin string, tree tlog.Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N, tree.Hash)
}

// ParseCheckpoint reads a signed checkpoint (C2SP tlog-checkpoint without
// extension lines) and verifies that one of keys signed it. Signatures of keys
// that are not listed are passed over, as the format wants. A signature that
// does not hold is a Denied fault, anything else Invalid.
func ParseCheckpoint(text []byte, keys ...Key) (Checkpoint, error) {
	if len(text) > maxCheckpoint {
		return Checkpoint{}, fault.New(fault.Invalid, "The checkpoint is larger than 4 KiB.")
	}
	keys = distinct(keys)
	verifiers := make([]note.Verifier, len(keys))
	for i, k := range keys {
		verifiers[i] = k.verifier
	}
	n, err := note.Open(text, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return Checkpoint{}, fault.Because(fault.Denied, err, "No known key signed the checkpoint.")
	case errors.As(err, &invalid):
		return Checkpoint{}, fault.Because(fault.Denied, err, "A signature on the checkpoint does not hold.")
	case err != nil:
		return Checkpoint{}, fault.Because(fault.Invalid, err, "The checkpoint is not a signed note.")
	}
	c, err := parseHead(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	c.Text = string(text)
	for _, s := range n.Sigs {
		// note passes over spare bits, which would be a byte that may change.
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return Checkpoint{}, fault.Because(fault.Invalid, err, "A signature on the checkpoint is not spelt as the format wants.")
		}
		for _, k := range keys {
			if k.verifier.KeyHash() == s.Hash && k.verifier.Name() == s.Name {
				c.By = append(c.By, k)
			}
		}
		if s.Name != c.Origin {
			return Checkpoint{}, fault.New(fault.Invalid, "The checkpoint's origin is not the name of its key.")
		}
	}
	return c, nil
}

// distinct drops repeated and empty keys; note refuses to choose between equals.
func distinct(keys []Key) []Key {
	var out []Key
	for _, k := range keys {
		if k.verifier != nil && !slices.ContainsFunc(out, func(o Key) bool { return o.text == k.text }) {
			out = append(out, k)
		}
	}
	return out
}

// parseHead reads the three lines. What it accepts it would write the same way.
func parseHead(text string) (Checkpoint, error) {
	bad := fault.New(fault.Invalid, "The checkpoint does not have the lines origin, size and root hash.")
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return Checkpoint{}, bad
	}
	if err = c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Checkpoint{}, bad
	}
	if checkpointText(c.Origin, c.tree()) != text || c.Origin == "" {
		return Checkpoint{}, bad
	}
	return c, nil
}

// signedBy gives the checkpoint with the signature of one key alone, so that a
// certificate holds no byte that its reader cannot verify.
func (c Checkpoint) signedBy(k Key) (Checkpoint, error) {
	head, sigs, _ := strings.Cut(c.Text, "\n\n")
	for line := range strings.SplitSeq(sigs, "\n") {
		one := head + "\n\n" + line + "\n"
		if got, err := ParseCheckpoint([]byte(one), k); err == nil {
			return got, nil
		}
	}
	return Checkpoint{}, fault.New(fault.Denied, "That key did not sign the checkpoint.")
}

// onlySignature reports whether the note has one signature, spelt canonically:
// note.Open lets spare bits of base64 and repeated lines pass.
func (c Checkpoint) onlySignature() bool {
	_, sigs, _ := strings.Cut(c.Text, "\n\n")
	line, ok := strings.CutSuffix(sigs, "\n")
	if !ok || strings.Contains(line, "\n") || len(c.By) != 1 {
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
	return err == nil
}
