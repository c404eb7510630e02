package pages

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mailvow/internal/base/clock"
	"mailvow/internal/door/crowd"
)

// Five requests at once from one network and then one in ten minutes, and from
// the whole world one a second: each causes a mail.
const (
	askEvery, askBurst = 10 * time.Minute, 5
	allEvery, allBurst = time.Second, 60
	maxNetworks        = 20_000
)

// limits are how often strangers may ask for something that causes a mail.
type limits struct {
	clock  clock.Clock
	every  time.Duration
	burst  int
	mu     sync.Mutex
	askers map[string]*rate.Limiter
	all    *rate.Limiter
}

func newLimits(c clock.Clock, every time.Duration, burst int) *limits {
	return &limits{clock: c, every: every, burst: burst, askers: map[string]*rate.Limiter{}, all: rate.NewLimiter(rate.Every(allEvery), allBurst)}
}

// may holds the limits. A network is an IPv4 address or an IPv6 /64, of which
// one household has one.
func (p *limits) may(peer string) bool {
	key := peer
	if host, _, err := net.SplitHostPort(peer); err == nil {
		key = host
	}
	if a, err := netip.ParseAddr(key); err == nil {
		key = crowd.Network(a).String()
	}
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.askers[key]
	if l == nil {
		if len(p.askers) >= maxNetworks {
			for k, other := range p.askers {
				if other.TokensAt(now) >= float64(p.burst) {
					delete(p.askers, k)
				}
			}
			if len(p.askers) >= maxNetworks {
				return false
			}
		}
		l = rate.NewLimiter(rate.Every(p.every), p.burst)
		p.askers[key] = l
	}
	return l.AllowN(now, 1) && p.all.AllowN(now, 1)
}
