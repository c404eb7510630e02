package remote

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/observe"
	"mailvow/internal/flow/outcome"
)

// metrics are the courier's counters. They name no destination.
type metrics struct {
	outcomes map[outcome.Kind]prometheus.Counter
	opened   prometheus.Counter
	reused   prometheus.Counter
	tls      *prometheus.CounterVec
}

func newMetrics(o *observe.Observer) (*metrics, error) {
	recipients := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailvow_remote_recipients_total", Help: "Recipients tried at remote hosts, by outcome.",
	}, []string{"outcome"})
	connections := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailvow_remote_sessions_total", Help: "SMTP sessions used for delivery: opened, or reused from the pool.",
	}, []string{"how"})
	secured := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailvow_remote_tls_sessions_total", Help: "SMTP sessions opened for delivery, by version of TLS.",
	}, []string{"version"})
	for _, c := range []prometheus.Collector{recipients, connections, secured} {
		if err := o.Metrics.Register(c); err != nil {
			return nil, fault.Wrap(err, "register the courier's metrics")
		}
	}
	m := &metrics{
		outcomes: map[outcome.Kind]prometheus.Counter{},
		opened:   connections.WithLabelValues("opened"),
		reused:   connections.WithLabelValues("reused"),
		tls:      secured,
	}
	for _, k := range []outcome.Kind{outcome.Delivered, outcome.Deferred, outcome.Failed, outcome.Unknown} {
		m.outcomes[k] = recipients.WithLabelValues(k.String())
	}
	return m, nil
}

// opening counts a session that began, with its TLS as the client names it.
func (m *metrics) opening(secured string) {
	version, _, _ := strings.Cut(secured, " TLS_") // TLS 1.3 TLS_AES_128_GCM_SHA256
	if version == "" {
		version = "none"
	}
	m.tls.WithLabelValues(version).Inc()
}

func (m *metrics) count(k outcome.Kind) {
	if c := m.outcomes[k]; c != nil {
		c.Inc()
	}
}
