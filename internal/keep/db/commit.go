package db

import (
	"context"
	"database/sql"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/service"
)

const (
	groupLimit   = 512 // units in one transaction
	failureEvery = 5 * time.Second
	idleAfter    = 2 * time.Second // between two looks at log and leases while nobody writes
)

// writer is the one connection that writes, used by the committing goroutine.
type writer interface {
	compile(ctx context.Context, text string) error
	compileBulk(ctx context.Context, b *Bulk) error
	begin(ctx context.Context, how isolation) error // opens a transaction
	// run executes the steps in order and marks in each which rows found nothing.
	run(ctx context.Context, steps []*step) error
	savepoint(ctx context.Context) error
	undo(ctx context.Context) error // to the savepoint
	commit(ctx context.Context) error
	rollback(ctx context.Context)
	query(ctx context.Context, q *query) (*sql.Stmt, error)
	guarded() bool // one statement's failure ends the whole transaction: use savepoints
	now(ctx context.Context) (time.Time, error)
	numbers(ctx context.Context) (map[*Bulk]int64, error) // the highest number of each bulk
	// heal makes a broken writer usable again, or says why it cannot.
	heal(ctx context.Context) error
	broken()
	rest(ctx context.Context)          // housekeeping while nobody waits
	makeRoom(ctx context.Context) bool // on a full disk: whether the files are smaller now
	// giveWay waits before the attempt after this one, when another node was faster.
	giveWay(ctx context.Context, attempt int)
	scrub(ctx context.Context) error
	close(ctx context.Context)
}

// isolation is what a transaction shares with those of other nodes.
type isolation int

const (
	grouped isolation = iota // conditions in its statements are enough
	serial                   // as if it were the only one; it may have to be repeated
	alone                    // it is the only one: others wait until it ends
)

// step is one bulk's rows in a group.
type step struct {
	bulk    *Bulk
	change  bool
	rows    [][]any
	memos   []any
	units   []int     // per row: its unit's place in the group
	changes []*Change // changes only: where the rows come from
	missed  []int     // changes only: rows that found nothing
	strict  bool      // changes only: no row is optional
	last    int64     // numbered adds only: the highest number, to be remembered
}

func (s *step) reset() {
	clear(s.rows)
	clear(s.memos)
	clear(s.changes)
	s.rows, s.memos, s.units, s.changes, s.missed = s.rows[:0], s.memos[:0], s.units[:0], s.changes[:0], s.missed[:0]
	s.strict, s.last = true, 0
}

// committer is the state of the committing goroutine.
type committer struct {
	db       *DB
	writer   writer
	group    []*waiting
	deferred []*waiting // met a key that the group already changes
	closure  *waiting
	keys     map[changeKey]struct{}
	touched  []*step         // by bulk index: changes first, then adds
	steps    []*step         // those of this group, in order of running
	next     map[*Bulk]int64 // the highest number so far; nil: not known
	node     int64           // whose numbers they are
	told     time.Time       // when the last failure was logged
	active   bool            // something was committed since the last look
	short    bool            // new mail is refused, and the log was emptied for that
}

type changeKey struct {
	bulk *Bulk
	key  any
}

// gather takes what waits without waiting itself. It stops at a closure, which
// then runs after the group.
func (c *committer) gather() {
	earlier := c.deferred
	c.deferred = nil
	for _, w := range earlier {
		c.take(w)
	}
	for len(c.group) < groupLimit && c.closure == nil && len(c.deferred) < groupLimit {
		select {
		case w, ok := <-c.db.queue:
			if !ok {
				return
			}
			c.take(w)
		default:
			return
		}
	}
}

// take puts one into the group. Two units that change the same key must see one
// another, so the second waits for the next group.
func (c *committer) take(w *waiting) {
	switch {
	case w.change != nil:
		c.closure = w
	case len(c.group) >= groupLimit || c.meets(w.unit):
		c.deferred = append(c.deferred, w)
	default:
		c.group = append(c.group, w)
	}
}

func (c *committer) meets(u *Unit) bool {
	if len(c.group) == 0 {
		clear(c.keys)
	}
	if c.keys == nil {
		c.keys = map[changeKey]struct{}{}
	}
	for i := range u.Changes {
		if _, met := c.keys[keyOf(&u.Changes[i])]; met {
			return true
		}
	}
	for i := range u.Changes {
		c.keys[keyOf(&u.Changes[i])] = struct{}{}
	}
	return false
}

func keyOf(ch *Change) changeKey {
	key := ch.Row[0]
	if b, ok := key.([]byte); ok {
		key = string(b)
	}
	return changeKey{ch.By, key}
}

func (c *committer) answer(group []*waiting, err error) {
	for _, w := range group {
		w.give(err)
	}
}

// commitGroup commits the group; units that cannot be are answered and leave
// it, and the others run again.
func (c *committer) commitGroup(ctx context.Context) {
	c.active = true
	d := c.db
	group, out := c.admit(ctx, c.group), rescue{c: c}
	for attempt := 0; len(group) > 0; attempt++ {
		missed, err := c.attempt(ctx, group)
		if fault.Is(err, fault.Conflict) {
			err = c.separately(ctx, group)
			if err == nil {
				return
			}
		}
		switch {
		case err == nil && missed == nil:
			d.meters.group(len(group))
			c.publish()
			c.answer(group, nil)
			return
		case err == nil:
			group = c.drop(group, missed)
		case fault.Is(err, fault.Full) && out.another(ctx):
			group = c.admit(ctx, group)
		case again(err) && attempt < mostRepeats:
			c.writer.giveWay(ctx, attempt)
		default:
			c.fail(group, err)
			return
		}
	}
}

// admit answers those that may not enter in the present state of space.
func (c *committer) admit(ctx context.Context, group []*waiting) []*waiting {
	state := c.room(ctx)
	if state < NoNewMail {
		return group
	}
	kept := make([]*waiting, 0, len(group))
	for _, w := range group {
		if err := state.refuse(w.unit.NewMail); err != nil {
			w.give(err)
			continue
		}
		kept = append(kept, w)
	}
	return kept
}

// ready makes the writer usable and knows the numbers.
func (c *committer) ready(ctx context.Context) error {
	if err := c.writer.heal(ctx); err != nil {
		c.next = nil
		return err
	}
	if node := c.db.node.number.Load(); c.next == nil || c.node != node {
		c.node = node
		numbers, err := c.writer.numbers(ctx)
		if err != nil {
			return err
		}
		c.next = numbers
	}
	return nil
}

// attempt runs the whole group in one transaction. It returns the places of the
// units that missed a row; then nothing was committed.
func (c *committer) attempt(ctx context.Context, group []*waiting) (map[int]bool, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	c.arrange(group)
	if err := c.writer.begin(ctx, grouped); err != nil {
		return nil, err
	}
	missed, err := c.execute(ctx)
	if err != nil || missed != nil {
		c.writer.rollback(ctx)
		c.takeBack()
		return missed, err
	}
	if err := c.writer.commit(ctx); err != nil {
		c.writer.rollback(ctx)
		return nil, c.happened(ctx, err)
	}
	return nil, nil
}

// execute runs the arranged steps and returns which units missed a row.
func (c *committer) execute(ctx context.Context) (map[int]bool, error) {
	if err := c.writer.run(ctx, c.steps); err != nil {
		return nil, err
	}
	var missed map[int]bool
	for _, s := range c.steps {
		for _, row := range s.missed {
			if s.changes[row].Optional {
				s.changes[row].missed = true
				continue
			}
			if missed == nil {
				missed = map[int]bool{}
			}
			missed[s.units[row]] = true
		}
	}
	return missed, nil
}

// arrange sorts the group's rows by bulk and numbers them.
func (c *committer) arrange(group []*waiting) {
	for _, s := range c.steps {
		s.reset()
	}
	c.steps = c.steps[:0]
	for place, w := range group {
		c.arrangeUnit(place, w.unit)
	}
	c.collect()
}

func (c *committer) arrangeUnit(place int, u *Unit) {
	for i := range u.Changes {
		ch := &u.Changes[i]
		ch.missed = false
		s := c.step(ch.By, true)
		s.rows, s.units, s.changes = append(s.rows, ch.Row), append(s.units, place), append(s.changes, ch)
		s.strict = s.strict && !ch.Optional
	}
	for i := range u.Adds {
		a := &u.Adds[i]
		s := c.step(a.By, false)
		if a.By.numbered {
			c.next[a.By]++
			a.Row[0], a.Row[1] = c.db.node.number.Load(), c.next[a.By]
			s.last = c.next[a.By]
		}
		s.rows, s.units, s.memos = append(s.rows, a.Row), append(s.units, place), append(s.memos, a.Memo)
	}
}

func (c *committer) step(b *Bulk, change bool) *step {
	at := b.index
	if !change {
		at += len(c.db.bulks)
	}
	if c.touched[at] == nil {
		c.touched[at] = &step{bulk: b, change: change, strict: true}
	}
	return c.touched[at]
}

// collect lists the steps that have rows: changes in file order, then adds.
func (c *committer) collect() {
	for _, s := range c.touched {
		if s != nil && len(s.rows) > 0 {
			c.steps = append(c.steps, s)
		}
	}
}

// takeBack gives the numbers of a transaction that did not happen back.
func (c *committer) takeBack() {
	for _, s := range c.steps {
		if s.bulk.numbered {
			c.next[s.bulk] -= int64(len(s.rows))
		}
	}
}

// drop answers the units that missed a row and returns the others.
func (c *committer) drop(group []*waiting, missed map[int]bool) []*waiting {
	kept := make([]*waiting, 0, len(group))
	for place, w := range group {
		if missed[place] {
			w.give(conflict())
			continue
		}
		kept = append(kept, w)
	}
	return kept
}

func conflict() error {
	return fault.New(fault.Conflict, "Somebody else was first, or it is in another state by now.")
}

// publish tells the watchers.
// A watcher that panics is a defect; what is committed stays committed.
func (c *committer) publish() {
	if err := service.Guard(func() error { publish(c.steps); return nil }); err != nil {
		c.db.log.Log.Error("a watcher of commits failed", "error", err)
	}
}

func publish(steps []*step) {
	for _, s := range steps {
		watchers := s.bulk.watchers.Load()
		if watchers == nil {
			continue
		}
		if rows := s.committed(); len(rows) > 0 {
			for _, f := range *watchers {
				f(rows)
			}
		}
	}
}

// committed is what watchers see: a row that an optional change did not find is
// left out.
func (s *step) committed() []Committed {
	rows := make([]Committed, 0, len(s.rows))
	for i, row := range s.rows {
		one := Committed{Row: row}
		if s.change && s.changes[i].missed {
			continue
		}
		if s.bulk.numbered {
			one.Seq = row[1].(int64)
		}
		if !s.change {
			one.Memo = s.memos[i]
		}
		rows = append(rows, one)
	}
	return rows
}

// fail answers a group that could not be committed and remembers why.
func (c *committer) fail(group []*waiting, err error) {
	c.db.meters.failed(fault.KindOf(err))
	if now := c.db.config.Clock.Now(); now.Sub(c.told) >= failureEvery {
		c.told = now // an outage is one line every few seconds, not one a group
		c.db.log.Log.Error("a group could not be committed", "units", len(group), "error", err)
	}
	c.answer(group, fault.Wrap(err, "commit"))
}

// rest is done while nobody waits.
func (c *committer) rest(ctx context.Context) {
	c.db.space.look()
	if c.active {
		c.active = false
		return
	}
	if c.writer.heal(ctx) == nil {
		c.room(ctx)
		c.writer.rest(ctx)
	}
}
