package db

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/limit"
	"mailvow/internal/base/observe"
)

// SpaceState says how much room is left, in the order of need.
type SpaceState uint8

// The three marks, and before them.
const (
	Enough    SpaceState = iota
	Alert                // the operator should act
	NoNewMail            // new mail is refused; deleting, queue, erasure and sign-in go on from the reserve
	ReadOnly             // nothing is written
)

// String names the state as metrics and the console show it.
func (s SpaceState) String() string {
	switch s {
	case Enough:
		return "enough"
	case Alert:
		return "alert"
	case NoNewMail:
		return "no_new_mail"
	case ReadOnly:
		return "read_only"
	}
	return "unknown"
}

// refuse answers a unit in this state; nil lets it pass.
func (s SpaceState) refuse(newMail bool) error {
	switch {
	case s == ReadOnly:
		return fault.New(fault.ReadOnly, "The server's store is full; nothing can be changed now.").
			WithHint("Free space on the data folder's file system; the server goes on by itself.")
	case s == NoNewMail && newMail:
		return fault.New(fault.Full, "The server is short of space; try again later.").
			WithHint("Free space on the data folder's file system; the server accepts mail again by itself.")
	}
	return nil
}

// SpaceMarks are the free bytes below which a state begins; a zero mark takes
// its default. Reserve is the file that is set aside at start.
type SpaceMarks struct {
	Alert     limit.Bytes // default 1 GiB
	NoNewMail limit.Bytes // default 256 MiB
	ReadOnly  limit.Bytes // default 16 MiB
	Reserve   limit.Bytes // default 64 MiB
	// Free says how many bytes are free; nil asks the file system.
	Free func() (limit.Bytes, error)
}

func (m SpaceMarks) withDefaults() SpaceMarks {
	set := func(b *limit.Bytes, d limit.Bytes) {
		if *b == 0 {
			*b = d
		}
	}
	set(&m.Alert, limit.GiB)
	set(&m.NoNewMail, 256*limit.MiB)
	set(&m.ReadOnly, 16*limit.MiB)
	set(&m.Reserve, 64*limit.MiB)
	return m
}

// space watches the room that is left. look belongs to the committing
// goroutine; now may be asked by anybody.
type space struct {
	marks   SpaceMarks
	clock   clock.Clock
	log     *observe.Observer
	reserve reserve
	state   atomic.Uint32
	mu      sync.Mutex
	looked  time.Time
}

const lookEvery = 200 * time.Millisecond

func (s *space) now() SpaceState { return SpaceState(s.state.Load()) }

// look asks the file system, not more often than lookEvery, and sets aside or
// releases the reserve.
func (s *space) look() SpaceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if since := now.Sub(s.looked); since >= 0 && since < lookEvery && !s.looked.IsZero() {
		return s.now()
	}
	s.looked = now
	return s.judge()
}

func (s *space) judge() SpaceState {
	if s.marks.Free == nil {
		return s.set(Enough)
	}
	free, err := s.marks.Free()
	if err != nil {
		s.log.Log.Error("free space is not known", "error", err)
		return s.now()
	}
	state := Enough
	switch {
	case free < s.marks.ReadOnly:
		state = ReadOnly
	case free < s.marks.NoNewMail:
		state = NoNewMail
	case free < s.marks.Alert:
		state = Alert
	}
	return s.settle(free, state)
}

// settle lets the reserve decide. While it is held there is room to delete, so
// the third mark waits for it; it is set aside again once there is room for it
// above the second.
func (s *space) settle(free limit.Bytes, state SpaceState) SpaceState {
	switch {
	case state == ReadOnly && s.reserve.held():
		state = NoNewMail
	case state < NoNewMail && !s.reserve.held() && s.reserve.path != "":
		if free < s.marks.NoNewMail+s.marks.Reserve || s.reserve.take(int64(s.marks.Reserve)) != nil {
			state = NoNewMail // without a reserve a full disk could not be emptied
		}
	}
	return s.set(state)
}

func (s *space) set(state SpaceState) SpaceState {
	if old := SpaceState(s.state.Swap(uint32(state))); old != state {
		s.log.Log.Warn("free space passed a mark", "from", old.String(), "to", state.String())
	}
	return state
}

// refuseNew is told that a write found no space: new mail is refused from now
// on. It is false if it was refused already.
func (s *space) refuseNew() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = s.clock.Now()
	if s.now() >= NoNewMail {
		return false
	}
	s.set(NoNewMail)
	return true
}

// release gives the reserve to other work that found no space. The second mark
// does not: a neighbour that fills the disk would eat it before it is needed.
func (s *space) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reserve.held() {
		return false
	}
	s.looked = s.clock.Now()
	s.reserve.release()
	s.log.Log.Warn("the disk is full and the reserve was released")
	return true
}

// MakeRoom is for the files beside the database, on the same file system, that
// the work needs which goes on while the disk is full: evidence, the ledger of
// erasures, keys. It is called when one of them found no space, and reports
// whether another try may do better: the reserve was released.
func (d *DB) MakeRoom() bool {
	d.space.refuseNew()
	return d.space.release()
}

// lookNow asks the file system whenever it did before.
func (s *space) lookNow() SpaceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = s.clock.Now()
	return s.judge()
}

// room is the state of space before something is written. The log is emptied
// while there is room to do so: what it holds may need as much room again in the
// file. Below the third mark it is the log that is given up first.
func (c *committer) room(ctx context.Context) SpaceState {
	state := c.db.space.look()
	if state < NoNewMail {
		c.short = false
		return state
	}
	if !c.short {
		c.short = true
		c.writer.makeRoom(ctx)
	}
	if state == ReadOnly && c.writer.makeRoom(ctx) {
		state = c.db.space.lookNow()
	}
	return state
}

// rescue is what may be done for one group that found no space, each step once
// and the reserve last but one: emptying the log may need it.
type rescue struct {
	c    *committer
	step int
}

// another does the next step that helps; false when none is left.
func (r *rescue) another(ctx context.Context) bool {
	emptied := func() bool { return r.c.writer.makeRoom(ctx) }
	steps := []func() bool{r.c.db.space.refuseNew, emptied, r.c.db.space.release, emptied}
	for r.step < len(steps) {
		r.step++
		if steps[r.step-1]() {
			return true
		}
	}
	return false
}

func (s *space) close() { s.reserve.close() }
