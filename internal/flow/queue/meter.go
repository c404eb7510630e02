package queue

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/outcome"
)

// meter counts; its labels are closed lists, never a customer or a domain.
type meter struct {
	outcomes *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMeter(r prometheus.Registerer) *meter {
	m := &meter{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailvow_delivery_outcomes_total", Help: "Outcomes of delivery attempts, one per recipient.",
		}, []string{"outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mailvow_delivery_attempt_seconds", Help: "Time of one attempt, from the gate to the last answer.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60, 300},
		}, []string{"route"}),
	}
	r.MustRegister(m.outcomes, m.took)
	return m
}

func (m *meter) attempt(k deliver.RouteKind, took time.Duration) {
	m.took.WithLabelValues(routeName(k)).Observe(took.Seconds())
}

func (m *meter) settled(list []outcome.Outcome) {
	for i := range list {
		m.outcomes.WithLabelValues(list[i].Kind.String()).Inc()
	}
}

func routeName(k deliver.RouteKind) string {
	switch k {
	case deliver.MX:
		return "mx"
	case deliver.Host:
		return "host"
	case deliver.Webhook:
		return "webhook"
	case deliver.Caught:
		return "caught"
	case deliver.Local:
		return "local"
	case deliver.Cases:
		return "cases"
	}
	return "unknown"
}
