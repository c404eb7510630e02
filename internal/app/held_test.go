package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/outcome"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/protect/erase"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/hold"
)

// heldHouse is a server whose clock is wound, with a customer whose mail is held.
type heldHouse struct {
	*House
	*testing.T
	ahead *ahead
	owner ids.Tenant
}

func onBoth(t *testing.T, f func(h *heldHouse)) {
	t.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := ""
			if name == "postgres" {
				dsn = lab.Postgres(t)
			}
			c := &ahead{}
			f(&heldHouse{House: runningBy(t, c, dsn, nil), T: t, ahead: c, owner: 7})
		})
	}
}

// pass winds the clock and lets retention run.
func (h *heldHouse) pass(by time.Duration) {
	h.Helper()
	h.ahead.by.Add(int64(by))
	must(h.T, h.retention.Pass(h.Context()))
}

// mail writes the record of a delivered message, with its conversation.
func (h *heldHouse) mail(from, to, subject string) ids.Message {
	h.Helper()
	u, m, talk := &db.Unit{}, ids.New[ids.Message](h.ids), ids.New[ids.Attempt](h.ids)
	e := history.Event{
		Message: m, Tenant: h.owner, Direction: history.Outbound, Kind: history.Accepted, At: h.Clock.Now(),
		Detail: history.Detail{Sender: from, Recipients: []string{to}, Subject: subject},
	}
	must(h.T, h.history.Write(u, e, history.Known{}))
	e.Kind, e.Attempt, e.Recipient, e.Detail = history.Delivered, talk, ids.New[ids.Recipient](h.ids), history.Detail{Recipients: []string{to}, Reply: "250 taken"}
	must(h.T, h.history.Write(u, e, history.Known{}))
	c := &outcome.Conversation{Steps: []outcome.Step{{At: h.Clock.Now(), Sent: "RCPT TO:<" + to + ">", Got: "250 ok"}}}
	must(h.T, h.history.WriteConversation(u, talk, m, h.owner, history.Outbound, c, history.Known{}))
	must(h.T, h.db.Commit(h.Context(), u))
	return m
}

var bySystem = evidence.Actor{Role: evidence.BySystem}

func (h *heldHouse) hold(x hold.Hold) hold.Hold {
	h.Helper()
	x.Tenant, x.Review = h.owner, h.Clock.Now().Add(30*24*time.Hour)
	made, err := h.holds.Add(h.Context(), x, bySystem)
	must(h.T, err)
	return made
}

func (h *heldHouse) person(text string) hold.Hold {
	return hold.Hold{Kind: hold.Person, Address: h.address(text), Ground: hold.Claim, Case: "the case of " + text}
}

func (h *heldHouse) address(text string) address.Address {
	h.Helper()
	a, err := address.Parse(text)
	must(h.T, err)
	return a
}

// kept is everything that a hold keeps, as one text.
func (h *heldHouse) kept(x hold.Hold) string {
	h.Helper()
	var b strings.Builder
	err := h.holds.Records(h.Context(), scope.Tenant(h.owner), x.ID, bySystem, func(r hold.Record) error {
		b.WriteString(r.Category)
		for _, f := range r.Fields {
			b.WriteString(" " + f.Name + "=" + f.Value)
		}
		b.WriteByte('\n')
		return nil
	})
	must(h.T, err)
	return b.String()
}

func (h *heldHouse) gone(messages ...ids.Message) {
	h.Helper()
	for _, m := range messages {
		if _, err := h.history.Of(h.Context(), scope.Everyone, m); !fault.Is(err, fault.NotFound) {
			h.Errorf("the record of %s outlived its period: %v", m, err)
		}
	}
}

func (h *heldHouse) erase(text string) evidence.Erasure {
	h.Helper()
	r, err := h.eraser.Erase(h.Context(), erase.Order{Scope: scope.Tenant(h.owner), Address: h.address(text), By: evidence.BySystem})
	must(h.T, err)
	x := evidence.Erasure{Categories: evidence.Counts(r.Erased)}
	return x
}

func (h *heldHouse) refused(text string) bool {
	h.Helper()
	why, err := h.suppress.Refused(h.Context(), h.owner, []address.Address{h.address(text)})
	must(h.T, err)
	return why[0] != ""
}

// because is why records stay after an erasure, or "".
func because(x evidence.Erasure) string {
	for _, c := range x.Categories {
		if c.Kept > 0 {
			return c.Why
		}
	}
	return ""
}

const year = 366 * 24 * time.Hour

// TestWhatIsHeldOutlivesItsPeriod: exactly the records of the held person, the
// held message and the held customer are left after every period is over, and
// they go with their hold, copies in backups too.
func TestWhatIsHeldOutlivesItsPeriod(t *testing.T) {
	t.Parallel()
	onBoth(t, func(h *heldHouse) {
		ofAda, ofCarol := h.mail("ada@held.example", "bob@held.example", "the held canary"), h.mail("carol@held.example", "dave@held.example", "its neighbour")
		single := h.mail("erin@held.example", "frank@held.example", "a single message")
		person, message := h.hold(h.person("ada@held.example")), h.hold(hold.Hold{Kind: hold.Message, Message: single, Ground: hold.Authority})
		later := h.mail("bob@held.example", "Ada@held.example", "came after the hold")
		wrapped := h.wrapped(person)
		h.pass(2 * year)
		h.gone(ofAda, ofCarol, single, later)
		all := h.kept(person)
		for _, want := range []string{"the held canary", "came after the hold", "RCPT TO:<bob@held.example>", "reply=250 taken"} {
			if !strings.Contains(all, want) {
				h.Errorf("%q is not kept:\n%s", want, all)
			}
		}
		if strings.Contains(all, "neighbour") || strings.Contains(all, "carol") || strings.Contains(all, "single") {
			h.Errorf("more than the person's is kept:\n%s", all)
		}
		if only := h.kept(message); !strings.Contains(only, "a single message") || strings.Contains(only, "ada") || strings.Count(only, "\n") != 3 {
			h.Errorf("of one message is kept:\n%s", only)
		}
		if late, err := h.holds.Overdue(h.Context(), scope.Everyone); err != nil || len(late) != 2 {
			h.Errorf("overdue: %v, %v", late, err)
		}
		if _, err := h.holds.Review(h.Context(), scope.Everyone, person.ID, h.Clock.Now().Add(24*time.Hour), bySystem); err != nil {
			h.Error(err)
		}
		if late, err := h.holds.Overdue(h.Context(), scope.Tenant(h.owner)); err != nil || len(late) != 1 || late[0].ID != message.ID {
			h.Errorf("overdue after a review: %v, %v", late, err)
		}
		second := h.wrapped(person)
		for _, x := range []hold.Hold{person, message} {
			if _, err := h.holds.Release(h.Context(), scope.Tenant(h.owner), x.ID, bySystem); err != nil {
				h.Fatal(err)
			}
		}
		if h.left() != 2 {
			h.Error("the rows of released holds are not seen")
		}
		if err := h.holds.Records(h.Context(), scope.Everyone, person.ID, bySystem, nil); !fault.Is(err, fault.Gone) {
			h.Errorf("a released hold answers %v", err)
		}
		h.pass(3 * 24 * time.Hour)
		if n := h.left(); n != 0 {
			h.Errorf("rows of %d released holds are left", n)
		}
		for _, key := range [][]byte{wrapped, second} {
			if _, err := h.vault.Unwrap(h.owner, vault.AD{Table: "hold", Row: int64(person.ID)}, key); !fault.Is(err, fault.Gone) {
				h.Errorf("a copy of a released hold's key opens: %v", err)
			}
		}
	})
}

// wrapped is a hold's key as it lies in the store.
func (h *heldHouse) wrapped(x hold.Hold) []byte {
	h.Helper()
	var skip any
	var key []byte
	var a, b, c, d, e int64
	var kind, ground string
	must(h.T, h.db.Set("protect/hold").One(h.Context(), "get", []any{1, 0, x.ID}, &a, &b, &kind, &ground, &c, &d, &e, new(int64), &key, &skip, new(int64)))
	return key
}

// left counts the released holds of which rows are left.
func (h *heldHouse) left() (n int) {
	h.Helper()
	must(h.T, h.db.Set("protect/hold").Each(h.Context(), "over", nil, func(func(...any) error) error { n++; return nil }))
	return n
}

// TestErasureDuringAHold: everything but the held copies goes at once, the answer
// says what stays and why, nothing is sent to the person meanwhile, and with the
// last hold the rest goes.
func TestErasureDuringAHold(t *testing.T) {
	t.Parallel()
	onBoth(t, func(h *heldHouse) {
		h.mail("ada@held.example", "bob@held.example", "in dispute")
		other := h.person("ada@held.example")
		other.Ground = hold.Dispute
		one, two := h.hold(h.person("ada@held.example")), h.hold(other)
		if why := because(h.erase("ada@held.example")); why != "held: claim, dispute" {
			h.Errorf("the erasure says %q", why)
		}
		if !h.refused("ada@held.example") || h.refused("bob@held.example") {
			h.Error("whom a hold keeps is not restricted, or somebody else is")
		}
		traces, err := h.subjects.Find(h.Context(), pledge.Subject{Scope: scope.Tenant(h.owner), Address: h.address("ada@held.example")})
		if err != nil || slices.ContainsFunc(traces, func(x pledge.Trace) bool { return x.Category == "message records" }) || len(traces) != 1 {
			h.Errorf("after the erasure: %+v, %v", traces, err)
		}
		// Who is not held but stands in what is: the same answer.
		if why := because(h.erase("bob@held.example")); why != "held: claim, dispute" {
			h.Errorf("the erasure of the correspondent says %q", why)
		}
		_, err = h.holds.Release(h.Context(), scope.Everyone, one.ID, bySystem)
		must(h.T, err)
		if why := because(h.erase("ada@held.example")); why != "held: dispute" {
			h.Errorf("with one hold left it says %q", why)
		}
		if !strings.Contains(h.kept(two), "in dispute") {
			h.Error("the other hold lost its copy")
		}
		_, err = h.holds.Release(h.Context(), scope.Everyone, two.ID, bySystem)
		must(h.T, err)
		if why := because(h.erase("ada@held.example")); why != "" {
			h.Errorf("without a hold it says %q", why)
		}
		h.pass(time.Hour)
		if n := h.left(); n != 0 {
			h.Errorf("rows of %d released holds are left", n)
		}
		// A hold on who is erased already has nothing of before to keep.
		if n, err := h.holds.Count(h.Context(), h.hold(h.person("ada@held.example"))); err != nil || n != 0 {
			h.Errorf("a hold on an erased person keeps %d records, %v", n, err)
		}
	})
}

// TestACustomerIsHeld: all records of the customer, another's not; a deletion by
// hand leaves the copy.
func TestACustomerIsHeld(t *testing.T) {
	t.Parallel()
	onBoth(t, func(h *heldHouse) {
		x := h.hold(hold.Hold{Kind: hold.Customer, Ground: hold.LegalDuty})
		m := h.mail("ada@held.example", "bob@held.example", "deleted by hand")
		h.mail("ada@held.example", "bob@held.example", "purged")
		h.owner = 8
		h.mail("ada@held.example", "bob@held.example", "another customer's")
		h.owner = 7
		if _, err := (heldHistory{h.history, h.holds}).Delete(h.Context(), scope.Tenant(7), m); err != nil {
			h.Fatal(err)
		}
		h.pass(year)
		h.gone(m)
		if all := h.kept(x); !strings.Contains(all, "deleted by hand") || !strings.Contains(all, "purged") || strings.Contains(all, "another") {
			h.Errorf("kept:\n%s", all)
		}
		if _, err := h.holds.Get(h.Context(), scope.Tenant(8), x.ID); !fault.Is(err, fault.NotFound) {
			h.Errorf("another customer sees the hold: %v", err)
		}
	})
}

// TestAFailingCopyStopsThePurge: what cannot be kept is not purged either.
func TestAFailingCopyStopsThePurge(t *testing.T) {
	t.Parallel()
	h := &heldHouse{House: running(t, ""), T: t, owner: 7}
	m := h.mail("ada@held.example", "bob@held.example", "x")
	h.hold(h.person("ada@held.example"))
	statement("create trigger full before insert on held begin select raise(abort, 'full'); end")(t, h.House)
	h.mail("ada@held.example", "bob@held.example", "y")
	if _, err := h.rule(t, "message records").Purge(t.Context(), scope.Everyone, h.Clock.Now().Add(time.Hour)); err == nil {
		t.Error("a purge went on though the held records were not copied")
	}
	if _, err := h.history.Of(t.Context(), scope.Everyone, m); err != nil {
		t.Error(err)
	}
}
