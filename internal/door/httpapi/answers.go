package httpapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
)

// Answers reaches one person in the answers that are kept for a day for repeats. A
// repeat of a request whose answer was erased does nothing twice and says so.
type Answers struct {
	DB    *db.DB
	Vault *vault.Vault
}

var _ pledge.Holder = Answers{}

const storedAnswers = "stored answers"

// HolderName implements pledge.Holder.
func (Answers) HolderName() string { return storedAnswers }

// answersAtOnce is how many are read at once.
const answersAtOnce = 500

// naming is an answer that names the person.
type naming struct {
	entry
	body    []byte
	created time.Time
}

// each gives every answer of the scope that names the person.
func (h Answers) each(ctx context.Context, s pledge.Subject, yield func(naming) error) error {
	if s.Address.IsNull() {
		return nil
	}
	all, own := s.Scope.Args()
	for last := []byte{}; ; {
		page, count, err := h.page(ctx, s, all, own, &last)
		if err != nil {
			return fault.Wrap(err, "look through stored answers")
		}
		for _, n := range page {
			if err := yield(n); err != nil {
				return err
			}
		}
		if count < answersAtOnce {
			return nil
		}
	}
}

func (h Answers) page(ctx context.Context, s pledge.Subject, all, own int64, last *[]byte) (list []naming, count int, err error) {
	err = h.DB.Set(pkg).Each(ctx, "answers", []any{all, own, *last, answersAtOnce}, func(scan func(...any) error) error {
		var n naming
		var hash, blob []byte
		if err := scan(&n.tenant, &hash, &blob, &n.created); err != nil {
			return err
		}
		count++
		*last = bytes.Clone(hash)
		copy(n.hash[:], hash)
		var kept answer
		err := sealed.Get(h.Vault, n.row(), blob, &kept)
		if fault.Is(err, fault.Gone) || err == nil && !s.Before.IsZero() && !n.created.Before(s.Before) {
			return nil
		}
		if n.body = kept.Body; err == nil && namesPerson(kept.Body, s) {
			list = append(list, n)
		}
		return err
	})
	return list, count, err
}

func namesPerson(body []byte, s pledge.Subject) bool {
	text := strings.ToLower(string(body))
	return strings.Contains(text, strings.ToLower(s.Address.Text())) || strings.Contains(text, s.Address.Canonical())
}

// Find implements pledge.Holder.
func (h Answers) Find(ctx context.Context, s pledge.Subject) ([]pledge.Trace, error) {
	t := pledge.Trace{Category: storedAnswers, Holder: storedAnswers}
	err := h.each(ctx, s, func(n naming) error {
		if t.Count++; t.First.IsZero() || n.created.Before(t.First) {
			t.First = n.created
		}
		if n.created.After(t.Last) {
			t.Last = n.created
		}
		return nil
	})
	if err != nil || t.Count == 0 {
		return nil, err
	}
	return []pledge.Trace{t}, nil
}

// HandOver implements pledge.Holder.
func (h Answers) HandOver(ctx context.Context, s pledge.Subject, yield func(pledge.Record) error) error {
	return h.each(ctx, s, func(n naming) error {
		return yield(pledge.Record{Category: storedAnswers, ID: hex.EncodeToString(n.hash[:]), At: n.created, Fields: map[string]string{"answer": string(n.body)}})
	})
}

// Correct implements pledge.Holder: what was answered is what was answered.
func (Answers) Correct(context.Context, pledge.Subject, pledge.Correction) (int, error) {
	return 0, nil
}

// Restrict implements pledge.Holder: an answer is given to who asked first, and gone
// within a day.
func (Answers) Restrict(context.Context, pledge.Subject, bool) (int, error) { return 0, nil }

// Erase implements pledge.Holder.
func (h Answers) Erase(ctx context.Context, s pledge.Subject) ([]pledge.Erased, error) {
	gone := pledge.Erased{Category: storedAnswers, Epoch: keepAnswers}
	err := h.each(ctx, s, func(n naming) error {
		err := h.DB.Change(ctx, "erase a stored answer", func(tx *db.Tx) error {
			_, err := tx.Do(ctx, h.DB.Set(pkg), "blank", n.tenant, n.hash, []byte{})
			return err
		})
		if err == nil {
			gone.Count++
		}
		return err
	})
	return []pledge.Erased{gone}, fault.Wrap(err, "erase a person from stored answers")
}
