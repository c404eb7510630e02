package notice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/tenant"
)

// bench is notices over the real policies of two accounts.
type bench struct {
	*Store
	clock    *lab.Clock
	policies *policy.Store
	letters  []string
	mute     error
}

const acme, other ids.Tenant = 7, 8

func newBench(t *testing.T, d *db.DB) *bench {
	t.Helper()
	b := &bench{clock: lab.NewClock(lab.Epoch)}
	source := ids.NewSource(b.clock, 1, 0)
	stage := evidence.NewStage(d)
	var err error
	b.policies, err = policy.New(t.Context(), policy.Config{DB: d, Stage: stage, IDs: source, Clock: b.clock, Observe: observe.Silent(), Known: policy.Known{Categories: []string{"message records", "conversations", "counts"}}})
	must(t, err)
	b.Store = New(Config{
		DB: d, Stage: stage, IDs: source, Clock: b.clock, Observe: observe.Silent(), Policies: b.policies,
		Accounts: func(_ context.Context, yield func(ids.Tenant) error) error {
			return errors.Join(yield(acme), yield(other))
		},
		Contacts: func(_ context.Context, of ids.Tenant) ([]Contact, error) {
			a, err := address.Parse("owner@" + map[ids.Tenant]string{acme: "acme", other: "other"}[of] + ".example")
			return []Contact{{User: 5, Address: a, Owner: of == acme}}, err
		},
		Close: func(of ids.Tenant, owner ids.User, until time.Time) (string, error) {
			return fmt.Sprintf("https://mail.test/close/%d-%d-%s", of, owner, until.Format(time.DateOnly)), nil
		},
		Post: func(_ context.Context, to address.Address, subject, text string) error {
			if b.mute == nil {
				b.letters = append(b.letters, to.Text()+"\n"+subject+"\n"+text)
			}
			return b.mute
		},
		Base: func() string { return "https://mail.test" }, Officer: "privacy@mail.test",
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *db.DB { return lab.DB(t, Schema, policy.Schema, evidence.Schema()) }

// changed publishes the platform's next version.
func (b *bench) changed(t *testing.T, text string) policy.Version {
	t.Helper()
	v, _, err := b.policies.Publish(t.Context(), policy.Draft{Tenant: tenant.Platform, Text: text, Note: "less is enough", Role: evidence.ByOperator})
	must(t, err)
	return v
}

// TestEveryAccountIsToldOnce: also when nobody announced the version, and when
// mail could not go at first.
func TestEveryAccountIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, open(t))
	ctx := t.Context()
	must(t, b.Tick(ctx))
	if list, err := b.List(ctx, acme); err != nil || len(list) != 0 {
		t.Fatalf("of the first version: %+v %v", list, err)
	}
	b.changed(t, "breach: {customer: 12h}")
	b.mute = fault.New(fault.Unavailable, "")
	must(t, b.Tick(ctx)) // nobody called Announce: the process died
	if list, err := b.Unseen(ctx, acme); err != nil || len(list) != 1 || list[0].Number != 2 || !list[0].Mailed.IsZero() {
		t.Fatalf("%+v %v", list, err)
	}
	b.mute = nil
	for range 3 {
		must(t, b.Tick(ctx))
	}
	if len(b.letters) != 2 {
		t.Fatalf("%d letters: %q", len(b.letters), b.letters)
	}
	for _, says := range []string{"owner@acme.example", "version 2, in force from ", "breach.customer: within 12 hours", "less is enough", "https://mail.test/trust/policy#v2", "privacy@mail.test"} {
		if !strings.Contains(b.letters[0], says) {
			t.Errorf("the letter lacks %q:\n%s", says, b.letters[0])
		}
	}
	if strings.Contains(b.letters[0], "tls.mx") {
		t.Errorf("what a version leaves out is as the recommended profile has it, and did not change:\n%s", b.letters[0])
	}
	if !strings.Contains(b.letters[0], "https://mail.test/close/7-5-") || strings.Contains(b.letters[1], "/close/") || !strings.Contains(b.letters[1], "an owner of your account can close it") {
		t.Errorf("an owner gets the link that closes, and nobody else: %q", b.letters)
	}
	// An account's own policy concerns that account alone.
	v, _, err := b.policies.Publish(ctx, policy.Draft{Tenant: other, Text: "breach: {customer: 6h}", Role: evidence.ByOwner})
	must(t, err)
	must(t, b.Announce(ctx, v))
	must(t, b.Announce(ctx, v))
	must(t, b.Tick(ctx))
	if len(b.letters) != 3 || !strings.HasPrefix(b.letters[2], "owner@other.example\nYour account's own policy") {
		t.Errorf("%q", b.letters)
	}
	must(t, b.Drop(ctx, other))
	if list, err := b.List(ctx, other); err != nil || len(list) != 0 {
		t.Errorf("after the contract's end: %+v %v", list, err)
	}
}

// TestAcceptance: by a click, or by the first use after the date and not before;
// it is written once.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, []db.Schema{Schema, policy.Schema, evidence.Schema()}, func(t *testing.T, d *db.DB) {
		b := newBench(t, d)
		ctx := t.Context()
		v := b.changed(t, "breach: {customer: 12h}")
		v.Effective = b.clock.Now().Add(24 * time.Hour)
		must(t, b.Announce(ctx, v))
		of := func(account ids.Tenant) Notice {
			t.Helper()
			list, err := b.List(ctx, account)
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v %v", list, err)
			}
			return list[0]
		}
		use := func(account ids.Tenant) {
			t.Helper()
			must(t, b.Learn(ctx))
			b.Used(ctx, account)
		}
		if use(acme); !of(acme).Accepted.IsZero() {
			t.Error("used before the date: accepted")
		}
		must(t, b.See(ctx, other, tenant.Platform, 2, true, evidence.ByOwner))
		clicked := of(other)
		if clicked.How != ByClick || clicked.Accepted.IsZero() || clicked.Seen.IsZero() {
			t.Errorf("%+v", clicked)
		}
		b.clock.Wind(48 * time.Hour)
		use(acme)
		use(other)
		if n := of(acme); n.How != ByUse || n.Accepted.IsZero() || !n.Seen.IsZero() {
			t.Errorf("%+v", n)
		}
		must(t, b.See(ctx, acme, tenant.Platform, 2, true, evidence.ByOwner))
		if n := of(acme); n.How != ByUse || n.Seen.IsZero() {
			t.Errorf("a click after the use: %+v", n)
		}
		if n := of(other); n != clicked {
			t.Errorf("what was accepted changed: %+v, before %+v", n, clicked)
		}
		if err := b.See(ctx, acme, tenant.Platform, 9, false, evidence.ByOwner); !fault.Is(err, fault.NotFound) {
			t.Errorf("a notice that there is not: %v", err)
		}
	})
}
