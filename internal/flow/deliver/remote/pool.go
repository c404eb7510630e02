package remote

import (
	"sync"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/standard/smtp"
)

// key is what two deliveries must share to share a connection.
type key struct {
	host     string // host:port as it was dialled by name
	tls      smtp.ClientTLS
	verified bool
	version  uint16 // the least of TLS; 0 leaves it to the default
	source   string
	username string
	password string
}

// session is one connection with what the pool must know of it. place gives its
// place among the open connections back.
type session struct {
	*smtp.Client
	key    key
	opened time.Time
	idle   time.Time // since when
	leave  func()
}

func (s *session) drop() {
	_ = s.Drop()
	s.leave()
}

func (s *session) quit() {
	s.Leave()
	s.leave()
}

// pool keeps idle connections, the one used last on top, so that those which
// are not needed grow old and are closed.
type pool struct {
	clock                 clock.Clock
	max, maxHost          int
	idleTimeout, lifetime time.Duration
	mu                    sync.Mutex
	idle                  map[key][]*session
	count                 int
	closed                bool
}

func newPool(c clock.Clock, most, mostHost int, idle, lifetime time.Duration) *pool {
	return &pool{clock: c, max: most, maxHost: mostHost, idleTimeout: idle, lifetime: lifetime, idle: map[key][]*session{}}
}

// take gives the connection that was used last, or nil.
func (p *pool) take(k key) *session {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[k]
	if len(list) == 0 {
		return nil
	}
	s := list[len(list)-1]
	if p.old(s, now) {
		return nil // all below are older; expire closes them
	}
	list[len(list)-1] = nil
	p.set(k, list[:len(list)-1])
	p.count--
	return s
}

func (p *pool) old(s *session, now time.Time) bool {
	return now.Sub(s.idle) > p.idleTimeout || now.Sub(s.opened) > p.lifetime
}

func (p *pool) set(k key, list []*session) {
	if len(list) == 0 {
		delete(p.idle, k)
		return
	}
	p.idle[k] = list
}

// put keeps a connection for the next message, or closes it.
func (p *pool) put(s *session) {
	s.idle = p.clock.Now()
	if !s.Usable() || s.idle.Sub(s.opened) > p.lifetime || !p.keep(s) {
		s.quit()
	}
}

func (p *pool) keep(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.count >= p.max || len(p.idle[s.key]) >= p.maxHost {
		return false
	}
	p.idle[s.key] = append(p.idle[s.key], s)
	p.count++
	return true
}

// expire closes what has been idle or open too long.
func (p *pool) expire() {
	now := p.clock.Now()
	for _, s := range p.remove(func(s *session) bool { return p.old(s, now) }) {
		s.quit()
	}
}

// spare closes the one idle connection that has waited longest, so that another
// host gets its place; false if there is none.
func (p *pool) spare() bool {
	p.mu.Lock()
	var oldest *session
	for _, list := range p.idle {
		if s := list[0]; oldest == nil || s.idle.Before(oldest.idle) {
			oldest = s
		}
	}
	p.mu.Unlock()
	if oldest == nil {
		return false
	}
	for _, s := range p.remove(func(s *session) bool { return s == oldest }) {
		s.quit()
	}
	return true
}

func (p *pool) remove(which func(*session) bool) []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*session
	for k, list := range p.idle {
		kept := list[:0]
		for _, s := range list {
			if which(s) {
				out = append(out, s)
			} else {
				kept = append(kept, s)
			}
		}
		clear(list[len(kept):])
		p.set(k, kept)
	}
	p.count -= len(out)
	return out
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, s := range p.remove(func(*session) bool { return true }) {
		s.quit()
	}
}

// size is the number of idle connections.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
