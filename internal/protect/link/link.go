// Package link makes and reads signed links: in mail, for people who have no
// account here. It promises that a link says who it is about, for what purpose
// and until when, and that nobody else can make one; that reading one changes
// nothing, since mail scanners follow links; and that a link of a purpose that
// may be used once acts once, in the transaction of its effect. The key is the
// customer's in the vault: with it all their links end. Pages are left to
// door/pages: GET shows, POST acts.
package link

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

const pkg = "protect/link"

//go:embed link.sql
var sql string

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration says what is kept: numbers of links, which name nobody.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: "used links", About: pledge.Nobody, What: "random numbers of links that were used",
		Purpose: "let a link that may be used once act once", For: pledge.ToSecure, Basis: pledge.NotPersonal,
		Period: pledge.Period{From: "the link's end"}, Found: "not at all", Erasing: pledge.Nothing,
	}},
	Places: pledge.Columns("used links", false, "link_used", "id", "expires"),
}

// Purpose is what a link is for. A link of one purpose is none of another.
type Purpose struct {
	Name string        // "unsubscribe"; 1 to 40 bytes
	Once bool          // it may act once
	Life time.Duration // how long a new link lives
}

// Link is what a link says.
type Link struct {
	Tenant  ids.Tenant
	Subject []int64 // ids of whom and what it is about, as its maker ordered them; 8 at most
	Expires time.Time
	ID      ids.Request
}

// Store makes and reads links.
type Store struct {
	DB    *db.DB
	Vault *vault.Vault
	IDs   *ids.Source
	Clock clock.Clock
	set   *db.Set
}

// New makes a store over a database that was opened with Schema.
func New(d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock) *Store {
	return &Store{DB: d, Vault: v, IDs: source, Clock: c, set: d.Set(pkg)}
}

const (
	version    = 1
	macSize    = 16
	maxSubject = 8
	// maxText bounds what Read looks at.
	maxText = 256
)

var encoding = base64.RawURLEncoding.Strict()

// Make gives a link's text, for the path of a URL.
func (s *Store) Make(p Purpose, tenant ids.Tenant, subject ...int64) (string, error) {
	if len(subject) > maxSubject || p.Name == "" || len(p.Name) > 40 || p.Life <= 0 {
		return "", fault.New(fault.Internal, "a link's purpose is incomplete or it is about too much")
	}
	l := Link{Tenant: tenant, Subject: subject, Expires: s.Clock.Now().Add(p.Life), ID: ids.New[ids.Request](s.IDs)}
	b := l.append([]byte{version})
	mac, err := s.Vault.Hash(tenant, "link", p.Name+"\n"+string(b))
	if err != nil {
		return "", fault.Wrap(err, "sign a link")
	}
	return encoding.EncodeToString(append(b, mac[:]...)), nil
}

// append writes tenant, id, end in seconds, and the subjects.
func (l *Link) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(l.Tenant))
	b = binary.AppendUvarint(b, uint64(l.ID))
	b = binary.AppendUvarint(b, uint64(l.Expires.Unix()))
	for _, id := range l.Subject {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

func parse(text string) (l Link, signed, mac []byte, ok bool) {
	if len(text) > maxText {
		return l, nil, nil, false
	}
	b, err := encoding.DecodeString(text)
	if err != nil || len(b) < 1+macSize || b[0] != version {
		return l, nil, nil, false
	}
	signed, mac = b[:len(b)-macSize], b[len(b)-macSize:]
	var numbers []uint64
	for rest := signed[1:]; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || len(numbers) == 3+maxSubject {
			return l, nil, nil, false
		}
		numbers, rest = append(numbers, n), rest[size:]
	}
	if len(numbers) < 3 || numbers[2] > 1<<40 {
		return l, nil, nil, false
	}
	l = Link{Tenant: ids.Tenant(numbers[0]), ID: ids.Request(numbers[1]), Expires: time.Unix(int64(numbers[2]), 0).UTC()}
	for _, n := range numbers[3:] {
		l.Subject = append(l.Subject, int64(n))
	}
	return l, signed, mac, true
}

// Read verifies a link and says what it is about. It changes nothing: GET calls
// it. A link that is none of ours, or of another purpose, is NotFound; one that
// is over or was used is Gone.
func (s *Store) Read(ctx context.Context, p Purpose, text string) (Link, error) {
	l, err := s.verify(p, text)
	if err != nil || !p.Once {
		return l, err
	}
	var used int64
	if err := s.set.One(ctx, "used", []any{int64(l.ID)}, &used); err != nil {
		return Link{}, fault.Wrap(err, "look a link up")
	}
	if used > 0 {
		return Link{}, over()
	}
	return l, nil
}

func (s *Store) verify(p Purpose, text string) (Link, error) {
	unknown := fault.New(fault.NotFound, "This link is not complete; copy it whole from the mail.")
	l, signed, mac, ok := parse(text)
	if !ok {
		return Link{}, unknown
	}
	want, err := s.Vault.Hash(l.Tenant, "link", p.Name+"\n"+string(signed))
	switch {
	case fault.Is(err, fault.Gone):
		return Link{}, over()
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Full), fault.Is(err, fault.ReadOnly):
		return Link{}, fault.Wrap(err, "verify a link")
	case err != nil, subtle.ConstantTimeCompare(want[:], mac) != 1:
		return Link{}, unknown
	case !s.Clock.Now().Before(l.Expires):
		return Link{}, over()
	}
	return l, nil
}

func over() error {
	return fault.New(fault.Gone, "This link was used or its time is over; ask for a new one.")
}

// Use verifies a link and acts, in one transaction: POST calls it. act must be
// short, as any db.Change. If act fails, the link was not used.
func (s *Store) Use(ctx context.Context, p Purpose, text string, act func(*db.Tx, Link) error) error {
	l, err := s.verify(p, text)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, "use a link", func(tx *db.Tx) error {
		if p.Once {
			if err := s.Spend(ctx, tx, l); err != nil {
				return err
			}
		}
		return act(tx, l)
	})
}

// Spend marks a link that may act once as used, in the transaction of its effect, for
// who acts where Use cannot reach. It is Gone where somebody was faster. l comes from
// Read.
func (s *Store) Spend(ctx context.Context, tx *db.Tx, l Link) error {
	n, err := tx.Do(ctx, s.set, "use", int64(l.ID), clock.Micros(l.Expires))
	if err == nil && n == 0 {
		err = over()
	}
	return err
}

// Purge forgets used links whose time is over anyway.
func (s *Store) Purge(ctx context.Context) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "purge used links", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "purge", clock.Micros(tx.Now()))
		return err
	})
	return int(n), err
}
