package hold

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
)

// Record is one record as a hold keeps it.
type Record struct {
	Category string      `json:"-"`
	ID       int64       `json:"-"` // its name in its store
	Message  ids.Message `json:"-"`
	At       time.Time   `json:"-"`
	// Persons are whom the record names; they are found by it.
	Persons []address.Address `json:"-"`
	Fields  []Field           `json:"fields"`
}

// Field is one value of a record, in the order in which people read them.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Other bool   `json:"other,omitempty"` // may name others than the record's sender
}

// Source reads the records that holds are made of.
type Source interface {
	// Messages gives every message whose records a hold holds, in any order.
	Messages(ctx context.Context, tenant ids.Tenant, kind Kind, who address.Address, m ids.Message, yield func(ids.Message) error) error
	// Records gives the records of messages, but for those that are had already.
	Records(ctx context.Context, tenant ids.Tenant, messages []ids.Message, had func(category string, id int64) bool, yield func(Record) error) error
}

// page is how many messages, and rows, are in memory at a time.
const page = 50

// Preserve copies what the scope's holds hold and is not copied yet. Who is about
// to purge or delete calls it first, and leaves everything where it is when it
// fails. A repeat goes on.
func (s *Store) Preserve(ctx context.Context, in scope.Scope) error {
	list, err := s.holding(ctx, in)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].outlives { // nothing of its customer is left to copy
			continue
		}
		err := s.preserve(ctx, &list[i])
		if fault.Is(err, fault.Gone) { // released, in a backup from before; or the customer's keys are gone
			s.log.Warn("the key of a hold is gone; it keeps nothing", "hold", list[i].ID)
			continue
		}
		if err != nil {
			return fault.Wrap(err, "copy what is held")
		}
	}
	return nil
}

func (s *Store) preserve(ctx context.Context, h *Hold) error {
	key, err := s.keyOf(h)
	if err != nil {
		return err
	}
	var batch []ids.Message
	flush := func() error {
		slices.Sort(batch)
		err := s.copyOf(ctx, h, key, slices.Compact(batch))
		batch = batch[:0]
		return err
	}
	err = s.Source.Messages(ctx, h.Tenant, h.Kind, h.Address, h.Message, func(m ids.Message) error {
		if batch = append(batch, m); len(batch) < page {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return err
}

type name struct {
	category string
	id       int64
}

// copyOf copies what is new of some messages, which stand in their order.
func (s *Store) copyOf(ctx context.Context, h *Hold, key vault.Key, messages []ids.Message) error {
	had := map[name]bool{}
	args := []any{h.ID, h.Tenant, messages[0], messages[len(messages)-1]}
	err := s.set.Each(ctx, "kept_of", args, func(scan func(...any) error) error {
		var n name
		err := scan(&n.category, &n.id)
		had[n] = true
		return err
	})
	if err != nil {
		return err
	}
	var fresh []Record
	err = s.Source.Records(ctx, h.Tenant, messages, func(category string, id int64) bool { return had[name{category, id}] }, func(r Record) error {
		if fresh = append(fresh, r); len(fresh) < 4*page {
			return nil
		}
		err := s.write(ctx, h, key, fresh)
		fresh = fresh[:0]
		return err
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	return s.write(ctx, h, key, fresh)
}

func (s *Store) write(ctx context.Context, h *Hold, key vault.Key, records []Record) error {
	return s.DB.Change(ctx, "keep what is held", func(tx *db.Tx) error {
		for _, r := range records {
			plain, err := json.Marshal(r)
			if err != nil {
				return fault.Wrap(err, "write a held record")
			}
			sealed := seal(key, plain, bound(h.ID, r.Category, r.ID))
			if _, err := tx.Do(ctx, s.set, "keep", h.ID, r.Category, r.ID, r.Message, h.Tenant, clock.Micros(r.At), sealed); err != nil {
				return err
			}
			for _, a := range r.Persons {
				hash, err := s.hash(h.Tenant, a)
				if err != nil {
					return err
				}
				if _, err := tx.Do(ctx, s.set, "name", hash, h.ID, r.Message, h.Tenant); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *Store) hash(tenant ids.Tenant, a address.Address) ([16]byte, error) {
	h, err := s.Vault.Hash(tenant, "held", a.Canonical())
	return h, fault.Wrap(err, "hash an address")
}

// Count says how many records a hold keeps.
func (s *Store) Count(ctx context.Context, h Hold) (int, error) {
	if len(h.key) == 0 {
		return 0, nil
	}
	var n int
	var first, last int64
	err := s.set.One(ctx, "count", []any{h.ID, h.Tenant}, &n, &first, &last)
	return n, fault.Wrap(err, "count what is held")
}

// Records gives what a hold keeps, by message. The look is in the evidence log
// first.
func (s *Store) Records(ctx context.Context, in scope.Scope, id ids.Hold, by evidence.Actor, yield func(Record) error) error {
	h, err := s.Get(ctx, in, id)
	if err != nil {
		return err
	}
	if len(h.key) == 0 {
		return fault.New(fault.Gone, "This hold is released; what it kept is gone.")
	}
	n, err := s.Count(ctx, h)
	if err != nil {
		return err
	}
	err = s.DB.Change(ctx, "note the look into a hold", func(tx *db.Tx) error {
		return s.Stage.Stage(ctx, tx, evidence.Leaf{
			ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: h.Tenant,
			Body: &evidence.Access{Category: held, Purpose: "hold.read", Records: int64(n), Target: h.ID.String()},
		})
	})
	if err != nil {
		return fault.Wrap(err, "note the look into a hold")
	}
	s.Nudge()
	key, err := s.keyOf(&h)
	if err != nil {
		return err
	}
	var last Record
	for {
		list, err := s.open(ctx, &h, key, "records", h.ID, h.Tenant, last.Message, last.ID, page)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			if err := yield(r); err != nil {
				return err
			}
			last = r
		}
	}
}

func (s *Store) open(ctx context.Context, h *Hold, key vault.Key, query string, args ...any) ([]Record, error) {
	var list []Record
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var r Record
		var at int64
		var sealed []byte
		if err := scan(&r.Category, &r.ID, &r.Message, &at, &sealed); err != nil {
			return err
		}
		plain, err := open(key, sealed, bound(h.ID, r.Category, r.ID))
		if err == nil {
			err = fault.Wrap(json.Unmarshal(plain, &r), "read a held record")
		}
		r.At = clock.FromMicros(at)
		list = append(list, r)
		return err
	})
	return list, fault.Wrap(err, "read what is held")
}

// Rewrap moves the keys of holds that still hold from dying keys to the present
// one; protect/retain calls it before it destroys them. What was released has no
// key to move and dies with them, in every copy.
func (s *Store) Rewrap(ctx context.Context, _, _ time.Time, dying func(ids.Key) bool) (int, error) {
	list, err := s.holding(ctx, scope.Everyone)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, h := range list {
		if !dying(vault.KeyOf(h.key)) {
			continue
		}
		key, err := s.Vault.Rewrap(ctx, h.keeper(), keyAD(h.ID), h.key)
		if fault.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return count, fault.Wrap(err, "seal a hold's key again")
		}
		err = s.DB.Change(ctx, "seal a hold's key again", func(tx *db.Tx) error {
			n, err := tx.Do(ctx, s.set, "rewrap", h.ID, h.Tenant, h.key, key)
			count += int(n)
			return err
		})
		if err != nil {
			return count, fault.Wrap(err, "seal a hold's key again")
		}
	}
	return count, nil
}

// Sweep deletes what released holds kept and warns of those that nobody reviewed.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	overdue, err := s.Overdue(ctx, scope.Everyone)
	if err != nil {
		return 0, err
	}
	for _, h := range overdue {
		s.log.Warn("a legal hold was not reviewed by its date", "hold", h.ID, "tenant", h.Tenant, "review", h.Review)
	}
	type over struct {
		id     ids.Hold
		tenant ids.Tenant
	}
	var list []over
	err = s.set.Each(ctx, "over", nil, func(scan func(...any) error) error {
		var x over
		err := scan(&x.id, &x.tenant)
		list = append(list, x)
		return err
	})
	total := 0
	for _, x := range list {
		if err == nil {
			var n int
			n, err = s.drop(ctx, x.id, x.tenant)
			total += n
		}
	}
	if err == nil {
		err = s.DB.Change(ctx, "delete old holds", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, s.set, "drop_released", clock.Micros(s.Clock.Now().Add(-releasedFor)))
			return err
		})
	}
	return total, fault.Wrap(err, "delete what released holds kept")
}

// releasedFor is how long the bare number, ground and dates of a released hold
// are shown.
const releasedFor = 366 * 24 * time.Hour

const dropRows = 500

func (s *Store) drop(ctx context.Context, id ids.Hold, tenant ids.Tenant) (int, error) {
	for total := 0; ; {
		var n int64
		err := s.DB.Change(ctx, "delete what a released hold kept", func(tx *db.Tx) (err error) {
			if n, err = tx.Do(ctx, s.set, "drop_held", id, tenant, dropRows); err != nil || n > 0 {
				return err
			}
			_, err = tx.Do(ctx, s.set, "drop_named", id, tenant)
			return err
		})
		total += int(n)
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// PreserveMessage is Preserve of what is held of one message, which is about to be
// deleted.
func (s *Store) PreserveMessage(ctx context.Context, in scope.Scope, m ids.Message) error {
	list, err := s.holding(ctx, in)
	for i := range list {
		if err != nil {
			break
		}
		h := &list[i]
		switch h.Kind {
		case Person:
			err = s.preserve(ctx, h) // a person's messages are few
		case Message, Customer:
			var key vault.Key
			if h.Kind == Message && h.Message != m {
				continue
			}
			if key, err = s.keyOf(h); err == nil {
				err = s.copyOf(ctx, h, key, []ids.Message{m})
			}
		}
		if fault.Is(err, fault.Gone) {
			err = nil
		}
	}
	return fault.Wrap(err, "copy what is held")
}

// byPerson gives each hold that keeps something about a subject, with the messages.
func (s *Store) byPerson(ctx context.Context, x pledge.Subject, yield func(h *Hold, messages []ids.Message) error) error {
	list, err := s.holding(ctx, x.Scope)
	if err != nil || x.Address.IsNull() {
		return err
	}
	by := map[ids.Hold]*Hold{}
	var tenants []ids.Tenant
	for i := range list {
		if list[i].outlives {
			if err := s.search(ctx, &list[i], x, yield); err != nil {
				return err
			}
			continue
		}
		by[list[i].ID] = &list[i]
		if !slices.Contains(tenants, list[i].Tenant) {
			tenants = append(tenants, list[i].Tenant)
		}
	}
	for _, t := range tenants {
		found, err := s.messagesOf(ctx, t, x)
		if err != nil {
			return err
		}
		for _, f := range found {
			if h := by[f.hold]; h != nil {
				if err := yield(h, f.messages); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

type heldBy struct {
	hold     ids.Hold
	messages []ids.Message
}

func (s *Store) messagesOf(ctx context.Context, tenant ids.Tenant, x pledge.Subject) ([]heldBy, error) {
	hash, err := s.hash(tenant, x.Address)
	if fault.Is(err, fault.Gone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []heldBy
	err = s.set.Each(ctx, "of_person", []any{hash, tenant}, func(scan func(...any) error) error {
		var id ids.Hold
		var m ids.Message
		if err := scan(&id, &m); err != nil {
			return err
		}
		if !x.Before.IsZero() && !m.Time().Before(x.Before) {
			return nil
		}
		if len(list) == 0 || list[len(list)-1].hold != id {
			list = append(list, heldBy{hold: id})
		}
		last := &list[len(list)-1]
		last.messages = append(last.messages, m)
		return nil
	})
	return list, fault.Wrap(err, "find a person in what is held")
}
