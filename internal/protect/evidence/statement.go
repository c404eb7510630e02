package evidence

import (
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"mailvow/internal/base/fault"
)

// StatementFormat is the first line of everything that the log's key signs but
// checkpoints. A checkpoint begins with the log's name, so neither passes for the
// other.
const StatementFormat = "mailvow document v1"

// maxStatement bounds a signed statement in bytes.
const maxStatement = 8 << 10

// SignStatement signs what this server says outside its log, with the log's
// newest key, as a C2SP signed note. write gives the lines below the first for
// the key that will sign, each with its line end.
func (r *Ring) SignStatement(write func(Key) string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.keys) - 1; i >= 0; i-- {
		k := r.keys[i]
		if k.signer == nil {
			continue
		}
		signed, err := note.Sign(&note.Note{Text: StatementFormat + "\n" + write(k.key)}, k.signer)
		if err == nil && len(signed) > maxStatement {
			err = errors.New("the statement is too long")
		}
		if err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		return signed, nil
	}
	return nil, fault.New(fault.Conflict, "The evidence log has no private key to sign with.")
}

// OpenStatement gives the lines below the first of a statement that one of keys
// signed, and which. One that no key of them signed, or that was changed, is a
// Denied fault; what is no statement is Invalid.
func OpenStatement(signed []byte, keys ...Key) (text string, by Key, err error) {
	if len(signed) > maxStatement {
		return "", Key{}, fault.New(fault.Invalid, "The note is larger than 8 KiB.")
	}
	keys = distinct(keys)
	verifiers := make([]note.Verifier, len(keys))
	for i, k := range keys {
		verifiers[i] = k.verifier
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return "", Key{}, fault.Because(fault.Denied, err, "No known key signed the note.")
	case errors.As(err, &invalid):
		return "", Key{}, fault.Because(fault.Denied, err, "The signature on the note does not hold.")
	case err != nil:
		return "", Key{}, fault.Because(fault.Invalid, err, "The file is not a signed note.")
	}
	text, is := strings.CutPrefix(n.Text, StatementFormat+"\n")
	if !is || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return "", Key{}, fault.New(fault.Invalid, "The note is not one of docs/formats/document.md.")
	}
	// note passes over spare bits, which would be a byte that may change.
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return "", Key{}, fault.Because(fault.Invalid, err, "The signature on the note is not spelt as the format wants.")
	}
	for _, k := range keys {
		if k.verifier.KeyHash() == n.Sigs[0].Hash && k.verifier.Name() == n.Sigs[0].Name {
			by = k
		}
	}
	return text, by, nil
}
