package queue

import (
	"context"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/vault"
)

// Admission is a message on its way into the queue: its rows are in a unit, its
// places in memory are reserved. After the unit's commit call Go, after its
// failure Drop.
type Admission struct {
	q       *Queue
	life    db.Life
	parcels []*work
	places  int
	held    int64 // bytes of content; -1 where they did not fit
	waits   bool  // a row was born ready, to be leased when its lane's turn comes
}

// weight is a message's content in memory. It counts until the last of the
// parcels that share it is done.
type weight struct {
	bytes   int64
	parcels atomic.Int32
}

// Add puts a message and its recipients into a unit. Where memory has room for
// them and their lane the rows are born leased to this node with attempt 1
// written, so that a fresh message costs no second commit; otherwise, and while it
// is held or paused, they are born waiting. Recipients of one lane travel in one
// parcel.
func (q *Queue) Add(u *db.Unit, env *Envelope, content *Stored, recipients []Recipient, hold string) (*Admission, []ids.Recipient, error) {
	if err := q.addMessage(u, env, content); err != nil {
		return nil, nil, err
	}
	adm := &Admission{q: q, life: q.DB.Life()}
	leased := hold == "" && !q.config.AcceptOnly && q.lanes.reserve(len(recipients))
	if leased {
		adm.places = len(recipients)
		adm.hold(content.memory())
	}
	now, given := q.Clock.Now(), make([]ids.Recipient, len(recipients))
	for i := range recipients {
		given[i] = ids.New[ids.Recipient](q.IDs)
		if err := q.addRecipient(u, adm, env, content, given[i], recipients[i], hold, leased, now); err != nil {
			adm.Drop()
			return nil, nil, err
		}
	}
	return adm, given, nil
}

func (q *Queue) addMessage(u *db.Unit, env *Envelope, content *Stored) error {
	id := int64(env.ID)
	var scratch [512]byte
	sealed, err := q.Vault.Seal(nil, env.Tenant, vault.Transit, vault.AD{Table: messageTable, Row: id}, env.append(scratch[:0]))
	if err != nil {
		return fault.Wrap(err, "seal envelope")
	}
	u.Adds = append(u.Adds, db.Add{By: q.bulk.addMessage, Row: []any{
		id, int64(env.Tenant), int64(env.Direction), int64(env.Class), env.Size, string(content.Blob), content.wrapped, sealed,
	}})
	if len(content.sealed) > 0 {
		u.Adds = append(u.Adds, db.Add{By: q.bulk.addBody, Row: []any{id, content.sealed}})
	}
	return nil
}

const messageTable, queueTable = "message", "queue"

func (q *Queue) addRecipient(u *db.Unit, adm *Admission, env *Envelope, content *Stored, id ids.Recipient, r Recipient, hold string, leased bool, now time.Time) error {
	domain, to := Site(r.Address), destination(r.Route, r.Address)
	site := q.siteOf(domain)
	way := site
	if to != domain {
		way = q.siteOf(to)
	}
	lane := q.laneOf(r.Route.Pool, way, env.Class, env.Tenant)
	state, attempt, token := Ready, 0, int64(0)
	switch {
	case hold != "":
		state = Held
	case q.paused(env.Tenant, site):
		state = Paused
	case leased && !q.lanes.sated(lane):
		state, attempt, token = Leased, 1, 1
	default:
		adm.waits = true
	}
	sealed, err := q.sealRow(vault.Transit, env.Tenant, id, &row{Recipient: r, Why: hold})
	if err != nil {
		return err
	}
	expires := now.Add(q.config.Expiry)
	u.Adds = append(u.Adds, db.Add{By: q.bulk.add, Row: []any{
		int64(id), int64(env.ID), int64(env.Tenant), lane, site, int64(state), clock.Micros(now),
		clock.Micros(expires), int64(attempt), token, int64(adm.life), sealed,
	}})
	if state == Leased {
		adm.parcel(env, content, lane, site, r).add(id, r, entry{token: token, attempt: attempt, expires: expires})
	}
	return nil
}

func (q *Queue) sealRow(class vault.Class, tenant ids.Tenant, id ids.Recipient, r *row) ([]byte, error) {
	var scratch [512]byte
	sealed, err := q.Vault.Seal(nil, tenant, class, vault.AD{Table: queueTable, Row: int64(id)}, r.append(scratch[:0]))
	return sealed, fault.Wrap(err, "seal queue row")
}

func (q *Queue) openRow(tenant ids.Tenant, id ids.Recipient, sealed []byte) (row, error) {
	plain, err := q.Vault.Open(nil, tenant, vault.AD{Table: queueTable, Row: int64(id)}, sealed)
	if err != nil {
		return row{}, fault.Wrap(err, "open queue row")
	}
	return readRow(plain)
}

// maxTogether is how many recipients one transaction carries: RFC 5321
// 4.5.3.1.8 promises 100 at every server.
const maxTogether = 100

// parcel finds or begins the parcel that goes the same way.
func (a *Admission) parcel(env *Envelope, content *Stored, lane, site int64, r Recipient) *work {
	for _, w := range a.parcels {
		if w.lane == lane && w.takes(r) {
			return w
		}
	}
	w := newWork(a.life, env, content, lane, site, r.Route)
	a.parcels = append(a.parcels, w)
	return w
}

func newWork(life db.Life, env *Envelope, content *Stored, lane, site int64, route deliver.Route) *work {
	return &work{life: life, env: env, lane: lane, site: site, content: content, parcel: &deliver.Parcel{
		Message: env.ID, Tenant: env.Tenant, Sender: env.Sender, Need: env.Need, Route: route,
		Received: env.Received, Peer: env.Peer,
	}}
}

// takes reports that a recipient may travel with those of the parcel. The lane
// does not tell: without the key store all share one (siteOf).
func (w *work) takes(r Recipient) bool {
	first := w.parcel.Recipients[0].Address
	return len(w.entries) < maxTogether && sameRoute(w.parcel.Route, r.Route) && destination(r.Route, r.Address) == destination(r.Route, first)
}

func (w *work) add(id ids.Recipient, r Recipient, e entry) {
	w.parcel.Recipients = append(w.parcel.Recipients, deliver.Recipient{ID: id, Address: r.Address, Notify: r.Notify, ORcpt: r.ORcpt})
	w.parcel.Attempt = max(w.parcel.Attempt, e.attempt)
	w.entries = append(w.entries, e)
}

func sameRoute(a, b deliver.Route) bool {
	return a.Kind == b.Kind && a.TLS == b.TLS && a.URL == b.URL && a.Pool == b.Pool && a.Username == b.Username &&
		a.Password == b.Password && slices.Equal(a.Hosts, b.Hosts) && string(a.Secret) == string(b.Secret)
}

// hold counts content kept in memory. Over the bound it is read again from the
// store at the attempt.
func (a *Admission) hold(n int64) {
	if n > 0 && a.q.memory.Add(n) > a.q.config.Memory {
		a.q.memory.Add(-n)
		n = -1
	}
	a.held = n
}

// Go lets couriers have what was committed.
func (a *Admission) Go() {
	taken, shared := 0, &weight{bytes: max(0, a.held)}
	if shared.parcels.Store(int32(len(a.parcels))); len(a.parcels) == 0 {
		a.q.memory.Add(-shared.bytes)
	}
	for _, w := range a.parcels {
		if w.weight = shared; a.held < 0 {
			w.content = nil
		}
		taken += len(w.entries)
		if !a.q.lanes.push(w) {
			a.q.giveBack(w)
		}
	}
	a.q.lanes.release(a.places - taken)
	if a.waits && !a.q.behind.Swap(true) {
		a.q.feed()
	}
}

// Drop forgets an admission whose unit did not commit.
func (a *Admission) Drop() {
	if a.held > 0 {
		a.q.memory.Add(-a.held)
	}
	a.q.lanes.release(a.places)
}

// lighten takes a parcel's content off the count.
func (q *Queue) lighten(w *work) {
	if w.weight != nil && w.weight.parcels.Add(-1) == 0 {
		q.memory.Add(-w.weight.bytes)
	}
}

// giveBack makes rows ready that a stopping server had leased and not tried.
func (q *Queue) giveBack(w *work) {
	q.lighten(w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.running.Context()), settleTime)
	defer cancel()
	if err := q.putBack(ctx, w); err != nil {
		q.log.Error("put back a parcel", "message", w.parcel.Message.String(), "error", err)
	}
}

// siteOf and laneOf turn names into numbers that tell nobody the name. A fault
// of the key store gives site 0, a lane that all such mail shares.
func (q *Queue) siteOf(name string) int64 {
	h, err := q.Vault.Hash(0, "site", name)
	if err != nil {
		q.log.Error("hash a destination", "error", err)
		return 0
	}
	return int64(binary.BigEndian.Uint64(h[:8]) >> 1)
}

// siteBy is a domain's number for what a person asks for; "" is every domain's, 0.
// A fault of the key store must not turn the one into the other.
func (q *Queue) siteBy(domain string) (int64, error) {
	if domain == "" {
		return 0, nil
	}
	if site := q.siteOf(domain); site != 0 {
		return site, nil
	}
	return 0, fault.New(fault.Unavailable, "The key store does not answer, so that no domain can be looked for.")
}

func (q *Queue) laneOf(pool string, way int64, class Class, tenant ids.Tenant) int64 {
	// The lane mixes numbers that are not secret with the destination's keyed hash.
	const prime = 0x100000001b3 // FNV-1a, 64 bit
	h := uint64(way)
	for _, v := range []uint64{uint64(class), uint64(tenant)} {
		h = (h ^ v) * prime
	}
	for i := range len(pool) {
		h = (h ^ uint64(pool[i])) * prime
	}
	return int64(h >> 1)
}

// feed wakes the leasing goroutine; a wake that is pending already is enough.
func (q *Queue) feed() {
	select {
	case q.hungry <- struct{}{}:
	default:
	}
}
