package ending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
)

// lookEvery is between two looks at what is due.
const lookEvery = 10 * time.Second

// Run carries ends of contracts out, when they are due and when one is ordered,
// until its context ends. One process at a time runs it.
func (s *Store) Run(ctx context.Context) error {
	log := s.Observe.For(pkg).Log
	for {
		if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
			log.Error("the end of a contract could not be carried out; it is tried again", "error", err, "hint", fault.HintOf(err))
		}
		timer := s.Clock.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.wake:
			timer.Stop()
		case <-timer.C():
		}
	}
}

// errWaits says that a step goes on at a later look.
var errWaits = errors.New("a delivery is under way")

// Tick moves every end of a contract as far as it may go now. One that fails does
// not hold up the others.
func (s *Store) Tick(ctx context.Context) error {
	s.one.Lock()
	defer s.one.Unlock()
	list, err := s.read(ctx, "open")
	if err != nil {
		return fault.Wrap(err, "look for ends of contracts")
	}
	var wrong []error
	for i := range list {
		if err := s.advance(ctx, &list[i]); err != nil && !errors.Is(err, errWaits) {
			wrong = append(wrong, fmt.Errorf("%s: %w", list[i].ID, err))
		}
	}
	return errors.Join(wrong...)
}

func (s *Store) advance(ctx context.Context, e *Ending) error {
	now := s.Clock.Now()
	if e.State == Ended {
		return s.handOut(ctx, e)
	}
	if e.State == Ordered && !now.Before(e.Closes) {
		if err := s.move(ctx, e, Exporting); err != nil {
			return err
		}
	}
	var unread error
	if e.State == Exporting {
		if unread = s.readAll(ctx, e); unread == nil {
			unread = s.move(ctx, e, Waiting)
		}
	}
	if (e.State == Exporting || e.State == Waiting) && !now.Before(e.Due) {
		e.Policy = s.Policies.For(e.Tenant, now).Label
		if err := s.begin(ctx, e); err != nil {
			return err
		}
	}
	if e.State != Destroying {
		return unread // what cannot be read does not stop what must go from going
	}
	return errors.Join(unread, s.destroy(ctx, e))
}

// move is the one way from state to state until the destroying. Where somebody
// else was faster, it is a Conflict.
func (s *Store) move(ctx context.Context, e *Ending, to State) error {
	return s.DB.Change(ctx, "move the end of a contract", func(tx *db.Tx) error { return s.moveIn(ctx, tx, e, to) })
}

func (s *Store) moveIn(ctx context.Context, tx *db.Tx, e *Ending, to State) error {
	if e.State != to && !e.State.MayBecome(to) {
		return fault.New(fault.Internal, "a contract's end that is "+string(e.State)+" cannot become "+string(to))
	}
	counts, err := json.Marshal(e.Counts)
	if err != nil {
		return fault.Wrap(err, "write a contract's end")
	}
	n, err := tx.Do(ctx, s.set, "move", e.ID, string(e.State), string(to), e.step, e.Policy, string(counts))
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "Somebody else has just moved the end of this contract.")
	}
	if err == nil {
		e.State = to
	}
	return err
}

// begin is the point of no return, and stands in the evidence log.
func (s *Store) begin(ctx context.Context, e *Ending) error {
	from := e.State
	return s.DB.Change(ctx, "begin to destroy a customer's data", func(tx *db.Tx) error {
		e.State = from
		if err := s.moveIn(ctx, tx, e, Destroying); err != nil {
			return err
		}
		return s.stage(ctx, tx, e, evidence.BySystem, "contract.destroy")
	})
}

// readAll goes through everything that is handed over once, so that it is known
// before anything is destroyed that it can be read, and how much it is.
func (s *Store) readAll(ctx context.Context, e *Ending) error {
	e.Counts = nil
	var wrong []error
	for _, p := range s.Parts {
		c := Counted{Category: p.Category}
		if p.HandOver != nil {
			err := p.HandOver(ctx, e.Tenant, func(pledge.Record) error { c.Read++; return nil })
			if err != nil {
				wrong = append(wrong, fault.Wrap(err, "read "+p.Category))
			}
		}
		e.Counts = append(e.Counts, c)
	}
	return errors.Join(wrong...)
}

// count is what became of a category so far.
func (e *Ending) count(category string) *Counted {
	for i := range e.Counts {
		if e.Counts[i].Category == category {
			return &e.Counts[i]
		}
	}
	e.Counts = append(e.Counts, Counted{Category: category})
	return &e.Counts[len(e.Counts)-1]
}

type step func(context.Context, *Ending) error

// steps are the destroying, in order. Each can be repeated. What is destroyed is
// in the ledger first; the keys go last, and what a delivery wrote in between is
// deleted after them, when nothing new can be sealed.
func (s *Store) steps() []step {
	list := []step{s.enter, s.outlive, s.quiet}
	for _, p := range s.Parts {
		list = append(list,
			func(ctx context.Context, e *Ending) error { return s.keepByLaw(ctx, e, p) },
			func(ctx context.Context, e *Ending) error { return s.drop(ctx, e, p) })
	}
	return append(list, s.endKeys, s.dropAll, s.scrub, s.certify)
}

func (s *Store) destroy(ctx context.Context, e *Ending) error {
	steps := s.steps()
	for e.step < len(steps) && e.State == Destroying {
		if err := steps[e.step](ctx, e); err != nil {
			return err
		}
		if e.State == Ended {
			break
		}
		e.step++
		if err := s.move(ctx, e, Destroying); err != nil {
			return err
		}
	}
	return s.handOut(ctx, e)
}

func (s *Store) entry(e *Ending) erase.Entry {
	return erase.Entry{ID: e.ID, Tenant: e.Tenant, Whole: true, By: e.By, Reason: e.Reason, At: s.Clock.Now().UTC().Truncate(time.Microsecond), Passes: 1}
}

// enter writes the customer into the ledger, so that a restore is followed by the
// same end.
func (s *Store) enter(_ context.Context, e *Ending) error { return s.Ledger.Put(s.entry(e)) }

func (s *Store) outlive(ctx context.Context, e *Ending) error {
	n, err := s.Outlive(ctx, e.Tenant)
	if err == nil && n > 0 {
		c := e.count("held records")
		c.Kept, c.Why = n, "held: a legal hold, under its own key until it is released"
	}
	return err
}

// quiet stops deliveries and waits for those that are under way, but not for ever.
func (s *Store) quiet(ctx context.Context, e *Ending) error {
	busy, err := s.Quiet(ctx, e.Tenant)
	if err != nil || busy == 0 || !s.Clock.Now().Before(e.Due.Add(s.Grace)) {
		return err
	}
	return errWaits
}

func (s *Store) drop(ctx context.Context, e *Ending, p Part) error {
	if p.Destroy == nil {
		return nil
	}
	n, err := p.Destroy(ctx, e.Tenant)
	e.count(p.Category).Destroyed += n
	return fault.Wrap(err, "destroy "+p.Category)
}

// keysCategory counts the keys.
const keysCategory = "keys"

func (s *Store) endKeys(ctx context.Context, e *Ending) error {
	epochs, err := s.Vault.Epochs(ctx, e.Tenant)
	if err != nil {
		return err
	}
	if err := s.Vault.DestroyTenant(ctx, e.Tenant); err != nil {
		return err
	}
	if n := len(epochs); n > 0 {
		e.count(keysCategory).Destroyed = n + 2 // and that which wrapped them, and that of look-ups
	}
	return s.DB.Change(ctx, "stage the end of a customer's keys", func(tx *db.Tx) error {
		return s.Stage.Stage(ctx, tx, evidence.Leaf{
			ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: evidence.BySystem}, Tenant: e.Tenant,
			Body: &evidence.KeyDestruction{Count: int64(len(epochs) + 2), Purpose: "customer", Reason: e.Reason},
		})
	})
}

func (s *Store) dropAll(ctx context.Context, e *Ending) error {
	for _, p := range s.Parts {
		if err := s.drop(ctx, e, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scrub(ctx context.Context, _ *Ending) error {
	if err := s.After(ctx); err != nil {
		return err
	}
	if err := s.DB.Scrub(ctx); err != nil {
		s.Observe.For(pkg).Log.WarnContext(ctx, "deleted rows stay in free pages until the next scrub", "error", err)
	}
	return nil
}

// Restored deletes again what a restore of an older backup brought back of a
// customer whose contract ended, and says how many records that were. The keys
// are gone: they are never restored.
func (s *Store) Restored(ctx context.Context, x erase.Entry) (int, error) {
	if err := s.Vault.DestroyTenant(ctx, x.Tenant); err != nil { // where a crash came before it
		return 0, err
	}
	e := Ending{ID: x.ID, Tenant: x.Tenant}
	if err := s.dropAll(ctx, &e); err != nil {
		return 0, fault.Wrap(err, "delete a customer again whose contract ended")
	}
	total := 0
	for _, c := range e.Counts {
		total += c.Destroyed
	}
	return total, s.DB.Change(ctx, "note the end of a contract again", func(tx *db.Tx) error {
		if _, err := tx.Do(ctx, s.set, "drop_others", x.Tenant, x.ID); err != nil {
			return err
		}
		_, err := tx.Do(ctx, s.set, "bring_back", x.ID, x.Tenant, string(x.By), x.Reason, clock.Micros(x.At), clock.Micros(s.Clock.Now()), x.Document)
		return err
	})
}
