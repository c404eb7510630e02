package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates holds one bucket per asker. It is bounded: when it is full, buckets that
// are full again (whose asker has been quiet) go first, and if there are none, a
// newcomer shares one bucket with all other newcomers.
type rates struct {
	limit rate.Limit
	burst int
	max   int
	mu    sync.Mutex
	each  map[string]*rate.Limiter
	rest  *rate.Limiter
}

func newRates(perSecond float64, burst, most int) *rates {
	l := rate.Limit(perSecond)
	return &rates{limit: l, burst: burst, max: most, each: map[string]*rate.Limiter{}, rest: rate.NewLimiter(l, burst)}
}

// take asks for one request at now and writes the rate-limit headers.
func (r *rates) take(h http.Header, asker string, now time.Time) bool {
	l := r.of(asker, now)
	ok := l.AllowN(now, 1)
	left := max(0, l.TokensAt(now))
	h.Set("RateLimit-Limit", strconv.Itoa(r.burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	h.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil((float64(r.burst)-left)/float64(r.limit)))))
	if !ok {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil((1-left)/float64(r.limit)))))
	}
	return ok
}

// reserve asks for one request at now that back gives back, if it turns out to be
// none that is to be counted.
func (r *rates) reserve(asker string, now time.Time) (back func(), ok bool) {
	got := r.of(asker, now).ReserveN(now, 1)
	if got.DelayFrom(now) > 0 {
		got.CancelAt(now)
		return nil, false
	}
	return func() { got.CancelAt(now) }, true
}

func (r *rates) of(asker string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.each[asker]; ok {
		return l
	}
	if len(r.each) >= r.max {
		for k, l := range r.each {
			if l.TokensAt(now) >= float64(r.burst) {
				delete(r.each, k)
			}
		}
		if len(r.each) >= r.max {
			return r.rest
		}
	}
	l := rate.NewLimiter(r.limit, r.burst)
	r.each[asker] = l
	return l
}
