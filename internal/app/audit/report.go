package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/evidence"
)

const reportFormat = "mailvow audit report v1"

// Report is what an audit found.
type Report struct {
	Format  string    `json:"format"`
	URL     string    `json:"url"`
	At      time.Time `json:"at"`
	Auditor string    `json:"auditor"` // the auditor's public key
	Log     *Log      `json:"log,omitempty"`
	Checks  []Check   `json:"checks"`
	// Contradiction is for third parties: the log signed both.
	Contradiction *Contradiction `json:"contradiction,omitempty"`
	NotSeen       []string       `json:"not_seen"`
	Passed        bool           `json:"passed"` // nothing was broken

	Text string `json:"-"` // for people, signed; it holds the SHA-256 of the JSON
	File string `json:"-"` // where it was written, without .json and .txt
}

// Log is the evidence log as it was verified.
type Log struct {
	Name       string                  `json:"name"`
	Size       int64                   `json:"size"`
	Root       evidence.Digest         `json:"root"`
	Key        string                  `json:"key"`
	Checkpoint string                  `json:"checkpoint"`
	New        map[evidence.Kind]int64 `json:"new"` // entries since the visit before, by kind
}

// Contradiction is two checkpoints that cannot both be true.
type Contradiction struct {
	Breach string `json:"breach"`
	Kept   string `json:"kept"`
	Shown  string `json:"shown"`
}

// notSeen is what no look from outside and no log can show. It stands in every
// report.
var notSeen = []string{
	"What was never written into the log: a log proves that its entries were not changed, never that there are no others.",
	"Whether the program that runs is the published one, and what the operator does on the machine beside it.",
	"Copies made before a deletion: backups, snapshots, mail that was delivered to others.",
	"What comes to an endpoint after the audit has ended, and to endpoints of other customers.",
	"Settings of the published policy that do nothing outside: periods, sub-processors, staff, breach and notice times.",
	"Whether a destroyed key was copied before.",
	"What other observers are shown: only checkpoints that they kept, given with --held, show a split log.",
	"Mail, storage and staff access inside: the probes of the server itself look there (mailvow controls check), and they are the operator's.",
}

func (r *Report) log(v *evidence.Visit) {
	if r.Log == nil {
		r.Log = &Log{New: map[evidence.Kind]int64{}}
	}
	r.Log.Name, r.Log.Size, r.Log.Root, r.Log.Checkpoint = v.Report.Log, v.Checkpoint.Size, v.Checkpoint.Root, v.Checkpoint.Text
	r.Log.Key = v.Seen.Keys[len(v.Seen.Keys)-1].String()
	for kind, n := range v.Report.Kinds {
		r.Log.New[kind] += n
	}
}

// finish signs the report and writes it.
func (a *auditor) finish() (*Report, error) {
	r := a.report
	r.Checks, r.NotSeen, r.Passed = a.checks, notSeen, true
	for _, c := range r.Checks {
		r.Passed = r.Passed && c.State != Broken
	}
	data, err := r.JSON()
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: r.text(data)}, a.folder.signer)
	if err != nil {
		return nil, fault.Wrap(err, "sign the report")
	}
	r.Text = string(signed)
	r.File = filepath.Join(a.folder.server, "reports", r.At.Format("20060102T150405.000Z"))
	if err := replace(r.File+".json", data); err != nil {
		return nil, err
	}
	return r, replace(r.File+".txt", signed)
}

// JSON gives the report as it is written and hashed.
func (r *Report) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	return append(data, '\n'), fault.Wrap(err, "write the report")
}

func (r *Report) text(data []byte) string {
	var b strings.Builder
	verdict := "Nothing that was looked at is broken."
	if !r.Passed {
		verdict = "Something does not hold."
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\njson sha256 %s\n\n%s\n\n", reportFormat, r.URL, r.At.Format(time.RFC3339), digestOf(data), verdict)
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-7s %-28s %s\n", c.State, c.ID, oneLine(c.Saw))
	}
	if r.Log != nil {
		fmt.Fprintf(&b, "\nThe log %s has %d entries.\n  root %s\n  key  %s\n", r.Log.Name, r.Log.Size, r.Log.Root, r.Log.Key)
	}
	if r.Contradiction != nil {
		fmt.Fprintf(&b, "\nThe log contradicted itself (%s). The JSON holds both signed checkpoints.\n", r.Contradiction.Breach)
	}
	b.WriteString("\nNot seen from outside:\n")
	for _, s := range r.NotSeen {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	return b.String()
}

// oneLine keeps what a server said from drawing lines of its own.
func oneLine(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\ufffd' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(clean) > 400 {
		clean = strings.ToValidUTF8(clean[:400], "") + "…"
	}
	return clean
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Verify verifies a report's signature by the auditor's public key, and that the
// JSON is the one that was signed with it. A report that does not hold is a
// Denied fault.
func Verify(text, data []byte, key string) (*Report, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The auditor's public key is not a note verifier key.")
	}
	n, err := note.Open(text, note.VerifierList(v))
	var r Report
	switch {
	case err != nil:
		return nil, fault.Because(fault.Denied, err, "That key did not sign the report.")
	case !strings.Contains(n.Text, "\njson sha256 "+digestOf(data)+"\n"):
		return nil, fault.Because(fault.Denied, errors.New("another digest"), "The JSON is not the one of the report.")
	}
	if err := json.Unmarshal(data, &r); err != nil || r.Format != reportFormat {
		return nil, fault.Because(fault.Invalid, err, "The file is not an audit report.")
	}
	return &r, nil
}
