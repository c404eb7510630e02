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
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/inventory"
)

// Rule purges one category.
type Rule struct {
	Category string
	// Age is for a category without a ceiling whose remains are swept, such as
	// blobs that no row refers to; zero is the category's ceiling.
	Age time.Duration
	// Purge removes everything older than before, in short transactions, and says
	// how many records went. A repeat after a crash goes on.
	Purge func(ctx context.Context, before time.Time) (int, error)
	// Oldest is the time of the oldest record, or zero; nil where the store
	// cannot tell.
	Oldest func(ctx context.Context) (time.Time, error)
}

// Keys ends the epoch keys of one class.
type Keys struct {
	Class vault.Class
	// After is how long after its day a key is needed.
	After time.Duration
	// Needs are categories whose purge must have gone well before.
	Needs []string
	// Survivors seals under a young key whatever was written before a time and
	// still stands under a dying one. Nil: nothing can survive.
	Survivors func(ctx context.Context, before time.Time, dying func(ids.Key) bool) (int, error)
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
	Policy    string
	Every     time.Duration // between two passes; an hour when zero
}

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
	if c.Policy == "" {
		c.Policy = "1"
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

func (e *Engine) period(r Rule) time.Duration {
	if r.Age > 0 {
		return r.Age
	}
	k, _ := e.Inventory.Category(r.Category)
	return max(k.Period.Ceiling, k.Period.Floor)
}

// Pass purges everything that is due now. Every category is tried, whatever
// happens to the others; the error names those that failed.
func (e *Engine) Pass(ctx context.Context) error {
	e.pass.Lock()
	defer e.pass.Unlock()
	var wrong []error
	failed := map[string]bool{}
	total := 0
	for _, r := range e.Rules {
		n, err := e.purge(ctx, r)
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
	for _, k := range e.Keys {
		if err := e.destroy(ctx, k, failed); err != nil {
			wrong = append(wrong, fmt.Errorf("destroy %s keys: %w", k.Class, err))
		}
	}
	return errors.Join(wrong...)
}

// purge runs one rule and writes down how it went.
func (e *Engine) purge(ctx context.Context, r Rule) (int, error) {
	period := e.period(r)
	before := e.Clock.Now().Add(-period)
	n, err := r.Purge(ctx, before)
	if err == nil && n > 0 {
		err = e.record(ctx, &evidence.Purge{Before: evidence.On(before), Category: r.Category, Count: int64(n), Policy: e.Policy})
	}
	var oldest time.Time
	if err == nil && r.Oldest != nil {
		if oldest, err = r.Oldest(ctx); err == nil && !oldest.IsZero() && oldest.Before(before) {
			err = fault.New(fault.Internal, "something older than the period is still there")
		}
	}
	return n, errors.Join(err, e.note(ctx, r.Category, period, before, n, oldest, err))
}

// destroy ends the keys of a class in every customer's folder.
func (e *Engine) destroy(ctx context.Context, k Keys, failed map[string]bool) error {
	before := vault.DayOf(e.Clock.Now().Add(-k.After))
	total, err := 0, error(nil)
	for _, need := range k.Needs {
		if failed[need] {
			err = fault.New(fault.Unavailable, "the keys wait until "+need+" are purged")
		}
	}
	var tenants []ids.Tenant
	if err == nil {
		tenants, err = e.Vault.Tenants(ctx)
	}
	for _, t := range tenants {
		var n int
		if n, err = e.destroyOf(ctx, t, k, before); err != nil {
			break
		}
		total += n
	}
	return errors.Join(err, e.note(ctx, keysName(k), k.After, before.Start(), total, time.Time{}, err))
}

func (e *Engine) destroyOf(ctx context.Context, tenant ids.Tenant, k Keys, before vault.Day) (int, error) {
	all, err := e.Vault.Epochs(ctx, tenant)
	if err != nil {
		return 0, err
	}
	dying := map[ids.Key]bool{}
	for _, x := range all {
		if x.Class == k.Class && x.Day < before {
			dying[x.Key] = true
		}
	}
	if len(dying) == 0 {
		return 0, nil
	}
	if k.Survivors != nil {
		if _, err := k.Survivors(ctx, before.Start(), func(id ids.Key) bool { return dying[id] }); err != nil {
			return 0, fault.Wrap(err, "seal what survives")
		}
	}
	gone, err := e.Vault.Destroy(ctx, tenant, k.Class, before)
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	leaf := &evidence.KeyDestruction{Count: int64(len(gone)), Purpose: k.Class.String(), Reason: "period.over"}
	if len(gone) == 1 {
		leaf.Key = gone[0].Key
	}
	return len(gone), e.record(ctx, leaf)
}

func (e *Engine) record(ctx context.Context, body evidence.Body) error {
	leaf := evidence.Leaf{ID: ids.New[ids.Leaf](e.IDs), At: evidence.On(e.Clock.Now()), By: evidence.Actor{Role: evidence.BySystem}, Body: body}
	err := e.DB.Change(ctx, "stage the evidence of a purge", func(tx *db.Tx) error { return e.Stage.Stage(ctx, tx, leaf) })
	e.Nudge()
	return err
}

// Run makes a pass at once and then each Every, until its context ends.
func (e *Engine) Run(ctx context.Context) error {
	log := e.Observe.For("protect/retain").Log
	for {
		if err := e.Pass(ctx); err != nil && ctx.Err() == nil {
			log.Error("a purge failed; it is tried again", "error", err, "hint", fault.HintOf(err))
		}
		if clock.Sleep(ctx, e.Clock, e.Every) != nil {
			return nil
		}
	}
}
