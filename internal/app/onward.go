package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailvow/internal/base/address"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/base/scope"
	"mailvow/internal/door/httpapi"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/onward"
	"mailvow/internal/protect/request"
)

// openOnward makes the desk that tells who got a person's data.
func (h *House) openOnward() {
	h.planned = make(chan struct{}, 1)
	h.onward = onward.New(onward.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
		Got: h.gotBy, Send: h.tellEndpoint, Remind: h.remindOfNotices,
	})
}

// tellOnward plans what is to be told, and has it told soon.
func (h *House) tellOnward(ctx context.Context, o onward.Order) (int, error) {
	n, err := h.onward.Plan(ctx, o)
	select {
	case h.planned <- struct{}{}:
	default: // it is awake
	}
	return n, err
}

// noticesEvery is how often notices are looked for that another process planned,
// or whose next attempt has come.
const noticesEvery = 5 * time.Second

// tellRecipients sends notices until its context ends.
func (h *House) tellRecipients(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := h.onward.Tick(ctx); err != nil && ctx.Err() == nil {
			h.observe.Log.Warn("tell who got a person's data", "error", err)
		}
		t := h.Clock.NewTimer(noticesEvery)
		select {
		case <-ctx.Done():
		case <-h.planned:
		case <-t.C():
		}
		t.Stop()
	}
	return nil
}

// gotBy gives the endpoints that took mail which the person is in: those to which
// the routes lead now on which it was delivered.
func (h *House) gotBy(ctx context.Context, s pledge.Subject, yield func(onward.Endpoint) error) error {
	seen := map[ids.Route]bool{}
	return h.persons.Reached(ctx, s, func(t ids.Tenant, to address.Address) error {
		r, err := h.inbound.Match(ctx, to)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil || r.Tenant != t || seen[r.ID] {
			return err
		}
		seen[r.ID] = true
		return yield(onward.Endpoint{Tenant: t, Route: r.ID, URL: r.URL, Secret: r.Secret})
	})
}

// handedTo names the hosts of those endpoints.
func (h *House) handedTo(ctx context.Context, s pledge.Subject) ([]string, error) {
	var hosts []string
	err := h.gotBy(ctx, s, func(e onward.Endpoint) error {
		if host := e.Host(); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
		return nil
	})
	slices.Sort(hosts)
	return hosts, err
}

// tellEndpoint posts an event where the route leads now, or where it led when it
// is no more.
func (h *House) tellEndpoint(ctx context.Context, to onward.Endpoint, id string, body []byte) (int, error) {
	r, err := h.inbound.Get(ctx, scope.Tenant(to.Tenant), to.Route)
	switch {
	case err == nil:
		to.URL, to.Secret = r.URL, r.Secret
	case !fault.Is(err, fault.NotFound):
		return 0, err
	}
	return h.hooks.Tell(ctx, to.URL, to.Secret, id, body)
}

// remindOfNotices mails a customer's owners that endpoints have not acknowledged.
func (h *House) remindOfNotices(ctx context.Context, t ids.Tenant, late int) error {
	owners, err := h.answering(ctx, t, access.Owner)
	if err != nil {
		return err
	}
	for _, to := range owners {
		err := h.postLetter(ctx, request.Letter{
			To: to, Subject: "Endpoints have not acknowledged what became of a person's data",
			Text: fmt.Sprintf(`Endpoints of yours got data of persons who asked for their rights. %d of
the events that tell them so were not acknowledged within a week. The law wants
them told (GDPR Art. 17(2), 19).

Data subjects in the console shows which: %s
`, late, consoleURL(h.Config)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// shownNotices implements httpapi.Onward.
type shownNotices struct{ *onward.Desk }

var _ httpapi.Onward = shownNotices{}

// Settle implements httpapi.Onward.
func (s shownNotices) Settle(ctx context.Context, in scope.Scope, id ids.Onward, by access.Principal) (onward.Notice, error) {
	return s.Desk.Settle(ctx, in, id, actor(by))
}
