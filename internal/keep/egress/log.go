package egress

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Entry is one connection as the egress audit sees it. It names the declared
// destination and never the address.
type Entry struct {
	At      time.Time
	Name    string
	Purpose string
	Result  string // opened, failed or refused
	Use     string // as the register knows the purpose
	By      string // on what it rests: see Flow
}

// kept bounds the log in memory.
const kept = 4096

type log struct {
	mu      sync.Mutex
	entries []Entry // a ring once it is full
	next    int
}

func (l *log) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) < kept {
		l.entries = append(l.entries, e)
		return
	}
	l.entries[l.next] = e
	l.next = (l.next + 1) % kept
}

// Log gives the last connections, oldest first, 4,096 at most.
func (g *Gate) Log() []Entry {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	out := make([]Entry, 0, len(g.log.entries))
	out = append(out, g.log.entries[g.log.next:]...)
	return append(out, g.log.entries[:g.log.next]...)
}

// The grounds of a connection beside an entry's name.
const (
	ByMessage = "a message's own route"      // the customer or DNS directed it
	ByHouse   = "this server's own machines" // loopback, private networks, own addresses
	ByDev     = "dev mode's resolver"
	ByNobody  = "" // no register was asked
)

func by(d *Destination, learnt judged) string {
	switch {
	case d.Owner == Customer:
		return ByMessage
	case d.Free:
		return ByDev
	case learnt.ours:
		return ByHouse
	}
	return learnt.entry
}

// Flow is how many connections of one sort were opened in an hour.
type Flow struct {
	Hour    time.Time // its beginning
	Name    string    // of the destination
	Purpose string
	Use     string // as the register knows the purpose
	By      string // ByMessage, ByHouse, ByDev, or the register's entry
	Count   int64
}

type flowKey struct{ name, purpose, use, by string }

// day counts what was opened in the last hours. It is bounded: there are as many
// sorts as destinations and entries.
type day struct {
	mu    sync.Mutex
	hours map[time.Time]map[flowKey]int64
}

// dayHours is the last day with the hour that runs.
const dayHours = 25

func (d *day) add(e Entry) {
	if e.Result != "opened" {
		return
	}
	hour := e.At.UTC().Truncate(time.Hour)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hours == nil {
		d.hours = map[time.Time]map[flowKey]int64{}
	}
	if d.hours[hour] == nil {
		for old := range d.hours {
			if old.Before(hour.Add(-dayHours * time.Hour)) {
				delete(d.hours, old)
			}
		}
		d.hours[hour] = map[flowKey]int64{}
	}
	d.hours[hour][flowKey{e.Name, e.Purpose, e.Use, e.By}]++
}

// LastDay gives every sort of connection that was opened since this time yesterday,
// or since the start of the process, with its number.
func (g *Gate) LastDay() []Flow {
	from := g.clock.Now().Add(-dayHours * time.Hour)
	g.day.mu.Lock()
	defer g.day.mu.Unlock()
	var list []Flow
	for hour, sorts := range g.day.hours {
		if hour.Before(from) {
			continue
		}
		for k, n := range sorts {
			list = append(list, Flow{hour, k.name, k.purpose, k.use, k.by, n})
		}
	}
	slices.SortFunc(list, func(a, b Flow) int {
		if c := a.Hour.Compare(b.Hour); c != 0 {
			return c
		}
		return strings.Compare(a.Name+a.By, b.Name+b.By)
	})
	return list
}
