package db

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
)

// meters counts what the committer does.
type meters struct {
	groups   prometheus.Histogram
	failures *prometheus.CounterVec
}

func newMeters(o *observe.Observer) meters {
	m := meters{
		groups: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mailvow_db_group_units", Help: "Units that shared one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailvow_db_group_failures_total", Help: "Groups that could not be committed, by kind of fault.",
		}, []string{"kind"}),
	}
	m.groups = register(o.Metrics, m.groups)
	m.failures = register(o.Metrics, m.failures)
	return m
}

// register tolerates a second database under one registry: they share meters.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &already) {
		if old, ok := already.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

// watchSpace shows how much room is left: 0 enough, 1 alert, 2 no new mail, 3
// read-only. Of several databases under one registry the first is shown.
func watchSpace(o *observe.Observer, state func() SpaceState) {
	register(o.Metrics, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailvow_db_space_state", Help: "0 enough, 1 alert, 2 no new mail, 3 read-only.",
	}, func() float64 { return float64(state()) }))
}

func (m meters) group(units int)        { m.groups.Observe(float64(units)) }
func (m meters) failed(kind fault.Kind) { m.failures.WithLabelValues(kind.String()).Inc() }
