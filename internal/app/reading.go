package app

import (
	"context"
	"io"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/reads"
	"mailvow/internal/protect/subject"
)

// recordsCategory is what a message's record is in the inventory.
const recordsCategory = "message records"

// shownSubjects is protect/subject with what it shows of a person on record: who
// it was, as a keyed hash, and which messages name them.
type shownSubjects struct {
	*subject.Desk
	h *House
}

// saw counts what is held of a person.
func (s shownSubjects) saw(ctx context.Context, who pledge.Subject) ([]pledge.Trace, error) {
	reads.About(ctx, who.Address)
	traces, err := s.Desk.Find(ctx, who)
	if err != nil {
		return nil, err
	}
	one, _ := who.Scope.ID()
	for _, t := range traces {
		if t.Category == recordsCategory {
			continue
		}
		for range t.Count {
			reads.Saw(ctx, t.Category, one, ids.Message(0), t.Last)
		}
	}
	return traces, s.h.persons.Messages(ctx, who, func(f history.Found) error {
		reads.Saw(ctx, recordsCategory, f.Tenant, f.Message, f.Message.Time())
		return nil
	})
}

// Find says what is held, and puts on record that it was said.
func (s shownSubjects) Find(ctx context.Context, who pledge.Subject) ([]pledge.Trace, error) {
	return s.saw(ctx, who)
}

// Export copies what is held, and puts on record that it was copied.
func (s shownSubjects) Export(ctx context.Context, who pledge.Subject, by evidence.Actor, f subject.Format, w io.Writer) (int, error) {
	if _, err := s.saw(ctx, who); err != nil {
		return 0, err
	}
	return s.Desk.Export(ctx, who, by, f, w)
}

// userOf gives the user of a scope with a subject's address, or zero.
func (h *House) userOf(ctx context.Context, s pledge.Subject) (ids.User, error) {
	if s.Address.IsNull() {
		return 0, nil
	}
	u, err := h.access.UserByEmail(ctx, s.Scope, s.Address)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return u.ID, err
}

// readsKept is from when on records of reads of a scope are still here, as far as
// the policy goes.
func (h *House) readsKept(in scope.Scope) time.Time {
	id, _ := in.ID()
	before, _ := h.retention.Keeping(id, reads.Category)
	return before
}
