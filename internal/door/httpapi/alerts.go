package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
)

// Alerts is the board of what must be looked at; protect/alert through app.
type Alerts interface {
	Standing(ctx context.Context) ([]alert.Alert, error)
	List(ctx context.Context, before ids.Alert, limit int) ([]alert.Alert, error)
	See(ctx context.Context, id ids.Alert, by access.Principal) (alert.Alert, error)
}

// Watch sees credentials that are refused; protect/alert does.
type Watch interface {
	Refused(ctx context.Context, origin string)
}

// RaisedAlert is one line of the board.
type RaisedAlert struct {
	ID             string     `json:"id"`
	Kind           string     `json:"kind" enum:"guessing,probe,retention,backup,space,requests,hold,attestation,finding,scan,volume,export,role,training,incident,contract,sub_processors,review"`
	Text           string     `json:"text"`
	Runbook        string     `json:"runbook" doc:"What to do."`
	FirstAt        time.Time  `json:"first_at"`
	LastAt         time.Time  `json:"last_at"`
	Times          int        `json:"times" doc:"How often it was seen."`
	AcknowledgedAt *time.Time `json:"acknowledged_at"`
	AcknowledgedBy string     `json:"acknowledged_by,omitempty"`
	ClearedAt      *time.Time `json:"cleared_at" doc:"Null while it stands."`
}

type raisedOut struct{ Body RaisedAlert }

func (a *API) alertRoutes() {
	tag := "overview"
	register(a, op{id: "list-alerts", method: http.MethodGet, path: "/v1/alerts", summary: "What must be looked at, newest first", tag: tag, needs: access.AssuranceRead}, a.listAlerts)
	register(a, op{id: "acknowledge-alert", method: http.MethodPost, path: "/v1/alerts/{id}/acknowledge", summary: "Say that one has seen an alert", tag: tag, needs: access.AssuranceManage, status: http.StatusOK, quiet: true}, a.acknowledge)
}

func viewAlert(x alert.Alert) RaisedAlert {
	v := RaisedAlert{
		ID: x.ID.String(), Kind: string(x.Kind), Text: x.Text, Runbook: x.Kind.Runbook(), FirstAt: x.First, LastAt: x.Last, Times: x.Times,
		AcknowledgedAt: when(x.Acknowledged), ClearedAt: when(x.Cleared),
	}
	if x.By != 0 {
		v.AcknowledgedBy = x.By.String()
	}
	return v
}

func (a *API) listAlerts(ctx context.Context, who Asker, in *Paging) (*pageOut[RaisedAlert], error) {
	if a.parts.Alerts == nil {
		return nil, absent()
	}
	return pageOf(a, listing("alerts", who), *in, func(before int64, limit int) ([]alert.Alert, error) {
		return a.parts.Alerts.List(ctx, ids.Alert(before), limit)
	}, func(x alert.Alert) int64 { return int64(x.ID) }, viewAlert)
}

func (a *API) acknowledge(ctx context.Context, who Asker, in *ByID) (*raisedOut, error) {
	if a.parts.Alerts == nil {
		return nil, absent()
	}
	id, err := idAt[ids.Alert]("path.id", in.ID)
	if err != nil {
		return nil, err
	}
	x, err := a.parts.Alerts.See(ctx, id, who.Principal)
	if err != nil {
		return nil, err
	}
	return &raisedOut{viewAlert(x)}, nil
}

// linedOut have lines of their own on the overview, by customer.
var linedOut = []alert.Kind{alert.Request, alert.Hold, alert.Incident, alert.Contract, alert.Supply}

// onBoard gives the operator's lines of the overview: everything that stands and
// that nobody has seen yet.
func (a *API) onBoard(ctx context.Context) ([]Alert, error) {
	standing, err := a.parts.Alerts.Standing(ctx)
	var list []Alert
	for _, x := range standing {
		if x.Acknowledged.IsZero() && !slices.Contains(linedOut, x.Kind) {
			list = append(list, Alert{string(x.Kind), x.Text + " " + x.Kind.Runbook()})
		}
	}
	return list, err
}

// refusedCredential counts a credential that opened nothing.
func (a *API) refusedCredential(ctx context.Context) {
	if a.parts.Watch != nil {
		a.parts.Watch.Refused(ctx, requestOf(ctx).peer)
	}
}
