package app

import (
	"context"
	"fmt"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/db"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/alert"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/policy"
	"mailvow/internal/protect/reads"
)

// raise puts an event on the board from wherever it is seen.
func (h *House) raise(ctx context.Context, x alert.Condition) {
	if h.alerts == nil { // while the house is built
		return
	}
	if err := h.alerts.Raise(context.WithoutCancel(ctx), x); err != nil {
		h.observe.Log.Warn("raise an alert; the next look tells it", "error", err)
	}
}

// The marks of a sudden volume: so many messages within an hour, and so many times
// the mean hour of the week before, which counts as a hundred at least.
const (
	surgeLeast = 1000
	surgeTimes = 10
	surgeMean  = 100
	surgeWeek  = 7 * 24
)

// surging looks for customers that send far more than they did, as one whose
// credential was stolen.
func (h *House) surging(ctx context.Context) (list []alert.Condition, err error) {
	hour := h.Clock.Now().Add(-time.Hour)
	busy, err := h.tally.Busy(ctx, hour, surgeLeast)
	for id, n := range busy {
		if id == h.canary.is() {
			continue
		}
		points, err := h.tally.Series(ctx, scope.Tenant(id), hour.Add(-surgeWeek*time.Hour), time.Hour)
		if err != nil {
			return nil, err
		}
		var before int64
		for _, p := range points {
			before += p.Accepted
		}
		mean := max(surgeMean, (before-n)/surgeWeek)
		if n >= surgeTimes*mean {
			list = append(list, alert.Condition{Marker: id.String(), Kind: alert.Volume, Text: fmt.Sprintf("The customer %s had %d messages accepted within an hour; in the week before it had %d an hour.", id, n, (before-n)/surgeWeek)})
		}
	}
	return list, err
}

// shownTo counts what a reader is shown.
func (h *House) shownTo(ctx context.Context, r reads.Read) {
	if h.exports == nil || r.Count == 0 || r.Of == h.canary.is() {
		return
	}
	who := "The command line"
	switch {
	case r.Token != 0:
		who = "The token " + r.Token.String()
	case r.User != 0:
		who = "The user " + r.User.String()
	}
	h.exports.Shown(ctx, who, r.Count)
}

// turned puts on record that a user came, went or got another role. Those who come
// for a moment, for a probe, are left out.
func (h *House) turned(ctx context.Context, tx *db.Tx, what access.Turn, by access.Principal, u access.User) error {
	if h.stage == nil || u.Email.Domain() == canaryDomain && by.Session == 0 && by.Token == 0 || u.Tenant == h.canary.is() {
		return nil
	}
	return h.stage.Stage(ctx, tx, evidence.Leaf{
		ID: ids.New[ids.Leaf](h.ids), At: evidence.On(h.Clock.Now()), By: actor(by), Tenant: u.Tenant,
		Body: &evidence.Act{Act: string(what), Target: u.ID.String()},
	})
}

// risen sees somebody become mightier: a role that was raised, or one of the
// operator's people or auditors made over the network.
func (h *House) risen(ctx context.Context, by access.Principal, u access.User, was access.Role) {
	switch {
	case was == "" && (u.Role != access.Operator || by.Session == 0 && by.Token == 0):
		return
	case was == "":
		h.raise(ctx, alert.Condition{Marker: "rise " + u.ID.String(), Kind: alert.Role, Text: "The user " + u.ID.String() + " was made, with the role " + string(u.Role) + "."})
		return
	}
	h.raise(ctx, alert.Condition{Marker: "rise " + u.ID.String(), Kind: alert.Role, Text: fmt.Sprintf("The user %s of %s has the role %s now and had %s.", u.ID, u.Tenant, u.Role, was)})
}

// unadvised names the operator's people without the attestation that the policy in
// force advises. Where it is required the probe of it fails.
func (h *House) unadvised(ctx context.Context) (list []alert.Condition, err error) {
	if h.policies.Platform(h.Clock.Now()).Document.Training != policy.TrainingAdvised {
		return nil, nil
	}
	err = h.eachColleague(ctx, func(u access.User) error {
		if u.ID == ids.User(h.probing.Load()) {
			return nil
		}
		ok, err := h.attests.Trained(ctx, u.ID)
		if err == nil && !ok {
			list = append(list, alert.Condition{Marker: u.ID.String(), Kind: alert.Training, Text: "The user " + u.ID.String() + " has no valid attestation of training and screening, which the policy advises."})
		}
		return err
	})
	return list, err
}

// lasting leaves a source out in dev mode, which has no organisation behind it.
func (h *House) lasting(source alert.Source) alert.Source {
	return func(ctx context.Context) ([]alert.Condition, error) {
		if h.Dev {
			return nil, nil
		}
		return source(ctx)
	}
}

// untold are incidents with a clock or a notice that must be seen to.
func (h *House) untold(ctx context.Context) (list []alert.Condition, err error) {
	found, err := h.incidents.Alerts(ctx)
	for _, x := range found {
		list = append(list, alert.Condition{Marker: x.Text, Kind: alert.Incident, Text: x.Text})
	}
	return list, err
}

// undestroyed are contracts whose data was to be gone.
func (h *House) undestroyed(ctx context.Context) (list []alert.Condition, err error) {
	const most = 200
	ends, err := h.endings.List(ctx, scope.Everyone, 0, most)
	for _, e := range ends {
		if e.Late(h.Clock.Now()) {
			list = append(list, alert.Condition{Marker: e.ID.String(), Kind: alert.Contract, Text: "The data of " + e.Tenant.String() + " was to be gone by " + e.Deadline.UTC().Format(time.DateOnly) + " and is not."})
		}
	}
	return list, err
}

// unsupplied are sub-processors of the operator's that are refused, soon will be, or
// to which customers object.
func (h *House) unsupplied(context.Context) (list []alert.Condition, err error) {
	const soon = 30 * 24 * time.Hour
	now := h.Clock.Now()
	say := func(id ids.SubProcessor, what, text string) {
		list = append(list, alert.Condition{Marker: id.String() + " " + what, Kind: alert.Supply, Text: "The sub-processor " + id.String() + " " + text + "."})
	}
	for _, p := range h.supply.Public() {
		switch {
		case p.Lacks != "":
			say(p.ID, "refused", "is refused: "+p.Lacks)
		case p.Current != nil && !p.Ends.IsZero() && p.Ends.Before(now.Add(soon)):
			say(p.ID, "ends", "has papers that end on "+p.Ends.UTC().Format(time.DateOnly)+"; from then on it is refused")
		}
		if p.Coming != nil && p.Coming.Open > 0 {
			say(p.ID, "objected", fmt.Sprintf("has a change to which %d objections wait for an answer", p.Coming.Open))
		}
	}
	return list, nil
}
