package request

import (
	"context"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// EachOf gives every case of which a customer has a share, with that share alone.
func (d *Desk) EachOf(ctx context.Context, of ids.Tenant, yield func(Case) error) error {
	return d.eachID(ctx, of, func(id ids.Case) error {
		c, err := d.Get(ctx, scope.Tenant(of), id)
		if fault.Is(err, fault.NotFound) {
			return nil // purged meanwhile
		}
		if err != nil {
			return err
		}
		return yield(c)
	})
}

func (d *Desk) eachID(ctx context.Context, of ids.Tenant, yield func(ids.Case) error) error {
	const page = 100
	for last := ids.Case(0); ; {
		var list []ids.Case
		err := d.set.Each(ctx, "cases_of_tenant", []any{of, last, page}, func(scan func(...any) error) error {
			var id ids.Case
			err := scan(&id)
			list = append(list, id)
			return err
		})
		if err != nil || len(list) == 0 {
			return fault.Wrap(err, "list a customer's requests")
		}
		for _, id := range list {
			if err := yield(id); err != nil {
				return err
			}
		}
		last = list[len(list)-1]
	}
}

// Drop removes an ended customer's shares, and the cases that were its alone; a
// case that others share goes on with them. It says of how many.
func (d *Desk) Drop(ctx context.Context, of ids.Tenant) (int, error) {
	count := 0
	err := d.eachID(ctx, of, func(id ids.Case) error {
		err := d.DB.Change(ctx, "drop a customer's share of a request", func(tx *db.Tx) error { return d.drop(ctx, tx, id, of) })
		if err == nil {
			count++
		}
		return err
	})
	return count, fault.Wrap(err, "drop a customer's requests")
}

func (d *Desk) drop(ctx context.Context, tx *db.Tx, id ids.Case, of ids.Tenant) error {
	if _, err := tx.Do(ctx, d.set, "lock", id); err != nil {
		return err
	}
	if _, err := tx.Do(ctx, d.set, "drop_share", id, of); err != nil {
		return err
	}
	gone, err := tx.Do(ctx, d.set, "drop_alone", id)
	if err != nil || gone > 0 {
		return err
	}
	var state State
	if err := tx.One(ctx, d.set, "state", []any{id}, &state); err != nil || state.Ended() {
		return err
	}
	return d.follow(ctx, tx, &Share{Case: id, Tenant: of}) // the others may all have decided
}
