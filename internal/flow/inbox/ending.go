package inbox

import (
	"context"
	"errors"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
)

// EachOf gives every caught message of a scope, newest first.
func (b *Inbox) EachOf(ctx context.Context, s scope.Scope, yield func(Item) error) error {
	for before := ids.Caught(0); ; {
		page, err := b.List(ctx, s, before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, i := range page {
			before = i.ID
			if err := yield(i); err != nil {
				return err
			}
		}
	}
}

// Drop removes every caught message of an ended customer without any of its keys
// and says how many.
func (b *Inbox) Drop(ctx context.Context, of ids.Tenant) (int, error) {
	var places []blob.Name
	var n int64
	err := b.db.Change(ctx, "drop a customer's caught mail", func(tx *db.Tx) error {
		places = places[:0]
		err := tx.Each(ctx, b.set, "places", []any{0, of}, func(scan func(...any) error) error {
			var p string
			err := scan(&p)
			places = append(places, blob.Name(p))
			return err
		})
		if err == nil {
			n, err = tx.Do(ctx, b.set, "drop_all", 0, of)
		}
		return err
	})
	var wrong []error
	for _, p := range places {
		if err == nil {
			if e := b.blobs.Delete(ctx, p); e != nil && !fault.Is(e, fault.NotFound) {
				wrong = append(wrong, e)
			}
		}
	}
	return int(n), fault.Wrap(errors.Join(err, errors.Join(wrong...)), "drop a customer's caught mail")
}
