// Package retain keeps the periods of the inventory: what is older goes, batch by
// batch, and then the keys that opened it, so that copies cannot be opened
// either. It promises that every category with a ceiling has a rule, that each
// purge stands in the evidence log, that a key dies only after its survivors were
// sealed again and the purges it depends on went well, and that a purge which
// could not run is a failing state that people see. How rows are deleted is known
// by the packages that own them.
package retain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
	"mailvow/internal/protect/policy"
)

// Rule purges one category.
type Rule struct {
	Category string
	// Age is for a category without a ceiling whose remains are swept, such as
	// blobs that no row refers to; zero is the category's ceiling.
	Age time.Duration
	// By is the category whose period in the policy counts, where it is not the
	// rule's own: what is held of message records goes with them.
	By string
	// Purge removes everything of a scope that is older than before, in short
	// transactions, and says how many records went. A repeat after a crash goes on.
	Purge func(ctx context.Context, in scope.Scope, before time.Time) (int, error)
	// Oldest is the time of the oldest record, or zero; nil where the store
	// cannot tell.
	Oldest func(ctx context.Context) (time.Time, error)
}

// Keys ends the epoch keys of one class.
type Keys struct {
	Class vault.Class
	// After is how long after its epoch's end a key is needed at the least.
	After time.Duration
	// Of are categories that the class seals: a customer's key is needed until
	// Slack after their periods. A day is for slow clocks.
	Of []string
	// Every is between two looks for keys whose time is over; zero: at each pass.
	Every time.Duration
	// Needs are categories whose purge must have gone well before.
	Needs []string
	// Survivors seals under a young key whatever still stands under a dying one:
	// it was sealed between since and before. Nil: nothing can survive.
	Survivors func(ctx context.Context, since, before time.Time, dying func(ids.Key) bool) (int, error)
}

// Config is what the engine stands on.
type Config struct {
	Inventory *inventory.Inventory
	Rules     []Rule
	Keys      []Keys
	DB        *db.DB
	Vault     *vault.Vault
	Stage     *evidence.Stage
	Nudge     func() // something was staged
	IDs       *ids.Source
	Clock     clock.Clock
	Observe   *observe.Observer
	Policies  Policies      // nil: the inventory's periods hold for everybody
	Every     time.Duration // between two passes; an hour when zero
}

// Policies say what is in force at a moment; policy.Store does.
type Policies interface {
	// For is the policy of a customer, or with the zero tenant the platform's.
	For(id ids.Tenant, t time.Time) policy.InForce
	// Narrower are those of the customers who have one of their own.
	Narrower(t time.Time) map[ids.Tenant]policy.InForce
}

// slack is what a key outlives the rows that it sealed: for what was sealed just
// before its epoch's end, and for slow clocks.
const slack = 24 * time.Hour

// Engine purges. One process at a time runs it.
type Engine struct {
	Config
	set     *db.Set
	began   time.Time
	pass    sync.Mutex
	failing *prometheus.GaugeVec
}

// New checks that every category with a ceiling has a rule.
func New(c Config) (*Engine, error) {
	if c.Every == 0 {
		c.Every = time.Hour
	}
	if c.Nudge == nil {
		c.Nudge = func() {}
	}
	var wrong []error
	for _, r := range c.Rules {
		k, ok := c.Inventory.Category(r.Category)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Errorf("a rule names the category %q, which nobody declares", r.Category))
		case r.Age == 0 && k.Period.Ceiling == 0:
			wrong = append(wrong, fmt.Errorf("the category %q has a rule and no ceiling", r.Category))
		}
	}
	for _, k := range c.Inventory.Entries() {
		has := slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Category == k.Name })
		if k.Period.Ceiling > 0 && len(k.Places) > 0 && !has {
			wrong = append(wrong, fmt.Errorf("the category %q has a ceiling and no rule keeps it", k.Name))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	e := &Engine{Config: c, set: c.DB.Set(pkg), began: c.Clock.Now(), failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mailvow_retention_failing", Help: "1 where this process last could not purge a category or destroy keys.",
	}, []string{"category"})}
	if c.Observe != nil && c.Observe.Metrics != nil {
		c.Observe.Metrics.MustRegister(e.failing)
	}
	return e, nil
}

// Pass purges everything that is due now. Every category is tried, whatever
// happens to the others; the error names those that failed.
func (e *Engine) Pass(ctx context.Context) error {
	e.pass.Lock()
	defer e.pass.Unlock()
	// One moment for the whole pass: a clock set forward in it ends no key of what
	// was not yet purged.
	now := e.Clock.Now()
	var wrong []error
	failed := map[string]bool{}
	total := 0
	for _, r := range e.Rules {
		n, err := e.purge(ctx, r, now)
		total += n
		if err != nil {
			failed[r.Category] = true
			wrong = append(wrong, fmt.Errorf("purge %s: %w", r.Category, err))
		}
	}
	if total > 0 {
		if err := e.DB.Scrub(ctx); err != nil {
			wrong = append(wrong, fault.Wrap(err, "empty the free pages"))
		}
	}
	wrong = append(wrong, e.destroyAll(ctx, e.Keys, failed, now))
	return errors.Join(wrong...)
}

// Soon ends the keys that are looked for between two passes.
func (e *Engine) Soon(ctx context.Context) error {
	e.pass.Lock()
	defer e.pass.Unlock()
	var soon []Keys
	for _, k := range e.Keys {
		if k.Every > 0 {
			soon = append(soon, k)
		}
	}
	return e.destroyAll(ctx, soon, nil, e.Clock.Now())
}

func (e *Engine) destroyAll(ctx context.Context, keys []Keys, failed map[string]bool, now time.Time) error {
	var wrong []error
	for _, k := range keys {
		if err := e.destroy(ctx, k, failed, now); err != nil {
			wrong = append(wrong, fmt.Errorf("destroy %s keys: %w", k.Class, err))
		}
	}
	return errors.Join(wrong...)
}

// purge runs one rule for everybody and for those whose policy is another, and
// writes down how it went.
func (e *Engine) purge(ctx context.Context, r Rule, now time.Time) (int, error) {
	plan, err := e.plan(ctx, r, now)
	total := 0
	for _, p := range plan {
		var n int
		if err == nil {
			n, err = e.purgeOf(ctx, r, p)
		}
		total += n
	}
	var oldest time.Time
	if err == nil && r.Oldest != nil {
		if oldest, err = r.Oldest(ctx); err == nil && !oldest.IsZero() && oldest.Before(plan[0].before) {
			err = fault.New(fault.Internal, "something older than the period is still there")
		}
	}
	before := e.cut(r, 0, now)
	return total, errors.Join(err, e.note(ctx, r.Category, now.Sub(before), before, total, oldest, err))
}

func (e *Engine) purgeOf(ctx context.Context, r Rule, p purge) (int, error) {
	n, err := r.Purge(ctx, p.in, p.before)
	if err == nil && n > 0 {
		err = e.record(ctx, p.tenant, &evidence.Purge{Before: evidence.On(p.before), Category: r.Category, Count: int64(n), Policy: e.label(p.tenant)})
	}
	return n, err
}

// destroy ends the keys of a class in every customer's folder.
func (e *Engine) destroy(ctx context.Context, k Keys, failed map[string]bool, now time.Time) error {
	before, total, err := e.keysCut(k, 0, now), 0, error(nil)
	for _, need := range k.Needs {
		if failed[need] {
			err = fault.New(fault.Unavailable, "the keys wait until "+need+" are purged")
		}
	}
	if err == nil {
		total, err = e.destroyDue(ctx, k, now)
	}
	return errors.Join(err, e.note(ctx, keysName(k), now.Sub(before), before, total, time.Time{}, err))
}

// destroyDue first has the survivors of all customers sealed again, in one go
// through the store, and then ends exactly the keys that were looked for. What
// was destroyed is recorded also when a later customer's keys fail.
func (e *Engine) destroyDue(ctx context.Context, k Keys, now time.Time) (total int, err error) {
	due, since, before, err := e.due(ctx, k, now)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	if k.Survivors != nil {
		dying := map[ids.Key]bool{}
		for _, epochs := range due {
			for _, x := range epochs {
				dying[x.Key] = true
			}
		}
		if _, err := k.Survivors(ctx, since, before, func(id ids.Key) bool { return dying[id] }); err != nil {
			return 0, fault.Wrap(err, "seal what survives")
		}
	}
	leaf := &evidence.KeyDestruction{Purpose: k.Class.String(), Reason: "period.over"}
	for _, epochs := range due {
		if err = e.Vault.DestroyEpochs(ctx, epochs[0].Tenant, epochs); err != nil {
			break
		}
		total += len(epochs)
		leaf.Key = epochs[0].Key
	}
	if total == 0 {
		return 0, err
	}
	if leaf.Count = int64(total); total > 1 {
		leaf.Key = 0
	}
	return total, errors.Join(err, e.record(ctx, 0, leaf))
}

// due lists, by customer, the epochs of a class whose time is over, when the
// first of them began and before when the last of them ended.
func (e *Engine) due(ctx context.Context, k Keys, now time.Time) (due [][]vault.Epoch, since, before time.Time, err error) {
	tenants, err := e.Vault.Tenants(ctx)
	if err != nil {
		return nil, since, before, err
	}
	for _, t := range tenants {
		all, err := e.Vault.Epochs(ctx, t)
		if err != nil {
			return nil, since, before, err
		}
		cut := e.keysCut(k, t, now)
		over := slices.DeleteFunc(all, func(x vault.Epoch) bool { return x.Class != k.Class || x.Ends.After(cut) })
		if len(over) == 0 {
			continue
		}
		due = append(due, slices.Clone(over))
		if first := over[0].Starts; since.IsZero() || first.Before(since) {
			since = first
		}
		if cut.After(before) {
			before = cut
		}
	}
	return due, since, before, nil
}

func (e *Engine) record(ctx context.Context, tenant ids.Tenant, body evidence.Body) error {
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](e.IDs), At: evidence.On(e.Clock.Now()), By: evidence.Actor{Role: evidence.BySystem}, Tenant: tenant, Body: body}
	err := e.DB.Change(ctx, "stage the evidence of a purge", func(tx *db.Tx) error { return e.Stage.Stage(ctx, tx, leaf) })
	e.Nudge()
	return err
}

// Run makes a pass at once and then each Every, and looks in between for keys
// that end sooner, until its context ends.
func (e *Engine) Run(ctx context.Context) error {
	log := e.Observe.For("protect/retain").Log
	step := e.Every
	for _, k := range e.Keys {
		if k.Every > 0 {
			step = min(step, k.Every)
		}
	}
	var next time.Time
	for {
		work, now := e.Soon, e.Clock.Now()
		if !now.Before(next) {
			work, next = e.Pass, now.Add(e.Every)
		}
		if err := work(ctx); err != nil && ctx.Err() == nil {
			log.Error("a purge failed; it is tried again", "error", err, "hint", fault.HintOf(err))
		}
		if clock.Sleep(ctx, e.Clock, step) != nil {
			return nil
		}
	}
}
