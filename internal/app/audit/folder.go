package audit

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"mailvow/internal/base/fault"
	"mailvow/internal/keep/disk"
	"mailvow/internal/protect/evidence"
)

// folder is what the auditor keeps: a key of their own, and for each server what
// was seen of its log, every checkpoint, and the reports.
type folder struct {
	server   string // the folder of one server
	signer   note.Signer
	verifier string // the auditor's public key
}

// keyName is the name in the auditor's signatures.
const keyName = "mailvow.audit"

// remembered is evidence.Seen as a file.
type remembered struct {
	Keys       []string          `json:"keys"`
	Checkpoint string            `json:"checkpoint"`
	Size       int64             `json:"size"`
	Root       evidence.Digest   `json:"root"`
	Peaks      []evidence.Digest `json:"peaks"`
	History    int64             `json:"history"`
	At         time.Time         `json:"at"`
}

func openFolder(dir, host string) (*folder, error) {
	f := &folder{server: filepath.Join(dir, strings.NewReplacer(":", "_", "[", "", "]", "").Replace(host))}
	if err := os.MkdirAll(filepath.Join(f.server, "reports"), 0o700); err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The auditor's folder cannot be made.")
	}
	name := filepath.Join(dir, "auditor.key")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		private, public, err := note.GenerateKey(rand.Reader, keyName)
		if err != nil {
			return nil, fault.Wrap(err, "make the auditor's key")
		}
		text = []byte(private + "\n" + public + "\n")
		if err := replace(name, text); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The auditor's key cannot be read.")
	}
	lines := strings.Split(string(text), "\n")
	if f.signer, err = note.NewSigner(lines[0]); err != nil || len(lines) < 2 {
		return nil, fault.Because(fault.Invalid, err, name+" is not the auditor's key.")
	}
	f.verifier = lines[1]
	return f, nil
}

// replace writes a file as one step.
func replace(name string, data []byte) error {
	return fault.Wrap(disk.Replace(disk.Machine{}, name, data), "write "+filepath.Base(name))
}

// recall gives what was seen of the log, or nothing before the first visit.
func (f *folder) recall() (evidence.Seen, time.Time, error) {
	text, err := os.ReadFile(filepath.Join(f.server, "seen.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return evidence.Seen{}, time.Time{}, nil
	}
	var r remembered
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return evidence.Seen{}, time.Time{}, fault.Because(fault.Invalid, err, "What the auditor remembers (seen.json) cannot be read.").
			WithHint("bring it back from a copy; the file checkpoints holds every checkpoint that was seen")
	}
	seen := evidence.Seen{Checkpoint: r.Checkpoint, Size: r.Size, Root: r.Root, Peaks: r.Peaks, History: r.History}
	for _, text := range r.Keys {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return seen, r.At, err
		}
		seen.Keys = append(seen.Keys, k)
	}
	_, err = evidence.ParseCheckpoint([]byte(r.Checkpoint), seen.Keys...)
	return seen, r.At, fault.Wrap(err, "read what the auditor remembers")
}

func (f *folder) remember(s evidence.Seen, at time.Time) error {
	r := remembered{Checkpoint: s.Checkpoint, Size: s.Size, Root: s.Root, Peaks: s.Peaks, History: s.History, At: at.UTC()}
	for _, k := range s.Keys {
		r.Keys = append(r.Keys, k.String())
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fault.Wrap(err, "write what was seen")
	}
	return replace(filepath.Join(f.server, "seen.json"), append(text, '\n'))
}

// kept is one line of the file of checkpoints.
type kept struct {
	At         time.Time `json:"at"`
	Checkpoint string    `json:"checkpoint"`
}

// keep adds a checkpoint to those that were seen, unless it is the last one.
func (f *folder) keep(at time.Time, text string) error {
	name := filepath.Join(f.server, "checkpoints")
	if all, err := os.ReadFile(name); err == nil {
		lines := strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
		var last kept
		if json.Unmarshal([]byte(lines[len(lines)-1]), &last) == nil && last.Checkpoint == text {
			return nil
		}
	}
	line, err := json.Marshal(kept{At: at.UTC(), Checkpoint: text})
	if err != nil {
		return fault.Wrap(err, "keep a checkpoint")
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.Write(append(line, '\n'))
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return fault.Because(fault.Unavailable, err, "A checkpoint could not be kept in the auditor's folder.")
	}
	return nil
}
