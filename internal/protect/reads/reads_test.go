package reads

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/tenant"
)

type world struct {
	*Log
	t           *testing.T
	clock       *lab.Clock
	acme, other ids.Tenant
}

func newWorld(t *testing.T, d *db.DB, c *lab.Clock) *world {
	t.Helper()
	source := ids.NewSource(c, 1, 0)
	v := keys.Vault(t, c, source)
	tenants := tenant.New(d, v, source, c)
	must(t, tenants.EnsurePlatform(t.Context(), "Platform", "test"))
	w := &world{t: t, clock: c, Log: New(Config{DB: d, Vault: v, IDs: source, Clock: c, Observe: observe.Silent()})}
	for _, x := range []*ids.Tenant{&w.acme, &w.other} {
		made, err := tenants.Add(t.Context(), "x", "test")
		must(t, err)
		*x = made.ID
	}
	return w
}

func small(t *testing.T) *world {
	t.Helper()
	c := lab.NewClock(lab.Epoch)
	return newWorld(t, lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c, Wind: func(time.Time) time.Time { return c.Now() }}, tenant.Schema, Schema), c)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read notes one operation that saw these messages of a customer.
func (w *world) read(by Reader, of ids.Tenant, messages ...ids.Message) {
	w.t.Helper()
	ctx, tally := Count(w.t.Context())
	for _, m := range messages {
		Saw(ctx, "message records", of, m, w.clock.Now())
	}
	must(w.t, w.Record(ctx, by, []string{"message records"}, tally))
}

func (w *world) all(in scope.Scope) []Read {
	w.t.Helper()
	var list []Read
	_, err := w.Each(w.t.Context(), in, time.Unix(0, 0), w.clock.Now().Add(time.Hour), func(r Read) error { list = append(list, r); return nil })
	must(w.t, err)
	return list
}

// TestReadsAreFoundAgain: what was noted comes back, of its customer only, sealed.
func TestReadsAreFoundAgain(t *testing.T) {
	t.Parallel()
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock, config.Wind = c, func(time.Time) time.Time { return c.Now() }
		w := newWorld(t, lab.OpenDB(t, config, tenant.Schema, Schema), c)
		by := Reader{Door: API, Operation: "list-messages", Tenant: w.acme, User: 7, Token: 9, From: netip.MustParseAddr("192.0.2.7")}
		w.read(by, w.acme, 30, 10, 20, 10)
		w.clock.Wind(time.Second)
		w.read(Reader{Door: CLI, Operation: "message/list", Role: "operator"}, w.other, 40)
		want := Read{
			Reader: by, At: lab.Epoch, Node: w.DB.Node(), Of: w.acme, Category: "message records", Count: 4, First: lab.Epoch, Last: lab.Epoch,
			IDs: []int64{10, 20, 30}, Low: 10, High: 30,
		}
		if diff := cmp.Diff([]Read{want}, w.all(scope.Tenant(w.acme)), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if n := len(w.all(scope.Everyone)); n != 2 {
			t.Errorf("%d records of everybody", n)
		}
		if n := len(w.all(scope.Tenant(99))); n != 0 {
			t.Errorf("%d records of a customer that there is not", n)
		}
		var sealed []byte
		must(t, w.set.Each(t.Context(), "page", []any{1, 0, 0, int64(1) << 62, 0, 10}, func(scan func(...any) error) error {
			var id, of int64
			var b []byte
			err := scan(&id, &of, &b)
			sealed = append(sealed, b...)
			return err
		}))
		if len(sealed) == 0 || bytes.Contains(sealed, []byte("list-messages")) {
			t.Error("the records lie there in the clear")
		}
	})
}

// TestManyRecordsAreBounded: past MaxIDs a record says the bounds only.
func TestManyRecordsAreBounded(t *testing.T) {
	t.Parallel()
	w := small(t)
	list := make([]ids.Message, MaxIDs+1)
	for i := range list {
		list[i] = ids.Message(1000 + i)
	}
	w.read(Reader{Door: API, Operation: "x"}, w.acme, list...)
	r := w.all(scope.Everyone)[0]
	if r.Count != MaxIDs+1 || r.IDs != nil || r.Low != 1000 || r.High != 1000+MaxIDs {
		t.Errorf("%+v", r)
	}
}

// TestAnUndeclaredReadIsRefused: an operation that shows more than it declares does
// not answer; one that shows nothing leaves a record of that.
func TestAnUndeclaredReadIsRefused(t *testing.T) {
	t.Parallel()
	w := small(t)
	ctx, tally := Count(t.Context())
	Saw(ctx, "users", w.acme, ids.User(1), time.Time{})
	if err := w.Record(ctx, Reader{Operation: "x"}, []string{"message records"}, tally); !fault.Is(err, fault.Internal) {
		t.Errorf("undeclared: %v", err)
	}
	must(t, w.Record(ctx, Reader{Operation: "x"}, []string{Any}, tally))
	_, nothing := Count(t.Context())
	must(t, w.Record(ctx, Reader{Operation: "y", Tenant: w.other}, []string{"message records"}, nothing))
	must(t, w.Record(ctx, Reader{Operation: "z", Tenant: w.other}, nil, nothing))
	if got := w.all(scope.Everyone); len(got) != 2 || got[1].Count != 0 || got[1].Of != w.other || got[1].Category != "message records" {
		t.Errorf("%+v", got)
	}
}

// TestNoReadWithoutARecord: while nothing can be written reads wait, and then they
// are refused; what was noted before is written once that is possible.
func TestNoReadWithoutARecord(t *testing.T) {
	t.Parallel()
	w := small(t)
	by := Reader{Door: API, Operation: "x"}
	for range waiting {
		w.read(by, w.acme, 1)
	}
	refused, others := make(chan error, 1), w.clock.Waiting()
	go func() {
		_, tally := Count(context.WithoutCancel(t.Context()))
		refused <- w.Record(context.WithoutCancel(t.Context()), by, []string{"message records"}, tally)
	}()
	for w.clock.Waiting() == others {
		select {
		case err := <-refused:
			t.Fatalf("it did not wait: %v", err)
		default:
			runtime.Gosched()
		}
	}
	w.clock.Wind(patience)
	if err := <-refused; !fault.Is(err, fault.Unavailable) {
		t.Errorf("with no place left: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, tally := Count(ctx)
	if err := w.Record(ctx, by, []string{"message records"}, tally); !fault.Is(err, fault.Unavailable) {
		t.Errorf("for a peer that has gone: %v", err)
	}
	if n := len(w.all(scope.Everyone)); n != waiting {
		t.Errorf("%d of %d were written", n, waiting)
	}
	w.read(by, w.acme, 1)
}

// TestGapsAreKnown: a process that died with records in memory leaves a gap, one
// that ended in order does not.
func TestGapsAreKnown(t *testing.T) {
	t.Parallel()
	w := small(t)
	must(t, w.begin(t.Context()))
	w.clock.Wind(time.Hour)
	must(t, w.Flush(t.Context()))
	died := w.clock.Now()
	w.clock.Wind(10 * time.Minute)
	next := &world{Log: New(w.Config), t: t, clock: w.clock}
	must(t, next.begin(t.Context()))
	gaps := func(from, to time.Time) []Gap {
		began, list, err := next.Gaps(t.Context(), from, to)
		must(t, err)
		if !began.Equal(lab.Epoch) {
			t.Errorf("records began %v", began)
		}
		return list
	}
	want := []Gap{{Node: w.DB.Node(), From: died, Until: died.Add(10 * time.Minute)}}
	if diff := cmp.Diff(want, gaps(lab.Epoch, died.Add(time.Hour))); diff != "" {
		t.Error(diff)
	}
	if got := gaps(lab.Epoch, died.Add(-time.Minute)); len(got) != 0 {
		t.Errorf("before it: %+v", got)
	}
	must(t, next.end(t.Context()))
	w.clock.Wind(time.Hour)
	last := New(w.Config)
	must(t, last.begin(t.Context()))
	if _, list, err := last.Gaps(t.Context(), died.Add(20*time.Minute), w.clock.Now()); err != nil || len(list) != 0 {
		t.Errorf("after an end in order: %+v %v", list, err)
	}
}

// TestRunWrites: the service writes without being asked, and what waits when it ends.
func TestRunWrites(t *testing.T) {
	t.Parallel()
	w := small(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.read(Reader{Door: API, Operation: "x"}, w.acme, 1)
	cancel()
	must(t, <-done)
	var n int
	must(t, w.set.Each(t.Context(), "page", []any{1, 0, 0, int64(1) << 62, 0, 10}, func(scan func(...any) error) error {
		n++
		var id, of int64
		var b []byte
		return scan(&id, &of, &b)
	}))
	if n != 1 {
		t.Errorf("%d rows", n)
	}
}

// TestPurge: records go with their period, a customer's apart.
func TestPurge(t *testing.T) {
	t.Parallel()
	w := small(t)
	by := Reader{Door: API, Operation: "x"}
	w.read(by, w.acme, 1)
	w.read(by, w.other, 2)
	must(t, w.Flush(t.Context()))
	w.clock.Wind(time.Hour)
	w.read(by, w.acme, 3)
	must(t, w.Flush(t.Context()))
	if n, err := w.Purge(t.Context(), scope.Tenant(w.acme), w.clock.Now()); n != 1 || err != nil {
		t.Errorf("of one: %d %v", n, err)
	}
	if at, err := w.Oldest(t.Context()); !at.Equal(lab.Epoch) || err != nil {
		t.Errorf("oldest %v %v", at, err)
	}
	if n, err := w.Purge(t.Context(), scope.Everyone, w.clock.Now().Add(time.Second)); n != 2 || err != nil {
		t.Errorf("of all: %d %v", n, err)
	}
	if got := w.all(scope.Everyone); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestWhoReadLearnsIt: a user gets what they read and not whose it was, and stays on
// record.
func TestWhoReadLearnsIt(t *testing.T) {
	t.Parallel()
	w := small(t)
	w.read(Reader{Door: Console, Operation: "list-messages", User: 7, From: netip.MustParseAddr("2001:db8::1")}, w.acme, 1)
	w.read(Reader{Door: Console, Operation: "list-messages", User: 8}, w.acme, 1)
	h := Holder{Log: w.Log, UserOf: func(context.Context, pledge.Subject) (ids.User, error) { return 7, nil }}
	found, err := h.Find(t.Context(), pledge.Subject{})
	if err != nil || len(found) != 1 || found[0].Count != 1 {
		t.Errorf("%+v %v", found, err)
	}
	must(t, h.HandOver(t.Context(), pledge.Subject{}, func(r pledge.Record) error {
		if r.Fields["operation"] != "list-messages" || r.Fields["network_address"] != "2001:db8::1" {
			return errors.New("not what was read")
		}
		return nil
	}))
	erased, err := h.Erase(t.Context(), pledge.Subject{})
	if err != nil || len(erased) != 1 || erased[0].Kept != 1 || erased[0].Why == "" {
		t.Errorf("%+v %v", erased, err)
	}
	h.UserOf = func(context.Context, pledge.Subject) (ids.User, error) { return 0, nil }
	if found, err := h.Find(t.Context(), pledge.Subject{}); len(found) != 0 || err != nil {
		t.Errorf("of nobody: %+v %v", found, err)
	}
}

// TestPersonsAreHashed: the record names a person by the customer's key.
func TestPersonsAreHashed(t *testing.T) {
	t.Parallel()
	w := small(t)
	ann, err := address.Parse("Ann@Example.com")
	must(t, err)
	ctx, tally := Count(t.Context())
	About(ctx, ann)
	for _, of := range []ids.Tenant{w.acme, w.other} {
		Saw(ctx, "message records", of, ids.Message(1), time.Time{})
	}
	must(t, w.Record(ctx, Reader{Operation: "find-subject"}, []string{Any}, tally))
	got := w.all(scope.Everyone)
	want, err := w.Hash(w.acme, ann)
	if err != nil || len(got) != 2 || got[0].Person != want || got[1].Person == want || got[1].Person == [16]byte{} {
		t.Errorf("%+v %v", got, err)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time { return moment(rapid.Int64Range(0, 1<<50).Draw(t, name)) }
		word := rapid.SampledFrom([]string{"", "a", "list-messages"})
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Read {
			r := Read{
				Reader: Reader{Door: Door(word.Draw(t, "door")), Operation: word.Draw(t, "op"), Role: word.Draw(t, "role"), Tenant: ids.Tenant(rapid.Int64().Draw(t, "tenant")), User: ids.User(rapid.Int64().Draw(t, "user"))},
				At:     moment(rapid.Int64Range(1, 1<<50).Draw(t, "at")), Node: rapid.IntRange(0, 1023).Draw(t, "node"), Category: word.Draw(t, "category"), Count: rapid.IntRange(0, 1000).Draw(t, "n"),
				First: at("first"), Last: at("last"), Low: rapid.Int64().Draw(t, "low"), High: rapid.Int64().Draw(t, "high"),
			}
			r.IDs = rapid.SliceOfN(rapid.Int64Range(0, 1<<62), 0, 5).Draw(t, "ids")
			if len(r.IDs) == 0 {
				r.IDs = nil
			}
			if rapid.Bool().Draw(t, "from") {
				r.From = netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 255).Draw(t, "ip"))})
			}
			copy(r.Person[:], rapid.StringN(0, 16, 16).Draw(t, "person"))
			return r
		}), 1, 20).Draw(t, "list")
		got, err := unpacked(packed(list))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzUnpacked(f *testing.F) {
	f.Add(packed([]Read{{Reader: Reader{Door: API, Operation: "x"}, IDs: []int64{1, 2}}}))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = unpacked(b) }) // must not panic
}
