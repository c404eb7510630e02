package egress

import (
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
