package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// Report is what Verify found.
type Report struct {
	Manifest Manifest           `json:"manifest"`
	Log      evidence.LogReport `json:"log"`
	Key      string             `json:"key"` // that signed the manifest
	Policies int                `json:"policies"`
	Findings int                `json:"findings"`
}

// maxSmall bounds the files that are read whole.
const maxSmall = 16 << 20

// Is reports whether a file is a ZIP at all, and so may be a bundle.
func Is(head []byte) bool { return strings.HasPrefix(string(head), "PK\x03\x04") }

// Verify verifies a bundle from its bytes alone: the manifest's signature by a key
// of the log that lies in it, each file, the log entry by entry, and that policies
// and findings are those of the log. One that does not hold is a Denied fault;
// what is no bundle is Invalid.
func Verify(r io.ReaderAt, size int64, check evidence.LogCheck) (Report, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return Report{}, fault.Because(fault.Invalid, err, "The file is not an evidence bundle, or it was cut off.")
	}
	b := &opened{files: map[string]*zip.File{}, digests: map[string]evidence.Digest{}, results: map[result]bool{}}
	for _, f := range z.File {
		if b.files[f.Name] != nil {
			return Report{}, denied("holds " + f.Name + " twice")
		}
		b.files[f.Name] = f
	}
	var out Report
	manifest, err := b.read(manifestFile)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(manifest, &out.Manifest); err != nil || out.Manifest.Format != Format {
		return out, fault.Because(fault.Invalid, err, "The file is not an evidence bundle of a version that this program knows.")
	}
	if err := b.whole(&out.Manifest); err != nil {
		return out, err
	}
	if out.Log, err = b.log(check); err != nil {
		return out, err
	}
	if out.Key, err = b.signed(&out, manifest); err != nil {
		return out, err
	}
	if !b.made[out.Manifest.Entry] {
		return out, denied("names an entry of the log that is not there")
	}
	if out.Policies, err = b.policies(); err != nil {
		return out, err
	}
	out.Findings, err = b.findings()
	return out, err
}

// result names a probe's result in the log.
type result struct {
	promise  string
	customer ids.Tenant
	status   pledge.Status
	at       int64 // microseconds
	digest   evidence.Digest
}

// opened is a bundle that is being verified.
type opened struct {
	files   map[string]*zip.File
	digests map[string]evidence.Digest // of policies in the log, by their file's name
	results map[result]bool
	made    map[ids.Leaf]bool // bundles, by their entry
}

func denied(what string) error { return fault.New(fault.Denied, "The bundle "+what+".") }

func (b *opened) open(name string) (io.ReadCloser, error) {
	f := b.files[name]
	if f == nil {
		return nil, denied("lacks " + name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fault.Because(fault.Denied, err, "The bundle's file "+name+" cannot be opened.")
	}
	return r, nil
}

func (b *opened) read(name string) ([]byte, error) {
	r, err := b.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(data) > maxSmall {
		err = fmt.Errorf("longer than %d bytes", maxSmall)
	}
	if err != nil {
		return nil, fault.Because(fault.Denied, err, "The bundle's file "+name+" cannot be read.")
	}
	return data, nil
}

// whole holds every file against the manifest, and finds what was added.
func (b *opened) whole(m *Manifest) error {
	listed := map[string]bool{manifestFile: true, noteFile: true}
	for _, l := range m.Files {
		listed[l.Name] = true
		r, err := b.open(l.Name)
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, io.LimitReader(r, l.Size+1))
		r.Close()
		if err != nil || n != l.Size || hex.EncodeToString(sum.Sum(nil)) != l.SHA256 {
			return denied("holds another " + l.Name + " than the manifest names")
		}
	}
	for name := range b.files {
		if !listed[name] {
			return denied("holds " + name + ", which the manifest does not name")
		}
	}
	return nil
}

// log verifies the log and takes from it what the rest is held against.
func (b *opened) log(check evidence.LogCheck) (evidence.LogReport, error) {
	r, err := b.open(LogFile)
	if err != nil {
		return evidence.LogReport{}, err
	}
	defer r.Close()
	b.made = map[ids.Leaf]bool{}
	check.Leaf = func(l evidence.Leaf) error {
		switch body := l.Body.(type) {
		case *evidence.PolicyChange:
			customer := l.Tenant
			if customer == tenant.Platform {
				customer = 0
			}
			if number, err := strconv.Atoi(body.Version); err == nil {
				b.digests[PolicyFile(customer, number)] = body.Digest
			}
		case *evidence.ProbeResult:
			b.results[result{body.Promise, l.Tenant, body.Status, l.At.UnixMicro(), body.Evidence}] = true
		case *evidence.Act:
			if body.Act == Act {
				b.made[l.ID] = true
			}
		}
		return nil
	}
	return evidence.VerifyExport(r, check)
}

// Act is the entry that a bundle was made.
const Act = "evidence.bundle"

// signed verifies the note by the keys of the log.
func (b *opened) signed(out *Report, manifest []byte) (string, error) {
	note, err := b.read(noteFile)
	if err != nil {
		return "", err
	}
	var keys []evidence.Key
	for _, text := range out.Log.Keys {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return "", err
		}
		keys = append(keys, k)
	}
	text, by, err := evidence.OpenStatement(note, keys...)
	if err != nil {
		return "", err
	}
	if text != statement(out.Manifest.Server, manifest) {
		return "", denied("has another manifest than the one that was signed")
	}
	return by.String(), nil
}

func (b *opened) policies() (int, error) {
	count := 0
	for name := range b.files {
		if !strings.HasPrefix(name, policyDir) {
			continue
		}
		data, err := b.read(name)
		if err != nil {
			return 0, err
		}
		if digest, known := b.digests[name]; !known || digest != evidence.DigestOf(data) {
			return 0, denied("holds " + name + ", which is not the text that the log names")
		}
		count++
	}
	return count, nil
}

// findings holds each finding against the log: what was seen, and when.
func (b *opened) findings() (int, error) {
	data, err := b.read(FindingsFile)
	if err != nil {
		return 0, err
	}
	var list []pledge.Finding
	if err := json.Unmarshal(data, &list); err != nil {
		return 0, fault.Because(fault.Invalid, err, "The bundle's findings cannot be read.")
	}
	for _, f := range list {
		if !b.results[result{f.ID, f.Customer, f.Status, f.CheckedAt.UnixMicro(), evidence.DigestOf([]byte(f.Evidence))}] {
			return 0, denied("holds a finding on " + f.ID + " that is not in the log")
		}
	}
	return len(list), nil
}
