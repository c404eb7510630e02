package evidence

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"mailvow/internal/base/fault"
)

const exportFormat = "mailvow evidence log v1"

// exportLine is one line of an export: the head, a leaf or a checkpoint.
type exportLine struct {
	Checkpoint string          `json:"checkpoint,omitempty"`
	Format     string          `json:"format,omitempty"`
	Key        string          `json:"key,omitempty"` // the log's first key; leaves introduce the later ones
	Leaf       json.RawMessage `json:"leaf,omitempty"`
}

// LogCheck is what the verifier of a log knows beforehand; all of it is optional.
type LogCheck struct {
	Trusted []Key    // one of these must have signed
	Held    []string // checkpoints kept from earlier: the log must hold them all
	// Leaf gets each entry, before the checkpoint over it is verified; nil: nobody does.
	Leaf func(Leaf) error
}

// LogReport is what Verify found.
type LogReport struct {
	Log         string         `json:"log"`
	Size        int64          `json:"size"`
	Root        Digest         `json:"root"`
	Checkpoints int64          `json:"checkpoints"`
	Kinds       map[Kind]int64 `json:"kinds"`
	Keys        []string       `json:"keys"` // in the order in which they signed
	KeyTrusted  bool           `json:"key_trusted"`
}

// Export writes the whole log with all its checkpoints as lines of JSON. It
// streams and stops at the checkpoint that is the newest when it begins.
func (r *Reader) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := r.walk(ctx, func(l exportLine) error {
		line, err := canonical(l)
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	return fault.Wrap(err, "export the evidence log")
}

// walk gives the log line by line: each checkpoint after the leaves it covers.
func (r *Reader) walk(ctx context.Context, yield func(exportLine) error) error {
	cp, err := r.Checkpoint(ctx)
	if err != nil {
		return err
	}
	count, err := countHistory(ctx, r.tiles)
	if err != nil {
		return err
	}
	if err := yield(exportLine{Format: exportFormat, Key: r.keys[0].String()}); err != nil {
		return err
	}
	w := leafWalk{reader: r, size: cp.Size, yield: yield}
	for i := int64(0); i < count; i++ {
		text, err := w.history(ctx, i, count)
		if err != nil {
			return missing(err)
		}
		at, err := ParseCheckpoint([]byte(text), r.keys...)
		if err != nil {
			return mismatch(err)
		}
		if err := w.to(ctx, at.Size); err != nil {
			return err
		}
		if err := yield(exportLine{Checkpoint: text}); err != nil {
			return err
		}
		if text == cp.Text {
			return nil
		}
	}
	return mismatch(errors.New("the newest checkpoint is not in the history"))
}

// leafWalk remembers where a walk stands, one bundle of each sort at a time.
type leafWalk struct {
	reader *Reader
	size   int64
	next   int64
	leaves [][]byte
	texts  [][]byte
	yield  func(exportLine) error
}

func (w *leafWalk) to(ctx context.Context, end int64) error {
	for ; w.next < min(end, w.size); w.next++ {
		if w.next%tileWidth == 0 || w.leaves == nil {
			var err error
			if w.leaves, err = readBundle(ctx, w.reader.tiles, entriesPrefix, w.next/tileWidth, w.size); err != nil {
				return missing(err)
			}
		}
		if err := w.yield(exportLine{Leaf: w.leaves[w.next%tileWidth]}); err != nil {
			return err
		}
	}
	return nil
}

func (w *leafWalk) history(ctx context.Context, i, count int64) (string, error) {
	if i%tileWidth == 0 || w.texts == nil {
		var err error
		if w.texts, err = readBundle(ctx, w.reader.tiles, historyPrefix, i/tileWidth, count); err != nil {
			return "", err
		}
	}
	return string(w.texts[i%tileWidth]), nil
}

// VerifyFile verifies an export, or the folder of a log, from its bytes alone.
func VerifyFile(ctx context.Context, path string, check LogCheck) (LogReport, error) {
	st, err := os.Stat(path)
	if err != nil {
		return LogReport{}, storeFault(err, "open the evidence to verify")
	}
	if st.IsDir() {
		r, err := OpenReader(ctx, path)
		if err != nil {
			return LogReport{}, err
		}
		return r.Verify(ctx, check)
	}
	f, err := os.Open(path)
	if err != nil {
		return LogReport{}, storeFault(err, "open the evidence to verify")
	}
	defer f.Close()
	return VerifyExport(f, check)
}

// Verify verifies the stored log: every leaf, every checkpoint of the history
// and every tile.
func (r *Reader) Verify(ctx context.Context, check LogCheck) (LogReport, error) {
	cp, err := r.Checkpoint(ctx)
	if err != nil {
		return LogReport{}, err
	}
	if err := checkTiles(ctx, r.tiles, cp.tree(), 0); err != nil {
		return LogReport{}, fault.Wrap(err, "verify the tiles")
	}
	a, err := newAuditor(check)
	if err != nil {
		return LogReport{}, err
	}
	if err := r.walk(ctx, a.line); err != nil {
		return LogReport{}, fault.Wrap(err, "verify the evidence log")
	}
	return a.finish()
}

// VerifyExport verifies an export as a stream, in memory that does not grow
// with it.
func VerifyExport(in io.Reader, check LogCheck) (LogReport, error) {
	a, err := newAuditor(check)
	if err != nil {
		return LogReport{}, err
	}
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 8<<10), MaxLeaf+maxCheckpoint)
	for n := 1; s.Scan(); n++ {
		var l exportLine
		if err := decode(s.Bytes(), &l); err != nil {
			return LogReport{}, fault.Because(fault.Invalid, err, fmt.Sprintf("Line %d is not a line of an evidence export.", n))
		}
		if err := a.line(l); err != nil {
			return LogReport{}, fault.Wrap(err, fmt.Sprintf("line %d", n))
		}
	}
	if err := s.Err(); err != nil {
		return LogReport{}, fault.Because(fault.Invalid, err, "The evidence export cannot be read to its end.")
	}
	return a.finish()
}

// auditor recomputes the tree from the leaves and holds every checkpoint to it.
// It begins with one key; another is believed once a leaf names it and a
// checkpoint over that leaf carries both signatures.
type auditor struct {
	check   LogCheck
	held    map[int64]Checkpoint
	tree    peaks
	signed  int64
	key     Key
	next    Key
	report  LogReport
	started bool
}

func newAuditor(check LogCheck) (*auditor, error) {
	a := &auditor{check: check, held: map[int64]Checkpoint{}, signed: -1, report: LogReport{Kinds: map[Kind]int64{}}}
	for _, text := range check.Held {
		head, err := headOf(text)
		if err != nil {
			return nil, err
		}
		if other, twice := a.held[head.Size]; twice && other.Root != head.Root {
			return nil, tampered("two of the checkpoints that were kept contradict each other")
		}
		a.held[head.Size] = head
	}
	return a, nil
}

func (a *auditor) line(l exportLine) error {
	set := btoi(l.Format != "" || l.Key != "") + btoi(l.Leaf != nil) + btoi(l.Checkpoint != "")
	switch {
	case set != 1 || a.started == (l.Format != ""):
		return fault.New(fault.Invalid, "The evidence export has a line out of order.")
	case l.Format != "":
		return a.begin(l)
	case l.Leaf != nil:
		return a.leaf(l.Leaf)
	case l.Checkpoint != "":
		return a.checkpoint(l.Checkpoint)
	}
	return fault.New(fault.Invalid, "The evidence export has an empty line.")
}

func (a *auditor) begin(l exportLine) error {
	if l.Format != exportFormat {
		return fault.New(fault.Invalid, "The file is not an evidence export of a version that this program knows.")
	}
	key, err := ParseKey(l.Key)
	if err != nil {
		return err
	}
	a.started, a.key, a.report.Log = true, key, key.Origin()
	a.report.Keys = []string{key.String()}
	return nil
}

func (a *auditor) leaf(data []byte) error {
	leaf, err := ParseLeaf(data)
	if err != nil {
		return err
	}
	a.tree.add(tlog.RecordHash(data))
	a.report.Kinds[leaf.Body.Kind()]++
	if a.check.Leaf != nil {
		if err := a.check.Leaf(leaf); err != nil {
			return err
		}
	}
	k, ok := leaf.Body.(*KeyRotation)
	if !ok || k.Purpose != PurposeEvidence || k.New == a.key.text || k.New == a.next.text {
		return nil
	}
	if k.Old != a.key.text || a.next.text != "" {
		return tampered("a rotation of the signing key does not follow from the key before")
	}
	a.next, err = ParseKey(k.New)
	return err
}

func (a *auditor) checkpoint(text string) error {
	c, err := ParseCheckpoint([]byte(text), a.key, a.next)
	if err != nil {
		return err
	}
	by := func(k Key) bool { return slices.ContainsFunc(c.By, func(o Key) bool { return o.text == k.text }) }
	switch {
	case !by(a.key) || (a.next.text != "" && !by(a.next)):
		return tampered("a checkpoint lacks the signature of the key of its time")
	case c.Origin != a.report.Log || c.Size != a.tree.size || c.Size <= a.signed:
		return tampered(fmt.Sprintf("the checkpoint of size %d stands where the log has %d entries", c.Size, a.tree.size))
	case c.Root != Digest(a.tree.root()):
		return tampered(fmt.Sprintf("the checkpoint of size %d does not follow from the entries", c.Size))
	}
	if a.next.text != "" {
		a.key, a.next = a.next, Key{}
		a.report.Keys = append(a.report.Keys, a.key.String())
	}
	for _, k := range a.check.Trusted {
		a.report.KeyTrusted = a.report.KeyTrusted || by(k)
	}
	if h, ok := a.held[c.Size]; ok {
		if h.Root != c.Root || h.Origin != c.Origin {
			return tampered(fmt.Sprintf("the checkpoint of size %d is another one than was kept", c.Size))
		}
		delete(a.held, c.Size)
	}
	a.signed, a.report.Size, a.report.Root = c.Size, c.Size, c.Root
	a.report.Checkpoints++
	return nil
}

func (a *auditor) finish() (LogReport, error) {
	switch {
	case !a.started || a.signed < 0:
		return LogReport{}, fault.New(fault.Invalid, "The evidence export is empty.")
	case a.signed != a.tree.size:
		return LogReport{}, tampered("the last entries are under no checkpoint")
	case len(a.held) > 0:
		return LogReport{}, tampered(fmt.Sprintf("the log does not hold the checkpoint of size %d that was kept", slices.Max(slices.Collect(maps.Keys(a.held)))))
	case len(a.check.Trusted) > 0 && !a.report.KeyTrusted:
		return LogReport{}, tampered("none of the trusted keys signed it")
	}
	return a.report, nil
}

// headOf reads the head of a checkpoint that the verifier kept and trusts.
func headOf(text string) (Checkpoint, error) {
	for i := 1; i < len(text); i++ {
		if text[i] == '\n' && text[i-1] == '\n' {
			return parseHead(text[:i])
		}
	}
	return Checkpoint{}, fault.New(fault.Invalid, "A checkpoint that was kept is not a signed note.")
}

func tampered(what string) error {
	return fault.New(fault.Denied, "The evidence log does not hold: "+what+".").WithHint("keep this file, and compare it with a copy and with checkpoints that others hold")
}
