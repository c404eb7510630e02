// Package erase removes a person (GDPR Art. 17) from every store and proves it.
// It promises that the erasure is in the ledger, durable and apart from the data,
// before anything is destroyed, so that a crash is finished by the next start and
// a restore is followed by the same erasures; that every Holder is asked, and
// asked again when deliveries that were under way have ended, until nobody finds
// anything more; and that the act stands in the evidence log under a signed
// checkpoint before its certificate is handed out. What erasing means in a store
// is the Holder's to know.
package erase

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/onward"
)

// Order is what is asked for.
type Order struct {
	Scope   scope.Scope
	Address address.Address
	// Identifiers are further words by which the customer knows the person.
	Identifiers []pledge.Identifier
	By          evidence.Role
	Reason      string // a word: "art17", "consent.withdrawn"
	KeepAway    bool   // leave a keyed hash so that the person is not written to again
	Case        ids.Case
}

// Config is what erasing stands on.
type Config struct {
	// Holders are asked in this order: what finds a person comes after those who
	// find by it (queue before history).
	Holders []pledge.Holder
	// Hold copies what legal holds of a scope hold, before anything is destroyed.
	Hold func(context.Context, scope.Scope) error
	// Tell writes down who got the person's data and must be told, before anything
	// by which they are found is destroyed, and says how many they are.
	Tell func(context.Context, onward.Order) (int, error)
	// Forget is called last, when a person's erasure is over: it drops that by
	// which the person was found.
	Forget []func(context.Context, pledge.Subject) error
	// KeepAway leaves a keyed suppression.
	KeepAway func(context.Context, pledge.Subject) error
	Ledger   *Ledger
	DB       *db.DB
	Stage    *evidence.Stage
	Log      *evidence.Log
	IDs      *ids.Source
	Clock    clock.Clock
	Observe  *observe.Observer
	// Policy is the label of the privacy policy in force for a customer, or with
	// the zero tenant for the platform.
	Policy func(ids.Tenant) string
	// Grace is how long a delivery that was under way may take; 15 minutes when zero.
	Grace time.Duration
	// Whole deletes again what a restore brought back of a customer whose contract
	// ended, and says how many records that were; protect/ending does.
	Whole func(context.Context, Entry) (int, error)
	// Settle is how long Erase waits for such deliveries itself; 5 s when zero.
	Settle time.Duration
}

// Eraser erases persons.
type Eraser struct {
	Config
	one sync.Mutex // one erasure at a time: each goes through whole stores
}

// New makes an eraser.
func New(c Config) *Eraser {
	if c.Grace == 0 {
		c.Grace = 15 * time.Minute
	}
	if c.Settle == 0 {
		c.Settle = 5 * time.Second
	}
	if c.Policy == nil {
		c.Policy = func(ids.Tenant) string { return "1" }
	}
	return &Eraser{Config: c}
}

// Receipt is what the person gets.
type Receipt struct {
	Certificate ids.Certificate
	Document    evidence.Certificate // the person's copy, with the salt
	Erased      []pledge.Erased
}

// Erase removes a person now and returns the certificate, once its leaf is under
// a signed checkpoint. What was under way is reached by Finish.
func (e *Eraser) Erase(ctx context.Context, o Order) (Receipt, error) {
	if o.Address.IsNull() {
		return Receipt{}, fault.Field("address", "Say whose data is to be erased: an e-mail address.")
	}
	tenant, one := o.Scope.ID()
	if !one && !o.Scope.All() {
		return Receipt{}, fault.New(fault.Denied, "This is nobody's scope.")
	}
	if o.Reason == "" {
		o.Reason = "art17"
	}
	entry := Entry{
		ID: ids.New[ids.Certificate](e.IDs), Everyone: !one, Tenant: tenant, Address: o.Address.Text(), Identifiers: o.Identifiers, KeepAway: o.KeepAway,
		By: o.By, Reason: o.Reason, Case: o.Case, At: e.Clock.Now().UTC().Truncate(time.Microsecond),
	}
	e.one.Lock()
	defer e.one.Unlock()
	if err := e.Ledger.Put(entry); err != nil {
		return Receipt{}, err
	}
	erased, err := e.settled(ctx, &entry)
	if err != nil {
		return Receipt{}, fault.Wrap(err, "erase a person")
	}
	doc, err := e.certify(ctx, &entry, o.Address, erased)
	return Receipt{Certificate: entry.ID, Document: doc, Erased: erased}, fault.Wrap(err, "certify an erasure")
}

// settled erases, and again while a delivery keeps something, for a short while.
func (e *Eraser) settled(ctx context.Context, entry *Entry) ([]pledge.Erased, error) {
	s, err := entry.subject()
	if err != nil {
		return nil, err
	}
	if entry.KeepAway && e.KeepAway != nil {
		if err := e.KeepAway(ctx, s); err != nil {
			return nil, err
		}
	}
	sum, err := e.pass(ctx, entry, s)
	until := e.Clock.Now().Add(e.Settle)
	for err == nil && busy(sum) && e.Clock.Now().Before(until) {
		if err = clock.Sleep(ctx, e.Clock, e.Settle/5); err != nil {
			break
		}
		var more []pledge.Erased
		if more, err = e.pass(ctx, entry, s); err == nil {
			sum = join(sum, more)
		}
	}
	if err == nil && !entry.KeepAway && slices.ContainsFunc(sum, func(x pledge.Erased) bool { return x.Held }) {
		// Who is held stays restricted (GDPR Art. 18(1)(c)): nothing is sent to them.
		if entry.KeepAway = true; e.KeepAway != nil {
			err = e.KeepAway(ctx, s)
		}
	}
	if err != nil {
		return sum, err
	}
	entry.Passes++
	return sum, e.Ledger.Put(*entry)
}

// pass asks every holder once and empties what deleting left in the files.
func (e *Eraser) pass(ctx context.Context, entry *Entry, s pledge.Subject) ([]pledge.Erased, error) {
	if err := e.hold(ctx, s); err != nil {
		return nil, err
	}
	if e.Tell != nil {
		told, err := e.Tell(ctx, onward.Order{Kind: onward.Erased, Subject: s, Cause: int64(entry.ID), Case: entry.Case})
		if err != nil {
			return nil, err
		}
		entry.Told = max(entry.Told, told)
	}
	var all []pledge.Erased
	for _, h := range e.Holders {
		erased, err := h.Erase(ctx, s)
		if err != nil {
			return nil, fault.Wrap(err, "erase from "+h.HolderName())
		}
		all = join(all, erased)
	}
	if err := e.DB.Scrub(ctx); err != nil {
		e.Observe.For("protect/erase").Log.Warn("deleted rows stay in free pages until the next scrub", "error", err)
	}
	return all, nil
}

func (e *Eraser) hold(ctx context.Context, s pledge.Subject) error {
	if e.Hold == nil {
		return nil
	}
	return fault.Wrap(e.Hold(ctx, s.Scope), "keep what is held of a person")
}

func busy(erased []pledge.Erased) bool {
	for _, x := range erased {
		if x.Later > 0 {
			return true
		}
	}
	return false
}

// join adds a later pass to what went before: counts add up, what is kept or in
// use is as the last pass found it.
func join(before, later []pledge.Erased) []pledge.Erased {
	out := append([]pledge.Erased(nil), before...)
	for _, l := range later {
		at := -1
		for i := range out {
			if out[i].Category == l.Category {
				at = i
			}
		}
		if at < 0 {
			out = append(out, l)
			continue
		}
		out[at].Count += l.Count
		out[at].Kept, out[at].Later, out[at].Why, out[at].Epoch = l.Kept, l.Later, l.Why, max(out[at].Epoch, l.Epoch)
		out[at].Held = l.Held
	}
	return out
}

// certify stages the leaf, waits for its checkpoint and makes the person's copy.
func (e *Eraser) certify(ctx context.Context, entry *Entry, person address.Address, erased []pledge.Erased) (evidence.Certificate, error) {
	salt, err := evidence.NewSalt(rand.Reader)
	if err != nil {
		return evidence.Certificate{}, err
	}
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](e.IDs), At: evidence.On(e.Clock.Now()), By: evidence.Actor{Role: entry.By}, Tenant: entry.Tenant,
		Body: &evidence.Erasure{
			Certificate: entry.ID, Categories: evidence.Counts(erased), Follows: e.follows(entry, erased), Reached: e.reached(entry),
			Policy: e.Policy(entry.Tenant), Reason: entry.Reason, Subject: evidence.HashSubject(salt, person),
		},
	}
	err = e.DB.Change(ctx, "stage the evidence of an erasure", func(tx *db.Tx) error { return e.Stage.Stage(ctx, tx, leaf) })
	if err != nil {
		return evidence.Certificate{}, err
	}
	e.Log.Nudge()
	return e.Log.Certify(ctx, leaf.ID, &salt)
}

func (e *Eraser) reached(entry *Entry) []string {
	list := []string{
		"the erasure was written into the erasure ledger before anything was destroyed",
		"rows and bytes were deleted, or stripped of the person where they belong to others too",
	}
	if e.DB.Dialect() == db.SQLite {
		list = append(list, "the database's free pages and write-ahead log were emptied")
	}
	if entry.KeepAway {
		list = append(list, "a keyed hash stays so that the person is not written to again")
	}
	return list
}

func (e *Eraser) follows(entry *Entry, erased []pledge.Erased) []evidence.Follow {
	now := e.Clock.Now()
	list := []evidence.Follow{{By: evidence.On(now.Add(2 * e.Grace)), What: "outcomes of deliveries that were under way are erased, and the keyed hash that finds the person"}}
	if e.DB.Dialect() == db.Postgres {
		list = append(list, evidence.Follow{By: evidence.On(now.Add(24 * time.Hour)), What: "dead rows are vacuumed from the database's files"})
	}
	if entry.Told > 0 {
		list = append(list, evidence.Follow{
			By:   evidence.On(now.Add(onward.Term)),
			What: fmt.Sprintf("%s got the data: told of the erasure by a signed event each, which is to be acknowledged (GDPR Art. 17(2), 19)", endpoints(entry.Told)),
		})
	}
	for _, x := range erased {
		if x.Epoch > 0 {
			list = append(list, evidence.Follow{
				By:   evidence.On(now.Add(x.Epoch + 48*time.Hour)),
				What: x.Category + ": copies made earlier cannot be opened either, their keys are destroyed",
			})
		}
	}
	return list
}

func endpoints(n int) string {
	if n == 1 {
		return "1 endpoint"
	}
	return strconv.Itoa(n) + " endpoints"
}

// Finish repeats the erasures whose grace is over or that a crash interrupted,
// and ends those of whom nothing is found any more. It says how many ended.
func (e *Eraser) Finish(ctx context.Context) (int, error) {
	var due []Entry
	err := e.Ledger.Each(ctx, func(x Entry) error {
		if !x.Whole && x.Done.IsZero() && (x.Passes == 0 || !e.Clock.Now().Before(x.At.Add(e.Grace))) {
			due = append(due, x)
		}
		return nil
	})
	if err != nil {
		return 0, fault.Wrap(err, "read the erasure ledger")
	}
	ended := 0
	var wrong []error
	for _, x := range due {
		done, err := e.finish(ctx, x)
		if done {
			ended++
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return ended, errors.Join(wrong...)
}

func (e *Eraser) finish(ctx context.Context, entry Entry) (bool, error) {
	e.one.Lock()
	defer e.one.Unlock()
	s, err := entry.subject()
	if err != nil {
		return false, err
	}
	if _, err := e.settled(ctx, &entry); err != nil {
		return false, fault.Wrap(err, "finish an erasure")
	}
	left, err := e.left(ctx, s)
	if err != nil || left > 0 || e.Clock.Now().Before(entry.At.Add(e.Grace)) {
		return false, err
	}
	for _, forget := range e.Forget {
		if err := forget(ctx, s); err != nil {
			return false, err
		}
	}
	entry.Done = e.Clock.Now().UTC()
	return true, e.Ledger.Put(entry)
}

// left counts what is still found of a person and is not kept for a reason.
func (e *Eraser) left(ctx context.Context, s pledge.Subject) (int, error) {
	if err := e.hold(ctx, s); err != nil {
		return 0, err
	}
	count := 0
	for _, h := range e.Holders {
		traces, err := h.Find(ctx, s)
		if err != nil {
			return 0, fault.Wrap(err, "look for what is left in "+h.HolderName())
		}
		if len(traces) == 0 {
			continue
		}
		again, err := h.Erase(ctx, s)
		if err != nil {
			return 0, fault.Wrap(err, "erase from "+h.HolderName())
		}
		kept := 0
		for _, x := range again {
			kept += x.Kept
		}
		if kept > 0 {
			continue
		}
		for _, t := range traces {
			count += t.Count
		}
	}
	return count, nil
}

// Replay erases again everybody in the ledger, persons and customers: after a
// restore of data that was taken at a time. It stages the entry of the restore and says how many persons
// it went through.
func (e *Eraser) Replay(ctx context.Context, taken time.Time) (int, error) {
	persons, records := 0, 0
	replay := func(whole bool, erase func(*Entry) (int, error)) error {
		return e.Ledger.Each(ctx, func(x Entry) error {
			if x.Whole != whole || x.At.Before(taken.Add(-24*time.Hour)) {
				return nil // the backup was taken after it; a day is for clocks
			}
			n, err := erase(&x)
			records += n
			persons++
			return err
		})
	}
	// Customers first: what of them came back opens to nobody, and would stop those
	// who look for persons.
	err := replay(true, func(x *Entry) (int, error) { return e.whole(ctx, *x) })
	if err == nil {
		err = replay(false, func(x *Entry) (n int, err error) {
			erased, err := e.settled(ctx, x)
			for _, y := range erased {
				n += y.Count
			}
			return n, err
		})
	}
	if err != nil {
		return persons, fault.Wrap(err, "replay the erasure ledger")
	}
	leaf := evidence.Leaf{
		ID: ids.New[ids.Leaf](e.IDs), At: evidence.On(e.Clock.Now()), By: evidence.Actor{Role: evidence.BySystem},
		Body: &evidence.Restore{Erased: int64(records), Ledger: int64(persons), Taken: evidence.On(taken)},
	}
	err = e.DB.Change(ctx, "stage the evidence of a restore", func(tx *db.Tx) error { return e.Stage.Stage(ctx, tx, leaf) })
	e.Log.Nudge()
	return persons, fault.Wrap(err, fmt.Sprintf("record the restore of %s", taken.Format(time.DateOnly)))
}

func (e *Eraser) whole(ctx context.Context, x Entry) (int, error) {
	if e.Whole == nil {
		return 0, fault.New(fault.Internal, "nobody deletes a customer as a whole")
	}
	return e.Whole(ctx, x)
}

// Run finishes what is due, each minute, until its context ends.
func (e *Eraser) Run(ctx context.Context) error {
	log := e.Observe.For("protect/erase").Log
	for {
		if n, err := e.Finish(ctx); err != nil && ctx.Err() == nil {
			log.Error("an erasure could not be finished; it is tried again", "error", err)
		} else if n > 0 {
			log.Info("erasures ended", "count", n)
		}
		if clock.Sleep(ctx, e.Clock, time.Minute) != nil {
			return nil
		}
	}
}
