package app

import (
	"context"
	"net/netip"
	"runtime"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/base/limit"
	"mailvow/internal/flow/deliver"
	"mailvow/internal/flow/deliver/caught"
	"mailvow/internal/flow/deliver/local"
	"mailvow/internal/flow/deliver/remote"
	"mailvow/internal/flow/deliver/webhook"
	"mailvow/internal/flow/history"
	"mailvow/internal/flow/inbox"
	"mailvow/internal/flow/intake"
	"mailvow/internal/flow/queue"
	"mailvow/internal/flow/route"
	"mailvow/internal/flow/suppress"
	"mailvow/internal/flow/tally"
	"mailvow/internal/flow/words"
	"mailvow/internal/keep/db"
	"mailvow/internal/keep/egress"
	"mailvow/internal/keep/job"
	"mailvow/internal/product/inbound"
	"mailvow/internal/product/relay"
)

// openFlow opens floor 4 and the products that the road asks.
func (h *House) openFlow(ctx context.Context) error {
	h.history = history.New(h.db, h.vault, h.ids, h.Clock, redaction{h.policies, h.Clock})
	h.history.MaySearch = h.maySearch
	h.jobs = job.NewStore(h.db, h.ids)
	settle := time.Duration(0)
	if h.db.Dialect() == db.Postgres {
		settle = redactSettle
	}
	h.rewrite = h.history.Rewriter(h.jobs, h.ids, settle)
	h.tally = tally.New(h.db, h.Clock, h.observe.For("flow/tally").Log)
	h.tally.Purposes = h.policies
	if err := h.openProducts(ctx); err != nil {
		return err
	}
	couriers := map[deliver.RouteKind]deliver.Courier{}
	c := h.Config
	h.queue = queue.New(queue.Parts{
		DB: h.db, Vault: h.vault, Blobs: h.blobs, IDs: h.ids, Clock: h.Clock, Observe: h.observe, History: h.history,
		Gate: h.suppress, Routes: h.routes(), Couriers: couriers,
	}, queue.Config{Hostname: c.Hostname, Expiry: c.Delivery.Expiry, Couriers: c.Delivery.Couriers, PerLane: c.Delivery.PerSite, AcceptOnly: !h.has(config.RoleDeliver)})
	h.intake = &intake.Intake{
		Hostname: c.Hostname, DB: h.db, IDs: h.ids, Clock: h.Clock, Log: h.observe.For("flow/intake").Log,
		Queue: h.queue, History: h.history, Signer: h.relay, Purposes: h.policies,
	}
	if err := h.openTrust(ctx); err != nil {
		return err
	}
	return h.openCouriers(couriers)
}

func (h *House) openCouriers(couriers map[deliver.RouteKind]deliver.Courier) error {
	dialer, err := h.gate.To("mail")
	if err != nil {
		return err
	}
	sources := map[string]remote.Source{}
	if a, err := netip.ParseAddr(h.Config.Delivery.Source); err == nil {
		sources[""] = remote.Source{Address: a}
	}
	var relays *egress.Dialer
	if len(h.relayHosts()) > 0 {
		if relays, err = h.gate.To("relays"); err != nil {
			return err
		}
	}
	smtp, err := remote.New(remote.Config{
		Hostname: h.Config.Hostname, Dialer: dialer, Relays: relays, Resolver: h.resolver, Sources: sources, Floor: h.floors().outbound, Clock: h.Clock, Observe: h.observe,
	})
	if err != nil {
		return err
	}
	h.onClose(func() error { smtp.Close(); return nil })
	h.courier = smtp
	couriers[deliver.MX], couriers[deliver.Host] = smtp, smtp
	couriers[deliver.Local] = &local.Courier{Hostname: h.Config.Hostname, Desk: h.desk, Drafts: h.drafts, Intake: h.intake}
	couriers[deliver.Cases] = newCaseCourier(h.cases, h.observe.For("app").Log, h.Clock)
	hooks, err := h.gate.To("webhook")
	if err != nil {
		return err
	}
	post := webhook.New(webhook.Config{Dialer: hooks, Clock: h.Clock})
	h.onClose(func() error { post.Close(); return nil })
	couriers[deliver.Webhook], h.hooks = post, post
	couriers[deliver.Caught] = caught.New(h.inbox, h.Clock)
	h.instructed(couriers)
	if h.Config.Observe.OTLP != "" {
		for kind, c := range couriers {
			couriers[kind] = tracedCourier{c, h.observe.Tracer, kind}
		}
	}
	return nil
}

// openProducts opens floor 5 and what stands beside the road.
func (h *House) openProducts(ctx context.Context) (err error) {
	if h.suppress, err = suppress.New(ctx, h.db, h.vault, h.ids, h.Clock); err != nil {
		return err
	}
	h.suppress.Purposes = h.policies
	h.inbox = inbox.New(h.db, h.vault, h.ids, h.drafts, h.blobs)
	h.relay = relay.New(relay.Config{SPF: h.Config.Domains.SPF, ReturnPath: h.Config.Domains.ReturnPath, Shared: h.Config.Domains.Shared}, relay.Parts{
		DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Resolver: h.resolver, RSA: limit.NewPlaces(runtime.NumCPU()),
	})
	h.inbound = inbound.New(inbound.Config{DB: h.db, Vault: h.vault, IDs: h.ids, Clock: h.Clock, Domains: h.relay, Shared: h.Config.Domains.Shared})
	h.desk = newFrontDesk(h.inbound, h.Clock)
	h.desk.operator = h.opensCase
	h.desk.closed, h.desk.purposes = h.tenants.Closed, h.policies
	if h.Dev {
		h.desk.sample = h.sample
	}
	if h.index, err = h.history.OpenIndex(ctx); err != nil {
		return err
	}
	h.index.Log = h.observe.For("flow/history").Log
	if h.words, err = words.Open(ctx, h.history, h.db, h.vault, h.ids, h.Clock); err != nil {
		return err
	}
	h.words.Log, h.words.Purposes = h.observe.For("flow/words").Log, h.policies
	return nil
}

// routes is the operator's routing table. In dev mode everything that is not
// ours is caught.
func (h *House) routes() *route.Table {
	t := &route.Table{Ours: h.desk, First: h.canary.route}
	for _, r := range h.Config.Delivery.Routes {
		t.Static = append(t.Static, route.Static{Domain: r.Domain, Route: hostRoute(r.Host)})
	}
	switch {
	case h.Dev:
		t.Static, t.Otherwise = nil, deliver.Route{Kind: deliver.Caught}
	case h.Config.Delivery.Smarthost != nil:
		t.Otherwise = hostRoute(*h.Config.Delivery.Smarthost)
	}
	return t
}

func hostRoute(h config.Host) deliver.Route {
	r := deliver.Route{Kind: deliver.Host, Hosts: []string{h.Address}, Username: h.Username, Password: h.Password.Reveal()}
	switch h.TLS {
	case "verified":
		r.TLS = deliver.Verified
	case "plain":
		r.TLS = deliver.Plain
	}
	return r
}

// startFlow begins delivering and keeping the look-up index, where this process
// has the roles for it.
func (h *House) startFlow(ctx context.Context) error {
	if h.has(config.RoleDeliver) {
		if err := h.queue.Start(ctx); err != nil {
			return err
		}
	}
	h.parts.Go("record reads", h.reads.Run)
	h.parts.Go("index history", h.index.Run)
	h.parts.Go("read subjects", h.words.Run)
	h.parts.Go("count for charts", h.tally.Run)
	h.parts.Go("close idle connections", h.courier.Run)
	return nil
}
