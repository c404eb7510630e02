package ending

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// Order is what is asked for.
type Order struct {
	Tenant ids.Tenant
	// At is the contract's end; zero: now.
	At     time.Time
	By     evidence.Role
	Reason string // a word; "contract.end" when empty
	// AtOnce waives the days in which the export could be fetched and the end undone.
	// Only the customer may: the policy promises them these days.
	AtOnce bool
	// Confirm is the customer's name, so that none is ended by mistake.
	Confirm string
	// also is done in the same transaction.
	also func(*db.Tx) error
}

// longestNotice is how far off a contract's end may be ordered.
const longestNotice = 5 * 366 * 24 * time.Hour

// Order puts the end of a contract on record. A contract whose end is ordered
// already is a Conflict, unless the days that are left are to be waived.
func (s *Store) Order(ctx context.Context, o Order) (Ending, error) {
	now := s.Clock.Now().UTC().Truncate(time.Microsecond)
	if o.At.IsZero() {
		o.At = now
	}
	if o.Reason == "" {
		o.Reason = "contract.end"
	}
	if err := check(o, now); err != nil {
		return Ending{}, err
	}
	t, err := s.Tenants.Get(ctx, scope.Tenant(o.Tenant), o.Tenant)
	if err != nil {
		return Ending{}, err
	}
	if o.Confirm != t.Name {
		return Ending{}, fault.Field("confirm", "Give the customer's name, exactly as it is, to end its contract.")
	}
	if o.AtOnce {
		if e, err := s.Live(ctx, o.Tenant); !fault.Is(err, fault.NotFound) {
			if err != nil {
				return Ending{}, err
			}
			return s.hasten(ctx, e, o)
		}
	}
	e := Ending{ID: ids.New[ids.Certificate](s.IDs), Tenant: o.Tenant, Name: t.Name, State: Ordered, By: o.By, Reason: o.Reason, Ordered: now, Closes: o.At.UTC()}
	if e.Due, e.Deadline = s.Plan(o.Tenant, e.Closes); o.AtOnce {
		e.Due = e.Closes
	}
	if err := s.seal(ctx, &e); err != nil {
		return Ending{}, err
	}
	err = s.DB.Change(ctx, "order the end of a contract", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, s.set, "add", e.ID, e.Tenant, string(e.By), e.Reason, clock.Micros(e.Ordered), clock.Micros(e.Closes), clock.Micros(e.Due), clock.Micros(e.Deadline), e.key, e.sealed)
		if fault.Is(err, fault.Conflict) {
			return fault.New(fault.Conflict, "The end of this contract is ordered already.").WithHint("undo it first to order another")
		}
		if err == nil {
			err = s.Tenants.Close(ctx, tx, e.Tenant, e.Closes)
		}
		if err == nil && o.also != nil {
			err = o.also(tx)
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, &e, o.By, "contract.end")
	})
	if err != nil {
		return Ending{}, fault.Wrap(err, "order the end of a contract")
	}
	s.changed(e.Tenant)
	s.tell(ctx, &e, "The contract is to end", ordered(&e))
	return e, nil
}

func check(o Order, now time.Time) error {
	switch {
	case o.Tenant == 0 || o.Tenant == tenant.Platform:
		return fault.New(fault.Conflict, "The platform itself does not end.")
	case o.At.Before(now.Add(-time.Minute)):
		return fault.Field("ends_at", "The contract's end cannot lie in the past.")
	case o.At.After(now.Add(longestNotice)):
		return fault.Field("ends_at", "The contract's end is too far off.")
	case o.AtOnce && o.By == evidence.ByOperator:
		return fault.New(fault.Denied, "Only the customer can waive the days in which the export may be fetched; the policy promises them.")
	}
	return nil
}

// hasten waives the days that are left: the destroying begins now.
func (s *Store) hasten(ctx context.Context, e Ending, o Order) (Ending, error) {
	now := s.Clock.Now().UTC()
	e.Due = now
	if e.Closes.After(now) {
		e.Closes = now
	}
	err := s.DB.Change(ctx, "end a contract at once", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "hasten", e.ID, clock.Micros(e.Closes), clock.Micros(e.Due))
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "The destroying has begun already.")
		}
		if err == nil {
			err = s.Tenants.Close(ctx, tx, e.Tenant, e.Closes)
		}
		if err == nil && o.also != nil {
			err = o.also(tx)
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, &e, o.By, "contract.hasten")
	})
	if err != nil {
		return Ending{}, fault.Wrap(err, "end a contract at once")
	}
	s.changed(e.Tenant)
	return e, nil
}

// Backdate moves an end that is under way into the past, as if it had been ordered
// earlier: by it can be shown that what is due goes and what is not yet stays.
func (s *Store) Backdate(ctx context.Context, of ids.Tenant, by time.Duration) error {
	s.one.Lock() // a look at what is due holds the old times
	defer s.one.Unlock()
	err := s.DB.Change(ctx, "backdate the end of a contract", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "backdate", of, by.Microseconds())
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "No end of this contract is under way.")
		}
		return err
	})
	s.changed(of)
	return fault.Wrap(err, "backdate the end of a contract")
}

// Undo takes an end back: the customer sends and receives again. Once the
// destroying has begun it is a Conflict.
func (s *Store) Undo(ctx context.Context, of ids.Tenant, by evidence.Role) (Ending, error) {
	e, err := s.Live(ctx, of)
	if err != nil {
		return Ending{}, err
	}
	err = s.DB.Change(ctx, "undo the end of a contract", func(tx *db.Tx) error {
		n, err := tx.Do(ctx, s.set, "undo", e.ID, tx.Now())
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "The data is being destroyed; there is no way back.")
		}
		if err == nil {
			err = s.Tenants.Close(ctx, tx, of, time.Time{})
		}
		if err != nil {
			return err
		}
		return s.stage(ctx, tx, &e, by, "contract.undo")
	})
	if err != nil {
		return Ending{}, fault.Wrap(err, "undo the end of a contract")
	}
	s.changed(of)
	s.tell(ctx, &e, "The contract goes on", "The end of the contract of "+e.Name+" was undone. Everything is as it was: mail is sent and received again.\n")
	return s.Get(ctx, scope.Tenant(of), e.ID)
}

// changed makes this process see a new end at once.
func (s *Store) changed(of ids.Tenant) {
	s.Tenants.Forget(of)
	s.Log.Nudge()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Store) stage(ctx context.Context, tx *db.Tx, e *Ending, by evidence.Role, act string) error {
	return s.Stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](s.IDs), At: evidence.On(s.Clock.Now()), By: evidence.Actor{Role: by}, Tenant: e.Tenant,
		Body: &evidence.Act{Act: act, Target: e.ID.String()},
	})
}

// secret is what an ending says of persons.
type secret struct {
	Name   string   `json:"name"`
	Owners []string `json:"owners"`
}

func keyAD(id ids.Certificate) vault.AD { return vault.AD{Table: table, Row: int64(id)} }

// seal makes the key of an ending, which is the platform's: the customer's own go.
func (s *Store) seal(ctx context.Context, e *Ending) error {
	owners, err := s.Owners(ctx, e.Tenant)
	if err != nil {
		return err
	}
	for _, a := range owners {
		e.owners = append(e.owners, a.Text())
	}
	key, wrapped, err := s.Vault.NewKey(0, vault.Hold, keyAD(e.ID))
	if err != nil {
		return fault.Wrap(err, "make the key of a contract's end")
	}
	plain, err := json.Marshal(secret{e.Name, e.owners})
	if err != nil {
		return fault.Wrap(err, "write a contract's end")
	}
	e.key, e.sealed = wrapped, sealUnder(key, plain, bound(e.ID, "", 0))
	return nil
}

// bound is what a sealed value is tied to.
func bound(id ids.Certificate, category string, n int64) []byte {
	return fmt.Appendf(nil, "mailvow ending v1\x00%d\x00%s\x00%d", int64(id), category, n)
}

func sealUnder(k vault.Key, plain, ad []byte) []byte {
	var nonce [12]byte
	rand.Read(nonce[:])
	return k.Seal(nonce[:], nonce, plain, ad)
}

func openUnder(k vault.Key, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < 12 {
		return nil, fault.New(fault.Internal, "a sealed value of a contract's end is cut short")
	}
	plain, err := k.Open(nil, [12]byte(sealed[:12]), sealed[12:], ad)
	return plain, fault.Wrap(err, "open a value of a contract's end")
}

func (s *Store) keyOf(e *Ending) (vault.Key, error) {
	key, err := s.Vault.Unwrap(0, keyAD(e.ID), e.key)
	return key, fault.Wrap(err, "open the key of a contract's end")
}

// Get gives one end of the scope, or NotFound.
func (s *Store) Get(ctx context.Context, in scope.Scope, id ids.Certificate) (Ending, error) {
	all, own := in.Args()
	return one(s.read(ctx, "get", all, own, id))
}

// Live gives the end of a customer's contract that was not undone, or NotFound.
func (s *Store) Live(ctx context.Context, of ids.Tenant) (Ending, error) {
	return one(s.read(ctx, "live", of))
}

func one(list []Ending, err error) (Ending, error) {
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "No end of this contract is ordered.")
	}
	if err != nil {
		return Ending{}, fault.Wrap(err, "get the end of a contract")
	}
	return list[0], nil
}

// List gives the scope's ends, those that were undone with them, newest first,
// from before (zero: all).
func (s *Store) List(ctx context.Context, in scope.Scope, before ids.Certificate, limit int) ([]Ending, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	all, own := in.Args()
	list, err := s.read(ctx, "list", all, own, before, limit)
	return list, fault.Wrap(err, "list the ends of contracts")
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]Ending, error) {
	var list []Ending
	err := s.set.Each(ctx, query, args, func(scan func(...any) error) error {
		var e Ending
		var at [6]int64
		var counts, certificate string
		if err := scan(&e.ID, &e.Tenant, &e.State, &e.By, &e.Reason, &at[0], &at[1], &at[2], &at[3], &at[4], &at[5], &e.step, &e.Policy, &counts, &certificate, &e.key, &e.sealed); err != nil {
			return err
		}
		for i, to := range []*time.Time{&e.Ordered, &e.Closes, &e.Due, &e.Deadline, &e.Fetched, &e.Ended} {
			if at[i] != 0 {
				*to = clock.FromMicros(at[i])
			}
		}
		if certificate != "" {
			e.Certificate = json.RawMessage(certificate)
		}
		if err := json.Unmarshal([]byte(counts), &e.Counts); err != nil {
			return fault.Wrap(err, "read a contract's end")
		}
		list = append(list, e)
		return s.unseal(&list[len(list)-1])
	})
	return list, err
}

func (s *Store) unseal(e *Ending) error {
	if len(e.key) == 0 || len(e.sealed) == 0 {
		return nil
	}
	key, err := s.keyOf(e)
	if fault.Is(err, fault.Gone) { // a row that a restored backup brought along
		return nil
	}
	if err != nil {
		return err
	}
	plain, err := openUnder(key, e.sealed, bound(e.ID, "", 0))
	if err != nil {
		return err
	}
	var x secret
	if err := json.Unmarshal(plain, &x); err != nil {
		return fault.Wrap(err, "read a contract's end")
	}
	e.Name, e.owners = x.Name, x.Owners
	return nil
}

// tell mails the owners; who cannot be reached is no reason not to go on.
func (s *Store) tell(ctx context.Context, e *Ending, subject, text string) {
	for _, owner := range e.owners {
		to, err := address.Parse(owner)
		if err == nil {
			err = s.Post(ctx, Letter{To: to, Subject: subject, Text: text})
		}
		if err != nil {
			s.Observe.For(pkg).Log.WarnContext(ctx, "an owner could not be told of the end of a contract", "customer", e.Tenant, "error", err)
		}
	}
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// ordered is what owners are told when an end is ordered.
func ordered(e *Ending) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The end of the contract of %s was ordered (%s).\n\n", e.Name, e.By)
	fmt.Fprintf(&b, "From %s on, nothing is sent or received.\n", day(e.Closes))
	if e.Due.After(e.Closes) {
		fmt.Fprintf(&b, "Until %s your users can still sign in, fetch an export of everything, or undo this.\n", day(e.Due))
	} else {
		fmt.Fprint(&b, "There is no time to fetch an export or to undo it after that: do so before.\n")
	}
	fmt.Fprintf(&b, "Then everything is destroyed, the keys with it, by %s at the latest. A certificate follows.\n\nIf nobody of you wanted this, sign in and undo it.\n", day(e.Deadline))
	return b.String()
}
