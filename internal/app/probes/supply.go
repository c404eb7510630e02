package probes

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
	"mailvow/internal/base/pledge"
	"mailvow/internal/keep/egress"
	"mailvow/internal/product/trust/supply"
)

// SupplyDesk is the register of sub-processors and the gate that asks it.
type SupplyDesk struct {
	// Endpoints are those that the operator configured; LastDay what was opened,
	// by this process and Since its start.
	Endpoints func(context.Context) []egress.Endpoint
	LastDay   func() []egress.Flow
	Since     time.Time
	// Known are the versions of the register that concern everybody.
	Known func() []supply.Version
	// Try connects as the operator's parts do, to an address that nobody has.
	// region is where the configuration would put it, or "".
	Try func(ctx context.Context, purpose, endpoint, region string, of ids.Tenant) error
	// Enact puts an entry of the canary's alone in force; Announce announces one as
	// the operator does; Drop takes all of them out again.
	Enact    func(context.Context, Canary, supply.Entry) error
	Announce func(context.Context, Canary, supply.Entry, time.Time) (supply.Version, error)
	Withdraw func(context.Context, ids.SubProcessor) error
	Drop     func(context.Context, Canary) error
	// Notice is now, and when what is announced now may take effect by the policy.
	Notice func() (now, earliest time.Time)
}

// The canary's endpoint is in a network that nobody has (RFC 5737), and its place
// is no part of the EEA.
const (
	nowhere       = "192.0.2.1:443"
	nowherePlace  = "AQ"
	canaryPurpose = "probe"
)

// vendor is an entry that lacks nothing.
func (x *scene) vendor() supply.Entry {
	in := supply.Date(x.Clock.Now().AddDate(1, 0, 0).UTC().Format(time.DateOnly))
	return supply.Entry{
		Name: "Canary " + x.word, Kind: supply.Infrastructure, Purposes: []string{canaryPurpose}, Country: nowherePlace, Data: []string{"none"}, Endpoints: []string{nowhere},
		Agreement: supply.Agreement{Document: "none", Until: in}, Safeguard: supply.Safeguard{Kind: supply.StandardClauses, Document: "none", Until: in},
	}
}

func (x *scene) yesterday() supply.Date {
	return supply.Date(x.Clock.Now().AddDate(0, 0, -1).UTC().Format(time.DateOnly))
}

// try connects as the canary's, and says whether the register refused it.
func (x *scene) try(ctx context.Context) (refused bool, why string) {
	err := x.Supply.Try(ctx, canaryPurpose, nowhere, "", x.Tenant)
	text, _ := fault.Public(err)
	return fault.Is(err, fault.Denied), text
}

// clean takes the canary's entries out when the scene closes.
func (x *scene) clean(ctx context.Context) {
	x.undo = append(x.undo, func() { _ = x.Supply.Drop(context.WithoutCancel(ctx), x.Canary) })
}

// refusedUntilWhole tries the endpoint with no entry, with each of the defective
// ones, and with a whole one: only that lets it out.
func (x *scene) refusedUntilWhole(ctx context.Context, defective map[string]func(*supply.Entry)) (verdict, error) {
	x.clean(ctx)
	if refused, _ := x.try(ctx); !refused {
		return bad("an endpoint outside that no sub-processor covers was let out"), nil
	}
	for what, spoil := range defective {
		e := x.vendor()
		spoil(&e)
		if err := x.Supply.Enact(ctx, x.Canary, e); err != nil {
			return verdict{}, err
		}
		if refused, _ := x.try(ctx); !refused {
			return bad("an endpoint outside was let out though %s", what), nil
		}
	}
	if err := x.Supply.Enact(ctx, x.Canary, x.vendor()); err != nil {
		return verdict{}, err
	}
	if refused, why := x.try(ctx); refused {
		return bad("an endpoint is refused though its entry lacks nothing, so that the refusals show nothing: %s", why), nil
	}
	return good(""), nil
}

// configured says how the real endpoints stand; a refused one fails.
func (s *Server) configured(ctx context.Context) (outside []egress.Endpoint, line string, refused string) {
	own := 0
	for _, e := range s.Supply.Endpoints(ctx) {
		switch {
		case e.Problem != "":
			return nil, "", e.Destination + ": " + e.Problem
		case e.Ours:
			own++
		default:
			outside = append(outside, e)
		}
	}
	if len(outside) == 0 {
		return nil, fmt.Sprintf("of the operator's %d endpoints none is outside this server's own machines and networks", own), ""
	}
	return outside, fmt.Sprintf("of the operator's endpoints %d are of own machines and %d outside, each covered by an entry in force", own, len(outside)), ""
}

// supplied runs a probe that ends with how the real endpoints stand.
func (s *Server) supplied(ctx context.Context, act func(*scene) (verdict, error)) (pledge.Status, string, error) {
	_, line, refused := s.configured(ctx)
	if refused != "" {
		return failing(refused)
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		v, err := act(x)
		if err == nil && v.status == pledge.Kept {
			v.evidence += "; " + line
		}
		return v, err
	})
	return v.end(err)
}

// subProcessors looks for each outside endpoint's company in what a customer is
// shown.
func (s *Server) subProcessors(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		if refused, _ := x.try(ctx); !refused {
			return bad("an endpoint outside that no sub-processor covers was let out"), nil
		}
		listed, err := x.subProcessorsShown(ctx)
		if err != nil {
			return verdict{}, err
		}
		outside, _, _ := s.configured(ctx)
		for _, e := range outside {
			i := slices.IndexFunc(listed, func(p shownProcessor) bool { return p.Entry.Name == e.Entry })
			if i < 0 || listed[i].State == "coming" {
				return bad("%s is covered by %q, which customers are not shown", e.Destination, e.Entry), nil
			}
			if p := listed[i].Entry; len(p.Purposes) == 0 || p.Country == "" {
				return bad("customers are shown %q without purpose or location", e.Entry), nil
			}
		}
		return good("a customer is shown %d sub-processors with name, purpose, location and whose machines they use; an endpoint that none covers was refused", len(listed)), nil
	})
}

type shownProcessor struct {
	ID     string       `json:"id"`
	State  string       `json:"state"`
	Entry  supply.Entry `json:"entry"`
	Coming *struct {
		EffectiveAt time.Time `json:"effective_at"`
	} `json:"coming"`
}

func (x *scene) subProcessorsShown(ctx context.Context) ([]shownProcessor, error) {
	var page struct {
		Items []shownProcessor `json:"items"`
	}
	err := x.must(ctx, http.MethodGet, "/v1/sub-processors", nil, &page)
	return page.Items, err
}

// supplyNotice announces a sub-processor of the canary's and looks whether it is
// told, can object, and nothing happens before its time.
func (s *Server) supplyNotice(ctx context.Context) (pledge.Status, string, error) {
	for _, v := range s.Supply.Known() {
		if v.Effective.Before(v.Announced.Add(-time.Minute)) {
			return failing("a version of " + v.ID.String() + " took effect before it was announced")
		}
	}
	v, err := on(ctx, s, func(x *scene) (verdict, error) {
		x.clean(ctx)
		now, earliest := x.Supply.Notice()
		if !earliest.After(now) {
			return bad("the policy gives no time between a change's notice and its effect"), nil
		}
		if _, err := x.Supply.Announce(ctx, x.Canary, x.vendor(), now.Add(time.Minute)); !fault.Is(err, fault.Invalid) {
			return bad("a sub-processor could be announced to take effect within its notice period (%v)", err), nil
		}
		v, err := x.Supply.Announce(ctx, x.Canary, x.vendor(), time.Time{})
		if err != nil {
			return verdict{}, err
		}
		if v.Effective.Before(earliest.Add(-time.Second)) {
			return bad("a sub-processor takes effect on %s, before its notice period ends on %s", v.Effective.Format(time.RFC3339), earliest.Format(time.RFC3339)), nil
		}
		if refused, _ := x.try(ctx); !refused {
			return bad("the endpoint of a sub-processor that is only announced was let out"), nil
		}
		return x.toldAndHeard(ctx, v)
	})
	return v.end(err)
}

func (x *scene) toldAndHeard(ctx context.Context, v supply.Version) (verdict, error) {
	listed, err := x.subProcessorsShown(ctx)
	if err != nil {
		return verdict{}, err
	}
	i := slices.IndexFunc(listed, func(p shownProcessor) bool { return p.ID == v.ID.String() })
	if i < 0 || listed[i].State != "coming" || listed[i].Coming == nil || !listed[i].Coming.EffectiveAt.After(x.Clock.Now()) {
		return bad("the customer is not shown what is announced, with its date"), nil
	}
	var one struct {
		Notices []struct {
			Number int `json:"number"`
		} `json:"notices"`
	}
	if err := x.must(ctx, http.MethodGet, "/v1/sub-processors/"+v.ID.String(), nil, &one); err != nil {
		return verdict{}, err
	}
	if len(one.Notices) != 1 {
		return bad("no notice to the customer is on record"), nil
	}
	at := "/v1/sub-processors/" + v.ID.String() + "/objections"
	status, err := x.call(ctx, http.MethodPost, at, map[string]string{"reason": "the canary does not sing for it"}, nil)
	if err != nil || status != http.StatusCreated {
		return bad("the customer could not object (%d)", status), err
	}
	if err := x.Supply.Withdraw(ctx, v.ID); err != nil {
		return verdict{}, err
	}
	return good("a sub-processor that gets the canary's data was announced: it cannot take effect before %s, its endpoint was refused until then, the customer is shown it with its date and could object; an earlier date was refused; %d versions of the register are on record",
		v.Effective.UTC().Format(time.DateOnly), len(x.Supply.Known())), nil
}

// transfers tries an endpoint outside the EEA with no safeguard, and with one that
// has ended.
func (s *Server) transfers(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		v, err := x.refusedUntilWhole(ctx, map[string]func(*supply.Entry){
			"no safeguard is on file":      func(e *supply.Entry) { e.Safeguard = supply.Safeguard{} },
			"its safeguard ended":          func(e *supply.Entry) { e.Safeguard.Until = x.yesterday() },
			"its sub-processor is unknown": func(e *supply.Entry) { e.Endpoints = []string{"192.0.2.2:443"} },
		})
		if err != nil || v.status != pledge.Kept {
			return v, err
		}
		return good("an endpoint in a place outside was refused without a safeguard and with one that ended yesterday, and let out with standard clauses that have not"), nil
	})
}

// agreements tries an endpoint whose sub-processor is not bound any more.
func (s *Server) agreements(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		bare := x.vendor()
		bare.Agreement = supply.Agreement{}
		if _, err := x.Supply.Announce(ctx, x.Canary, bare, time.Time{}); !fault.Is(err, fault.Invalid) {
			return bad("a sub-processor without an agreement could be announced (%v)", err), nil
		}
		v, err := x.refusedUntilWhole(ctx, map[string]func(*supply.Entry){
			"its agreement ended": func(e *supply.Entry) { e.Agreement.Until = x.yesterday() },
		})
		if err != nil || v.status != pledge.Kept {
			return v, err
		}
		return good("a sub-processor without an agreement was refused an entry; an endpoint whose agreement ended yesterday was refused, and let out with one that has not"), nil
	})
}

// flows says on what every connection of the last day rests; what rests on nothing
// fails.
func (s *Server) flows() (line, wrong string) {
	by := map[string]int64{}
	all := int64(0)
	known := s.Supply.Known()
	for _, f := range s.Supply.LastDay() {
		all += f.Count
		switch f.By {
		case egress.ByMessage:
			if f.Name != "mail" && f.Name != "webhook" {
				return "", "a connection to " + f.Name + " is said to be a message's own"
			}
			by["a message's own route"] += f.Count
		case egress.ByHouse, egress.ByDev:
			by[f.By] += f.Count
		default:
			if !slices.ContainsFunc(known, func(v supply.Version) bool { return v.Entry.Name == f.By && slices.Contains(v.Entry.Purposes, f.Use) }) {
				return "", fmt.Sprintf("%d connections to %s rest on %q, which is no sub-processor for %q", f.Count, f.Name, f.By, f.Use)
			}
			by["entries of the register"] += f.Count
		}
	}
	var parts []string
	for _, k := range []string{"a message's own route", egress.ByHouse, egress.ByDev, "entries of the register"} {
		if by[k] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", by[k], k))
		}
	}
	since := ""
	if day := s.Clock.Now().Add(-24 * time.Hour); s.Supply.Since.After(day) {
		since = ", which it has since " + s.Supply.Since.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("of this process's %d connections of the last day%s: %s", all, since, strings.Join(parts, ", ")), ""
}

// sharing tries an endpoint for another purpose than its entry's, and reads the
// audit of connections.
func (s *Server) sharing(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		v, err := x.refusedUntilWhole(ctx, map[string]func(*supply.Entry){
			"its entry has another purpose": func(e *supply.Entry) { e.Purposes = []string{"something else"} },
		})
		if err != nil || v.status != pledge.Kept {
			return v, err
		}
		line, wrong := s.flows()
		if wrong != "" {
			return bad("%s", wrong), nil
		}
		return good("an endpoint was refused for a purpose that its sub-processor's entry has not; %s", line), nil
	})
}

// noSharing lets one message out and one arrive, and reads the audit.
func (s *Server) noSharing(ctx context.Context) (pledge.Status, string, error) {
	return s.supplied(ctx, func(x *scene) (verdict, error) {
		if refused, _ := x.try(ctx); !refused {
			return bad("an endpoint outside that nobody registered was let out"), nil
		}
		before := s.opened()
		if _, err := x.arrivedWhole(ctx); err != nil {
			return verdict{}, err
		}
		out, err := x.submit(ctx, "submission", x.sender(), x.outward())
		if err == nil {
			_, err = x.waitState(ctx, out, "delivered")
		}
		if err != nil {
			return verdict{}, err
		}
		after := s.opened()
		for _, name := range []string{"mail", "webhook"} {
			if after[name] <= before[name] {
				return bad("a connection to %s was opened and the audit did not see it", name), nil
			}
		}
		line, wrong := s.flows()
		if wrong != "" {
			return bad("%s", wrong), nil
		}
		return good("an endpoint that nobody registered was refused; the audit saw the canary's own two connections; %s", line), nil
	})
}

// opened counts the connections of the last day by destination.
func (s *Server) opened() map[string]int64 {
	n := map[string]int64{}
	for _, f := range s.Supply.LastDay() {
		n[f.Name] += f.Count
	}
	return n
}
