package db

import (
	"context"

	"mailvow/internal/base/fault"
)

// separately runs a group in which some row breaks a rule of its table: each
// unit behind a savepoint, the good ones in one commit. After an error nobody
// was answered and nothing was committed.
func (c *committer) separately(ctx context.Context, group []*waiting) error {
	if err := c.writer.begin(ctx, grouped); err != nil {
		return err
	}
	good, refused := make([]*waiting, 0, len(group)), map[*waiting]error{}
	for _, w := range group {
		switch err := c.alone(ctx, w); {
		case err == nil:
			good = append(good, w)
		case fault.Is(err, fault.Conflict):
			refused[w] = err
		default:
			return c.abandon(ctx, err)
		}
	}
	if err := c.writer.commit(ctx); err != nil {
		return c.abandon(ctx, err)
	}
	c.arrangeAgain(good)
	c.publish()
	c.answer(good, nil)
	for w, err := range refused {
		w.give(err)
	}
	return nil
}

func (c *committer) abandon(ctx context.Context, err error) error {
	c.writer.rollback(ctx)
	c.next = nil
	return err
}

// alone runs one unit behind a savepoint.
func (c *committer) alone(ctx context.Context, w *waiting) error {
	if err := c.writer.savepoint(ctx); err != nil {
		return err
	}
	c.arrange([]*waiting{w})
	missed, err := c.execute(ctx)
	if err == nil && missed == nil {
		return nil
	}
	c.takeBack()
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	if undone := c.writer.undo(ctx); undone != nil {
		return undone
	}
	if err == nil {
		err = conflict()
	}
	return err
}

// arrangeAgain sorts rows that already have their numbers, for publishing.
func (c *committer) arrangeAgain(group []*waiting) {
	for _, s := range c.steps {
		s.reset()
	}
	c.steps = c.steps[:0]
	for place, w := range group {
		for i := range w.unit.Changes {
			ch := &w.unit.Changes[i]
			s := c.step(ch.By, true)
			s.rows, s.units, s.changes = append(s.rows, ch.Row), append(s.units, place), append(s.changes, ch)
		}
		for i := range w.unit.Adds {
			a := &w.unit.Adds[i]
			s := c.step(a.By, false)
			s.rows, s.units, s.memos = append(s.rows, a.Row), append(s.units, place), append(s.memos, a.Memo)
		}
	}
	c.collect()
}
