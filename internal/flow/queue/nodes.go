package queue

import (
	"context"
	"encoding/json"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
)

// PutBackEnded makes everything ready again that lives had leased which are
// over: earlier lives of this process, and nodes whose lease has run out by the
// database's clock. A node that was only silent keeps no hold: its number is
// lost with the same commit, and what it settles later is recorded as superseded.
func (q *Queue) PutBackEnded(ctx context.Context) (n int64, err error) {
	err = q.DB.Change(ctx, "put back leases of ended nodes", func(tx *db.Tx) error {
		living, err := tx.EndLives(ctx)
		if err != nil {
			return err
		}
		list, err := json.Marshal(living)
		if err != nil {
			return fault.Because(fault.Internal, err, "")
		}
		// What was tried often may be what ends nodes: it waits a minute.
		n, err = tx.Do(ctx, q.set, "put_back_ended", string(list), clock.Micros(tx.Now().Add(time.Minute)))
		return err
	})
	if err == nil && n > 0 {
		q.log.Info("put back leased recipients of ended nodes", "count", n)
		q.feed()
	}
	return n, err
}

// keepEvery is how soon a node sees what people paused or resumed on another.
const keepEvery = 2 * time.Second

// Keep follows what other nodes do, until ctx ends: pauses and their end, and
// this node's own loss of its lease, after which its former hold is put back. A
// process that accepts or manages mail runs it also where it does not deliver.
func (q *Queue) Keep(ctx context.Context) error {
	var life, seen db.Life // none: what an earlier life of this number left is put back
	for {
		if now := q.DB.Life(); now != life {
			if _, err := q.PutBackEnded(ctx); err == nil {
				if seen == now { // twice: a row may have been on its way
					life = now
				}
				seen = now
			} else if ctx.Err() == nil {
				q.log.Error("put back what a former life of this node held", "error", err)
			}
		}
		if err := q.RefreshPauses(ctx); err != nil && ctx.Err() == nil {
			q.log.Warn("look for pauses", "error", err)
		}
		if clock.Sleep(ctx, q.Clock, keepEvery) != nil {
			return nil
		}
	}
}

// RefreshPauses reads the pauses that are in force on all nodes. Rows that this
// node set aside under one which another node ended are let go, once more at the
// next call: a row may have been on its way.
func (q *Queue) RefreshPauses(ctx context.Context) error {
	list, err := q.Pauses(ctx, scope.Everyone)
	if err != nil {
		return err
	}
	still := map[int64]bool{}
	for _, p := range list {
		still[int64(p.ID)] = true
	}
	q.pauses.Lock()
	again := q.pauses.ended
	q.pauses.ended = nil
	for _, p := range q.pauses.list {
		if !still[int64(p.ID)] {
			q.pauses.ended = append(q.pauses.ended, p)
		}
	}
	q.pauses.list = list
	again = append(again, q.pauses.ended...)
	q.pauses.Unlock()
	for i, p := range again {
		if err := q.letGo(ctx, scope.Everyone, p); err != nil {
			q.pauses.Lock()
			q.pauses.ended = append(q.pauses.ended, again[i:]...)
			q.pauses.Unlock()
			return err
		}
	}
	return nil
}

// ours reports that a parcel is still this node's to deliver. While that is not
// known, because the database is away and the lease may have run out, it waits:
// another node may have the parcel by now, and nobody gets a message twice.
func (q *Queue) ours(ctx context.Context, w *work) bool {
	for w.life == q.DB.Life() {
		if q.DB.Holds() {
			return true
		}
		if clock.Sleep(ctx, q.Clock, time.Second/2) != nil {
			return false
		}
	}
	return false
}

// abandon forgets a parcel that is not this node's any more; its rows were or
// will be put back with the life that leased them.
func (q *Queue) abandon(w *work) {
	q.log.Warn("a waiting parcel was left to other nodes", "message", w.parcel.Message.String())
	q.lanes.done(w)
	q.lighten(w)
}

// putBackBatch is how many rows one commit puts back.
const putBackBatch = 1000

// putBack makes rows ready that this life leased and did not try. What a life
// leased that is over, others put back.
func (q *Queue) putBack(ctx context.Context, parcels ...*work) error {
	list, life := make([]int64, 0, putBackBatch), q.DB.Life()
	flush := func() error {
		if len(list) == 0 {
			return nil
		}
		text, err := json.Marshal(list)
		if err != nil {
			return fault.Because(fault.Internal, err, "")
		}
		list = list[:0]
		err = q.DB.Change(ctx, "put back waiting recipients", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, q.set, "put_back", string(text), int64(life))
			return err
		})
		if !q.DB.Holds() || life != q.DB.Life() {
			return nil
		}
		return err
	}
	for _, w := range parcels {
		for _, r := range w.parcel.Recipients {
			if list = append(list, int64(r.ID)); len(list) < putBackBatch {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// Waiting is how many recipients this node holds in memory.
func (q *Queue) Waiting() int {
	q.lanes.mu.Lock()
	defer q.lanes.mu.Unlock()
	return q.lanes.held
}

// IsPaused reports whether this node sets a customer's mail aside, whatever its
// destination.
func (q *Queue) IsPaused(tenant ids.Tenant) bool { return q.paused(tenant, 0) }
