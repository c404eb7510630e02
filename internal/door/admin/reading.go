package admin

import (
	"bufio"
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"mailvow/internal/protect/reads"
)

// Reads puts on record who read whose data; protect/reads does.
type Reads interface {
	Record(ctx context.Context, by reads.Reader, declared []string, t *reads.Tally) error
}

// The categories of the inventory that operations show.
const (
	ofRecords      = "message records"
	ofQueue        = "queued mail"
	ofHolds        = "holds"
	ofHeld         = "held records"
	ofRequests     = "requests of persons"
	ofMentions     = "mentions in texts"
	ofAttestations = "attestations"
	ofGrants       = "access grants"

	ofObjections = "objections to sub-processors"
)

// reading says of every operation which personal data it shows. What is not here
// counts as an operation that reads anything, and a test names it.
var reading = map[string][]string{
	"ping": {}, "keys/rotate": {}, "user/link": {}, "user/add": {},
	"queue/list": {ofQueue}, "queue/retry": {}, "queue/fail": {}, "queue/hold": {}, "queue/release": {}, "queue/pause": {}, "queue/pauses": {}, "queue/resume": {},
	"domain/add": {}, "domain/list": {}, "domain/check": {},
	"message/list": {ofRecords}, "message/show": {ofRecords, ofQueue}, "message/delete": {},
	"subject/find": {reads.Any}, "subject/export": {reads.Any}, "subject/correct": {}, "subject/restrict": {}, "subject/erase": {}, "subject/attributes": {},
	"hold/add": {}, "hold/list": {ofHolds}, "hold/review": {ofHolds}, "hold/release": {ofHolds}, "hold/read": {ofHeld},
	"onward/list": {}, "onward/retry": {}, "onward/settle": {}, // an endpoint's host, never the person
	"incident/scope": {}, "incident/persons": {reads.Any}, "incident/list": {}, "incident/show": {}, "incident/open": {}, "incident/draft": {}, "incident/notify": {},
	"incident/tell": {}, "incident/contain": {}, "incident/release": {}, "incident/close": {}, "incident/drill": {},
	"mention/order": {ofMentions}, "mention/list": {ofMentions}, "mention/show": {ofMentions}, "mention/decide": {ofMentions},
	"request/list": {ofRequests}, "request/show": {ofRequests}, "request/decide": {ofRequests},
	"attestation/add": {}, "attestation/list": {ofAttestations}, "attestation/withdraw": {ofAttestations}, "attestation/file": {ofAttestations},
	"vulnerability/state": {}, "vulnerability/import": {},
	"alert/list": {}, "alert/acknowledge": {},
	"evidence/list": {}, "access-review/show": {"users"}, "access-review/sign": {},
	"finding/add": {}, "finding/list": {}, "finding/move": {},
	"lawful/add": {}, "lawful/list": {}, "lawful/decide": {}, "lawful/export": {reads.Any}, "lawful/report": {}, "grant/list": {ofGrants},
	"evidence/bundle": {}, "controls/list": {}, "controls/check": {}, "controls/map": {}, "controls/export": {}, "retention/list": {},
	"backup/now": {}, "backup/list": {}, "backup/verify": {},
	"policy/show": {}, "policy/versions": {}, "policy/check": {}, "policy/publish": {}, "policy/withdraw": {}, "purpose/list": {}, "purpose/instruct": {},
	"customer/list": {}, "customer/add": {}, "customer/end": {}, "customer/undo": {}, "customer/state": {}, "customer/export": {reads.Any}, "customer/kept": {reads.Any},
	"document/list": {}, "document/versions": {}, "document/render": {}, "document/publish": {}, "document/admit": {},
	"subprocessor/list": {}, "subprocessor/show": {}, "subprocessor/announce": {}, "subprocessor/withdraw": {}, "subprocessor/endpoints": {},
	"subprocessor/objections": {ofObjections}, "subprocessor/answer": {ofObjections},
}

func declared(op string) []string {
	list, said := reading[op]
	if !said {
		return []string{reads.Any}
	}
	return list
}

// byOperator is whoever reaches the socket.
func byOperator(op string) reads.Reader {
	return reads.Reader{Door: reads.CLI, Operation: op, Role: "operator"}
}

// onRecord puts on record what an answer shows, before it goes out.
func (s *Server) onRecord(ctx context.Context, op string, answer any, t *reads.Tally) error {
	list := declared(op)
	if s.reads == nil || len(list) == 0 {
		return nil
	}
	see(ctx, answer)
	return s.reads.Record(ctx, byOperator(op), list, t)
}

// streamed does what answers with a stream. Where that shows personal data, the
// first of it is held back while little has come; then, and at the end, what was
// counted since goes on record before more goes out.
func (s *Server) streamed(ctx context.Context, op string, w io.Writer, do func(context.Context, io.Writer) error) error {
	list := declared(op)
	if s.reads == nil || len(list) == 0 {
		return do(ctx, w)
	}
	ctx, t := reads.Count(ctx)
	noted := false
	note := func() error {
		part := t.Take()
		if noted && part.Empty() {
			return nil
		}
		noted = true
		return s.reads.Record(ctx, byOperator(op), list, part)
	}
	out := bufio.NewWriterSize(&recorded{w: w, note: note}, heldBack)
	if err := do(ctx, out); err != nil {
		return err
	}
	if err := note(); err != nil {
		return err
	}
	return out.Flush()
}

// heldBack is how much of a stream is put on record at once.
const heldBack = 256 << 10

// recorded puts what was read on record before each piece that goes out.
type recorded struct {
	w    io.Writer
	note func() error
}

// Write implements io.Writer.
func (r *recorded) Write(b []byte) (int, error) {
	if err := r.note(); err != nil {
		return 0, err
	}
	return r.w.Write(b)
}

// see counts what an answer shows.
func see(ctx context.Context, answer any) {
	switch v := answer.(type) {
	case []Item:
		seeItems(ctx, v)
	case Messages:
		for i := range v.Items {
			reads.Saw(ctx, ofRecords, v.Items[i].Customer, v.Items[i].ID, v.Items[i].At)
		}
	case []Objection:
		for i := range v {
			reads.Saw(ctx, ofObjections, v[i].Customer, v[i].ID, v[i].Made)
		}
	case Objection:
		reads.Saw(ctx, ofObjections, v.Customer, v.ID, v.Made)
	case Message:
		reads.Saw(ctx, ofRecords, v.Customer, v.ID, v.ID.Time())
		seeItems(ctx, v.Queued)
	case Hold:
		reads.Saw(ctx, ofHolds, v.Customer, v.ID, v.Created)
	case []Hold:
		for i := range v {
			reads.Saw(ctx, ofHolds, v[i].Customer, v[i].ID, v[i].Created)
		}
	case Mentioned:
		reads.Saw(ctx, ofMentions, v.Tenant, v.ID, v.ID.Time())
	case []Mentioned:
		for i := range v {
			reads.Saw(ctx, ofMentions, v[i].Tenant, v[i].ID, v[i].ID.Time())
		}
	case PersonsRequest:
		seeRequest(ctx, &v)
	case []PersonsRequest:
		for i := range v {
			seeRequest(ctx, &v[i])
		}
	}
}

func seeItems(ctx context.Context, list []Item) {
	for i := range list {
		reads.Saw(ctx, ofQueue, list[i].Customer, list[i].Message, time.Time{})
	}
}

func seeRequest(ctx context.Context, r *PersonsRequest) {
	for i := range r.Shares {
		reads.Saw(ctx, ofRequests, r.Shares[i].Customer, r.ID, r.Received)
	}
}

// ReadCategories are the categories that operations declare, as often as they do.
func ReadCategories() []string {
	return slices.Concat(slices.Collect(maps.Values(reading))...)
}
