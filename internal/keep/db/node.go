package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

const (
	nodeLeaseTime = 30 * time.Second
	renewEvery    = 10 * time.Second
)

// nodeLease is this process's number. On SQLite it is what the configuration
// says; on PostgreSQL it is claimed by a lease that the database's clock judges
// and that each transaction checks, so that no two live nodes share a number.
type nodeLease struct {
	number atomic.Int64
	life   atomic.Int64
	held   atomic.Int64 // until when it is certainly held, in nanoseconds since born
	token  int64        // grows with each owner; known to the committing goroutine only
}

// claim takes the configured number, or the lowest that is free, or a new one.
func (w *postgresWriter) claim(ctx context.Context) error {
	for range 20 { // somebody else may be taking the same one
		ok, err := w.tryClaim(ctx, int64(w.db.config.Node))
		if err != nil || ok {
			return fault.Wrap(err, "claim a node number")
		}
	}
	return fault.New(fault.Unavailable, "No node number could be claimed; try again soon.")
}

func (w *postgresWriter) tryClaim(ctx context.Context, want int64) (bool, error) {
	asked := w.db.sinceBorn()
	now, err := w.clock(ctx)
	if err != nil {
		return false, err
	}
	until := clock.Micros(now.Add(nodeLeaseTime))
	var node, token int64
	err = w.one(ctx, "free_node", []any{clock.Micros(now), want}, &node, &token)
	switch {
	case err == nil:
		n, err := w.do(ctx, "take_node", node, token, until, w.db.config.Region, w.db.config.Place)
		if err != nil || n == 0 {
			return false, err
		}
		w.own(node, token+1, asked)
		return true, nil
	case !errors.Is(err, sql.ErrNoRows):
		return false, w.failed(err)
	}
	return w.addNode(ctx, want, until, asked)
}

func (w *postgresWriter) addNode(ctx context.Context, want, until int64, asked time.Duration) (bool, error) {
	node := want
	if node == 0 {
		if err := w.one(ctx, "last_node", nil, &node); err != nil {
			return false, w.failed(err)
		}
		node++
	}
	n, err := w.do(ctx, "add_node", node, until, w.db.config.Region, w.db.config.Place)
	if err != nil {
		return false, err
	}
	if n == 0 && want != 0 {
		return false, fault.Because(fault.Conflict, fmt.Errorf("node %d has a lease", want), "Another Mailvow runs under this node number.").
			WithHint("Give each node its own number, or none; after a crash the number is free again within 30 seconds.")
	}
	if n == 0 {
		return false, nil
	}
	w.own(node, 1, asked)
	return true, nil
}

// own takes a number; asked is when the lease was asked for, before the
// database's clock was.
func (w *postgresWriter) own(node, token int64, asked time.Duration) {
	w.db.node.number.Store(node)
	w.db.node.token = token
	w.db.node.life.Store(lifeOf(node, token))
	w.db.node.held.Store(int64(asked + nodeLeaseTime))
	w.renewed = w.db.config.Clock.Now()
}

// reclaim renews the lease; if it is lost, another number is claimed.
func (w *postgresWriter) reclaim(ctx context.Context) error {
	asked := w.db.sinceBorn()
	now, err := w.clock(ctx)
	if err != nil {
		return err
	}
	n, err := w.do(ctx, "renew_node", w.db.node.number.Load(), w.db.node.token, clock.Micros(now.Add(nodeLeaseTime)))
	if err != nil {
		return err
	}
	if n == 1 {
		w.renewed = w.db.config.Clock.Now()
		w.db.node.held.Store(int64(asked + nodeLeaseTime))
		return nil
	}
	w.db.log.Log.Warn("the node number was taken over", "node", w.db.Node())
	return w.claim(ctx)
}

// release ends the lease at once.
func (w *postgresWriter) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ReadLimit)
	defer cancel()
	if _, err := w.do(ctx, "renew_node", w.db.node.number.Load(), w.db.node.token, int64(0)); err != nil {
		w.db.log.Log.Warn("the node number was not given back", "error", err)
	}
}

func (w *postgresWriter) one(ctx context.Context, name string, args []any, dest ...any) error {
	return w.conn.QueryRowContext(ctx, w.db.own.queries[name].text, args...).Scan(dest...)
}

func (w *postgresWriter) do(ctx context.Context, name string, args ...any) (int64, error) {
	result, err := w.conn.ExecContext(ctx, w.db.own.queries[name].text, args...)
	if err != nil {
		return 0, w.failed(err)
	}
	return result.RowsAffected()
}
