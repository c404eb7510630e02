package words

import (
	"context"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
)

// Holder reaches one person's subjects: those that the person wrote, that went to
// nobody else, or that name the person. What finds them is history's.
type Holder struct {
	x       *Words
	persons *history.Holder
}

// Holder makes the holder of these subjects.
func (x *Words) Holder(persons *history.Holder) *Holder { return &Holder{x, persons} }

var _ pledge.Holder = (*Holder)(nil)

// HolderName implements pledge.Holder.
func (p *Holder) HolderName() string { return "words" }

// Find implements pledge.Holder.
func (p *Holder) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	t := pledge.Trace{Category: category, Holder: p.HolderName()}
	err := p.persons.Subjects(ctx, s, func(_ history.Found, at time.Time, _ string) error {
		if t.Count++; t.First.IsZero() || at.Before(t.First) {
			t.First = at
		}
		if at.After(t.Last) {
			t.Last = at
		}
		return nil
	})
	if err != nil || t.Count == 0 {
		return nil, err
	}
	return []pledge.Trace{t}, nil
}

// HandOver implements pledge.Holder: the same subjects that the records hold.
func (p *Holder) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	return p.persons.Subjects(ctx, s, func(f history.Found, at time.Time, subject string) error {
		return yield(pledge.Record{Category: category, ID: f.Message.String(), At: at, Fields: map[string]string{"subject": searched(subject)}})
	})
}

// Correct implements pledge.Holder. A subject is what was sent; it is not
// corrected.
func (p *Holder) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder. Subjects are only stored and shown to the
// customer whose mail it was, as its records are.
func (p *Holder) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: chunks are written anew without the person's
// subjects. It may be repeated. Where a record is changed later, history drops
// its subject again, in the transaction of the change.
func (p *Holder) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	if err := p.x.CatchUp(ctx); err != nil && !fault.Is(err, fault.Conflict) {
		return nil, fault.Wrap(err, "read what is due")
	}
	count := 0
	err := p.persons.Subjects(ctx, s, func(f history.Found, _ time.Time, _ string) error {
		if err := p.x.Ready(ctx, f.Tenant, f.Message); err != nil {
			return err
		}
		n := 0
		err := p.x.db.Change(ctx, "erase a subject", func(tx *db.Tx) (err error) {
			n, err = p.x.drop(ctx, tx, f.Tenant, f.Message)
			return err
		})
		count += n
		return err
	})
	if err != nil {
		return nil, fault.Wrap(err, "erase a person's subjects")
	}
	return []pledge.Erased{{Category: category, Count: count, Epoch: p.persons.Period(s.Scope)}}, nil
}
