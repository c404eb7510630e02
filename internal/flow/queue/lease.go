package queue

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/blob"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

const (
	lookEvery    = time.Second // how often due rows are looked for while nothing wakes us
	lanesPerLook = 500         // lanes looked at before room is asked for again
	perLease     = 200         // rows leased from one lane at a time
)

// lease brings due rows into memory, lane by lane, so that a lane with a
// million rows gets no more of the window than its turn.
func (q *Queue) lease(ctx context.Context) error {
	after, left := int64(-1), false
	for {
		took, next, more, err := q.look(ctx, after)
		if err != nil && ctx.Err() == nil {
			q.log.Error("lease due recipients", "error", err)
		}
		left = left || more || err != nil
		if after = next; next == -1 {
			q.behind.Store(left)
			left = false
		}
		if took > 0 && err == nil && q.lanes.room() >= perLease {
			continue
		}
		t := q.Clock.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C():
		case <-q.hungry:
			t.Stop()
		}
	}
}

// look goes once through the next lanes after a lane and leases what is due. It
// returns the lane to go on from, -1 after the last, and whether it left due
// rows behind.
func (q *Queue) look(ctx context.Context, after int64) (took int, next int64, more bool, err error) {
	now, err := q.DB.Now(ctx)
	if err != nil {
		return 0, after, false, fault.Wrap(err, "ask the database's clock")
	}
	for range lanesPerLook {
		room := q.lanes.room()
		if room == 0 {
			return took, after, true, nil
		}
		var lane, due int64
		err := q.set.One(ctx, "next_lane", []any{after}, &lane, &due)
		if fault.Is(err, fault.NotFound) {
			return took, -1, more, nil
		}
		if err != nil {
			return took, after, true, fault.Wrap(err, "find due lane")
		}
		after = lane
		if due > clock.Micros(now) {
			continue
		}
		n := 0
		if q.lanes.has(lane) < min(perLease, q.lanes.share) {
			if n, err = q.leaseLane(ctx, lane, now, min(room, perLease)); err != nil {
				return took, after, true, err
			}
		}
		took += n
		more = more || n == 0 || n == min(room, perLease)
	}
	return took, after, more, nil
}

// leased is one row as the lease query gives it.
type leased struct {
	id      ids.Recipient
	message ids.Message
	tenant  ids.Tenant
	lane    int64
	site    int64
	state   State
	due     time.Time
	expires time.Time
	attempt int
	token   int64
	sealed  []byte
}

func scanLeased(scan func(...any) error) (l leased, err error) {
	var id, message, tenant, due, expires int64
	err = scan(&id, &message, &tenant, &l.lane, &l.site, &l.state, &due, &expires, &l.attempt, &l.token, &l.sealed)
	l.id, l.message, l.tenant = ids.Recipient(id), ids.Message(message), ids.Tenant(tenant)
	l.due, l.expires = clock.FromMicros(due), clock.FromMicros(expires)
	return l, err
}

// leaseLane writes the attempt down for up to n rows and hands them to couriers.
func (q *Queue) leaseLane(ctx context.Context, lane int64, now time.Time, n int) (int, error) {
	if !q.lanes.reserve(n) {
		return 0, nil
	}
	var rows []leased
	life := q.DB.Life()
	err := q.DB.Change(ctx, "lease due recipients", func(tx *db.Tx) error {
		rows = rows[:0]
		return tx.Each(ctx, q.set, "lease", []any{int64(life), lane, clock.Micros(now), n}, func(scan func(...any) error) error {
			l, err := scanLeased(scan)
			rows = append(rows, l)
			return err
		})
	})
	if err != nil {
		q.lanes.release(n)
		return 0, fault.Wrap(err, "lease lane")
	}
	q.lanes.release(n - len(rows))
	q.dispatch(ctx, life, rows)
	return len(rows), nil
}

// dispatch makes parcels of leased rows and pushes them. A row that cannot be
// opened now, because a store is away, is tried again later; one that never will
// be is left leased and logged: the operator sees it.
func (q *Queue) dispatch(ctx context.Context, life db.Life, rows []leased) {
	envelopes := map[ids.Message]*Envelope{}
	var parcels []*work
	for _, l := range rows {
		w, err := q.workOf(ctx, life, &parcels, envelopes, l)
		if err != nil || w == nil {
			q.lanes.release(1)
			if err != nil {
				q.log.Error("a leased recipient cannot be opened", "recipient", l.id.String(), "error", err)
			}
			if fault.Is(err, fault.Unavailable) {
				q.later(ctx, l)
			}
		}
	}
	for _, w := range parcels {
		if !q.lanes.push(w) {
			q.giveBack(w)
		}
	}
}

// unreadable is how long a row waits that could not be opened.
const unreadable = time.Minute

// later makes a leased row ready again that was not tried. While the database is
// away nothing can be leased, so it waits for it.
func (q *Queue) later(ctx context.Context, l leased) {
	for {
		err := q.DB.Change(ctx, "put off a recipient", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, q.set, "put_off", int64(l.id), l.token, clock.Micros(tx.Now().Add(unreadable)))
			return err
		})
		if !fault.Is(err, fault.Unavailable) || clock.Sleep(ctx, q.Clock, time.Second) != nil {
			return
		}
	}
}

// workOf adds one leased row to the parcel that goes its way; nil means that
// the row was set aside because its destination is paused.
func (q *Queue) workOf(ctx context.Context, life db.Life, parcels *[]*work, envelopes map[ids.Message]*Envelope, l leased) (*work, error) {
	if q.paused(l.tenant, l.site) {
		return nil, q.DB.Change(ctx, "set a paused recipient aside", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, q.set, "set_aside", int64(l.id), l.token)
			return err
		})
	}
	r, err := q.openRow(l.tenant, l.id, l.sealed)
	if err != nil {
		return nil, err
	}
	env := envelopes[l.message]
	if env == nil {
		if env, err = q.envelope(ctx, scope.Everyone, l.message); err != nil {
			return nil, err
		}
		envelopes[l.message] = env
	}
	e := entry{token: l.token, attempt: l.attempt, expires: l.expires}
	for _, w := range *parcels {
		if w.parcel.Message == l.message && w.takes(r.Recipient) {
			w.add(l.id, r.Recipient, e)
			return w, nil
		}
	}
	w := newWork(life, env, nil, l.lane, l.site, r.Route)
	w.add(l.id, r.Recipient, e)
	*parcels = append(*parcels, w)
	return w, nil
}

// envelope reads a message's envelope from the store.
func (q *Queue) envelope(ctx context.Context, s scope.Scope, m ids.Message) (*Envelope, error) {
	env, _, err := q.stored(ctx, s, m)
	return env, err
}

// stored reads a message's row: envelope, and where its bytes are.
func (q *Queue) stored(ctx context.Context, s scope.Scope, m ids.Message) (*Envelope, *Stored, error) {
	env := &Envelope{ID: m}
	content := &Stored{message: m}
	var tenant, direction, class int64
	var name string
	var sealed []byte
	err := q.set.One(ctx, "content", []any{int64(m)}, &tenant, &direction, &class, &env.Size, &name, &content.wrapped, &sealed)
	if err != nil {
		return nil, nil, fault.Wrap(err, "read message row")
	}
	if !s.Allows(ids.Tenant(tenant)) {
		return nil, nil, fault.New(fault.NotFound, "There is no such message in the queue.")
	}
	env.Tenant, env.Direction, env.Class = ids.Tenant(tenant), history.Direction(direction), Class(class)
	content.tenant, content.Blob = env.Tenant, blob.Name(name)
	plain, err := q.Vault.Open(nil, env.Tenant, vault.AD{Table: messageTable, Row: int64(m)}, sealed)
	if err != nil {
		return nil, nil, fault.Wrap(err, "open envelope")
	}
	return env, content, env.read(plain)
}
