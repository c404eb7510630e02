package app

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mailvow/internal/app/config"
	"mailvow/internal/app/probes"
	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/scope"
	"mailvow/internal/keep/egress"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/product/trust/supply"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/request"
	"mailvow/internal/standard/dns"
)

// openEgress declares whom this server may speak to. Until the register of
// sub-processors is open, which lies in the database, its first entries in the
// configuration say who outside may be spoken to.
func (h *House) openEgress() error {
	list, resolvers, err := h.destinations()
	if err != nil {
		return err
	}
	var allow []netip.Prefix
	for _, p := range h.Config.Delivery.Allow {
		allow = append(allow, netip.MustParsePrefix(p)) // checked with the configuration
	}
	if h.Dev {
		allow = append(allow, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	h.gate, err = egress.New(egress.Config{Destinations: list, Allow: allow, Here: append([]string{h.Config.Region, ""}, h.Config.RegionNames...), Clock: h.Clock, Observe: h.observe})
	if err != nil {
		return err
	}
	h.gate.Govern(supply.Listed{Entries: h.Config.SubProcessors, Home: h.home(), Clock: h.Clock})
	dialer, err := h.gate.To("resolver")
	if err != nil {
		return err
	}
	h.resolver, err = dns.New(dns.Config{Servers: resolvers, Dial: dialer.Dial, Clock: h.Clock})
	if err == nil {
		h.gate.Resolve(h.resolver)
	}
	return err
}

// home is where this server stands.
func (h *House) home() supply.Home {
	return supply.HomeOf(h.Config.Country, h.Config.Region, h.Config.RegionNames...)
}

// destinations are everything that this server may speak to: two that customers
// and DNS direct, and those that the configuration names. Use is the purpose that an
// entry of the register must have.
func (h *House) destinations() (list []egress.Destination, resolvers []string, err error) {
	c := h.Config
	list = []egress.Destination{
		{Name: "mail", Purpose: "deliver mail to its recipients' hosts", Owner: egress.Customer},
		{Name: "webhook", Purpose: "deliver inbound mail to customers' endpoints", Owner: egress.Customer},
	}
	if resolvers, err = h.resolvers(); err != nil {
		return nil, nil, err
	}
	ownIn := func(region, name, use, purpose string, hosts ...string) {
		list = append(list, egress.Destination{Name: name, Use: use, Purpose: purpose, Owner: egress.Operator, Region: region, Hosts: hosts})
	}
	own := func(name, use, purpose string, hosts ...string) { ownIn("", name, use, purpose, hosts...) }
	own("resolver", "name look-ups", "look up names", resolvers...)
	list[len(list)-1].Free = h.Dev // nothing else leaves the machine there, and nobody's mail
	if host := alertHost(c.Alerts.Webhook.URL); host != "" {
		ownIn(c.Alerts.Webhook.Region, "alerts", "alerts", "tell the operator what must be looked at", host)
	}
	if c.TLS.ACME != nil {
		list = append(list, acmeDestination(c.TLS.ACME))
	}
	database, err := h.databaseDestination()
	if err != nil {
		return nil, nil, err
	}
	list = append(list, database...)
	for _, b := range []struct {
		name, use, purpose string
		bucket             *config.S3
	}{
		{"data.s3", "object store", "keep large messages and the evidence log, sealed", c.Data.S3},
		{"data.keys_s3", "key store", "keep wrapped keys", (*config.S3)(c.Data.KeysS3)},
		{"backup.s3", "backups", "keep encrypted backups", (*config.S3)(c.Backup.S3)},
		{"backup.newest.s3", "newest state", "keep the newest state of keys, erasures and evidence, encrypted", (*config.S3)(c.Backup.Newest.S3)},
	} {
		if b.bucket != nil {
			ownIn(b.bucket.Region, b.name, b.use, b.purpose, b.bucket.Endpoint)
		}
	}
	if c.Observe.OTLP != "" {
		own("traces", "traces", "watch this server, without personal data", hostOf(c.Observe.OTLP))
	}
	if relays := h.relayHosts(); len(relays) > 0 {
		own("relays", "relaying", "hand mail on to hosts that the operator named", relays...)
	}
	return list, resolvers, nil
}

// hostOf is the host:port of a URL that was checked with the configuration.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Port() != "" {
		return u.Host
	}
	port := "443"
	if u.Scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// relayHosts are the hosts that the operator routes mail to by name.
func (h *House) relayHosts() []string {
	if h.Dev {
		return nil // everything is caught
	}
	var hosts []string
	if s := h.Config.Delivery.Smarthost; s != nil {
		hosts = append(hosts, s.Address)
	}
	for _, r := range h.Config.Delivery.Routes {
		hosts = append(hosts, r.Host.Address)
	}
	return hosts
}

// openSupply opens the register of sub-processors, which from now on says who
// outside may be spoken to. A database that it does not cover is closed again.
func (h *House) openSupply(ctx context.Context) (err error) {
	h.supply, err = supply.New(ctx, supply.Config{
		DB: h.db, Vault: h.vault, Stage: h.stage, Nudge: h.evidence.Nudge, IDs: h.ids, Clock: h.Clock, Observe: h.observe,
		Policies: h.policies, Home: h.home(), Customers: h.eachCustomer, Probing: h.ofProbes,
		Tell: h.tellCustomer, Listed: h.Config.SubProcessors,
	})
	if err != nil {
		return err
	}
	h.policies.Refuse = h.supply.Fits
	h.gate.Govern(h.supply)
	closed := h.gate.Review()
	for _, e := range h.gate.Endpoints(ctx) {
		switch {
		case e.Problem == "":
		case e.Destination == "database" && closed > 0:
			return fault.New(fault.Denied, e.Problem)
		default:
			h.observe.Log.Error("an endpoint outside is refused", "destination", e.Destination, "why", e.Problem)
		}
	}
	return nil
}

const (
	reviewEvery = 10 * time.Second
	tellEvery   = time.Minute
	warnEvery   = time.Hour
	warnBefore  = 30 * 24 * time.Hour
)

// startSupply keeps open connections within what the register covers, tells
// customers of changes, and warns before an agreement ends.
func (h *House) startSupply() {
	h.parts.Go("follow the register of sub-processors", h.supply.Run)
	h.every("close what no sub-processor covers any more", reviewEvery, func(context.Context) error {
		if n := h.gate.Review(); n > 0 {
			h.observe.Log.Error("connections were closed: no sub-processor covers them any more", "connections", n)
		}
		return nil
	})
	h.every("look at the ends of agreements", warnEvery, h.warnOfEnds)
	if h.has(config.RoleWorker) {
		h.duty("tell customers of sub-processors", h.repeat("tell customers of sub-processors", tellEvery, h.supply.Tick))
	}
}

// warnOfEnds says in the log what is refused, and what will be within a month.
func (h *House) warnOfEnds(ctx context.Context) error {
	for _, e := range h.gate.Endpoints(ctx) {
		if e.Problem != "" {
			h.observe.Log.Error("an endpoint outside is refused", "destination", e.Destination, "why", e.Problem)
		}
	}
	soon := h.Clock.Now().Add(warnBefore)
	for _, p := range h.supply.List(scope.Everyone) {
		if p.Current != nil && p.Lacks == "" && !p.Ends.IsZero() && p.Ends.Before(soon) {
			h.observe.Log.Warn("an agreement or safeguard ends; its endpoints are refused from then on", "sub_processor", p.ID, "end", p.Ends.UTC())
		}
	}
	return nil
}

// ofProbes reports the probes' own customer.
func (h *House) ofProbes(id ids.Tenant) bool {
	h.canary.mu.Lock()
	defer h.canary.mu.Unlock()
	return id != 0 && id == h.canary.tenant
}

// tellCustomer mails a customer's owners and admins as the platform.
func (h *House) tellCustomer(ctx context.Context, to ids.Tenant, l supply.Letter) error {
	if h.ofProbes(to) {
		return nil // nobody reads it
	}
	if h.intake == nil {
		return fault.New(fault.Unavailable, "The road of mail is not open yet.")
	}
	people, err := h.answering(ctx, to, access.Owner, access.Admin)
	failed := []error{err}
	for _, a := range people {
		failed = append(failed, h.postAs(ctx, "privacy", "Privacy", request.Letter{To: a, Subject: l.Subject, Text: l.Text}))
	}
	return errors.Join(failed...)
}

// subProcessors are those of the register, for documents: who gets data, and who is
// announced.
func (h *House) subProcessors() []document.SubProcessor {
	list := []document.SubProcessor{}
	for _, p := range h.supply.Public() {
		v := p.Current
		if v == nil {
			v = p.Coming
		}
		e, name := &v.Entry, v.Entry.Name
		if e.Kind == supply.Own {
			continue
		}
		if p.Current == nil {
			name += " (from " + v.Effective.UTC().Format(time.DateOnly) + ")"
		}
		place := e.Country
		if e.Region != "" {
			place = e.Region + ", " + e.Country
		}
		list = append(list, document.SubProcessor{Name: name, Purpose: strings.Join(e.Purposes, ", "), Place: place, Machines: strings.Join(e.Uses, ", "), Since: v.Effective})
	}
	return list
}

// publicSubProcessors is the list for everybody, as JSON: who gets data of all
// customers, and what is announced.
func (h *House) publicSubProcessors() http.Handler {
	type version struct {
		From    time.Time    `json:"from"`
		Removed bool         `json:"removed,omitempty"`
		Entry   supply.Entry `json:"entry"`
	}
	type one struct {
		Current *version `json:"current"`
		Coming  *version `json:"coming"`
	}
	view := func(v *supply.Version) *version {
		if v == nil {
			return nil
		}
		e := v.Entry
		e.Agreement.Document, e.Safeguard.Document = "", "" // where papers lie is nobody's business
		return &version{v.Effective.UTC(), v.Removed, e}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		list := []one{}
		for _, p := range h.supply.Public() {
			list = append(list, one{view(p.Current), view(p.Coming)})
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		if err := json.NewEncoder(w).Encode(map[string]any{"sub_processors": list}); err != nil {
			h.observe.Log.Debug("answer with the list of sub-processors", "error", err)
		}
	})
}

// supplyDesk is the register and the gate as probes reach them. What they put into
// the register is the canary's alone.
func (h *House) supplyDesk() probes.SupplyDesk {
	announce := func(ctx context.Context, c probes.Canary, d supply.Draft) (supply.Version, error) {
		d.Tenant, d.Note, d.By = c.Tenant, "a probe", evidence.Actor{Role: evidence.BySystem}
		v, _, err := h.supply.Announce(ctx, d)
		return v, err
	}
	return probes.SupplyDesk{
		Endpoints: h.gate.Endpoints, LastDay: h.gate.LastDay, Try: h.gate.Try, Known: func() []supply.Version { return h.supply.Known() }, Since: h.Clock.Now(),
		Enact: func(ctx context.Context, c probes.Canary, e supply.Entry) error {
			_, err := announce(ctx, c, supply.Draft{Entry: e, Unannounced: true})
			return err
		},
		Announce: func(ctx context.Context, c probes.Canary, e supply.Entry, effective time.Time) (supply.Version, error) {
			return announce(ctx, c, supply.Draft{Entry: e, Effective: effective})
		},
		Withdraw: func(ctx context.Context, id ids.SubProcessor) error {
			_, err := h.supply.Withdraw(ctx, id, evidence.Actor{Role: evidence.BySystem})
			return err
		},
		Drop: func(ctx context.Context, c probes.Canary) error { return h.supply.Drop(ctx, c.Tenant) },
		Notice: func() (time.Time, time.Time) {
			now := h.Clock.Now()
			return now, h.policies.Platform(now).Document.Notice.SubProcessor.After(now)
		},
	}
}
