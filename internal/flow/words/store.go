package words

import (
	"context"
	"math"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/keep/column"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// records are the chunks inside one transaction, as far as they may hold ids from
// low to high.
type records struct {
	tx        *db.Tx
	set       *db.Set
	low, high int64
}

var _ column.Store = records{}

// Put implements column.Store.
func (s records) Put(ctx context.Context, r column.Record) error {
	_, err := s.tx.Do(ctx, s.set, "put", append([]any{r.Part}, rowOf(r)...)...)
	return err
}

// Get implements column.Store.
func (s records) Get(ctx context.Context, p column.Place) (column.Record, error) {
	r := column.Record{Place: p}
	err := s.tx.One(ctx, s.set, "get", placeArgs(p), recordInto(&r)...)
	return r, err
}

func placeArgs(p column.Place) []any {
	return []any{p.Part, int64(p.Tenant), p.Field, int64(p.Hour)}
}

func recordInto(r *column.Record) []any {
	return []any{&r.Count, &r.First, &r.Last, &r.Key, &r.Sealed}
}

// List implements column.Store.
func (s records) List(ctx context.Context, tenant ids.Tenant, field string, from, to column.Hour) (list []column.Place, err error) {
	low, end := max(s.low, firstOf(from)), firstOf(to)
	err = s.tx.Each(ctx, s.set, "places", []any{int64(tenant), field, low, end, s.high}, func(scan func(...any) error) error {
		p := column.Place{Tenant: tenant, Field: field}
		err := scan(&p.Part, &p.Hour)
		list = append(list, p)
		return err
	})
	return list, err
}

// Delete implements column.Store.
func (s records) Delete(ctx context.Context, p column.Place) error {
	_, err := s.tx.Do(ctx, s.set, "delete", p.Part, int64(p.Tenant))
	return err
}

// firstOf is the smallest id of an hour. A part holds one hour's ids only, so
// that hours are ranges of ids.
func firstOf(h column.Hour) int64 {
	return int64(ids.FirstAt[ids.Message](time.Unix(int64(h)*3600, 0)))
}

func endOf(h column.Hour) int64 { return firstOf(h + 1) }

// Ready implements history.Words.
func (x *Words) Ready(ctx context.Context, tenant ids.Tenant, m ids.Message) error {
	hour := column.HourOf(m.Time())
	args := []any{int64(tenant), field, int64(m), endOf(hour), int64(m)}
	err := x.set.Each(ctx, "look", args, func(scan func(...any) error) error {
		var at int64
		var wrapped []byte
		if err := scan(&at, &wrapped); err != nil {
			return err
		}
		_, err := x.vault.Unwrap(tenant, vault.AD{Table: "column/" + field, Row: at}, wrapped)
		if fault.Is(err, fault.Gone) {
			return nil
		}
		return err
	})
	return fault.Wrap(err, "load the keys of chunks")
}

// Drop implements history.Words.
func (x *Words) Drop(ctx context.Context, tx *db.Tx, tenant ids.Tenant, m ids.Message) error {
	_, err := x.drop(ctx, tx, tenant, m)
	return err
}

// drop rewrites the chunk that holds a message. If there is none a reader may have
// the message in hand: the turn makes it read again. Whichever of the two commits
// first, the other sees it, because both change the turn's row.
func (x *Words) drop(ctx context.Context, tx *db.Tx, tenant ids.Tenant, m ids.Message) (int, error) {
	hour := column.HourOf(m.Time())
	c := column.New(records{tx, x.set, int64(m), int64(m)}, x.vault)
	n, err := c.Erase(ctx, tenant, field, hour, hour+1, map[int64]bool{int64(m): true})
	if err == nil && n == 0 {
		_, err = tx.Do(ctx, x.set, "take_turn", dropped)
	}
	return n, fault.Wrap(err, "drop a subject")
}

// everything is above every id.
const everything = math.MaxInt64
