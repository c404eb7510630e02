package words_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/column"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/lookup"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
	"mailvow/internal/lab/keys"
	"mailvow/internal/protect/policy"
)

const alice, bob ids.Tenant = 7, 8

// desk is one process with its history and what finds by subject.
type desk struct {
	testing.TB
	db      *db.DB
	clock   clock.Clock
	ids     *ids.Source
	vault   *vault.Vault
	history *history.History
	index   *history.Index
	words   *words.Words
}

func openDesk(t testing.TB, config db.Config, c clock.Clock, source *ids.Source, v *vault.Vault) *desk {
	t.Helper()
	d := &desk{TB: t, db: lab.OpenDB(t, config, lookup.Schema, history.Schema(), words.Schema), clock: c, ids: source, vault: v}
	d.history = history.New(d.db, v, source, c, history.NoRedaction{})
	var err error
	if d.index, err = d.history.OpenIndex(t.Context()); err == nil {
		d.words, err = words.Open(t.Context(), d.history, d.db, v, source, c)
	}
	d.must(err)
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// each runs a test on both databases with a clock wound by hand.
func each(t *testing.T, f func(*desk, *lab.Clock, db.Config)) {
	lab.EachConfig(t, func(t *testing.T, config db.Config) {
		c := lab.NewClock(lab.Epoch)
		config.Clock = c
		source := ids.NewSource(c, 1, 0)
		f(openDesk(t, config, c, source, keys.Vault(t, c, source)), c, config)
	})
}

// accept writes the first event of a message.
func (d *desk) accept(tenant ids.Tenant, subject string) ids.Message {
	d.Helper()
	m, err := d.write(d.Context(), tenant, history.Detail{Sender: "ann@src.test", Recipients: []string{"ben@dst.test"}, Subject: subject})
	d.must(err)
	return m
}

func (d *desk) write(ctx context.Context, tenant ids.Tenant, detail history.Detail) (ids.Message, error) {
	e := history.Event{Message: ids.New[ids.Message](d.ids), Tenant: tenant, Direction: history.Outbound, Kind: history.Accepted, At: d.clock.Now(), Detail: detail}
	u := &db.Unit{}
	err := d.history.Write(u, e, history.Known{})
	if err == nil {
		err = d.db.Commit(ctx, u)
	}
	return e.Message, err
}

// find searches to the end and gives the messages page by page joined.
func (d *desk) find(s scope.Scope, q history.Query) (found []ids.Message) {
	d.Helper()
	for {
		page, next, err := d.history.Search(d.Context(), s, q)
		d.must(err)
		for _, m := range page {
			found = append(found, m.Message)
		}
		if next == 0 {
			return found
		}
		if q.Before != 0 && next >= q.Before {
			d.Fatalf("a page goes on at %d behind %d", next, q.Before)
		}
		q.Before = next
	}
}

func (d *desk) finds(s scope.Scope, text string, want ...ids.Message) {
	d.Helper()
	if diff := cmp.Diff(want, d.find(s, history.Query{Subject: text})); diff != "" {
		d.Errorf("%q: %s", text, diff)
	}
}

func TestFinds(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, c *lab.Clock, _ db.Config) {
		first := d.accept(alice, "Your  Invoice 7")
		other := d.accept(bob, "An invoice of another customer")
		c.Wind(3 * time.Hour)
		second := d.accept(alice, "RE: your INVOICE 8")
		d.accept(alice, "Lunch")
		d.accept(alice, "")
		third := d.accept(alice, "Die STRAẞE heißt ﬁn")
		in := scope.Tenant(alice)
		d.finds(in, "invoice", second, first)
		d.finds(in, " your\tinvoice ", second, first)
		d.finds(in, "invoice 8", second)
		d.finds(in, "strasse", third)
		d.finds(in, "FIN", third)
		d.finds(in, "invoices")
		d.finds(scope.Tenant(bob), "invoice", other)
		d.finds(scope.Tenant(9), "invoice")
		d.finds(scope.Scope{}, "invoice")
		d.finds(scope.Everyone, "invoice", second, other, first)
		d.must(d.index.CatchUp(d.Context()))
		ben, err := address.Parse("ben@dst.test")
		d.must(err)
		for _, q := range []struct {
			history.Query
			want []ids.Message
		}{
			{history.Query{Subject: "invoice", From: c.Now()}, []ids.Message{second}},
			{history.Query{Subject: "invoice", To: c.Now()}, []ids.Message{first}},
			{history.Query{Subject: "invoice", Limit: 1}, []ids.Message{second, first}},
			{history.Query{Subject: "invoice", Recipient: ben}, []ids.Message{second, first}},
			{history.Query{Subject: "invoice", Direction: history.Inbound}, nil},
		} {
			if diff := cmp.Diff(q.want, d.find(in, q.Query)); diff != "" {
				d.Errorf("%+v: %s", q.Query, diff)
			}
		}
	})
}

// TestWorkIsBounded lets an answer open one part: it says where to go on, and in
// the end everything was found once.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, c *lab.Clock, _ db.Config) {
		var want []ids.Message
		for i := range 30 {
			m := d.accept(alice, fmt.Sprint("note ", i))
			if i%3 == 0 {
				want = append(want, d.accept(alice, "the needle"))
			}
			_ = m
			c.Wind(20 * time.Minute)
			d.must(d.words.CatchUp(d.Context())) // a part each time
		}
		slices.Reverse(want)
		d.words.LookThrough(1)
		page, next, err := d.history.Search(d.Context(), scope.Tenant(alice), history.Query{Subject: "no such words"})
		if err != nil || len(page) != 0 || next == 0 {
			d.Errorf("%d messages, next %d, %v: one part was to be opened", len(page), next, err)
		}
		d.finds(scope.Tenant(alice), "needle", want...)
		// Parts that overlap, as two nodes write them, do not stop it.
		d.words.LookThrough(mostOverlap)
		for range mostOverlap * 2 {
			p := column.Place{Tenant: alice, Field: "subject", Hour: column.HourOf(c.Now()), Part: int64(ids.New[ids.Reference](d.ids))}
			d.must(d.words.Plant(d.Context(), p, []column.Entry{{ID: int64(ids.FirstAt[ids.Message](c.Now())) + 1, Text: "x"}, {ID: int64(ids.New[ids.Message](d.ids)), Text: "y"}}))
		}
		d.finds(scope.Tenant(alice), "needle", want...)
	})
}

const mostOverlap = 5

// inFiles reports whether a SQLite folder holds some bytes.
func inFiles(t testing.TB, dir string, what []byte) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		found = found || bytes.Contains(b, what)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNothingIsLeft takes a message away in each way there is: no search finds
// it, its chunk is another one, and the old chunk's bytes are in no file.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	ann, err := address.Parse("ann@src.test")
	if err != nil {
		t.Fatal(err)
	}
	for name, take := range map[string]func(*desk, ids.Message) error{
		"deleted": func(d *desk, m ids.Message) error {
			_, err := d.history.Delete(d.Context(), scope.Tenant(alice), m)
			return err
		},
		"redacted": func(d *desk, m ids.Message) error {
			_, err := d.history.Redact(d.Context(), alice, m, func(history.Direction) history.Redactions {
				return history.Redactions{history.FieldSubject: policy.Drop}
			})
			return err
		},
		"person erased from history": func(d *desk, _ ids.Message) error {
			_, err := d.index.Holder().Erase(d.Context(), pledge.Subject{Scope: scope.Tenant(alice), Address: ann})
			return err
		},
		"person erased from chunks": func(d *desk, _ ids.Message) error {
			found, err := d.words.Holder(d.index.Holder()).Erase(d.Context(), pledge.Subject{Scope: scope.Tenant(alice), Address: ann})
			if err == nil && (len(found) != 1 || found[0].Count != 1) {
				d.Errorf("%+v", found)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(d *desk, _ *lab.Clock, config db.Config) {
				gone := d.accept(alice, "my secret plan")
				stays, err := d.write(d.Context(), alice, history.Detail{Sender: "zoe@src.test", Recipients: []string{"ben@dst.test", "cid@dst.test"}, Subject: "my open plan"})
				d.must(err)
				d.finds(scope.Tenant(alice), "plan", stays, gone)
				before, err := d.words.Stored(d.Context())
				d.must(err)
				if len(before) != 1 || before[0].Count != 2 {
					d.Fatalf("%d chunks", len(before))
				}
				old := before[0]
				d.must(d.db.Scrub(d.Context()))
				if dir := config.Dir; dir != "" && !inFiles(d, dir, old.Key[20:40]) {
					d.Fatal("the chunk's key is not even found while it is there")
				}
				d.must(take(d, gone))
				d.finds(scope.Tenant(alice), "plan", stays)
				held, err := d.words.Held(d.Context())
				d.must(err)
				if held[int64(gone)] != 0 || held[int64(stays)] != 1 {
					d.Errorf("%v", held)
				}
				after, err := d.words.Stored(d.Context())
				d.must(err)
				for _, r := range after {
					if bytes.Equal(r.Key, old.Key) || bytes.Equal(r.Sealed, old.Sealed) {
						d.Error("the old chunk is still there")
					}
				}
				d.must(d.db.Scrub(d.Context()))
				if dir := config.Dir; dir != "" && (inFiles(d, dir, old.Key[20:40]) || inFiles(d, dir, old.Sealed[4:24])) {
					d.Error("a file holds the old chunk")
				}
			})
		})
	}
}

// TestReaderDoesNotWriteBehindAnErasure deletes a message while the reader has it
// in hand, and while it waits in memory.
func TestReaderDoesNotWriteBehindAnErasure(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, _ *lab.Clock, _ db.Config) {
		first := d.accept(alice, "first")
		remove := func(m ids.Message) {
			n, err := d.history.Delete(d.Context(), scope.Tenant(alice), m)
			if err != nil || n != 1 {
				d.Fatalf("%d rows, %v", n, err)
			}
		}
		err := d.words.Interrupted(d.Context(), d.db.Node(), func() { remove(first) })
		if !fault.Is(err, fault.Conflict) {
			d.Errorf("%v", err)
		}
		d.must(d.words.CatchUp(d.Context()))
		second, third := d.accept(alice, "second"), d.accept(alice, "third")
		remove(second)
		d.must(d.words.CatchUp(d.Context()))
		held, err := d.words.Held(d.Context())
		d.must(err)
		if diff := cmp.Diff(map[int64]int{int64(third): 1}, held); diff != "" {
			d.Error(diff)
		}
	})
}

// TestPersonsSubjects finds and hands over what a person may have.
func TestPersonsSubjects(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, _ *lab.Clock, _ db.Config) {
		d.accept(alice, "To You")
		_, err := d.write(d.Context(), alice, history.Detail{Sender: "zoe@src.test", Recipients: []string{"ann@src.test", "cid@dst.test"}, Subject: "Of others"})
		d.must(err)
		ann, err := address.Parse("ann@src.test")
		d.must(err)
		s := pledge.Subject{Scope: scope.Tenant(alice), Address: ann}
		h := d.words.Holder(d.index.Holder())
		found, err := h.Find(d.Context(), s)
		if err != nil || len(found) != 1 || found[0].Count != 1 {
			d.Errorf("%+v %v", found, err)
		}
		var texts []string
		d.must(h.HandOver(d.Context(), s, func(r pledge.Record) error {
			texts = append(texts, r.Fields["subject"])
			return nil
		}))
		if diff := cmp.Diff([]string{"to you"}, texts); diff != "" {
			d.Error(diff)
		}
	})
}

func TestPurgeDecidesByTheMessage(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, c *lab.Clock, config db.Config) {
		old := d.accept(alice, "a plan of yesterday")
		d.must(d.words.CatchUp(d.Context()))
		c.Wind(2 * time.Hour)
		due := d.accept(alice, "a plan that is due")
		c.Wind(time.Second)
		cut := c.Now()
		young := d.accept(alice, "a young plan")
		d.finds(scope.Tenant(alice), "plan", young, due, old)
		before, err := d.words.Stored(d.Context())
		d.must(err)
		if first, err := d.words.Oldest(d.Context()); err != nil || !first.Equal(old.Time()) {
			d.Errorf("%v %v", first, err)
		}
		if n, err := d.words.Purge(d.Context(), scope.Everyone, cut); err != nil || n != 2 {
			d.Errorf("%d %v", n, err)
		}
		if n, err := d.words.Purge(d.Context(), scope.Everyone, cut); err != nil || n != 0 {
			d.Errorf("again: %d %v", n, err)
		}
		d.finds(scope.Tenant(alice), "plan", young)
		if first, err := d.words.Oldest(d.Context()); err != nil || first.Before(cut) {
			d.Errorf("%v %v", first, err)
		}
		d.must(d.db.Scrub(d.Context()))
		for _, r := range before {
			if config.Dir != "" && inFiles(d, config.Dir, r.Key[20:40]) {
				d.Error("a file holds the key of a purged chunk")
			}
		}
		c.Wind(24 * time.Hour)
		_, err = d.vault.Destroy(d.Context(), alice, vault.Trace, c.Now().Truncate(24*time.Hour))
		d.must(err)
		d.finds(scope.Tenant(alice), "plan") // a destroyed key is a gap
		today := d.accept(alice, "the plan of today")
		d.finds(scope.Tenant(alice), "plan", today)
	})
}

func TestHoursBecomeFewParts(t *testing.T) {
	t.Parallel()
	each(t, func(d *desk, c *lab.Clock, _ db.Config) {
		var want []ids.Message
		for range 12 {
			want = append(want, d.accept(alice, "a plan"))
			d.accept(bob, "a plan")
			d.must(d.words.CatchUp(d.Context()))
			c.Wind(10 * time.Minute)
		}
		slices.Reverse(want)
		d.must(d.words.Compact(d.Context()))
		c.Wind(3 * time.Hour)
		d.must(d.words.Compact(d.Context()))
		list, err := d.words.Stored(d.Context())
		if d.must(err); len(list) > 6 {
			d.Errorf("%d parts of two or three hours of two customers", len(list))
		}
		d.finds(scope.Tenant(alice), "plan", want...)
	})
}

// TestManyNodes writes, deletes, reads, joins and searches on several nodes at
// once, with readers that die: in the end each message that is left is held once
// and none other, and a message that stayed was never missed.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	t.Run("4 nodes on postgres", func(t *testing.T) { t.Parallel(); testNodes(t, 4, db.Config{Postgres: lab.Postgres(t)}) })
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); testNodes(t, 1, db.Config{Dir: t.TempDir()}) })
}

func testNodes(t *testing.T, count int, config db.Config) {
	source := ids.NewSource(clock.Wall{}, 1, 0)
	v := keys.Vault(t, clock.Wall{}, source)
	nodes := make([]*desk, count)
	for i := range nodes {
		nodes[i] = openDesk(t, config, clock.Wall{}, source, v)
	}
	stays := make([]ids.Message, 20)
	for i := range stays {
		stays[len(stays)-1-i] = nodes[0].accept(alice, "what stays")
	}
	var mu sync.Mutex
	left := map[int64]int{}
	for _, m := range stays {
		left[int64(m)] = 1
	}
	var writing, others sync.WaitGroup
	var over atomic.Bool
	for _, n := range nodes {
		writing.Go(func() {
			for i := range 60 {
				m, err := n.write(t.Context(), alice, history.Detail{Sender: "ann@src.test", Recipients: []string{"ben@dst.test"}, Subject: fmt.Sprint("what comes ", i)})
				if err == nil && i%4 == 0 {
					_, err = n.history.Delete(t.Context(), scope.Tenant(alice), m)
				} else {
					mu.Lock()
					left[int64(m)] = 1
					mu.Unlock()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		others.Go(func() {
			for !over.Load() {
				if err := n.restless(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	others.Go(func() {
		for !over.Load() {
			n := nodes[rand.IntN(count)]
			page, _, err := n.history.Search(t.Context(), scope.Tenant(alice), history.Query{Subject: "STAYS", Limit: 100})
			if err != nil || len(page) != len(stays) {
				t.Errorf("%d of %d were found, %v", len(page), len(stays), err)
			}
		}
	})
	writing.Wait()
	over.Store(true)
	others.Wait()
	for range 3 {
		nodes[0].must(nodes[0].words.CatchUp(t.Context()))
	}
	held, err := nodes[0].words.Held(t.Context())
	nodes[0].must(err)
	if diff := cmp.Diff(left, held); diff != "" {
		t.Error(diff)
	}
}

// restless reads what there is, or dies before it has written it, or joins parts.
func (d *desk) restless() error {
	var err error
	switch rand.IntN(3) {
	case 0:
		err = d.words.CatchUp(d.Context())
	case 1:
		err = d.words.JoinAll(d.Context())
	case 2:
		d.words.Die(d.Context(), d.db.Node())
	}
	if fault.Is(err, fault.Conflict) {
		err = nil // another node was first
	}
	if err == nil {
		err = clock.Sleep(d.Context(), d.clock, time.Millisecond)
	}
	return err
}

// BenchmarkFind searches 1,000,000 subjects in the database for one in the oldest
// part.
func BenchmarkFind(b *testing.B) {
	c := lab.NewClock(lab.Epoch)
	source := ids.NewSource(c, 1, 0)
	d := openDesk(b, db.Config{Dir: b.TempDir(), Clock: c}, c, source, keys.Vault(b, c, source))
	var want ids.Message
	for part := range 125 {
		entries := make([]column.Entry, 8000)
		hour := column.HourOf(c.Now())
		for i := range entries {
			entries[i] = column.Entry{ID: int64(ids.New[ids.Message](source)), Text: fmt.Sprintf("your order %d has been shipped to you", part*8000+i)}
		}
		if part == 0 {
			want = ids.Message(entries[77].ID)
		}
		d.must(d.words.Plant(b.Context(), column.Place{Tenant: alice, Field: "subject", Hour: hour, Part: int64(ids.New[ids.Reference](source))}, entries))
		c.Wind(time.Hour)
	}
	for b.Loop() {
		found, next, err := d.words.Find(b.Context(), scope.Tenant(alice), history.WordQuery{Text: "order 77 ", Limit: 50})
		if err != nil || next != 0 || len(found) != 1 || found[0] != want {
			b.Fatal(found, next, err)
		}
	}
}
