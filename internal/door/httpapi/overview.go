package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailvow/internal/base/scope"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/tally"
	"mailvow/internal/protect/access"
)

// Counts is how mail goes.
type Counts struct {
	AcceptedToday  int64 `json:"accepted_today" doc:"Messages, since midnight UTC."`
	DeliveredToday int64 `json:"delivered_today" doc:"Recipients, since midnight UTC."`
	FailedToday    int64 `json:"failed_today" doc:"Recipients, since midnight UTC."`
	DeferredNow    int64 `json:"deferred_now" doc:"Recipients that wait for an attempt."`
	QueuedNow      int64 `json:"queued_now" doc:"Recipients in the queue."`
}

// Overview is the counts and their course.
type Overview struct {
	Counts
	Series  []CountPoint      `json:"series" nullable:"false"`
	Start   map[string]string `json:"start,omitempty" doc:"How to send the first mail; in dev mode."`
	Notices []Notice          `json:"notices,omitempty" nullable:"false" doc:"Changes of the policy that nobody who acts for the account has seen yet."`
	Alerts  []Alert           `json:"alerts,omitempty" nullable:"false" doc:"What must be looked at: purges, for who may read the platform; late requests and holds past their review, for who answers persons."`
}

// Alert is something that does not go well.
type Alert struct {
	Kind string `json:"kind" enum:"retention,requests,hold,incident,sub_processors,contract,guessing,probe,backup,space,attestation,finding,scan,volume,export,role,training,review"`
	Text string `json:"text"`
}

// CountPoint is one step of the course.
type CountPoint struct {
	At        time.Time `json:"at"`
	Accepted  int64     `json:"accepted"`
	Delivered int64     `json:"delivered"`
	Deferred  int64     `json:"deferred"`
	Failed    int64     `json:"failed"`
}

type overviewIn struct {
	Range string `query:"range" enum:"hour,day" default:"hour" doc:"hour: by minute; day: by quarter of an hour."`
}

type overviewOut struct{ Body Overview }

func (a *API) overviewRoutes() {
	register(a, op{id: "get-overview", method: http.MethodGet, path: "/v1/overview", summary: "How mail goes", tag: "overview", needs: access.OverviewRead}, a.getOverview)
	register(a, op{id: "watch-counts", method: http.MethodGet, path: "/v1/events/live", summary: "The counts every two seconds (server-sent events)", tag: "overview", needs: access.OverviewRead}, a.watchCounts)
}

func (a *API) counts(ctx context.Context, s scope.Scope) (Counts, error) {
	var c Counts
	today, err := a.parts.Tally.Series(ctx, s, a.parts.Clock.Now().UTC().Truncate(24*time.Hour), 24*time.Hour)
	if err != nil {
		return c, err
	}
	for _, p := range today {
		c.AcceptedToday, c.DeliveredToday, c.FailedToday = c.AcceptedToday+p.Accepted, c.DeliveredToday+p.Delivered, c.FailedToday+p.Failed
	}
	states, err := a.parts.Queue.Counts(ctx, s)
	c.DeferredNow = states[queue.Ready]
	for _, n := range states {
		c.QueuedNow += n
	}
	return c, err
}

func (a *API) getOverview(ctx context.Context, who Asker, in *overviewIn) (*overviewOut, error) {
	c, err := a.counts(ctx, who.Scope)
	if err != nil {
		return nil, err
	}
	span, step := time.Hour, time.Minute
	if in.Range == "day" {
		span, step = 24*time.Hour, 15*time.Minute
	}
	now := a.parts.Clock.Now()
	points, err := a.parts.Tally.Series(ctx, who.Scope, now.Add(step-span).Truncate(step), step)
	if err != nil {
		return nil, err
	}
	out := &overviewOut{Overview{Counts: c, Series: []CountPoint{}}}
	if _, may := who.May(access.TokensManage); may && a.config.Start != nil {
		out.Body.Start = a.config.Start(who.Tenant)
	}
	if _, may := who.May(access.PlatformRead); may {
		if out.Body.Alerts, err = a.operatorAlerts(ctx); err != nil {
			return nil, err
		}
	}
	if a.parts.Notices != nil {
		if out.Body.Notices, err = viewNotices(a.parts.Notices.Unseen(ctx, who.Tenant)); err != nil {
			return nil, err
		}
	}
	late, err := a.lateRequests(ctx, who)
	if err != nil {
		return nil, err
	}
	out.Body.Alerts = append(out.Body.Alerts, late...)
	if in, may := who.May(access.SubjectsManage); may {
		held, err := a.heldAlerts(ctx, in)
		if err != nil {
			return nil, err
		}
		notices, err := a.lateNotices(ctx, in)
		if err != nil {
			return nil, err
		}
		out.Body.Alerts = append(append(out.Body.Alerts, held...), notices...)
	}
	if in, may := who.May(access.ContractEnd); may {
		ends, err := a.endingAlerts(ctx, in)
		if err != nil {
			return nil, err
		}
		out.Body.Alerts = append(out.Body.Alerts, ends...)
	}
	breaches, err := a.incidentAlerts(ctx, who)
	if err != nil {
		return nil, err
	}
	out.Body.Alerts = append(append(breaches, out.Body.Alerts...), a.supplyAlerts(who)...)
	for _, p := range points {
		out.Body.Series = append(out.Body.Series, viewPoint(p))
	}
	return out, nil
}

// operatorAlerts are the board's.
func (a *API) operatorAlerts(ctx context.Context) ([]Alert, error) {
	if a.parts.Alerts == nil {
		return nil, nil
	}
	return a.onBoard(ctx)
}

func viewPoint(p tally.Point) CountPoint { return CountPoint(p) }

const (
	liveEvery = 2 * time.Second
	// liveFor is how long one stream lasts; a browser comes back by itself, and
	// its session is looked at again.
	liveFor   = 5 * time.Minute
	liveCount = 200
)

// events is an answer that goes on.
type events struct {
	ContentType string `header:"Content-Type"`
	Body        func(huma.Context)
}

func (a *API) watchCounts(_ context.Context, who Asker, _ *nothing) (*events, error) {
	if !a.live.TryTake() {
		return nil, absentNow()
	}
	return &events{ContentType: "text/event-stream", Body: func(ctx huma.Context) {
		defer a.live.Leave()
		_, w := unwrap(ctx)
		a.pour(ctx.Context(), w, who.Scope)
	}}, nil
}

// pour writes the counts until the peer goes, the time is over or streams end.
func (a *API) pour(ctx context.Context, w http.ResponseWriter, s scope.Scope) {
	control := http.NewResponseController(w)
	timer := a.parts.Clock.NewTimer(0)
	defer timer.Stop()
	for end := a.parts.Clock.Now().Add(liveFor); a.parts.Clock.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-a.over:
			return
		case <-timer.C():
		}
		c, err := a.counts(ctx, s)
		if err != nil {
			report(ctx, a.log, "watch-counts", err)
			return
		}
		line, err := json.Marshal(c)
		if err != nil {
			return
		}
		// A server's write deadline is for answers that end.
		if err := control.SetWriteDeadline(a.parts.Clock.Now().Add(2 * liveEvery)); err != nil && ctx.Err() != nil {
			return
		}
		if _, err := w.Write([]byte("event: counts\ndata: " + string(line) + "\n\n")); err != nil || control.Flush() != nil {
			return
		}
		timer.Reset(liveEvery)
	}
}
