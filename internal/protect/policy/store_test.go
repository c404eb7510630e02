package policy

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

const acme ids.Tenant = 77

// opened is a store with what it told.
type opened struct {
	*Store
	clock *lab.Clock
	told  []string
}

func open(t *testing.T, config db.Config, more ...func(*Config)) *opened {
	t.Helper()
	clock := lab.NewClock(lab.Epoch)
	config.Clock, config.Wind = clock, func(time.Time) time.Time { return clock.Now() }
	d := lab.OpenDB(t, config, Schema, evidence.Schema())
	o := &opened{clock: clock}
	c := Config{
		DB: d, Stage: evidence.NewStage(d), IDs: ids.NewSource(clock, 1, 0), Clock: clock, Observe: observe.Silent(), Known: known,
		Published: func(_ context.Context, v Version, changes []Change) {
			for _, ch := range changes {
				o.told = append(o.told, label(v.Number, 0)+" "+ch.Words())
			}
		},
	}
	for _, f := range more {
		f(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	o.Store = s
	return o
}

func (o *opened) publish(t *testing.T, of ids.Tenant, text string, effective time.Time) (Version, error) {
	t.Helper()
	v, _, err := o.Publish(t.Context(), Draft{Tenant: of, Text: text, Effective: effective, Role: evidence.ByOperator, Author: 9, Note: "because"})
	return v, err
}

func (o *opened) records(of ids.Tenant) string {
	f := o.For(of, o.clock.Now())
	return f.Label + " " + f.Document.Retention["message records"].words()
}

func TestVersionsHoldFromTheirDate(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		o := open(t, config)
		if got := o.records(acme); got != "1 gone after 90 days" {
			t.Fatal("the first policy:", got)
		}
		// What tightens holds at once, what loosens after its notice.
		if _, err := o.publish(t, tenant.Platform, "retention: {message records: 14d}", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := o.records(acme); got != "2 gone after 14 days" {
			t.Error("tightened:", got)
		}
		loose := "retention: {message records: 60d}"
		if _, err := o.publish(t, tenant.Platform, loose, o.clock.Now().AddDate(0, 0, 29)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "30 days before") {
			t.Error("loosened without notice:", err)
		}
		v, err := o.publish(t, tenant.Platform, loose, time.Time{})
		if err != nil || v.Number != 3 || !v.Effective.Equal(o.clock.Now().AddDate(0, 0, 30)) {
			t.Fatal(v, err)
		}
		o.clock.Wind(30*24*time.Hour - time.Second)
		if got := o.records(acme); got != "2 gone after 14 days" {
			t.Error("a second before its date:", got)
		}
		o.clock.Wind(time.Second)
		if got := o.records(acme); got != "3 gone after 60 days" {
			t.Error("at its date:", got)
		}
		if got := o.Platform(v.Published).Label; got != "2" && got != "3" {
			t.Error("a clock that was set back:", got)
		}
		if _, err := o.publish(t, tenant.Platform, loose, time.Time{}); !fault.Is(err, fault.Conflict) {
			t.Error("the same again:", err)
		}
		list, err := o.Versions(t.Context(), tenant.Platform, 0, 10)
		if err != nil || len(list) != 3 || list[0].Number != 3 || list[2].Text == "" || list[0].Author != 9 || list[0].Note != "because" {
			t.Error(list, err)
		}
		if len(o.told) != 2 || !strings.HasSuffix(o.told[0], "(stricter)") || !strings.HasSuffix(o.told[1], "(looser)") {
			t.Error(o.told)
		}
		staged, err := o.Stage.Staged(t.Context(), 10)
		if err != nil || len(staged) != 3 {
			t.Error("evidence:", len(staged), err)
		}
	})
}

func TestCustomersNarrow(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		o := open(t, config)
		if _, err := o.publish(t, acme, "retention: {message records: 91d}", time.Time{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "looser than the platform's") {
			t.Error("loosened:", err)
		}
		if _, err := o.publish(t, acme, "retention: {message records: 30d}", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, other := o.records(acme), o.records(78); got != "1-1 gone after 30 days" || other != "1 gone after 90 days" {
			t.Error(got, other)
		}
		if got := len(o.Narrower(o.clock.Now())); got != 1 {
			t.Error("customers with a policy of their own:", got)
		}
		// A customer's own change back needs no notice: it is its own.
		if _, err := o.publish(t, acme, "retention: {message records: 40d}", time.Time{}); err != nil {
			t.Fatal(err)
		}
		// The platform gets stricter than the customer was, and the customer with it.
		if _, err := o.publish(t, tenant.Platform, "retention: {message records: 7d}", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := o.records(acme); got != "2-2 gone after 7 days" {
			t.Error("after the platform's change:", got)
		}
		if err := o.Drop(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
		if got := o.records(acme); got != "2 gone after 7 days" {
			t.Error("after the contract's end:", got)
		}
		if err := o.Drop(t.Context(), tenant.Platform); !fault.Is(err, fault.Conflict) {
			t.Error("the platform's policies were dropped:", err)
		}
	})
}

func TestWithdrawing(t *testing.T) {
	t.Parallel()
	o := open(t, db.Config{Dir: t.TempDir()})
	v, err := o.publish(t, tenant.Platform, "tls: {mx: \"1.3\"}", o.clock.Now().AddDate(0, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	// Numbers and dates go the same way.
	if _, err := o.publish(t, tenant.Platform, "tls: {mx: \"1.2\"}", o.clock.Now().AddDate(0, 0, 5)); !fault.Is(err, fault.Invalid) {
		t.Error("an older date under a newer number:", err)
	}
	if err := o.Withdraw(t.Context(), tenant.Platform, v.Number, evidence.ByOperator); err != nil {
		t.Fatal(err)
	}
	o.clock.Wind(11 * 24 * time.Hour)
	if got := o.Platform(o.clock.Now()); got.Label != "1" || got.Document.TLS.MX != Offered {
		t.Error("what was withdrawn is in force:", got.Label)
	}
	if err := o.Withdraw(t.Context(), tenant.Platform, 1, evidence.ByOperator); !fault.Is(err, fault.Conflict) {
		t.Error("what is in force was withdrawn:", err)
	}
	next, err := o.publish(t, tenant.Platform, "tls: {mx: \"1.2\"}", time.Time{})
	if err != nil || next.Number != 3 {
		t.Error("a withdrawn number was used again:", next.Number, err)
	}
	if old, err := o.Version(t.Context(), tenant.Platform, 2); err != nil || old.Withdrawn.IsZero() {
		t.Error("what was withdrawn is not on record:", old, err)
	}
	if _, err := o.Version(t.Context(), tenant.Platform, 4); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestNobodyToTell(t *testing.T) {
	t.Parallel()
	anybody := false
	o := open(t, db.Config{Dir: t.TempDir()}, func(c *Config) { c.Audience = func(context.Context) (bool, error) { return anybody, nil } })
	if _, err := o.publish(t, tenant.Platform, "retention: {message records: 100d}", o.clock.Now()); err != nil {
		t.Error("before the first customer:", err)
	}
	anybody = true
	if _, err := o.publish(t, tenant.Platform, "retention: {message records: 101d}", o.clock.Now()); !fault.Is(err, fault.Invalid) {
		t.Error("after the first customer:", err)
	}
	for _, d := range []Draft{{Tenant: tenant.Platform, Text: "retention: {}", Note: "ask me@example.com"}, {Tenant: tenant.Platform, Text: "retention: {diaries: 1d}"}} {
		if _, err := o.Judge(t.Context(), d); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

// TestNodesHear: what one node publishes another obeys within seconds.
func TestNodesHear(t *testing.T) {
	t.Parallel()
	dsn := lab.Postgres(t)
	one, two := open(t, db.Config{Postgres: dsn}), open(t, db.Config{Postgres: dsn})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- two.Run(ctx) }()
	if _, err := one.publish(t, tenant.Platform, "retention: {message records: 5d}", time.Time{}); err != nil {
		t.Fatal(err)
	}
	heard := false
	for end := time.Now().Add(30 * time.Second); !heard && time.Now().Before(end); {
		two.clock.Wind(refreshEvery)
		heard = two.records(acme) == "2 gone after 5 days"
	}
	if !heard {
		t.Error("the other node keeps", two.records(acme))
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
