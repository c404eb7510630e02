// Package osv reads vulnerability records in the Open Source Vulnerability format
// (ossf.github.io/osv-schema, 1.7) and says whether one names a version of a
// package. It promises to read any bytes within its bounds without failing, to
// compare versions as their ecosystem does, and to take a record that it cannot
// judge for one that names the version. It knows Go modules and npm packages, whose
// ranges are semantic versions (semver.org 2.0.0); where records come from is left
// to its users.
package osv

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
)

// Ecosystem is where a package comes from.
type Ecosystem string

// The ecosystems of this house.
const (
	Go  Ecosystem = "Go"
	NPM Ecosystem = "npm"
)

// Package is a package of an ecosystem in one version, as the ecosystem writes it
// without a leading v: {Go, "golang.org/x/net", "0.30.0"}.
type Package struct {
	Ecosystem Ecosystem `json:"ecosystem"`
	Name      string    `json:"name"`
	Version   string    `json:"version"`
}

// Record is what this house reads of a record.
type Record struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn,omitempty"`
	Summary   string     `json:"summary,omitempty"`
	Aliases   []string   `json:"aliases,omitempty"`
	Affected  []Affected `json:"affected,omitempty"`
	Specific  Specific   `json:"database_specific,omitzero"`
}

// Specific is what some databases add.
type Specific struct {
	Severity string `json:"severity,omitempty"` // of GitHub's: LOW, MODERATE, HIGH, CRITICAL
}

// UnmarshalJSON takes any shape: what databases add is theirs to define.
func (s *Specific) UnmarshalJSON(b []byte) error {
	var x struct {
		Severity any `json:"severity"`
	}
	if json.Unmarshal(b, &x) == nil {
		s.Severity, _ = x.Severity.(string)
	}
	return nil
}

// Affected names versions of one package.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges   []Range  `json:"ranges,omitempty"`
	Versions []string `json:"versions,omitempty"`
}

// Range is a line of events along the versions.
type Range struct {
	Type   string  `json:"type"`
	Events []Event `json:"events"`
}

// Event begins or ends the versions that are named; one field is set.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

func (e Event) version() string {
	for _, v := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
		if v != "" {
			return v
		}
	}
	return ""
}

// Names reports whether the record names a package in any version.
func (r *Record) Names(p Package) bool {
	return slices.ContainsFunc(r.Affected, func(a Affected) bool { return a.of(p) })
}

func (a *Affected) of(p Package) bool {
	// An ecosystem may bear a suffix after a colon, such as a release.
	ecosystem, _, _ := strings.Cut(a.Package.Ecosystem, ":")
	return ecosystem == string(p.Ecosystem) && a.Package.Name == p.Name
}

// Affects reports whether the record names this version. A withdrawn record names
// none; a version or a range that cannot be compared counts as named.
func (r *Record) Affects(p Package) bool {
	if r.Withdrawn != nil {
		return false
	}
	return slices.ContainsFunc(r.Affected, func(a Affected) bool { return a.of(p) && a.names(p.Version) })
}

func (a *Affected) names(version string) bool {
	if slices.ContainsFunc(a.Versions, func(v string) bool { return bare(v) == bare(version) }) {
		return true
	}
	judged := false
	for _, r := range a.Ranges {
		if r.Type == "GIT" { // commits, which versions are not
			continue
		}
		judged = true
		if r.holds(version) {
			return true
		}
	}
	// An entry without versions and ranges names the package as a whole.
	return !judged && len(a.Versions) == 0
}

// holds walks the events in the order of their versions, as the format's own
// evaluation does.
func (r *Range) holds(version string) bool {
	v := canonical(version)
	if !semver.IsValid(v) {
		return true
	}
	events := slices.Clone(r.Events)
	for _, e := range events {
		if e.version() != "0" && !semver.IsValid(canonical(e.version())) {
			return true
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return compare(a.version(), b.version()) })
	in := false
	for _, e := range events {
		order := compareTo(v, e.version())
		switch {
		case e.Introduced != "":
			in = in || order >= 0
		case e.Fixed != "", e.Limit != "":
			in = in && order < 0
		case e.LastAffected != "":
			in = in && order <= 0
		}
	}
	return in
}

// bare is a version without the v that Go writes before it.
func bare(version string) string { return strings.TrimPrefix(version, "v") }

func canonical(version string) string { return "v" + bare(version) }

// compareTo orders a canonical version and one of an event; "0" is before all.
func compareTo(v, event string) int {
	if event == "0" {
		return 1
	}
	return semver.Compare(v, canonical(event))
}

func compare(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "0":
		return -1
	case b == "0":
		return 1
	}
	return semver.Compare(canonical(a), canonical(b))
}

// The bounds of what is read.
const (
	// MaxRecord is the largest record.
	MaxRecord = limit.MiB
	// MaxRecords is how many records a file may have.
	MaxRecords = 2_000_000
	// MaxFile is the largest file, packed or not.
	MaxFile = 2 * limit.GiB
)

// Read gives every record of a file: one record, a list of them, one a line, or a
// zip of such files, as osv.dev hands them out. What is no record is an Invalid
// fault; so is a file without any.
func Read(r io.ReaderAt, size int64, yield func(*Record) error) error {
	if size > int64(MaxFile) {
		return tooLarge()
	}
	n := 0
	counted := func(x *Record) error {
		if n++; n > MaxRecords {
			return tooLarge()
		}
		return yield(x)
	}
	head := make([]byte, 4)
	if _, err := r.ReadAt(head, 0); err == nil && bytes.Equal(head, []byte("PK\x03\x04")) {
		if err := unpack(r, size, counted); err != nil {
			return err
		}
	} else if err := decode(io.NewSectionReader(r, 0, size), counted); err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.Invalid, "The file has no vulnerability record in it.")
	}
	return nil
}

func tooLarge() error {
	return fault.New(fault.Invalid, "The file has more vulnerability records than are read.")
}

func unpack(r io.ReaderAt, size int64, yield func(*Record) error) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fault.Because(fault.Invalid, err, "The zip file cannot be read.")
	}
	if len(z.File) > MaxRecords {
		return tooLarge()
	}
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		c, err := f.Open()
		if err != nil {
			return fault.Because(fault.Invalid, err, "A file in the zip cannot be read.")
		}
		err = decode(io.LimitReader(c, int64(MaxRecord)+1), yield)
		if e := c.Close(); err == nil && e != nil {
			err = fault.Because(fault.Invalid, e, "A file in the zip is damaged.")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decode reads records one after the other, also out of a list.
func decode(r io.Reader, yield func(*Record) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	first, err := firstByte(in)
	if err != nil {
		return err
	}
	each := &perRecord{r: in, left: int64(MaxRecord)}
	d := json.NewDecoder(each)
	if first == '[' {
		if _, err := d.Token(); err != nil {
			return damaged(err)
		}
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return damaged(err)
		}
		each.left = int64(MaxRecord)
		x := &Record{}
		if err := json.Unmarshal(raw, x); err != nil || x.ID == "" || len(x.ID) > 200 {
			return damaged(err)
		}
		if err := yield(x); err != nil {
			return err
		}
	}
	return nil
}

// perRecord bounds what is read for one record.
type perRecord struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (p *perRecord) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, fault.New(fault.Invalid, "a record is larger than 1 MiB")
	}
	n, err := p.r.Read(b)
	p.left -= int64(n)
	return n, err
}

func damaged(err error) error {
	return fault.Because(fault.Invalid, err, "The file is no list of vulnerability records in the OSV format.")
}

// firstByte looks at the first byte that is no space.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		b, err := in.ReadByte()
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, fault.Because(fault.Invalid, err, "The file cannot be read.")
		}
		if b == ' ' || b == '\t' || b == '\n' || b == '\r' {
			continue
		}
		if err := in.UnreadByte(); err != nil {
			return 0, fault.Wrap(err, "read vulnerability records")
		}
		return b, nil
	}
}
