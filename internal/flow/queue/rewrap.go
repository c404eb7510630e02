package queue

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// KeysAfter is how long after its day a content key is needed: a message that
// arrived then is given up by expiry, and one day is for slow clocks. What a
// person holds longer is re-wrapped.
func (q *Queue) KeysAfter() time.Duration { return q.config.Expiry + keysAfter }

// TransitAfter is how long after its hour a transit key is needed. A message is
// committed within seconds of its sealing; who has had no answer for ten minutes
// counts on none (RFC 5321 4.5.3.2.6). The rest is for slow clocks.
const TransitAfter = 30 * time.Minute

// transitAge is up to what age a row is sealed in transit when its courier seals
// it again. The search for survivors reaches back so far, and an hour more for
// what was long in the making.
const transitAge, transitSlack = 2 * time.Hour, time.Hour

// classUntil is under which class a row is sealed that waits until due: what is
// tried again before the transit key can go stays with it.
func (q *Queue) classUntil(due time.Time, id ids.Recipient) vault.Class {
	now := q.Clock.Now()
	if now.Sub(id.Time()) < transitAge && due.Before(vault.Transit.End(now).Add(TransitAfter)) {
		return vault.Transit
	}
	return vault.Content
}

// Oldest is when the oldest message that still waits was accepted, or zero.
func (q *Queue) Oldest(ctx context.Context) (time.Time, error) {
	var m, tenant int64
	var key, sealed []byte
	err := q.set.One(ctx, "old_messages", []any{int64(0), int64(1<<63 - 1), 1}, &m, &tenant, &key, &sealed)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	return ids.Message(m).Time(), fault.Wrap(err, "find the oldest message in the queue")
}

// rewrapPage is how many rows are in memory, and in one commit, at a time.
const rewrapPage = 200

// LeaveTransit moves what still waits from dying transit keys, whose epochs began
// at since, to the day's content key. It returns how many values it sealed again;
// when it returns nil nothing in the queue needs those keys. A repeat after a
// crash goes on: what has moved is passed over.
func (q *Queue) LeaveTransit(ctx context.Context, since, before time.Time, dying func(ids.Key) bool) (int, error) {
	return q.rewrap(ctx, since.Add(-transitAge-transitSlack), before, dying)
}

// Rewrap is the like for dying content keys: what waits under them, of any age,
// goes under the present day's.
func (q *Queue) Rewrap(ctx context.Context, _, before time.Time, dying func(ids.Key) bool) (int, error) {
	return q.rewrap(ctx, time.Time{}, before, dying)
}

// survivor is a row with what may be sealed under a dying key.
type survivor struct {
	id     int64
	tenant ids.Tenant
	key    []byte // of a message; nil of a recipient
	sealed []byte
}

func (s *survivor) under(dying func(ids.Key) bool) bool {
	return dying(vault.KeyOf(s.key)) || dying(vault.KeyOf(s.sealed))
}

func (q *Queue) rewrap(ctx context.Context, since, before time.Time, dying func(ids.Key) bool) (int, error) {
	first := func(at func(time.Time) int64) int64 {
		if since.IsZero() {
			return 0
		}
		return at(since) - 1
	}
	message := func(t time.Time) int64 { return int64(ids.FirstAt[ids.Message](t)) }
	recipient := func(t time.Time) int64 { return int64(ids.FirstAt[ids.Recipient](t)) }
	n, err := q.rewrapEach(ctx, "old_messages", first(message), message(before), dying, q.moveMessage)
	if err != nil {
		return n, fault.Wrap(err, "re-wrap what waits in the queue")
	}
	m, err := q.rewrapEach(ctx, "old_rows", first(recipient), recipient(before), dying, q.moveRow)
	return n + m, fault.Wrap(err, "re-wrap what waits in the queue")
}

// rewrapEach goes through the rows between two ids, a page and a commit at a
// time, so that neither memory nor those who wait for the database feel it.
func (q *Queue) rewrapEach(ctx context.Context, query string, after, until int64, dying func(ids.Key) bool, move func(context.Context, *survivor) (db.Change, error)) (int, error) {
	count := 0
	for {
		page, err := q.survivors(ctx, query, after, until)
		if err != nil || len(page) == 0 {
			return count, err
		}
		after = page[len(page)-1].id
		if query == "old_messages" {
			if page, err = q.dropLost(ctx, page); err != nil {
				return count, err
			}
		}
		u := &db.Unit{}
		for i := range page {
			s := &page[i]
			if !s.under(dying) {
				continue
			}
			c, err := move(ctx, s)
			if errors.Is(err, vault.ErrTampered) || fault.Is(err, fault.Gone) {
				// Its key does not open it, so that nothing is lost with the key.
				q.log.Error("a row of the queue does not open", "row", s.id, "error", err)
				continue
			}
			if err != nil {
				return count, err
			}
			u.Changes = append(u.Changes, c)
		}
		if len(u.Changes) == 0 {
			continue
		}
		if err := q.DB.Commit(ctx, u); err != nil {
			return count, err
		}
		count += len(u.Changes)
	}
}

// dropLost removes messages without a recipient and gives the others. Where two
// nodes settle the last two recipients at one moment, each of them still sees the
// other's row and leaves the message.
func (q *Queue) dropLost(ctx context.Context, page []survivor) ([]survivor, error) {
	list := make([]int64, len(page))
	for i := range page {
		list[i] = page[i].id
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	lost := map[int64]bool{}
	err = q.set.Each(ctx, "lost", []any{string(text)}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		lost[id] = true
		return err
	})
	if err != nil || len(lost) == 0 {
		return page, err
	}
	err = q.DB.Change(ctx, "drop messages that nobody waits for", func(tx *db.Tx) error {
		for id := range lost {
			for _, query := range []string{"drop_lost_body", "drop_lost_message"} {
				if _, err := tx.Do(ctx, q.set, query, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return slices.DeleteFunc(page, func(s survivor) bool { return lost[s.id] }), err
}

func (q *Queue) survivors(ctx context.Context, query string, after, until int64) (page []survivor, err error) {
	err = q.set.Each(ctx, query, []any{after, until, rewrapPage}, func(scan func(...any) error) error {
		var s survivor
		var err error
		if query == "old_messages" {
			err = scan(&s.id, &s.tenant, &s.key, &s.sealed)
		} else {
			err = scan(&s.id, &s.tenant, &s.sealed)
		}
		page = append(page, s)
		return err
	})
	return page, err
}

func (q *Queue) moveMessage(ctx context.Context, s *survivor) (db.Change, error) {
	key, err := q.Vault.RewrapAs(ctx, s.tenant, vault.Content, vault.AD{Table: bodyTable, Row: s.id}, s.key)
	if err != nil {
		return db.Change{}, err
	}
	sealed, err := q.Vault.RewrapAs(ctx, s.tenant, vault.Content, vault.AD{Table: messageTable, Row: s.id}, s.sealed)
	return db.Change{By: q.bulk.rewrapMessage, Row: []any{s.id, s.key, key, sealed}, Optional: true}, err
}

func (q *Queue) moveRow(ctx context.Context, s *survivor) (db.Change, error) {
	sealed, err := q.Vault.RewrapAs(ctx, s.tenant, vault.Content, vault.AD{Table: queueTable, Row: s.id}, s.sealed)
	return db.Change{By: q.bulk.rewrapRow, Row: []any{s.id, s.sealed, sealed}, Optional: true}, err
}
