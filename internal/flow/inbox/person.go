package inbox

import (
	"context"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

// Purge deletes what was caught before a time.
func (b *Inbox) Purge(ctx context.Context, in scope.Scope, before time.Time) (int, error) {
	total := 0
	for {
		page, err := b.List(ctx, in, ids.FirstAt[ids.Caught](before), 200)
		if err != nil || len(page) == 0 {
			return total, err
		}
		for _, i := range page {
			if err := b.Delete(ctx, in, i.ID); err != nil && !fault.Is(err, fault.NotFound) {
				return total, err
			}
			total++
		}
	}
}

// HolderName implements pledge.Holder.
func (b *Inbox) HolderName() string { return "caught mail" }

// each gives the caught messages that the person sent or was sent. The inbox is
// bounded, so it is read through.
func (b *Inbox) each(ctx context.Context, s pledge.Subject, yield func(Item) error) error {
	for before := ids.Caught(0); ; {
		page, err := b.List(ctx, s.Scope, before, 200)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, i := range page {
			before = i.ID
			if !names(i, s.Address) || !s.Before.IsZero() && !i.At.Before(s.Before) {
				continue
			}
			if err := yield(i); err != nil {
				return err
			}
		}
	}
}

func names(i Item, who address.Address) bool {
	if who.IsNull() {
		return false
	}
	for _, text := range append([]string{i.From}, i.To...) {
		if a, err := address.Parse(text); err == nil && a.Canonical() == who.Canonical() {
			return true
		}
	}
	return false
}

// Find implements pledge.Holder.
func (b *Inbox) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	t := pledge.Trace{Category: category, Holder: b.HolderName()}
	err := b.each(ctx, s, func(i Item) error {
		if t.Count++; t.Last.IsZero() {
			t.Last = i.At // newest first
		}
		t.First = i.At
		return nil
	})
	if err != nil || t.Count == 0 {
		return nil, err
	}
	return []pledge.Trace{t}, nil
}

// HandOver implements pledge.Holder.
func (b *Inbox) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	return b.each(ctx, s, func(i Item) error {
		return yield(pledge.Record{Category: category, ID: i.ID.String(), At: i.At, Fields: map[string]string{"sender": i.From, "subject": i.Subject}})
	})
}

// Correct implements pledge.Holder: a caught message is what was sent.
func (b *Inbox) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: caught mail is only stored and shown.
func (b *Inbox) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder.
func (b *Inbox) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	gone := pledge.Erased{Category: category}
	var due []Item
	err := b.each(ctx, s, func(i Item) error { due = append(due, i); return nil })
	for _, i := range due {
		if err == nil {
			err = b.Delete(ctx, s.Scope, i.ID)
			gone.Count++
		}
	}
	return []pledge.Erased{gone}, fault.Wrap(err, "erase a person from the caught mail")
}

var _ pledge.Holder = (*Inbox)(nil)
