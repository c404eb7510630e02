// Package reads keeps who read whose data: one compact record for every read of
// personal data by API, console, export, command line or staff. It promises that
// a read whose record cannot be kept is refused and not answered; that what is on
// record is written within a moment and sealed with the customer's key; that the
// time in which a process died with records in memory is known and said; and that
// records go with their period. It holds identifiers and, of persons, keyed hashes:
// never an address of a correspondent, a subject or a text. Which operation reads
// what is declared at the doors; what follows from it is left to product/trust.
package reads

import (
	"context"
	_ "embed" // the tables
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/observe"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

//go:embed reads.sql
var sql string

const pkg = "protect/reads"

// Schema is what this package stores.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Door is where data was read.
type Door string

// The doors.
const (
	API     Door = "api"     // with a token
	Console Door = "console" // with a session
	CLI     Door = "cli"     // on the server's own machine, as the operator
)

// Reader is who reads, and how.
type Reader struct {
	Door      Door
	Operation string // as the door names it: "list-messages", "subject/export"
	Role      string // "" for a token
	Tenant    ids.Tenant
	User      ids.User
	Session   ids.Session
	Token     ids.Token
	From      netip.Addr // not valid on the machine itself
}

// Read is one record: what somebody read of one customer's data in one category.
type Read struct {
	Reader
	At       time.Time
	Node     int
	Of       ids.Tenant // whose data; the reader's own customer where nothing was found
	Category string     // a pledge.Category's name
	Count    int        // records that were shown
	First    time.Time  // of the records, where they have a time
	Last     time.Time
	// IDs are the records' own, in order, up to MaxIDs; where there were more,
	// Low and High bound them.
	IDs       []int64
	Low, High int64
	// Person is a keyed hash of whom it was about, where one person was asked for.
	Person [16]byte
}

// MaxIDs is how many identifiers one record lists.
const MaxIDs = 256

// Config is what records stand on.
type Config struct {
	DB      *db.DB
	Vault   *vault.Vault
	IDs     *ids.Source
	Clock   clock.Clock
	Observe *observe.Observer
	// Seen hears of every read before its answer goes out; nil: nobody does.
	Seen func(context.Context, Read)
}

// Log keeps the records.
type Log struct {
	Config
	set    *db.Set
	log    *slog.Logger
	places chan struct{} // one for each answer whose record waits
	wake   chan struct{}
	mu     sync.Mutex
	wait   []Read
	held   int // places of what waits
	write  sync.Mutex
	watch  watch
}

const (
	// waiting is how many answers' records may wait to be written.
	waiting = 1024
	// linger joins the records of a moment into one commit.
	linger = 200 * time.Millisecond
	// patience is how long a read waits for a place before it is refused.
	patience = 5 * time.Second
)

// New makes a log over a database that was opened with Schema.
func New(c Config) *Log {
	return &Log{Config: c, set: c.DB.Set(pkg), log: c.Observe.For(pkg).Log, places: make(chan struct{}, waiting), wake: make(chan struct{}, 1)}
}

// Record notes what an operation read, before its answer goes out. It waits while
// too many records wait to be written, and then refuses: Unavailable. An operation
// that read a category which it does not declare is an Internal fault.
func (l *Log) Record(ctx context.Context, by Reader, declared []string, t *Tally) error {
	list, err := l.of(by, declared, t)
	if err != nil || len(list) == 0 {
		return err
	}
	select {
	case l.places <- struct{}{}:
	default:
		if err := l.place(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.wait, l.held = append(l.wait, list...), l.held+1
	l.mu.Unlock()
	for i := range list {
		if l.Seen != nil {
			l.Seen(ctx, list[i])
		}
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

func (l *Log) place(ctx context.Context) error {
	late := l.Clock.NewTimer(patience)
	defer late.Stop()
	select {
	case l.places <- struct{}{}:
		return nil
	case <-late.C():
		return fault.New(fault.Unavailable, "Who reads personal data goes on record, and no record can be written now. Try again later.").
			WithHint("the store does not take writes; its state stands in the overview and in the log")
	case <-ctx.Done():
		return fault.Because(fault.Unavailable, ctx.Err(), "The request ended.")
	}
}

// of makes records of what was counted: one per customer and category.
func (l *Log) of(by Reader, declared []string, t *Tally) ([]Read, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	base := Read{Reader: by, At: l.Clock.Now().UTC(), Node: l.DB.Node()}
	if len(t.order) == 0 {
		if len(declared) == 0 {
			return nil, nil
		}
		r := base
		r.Of, r.Category = by.Tenant, declared[0]
		if r.Category == Any {
			if r.Category = Unsaid; !t.about.IsNull() {
				r.Category = "nothing found"
			}
		}
		err := l.hash(&r, t.about)
		return []Read{r}, err
	}
	list := make([]Read, 0, len(t.order))
	for _, at := range t.order {
		if !slices.Contains(declared, at.category) && !slices.Contains(declared, Any) {
			return nil, fault.New(fault.Internal, by.Operation+" read "+at.category+", which it does not declare")
		}
		r, sum := base, t.sums[at]
		r.Of, r.Category, r.Count, r.First, r.Last, r.Low, r.High = at.tenant, at.category, sum.count, sum.first, sum.last, sum.low, sum.high
		if !sum.many {
			r.IDs = slices.Compact(slices.Sorted(slices.Values(sum.ids)))
		}
		if err := l.hash(&r, t.about); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// hash names the person by the customer's key, so that the hashes of two
// customers cannot be joined.
func (l *Log) hash(r *Read, who address.Address) error {
	if who.IsNull() || r.Of == 0 {
		return nil
	}
	h, err := l.Hash(r.Of, who)
	if fault.Is(err, fault.Gone) {
		return nil
	}
	r.Person = h
	return err
}

// Hash is how records name a person of a customer's.
func (l *Log) Hash(of ids.Tenant, who address.Address) ([16]byte, error) {
	h, err := l.Vault.Hash(of, "read person", who.Canonical())
	return h, fault.Wrap(err, "hash an address")
}
