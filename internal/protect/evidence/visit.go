package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

// Breach is the sort of contradiction that an auditor finds.
type Breach string

// The closed list of breaches.
const (
	Forged    Breach = "forged"    // no key of the log signed what is shown
	Truncated Breach = "truncated" // the log is shorter than it has been
	Rewritten Breach = "rewritten" // it no longer begins with what it was
	Split     Breach = "split"     // it shows others another log
	Damaged   Breach = "damaged"   // tiles, entries or history do not give its checkpoint
)

// Contradiction is what an auditor found, with the two signed checkpoints that
// show it to third parties where there are two.
type Contradiction struct {
	Breach Breach
	What   string
	Kept   string // the checkpoint that was seen before, a signed note
	Shown  string // what the log shows now
}

// Error implements error.
func (c *Contradiction) Error() string { return string(c.Breach) + ": " + c.What }

func contradiction(b Breach, what, kept, shown string) error {
	return fault.Because(fault.Denied, &Contradiction{Breach: b, What: what, Kept: kept, Shown: shown}, "The evidence log does not hold: "+what+".").
		WithHint("keep both checkpoints: the signatures on them show who contradicted themselves")
}

// Seen is what an auditor remembers of a log between two visits. What is under
// Checkpoint has been verified leaf by leaf.
type Seen struct {
	Keys       []Key    // in the order in which they signed; the first is the one that the auditor trusts
	Checkpoint string   // the newest, "" before the first visit
	Size       int64    // its size
	Root       Digest   // its root
	Peaks      []Digest // of the tree of that size, so that the next leaves can be added
	History    int64    // how many checkpoints of the history were verified
}

// Visit is what one visit verified.
type Visit struct {
	Seen       Seen
	Checkpoint Checkpoint
	Report     LogReport // of what is new since the last visit; Size and Root are the whole log's
	files      Files
}

// Audit verifies what a log grew by since it was last seen: that the newest
// checkpoint is signed by a key that follows from the first one, that the log
// still begins with what was seen, and that each new leaf and each new
// checkpoint gives the newest root. leaf, which may be nil, gets each new leaf.
// A log that contradicts itself or what was seen is a Denied fault around a
// *Contradiction; a log that is being written just now an Unavailable one.
func Audit(ctx context.Context, files Files, seen Seen, leaf func(index int64, l Leaf) error) (*Visit, error) {
	if len(seen.Keys) == 0 {
		return nil, fault.New(fault.Invalid, "An auditor needs a key to begin with.")
	}
	text, err := files.Read(ctx, checkpointPath)
	if err != nil {
		return nil, fault.Wrap(err, "read the checkpoint")
	}
	shown, err := headOf(string(text))
	if err != nil {
		return nil, contradiction(Forged, "its checkpoint is not one", seen.Checkpoint, string(text))
	}
	shown.Text = string(text)
	_, err = ParseCheckpoint(text, seen.Keys...)
	var unverified *note.UnverifiedNoteError
	unknown := errors.As(err, &unverified) // it may be a key that the new leaves introduce
	if err != nil && !unknown {
		return nil, contradiction(Forged, "the signature on its checkpoint does not hold", seen.Checkpoint, shown.Text)
	}
	if err := stillBegins(ctx, files, shown, seen); err != nil {
		return nil, err
	}
	v, err := walkOn(ctx, files, shown, seen, leaf)
	if err == nil && unknown {
		// The walk has shown by which rotation the key follows, or that it does not.
		if _, err := ParseCheckpoint(text, v.Seen.Keys...); err != nil {
			return nil, contradiction(Forged, "no key that follows from the first one signed its checkpoint", seen.Checkpoint, shown.Text)
		}
	}
	return v, err
}

// stillBegins compares the checkpoint that is shown with the one that was seen.
func stillBegins(ctx context.Context, files Files, shown Checkpoint, seen Seen) error {
	was := Checkpoint{Size: seen.Size, Root: seen.Root, Text: seen.Checkpoint}
	switch {
	case seen.Checkpoint == "":
		return nil
	case shown.Size < seen.Size:
		return contradiction(Truncated, fmt.Sprintf("it shows %d entries and has shown %d", shown.Size, seen.Size), was.Text, shown.Text)
	}
	return begins(ctx, files, shown, was, Rewritten)
}

// begins shows that the tree of shown begins with that of was.
func begins(ctx context.Context, files Files, shown, was Checkpoint, as Breach) error {
	root := tlog.Hash(was.Root)
	switch {
	case was.Size == shown.Size:
		root = tlog.Hash(shown.Root)
	case was.Size > 0:
		var err error
		if root, err = tlog.TreeHash(was.Size, hashReader(ctx, files, shown.tree())); err != nil {
			return damage(err, shown)
		}
	}
	if root != tlog.Hash(was.Root) {
		return contradiction(as, fmt.Sprintf("its first %d entries are others than those that were signed before", was.Size), was.Text, shown.Text)
	}
	return nil
}

// walkOn verifies the new leaves and checkpoints one by one.
func walkOn(ctx context.Context, files Files, shown Checkpoint, seen Seen, leaf func(int64, Leaf) error) (*Visit, error) {
	count, err := countHistory(ctx, files)
	if err != nil {
		return nil, damage(err, shown)
	}
	if count < seen.History {
		return nil, contradiction(Truncated, fmt.Sprintf("its history has %d checkpoints and has had %d", count, seen.History), seen.Checkpoint, shown.Text)
	}
	a := resume(seen)
	w := leafWalk{reader: NewReader(files), size: shown.Size, next: seen.Size, yield: a.line}
	if leaf != nil {
		w.yield = func(l exportLine) error { return a.told(l, leaf) }
	}
	for i := seen.History; i < count; i++ {
		text, err := w.history(ctx, i, count)
		if err != nil {
			return nil, damage(err, shown)
		}
		at, err := headOf(text)
		if err != nil {
			return nil, damage(err, shown)
		}
		if at.Size > shown.Size {
			break
		}
		if err := w.to(ctx, at.Size); err != nil {
			return nil, damage(err, shown)
		}
		if err := a.checkpoint(text); err != nil {
			return nil, damage(err, shown)
		}
		if text == shown.Text {
			return a.visit(files, seen, shown, i+1)
		}
	}
	if seen.Checkpoint == shown.Text {
		return a.visit(files, seen, shown, seen.History)
	}
	return nil, fault.New(fault.Unavailable, "The newest checkpoint is not in the log's history yet.").WithHint("ask again in a few seconds; if it stays so, the history was cut")
}

// resume makes an auditor that goes on where the last visit ended.
func resume(seen Seen) *auditor {
	a := &auditor{signed: -1, started: true, key: seen.Keys[len(seen.Keys)-1], report: LogReport{Kinds: map[Kind]int64{}}}
	a.report.Log = a.key.Origin()
	for _, k := range seen.Keys {
		a.report.Keys = append(a.report.Keys, k.String())
	}
	if seen.History > 0 {
		a.signed, a.tree = seen.Size, peaks{size: seen.Size, hashes: hashes(seen.Peaks)}
	}
	return a
}

func (a *auditor) told(l exportLine, leaf func(int64, Leaf) error) error {
	index := a.tree.size
	if err := a.line(l); err != nil || l.Leaf == nil {
		return err
	}
	parsed, err := ParseLeaf(l.Leaf)
	if err != nil {
		return err
	}
	return leaf(index, parsed)
}

func (a *auditor) visit(files Files, seen Seen, shown Checkpoint, history int64) (*Visit, error) {
	keys := slices.Clone(seen.Keys)
	if last := keys[len(keys)-1]; a.key.text != last.text {
		keys = keys[:0]
		for _, text := range a.report.Keys {
			k, err := ParseKey(text)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
	}
	shown.By = keys
	a.report.Size, a.report.Root, a.report.KeyTrusted = shown.Size, shown.Root, true
	return &Visit{
		Seen:       Seen{Keys: keys, Checkpoint: shown.Text, Size: shown.Size, Root: shown.Root, Peaks: digests(a.tree.hashes), History: history},
		Checkpoint: shown, Report: a.report, files: files,
	}, nil
}

// Holds compares the log with a checkpoint that somebody else was shown.
func (v *Visit) Holds(ctx context.Context, text string) error {
	other, err := ParseCheckpoint([]byte(text), v.Seen.Keys...)
	if err != nil {
		return fault.Wrap(err, "read a checkpoint that others hold")
	}
	if other.Size > v.Checkpoint.Size {
		return contradiction(Split, fmt.Sprintf("it shows %d entries here and has shown %d to others", v.Checkpoint.Size, other.Size), text, v.Checkpoint.Text)
	}
	return begins(ctx, v.files, v.Checkpoint, other, Split)
}

// Certificate verifies a certificate with the log's own keys, and that its leaf
// and its checkpoint stand in the log as it is now.
func (v *Visit) Certificate(ctx context.Context, data []byte) (CertificateReport, error) {
	report, err := VerifyCertificate(data, CertificateCheck{Trusted: v.Seen.Keys})
	if err != nil {
		return CertificateReport{}, err
	}
	c, _, _, err := parseCertificate(data)
	if err != nil {
		return CertificateReport{}, err
	}
	if err := v.Holds(ctx, c.Checkpoint); err != nil {
		return CertificateReport{}, err
	}
	proof, err := tlog.ProveRecord(v.Checkpoint.Size, c.LeafIndex, hashReader(ctx, v.files, v.Checkpoint.tree()))
	if err != nil {
		return CertificateReport{}, damage(err, v.Checkpoint)
	}
	if tlog.CheckRecord(proof, v.Checkpoint.Size, tlog.Hash(v.Checkpoint.Root), c.LeafIndex, tlog.RecordHash(c.Leaf)) != nil {
		return CertificateReport{}, denied("is about an erasure that the log does not hold")
	}
	return report, nil
}

// damage tells what does not fit from what could not be fetched.
func damage(err error, shown Checkpoint) error {
	var c *Contradiction
	if err = classify(err); errors.As(err, &c) {
		return err
	}
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return contradiction(Forged, "no key that follows from the first one signed its checkpoints", "", shown.Text)
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Denied, fault.Invalid, fault.NotFound:
		what, _ := fault.Public(err)
		if f := new(fault.Error); errors.As(err, &f) && f.Err != nil && fault.Is(err, fault.Conflict) {
			what = f.Err.Error()
		}
		return contradiction(Damaged, "tiles, entries or history do not give its checkpoint ("+what+")", "", shown.Text)
	}
	return err
}
