package policy

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/protect/tenant"
)

// InForce is the policy that holds for somebody at a moment.
type InForce struct {
	Document *Document
	// Label names the versions that made it: "3", or "3-2" for a customer whose
	// own version 2 narrows the platform's third. A certificate bears it.
	Label string
}

func label(platform, customer int) string {
	if customer == 0 {
		return strconv.Itoa(platform)
	}
	return strconv.Itoa(platform) + "-" + strconv.Itoa(customer)
}

// force answers from memory, because the road asks for each message.
type force struct {
	mark [3]int64 // of the table, when it was read
	live atomic.Pointer[live]
}

// live is the versions that are in force or will be, and what holds until the
// next of them takes effect.
type live struct {
	versions map[ids.Tenant][]parsed
	now      atomic.Pointer[moment]
}

type parsed struct {
	number    int
	effective time.Time
	document  *Document
}

// moment holds from one change to the next.
type moment struct {
	from, until time.Time // until is zero where nothing is scheduled
	platform    InForce
	customers   map[ids.Tenant]InForce // those with a policy of their own
}

// refreshEvery is how long another node's change may go unseen.
const refreshEvery = 2 * time.Second

// Run sees what other nodes publish, until its context ends.
func (s *Store) Run(ctx context.Context) error {
	log := s.Observe.For(pkg).Log
	for clock.Sleep(ctx, s.Clock, refreshEvery) == nil {
		var mark [3]int64
		err := s.set.One(ctx, "mark", nil, &mark[0], &mark[1], &mark[2])
		if err == nil && mark != s.force.mark {
			err = s.refresh(ctx)
			s.force.mark = mark
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("read the policies; what was in force stays so", "error", err)
		}
	}
	return nil
}

// refresh reads what is in force or will be.
func (s *Store) refresh(ctx context.Context) error {
	list, err := s.read(ctx, nil, "live", s.Clock.Now())
	if err != nil {
		return err
	}
	next := &live{versions: map[ids.Tenant][]parsed{}}
	for _, v := range list {
		d, err := Parse([]byte(v.Text))
		if err == nil && v.Tenant == tenant.Platform {
			d, err = d.complete()
		}
		if err != nil {
			return fault.Because(fault.Internal, err, "")
		}
		next.versions[v.Tenant] = append(next.versions[v.Tenant], parsed{v.Number, v.Effective, d})
	}
	s.force.live.Store(next)
	return nil
}

// at gives the moment that holds at a time, made anew when one has passed.
func (s *Store) at(t time.Time) *moment {
	l := s.force.live.Load()
	if m := l.now.Load(); m != nil && !t.Before(m.from) && (m.until.IsZero() || t.Before(m.until)) {
		return m
	}
	m := l.moment(t)
	l.now.Store(m)
	return m
}

func (l *live) moment(t time.Time) *moment {
	m := &moment{from: t, customers: map[ids.Tenant]InForce{}}
	// Before the first version took effect, as after a clock that was set back,
	// the first holds: a server without a policy would promise nothing.
	in := func(list []parsed) parsed {
		at := list[0]
		for _, p := range list {
			if !p.effective.After(t) {
				at = p
			} else if m.until.IsZero() || p.effective.Before(m.until) {
				m.until = p.effective
			}
		}
		return at
	}
	own := in(l.versions[tenant.Platform])
	m.platform = InForce{own.document, label(own.number, 0)}
	for id, list := range l.versions {
		if id == tenant.Platform {
			continue
		}
		if p := in(list); !p.effective.After(t) {
			m.customers[id] = InForce{p.document.Within(own.document), label(own.number, p.number)}
		}
	}
	return m
}

// Platform is the platform's policy at a time.
func (s *Store) Platform(t time.Time) InForce { return s.at(t).platform }

// For is the policy in force for a customer: the platform's, or where the
// customer narrowed it the stricter of both.
func (s *Store) For(id ids.Tenant, t time.Time) InForce {
	m := s.at(t)
	if own, has := m.customers[id]; has {
		return own
	}
	return m.platform
}

// Narrower lists the customers with a policy of their own, for those that treat
// them apart.
func (s *Store) Narrower(t time.Time) map[ids.Tenant]InForce { return s.at(t).customers }
