package intake_test

import (
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/base/scope"
	"mailvow/internal/flow/queue"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/disk"
	"mailvow/internal/keep/vault"
	"mailvow/internal/lab"
)

// keyStore is a key store that can be out of reach.
type keyStore struct {
	disk.Machine
	dir  string
	kek  vault.Wrapper
	away atomic.Bool
}

func newKeyStore(t *testing.T) *keyStore {
	t.Helper()
	var key [32]byte
	rand.Read(key[:])
	kek, err := vault.NewKEK(key)
	if err != nil {
		t.Fatal(err)
	}
	return &keyStore{dir: t.TempDir(), kek: kek}
}

var errAway = errors.New("the key store is away")

func (k *keyStore) Open(name string) (disk.File, error) {
	if k.away.Load() {
		return nil, errAway
	}
	return k.Machine.Open(name)
}

func (k *keyStore) ReadDir(name string) ([]disk.Entry, error) {
	if k.away.Load() {
		return nil, errAway
	}
	return k.Machine.ReadDir(name)
}

// reopened gives the road a queue with a vault over the store that has no key in
// its memory, as after a start, and room for so many.
func (k *keyStore) reopened(r *road, c queue.Config, room int) {
	r.t.Helper()
	parts := r.queue.Parts
	v, err := vault.Open(r.t.Context(), vault.Config{KEK: k.kek, Store: vault.Folder(k, k.dir), Clock: r.clock, IDs: parts.IDs, MaxKeys: room})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(v.Close)
	c.Hostname = "mail.test"
	parts.Observe, parts.Vault = observe.Silent(), v
	r.queue = queue.New(parts, c)
	r.intake.Queue = r.queue
}

// TestADomainIsNeverEverything: while the domain's keyed hash cannot be made,
// what a person asks for one domain reaches nobody.
func TestADomainIsNeverEverything(t *testing.T) {
	t.Parallel()
	p := newPersons(t, lab.DB(t, schemas()...))
	k := newKeyStore(t)
	k.reopened(p.road, queue.Config{}, 1)
	p.hold(tenant, "ann@src.test", mail, "bob@one.test")
	p.hold(tenant, "ann@src.test", mail, "bob@two.test")
	if _, err := p.queue.Vault.Hash(tenant, "address", "x"); err != nil { // it takes the one place in memory
		t.Fatal(err)
	}
	k.away.Store(true)
	n, err := p.queue.Cancel(t.Context(), scope.Everyone, queue.Selection{Domain: "one.test"})
	if n != 0 || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%d cancelled, %v", n, err)
	}
	if list, err := p.queue.List(t.Context(), scope.Everyone, queue.Filter{Domain: "one.test"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%d listed, %v", len(list), err)
	}
	k.away.Store(false)
	if items, err := p.queue.List(t.Context(), scope.Everyone, queue.Filter{}); err != nil || len(items) != 2 {
		t.Errorf("%d of 2 wait, %v", len(items), err)
	}
}

// TestWhatCannotBeOpenedIsTriedAgain: a row that is leased while the key store is
// away is delivered once it is back, without a restart.
func TestWhatCannotBeOpenedIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := lab.NewClock(lab.Epoch)
	r := newRoad(t, lab.OpenDB(t, db.Config{Dir: t.TempDir(), Clock: c}, schemas()...), c)
	k := newKeyStore(t)
	k.reopened(r, queue.Config{AcceptOnly: true}, 0)
	m := r.send("ann@src.test", mail, "bob@dst.test").Message
	teller := r.queue // it has the keys in memory
	k.reopened(r, queue.Config{}, 0)
	k.away.Store(true)
	r.start()
	state := func() queue.Item {
		items, err := teller.OfMessage(t.Context(), scope.Everyone, m)
		if err != nil || len(items) != 1 {
			t.Fatalf("%d rows, %v", len(items), err)
		}
		return items[0]
	}
	r.until(20*time.Second, "the row is put off", func() bool { i := state(); return i.State == queue.Ready && i.Due.After(c.Now()) })
	if i := state(); i.Attempts != 0 {
		t.Errorf("%d attempts are counted, none was made", i.Attempts)
	}
	k.away.Store(false)
	r.until(20*time.Second, "the courier is called", func() bool {
		c.Wind(10 * time.Second)
		select {
		case <-r.courier.came:
			return true
		default:
			return false
		}
	})
	r.settled()
}

// TestWhatCannotBeTakenOutStaysHeld: a person's act that fails halfway leaves
// the recipient as it was: held, and not sent by whoever finds the row later.
func TestWhatCannotBeTakenOutStaysHeld(t *testing.T) {
	t.Parallel()
	lab.EachDB(t, schemas(), func(t *testing.T, d *db.DB) {
		p := newPersons(t, d)
		k := newKeyStore(t)
		k.reopened(p.road, queue.Config{AcceptOnly: true}, 0)
		m := p.hold(tenant, "ann@src.test", mail, "bob@dst.test").Message
		all := queue.Selection{Message: m}
		// The row is sealed with another class of key than its message.
		if n, err := p.queue.Hold(t.Context(), scope.Everyone, all, queue.Hand{Reason: "again"}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		k.reopened(p.road, queue.Config{AcceptOnly: true}, 0)
		if _, waits := p.stands(m); waits != "bob:held again" {
			t.Fatal(waits)
		}
		k.away.Store(true)
		if n, err := p.queue.Cancel(t.Context(), scope.Everyone, all); n != 0 || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%d cancelled, %v", n, err)
		}
		k.away.Store(false)
		if _, waits := p.stands(m); waits != "bob:held again" {
			t.Errorf("after an act that failed: %s", waits)
		}
		if n, err := p.queue.Cancel(t.Context(), scope.Everyone, all); n != 1 || err != nil {
			t.Errorf("the repeat cancelled %d, %v", n, err)
		}
	})
}
