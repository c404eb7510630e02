package reads

import (
	"context"
	"slices"
	"strconv"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
)

// Category is what the records are in the inventory and in a policy.
const Category = "records of reads"

const year = 365 * 24 * time.Hour

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: Category, About: pledge.Staff,
			What:    "who read personal data: user, token or command line, network address, operation, customer, category, how many records of which time, their numbers; of a person who was asked for a keyed hash",
			Purpose: "after a breach, say whose data was seen; show who reads what", For: pledge.ToSecure, Basis: pledge.LegitimateInterest,
			Period: pledge.Period{Ceiling: year, From: "the read"},
			Found:  "by the number of the user who read", Erasing: pledge.KeepByLaw,
		},
		{
			Name: "times of recording", About: pledge.Nobody,
			What:    "when processes began and ended to record reads",
			Purpose: "say from when on, and in which gaps, records of reads are not complete", For: pledge.ToRun, Basis: pledge.NotPersonal,
			Period: pledge.Period{From: "as long as the records; the oldest stays"}, Erasing: pledge.Nothing,
		},
	},
	Places: slices.Concat(
		pledge.Columns(Category, false, "read_batch", "id", "tenant", "node", "first", "last", "count"),
		pledge.Columns(Category, true, "read_batch", "sealed"),
		pledge.Columns("times of recording", false, "read_watch", "id", "node", "began", "seen", "ended"),
	),
}

// Holder reaches what users of the house read.
type Holder struct {
	*Log
	// UserOf gives the user with the subject's address, or zero.
	UserOf func(ctx context.Context, s pledge.Subject) (ids.User, error)
}

var _ pledge.Holder = Holder{}

// HolderName implements pledge.Holder.
func (Holder) HolderName() string { return "reads" }

func (h Holder) each(ctx context.Context, s pledge.Subject, yield func(Read) error) error {
	who, err := h.UserOf(ctx, s)
	if err != nil || who == 0 {
		return err
	}
	until := h.Clock.Now()
	if !s.Before.IsZero() {
		until = s.Before
	}
	// What an operator read stands with the customers whose data it was.
	_, err = h.Each(ctx, scope.Everyone, time.Unix(0, 0), until, func(r Read) error {
		if r.User != who {
			return nil
		}
		return yield(r)
	})
	return err
}

// Find implements pledge.Holder.
func (h Holder) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	found := pledge.Trace{Category: Category, Holder: h.HolderName()}
	err := h.each(ctx, s, func(r Read) error {
		if found.Count++; found.First.IsZero() || r.At.Before(found.First) {
			found.First = r.At
		}
		if r.At.After(found.Last) {
			found.Last = r.At
		}
		return nil
	})
	if err != nil || found.Count == 0 {
		return nil, err
	}
	return []pledge.Trace{found}, nil
}

// HandOver implements pledge.Holder: what the person themself did, and not whose
// data it was (GDPR Art. 15(4)).
func (h Holder) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	n := 0
	return h.each(ctx, s, func(r Read) error {
		n++
		fields := map[string]string{"door": string(r.Door), "operation": r.Operation, "category": r.Category, "records": strconv.Itoa(r.Count)}
		if r.From.IsValid() {
			fields["network_address"] = r.From.String()
		}
		return yield(pledge.Record{Category: Category, ID: strconv.Itoa(n), At: r.At, Fields: fields})
	})
}

// Correct implements pledge.Holder: a record says what happened.
func (Holder) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) { return 0, nil }

// Restrict implements pledge.Holder: the records are only stored.
func (Holder) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: whoever read others' data is not taken out of
// the record of it before its period is over (GDPR Art. 5(2), 17(3)(b)). It names
// a number, which names nobody once the user is gone.
func (h Holder) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	kept := pledge.Erased{Category: Category, Why: "accountability for reads of others' data, GDPR Art. 5(2)"}
	err := h.each(ctx, s, func(Read) error { kept.Kept++; return nil })
	if err != nil || kept.Kept == 0 {
		return nil, err
	}
	return []pledge.Erased{kept}, nil
}
