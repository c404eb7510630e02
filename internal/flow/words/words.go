// Package words keeps the subjects of messages a second time, in sealed
// chunks, so that people find mail by words of its subject. It is a reader of
// history: a chunk and the offset that says what it covers are one commit. It
// promises that a subject goes from its chunk in the transaction in which it goes
// from its record, that one is never written behind such a change, that a search
// meets every subject of its scope that was read, newest first, and that its work
// for one answer is bounded. What a customer withholds never comes here, because
// history does not hold it. How a chunk is sealed is keep/column's.
package words

import (
	"context"
	_ "embed" // the tables
	"log/slog"
	"slices"
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/flow/history"
	"mailvow/internal/keep/column"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

//go:embed words.sql
var sql string

const (
	pkg      = "flow/words"
	category = "searched subjects"
	field    = "subject"
)

// Schema is for db.Open.
var Schema = db.Schema{Package: pkg, SQL: sql}

// Declaration is what this package stores. The ceiling is history's; the operator
// may set another for both.
var Declaration = pledge.Declaration{
	Package: pkg,
	Categories: []pledge.Category{{
		Name: category, About: pledge.Correspondent,
		What:    "the subjects of messages a second time, without upper case, sealed in one chunk for each customer and hour or part of it",
		Purpose: "find messages by words of their subject", For: pledge.ToSearch,
		Basis:   pledge.Contract,
		Period:  pledge.Period{Ceiling: 90 * 24 * time.Hour, From: "the message's acceptance"},
		Found:   "by the ids of the person's messages, which the message records name",
		Erasing: pledge.Delete,
		Source:  "the subject lines of the messages",
	}, {
		Name: "subject search operation", About: pledge.Nobody,
		What: "how often subjects were dropped and chunks joined", Purpose: "keep writers of chunks out of each other's way", For: pledge.ToRun,
		Basis: pledge.NotPersonal, Erasing: pledge.Nothing,
	}},
	Places: slices.Concat(
		pledge.Columns(category, false, "chunk", "part", "tenant", "field", "hour", "entries", "first", "last"),
		pledge.Columns(category, true, "chunk", "wrapped", "sealed"),
		pledge.Columns("subject search operation", false, "chunk_turn", "id", "n"),
		[]pledge.Place{{Kind: pledge.Memory, Name: "subjects of the last seconds", Category: category}},
	),
}

// The rows of chunk_turn.
const (
	dropped = 1
	joined  = 2
)

const (
	// every is how long a subject may wait for its chunk. A search does not wait:
	// it reads what is due first.
	every = 10 * time.Second
	// page is how many rows the reader takes from the store at once.
	page = 4096
	// behind is how old another node's row is that this node reads for it.
	behind = time.Minute
	// longest is how many bytes of a folded subject are searched.
	longest = 1000
)

// Words reads history into chunks and searches them.
type Words struct {
	Log *slog.Logger // set before Run; nothing is logged otherwise
	// Purposes says whose subjects are kept; set before Run.
	Purposes pledge.Instructions

	db   *db.DB
	set  *db.Set
	add  *db.Bulk
	hold *db.Bulk

	vault   *vault.Vault
	ids     *ids.Source
	clock   clock.Clock
	columns *column.Columns // builds and opens; stores nothing
	parts   int             // that one answer opens at most
	many    chan struct{}

	reading sync.Mutex // guards what follows: one goroutine reads at a time
	reader  *history.Reader
	turn    int64 // what chunk_turn said before anything in reader's memory was committed; 0 is not known

	keeping     sync.Mutex
	compactedTo time.Time
}

// Open opens the search over a history and begins to note what this node commits.
// It must come before the first commit; Run does the reading.
func Open(ctx context.Context, h *history.History, d *db.DB, v *vault.Vault, source *ids.Source, c clock.Clock) (*Words, error) {
	reader, err := h.Reader(ctx, pkg)
	if err != nil {
		return nil, err
	}
	set := d.Set(pkg)
	x := &Words{
		Log: slog.New(slog.DiscardHandler), db: d, set: set, add: set.Bulk("add"), hold: set.Bulk("hold_turn"),
		vault: v, ids: source, clock: c, columns: column.New(nil, v), parts: mostParts, many: make(chan struct{}, 1), reader: reader,
	}
	reader.Listen(func() {
		select {
		case x.many <- struct{}{}:
		default:
		}
	})
	h.FindBy(x)
	return x, nil
}

// Run reads until its context ends: this node's events as they come, many at a
// time, and those of a node that does not read its own.
func (x *Words) Run(ctx context.Context) error {
	poll := x.clock.NewTimer(0)
	defer poll.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-x.many:
			err = x.read(ctx, x.db.Node(), most)
		case <-poll.C():
			err = x.follow(ctx, most, behind)
			poll.Reset(every)
		}
		if err != nil && ctx.Err() == nil {
			x.Log.Error("read subjects", "error", err)
		}
	}
}

// most bounds the batches of one round.
const most = 1000

// CatchUp reads everything that was committed before it was called, on all nodes.
func (x *Words) CatchUp(ctx context.Context) error { return x.follow(ctx, most, 0) }

// follow reads every node, this one's events whole and others' that are older
// than a time.
func (x *Words) follow(ctx context.Context, batches int, age time.Duration) error {
	nodes, err := x.nodes(ctx)
	if err != nil {
		return err
	}
	own := x.db.Node()
	for _, node := range nodes {
		wait := age
		if node == own {
			wait = 0
		}
		if err := x.readOlder(ctx, node, batches, wait); err != nil {
			return err
		}
	}
	return nil
}

func (x *Words) nodes(ctx context.Context) ([]int, error) {
	x.reading.Lock()
	defer x.reading.Unlock()
	return x.reader.Nodes(ctx)
}

func (x *Words) read(ctx context.Context, node, batches int) error {
	return x.readOlder(ctx, node, batches, 0)
}

// readOlder reads a node's events until there are none, or none of that age. A
// conflict means that another process read them, or that a subject was dropped
// meanwhile: what was read is forgotten and read again, a few times.
func (x *Words) readOlder(ctx context.Context, node, batches int, age time.Duration) error {
	conflicts := 0
	for range batches {
		n, err := x.step(ctx, node, age)
		switch {
		case fault.Is(err, fault.Conflict) && conflicts < 5:
			conflicts++
		case err != nil:
			return err
		case n == 0:
			return nil
		}
	}
	return nil
}

// step writes one batch and returns how many events it had.
func (x *Words) step(ctx context.Context, node int, age time.Duration) (int, error) {
	x.reading.Lock()
	defer x.reading.Unlock()
	b, err := x.next(ctx, node)
	if err != nil || b.Empty() {
		return 0, err
	}
	if age > 0 && len(b.Events) > 0 && b.Events[0].At.After(x.clock.Now().Add(-age)) {
		return 0, nil
	}
	if err := x.write(ctx, b); err != nil {
		return 0, err
	}
	return max(1, len(b.Events)), nil
}

// next gives the events that come after what was read. The turn is known from
// before the first of them was read or noted.
func (x *Words) next(ctx context.Context, node int) (*history.Batch, error) {
	if x.turn == 0 {
		x.reader.Lose()
		if err := x.set.One(ctx, "turn", []any{dropped}, &x.turn); err != nil {
			return nil, fault.Wrap(err, "read the turn of chunks")
		}
	}
	return x.reader.NextOf(ctx, node, page)
}

// write commits a batch's chunks with its offset.
func (x *Words) write(ctx context.Context, b *history.Batch) error {
	err := x.fill(b)
	if err == nil {
		err = x.reader.Commit(ctx, b)
	}
	if err != nil {
		x.turn = 0
	}
	return err
}

// fill adds the batch's chunks to its unit, on condition that nothing was dropped
// since before the batch was read.
func (x *Words) fill(b *history.Batch) error {
	type slot struct {
		tenant ids.Tenant
		hour   column.Hour
	}
	parts := map[slot][]column.Entry{}
	for _, e := range b.Events {
		if e.Kind != history.Accepted || !pledge.Runs(x.Purposes, e.Tenant, pledge.ToSearch) {
			continue
		}
		if text := searched(e.Detail.Subject); text != "" {
			at := slot{e.Tenant, column.HourOf(e.Message.Time())}
			parts[at] = append(parts[at], column.Entry{ID: int64(e.Message), Text: text})
		}
	}
	if len(parts) > 0 {
		b.Unit.Changes = append(b.Unit.Changes, db.Change{By: x.hold, Row: []any{int64(dropped), x.turn}})
	}
	for at, entries := range parts {
		for some := range slices.Chunk(entries, partEntries) {
			p := column.Place{Tenant: at.tenant, Field: field, Hour: at.hour, Part: int64(ids.New[ids.Reference](x.ids))}
			r, err := x.columns.Build(p, some)
			if fault.Is(err, fault.Gone) {
				continue // the customer's keys are gone
			}
			if err != nil {
				return err
			}
			b.Unit.Adds = append(b.Unit.Adds, db.Add{By: x.add, Row: append([]any{p.Part}, rowOf(r)...)})
		}
	}
	return nil
}

// rowOf is a record as the table has it, behind its part.
func rowOf(r column.Record) []any {
	return []any{int64(r.Tenant), r.Field, int64(r.Hour), int64(r.Count), r.First, r.Last, r.Key, r.Sealed}
}

// searched is a subject as it stands in a chunk.
func searched(subject string) string {
	text := history.Fold(subject)
	if len(text) > longest {
		text = text[:longest]
	}
	return text
}
