package erase

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

// Ledger remembers erasures for as long as a backup may bring an erased person
// back. It stands apart from the data, in files of its own under a key of its
// own, so that a restore of the data does not restore it. An entry is durable
// before anything is destroyed.
type Ledger struct {
	disk disk.FS
	dir  string
	key  vault.Key
	mu   sync.Mutex // one writer of entries at a time
}

// Entry is one erasure.
type Entry struct {
	ID       ids.Certificate `json:"id"`
	Everyone bool            `json:"everyone,omitempty"`
	Tenant   ids.Tenant      `json:"tenant,omitempty"`
	Whole    bool            `json:"whole,omitempty"` // not a person: the customer, whose contract ended
	Address  string          `json:"address"`         // empty where it is whole
	// Identifiers are further words by which the customer knows the person.
	Identifiers []pledge.Identifier `json:"identifiers,omitempty"`
	KeepAway    bool                `json:"keep_away,omitempty"`
	By          evidence.Role       `json:"by"`
	Reason      string              `json:"reason"`
	Case        ids.Case            `json:"case,omitempty"` // the person's request
	Told        int                 `json:"told,omitempty"` // endpoints that got the data
	At          time.Time           `json:"at"`
	Passes      int                 `json:"passes"`             // times that the holders have finished
	Done        time.Time           `json:"done"`               // zero while a repeat is due
	Document    string              `json:"document,omitempty"` // the certificate of a whole customer, which a restore would lose
}

// subject is whom the entry is about, as of its time.
func (e *Entry) subject() (pledge.Subject, error) {
	a, err := address.Parse(e.Address)
	s := scope.Tenant(e.Tenant)
	if e.Everyone {
		s = scope.Everyone
	}
	return pledge.Subject{Scope: s, Address: a, Before: e.At, Case: e.Case, Identifiers: e.Identifiers}, err
}

const ledgerBound = "mailvow erasure ledger v1\x00"

// OpenLedger opens the ledger in a folder, with its key in a folder of the key
// store; it makes what is missing. A key that is missing while there are entries
// is an Invalid fault: without it nobody could replay them.
func OpenLedger(f disk.FS, dir, keys string) (*Ledger, error) {
	l := &Ledger{disk: f, dir: dir}
	for _, d := range []string{dir, keys} {
		if err := disk.MakeDir(f, d); err != nil {
			return nil, fault.Because(fault.Unavailable, err, "The folder of the erasure ledger cannot be made.")
		}
	}
	raw, err := disk.Read(f, path.Join(keys, "key"), 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = l.newKey(path.Join(keys, "key"))
	}
	if err != nil {
		return nil, fault.Wrap(err, "open the erasure ledger")
	}
	var secret [32]byte
	if n, err := hex.Decode(secret[:], []byte(strings.TrimSpace(string(raw)))); err != nil || n != len(secret) {
		return nil, fault.New(fault.Invalid, "The key of the erasure ledger is damaged.").WithHint("bring it back from the backup of the key store")
	}
	l.key, err = vault.KeyFrom(secret)
	return l, err
}

func (l *Ledger) newKey(name string) ([]byte, error) {
	names, err := l.names()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return nil, fault.New(fault.Invalid, "The key of the erasure ledger is missing.").WithHint("bring it back from the backup of the key store")
	}
	var secret [32]byte
	rand.Read(secret[:])
	text := []byte(hex.EncodeToString(secret[:]) + "\n")
	return text, disk.Write(l.disk, name, text)
}

func (l *Ledger) names() ([]string, error) {
	entries, err := l.disk.ReadDir(l.dir)
	if err != nil {
		return nil, fault.Because(fault.Unavailable, err, "The erasure ledger cannot be read.")
	}
	var names []string
	for _, e := range entries {
		if !e.Folder && !strings.HasSuffix(e.Name, disk.TempSuffix) {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// Put writes an entry, or writes it over; it is durable when Put returns.
func (l *Ledger) Put(e Entry) error {
	plain, err := json.Marshal(e)
	if err != nil {
		return fault.Wrap(err, "write the erasure ledger")
	}
	var nonce [12]byte
	rand.Read(nonce[:])
	name := e.ID.String()
	sealed := l.key.Seal(nonce[:], nonce, plain, []byte(ledgerBound+name))
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := disk.Replace(l.disk, path.Join(l.dir, name), sealed); err != nil {
		return fault.Because(fault.Unavailable, err, "The erasure ledger cannot be written; nothing was erased.")
	}
	return nil
}

// Each gives the entries, oldest first. One that does not open is an error: an
// erasure that cannot be replayed must not pass unseen.
func (l *Ledger) Each(ctx context.Context, yield func(Entry) error) error {
	names, err := l.names()
	if err != nil {
		return err
	}
	for _, name := range names { // ReadDir sorts, and identifiers grow with time
		if err := ctx.Err(); err != nil {
			return fault.Because(fault.Unavailable, err, "")
		}
		e, err := l.read(name)
		if err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) read(name string) (Entry, error) {
	var e Entry
	sealed, err := disk.Read(l.disk, path.Join(l.dir, name), 1<<16)
	if err != nil {
		return e, fault.Because(fault.Unavailable, err, "An entry of the erasure ledger cannot be read.")
	}
	if len(sealed) < 12 {
		return e, fault.New(fault.Internal, "an entry of the erasure ledger is cut short")
	}
	plain, err := l.key.Open(nil, [12]byte(sealed[:12]), sealed[12:], []byte(ledgerBound+name))
	if err != nil {
		return e, fault.Wrap(err, "open an entry of the erasure ledger")
	}
	return e, fault.Wrap(json.Unmarshal(plain, &e), "read an entry of the erasure ledger")
}

// Purge shreds the finished entries of erasures that were asked for before a
// time and says how many: no backup is that old any more.
func (l *Ledger) Purge(ctx context.Context, before time.Time) (int, error) {
	var due []string
	err := l.Each(ctx, func(e Entry) error {
		if !e.Done.IsZero() && e.At.Before(before) {
			due = append(due, e.ID.String())
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := disk.Shred(l.disk, l.dir, due...); err != nil {
		return 0, fault.Because(fault.Unavailable, err, "The erasure ledger cannot be purged.")
	}
	return len(due), nil
}

// Oldest is when the oldest finished erasure was asked for, or zero.
func (l *Ledger) Oldest(ctx context.Context) (time.Time, error) {
	var oldest time.Time
	err := l.Each(ctx, func(e Entry) error {
		if !e.Done.IsZero() && (oldest.IsZero() || e.At.Before(oldest)) {
			oldest = e.At
		}
		return nil
	})
	return oldest, err
}

// LedgerDays is how long an entry is kept: longer than any backup.
const LedgerDays = 120

// Declaration is what this package stores.
var Declaration = pledge.Declaration{
	Package: "protect/erase",
	Categories: []pledge.Category{{
		Name: ledger, About: pledge.Correspondent,
		What:    "the address of an erased person and further words by which they are known, or the number of a customer whose contract ended, and when it was erased, sealed under a key of its own, apart from the data",
		Purpose: "erase the person, or the customer, again when a backup is restored", For: pledge.ToServeRights,
		Basis:  pledge.LegalDuty,
		Period: pledge.Period{Ceiling: LedgerDays * 24 * time.Hour, From: "the erasure; no backup is kept longer"},
		Found:  "by opening the entries", Erasing: pledge.KeepByLaw,
	}},
	Places: []pledge.Place{
		{Kind: pledge.DiskFile, Name: "erasures", Category: ledger, Sealed: true},
		{Kind: pledge.KeyFile, Name: "erasure-keys/key", Category: ledger},
	},
}

const ledger = "erasure ledger"
