package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/evidence"
)

// Alerts is the board of what must be looked at; protect/alert.
type Alerts interface {
	Standing(ctx context.Context) ([]alert.Alert, error)
	Acknowledge(ctx context.Context, id ids.Alert, user ids.User, by evidence.Actor) (alert.Alert, error)
}

// The operations on alerts.
const (
	AlertList        Op[struct{}, []Alert] = "alert/list"
	AlertAcknowledge Op[AlertRef, Alert]   = "alert/acknowledge"
)

// AlertRef names one.
type AlertRef struct {
	ID ids.Alert `json:"id"`
}

// Alert is one as it is printed.
type Alert struct {
	ID           ids.Alert  `json:"id"`
	Kind         alert.Kind `json:"kind"`
	Text         string     `json:"text"`
	Runbook      string     `json:"runbook"`
	First        time.Time  `json:"first"`
	Last         time.Time  `json:"last"`
	Times        int        `json:"times"`
	Acknowledged time.Time  `json:"acknowledged,omitzero"`
}

func (s *Server) alerts(mux *http.ServeMux, p Parts) {
	x := p.Assurance.Alerts
	one := func(a alert.Alert) Alert {
		return Alert{a.ID, a.Kind, a.Text, a.Kind.Runbook(), a.First, a.Last, a.Times, a.Acknowledged}
	}
	handle(s, mux, AlertList, func(ctx context.Context, _ struct{}) ([]Alert, error) {
		if x == nil {
			return nil, absent("alerts")
		}
		list, err := x.Standing(ctx)
		out := make([]Alert, len(list))
		for i, a := range list {
			out[i] = one(a)
		}
		return out, err
	})
	handle(s, mux, AlertAcknowledge, func(ctx context.Context, in AlertRef) (Alert, error) {
		if x == nil {
			return Alert{}, absent("alerts")
		}
		a, err := x.Acknowledge(ctx, in.ID, 0, operator())
		return one(a), err
	})
}
