// Package subject answers a person who asks about their data (GDPR Art. 15, 16,
// 18, 20): what is held, a copy of it, a correction, a restriction. It promises
// that every Holder is asked, and that staff who look at a person's data leave an
// entry in the evidence log before they get any of it. Erasing is protect/erase's;
// who may ask is decided by the doors.
package subject

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/onward"
)

// Config is what requests stand on.
type Config struct {
	Holders []pledge.Holder
	DB      *db.DB
	Stage   *evidence.Stage
	Log     *evidence.Log
	IDs     *ids.Source
	Clock   clock.Clock
	// Inventory says of each category what an archive says of it; Name is what a
	// customer is called, Policy the label of the one in force for it, and Handed
	// gives the hosts of endpoints that got a person's data. Each may be nil.
	Inventory *inventory.Inventory
	Name      func(ids.Tenant) string
	Policy    func(ids.Tenant) string
	Handed    func(context.Context, pledge.Subject) ([]string, error)
	// Texts says whether the texts of others' mail were searched for the person, and
	// what of it is in an archive; "" or nil: they were not.
	Texts func(context.Context, pledge.Subject) (string, error)
	// Tell lets those know who got a person's data; it may be nil.
	Tell func(context.Context, onward.Order) (int, error)
}

// Desk answers requests.
type Desk struct{ Config }

// New makes a desk.
func New(c Config) *Desk { return &Desk{c} }

// Find says what is held about a person, without content.
func (d *Desk) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	var all []pledge.Trace
	for _, h := range d.Holders {
		traces, err := h.Find(ctx, s)
		if err != nil {
			return nil, fault.Wrap(err, "look for a person in "+h.HolderName())
		}
		all = append(all, traces...)
	}
	return all, nil
}

// Format is a form of the copy.
type Format string

// The formats of one file. Lines is for programs (GDPR Art. 20), Text for people.
const (
	Lines Format = "jsonl"
	Text  Format = "text"
)

// exported is one line of the copy.
type exported struct {
	Category string            `json:"category"`
	ID       string            `json:"id"`
	At       time.Time         `json:"at"`
	Fields   map[string]string `json:"fields"`
	Content  []byte            `json:"content,omitempty"` // base64
}

// maxContent bounds the bytes of one message in a copy of lines.
const maxContent = 64 << 20

// Export writes a copy of everything held about a person and says how many
// records it has. The look is in the evidence log first.
func (d *Desk) Export(ctx context.Context, s pledge.Subject, by evidence.Actor, f Format, w io.Writer) (int, error) {
	if f == Zip {
		a, err := d.Prepare(ctx, s, by)
		if err != nil {
			return 0, err
		}
		return a.Write(ctx, w)
	}
	traces, err := d.Find(ctx, s)
	if err != nil {
		return 0, err
	}
	if err := d.note(ctx, s, by, traces, "subject.export"); err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w)
	count := 0
	for _, h := range d.Holders {
		err := h.HandOver(ctx, s, func(r pledge.Record) error {
			count++
			if f == Text {
				return writeText(ctx, out, r)
			}
			return writeLine(ctx, out, r)
		})
		if err != nil {
			return count, fault.Wrap(err, "hand over from "+h.HolderName())
		}
	}
	return count, fault.Wrap(out.Flush(), "write a person's copy")
}

func writeLine(ctx context.Context, w io.Writer, r pledge.Record) error {
	line := exported{Category: r.Category, ID: r.ID, At: r.At.UTC(), Fields: r.Fields}
	if r.Content != nil {
		err := r.Content(ctx, func(b []byte) error {
			if len(line.Content)+len(b) > maxContent {
				return fault.New(fault.Full, "A message is too large for a copy of lines; ask for the text form.")
			}
			line.Content = append(line.Content, b...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return json.NewEncoder(w).Encode(line)
}

func writeText(ctx context.Context, w io.Writer, r pledge.Record) error {
	fmt.Fprintf(w, "%s  %s  %s\n", r.At.UTC().Format(time.RFC3339), r.Category, r.ID)
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		fmt.Fprintf(w, "  %s: %s\n", name, r.Fields[name])
	}
	if r.Content != nil {
		fmt.Fprintln(w, "  content, base64:")
		e := base64.NewEncoder(base64.StdEncoding, w)
		if err := r.Content(ctx, func(b []byte) error { _, err := e.Write(b); return err }); err != nil {
			return err
		}
		if err := e.Close(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// note writes the look down, one leaf for each category.
func (d *Desk) note(ctx context.Context, s pledge.Subject, by evidence.Actor, traces []pledge.Trace, purpose string) error {
	if len(traces) == 0 {
		return nil
	}
	tenant, _ := s.Scope.ID()
	err := d.DB.Change(ctx, "note the look at a person's data", func(tx *db.Tx) error {
		for _, t := range traces {
			leaf := evidence.Leaf{
				ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: tenant,
				Body: &evidence.Access{Category: t.Category, Purpose: purpose, Records: int64(t.Count)},
			}
			if err := d.Stage.Stage(ctx, tx, leaf); err != nil {
				return err
			}
		}
		return nil
	})
	d.Log.Nudge()
	return err
}

// Correct replaces a wrong value in every store that may be corrected and says
// in how many records. Who got the data is told.
func (d *Desk) Correct(ctx context.Context, s pledge.Subject, by evidence.Actor, c pledge.Correction) (int, error) {
	n, err := d.act(ctx, s, by, "subject.correct", func(h pledge.Holder) (int, error) { return h.Correct(ctx, s, c) })
	if err == nil && n > 0 {
		err = d.tell(ctx, onward.Order{Kind: onward.Corrected, Subject: s, Field: c.Field, Value: c.Value})
	}
	return n, err
}

// Restrict stops, or with false resumes, all processing of a person's data but
// storage and says how many records it reached. Who got the data is told of a
// restriction.
func (d *Desk) Restrict(ctx context.Context, s pledge.Subject, by evidence.Actor, on bool) (int, error) {
	if !on {
		return d.restrict(ctx, s, by, "subject.restrict.lift", false)
	}
	n, err := d.restrict(ctx, s, by, "subject.restrict", true)
	if err == nil {
		err = d.tell(ctx, onward.Order{Kind: onward.Restricted, Subject: s})
	}
	return n, err
}

// Object is Restrict for a person who objects or takes a consent back (GDPR Art.
// 7(3), 21): that is what recipients are told.
func (d *Desk) Object(ctx context.Context, s pledge.Subject, by evidence.Actor) (int, error) {
	n, err := d.restrict(ctx, s, by, "subject.object", true)
	if err == nil {
		err = d.tell(ctx, onward.Order{Kind: onward.Objected, Subject: s})
	}
	return n, err
}

func (d *Desk) restrict(ctx context.Context, s pledge.Subject, by evidence.Actor, act string, on bool) (int, error) {
	return d.act(ctx, s, by, act, func(h pledge.Holder) (int, error) { return h.Restrict(ctx, s, on) })
}

// tell plans the notices of an act, once for a request of the person.
func (d *Desk) tell(ctx context.Context, o onward.Order) error {
	if d.Tell == nil {
		return nil
	}
	if o.Case, o.Cause = o.Subject.Case, int64(o.Subject.Case); o.Cause == 0 {
		o.Cause = int64(ids.New[ids.Onward](d.IDs))
	}
	_, err := d.Tell(ctx, o)
	return fault.Wrap(err, "tell who got a person's data")
}

func (d *Desk) act(ctx context.Context, s pledge.Subject, by evidence.Actor, act string, do func(pledge.Holder) (int, error)) (int, error) {
	tenant, _ := s.Scope.ID()
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](d.IDs), At: evidence.On(d.Clock.Now()), By: by, Tenant: tenant, Body: &evidence.Act{Act: act}}
	if err := d.DB.Change(ctx, "note a person's request", func(tx *db.Tx) error { return d.Stage.Stage(ctx, tx, leaf) }); err != nil {
		return 0, err
	}
	d.Log.Nudge()
	total := 0
	for _, h := range d.Holders {
		n, err := do(h)
		total += n
		if err != nil {
			return total, fault.Wrap(err, act+" in "+h.HolderName())
		}
	}
	return total, nil
}
