package queue

import (
	"context"
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

const rewrapPage = 200

// Rewrap seals what still waits under a young key, where its key is one of the
// dying ones and it was accepted before a time. It returns how many values it
// sealed again; when it returns nil nothing in the queue needs those keys.
func (q *Queue) Rewrap(ctx context.Context, before time.Time, dying func(ids.Key) bool) (int, error) {
	n, err := q.rewrapMessages(ctx, before, dying)
	if err != nil {
		return n, fault.Wrap(err, "re-wrap what waits in the queue")
	}
	m, err := q.rewrapRows(ctx, before, dying)
	return n + m, fault.Wrap(err, "re-wrap what waits in the queue")
}

func (q *Queue) rewrapMessages(ctx context.Context, before time.Time, dying func(ids.Key) bool) (int, error) {
	count := 0
	for after := int64(0); ; {
		type survivor struct {
			id, tenant  int64
			key, sealed []byte
		}
		var page []survivor
		err := q.set.Each(ctx, "old_messages", []any{after, int64(ids.FirstAt[ids.Message](before)), rewrapPage}, func(scan func(...any) error) error {
			var s survivor
			err := scan(&s.id, &s.tenant, &s.key, &s.sealed)
			page = append(page, s)
			return err
		})
		if err != nil || len(page) == 0 {
			return count, err
		}
		for _, s := range page {
			after = s.id
			if !dying(vault.KeyOf(s.key)) && !dying(vault.KeyOf(s.sealed)) {
				continue
			}
			key, err := q.Vault.Rewrap(ctx, ids.Tenant(s.tenant), vault.AD{Table: bodyTable, Row: s.id}, s.key)
			if err != nil {
				return count, err
			}
			sealed, err := q.Vault.Rewrap(ctx, ids.Tenant(s.tenant), vault.AD{Table: messageTable, Row: s.id}, s.sealed)
			if err != nil {
				return count, err
			}
			err = q.DB.Change(ctx, "re-wrap a message", func(tx *db.Tx) error {
				_, err := tx.Do(ctx, q.set, "rewrap_message", s.id, key, sealed)
				return err
			})
			if err != nil {
				return count, err
			}
			count++
		}
	}
}

// rewrapRows does the like for recipients. A row that its courier changes at the
// same time has a young seal already.
func (q *Queue) rewrapRows(ctx context.Context, before time.Time, dying func(ids.Key) bool) (int, error) {
	count := 0
	for after := int64(0); ; {
		type survivor struct {
			id, tenant, token int64
			sealed            []byte
		}
		var page []survivor
		err := q.set.Each(ctx, "old_rows", []any{after, int64(ids.FirstAt[ids.Recipient](before)), rewrapPage}, func(scan func(...any) error) error {
			var s survivor
			err := scan(&s.id, &s.tenant, &s.token, &s.sealed)
			page = append(page, s)
			return err
		})
		if err != nil || len(page) == 0 {
			return count, err
		}
		for _, s := range page {
			after = s.id
			if !dying(vault.KeyOf(s.sealed)) {
				continue
			}
			sealed, err := q.Vault.Rewrap(ctx, ids.Tenant(s.tenant), vault.AD{Table: queueTable, Row: s.id}, s.sealed)
			if err != nil {
				return count, err
			}
			err = q.DB.Change(ctx, "re-wrap a recipient", func(tx *db.Tx) error {
				_, err := tx.Do(ctx, q.set, "rewrap_row", s.id, s.token, sealed)
				return err
			})
			if err != nil {
				return count, err
			}
			count++
		}
	}
}
