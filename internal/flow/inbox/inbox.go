// Package inbox is the built-in inbox of mailvow dev: it keeps what would have
// left the machine, for the console to show. It promises that it is bounded,
// that what it keeps is sealed, and that deleting leaves nothing that opens.
package inbox

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"math"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/message"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

//go:embed inbox.sql
var sql string

// Schema is what this package stores.
func Schema() db.Schema { return db.Schema{Package: "flow/inbox", SQL: sql} }

// Bound is how many messages are kept; the oldest go first.
const Bound = 5000

// Inbox keeps caught mail.
type Inbox struct {
	db     *db.DB
	set    *db.Set
	vault  *vault.Vault
	ids    *ids.Source
	drafts *blob.Drafts
	blobs  blob.Store
}

// New opens the inbox on a database that has its Schema.
func New(d *db.DB, v *vault.Vault, source *ids.Source, drafts *blob.Drafts, blobs blob.Store) *Inbox {
	return &Inbox{db: d, set: d.Set("flow/inbox"), vault: v, ids: source, drafts: drafts, blobs: blobs}
}

const table = "caught"

// bodyNonce is the only nonce under which a content's own key seals its row.
var bodyNonce = [12]byte{'c', 'a', 'u', 'g', 'h', 't'}

// Item is one caught message in the list.
type Item struct {
	ID      ids.Caught
	Tenant  ids.Tenant
	From    string
	To      []string
	Subject string
	At      time.Time
	Size    int64
}

// about is what is sealed of a message besides its bytes.
type about struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Subject string   `json:"subject"`
}

// Catch implements caught.Inbox.
func (b *Inbox) Catch(ctx context.Context, p *deliver.Parcel) error {
	id := ids.New[ids.Caught](b.ids)
	h, err := message.ParseHeader(p.Content, p.Content.Size(), message.Options{})
	if err != nil {
		return fault.Wrap(err, "read header of a caught message")
	}
	a := about{From: p.Sender.Text(), Subject: h.Text("Subject")}
	for _, r := range p.Recipients {
		a.To = append(a.To, r.Address.Text())
	}
	about, err := sealed.Put(b.vault, vault.Content, sealed.Row{Tenant: p.Tenant, Table: table, ID: int64(id)}, a)
	if err != nil {
		return err
	}
	draft := b.drafts.Begin(ctx)
	_, err = io.Copy(draft, io.NewSectionReader(p.Content, 0, p.Content.Size()))
	if err == nil {
		err = draft.Finish()
	}
	if err == nil {
		err = b.add(ctx, id, p.Tenant, draft, about)
	}
	if err != nil {
		return fault.Wrap(errors.Join(err, draft.Discard(ctx)), "keep a caught message")
	}
	return fault.Wrap(errors.Join(draft.Keep(), b.trim(ctx)), "keep a caught message")
}

func (b *Inbox) add(ctx context.Context, id ids.Caught, tenant ids.Tenant, d *blob.Draft, about []byte) error {
	ad := vault.AD{Table: table, Row: int64(id)}
	place, key, bytes := "", vault.Key{}, []byte{}
	var err error
	if s := d.Stored(); s != nil {
		place, key = string(s.Name), s.Key
	} else {
		if key, err = vault.RandomKey(); err != nil {
			return err
		}
		bytes = key.Seal(nil, bodyNonce, d.Inline(), nil)
	}
	wrapped, err := b.vault.WrapKey(tenant, vault.Content, ad, key)
	if err != nil {
		return err
	}
	return b.db.Change(ctx, "keep a caught message", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, b.set, "add", int64(id), int64(tenant), d.Size(), place, wrapped, about, bytes)
		return err
	})
}

// trim drops what stands beyond the bound.
func (b *Inbox) trim(ctx context.Context) error {
	var old []ids.Caught
	err := b.set.Each(ctx, "oldest", []any{Bound}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		old = append(old, ids.Caught(id))
		return err
	})
	for _, id := range old {
		if err == nil {
			err = b.Delete(ctx, scope.Everyone, id)
		}
	}
	return err
}

// List gives one page, newest first, before an item (zero: from the newest).
func (b *Inbox) List(ctx context.Context, s scope.Scope, before ids.Caught, limit int) ([]Item, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	all, tenant := s.Args()
	var list []Item
	err := b.set.Each(ctx, "page", []any{int64(before), all, tenant, min(max(limit, 1), 200)}, func(scan func(...any) error) error {
		var id, owner, size int64
		var box []byte
		if err := scan(&id, &owner, &size, &box); err != nil {
			return err
		}
		i, err := b.item(ids.Caught(id), ids.Tenant(owner), size, box)
		list = append(list, i)
		return err
	})
	return list, fault.Wrap(err, "list caught messages")
}

func (b *Inbox) item(id ids.Caught, owner ids.Tenant, size int64, box []byte) (Item, error) {
	var a about
	err := sealed.Get(b.vault, sealed.Row{Tenant: owner, Table: table, ID: int64(id)}, box, &a)
	return Item{ID: id, Tenant: owner, From: a.From, To: a.To, Subject: a.Subject, At: id.Time(), Size: size}, err
}

// Open gives one message with its bytes. Close them after use.
func (b *Inbox) Open(ctx context.Context, s scope.Scope, id ids.Caught) (Item, *Content, error) {
	all, tenant := s.Args()
	var owner, size int64
	var place string
	var wrapped, box, body []byte
	err := b.set.One(ctx, "one", []any{int64(id), all, tenant}, &owner, &size, &place, &wrapped, &box, &body)
	if fault.Is(err, fault.NotFound) {
		return Item{}, nil, fault.New(fault.NotFound, "There is no such caught message; it may have been deleted.")
	}
	if err != nil {
		return Item{}, nil, fault.Wrap(err, "read a caught message")
	}
	item, err := b.item(id, ids.Tenant(owner), size, box)
	if err != nil {
		return Item{}, nil, err
	}
	key, err := b.vault.Unwrap(ids.Tenant(owner), vault.AD{Table: table, Row: int64(id)}, wrapped)
	if err != nil {
		return Item{}, nil, fault.Wrap(err, "unwrap the key of a caught message")
	}
	if place == "" {
		plain, err := key.Open(nil, bodyNonce, body, nil)
		return item, &Content{ReaderAt: bytes.NewReader(plain), Size: size}, err
	}
	stored, err := b.blobs.Open(ctx, blob.Name(place))
	if err != nil {
		return Item{}, nil, fault.Wrap(err, "open a caught blob")
	}
	r, err := blob.OpenSealed(stored, stored.Size(), key)
	return item, &Content{ReaderAt: r, Size: size, closer: stored}, err
}

// Content is a caught message's bytes.
type Content struct {
	io.ReaderAt
	Size   int64
	closer io.Closer
}

// Close ends the reading.
func (c *Content) Close() error {
	if c.closer == nil {
		return nil
	}
	return c.closer.Close()
}

// Delete removes one message; NotFound if there is none in this scope.
func (b *Inbox) Delete(ctx context.Context, s scope.Scope, id ids.Caught) error {
	all, tenant := s.Args()
	var place string
	err := b.db.Change(ctx, "delete a caught message", func(tx *db.Tx) error {
		var owner, size int64
		var key, box, body []byte
		if err := tx.One(ctx, b.set, "one", []any{int64(id), all, tenant}, &owner, &size, &place, &key, &box, &body); err != nil {
			return err
		}
		_, err := tx.Do(ctx, b.set, "drop", int64(id), all, tenant)
		return err
	})
	if err == nil && place != "" {
		err = b.blobs.Delete(ctx, blob.Name(place))
	}
	return fault.Wrap(err, "delete a caught message")
}

// Clear removes every message of a scope.
func (b *Inbox) Clear(ctx context.Context, s scope.Scope) error {
	all, tenant := s.Args()
	var places []string
	err := b.db.Change(ctx, "clear the inbox", func(tx *db.Tx) error {
		places = places[:0]
		err := tx.Each(ctx, b.set, "places", []any{all, tenant}, func(scan func(...any) error) error {
			var p string
			err := scan(&p)
			places = append(places, p)
			return err
		})
		if err == nil {
			_, err = tx.Do(ctx, b.set, "drop_all", all, tenant)
		}
		return err
	})
	for _, p := range places {
		if err == nil {
			err = b.blobs.Delete(ctx, blob.Name(p))
		}
	}
	return fault.Wrap(err, "clear the inbox")
}

// BlobsInUse says which of these blobs a caught message refers to, for the sweep.
func (b *Inbox) BlobsInUse(ctx context.Context, names []blob.Name) (map[blob.Name]bool, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return nil, fault.Wrap(err, "list blob names")
	}
	used := map[blob.Name]bool{}
	err = b.set.Each(ctx, "places_in_use", []any{string(list)}, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		used[blob.Name(name)] = true
		return err
	})
	return used, fault.Wrap(err, "look for referenced blobs")
}

const category = "caught mail"

// Declaration is what this package stores.
func Declaration() pledge.Declaration {
	d := pledge.Declaration{
		Package: "flow/inbox",
		Categories: []pledge.Category{{
			Name: category, About: pledge.Correspondent, What: "messages that mailvow dev caught instead of sending", Purpose: "show developers what their program sends", For: pledge.ToDeliver,
			Basis: pledge.LegitimateInterest, Period: pledge.Period{Ceiling: 30 * 24 * time.Hour, From: "the message was caught"},
			Found: "reading the newest 5,000 messages", Erasing: pledge.Delete,
			Source: "the program that sent the message",
		}},
	}
	d.Places = append(pledge.Columns(category, false, table, "id", "tenant", "size", "place"), pledge.Columns(category, true, table, "key", "sealed", "bytes")...)
	return d
}
