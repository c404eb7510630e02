package smtpserver

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// meter holds the listener's figures, their label values made at the start so
// that counting allocates nothing.
type meter struct {
	connections prometheus.Counter
	open        prometheus.Gauge
	messages    prometheus.Counter
	bytes       prometheus.Counter
	refusals    [reasonCount]prometheus.Counter
	auth        *prometheus.CounterVec // mechanism, result
}

func newMeter(r prometheus.Registerer, role Role) (*meter, error) {
	labels := prometheus.Labels{"listener": role.String()}
	m := &meter{}
	connections := prometheus.NewCounter(prometheus.CounterOpts{Name: "mailvow_smtp_connections_total", Help: "SMTP connections taken.", ConstLabels: labels})
	open := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mailvow_smtp_connections_open", Help: "SMTP connections open now.", ConstLabels: labels})
	messages := prometheus.NewCounter(prometheus.CounterOpts{Name: "mailvow_smtp_messages_total", Help: "Messages answered with 250.", ConstLabels: labels})
	octets := prometheus.NewCounter(prometheus.CounterOpts{Name: "mailvow_smtp_received_bytes_total", Help: "Bytes of the messages answered with 250.", ConstLabels: labels})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailvow_smtp_refusals_total", Help: "Refusals by reason.", ConstLabels: labels}, []string{"reason"})
	auth := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailvow_smtp_auth_total", Help: "AUTH exchanges by mechanism and result.", ConstLabels: labels}, []string{"mechanism", "result"})
	var err error
	m.connections = register(r, connections, &err)
	m.open = register(r, open, &err)
	m.messages = register(r, messages, &err)
	m.bytes = register(r, octets, &err)
	refusals = register(r, refusals, &err)
	m.auth = register(r, auth, &err)
	for reason := range reasonCount {
		m.refusals[reason] = refusals.WithLabelValues(reason.String())
	}
	return m, err
}

// register gives the collector that stands in the registry: a second listener
// of one role counts into the first one's.
func register[C prometheus.Collector](r prometheus.Registerer, c C, failed *error) C {
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if same, ok := already.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil && *failed == nil {
		*failed = err
	}
	return c
}
