package db

import (
	"context"
	"fmt"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/service"
)

// Unit is what must happen together on the hot path: a value, no closure, so
// that units which meet share statements. A unit is used once.
type Unit struct {
	Adds    []Add
	Changes []Change
	NewMail bool // refused with Full while space for new mail has run out
}

// Add is a row to insert. In a numbered bulk the first two values are the
// committer's: leave them nil.
type Add struct {
	By   *Bulk
	Row  []any
	Memo any // handed to watchers after the commit, never stored
}

// Change is a row that a conditional update or delete must find. If it does not,
// the unit fails alone with a Conflict, unless the change is Optional. A bulk of
// changes ends in "returning <first column>" and finds at most one row a key.
type Change struct {
	By       *Bulk
	Row      []any
	Optional bool

	missed bool // an optional change that found nothing in the last try
}

// waiting is a unit or a closure on its way through the committer.
type waiting struct {
	unit   *Unit
	change func(context.Context, *committer) // cold path: runs between two groups
	answer chan error                        // takes exactly one
}

// Commit makes the unit durable, or returns why not: Conflict (a condition did
// not hold), Full, ReadOnly, Unavailable. The context ends the wait to enter; a
// unit that has entered is answered when its commit has ended.
func (d *DB) Commit(ctx context.Context, u *Unit) error {
	if err := d.check(u); err != nil {
		return err
	}
	return d.enter(ctx, &waiting{unit: u, answer: make(chan error, 1)})
}

func (d *DB) check(u *Unit) error {
	for i := range u.Adds {
		if err := d.mine(u.Adds[i].By); err != nil {
			return err
		}
		if err := u.Adds[i].By.check(u.Adds[i].Row); err != nil {
			return err
		}
	}
	for i := range u.Changes {
		b := u.Changes[i].By
		if err := d.mine(b); err != nil {
			return err
		}
		if !b.returns || b.numbered {
			return fault.Because(fault.Internal, fmt.Errorf("bulk %s of %s cannot be a change: it must end in returning <first column>", b.name, b.set.pkg), "")
		}
		if err := b.check(u.Changes[i].Row); err != nil {
			return err
		}
		for j := range i {
			if keyOf(&u.Changes[j]) == keyOf(&u.Changes[i]) {
				return fault.Because(fault.Internal, fmt.Errorf("a unit changes one key twice by bulk %s of %s", b.name, b.set.pkg), "")
			}
		}
	}
	return nil
}

func (d *DB) mine(b *Bulk) error {
	if b == nil || b.set.db != d {
		return fault.Because(fault.Internal, fmt.Errorf("a unit names a bulk of another database"), "")
	}
	return nil
}

// enter waits for a place and then for the answer.
func (d *DB) enter(ctx context.Context, w *waiting) error {
	d.entering.RLock()
	if d.closed {
		d.entering.RUnlock()
		return fault.New(fault.Unavailable, "The server is stopping; try again soon.")
	}
	select {
	case d.queue <- w:
		d.entering.RUnlock()
	case <-ctx.Done():
		d.entering.RUnlock()
		return fault.Because(fault.Unavailable, ctx.Err(), "The database is busy; try again soon.")
	}
	return <-w.answer
}

// commitAll is the committing goroutine: it takes all that wait, up to the
// limit, and answers each. It ends when the queue is closed and empty.
func (d *DB) commitAll(ctx context.Context, w writer) error {
	defer close(d.done)
	c := &committer{db: d, writer: w, touched: make([]*step, 2*len(d.bulks))}
	defer func() { c.writer.close(context.WithoutCancel(ctx)) }()
	idle := d.config.Clock.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		if len(c.deferred) == 0 {
			select {
			case first, ok := <-d.queue:
				if !ok {
					return nil
				}
				c.take(first)
			case <-idle.C():
				c.rest(ctx)
				idle.Reset(idleAfter)
				continue
			}
		}
		c.gather()
		c.round(ctx)
	}
}

// round answers what was gathered; a panic answers too, so that nobody waits
// for ever.
func (c *committer) round(ctx context.Context) {
	err := service.Guard(func() error {
		c.commitGroup(ctx)
		if c.closure != nil {
			c.closure.change(ctx, c)
		}
		return nil
	})
	if err != nil {
		c.writer.broken()
		c.answer(c.group, err)
		if c.closure != nil {
			c.closure.give(err)
		}
	}
	c.group, c.closure = c.group[:0], nil
}

// give answers once; a second answer is dropped.
func (w *waiting) give(err error) {
	select {
	case w.answer <- err:
	default:
	}
}
