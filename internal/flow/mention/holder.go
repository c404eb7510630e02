package mention

import (
	"context"
	"strconv"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/db"
)

// HolderName implements pledge.Holder.
func (s *Store) HolderName() string { return "mentions" }

// of gives the searches for a person in one customer's mail.
func (s *Store) of(ctx context.Context, who pledge.Subject) ([]Search, error) {
	t, one := who.Scope.ID()
	if !one || who.Address.IsNull() {
		return s.everywhere(ctx, who)
	}
	hash, err := s.hash(t, who.Address)
	if fault.Is(err, fault.Gone) {
		return nil, nil // the customer's keys are gone
	}
	if err != nil {
		return nil, err
	}
	list, err := s.searches(ctx, "of_person", t, hash)
	kept := list[:0]
	for _, x := range list {
		if who.Before.IsZero() || x.Asked.Before(who.Before) {
			kept = append(kept, x)
		}
	}
	return kept, fault.Wrap(err, "find searches for a person")
}

// everywhere goes through the customers whose mail is here.
func (s *Store) everywhere(ctx context.Context, who pledge.Subject) ([]Search, error) {
	if !who.Scope.All() || who.Address.IsNull() {
		return nil, nil
	}
	tenants, err := s.Records.Tenants(ctx)
	var all []Search
	for _, t := range tenants {
		if err != nil {
			break
		}
		var some []Search
		who.Scope = scope.Tenant(t)
		some, err = s.of(ctx, who)
		all = append(all, some...)
	}
	return all, err
}

// Find implements pledge.Holder.
func (s *Store) Find(ctx context.Context, who pledge.Subject) ([]pledge.Trace, error) {
	list, err := s.of(ctx, who)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return []pledge.Trace{{Category: Category, Holder: s.HolderName(), Count: len(list), First: list[len(list)-1].Asked, Last: list[0].Asked}}, nil
}

// HandOver implements pledge.Holder: each search, and the places that were reviewed
// and may leave.
func (s *Store) HandOver(ctx context.Context, who pledge.Subject, yield func(pledge.Record) error) error {
	list, err := s.of(ctx, who)
	if err != nil {
		return err
	}
	for _, x := range list {
		fields := map[string]string{"address": x.Address.Text(), "texts_looked_at": strconv.Itoa(x.Looked), "places_found": strconv.Itoa(x.Found)}
		if err := yield(pledge.Record{Category: Category, ID: x.ID.String(), At: x.Asked, Fields: fields}); err != nil {
			return err
		}
		places, err := s.Places(ctx, scope.Tenant(x.Tenant), x.ID, 0, MaxFound)
		if err != nil {
			return err
		}
		for _, p := range places {
			words := p.Words
			switch p.Verdict {
			case Open, LeaveOut:
				continue
			case Mask:
				words = p.Left
			case Keep:
			}
			r := pledge.Record{Category: Category, ID: x.ID.String() + "." + strconv.Itoa(p.N), At: p.Message.Time(), Fields: map[string]string{"where": p.Where, "words": words}}
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Correct implements pledge.Holder: a text is what others wrote.
func (s *Store) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: what was found is stored and shown to who
// reviews it, and nothing else.
func (s *Store) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder: searches for the person go, and what was found in
// mail of the person's when somebody else was looked for.
func (s *Store) Erase(ctx context.Context, who pledge.Subject) ([]pledge.Erased, error) {
	list, err := s.of(ctx, who)
	if err != nil {
		return nil, err
	}
	gone := pledge.Erased{Category: Category}
	for _, x := range list {
		err := s.DB.Change(ctx, "erase a search for mentions", func(tx *db.Tx) error {
			if _, err := tx.Do(ctx, s.set, "drop_places", x.ID); err != nil {
				return err
			}
			_, err := tx.Do(ctx, s.set, "drop", x.ID)
			return err
		})
		if err != nil {
			return nil, fault.Wrap(err, "erase a search for mentions")
		}
		gone.Count++
	}
	err = s.Persons.Messages(ctx, who, func(f history.Found) error {
		n, err := s.forget(ctx, f.Tenant, f.Message)
		gone.Count += n
		return err
	})
	return []pledge.Erased{gone}, fault.Wrap(err, "erase mentions")
}

// forget removes what was found in a message.
func (s *Store) forget(ctx context.Context, t ids.Tenant, m ids.Message) (int, error) {
	var there int64
	if err := s.set.One(ctx, "of_message", []any{t, m}, &there); err != nil || there == 0 {
		return 0, err
	}
	err := s.DB.Change(ctx, "erase mentions of a message", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "drop_message", t, m)
		return err
	})
	return int(there), err
}

// Said is what an archive says of texts: whether they were looked through, when, and
// what was left out of it.
func (s *Store) Said(ctx context.Context, who pledge.Subject) (string, error) {
	list, err := s.of(ctx, who)
	if err != nil {
		return "", err
	}
	for _, x := range list {
		if x.Ended.IsZero() {
			continue
		}
		places, err := s.Places(ctx, scope.Tenant(x.Tenant), x.ID, 0, MaxFound)
		if err != nil {
			return "", err
		}
		given := 0
		for _, p := range places {
			if p.Verdict == Keep || p.Verdict == Mask {
				given++
			}
		}
		text := "The texts that are here (mail that waits, and subjects of records) were searched for mentions of you on " + x.Ended.UTC().Format("2 January 2006") + ": " +
			count(x.Looked, "text was", "texts were") + " looked at, " + count(x.Found, "place was", "places were") + " found, " + count(given, "is", "are") + " in this archive."
		if given < len(places) {
			text += " The others were left out after a review, to protect other persons, or are not reviewed yet."
		}
		if !x.Whole {
			text += " The search stopped at its bound; there may be more."
		}
		return text, nil
	}
	return "", nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

var _ pledge.Holder = (*Store)(nil)
