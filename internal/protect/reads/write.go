package reads

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pack"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
	"mailvow/internal/protect/tenant"
)

// watch is this process's own line in read_watch.
type watch struct {
	id   ids.Reads
	seen time.Time
}

// seenEvery is how often a process says that it keeps records.
const seenEvery = time.Minute

// Run writes records until its context ends, and then what still waits.
func (l *Log) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := l.begin(ctx)
		if err == nil {
			break
		}
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "records of reads cannot be begun; it is tried again", "error", err)
		}
		if clock.Sleep(ctx, l.Clock, time.Second) != nil {
			break
		}
	}
	for {
		quiet := l.Clock.NewTimer(seenEvery)
		select {
		case <-ctx.Done():
			quiet.Stop()
			return l.end(context.WithoutCancel(ctx))
		case <-quiet.C():
		case <-l.wake:
			quiet.Stop()
			if clock.Sleep(ctx, l.Clock, linger) != nil {
				continue
			}
		}
		if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "records of reads wait to be written; when too many do, reads are refused", "error", err)
			if clock.Sleep(ctx, l.Clock, time.Second) == nil {
				l.nudge()
			}
		}
	}
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// endPatience is how long the last records may take while the server stops.
const endPatience = 10 * time.Second

func (l *Log) begin(ctx context.Context) error {
	l.write.Lock()
	defer l.write.Unlock()
	l.watch = watch{ids.New[ids.Reads](l.IDs), l.Clock.Now()}
	err := l.DB.Change(ctx, "begin to record reads", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, l.set, "begin_watch", l.watch.id, l.DB.Node(), clock.Micros(l.watch.seen))
		return err
	})
	return fault.Wrap(err, "begin to record reads")
}

func (l *Log) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		return err
	}
	err := l.DB.Change(ctx, "end the record of reads", func(tx *db.Tx) error {
		_, err := tx.Do(ctx, l.set, "end_watch", l.watch.id, clock.Micros(l.Clock.Now()))
		return err
	})
	return fault.Wrap(err, "end the record of reads")
}

// Flush writes what waits. Whoever asks for records calls it first.
func (l *Log) Flush(ctx context.Context) error {
	l.write.Lock()
	defer l.write.Unlock()
	l.mu.Lock()
	list, held := l.wait, l.held
	l.mu.Unlock()
	now := l.Clock.Now()
	if len(list) == 0 && now.Sub(l.watch.seen) < seenEvery {
		return nil
	}
	batches, err := l.batches(list)
	if err != nil {
		return err
	}
	err = l.DB.Change(ctx, "record reads", func(tx *db.Tx) error {
		for _, b := range batches {
			if _, err := tx.Do(ctx, l.set, "add", b.id, b.tenant, b.node, b.first, b.last, b.count, b.sealed); err != nil {
				return err
			}
		}
		if l.watch.id == 0 {
			return nil
		}
		_, err := tx.Do(ctx, l.set, "seen_watch", l.watch.id, clock.Micros(now))
		return err
	})
	if err != nil {
		return fault.Wrap(err, "record reads")
	}
	l.watch.seen = now
	l.mu.Lock()
	l.wait, l.held = slices.Clone(l.wait[len(list):]), l.held-held
	l.mu.Unlock()
	for range held {
		<-l.places
	}
	return nil
}

// batch is one row.
type batch struct {
	id          ids.Reads
	tenant      ids.Tenant
	node        int
	first, last int64
	count       int
	sealed      []byte
}

const maxBatch = 512

func (l *Log) batches(list []Read) ([]batch, error) {
	by := map[ids.Tenant][]Read{}
	var order []ids.Tenant
	for _, r := range list {
		t := r.Of
		if t == 0 {
			t = tenant.Platform
		}
		if by[t] == nil {
			order = append(order, t)
		}
		by[t] = append(by[t], r)
	}
	var all []batch
	for _, t := range order {
		for part := range slices.Chunk(by[t], maxBatch) {
			b, err := l.batch(t, part)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
	}
	return all, nil
}

// batch seals records of one customer; those of one whose keys are gone are kept
// with the platform's.
func (l *Log) batch(t ids.Tenant, list []Read) (batch, error) {
	b := batch{id: ids.New[ids.Reads](l.IDs), tenant: t, node: list[0].Node, first: clock.Micros(list[0].At), last: clock.Micros(list[len(list)-1].At), count: len(list)}
	for _, r := range list {
		b.first, b.last = min(b.first, clock.Micros(r.At)), max(b.last, clock.Micros(r.At))
	}
	plain := packed(list)
	var err error
	b.sealed, err = l.Vault.Seal(nil, b.tenant, vault.Access, b.ad(), plain)
	if fault.Is(err, fault.Gone) && t != tenant.Platform {
		b.tenant = tenant.Platform
		b.sealed, err = l.Vault.Seal(nil, b.tenant, vault.Access, b.ad(), plain)
	}
	return b, fault.Wrap(err, "seal records of reads")
}

func (b *batch) ad() vault.AD { return vault.AD{Table: "read_batch", Row: int64(b.id)} }

const format = 1

// packed writes records (docs/formats/reads.md). Words that return stand once.
func packed(list []Read) []byte {
	words := []string{}
	at := map[string]int{}
	word := func(s string) uint64 {
		i, known := at[s]
		if !known {
			i = len(words)
			at[s], words = i, append(words, s)
		}
		return uint64(i)
	}
	for i := range list {
		for _, s := range list[i].words() {
			word(s)
		}
	}
	w := pack.To(nil, format)
	w.Strings(words)
	w.Uint(uint64(len(list)))
	before := int64(0)
	for i := range list {
		r := &list[i]
		w.Int(clock.Micros(r.At) - before)
		before = clock.Micros(r.At)
		for _, s := range r.words() {
			w.Uint(word(s))
		}
		for _, n := range []int64{int64(r.Node), int64(r.Tenant), int64(r.User), int64(r.Session), int64(r.Token), int64(r.Of), int64(r.Count), stamp(r.First), stamp(r.Last), r.Low, r.High} {
			w.Int(n)
		}
		w.Uint(uint64(len(r.IDs)))
		last := int64(0)
		for _, id := range r.IDs {
			w.Int(id - last)
			last = id
		}
		person := ""
		if r.Person != ([16]byte{}) {
			person = string(r.Person[:])
		}
		w.String(person)
	}
	return w.Bytes()
}

func (r *Read) words() [5]string {
	from, _ := r.From.MarshalBinary() // an address always can
	return [5]string{string(r.Door), r.Operation, r.Role, string(from), r.Category}
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Micros(t)
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return clock.FromMicros(us)
}

// unpacked reads what packed wrote.
func unpacked(plain []byte) ([]Read, error) {
	r, version := pack.From(plain)
	if version != format {
		return nil, fault.New(fault.Internal, "records of reads are of an unknown format")
	}
	words := r.Strings()
	n := r.Uint()
	if r.Err() != nil || n > maxBatch {
		return nil, fault.New(fault.Internal, "records of reads are damaged")
	}
	word := func() string {
		if i := r.Uint(); i < uint64(len(words)) {
			return words[i]
		}
		return ""
	}
	list := make([]Read, 0, n)
	before := int64(0)
	for range n {
		before += r.Int()
		x := Read{At: clock.FromMicros(before)}
		x.Door, x.Operation, x.Role = Door(word()), word(), word()
		if from, ok := netip.AddrFromSlice([]byte(word())); ok {
			x.From = from
		}
		x.Category = word()
		x.Node, x.Tenant, x.User, x.Session, x.Token = int(r.Int()), ids.Tenant(r.Int()), ids.User(r.Int()), ids.Session(r.Int()), ids.Token(r.Int())
		x.Of, x.Count, x.First, x.Last, x.Low, x.High = ids.Tenant(r.Int()), int(r.Int()), moment(r.Int()), moment(r.Int()), r.Int(), r.Int()
		last := int64(0)
		for range min(r.Uint(), MaxIDs) {
			last += r.Int()
			x.IDs = append(x.IDs, last)
		}
		copy(x.Person[:], r.String())
		list = append(list, x)
	}
	return list, r.Err()
}
