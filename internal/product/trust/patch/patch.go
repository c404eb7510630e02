// Package patch compares what this server is made of with published
// vulnerabilities, which the operator imports as a file. It promises that every
// imported record that names a part in its version becomes a finding, once, at
// once and again after each start; that what a newer build no longer has counts as
// mended; and that data which is too old, is missing, or was imported for other
// parts is said to be so. It never fetches anything; the register of findings and
// the mending are others'.
package patch

import (
	"context"
	"crypto/sha256"
	_ "embed" // the table
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/standard/osv"
)

//go:embed patch.sql
var sql string

const pkg = "product/trust/patch"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "vulnerability data", About: pledge.Nobody,
		What:    "published vulnerability records that name a part of this server, and when they were imported",
		Purpose: "find known vulnerabilities in this server", For: pledge.ToSecure, Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("vulnerability data", false, "vulnerability_data", "id", "imported", "published", "records", "digest", "parts", "kept"),
}

// Named is a part that a record names in its version.
type Named struct {
	Part     osv.Package `json:"part"`
	ID       string      `json:"id"`
	Summary  string      `json:"summary"`
	Severity string      `json:"severity"` // critical, high, medium or low; what says nothing is high
}

// Marker names it in the register of findings.
func (n Named) Marker() string { return "osv " + n.ID + " " + purl(n.Part) }

// Register is where findings go; app fills it.
type Register interface {
	// Raise enters a finding, once.
	Raise(ctx context.Context, n Named) (changed bool, err error)
	// Settle says which markers still stand; what else was raised is mended.
	Settle(ctx context.Context, standing []string) error
}

// Config is what the comparison stands on.
type Config struct {
	DB       *db.DB
	Clock    clock.Clock
	Parts    []osv.Package
	Register Register
	// Recorded puts the import on record.
	Recorded func(ctx context.Context, act string) error
}

// Store keeps imported data and compares.
type Store struct {
	Config
	set *db.Set
}

// New makes a store over a database that was opened with Schema.
func New(c Config) *Store { return &Store{Config: c, set: c.DB.Set(pkg)} }

// Data is what was imported, without the records.
type Data struct {
	Imported  time.Time `json:"imported,omitzero"`
	Published time.Time `json:"published,omitzero"` // the newest change in the file
	Records   int       `json:"records"`            // in the file
	Digest    string    `json:"sha256,omitempty"`
	Fits      bool      `json:"fits"` // it was imported for the parts that this build has
	Parts     int       `json:"parts"`
	Named     []Named   `json:"named"`
	kept      []osv.Record
}

// There reports whether anything was imported.
func (d Data) There() bool { return !d.Imported.IsZero() }

// maxKept bounds the records that name a part, and maxCopy a file that is read.
const (
	maxKept = 8 * limit.MiB
	sizeOf  = 1 << 20
)

// Import reads a file of records, keeps those that name a part, and raises what
// they name in its version. The former data goes.
func (s *Store) Import(ctx context.Context, r io.ReaderAt, size int64) (Data, error) {
	now := s.Clock.Now()
	d := Data{Imported: now.UTC().Truncate(time.Microsecond)}
	total := 0
	err := osv.Read(r, size, func(x *osv.Record) error {
		d.Records++
		if x.Modified.After(d.Published) && !x.Modified.After(now) {
			d.Published = x.Modified.UTC()
		}
		if x.Withdrawn != nil || !slices.ContainsFunc(s.Parts, x.Names) {
			return ctx.Err()
		}
		lean(x, s.Parts)
		b, err := json.Marshal(x)
		if total += len(b); err != nil || total > int(maxKept) {
			return fault.New(fault.Invalid, "More records name parts of this server than are kept.")
		}
		d.kept = append(d.kept, *x)
		return ctx.Err()
	})
	if err != nil {
		return Data{}, err
	}
	if d.Published.IsZero() {
		return Data{}, fault.New(fault.Invalid, "The records do not say when they were last changed, so that nobody could tell their age.")
	}
	if d.Digest, err = digest(r, size); err != nil {
		return Data{}, err
	}
	if err := s.put(ctx, d); err != nil {
		return Data{}, err
	}
	return s.Compare(ctx)
}

// lean leaves of a record what names the parts.
func lean(x *osv.Record, parts []osv.Package) {
	x.Affected = slices.DeleteFunc(x.Affected, func(a osv.Affected) bool {
		one := osv.Record{Affected: []osv.Affected{a}}
		return !slices.ContainsFunc(parts, one.Names)
	})
	x.Summary = strings.ToValidUTF8(x.Summary, "")
	if len(x.Summary) > 400 {
		x.Summary = strings.ToValidUTF8(x.Summary[:400], "")
	}
	x.Summary = strings.ReplaceAll(x.Summary, "\x00", "")
}

func digest(r io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(r, 0, size), make([]byte, sizeOf)); err != nil {
		return "", fault.Because(fault.Invalid, err, "The file cannot be read.")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s *Store) put(ctx context.Context, d Data) error {
	kept, err := json.Marshal(d.kept)
	if err != nil {
		return fault.Wrap(err, "write vulnerability records")
	}
	err = s.DB.Change(ctx, "keep vulnerability data", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "put", clock.Micros(d.Imported), clock.Micros(d.Published), d.Records, d.Digest, names(s.Parts), string(kept))
		return err
	})
	if err == nil && s.Recorded != nil {
		err = s.Recorded(ctx, "vulnerabilities.import")
	}
	return fault.Wrap(err, "keep vulnerability data")
}

// State gives what was imported, and what of it names a part now.
func (s *Store) State(ctx context.Context) (Data, error) {
	d := Data{Parts: len(s.Parts), Named: []Named{}}
	err := s.set.Each(ctx, "data", nil, func(scan func(...any) error) error {
		var imported, published int64
		var parts, kept string
		if err := scan(&imported, &published, &d.Records, &d.Digest, &parts, &kept); err != nil {
			return err
		}
		d.Imported, d.Published, d.Fits = clock.FromMicros(imported).UTC(), clock.FromMicros(published).UTC(), parts == names(s.Parts)
		return fault.Wrap(json.Unmarshal([]byte(kept), &d.kept), "read vulnerability records")
	})
	if err != nil {
		return Data{}, fault.Wrap(err, "read vulnerability data")
	}
	d.Named = s.named(d.kept)
	return d, nil
}

// named gives the parts that records name in their version.
func (s *Store) named(records []osv.Record) []Named {
	list := []Named{}
	for _, r := range records {
		for _, p := range s.Parts {
			if r.Affects(p) {
				list = append(list, Named{Part: p, ID: r.ID, Summary: r.Summary, Severity: severity(r.Specific.Severity)})
			}
		}
	}
	return list
}

// severity is a database's word as the register says it. What says nothing, or
// another word, is high: nobody has said that it is less.
func severity(word string) string {
	switch strings.ToUpper(word) {
	case "CRITICAL":
		return "critical"
	case "MODERATE", "MEDIUM":
		return "medium"
	case "LOW":
		return "low"
	}
	return "high"
}

// Compare raises what the imported data names, with records that a probe plants,
// and settles what it no longer names.
func (s *Store) Compare(ctx context.Context, planted ...osv.Record) (Data, error) {
	d, err := s.State(ctx)
	if err != nil {
		return d, err
	}
	named := append(slices.Clone(d.Named), s.named(planted)...)
	var standing []string
	for _, n := range named {
		standing = append(standing, n.Marker())
		if _, err := s.Register.Raise(ctx, n); err != nil {
			return d, fault.Wrap(err, "raise a finding")
		}
	}
	if d.There() {
		err = s.Register.Settle(ctx, standing)
	}
	return d, err
}

// Late says what is wrong with the data itself, or nothing. oldest is the time
// before which it is too old.
func (d Data) Late(oldest time.Time) string {
	const how = "import a file of osv.dev: mailvow vulnerabilities import FILE"
	switch {
	case !d.There():
		return "no vulnerability data was imported; " + how
	case d.Published.Before(oldest):
		return fmt.Sprintf("the vulnerability data is of %s, which is too old; %s", d.Published.Format(time.DateOnly), how)
	case !d.Fits:
		return "the vulnerability data was imported for a build with other parts; " + how
	}
	return ""
}
