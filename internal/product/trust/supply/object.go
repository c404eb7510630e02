package supply

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/sealed"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
)

// Objection is what a customer has against a change.
type Objection struct {
	ID       ids.Objection
	Tenant   ids.Tenant
	Of       ids.SubProcessor
	Number   int // the version
	Made     time.Time
	Author   ids.User // zero: the customer's own policy
	Reason   string
	Answered time.Time // zero: it waits, and the change with it
	Answer   string
}

// words are sealed with the customer's key.
type words struct {
	Reason string `json:"reason"`
	Answer string `json:"answer,omitempty"`
}

// maxWords bounds a reason and an answer in characters.
const maxWords = 2000

func row(o *Objection) sealed.Row {
	return sealed.Row{Tenant: o.Tenant, Table: objectionsTable, ID: int64(o.ID)}
}

func said(field, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxWords {
		return "", fault.Field(field, "Say it in 1 to 2000 characters.")
	}
	return text, nil
}

// Object puts a customer's objection to what is announced on record. It waits for
// the operator's answer, and so does the change. Conflict where nothing is
// announced, or the customer objected already.
func (s *Store) Object(ctx context.Context, of ids.Tenant, author ids.User, id ids.SubProcessor, reason string, by evidence.Actor) (Objection, error) {
	reason, err := said("reason", reason)
	if err != nil {
		return Objection{}, err
	}
	p, _, err := s.Get(scope.Tenant(of), id)
	if err != nil {
		return Objection{}, err
	}
	late := fault.New(fault.Conflict, "There is nothing to object to: no change is announced, or it took effect.")
	if p.Coming == nil || !p.Coming.Effective.After(s.Clock.Now()) {
		return Objection{}, late
	}
	o := Objection{ID: ids.New[ids.Objection](s.IDs), Tenant: of, Of: id, Number: p.Coming.Number, Author: author, Reason: reason}
	blob, err := sealed.Put(s.Vault, vault.Account, row(&o), words{Reason: reason})
	if err != nil {
		return Objection{}, err
	}
	err = s.DB.Change(ctx, "object to a sub-processor", func(tx *db.Tx) error {
		o.Made = tx.Now()
		n, err := tx.Do(ctx, s.set, "object", o.ID, of, id, o.Number, o.Made, author, blob)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "You objected to this change already, or it took effect meanwhile.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, of, "subprocessor.object", o.ID.String(), by)
	})
	if err != nil {
		return Objection{}, fault.Wrap(err, "object to a sub-processor")
	}
	s.Nudge()
	s.log.Warn("a customer objects to a sub-processor; the change waits for an answer", "objection", o.ID, "customer", of)
	return o, s.refresh(ctx)
}

// leavesOut reports whether a policy names who may be given data, and not this one.
func leavesOut(said policy.Among, name string) bool { return said.Given() && !said.Has(name) }

// objectByPolicy objects for the customers whose own policy names the sub-processors
// that may be given their data, or the places where it may be, and this one or its
// place is not among them.
func (s *Store) objectByPolicy(ctx context.Context, v *Version, told []ids.Tenant) error {
	now := s.Clock.Now()
	if v.Removed || !v.Effective.After(now) {
		return nil
	}
	platform := s.Policies.Platform(now).Document
	for _, t := range told {
		own, reason := s.Policies.For(t, now).Document, ""
		switch {
		case v.Entry.Kind != Own && leavesOut(own.SubProcessors, v.Entry.Name) && !leavesOut(platform.SubProcessors, v.Entry.Name):
			reason = "Our own privacy policy names the sub-processors that may be given our data, and this one is not among them."
		case !s.Home.within(own.Places, &v.Entry) && s.Home.within(platform.Places, &v.Entry):
			reason = "Our own privacy policy names the places where our data may be, and this one's is not among them."
		default:
			continue
		}
		_, err := s.Object(ctx, t, 0, v.ID, reason, evidence.Actor{Role: evidence.BySystem})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// Objections gives those of a scope, newest first, to one sub-processor or with the
// zero id to all.
func (s *Store) Objections(ctx context.Context, in scope.Scope, of ids.SubProcessor, limit int) ([]Objection, error) {
	all, own := in.Args()
	list, err := s.objections(ctx, "objections", all, own, of, limit)
	return list, fault.Wrap(err, "list objections")
}

func (s *Store) objections(ctx context.Context, query string, args ...any) ([]Objection, error) {
	var list []Objection
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var o Objection
		var answered int64
		var blob []byte
		if err := scan(&o.ID, &o.Tenant, &o.Of, &o.Number, &o.Made, &o.Author, &answered, &blob); err != nil {
			return err
		}
		if answered > 0 {
			o.Answered = clock.FromMicros(answered)
		}
		var open words
		err := sealed.Get(s.Vault, row(&o), blob, &open)
		if err != nil && !fault.Is(err, fault.Gone) { // an ended customer's words went with its key
			return err
		}
		o.Reason, o.Answer = open.Reason, open.Answer
		list = append(list, o)
		return nil
	})
	return list, err
}

// Answer settles an objection with the operator's words. Once none waits, the
// change takes effect on its date or, past that, now.
func (s *Store) Answer(ctx context.Context, id ids.Objection, answer string, by evidence.Actor) (Objection, error) {
	answer, err := said("answer", answer)
	if err != nil {
		return Objection{}, err
	}
	list, err := s.objections(ctx, "objection", 1, 0, id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "There is no such objection.")
	}
	if err != nil {
		return Objection{}, fault.Wrap(err, "answer an objection")
	}
	o := list[0]
	o.Answer = answer
	blob, err := sealed.Put(s.Vault, vault.Account, row(&o), words{o.Reason, answer})
	if err != nil {
		return Objection{}, err
	}
	err = s.DB.Change(ctx, "answer an objection", func(tx *db.Tx) error {
		o.Answered = tx.Now()
		n, err := tx.Do(ctx, s.set, "answer", id, o.Tenant, o.Answered, blob)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "It was answered already.")
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, o.Tenant, "subprocessor.answer", id.String(), by)
	})
	if err == nil {
		s.Nudge()
		err = s.refresh(ctx)
	}
	return o, fault.Wrap(err, "answer an objection")
}

// Notice is that a customer is told of a version.
type Notice struct {
	Tenant ids.Tenant
	Of     ids.SubProcessor
	Number int
	Told   time.Time // since when API and console show it
	Mailed time.Time // zero: not yet
}

// Notices gives who of a scope was told of a sub-processor's versions.
func (s *Store) Notices(ctx context.Context, in scope.Scope, of ids.SubProcessor) ([]Notice, error) {
	all, own := in.Args()
	list, err := s.notices(ctx, "notices", all, own, of)
	return list, fault.Wrap(err, "list notices")
}

func (s *Store) notices(ctx context.Context, query string, args ...any) ([]Notice, error) {
	var list []Notice
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var n Notice
		var mailed int64
		if err := scan(&n.Tenant, &n.Of, &n.Number, &n.Told, &mailed); err != nil {
			return err
		}
		if mailed > 0 {
			n.Mailed = clock.FromMicros(mailed)
		}
		list = append(list, n)
		return nil
	})
	return list, err
}

// tickPage is how many notices are read at once.
const tickPage = 100

// Tick mails every customer who was not mailed yet. What fails is tried again at
// the next; a customer is mailed once more rather than not at all.
func (s *Store) Tick(ctx context.Context) error {
	if s.Tell == nil {
		return nil
	}
	var last Notice
	var failed error
	for {
		page, err := s.notices(ctx, "untold", last.Tenant, last.Of, last.Number, tickPage)
		if err != nil || len(page) == 0 {
			if err == nil {
				err = failed
			}
			return fault.Wrap(err, "tell customers of sub-processors")
		}
		for _, n := range page {
			if err := s.mail(ctx, n); err != nil {
				failed = err
			}
			last = n
		}
	}
}

func (s *Store) mail(ctx context.Context, n Notice) error {
	all := s.versions(n.Of)
	i := n.Number - 1
	if i < 0 || i >= len(all) {
		return nil // of a newer register than this process has read: at the next tick
	}
	if all[i].Withdrawn.IsZero() {
		if err := s.Tell(ctx, n.Tenant, s.letter(all, i)); err != nil {
			return err
		}
	}
	return s.DB.Change(ctx, "note that a customer was told", func(tx *db.Tx) error {
		done, err := tx.Do(ctx, s.set, "mailed", n.Tenant, n.Of, n.Number, tx.Now())
		if err != nil || done == 0 {
			return err
		}
		return s.stage(ctx, tx, n.Tenant, "subprocessor.told", n.Of.String(), evidence.Actor{Role: evidence.BySystem})
	})
}
