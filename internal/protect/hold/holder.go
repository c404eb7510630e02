package hold

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
)

const held = "held records"

// Declaration says what is kept.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{
		{
			Name: held, About: pledge.Correspondent,
			What:    "copies of the records of a held person, message or customer, sealed under the hold's own key",
			Purpose: "a dispute, a claim or a duty of law, and nothing else", For: pledge.ToHold, Basis: pledge.LegalDuty,
			Period: pledge.Period{From: "the release of the hold, with which they go at once"},
			Found:  "keyed hash of the address", Erasing: pledge.KeepByLaw,
			Source: "the records of the person's messages",
		},
		{
			Name: "holds", About: pledge.Correspondent,
			What:    "who or what is held, in which case, why, by whom and until which review; after the release only its number, ground and dates",
			Purpose: "show that what outlives its period has a ground", For: pledge.ToHold, Basis: pledge.LegalDuty,
			Period: pledge.Period{From: "the release, when what names somebody goes; the rest a year after it"},
			Found:  "by opening the holds of the customer", Erasing: pledge.KeepByLaw,
		},
	},
	Places: slices.Concat(
		pledge.Columns("holds", false, "hold", "id", "tenant", "kind", "ground", "owner", "review", "created", "released", "outlives"),
		pledge.Columns("holds", true, "hold", "key", "sealed"),
		pledge.Columns(held, false, "held", "hold", "category", "id", "message", "tenant", "at"),
		pledge.Columns(held, true, "held", "sealed"),
		pledge.Columns(held, false, "held_person", "hash", "hold", "message", "tenant"),
	),
}

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return "holds" }

// each gives the records that holds keep of a person.
func (s *Store) each(ctx context.Context, x pledge.Subject, yield func(*Hold, Record) error) error {
	return s.byPerson(ctx, x, func(h *Hold, messages []ids.Message) error {
		key, err := s.keyOf(h)
		if err != nil {
			return err
		}
		for _, m := range messages {
			list, err := s.open(ctx, h, key, "of_message", h.ID, h.Tenant, m)
			if err != nil {
				return err
			}
			for _, r := range list {
				if err := yield(h, r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Find implements pledge.Holder.
func (s *Store) Find(ctx context.Context, x pledge.Subject) ([]pledge.Trace, error) {
	found := pledge.Trace{Category: held, Holder: s.HolderName()}
	err := s.each(ctx, x, func(_ *Hold, r Record) error {
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

// HandOver implements pledge.Holder: without what may name others (GDPR Art. 15(4)).
func (s *Store) HandOver(ctx context.Context, x pledge.Subject, yield func(pledge.Record) error) error {
	return s.each(ctx, x, func(h *Hold, r Record) error {
		fields := map[string]string{"held": string(h.Ground), "of": r.Category, "address": x.Address.Text()}
		for _, f := range r.Fields {
			if !f.Other {
				fields[f.Name] = f.Value
			}
		}
		return yield(pledge.Record{Category: held, ID: r.Message.String() + "/" + strconv.FormatInt(r.ID, 10), At: r.At, Fields: fields})
	})
}

// Correct implements pledge.Holder. What is held is evidence of how it was.
func (s *Store) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: what is held is only stored, always.
func (s *Store) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: nothing goes while it is held, and the answer
// says how much stays and on which ground (GDPR Art. 17(3)). It goes with the hold.
func (s *Store) Erase(ctx context.Context, x pledge.Subject) ([]pledge.Erased, error) {
	kept := pledge.Erased{Category: held, Held: true}
	var grounds []string
	err := s.each(ctx, x, func(h *Hold, _ Record) error {
		kept.Kept++
		if !slices.Contains(grounds, string(h.Ground)) {
			grounds = append(grounds, string(h.Ground))
		}
		return nil
	})
	if err != nil || kept.Kept == 0 {
		return nil, err
	}
	slices.Sort(grounds)
	kept.Why = "held: " + strings.Join(grounds, ", ")
	return []pledge.Erased{kept}, nil
}
