package db

import (
	"context"
	"fmt"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/service"
)

// Tx is one transaction of the cold path. It is valid inside Change's function
// and on its goroutine only.
type Tx struct {
	c       *committer
	time    time.Time
	units   []*waiting // applied, to be told to the watchers
	reading bool
	over    bool
}

// Change runs f in one transaction on the writing goroutine, between two groups:
// f must be short and must not wait for the network. If f returns an error
// nothing happened and Change returns it. f runs again when the database asks
// for it (serialisation), so it must have no effect but through its Tx. The act
// names what is done: "pause a lane".
func (d *DB) Change(ctx context.Context, act string, f func(*Tx) error) error {
	w := &waiting{answer: make(chan error, 1)}
	w.change = func(own context.Context, c *committer) {
		if err := ctx.Err(); err != nil {
			w.give(fault.Because(fault.Unavailable, err, ""))
			return
		}
		w.give(c.changeAll(own, f))
	}
	return fault.Wrap(d.enter(ctx, w), act)
}

// patience is how often a Change is repeated beside other nodes' transactions
// before it runs with none beside it.
const patience = 4

// changeAll repeats the transaction while the database asks for it.
func (c *committer) changeAll(ctx context.Context, f func(*Tx) error) error {
	c.active = true
	out := rescue{c: c}
	for attempt := 0; ; attempt++ {
		if err := c.room(ctx).refuse(false); err != nil {
			return err
		}
		how := serial
		if attempt > patience {
			how = alone
		}
		err := c.changeOnce(ctx, how, f)
		switch {
		case fault.Is(err, fault.Full) && out.another(ctx):
		case err != nil && again(err) && attempt < mostRepeats:
			c.writer.giveWay(ctx, attempt)
		default:
			return err
		}
	}
}

func (c *committer) changeOnce(ctx context.Context, how isolation, f func(*Tx) error) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	if err := c.writer.begin(ctx, how); err != nil {
		return err
	}
	tx := &Tx{c: c}
	err := service.Guard(func() (err error) {
		if tx.time, err = c.writer.now(ctx); err != nil {
			return err
		}
		return f(tx)
	})
	tx.over = true
	if err == nil {
		err = c.writer.commit(ctx)
	}
	if err != nil {
		c.writer.rollback(ctx)
		c.next = nil // read the numbers again
		return err
	}
	c.arrangeAgain(tx.units)
	c.publish()
	return nil
}

// Now is the transaction's one time, by the database's clock.
func (tx *Tx) Now() time.Time { return tx.time }

func (tx *Tx) usable() error {
	if tx.over {
		return fault.Because(fault.Internal, fmt.Errorf("a transaction is used after its end"), "")
	}
	if tx.reading {
		return fault.Because(fault.Internal, fmt.Errorf("a transaction is used inside its own Each: collect first"), "")
	}
	return nil
}

// One reads one row inside the transaction; no row is a NotFound fault.
func (tx *Tx) One(ctx context.Context, set *Set, name string, args []any, dest ...any) error {
	found := false
	err := tx.Each(ctx, set, name, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	})
	if err == nil && !found {
		return fault.New(fault.NotFound, "")
	}
	return err
}

// Each reads rows inside the transaction. row must not use the transaction.
func (tx *Tx) Each(ctx context.Context, set *Set, name string, args []any, row func(scan func(dest ...any) error) error) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.Because(fault.Unavailable, err, "")
	}
	q, args, err := set.find(name, args)
	if err != nil {
		return err
	}
	stmt, err := tx.c.writer.query(ctx, q)
	if err != nil {
		return fault.Wrap(err, "read "+set.pkg+" "+name)
	}
	tx.reading = true
	defer func() { tx.reading = false }()
	// A cancelled statement would break the one writing connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*ReadLimit)
	defer cancel()
	return set.each(ctx, name, stmt, args, row)
}

// Do runs a statement and returns how many rows it changed. A broken rule of a
// table is a Conflict fault, after which the transaction can go on.
func (tx *Tx) Do(ctx context.Context, set *Set, name string, args ...any) (int64, error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fault.Because(fault.Unavailable, err, "")
	}
	q, args, err := set.find(name, args)
	if err != nil {
		return 0, err
	}
	var affected int64
	err = tx.guarded(ctx, func() error {
		stmt, err := tx.c.writer.query(ctx, q)
		if err != nil {
			return err
		}
		result, err := stmt.ExecContext(context.WithoutCancel(ctx), args...)
		if err != nil {
			return tx.c.db.classify(err)
		}
		affected, err = result.RowsAffected()
		return tx.c.db.classify(err)
	})
	return affected, fault.Wrap(err, "change "+set.pkg+" "+name)
}

// guarded runs f behind a savepoint where one failure would end everything.
func (tx *Tx) guarded(ctx context.Context, f func() error) error {
	w := tx.c.writer
	if !w.guarded() {
		return f()
	}
	if err := w.savepoint(ctx); err != nil {
		return err
	}
	err := f()
	if fault.Is(err, fault.Conflict) && !again(err) {
		if undone := w.undo(ctx); undone != nil {
			return undone
		}
	}
	return err
}

// Apply makes a unit part of the transaction. A condition that does not hold is
// a Conflict fault, after which the transaction can go on without the unit.
func (tx *Tx) Apply(ctx context.Context, u *Unit) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := tx.c.db.check(u); err != nil {
		return err
	}
	if err := tx.c.db.space.now().refuse(u.NewMail); err != nil {
		return err
	}
	w := &waiting{unit: u}
	if err := tx.c.alone(context.WithoutCancel(ctx), w); err != nil {
		return err
	}
	tx.units = append(tx.units, w)
	return nil
}
