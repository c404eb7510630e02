package db

import (
	"context"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// Life names one process's hold of its node number: another process, and this
// one after it lost the number, has another life. Rows that a process takes for
// itself carry its life, so that they can be told from those of the living.
type Life int64

func lifeOf(node, token int64) int64 { return node<<32 | token }

// Life is this process's. On PostgreSQL it changes when the node's lease was
// lost; then whatever the former life held belongs to others.
func (d *DB) Life() Life { return Life(d.node.life.Load()) }

// Holds reports that this node's lease has certainly not run out, so that nobody
// can have taken what it holds. On SQLite that is always so.
func (d *DB) Holds() bool {
	return d.dialect == SQLite || d.sinceBorn() < time.Duration(d.node.held.Load())
}

func (d *DB) sinceBorn() time.Duration { return d.config.Clock.Now().Sub(d.born) }

// Ended is how many nodes' leases have run out, by the database's clock, without
// anybody having put their work back; see Tx.EndLives.
func (d *DB) Ended(ctx context.Context) (n int, err error) {
	if d.dialect == SQLite {
		return 0, nil
	}
	now, err := d.Now(ctx)
	if err == nil {
		err = d.own.One(ctx, "ended_nodes", []any{clock.Micros(now)}, &n)
	}
	return n, fault.Wrap(err, "look for ended nodes")
}

// EndLives ends, for good, every life whose lease has run out: a node that was
// only silent finds its number lost. It returns the lives that go on; in the
// same transaction what carries any other can be taken over.
func (tx *Tx) EndLives(ctx context.Context) ([]Life, error) {
	d := tx.c.db
	if d.dialect == SQLite {
		return []Life{d.Life()}, nil
	}
	now := clock.Micros(tx.Now())
	if _, err := tx.Do(ctx, d.own, "end_nodes", now); err != nil {
		return nil, fault.Wrap(err, "end lives")
	}
	var living []Life
	err := tx.Each(ctx, d.own, "living_nodes", []any{now}, func(scan func(...any) error) error {
		var node, token int64
		err := scan(&node, &token)
		living = append(living, Life(lifeOf(node, token)))
		return err
	})
	return living, fault.Wrap(err, "list the living")
}

// Node is one process that shares the database, or did.
type Node struct {
	Number int
	Life   Life
	Region string
	Place  string
	Until  time.Time // when its lease ends or ended; zero if it gave it back
	Alive  bool
}

// Nodes are all that ever shared the database.
func (d *DB) Nodes(ctx context.Context) ([]Node, error) {
	now, err := d.Now(ctx)
	if err != nil {
		return nil, err
	}
	if d.dialect == SQLite {
		return []Node{{Number: d.Node(), Life: d.Life(), Region: d.config.Region, Place: d.config.Place, Until: now.Add(nodeLeaseTime), Alive: true}}, nil
	}
	var list []Node
	err = d.own.Each(ctx, "nodes", nil, func(scan func(...any) error) error {
		var number, token, until int64
		n := Node{}
		if err := scan(&number, &token, &until, &n.Region, &n.Place); err != nil {
			return err
		}
		n.Number, n.Life, n.Alive = int(number), Life(lifeOf(number, token)), until >= clock.Micros(now)
		if until > 0 {
			n.Until = clock.FromMicros(until)
		}
		list = append(list, n)
		return nil
	})
	return list, fault.Wrap(err, "list nodes")
}
