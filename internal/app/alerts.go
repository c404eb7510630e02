package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/product/trust/attest"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/retain"
	"mailvow/internal/protect/tenant"
	"mailvow/internal/standard/webhook"
)

// alertsEvery is how often the sources are asked.
const alertsEvery = time.Minute

// openAlerts joins what can be wrong with those who are told.
func (h *House) openAlerts() error {
	c := h.Config.Alerts
	var channels []alert.Channel
	for _, text := range c.Mail {
		to, err := address.Parse(text)
		if err != nil {
			return fault.Wrap(err, "read alerts.mail")
		}
		channels = append(channels, h.alertByMail(to))
	}
	if c.Webhook.URL != "" {
		secret, err := webhook.ParseSecret(c.Webhook.Secret.Reveal())
		if err != nil {
			return fault.Wrap(err, "read alerts.webhook.secret")
		}
		call, err := h.alertByWebhook("alerts", c.Webhook.URL, secret)
		if err != nil {
			return err
		}
		channels = append(channels, call)
	}
	h.alerts = alert.New(alert.Config{
		DB: h.db, Stage: h.stage, IDs: h.ids, Clock: h.Clock, Observe: h.observe, Channels: channels,
		Sources: map[string]alert.Source{
			"promise": h.unkept, "period": h.unpurged, "backup": h.unsaved, "space": h.cramped, "request": h.unanswered,
			"hold": h.unreviewed, "attestation": h.endingAttestations, "finding": h.unmended, "scan": h.unscanned,
			"volume": h.surging, "review": h.lasting(h.unreviewedAccess), "training": h.lasting(h.unadvised), "incident": h.untold, "contract": h.undestroyed, "sub_processor": h.unsupplied,
		},
	})
	h.guesses = &alert.Guesses{Clock: h.Clock, Raise: h.raise}
	h.exports = &alert.Exports{Clock: h.Clock, Raise: h.raise}
	return nil
}

// alertByMail writes to one of the operator's people.
func (h *House) alertByMail(to address.Address) alert.Channel {
	return func(ctx context.Context, a alert.Alert) error {
		_, err := h.post(ctx, "alerts", "Alerts of "+h.Config.Hostname, to, "Alert: "+string(a.Kind)+" on "+h.Config.Hostname,
			a.Text+"\n\nWhat to do: "+a.Kind.Runbook()+"\n\nSince "+a.First.Format(time.RFC3339)+". It is told once until it clears.\n")
		return err
	}
}

// alertSays is what a webhook is told.
type alertSays struct {
	Type string    `json:"type"`
	At   time.Time `json:"timestamp"`
	Data struct {
		ID      ids.Alert  `json:"id"`
		Server  string     `json:"server"`
		Kind    alert.Kind `json:"kind"`
		Text    string     `json:"text"`
		Runbook string     `json:"runbook"`
		First   time.Time  `json:"first"`
		Times   int        `json:"times"`
	} `json:"data"`
}

// alertByWebhook calls an endpoint, signed as Standard Webhooks are.
func (h *House) alertByWebhook(through, to string, secret []byte) (alert.Channel, error) {
	dialer, err := h.gate.To(through)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: dialer.HTTPTransport(), Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, a alert.Alert) error {
		now := h.Clock.Now().UTC()
		says := alertSays{Type: "alert.raised", At: now}
		says.Data.ID, says.Data.Server, says.Data.Kind, says.Data.Text = a.ID, h.Config.Hostname, a.Kind, a.Text
		says.Data.Runbook, says.Data.First, says.Data.Times = a.Kind.Runbook(), a.First, a.Times
		body, err := json.Marshal(says)
		if err != nil {
			return fault.Wrap(err, "write an alert")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return fault.Wrap(err, "call the endpoint of alerts")
		}
		id := a.ID.String() + "-" + fmt.Sprint(a.First.UnixMicro())
		signed, err := webhook.NewSigner(id, now, secret)
		if err != nil {
			return err
		}
		_, _ = signed.Write(body) // a MAC never fails
		signed.SetHeader(r.Header, id, now)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return fault.Because(fault.Unavailable, err, "The endpoint of alerts cannot be reached.")
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is kept
		if answer.StatusCode/100 != 2 {
			return fault.New(fault.Unavailable, fmt.Sprintf("The endpoint of alerts answered %d.", answer.StatusCode))
		}
		return nil
	}, nil
}

// alertHost is the host:port of the alerts' endpoint, for the gate.
func alertHost(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return ""
	case u.Port() != "":
		return u.Host
	case u.Scheme == "http":
		return u.Host + ":80"
	}
	return u.Host + ":443"
}

func (h *House) unkept(ctx context.Context) (list []alert.Condition, err error) {
	lines, err := h.controls.List(ctx, scope.Everyone)
	for _, l := range lines {
		if l.Status == pledge.Failing {
			list = append(list, alert.Condition{Marker: l.ID, Kind: alert.Probe, Text: "The promise " + l.ID + " is not kept."})
		}
	}
	return list, err
}

func (h *House) unpurged(ctx context.Context) (list []alert.Condition, err error) {
	states, err := h.retention.States(ctx)
	for _, s := range states {
		switch s.Status {
		case retain.Failing:
			list = append(list, alert.Condition{Marker: s.Category, Kind: alert.Retention, Text: "The purge of " + s.Category + " failed."})
		case retain.Overdue:
			list = append(list, alert.Condition{Marker: s.Category, Kind: alert.Retention, Text: "The purge of " + s.Category + " is overdue: no process with the role worker has made it."})
		}
	}
	return list, err
}

func (h *House) unsaved(ctx context.Context) (list []alert.Condition, err error) {
	if h.backups.Store == nil {
		return nil, nil
	}
	state, err := h.backups.State(ctx)
	if err != nil {
		return nil, err
	}
	for _, late := range state.Late(h.Clock.Now()) {
		list = append(list, alert.Condition{Marker: "late", Kind: alert.Backup, Text: "Backups: " + late + "."})
	}
	return list, nil
}

func (h *House) cramped(context.Context) ([]alert.Condition, error) {
	if state := h.db.Space(); state >= db.Alert {
		return []alert.Condition{{Marker: "disk", Kind: alert.Space, Text: "The disk of the database is at the mark: " + state.String() + "."}}, nil
	}
	return nil, nil
}

func (h *House) unanswered(ctx context.Context) ([]alert.Condition, error) {
	overdue, _, err := h.cases.Late(ctx, scope.Everyone)
	if err != nil || overdue == 0 {
		return nil, err
	}
	return []alert.Condition{{Marker: "overdue", Kind: alert.Request, Text: fmt.Sprintf("%d requests of persons about their data are not answered in time.", overdue)}}, nil
}

func (h *House) unreviewed(ctx context.Context) (list []alert.Condition, err error) {
	holds, err := h.holds.Overdue(ctx, scope.Everyone)
	for _, x := range holds {
		if x.Tenant != h.canary.is() {
			list = append(list, alert.Condition{Marker: x.ID.String(), Kind: alert.Hold, Text: "The legal hold " + x.ID.String() + " was to be reviewed by " + x.Review.UTC().Format(time.DateOnly) + "."})
		}
	}
	return list, err
}

func (h *House) endingAttestations(ctx context.Context) (list []alert.Condition, err error) {
	latest, err := h.attests.Latest(ctx, scope.Tenant(tenant.Platform))
	probing := ids.User(h.probing.Load())
	for _, a := range latest {
		state := a.At(h.Clock.Now())
		if state != attest.Ending && state != attest.Over || probing != 0 && a.User == probing {
			continue
		}
		list = append(list, alert.Condition{Marker: a.ID.String() + " " + string(state), Kind: alert.Attestation, Text: "The attestation " + a.ID.String() + " (" + string(a.Kind) + ") ends or ended on " + a.Until.UTC().Format(time.DateOnly) + "."})
	}
	return list, err
}

func (h *House) unmended(ctx context.Context) (list []alert.Condition, err error) {
	late, err := h.findings.Overdue(ctx, scope.Tenant(tenant.Platform))
	for _, w := range late {
		list = append(list, alert.Condition{Marker: w.ID.String(), Kind: alert.Finding, Text: "The finding " + w.ID.String() + " (" + string(w.Severity) + ") was to be mended by " + w.Due.UTC().Format(time.DateOnly) + "."})
	}
	return list, err
}

func (h *House) unscanned(ctx context.Context) ([]alert.Condition, error) {
	if h.Dev {
		return nil, nil
	}
	d, err := h.patches.State(ctx)
	if late := d.Late(h.scansSince()); err == nil && late != "" {
		return []alert.Condition{{Marker: "data", Kind: alert.Scan, Text: late + "."}}, nil
	}
	return nil, err
}

// lendAlerts tells a probe's endpoint of alerts, until it is given back; then what
// the probe raised is gone too.
func (h *House) lendAlerts(to string, secret []byte) (func(), error) {
	call, err := h.alertByWebhook("webhook", to, secret)
	if err != nil {
		return nil, err
	}
	ctx := h.parts.Context()
	h.guesses.Forget()
	if err := h.alerts.Drop(ctx, alert.GuessMarker); err != nil {
		return nil, err
	}
	back := h.alerts.Lend(call)
	return func() {
		back()
		h.guesses.Forget()
		if err := h.alerts.Drop(context.WithoutCancel(ctx), alert.GuessMarker); err != nil {
			h.observe.Log.Warn("drop a probe's alert", "error", err)
		}
	}, nil
}

// shownAlerts implements httpapi.Alerts and admin.Alerts.
type shownAlerts struct{ *alert.Board }

// See implements httpapi.Alerts.
func (s shownAlerts) See(ctx context.Context, id ids.Alert, by access.Principal) (alert.Alert, error) {
	return s.Acknowledge(ctx, id, by.User, actor(by))
}
