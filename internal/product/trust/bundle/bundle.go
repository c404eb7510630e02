// Package bundle writes what an auditor takes home, in one ZIP: the evidence log
// whole, findings, the mapping to standards, every version of the policy, documents
// with their notes, lists of a period, and a manifest that the log's key signed. It
// promises that whoever holds the file can verify it with no server at hand; that a
// byte which was changed, a file which is missing or was added, a policy or a
// finding that is not the one in the log is found. What stands in it is app's to
// gather.
package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/evidence"
)

// Format is the first word of the manifest; docs/formats/bundle.md describes it.
const Format = "mailvow evidence bundle v1"

// The names of the files that Verify reads.
const (
	LogFile      = "log.jsonl"
	FindingsFile = "findings.json"
	policyDir    = "policies/"

	manifestFile = "manifest.json"
	noteFile     = "manifest.note"
)

// PolicyFile names a version's text; customer is zero for the platform's.
func PolicyFile(customer ids.Tenant, number int) string {
	whose := "platform"
	if customer != 0 {
		whose = customer.String()
	}
	return fmt.Sprintf("%s%s-%d.yaml", policyDir, whose, number)
}

// Manifest is what the key signs, by its SHA-256.
type Manifest struct {
	Format   string     `json:"format"`
	Server   string     `json:"server"`
	Customer ids.Tenant `json:"customer,omitzero"` // whose view it is; nothing: the operator's
	At       time.Time  `json:"at"`
	From     time.Time  `json:"from"` // the period of the lists
	To       time.Time  `json:"to"`
	Entry    ids.Leaf   `json:"entry"` // of the log: that this bundle was made
	Files    []Listed   `json:"files"`
}

// Listed is a file and what it must be.
type Listed struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// File is one to be written.
type File struct {
	Name  string
	Write func(io.Writer) error
}

// Signer signs a statement with the log's key; evidence.Ring does.
type Signer func(write func(evidence.Key) string) ([]byte, error)

// Write writes the bundle. One that breaks off has no directory and opens nowhere.
func Write(w io.Writer, m Manifest, files []File, sign Signer) error {
	out := zip.NewWriter(w)
	m.Format = Format
	for _, f := range files {
		part, err := newPart(out, f.Name, m.At)
		if err == nil {
			err = f.Write(part)
		}
		if err != nil {
			return fault.Wrap(err, "write "+f.Name)
		}
		m.Files = append(m.Files, Listed{f.Name, part.size, hex.EncodeToString(part.sum.Sum(nil))})
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fault.Wrap(err, "write the manifest")
	}
	note, err := sign(func(evidence.Key) string { return statement(m.Server, manifest) })
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{manifestFile, manifest}, {noteFile, note}} {
		part, err := newPart(out, f.name, m.At)
		if err == nil {
			_, err = part.Write(f.data)
		}
		if err != nil {
			return fault.Wrap(err, "write "+f.name)
		}
	}
	return fault.Wrap(out.Close(), "end the bundle")
}

// statement is what stands in the note below its first line.
func statement(server string, manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return Format + "\n" + server + "\nmanifest sha256 " + hex.EncodeToString(sum[:]) + "\n"
}

// part is one file while it is written.
type part struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func newPart(out *zip.Writer, name string, at time.Time) (*part, error) {
	w, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at.UTC()})
	return &part{w: w, sum: sha256.New()}, err
}

// Write implements io.Writer.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	_, _ = p.sum.Write(b[:n]) // a hash takes everything
	p.size += int64(n)
	return n, err
}
