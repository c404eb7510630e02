package queue

import (
	"context"
	"errors"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
)

// Waiting is one message that waits, as its customer gets it.
type Waiting struct {
	Message    ids.Message
	Envelope   *Envelope
	Recipients []Item
}

// EachOf gives every message of a scope that waits, in the order of acceptance.
// What is settled meanwhile is left out.
func (q *Queue) EachOf(ctx context.Context, s scope.Scope, yield func(Waiting) error) error {
	for last := ids.Recipient(0); ; {
		page, err := q.List(ctx, s, Filter{After: last, Limit: maxPage})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, i := range page {
			last = i.ID
			w, err := q.waiting(ctx, s, i)
			if err == nil && w != nil {
				err = yield(*w)
			}
			if err != nil {
				return err
			}
		}
	}
}

// waiting is the message of its first recipient; of another one it is nil.
func (q *Queue) waiting(ctx context.Context, s scope.Scope, i Item) (*Waiting, error) {
	all, err := q.OfMessage(ctx, s, i.Message)
	if err != nil || len(all) == 0 || all[0].ID != i.ID {
		return nil, err
	}
	env, _, err := q.stored(ctx, s, i.Message)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil, nil
	}
	return &Waiting{i.Message, env, all}, err
}

// Busy says how many of a scope's recipients are in an attempt.
func (q *Queue) Busy(ctx context.Context, s scope.Scope) (int, error) {
	counts, err := q.Counts(ctx, s)
	return int(counts[Leased]), err
}

// Drop removes every message of an ended customer, its bytes and pauses, whatever
// became of it, and says how many. No key is needed for it.
func (q *Queue) Drop(ctx context.Context, of ids.Tenant) (int, error) {
	const page = 200
	for total := 0; ; {
		var names []blob.Name
		var last int64
		n := 0
		err := q.DB.Change(ctx, "drop a customer's mail", func(tx *db.Tx) error {
			names, n = names[:0], 0
			err := tx.Each(ctx, q.set, "places_of_tenant", []any{of, page}, func(scan func(...any) error) error {
				var name string
				n++
				err := scan(&last, &name)
				if name != "" {
					names = append(names, blob.Name(name))
				}
				return err
			})
			if err != nil {
				return err
			}
			if n == 0 {
				last = 1<<63 - 1 // rows that lost their message
			}
			for _, query := range []string{"drop_bodies", "drop_rows", "drop_messages"} {
				gone, err := tx.Do(ctx, q.set, query, of, last)
				if err != nil {
					return err
				}
				if query == "drop_messages" && int(gone) < n {
					return fault.New(fault.Internal, "messages cannot be deleted")
				}
			}
			_, err = tx.Do(ctx, q.set, "drop_pauses", of)
			return err
		})
		if err != nil || n == 0 {
			return total, fault.Wrap(err, "drop a customer's mail")
		}
		total += n
		if err := q.dropBlobs(ctx, names); err != nil {
			return total, err
		}
	}
}

func (q *Queue) dropBlobs(ctx context.Context, names []blob.Name) error {
	var wrong []error
	for _, name := range names {
		if err := q.Blobs.Delete(ctx, name); err != nil && !fault.Is(err, fault.NotFound) {
			wrong = append(wrong, err)
		}
	}
	return fault.Wrap(errors.Join(wrong...), "delete a customer's message bytes; the sweep will")
}
