package ending

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
)

// until says when the law lets a record of a category go; the zero time: it asks
// for nothing.
func (s *Store) until(e *Ending, category string) (func(time.Time) time.Time, string) {
	var floor time.Duration
	if c, ok := s.Inventory.Category(category); ok {
		floor = c.Period.Floor
	}
	said := s.Policies.For(e.Tenant, s.Clock.Now()).Document.Retention[category]
	if floor == 0 && !said.AtLeast.Given() {
		return nil, ""
	}
	why := "kept by law for " + inventory.Span(floor)
	if said.AtLeast.Given() {
		why = "kept by law for " + said.AtLeast.Words()
	}
	if said.Law != "" {
		why += " (" + said.Law + ")"
	}
	return func(at time.Time) time.Time {
		end := at.Add(floor)
		if said.AtLeast.Given() && said.AtLeast.After(at).After(end) {
			end = said.AtLeast.After(at)
		}
		return end
	}, why
}

// The bounds of one sealed piece of what a law keeps.
const (
	pieceRecords = 200
	pieceBytes   = 256 << 10
)

// piece gathers records of one category that go on the same day.
type piece struct {
	until   time.Time
	records int
	lines   bytes.Buffer
}

// keepByLaw sets apart, before a category is destroyed, the records that a law
// wants kept longer: under the ending's own key, each until its own end.
func (s *Store) keepByLaw(ctx context.Context, e *Ending, p Part) error {
	until, why := s.until(e, p.Category)
	if until == nil || p.HandOver == nil || p.Destroy == nil {
		return nil
	}
	key, err := s.keyOf(e)
	if err != nil {
		return err
	}
	if err := s.unkeep(ctx, e, p.Category); err != nil {
		return err
	}
	count := e.count(p.Category)
	count.Kept, count.Until, count.Why = 0, time.Time{}, ""
	now, open := s.Clock.Now(), &piece{}
	flush := func() error {
		if open.records == 0 {
			return nil
		}
		err := s.keep(ctx, e, key, p.Category, open)
		open = &piece{}
		return err
	}
	err = p.HandOver(ctx, e.Tenant, func(r pledge.Record) error {
		// A day's records go together, at its end.
		end := until(r.At).UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		if !end.After(now) {
			return nil
		}
		if !end.Equal(open.until) || open.records >= pieceRecords || open.lines.Len() >= pieceBytes {
			if err := flush(); err != nil {
				return err
			}
			open.until = end
		}
		open.records++
		count.Kept, count.Why = count.Kept+1, why
		if end.After(count.Until) {
			count.Until = end
		}
		return json.NewEncoder(&open.lines).Encode(lineOf(r, ""))
	})
	if err == nil {
		err = flush()
	}
	return fault.Wrap(err, "keep what a law wants of "+p.Category)
}

func (s *Store) unkeep(ctx context.Context, e *Ending, category string) error {
	return s.DB.Change(ctx, "begin to keep what a law wants", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "unkeep", e.ID, category)
		return err
	})
}

func (s *Store) keep(ctx context.Context, e *Ending, key vault.Key, category string, p *piece) error {
	return s.DB.Change(ctx, "keep what a law wants", func(tx *db.Tx) error {
		var n int64
		if err := tx.One(ctx, s.set, "last_kept", []any{e.ID}, &n); err != nil {
			return err
		}
		n++
		sealed := sealUnder(key, p.lines.Bytes(), bound(e.ID, category, n))
		_, err := tx.Do(ctx, s.set, "keep", e.ID, n, e.Tenant, category, clock.Micros(p.until), p.records, sealed)
		return err
	})
}

// Remains says how many records a law still keeps of an ended contract, and when
// the last of them goes.
func (s *Store) Remains(ctx context.Context, e Ending) (records int, until time.Time, err error) {
	var last int64
	err = s.set.One(ctx, "remains", []any{e.ID, e.Tenant}, &records, &last)
	if last > 0 {
		until = clock.FromMicros(last)
	}
	return records, until, fault.Wrap(err, "count what a law keeps")
}

// Lines gives what a law keeps of an ended contract, as lines of JSON by category.
// The look is in the evidence log first.
func (s *Store) Lines(ctx context.Context, id ids.Certificate, by evidence.Actor, yield func(category string, lines []byte) error) error {
	e, err := s.Get(ctx, scope.Everyone, id)
	if err != nil {
		return err
	}
	records, _, err := s.Remains(ctx, e)
	if err != nil || records == 0 {
		return err
	}
	if err := s.note(ctx, &e, by, Remains, records); err != nil {
		return err
	}
	key, err := s.keyOf(&e)
	if err != nil {
		return err
	}
	type row struct {
		n        int64
		category string
		sealed   []byte
	}
	for last := int64(0); ; {
		var page []row
		err := s.set.Each(ctx, "kept", []any{e.ID, e.Tenant, last, 20}, func(scan func(...any) error) error {
			var r row
			var until, count int64
			err := scan(&r.n, &r.category, &until, &count, &r.sealed)
			page = append(page, r)
			return err
		})
		if err != nil || len(page) == 0 {
			return fault.Wrap(err, "read what a law keeps")
		}
		for _, r := range page {
			last = r.n
			plain, err := openUnder(key, r.sealed, bound(e.ID, r.category, r.n))
			if err == nil {
				err = yield(r.category, plain)
			}
			if err != nil {
				return err
			}
		}
	}
}

// note puts a look at a customer's data on record.
func (s *Store) note(ctx context.Context, e *Ending, by evidence.Actor, category string, records int) error {
	err := s.DB.Change(ctx, "note a look at a customer's data", func(tx *db.Tx) error {
		return s.Stage.Stage(ctx, tx, evidence.Leaf{
			ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: by, Tenant: e.Tenant,
			Body: &evidence.Access{Category: category, Purpose: "contract.export", Records: int64(records)},
		})
	})
	s.Log.Nudge()
	return err
}

// Sweep deletes what no law keeps any longer, and forgets the keys under which
// nothing stands any more: copies cannot be opened either once protect/retain
// has destroyed the day's key that wraps them.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "delete what no law keeps any longer", func(tx *db.Tx) (err error) {
		if n, err = tx.Do(ctx, s.set, "sweep", clock.Micros(s.Clock.Now())); err != nil {
			return err
		}
		_, err = tx.Do(ctx, s.set, "forget_keys")
		return err
	})
	return int(n), fault.Wrap(err, "delete what no law keeps any longer")
}

// Purge deletes the record of contracts that ended before a time.
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := s.DB.Change(ctx, "purge ends of contracts", func(tx *db.Tx) (err error) {
		n, err = tx.Do(ctx, s.set, "purge", clock.Micros(before))
		return err
	})
	return int(n), fault.Wrap(err, "purge ends of contracts")
}

// Oldest is when the oldest recorded contract ended, or zero.
func (s *Store) Oldest(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.set.One(ctx, "oldest", nil, &at)
	if err != nil || at == 0 {
		return time.Time{}, fault.Wrap(err, "find the oldest end of a contract")
	}
	return clock.FromMicros(at), nil
}

// Rewrap moves the keys of ends that still keep something from dying keys to the
// present one; protect/retain calls it before it destroys them.
func (s *Store) Rewrap(ctx context.Context, _, _ time.Time, dying func(ids.Key) bool) (int, error) {
	type keyed struct {
		id     ids.Certificate
		tenant ids.Tenant
		key    []byte
	}
	var list []keyed
	err := s.set.Each(ctx, "keyed", nil, func(scan func(...any) error) error {
		var k keyed
		err := scan(&k.id, &k.tenant, &k.key)
		list = append(list, k)
		return err
	})
	if err != nil {
		return 0, fault.Wrap(err, "list the keys of ended contracts")
	}
	count := 0
	for _, k := range list {
		if !dying(vault.KeyOf(k.key)) {
			continue
		}
		key, err := s.Vault.Rewrap(ctx, 0, keyAD(k.id), k.key)
		if fault.Is(err, fault.Gone) {
			continue
		}
		if err == nil {
			err = s.DB.Change(ctx, "seal the key of an ended contract again", func(tx *db.Tx) error {
				n, err := tx.Do(ctx, s.set, "rewrap", k.id, k.key, key)
				count += int(n)
				return err
			})
		}
		if err != nil {
			return count, fault.Wrap(err, "seal the key of an ended contract again")
		}
	}
	return count, nil
}

// keptFollows are the lines of the certificate about what a law keeps.
func keptFollows(e *Ending) []evidence.Follow {
	var list []evidence.Follow
	for _, c := range e.Counts {
		if !c.Until.IsZero() {
			list = append(list, evidence.Follow{By: evidence.On(c.Until), What: fmt.Sprintf("%s: the last of what a law keeps is deleted", c.Category)})
		}
	}
	return list
}
